//! Recording what becomes of messages, one after the other and in the order they were received in,
//! so that two messages of a new thread find the same conversation, and a conversation reads as it
//! was written. Messages of different sources wait for nobody.

use crate::clock;
use crate::events::id::{BlobRef, ChannelKind, Position, RepoId};
use crate::events::log::{Append, AppendError};
use crate::events::message::MessageReceived;
use crate::events::seal::Owner;
use crate::handlers::effect::{Effect, Rejection, RejectionReply, Subject};
use crate::handlers::intake::at_once::{AtOnce, Full, Occasion, decide_at_once};
use crate::handlers::intake::decide::{
    Accepted, Decision, conversation_of, decide_acceptance, decide_rejection, judged_context,
};
use crate::handlers::intake::obey::Order;
use crate::handlers::intake::triage::{DECLINED_MEDIA_TYPE, Verdict};
use crate::handlers::ports::EffectError;
use crate::handlers::worker::{Phase, Worker, WorkerError};
use crate::projections::inbox::WaitingMessage;

/// A message that was read, and what its channel says of it.
#[derive(Debug)]
pub(super) struct Judged {
    message: WaitingMessage,
    verdict: Verdict,
}

impl Judged {
    pub(super) fn new(message: WaitingMessage, verdict: Verdict) -> Self {
        Self { message, verdict }
    }

    pub(super) fn position(&self) -> Position {
        self.message.position
    }
}

fn source(message: &WaitingMessage) -> (&RepoId, ChannelKind) {
    (&message.received.repo, message.received.channel)
}

impl Worker {
    /// Records the verdicts whose turn it is. As many may wait as messages are read at once.
    pub(super) async fn record_verdicts(&mut self) -> Result<(), WorkerError> {
        while let Some(position) = self.next_verdict() {
            if let Some(judged) = self.verdicts.remove(&position) {
                self.record_verdict(judged).await?;
            }
        }
        Ok(())
    }

    /// Returns the earliest verdict that waits for no earlier message of its source.
    fn next_verdict(&self) -> Option<Position> {
        let is_next = |judged: &&Judged| !self.waits(&judged.message);
        self.verdicts.values().find(is_next).map(Judged::position)
    }

    fn waits(&self, message: &WaitingMessage) -> bool {
        let mut flights = self.flights.values();
        flights.any(|flight| match &flight.effect {
            Effect::Triage(earlier) => {
                let is_read = self.verdicts.contains_key(&earlier.position);
                flight.phase == Phase::Performing
                    && !is_read
                    && earlier.position < message.position
                    && source(earlier) == source(message)
            }
            Effect::Begin(_)
            | Effect::Hold(_)
            | Effect::Execute(_)
            | Effect::Interrupt(_)
            | Effect::Deliver(_)
            | Effect::ForgetAttempt(_)
            | Effect::Reconcile(_)
            | Effect::Reject(_)
            | Effect::Retry(..)
            | Effect::GiveUp(..)
            | Effect::Abandon(..)
            | Effect::Forget(_)
            | Effect::Release(_) => false,
        })
    }

    /// Decides on the newest conversations what becomes of a message.
    async fn record_verdict(&mut self, judged: Judged) -> Result<(), WorkerError> {
        self.fold()?;
        let received = judged.message.received.clone();
        let subject = Subject::Message(received.inbound);
        let reply = match &judged.verdict {
            Verdict::Accepted(accepted, _) => self.reply_to(&judged.message, accepted),
            Verdict::Rejected(..) => None,
        };
        let answer = match self.answer_at_once(&judged).await {
            Ok(answer) => answer,
            Err(error) => return self.fail(subject, &error),
        };
        let append = self.append_of(judged, answer.as_ref());
        match self.ports.append(append).await {
            Ok(()) => {
                self.settle_flight(subject);
                self.fold()
            }
            // Its sender is known and permitted, so that it can be told.
            Err(error @ EffectError::Append(AppendError::TooLarge { .. })) => {
                let cause = error.to_string();
                self.launch(Effect::Reject(Box::new(Rejection {
                    received,
                    cause,
                    reply,
                })));
                Ok(())
            }
            Err(error) => self.fail(subject, &error),
        }
    }

