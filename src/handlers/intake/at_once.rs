//! Answers that are fixed in the very append that takes their message in, so that they wait for no
//! worker: to a command that leaves no work, to a message that is declined, and to one that finds the
//! queue full. Pure.

use crate::config::types::QueueLimits;
use crate::events::Event;
use crate::events::delivery::{DeliveryKind, DeliveryRequested};
use crate::events::id::{AtMs, BlobRef, ConversationId, DeliveryId, StreamId};
use crate::events::message::MessageReceived;
use crate::events::task::{CompletionReason, TaskCompleted, TaskTurnedAway};
use crate::handlers::channels::Triaged;
use crate::handlers::replies::address::{Envelope, Marks, channel_of, marked, target};
use crate::handlers::tasks::conclude::tone;
use crate::projections::work_queue::WorkQueue;

/// Why a message is answered at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Occasion {
    /// It is this command, and nothing else.
    Command(String),
    /// Its channel declined it.
    Declined,
    /// Too many tasks wait.
    Full(Full),
}

/// A queue that takes no more tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full {
    /// Whose limit is reached: `service` or `sender`.
    pub limit: &'static str,
    /// Tasks that wait, of the service or the sender.
    pub waiting: usize,
}

impl Full {
    /// Returns what a further task of a sender would find.
    pub fn for_sender(queue: &WorkQueue, limits: QueueLimits, sender: &str) -> Option<Self> {
        let own = (
            "sender",
            queue.waiting_of(sender),
            limits.waiting_per_sender_max,
        );
        let all = ("service", queue.waiting(), limits.waiting_max);
        let mut reached = [own, all]
            .into_iter()
            .filter(|(_, count, max)| count >= max);
        let (limit, waiting, _) = reached.next()?;
        Some(Self { limit, waiting })
    }

    /// Returns what the sender reads.
    pub fn text(self) -> String {
        let waiting = self.waiting;
        let whose = match self.limit {
            "sender" => format!("{waiting} of your messages wait already, which is as many as may"),
            _ => format!("{waiting} messages wait already, which is as many as this service takes"),
        };
        format!(
            "Your message was not taken in, and nothing was done: {whose}. Send it again when some of \
             them are answered, or withdraw what waits with `/stop` as the first line of a reply."
        )
    }
}

/// A message with the answer to it.
#[derive(Debug, Clone, Copy)]
pub struct AtOnce<'a> {
    /// The message.
    pub received: &'a MessageReceived,
    /// What it says.
    pub triaged: &'a Triaged,
    /// The conversation it continues or begins.
    pub conversation: ConversationId,
    /// Why it is answered at once.
    pub occasion: &'a Occasion,
    /// The answer, kept.
    pub body: &'a BlobRef,
    /// The configured `From` of mails.
    pub from: &'a str,
}

/// Returns the events of the answer: beside those that take its message in.
pub fn decide_at_once(answer: AtOnce<'_>, now: AtMs) -> Vec<(StreamId, Event)> {
    let AtOnce {
        received, triaged, ..
    } = answer;
    let task = received.inbound.task();
    let delivery = DeliveryId::derive(task, "reply", 1);
    let envelope = Envelope {
        delivery,
        conversation: answer.conversation,
        subject: &triaged.subject,
        from: answer.from,
        at: now,
    };
    let (reason, detail) = end_of(answer.occasion);
    let marks = Marks {
        answered: &[&triaged.reply_to],
        tone: tone(&reason),
        title: "",
    };
    let target = marked(target(&triaged.reply_to, envelope), marks);
    let requested = DeliveryRequested {
        delivery,
        kind: DeliveryKind::Reply,
        repo: received.repo.clone(),
        channel: channel_of(&target),
        conversation: answer.conversation,
        task,
        target,
        body: answer.body.clone(),
        files: vec![],
    };
    let completed = TaskCompleted {
        task,
        reason,
        detail,
        duration_ms: 0,
    };
    let stream = StreamId::task(task);
    let turned_away = match answer.occasion {
        Occasion::Full(full) => Some(TaskTurnedAway {
            task,
            limit: full.limit.to_owned(),
            waiting: u32::try_from(full.waiting).unwrap_or(u32::MAX),
        }),
        Occasion::Command(_) | Occasion::Declined => None,
    };
    let turned_away = turned_away.map(|away| (stream.clone(), away.into()));
    let delivered = (StreamId::delivery(delivery), requested.into());
    let completed = (stream.clone(), completed.into());
    turned_away
        .into_iter()
        .chain([delivered, completed])
        .collect()
}

fn end_of(occasion: &Occasion) -> (CompletionReason, String) {
    match occasion {
        Occasion::Command(command) => {
            let detail = format!("answered the command {command}");
            (CompletionReason::Success, detail)
        }
        Occasion::Declined => (CompletionReason::ExecutionFailed, "declined".to_owned()),
        Occasion::Full(full) => {
            let detail = format!("turned away: {} wait ({})", full.waiting, full.limit);
            (CompletionReason::ExecutionFailed, detail)
        }
    }
}