    /// Returns what is answered without a worker, its answer kept: a command that leaves no work, a
    /// message that was declined, and one that finds the queue full.
    async fn answer_at_once(
        &self,
        judged: &Judged,
    ) -> Result<Option<(Occasion, BlobRef)>, EffectError> {
        let received = &judged.message.received;
        let Verdict::Accepted(accepted, _) = &judged.verdict else {
            return Ok(None);
        };
        if accepted.body.media_type == DECLINED_MEDIA_TYPE {
            return Ok(Some((Occasion::Declined, accepted.body.clone())));
        }
        let is_work = accepted.command.as_ref().is_none_or(|given| given.is_work);
        let (occasion, text) = match self.order(received, accepted).filter(|_| !is_work) {
            Some(order) => {
                let command = order.command.to_string();
                (Occasion::Command(command), order.answer(self.state()))
            }
            None => match self.fullness(&accepted.triaged.identity) {
                Some(full) => (Occasion::Full(full), full.text()),
                None => return Ok(None),
            },
        };
        let owner = Owner::Task(received.inbound.task());
        let kept = self.ports.bodies.put_markdown(owner, &text).await?;
        Ok(Some((occasion, kept)))
    }

    fn fullness(&self, sender: &str) -> Option<Full> {
        let limits = self.ports.config.execution.queue;
        Full::for_sender(&self.state().queue, limits, sender)
    }

    fn order<'a>(
        &self,
        received: &'a MessageReceived,
        accepted: &'a Accepted,
    ) -> Option<Order<'a>> {
        let conversations = &self.state().conversations;
        Some(Order {
            command: &accepted.command.as_ref()?.command,
            received,
            triaged: &accepted.triaged,
            conversation: conversation_of(conversations, received, &accepted.triaged),
        })
    }

    fn append_of(&self, judged: Judged, answer: Option<&(Occasion, BlobRef)>) -> Append {
        let received = &judged.message.received;
        let conversations = &self.state().conversations;
        let (from, now) = (self.ports.mail_from(&received.repo), clock::now());
        let mut besides = vec![];
        if let Verdict::Accepted(accepted, _) = &judged.verdict {
            let order = self.order(received, accepted);
            besides.extend(order.map(|order| order.decide(self.state())));
            let triaged = &accepted.triaged;
            besides.extend(answer.map(|(occasion, body)| {
                let conversation = conversation_of(conversations, received, triaged);
                let answer = AtOnce {
                    received,
                    triaged,
                    conversation,
                    occasion,
                    body,
                    from,
                };
                decide_at_once(answer, now)
            }));
        }
        let mut decision: Decision = match judged.verdict {
            Verdict::Accepted(accepted, defaults) => {
                decide_acceptance(conversations, received, *accepted, &defaults)
            }
            Verdict::Rejected(reason, detail) => decide_rejection(received, reason, detail),
        };
        decision.events.extend(besides.into_iter().flatten());
        let causation = Some(judged.message.position);
        Append {
            expected: decision.expected,
            events: decision.events,
            key: Some(format!("triage:{}", received.inbound)),
            context: judged_context(received, causation, decision.conversation, now),
        }
    }

    /// Returns how its sender would be told that the message cannot be taken in. Whoever waits at
    /// the socket sees the rejection itself.
    fn reply_to(&self, message: &WaitingMessage, accepted: &Accepted) -> Option<RejectionReply> {
        let conversations = &self.state().conversations;
        let (received, triaged) = (&message.received, &accepted.triaged);
        (received.channel != ChannelKind::Local).then(|| RejectionReply {
            conversation: conversation_of(conversations, received, triaged),
            reply_to: triaged.reply_to.clone(),
            subject: triaged.subject.clone(),
        })
    }
}
