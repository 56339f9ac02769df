//! The one loop: read the log, fold it, react with effects, perform those. Every outcome is an
//! event, so the loop learns of it as everybody else does, and a restart begins where the log ends.
//! It decides nothing itself; [`react`] and the `decide` functions do.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::events::id::{AtMs, Position, TaskId};
use crate::events::log::{Append, ReadError, Subscription};
use crate::events::message::MessageReceived;
use crate::handlers::effect::{Effect, Subject};
use crate::handlers::intake::decide::{
    Decision, decide_acceptance, decide_rejection, judged_context,
};
use crate::handlers::intake::triage::Verdict;
use crate::handlers::operator::{Question, StopRefusal, decide_stop, standing};
use crate::handlers::perform::{Outcome, perform};
use crate::handlers::ports::{EffectError, Ports};
use crate::handlers::react::{Capacity, next_time, react};
use crate::projections::Feed;
use crate::projections::state::State;
use crate::tasks::TaskSet;

/// The pause before the same effect is tried once more; a changed state is reacted to at once.
pub const PAUSE_MS: u64 = 5_000;

/// Events taken in between two reactions; the rest comes with the next round.
const EVENTS_PER_ROUND_MAX: usize = 1024;

/// How the worker is told to end.
#[derive(Debug, Clone, Default)]
pub struct Signals {
    /// Nothing further begins; what runs comes to its end.
    pub drain: CancellationToken,
}

/// Something in the air: there is at most one for each subject.
#[derive(Debug)]
struct Flight {
    effect: Effect,
    stop: CancellationToken,
    phase: Phase,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// It is being performed.
    Performing,
    /// It ended; what it recorded is taken in once the fold has reached this position.
    Settling(Position),
    /// The same effect again would be a repetition: not before this time.
    Resting(AtMs),
}

/// An effect that came to its end.
type Landing = (Subject, Result<Outcome, EffectError>);

/// The loop with everything it owns.
pub struct Worker {
    ports: Ports,
    signals: Signals,
    state: Feed<State>,
    subscription: Subscription,
    flights: BTreeMap<Subject, Flight>,
    landings: (
        mpsc::UnboundedSender<Landing>,
        mpsc::UnboundedReceiver<Landing>,
    ),
    questions: mpsc::Receiver<Question>,
    performers: TaskSet,
}

impl Worker {
    /// Folds the log up to its end; nothing is done yet.
    ///
    /// # Errors
    /// [`ReadError`] when the log does not read.
    pub fn open(
        ports: Ports,
        signals: Signals,
        questions: mpsc::Receiver<Question>,
    ) -> Result<Self, ReadError> {
        let mut subscription = ports.log.subscribe(Position(0));
        let mut state = Feed::new();
        while let Some(recorded) = subscription.try_next()? {
            state.apply(&recorded);
        }
        Ok(Self {
            ports,
            signals,
            state,
            subscription,
            flights: BTreeMap::new(),
            // As many landings wait as there are flights, which the reaction bounds.
            landings: mpsc::unbounded_channel(),
            questions,
            performers: TaskSet::new(),
        })
    }

    /// Returns what is true now.
    pub fn state(&self) -> &State {
        self.state.view()
    }

    /// Works until it has drained; returns how many tasks are left unfinished.
    ///
    /// # Errors
    /// [`ReadError`] when the log does not read any more; whatever runs is cut off then.
    pub async fn run(mut self) -> Result<usize, ReadError> {
        let ended = self.work().await;
        if ended.is_err() {
            self.ports.cut_off.cancel();
        }
        let all_ended = self.performers.stop(CUT_OFF_PATIENCE).await;
        if !all_ended {
            tracing::warn!("effects were still being performed when the worker ended");
        }
        ended.map(|()| self.state().queue.executing())
    }

    async fn work(&mut self) -> Result<(), ReadError> {
        loop {
            self.stop_what_is_to_be_stopped();
            let launched = self.launch_effects();
            if self.signals.drain.is_cancelled() && !launched && !self.is_performing() {
                return Ok(());
            }
            self.take_in_what_happens().await?;
        }
    }

    /// Waits for the next thing to happen and takes it in, with all that is there already.
    async fn take_in_what_happens(&mut self) -> Result<(), ReadError> {
        let pause = self.time_to_next();
        tokio::select! {
            recorded = self.subscription.next() => match recorded? {
                Some(recorded) => self.state.apply(&recorded),
                None => self.signals.drain.cancel(),
            },
            Some(landing) = self.landings.1.recv() => self.land(landing).await,
            Some(question) = self.questions.recv() => self.answer(question).await,
            () = tokio::time::sleep(pause) => {}
            () = self.signals.drain.cancelled(), if !self.signals.drain.is_cancelled() => {}
        }
        self.fold()
    }

    fn fold(&mut self) -> Result<(), ReadError> {
        for _ in 0..EVENTS_PER_ROUND_MAX {
            match self.subscription.try_next()? {
                Some(recorded) => self.state.apply(&recorded),
                None => break,
            }
        }
        self.settle();
        Ok(())
    }

    /// Lets flights rest whose outcome is in the fold.
    fn settle(&mut self) {
        let (position, rests_until) = (self.state.position(), after(PAUSE_MS));
        for flight in self.flights.values_mut() {
            if matches!(flight.phase, Phase::Settling(outcome) if outcome <= position) {
                flight.phase = Phase::Resting(rests_until);
            }
        }
    }

    /// Launches what there is to do and is not being done; returns whether there was anything.
    fn launch_effects(&mut self) -> bool {
        if self.ports.cut_off.is_cancelled() {
            return false;
        }
        let now = clock::now();
        let capacity = Capacity {
            tasks_max: self.ports.config.execution.max_concurrent,
            begins: !self.signals.drain.is_cancelled(),
        };
        let effects = react(self.state.view(), now, capacity);
        self.forget_rested(&effects, now);
        let due: Vec<Effect> = effects
            .into_iter()
            .filter(|effect| self.is_due(effect, now))
            .collect();
        let any = !due.is_empty();
        due.into_iter().for_each(|effect| self.launch(effect));
        any
    }

    fn is_due(&self, effect: &Effect, now: AtMs) -> bool {
        match self.flights.get(&effect.subject()) {
            None => true,
            Some(flight) => match flight.phase {
                Phase::Performing | Phase::Settling(_) => false,
                Phase::Resting(until) => until <= now || flight.effect != *effect,
            },
        }
    }

    /// Forgets what rests and is not proposed any more, so that only open subjects are kept.
    fn forget_rested(&mut self, effects: &[Effect], now: AtMs) {
        let proposed: Vec<Subject> = effects.iter().map(Effect::subject).collect();
        self.flights.retain(|subject, flight| match flight.phase {
            Phase::Performing | Phase::Settling(_) => true,
            Phase::Resting(until) => until > now && proposed.contains(subject),
        });
    }

    fn launch(&mut self, effect: Effect) {
        let subject = effect.subject();
        let stop = self.ports.cut_off.child_token();
        let flight = Flight {
            effect: effect.clone(),
            stop: stop.clone(),
            phase: Phase::Performing,
        };
        self.flights.insert(subject, flight);
        let (ports, landings) = (self.ports.clone(), self.landings.0.clone());
        self.performers.spawn(async move {
            let performed = AssertUnwindSafe(perform(&ports, effect, stop)).catch_unwind();
            let outcome = performed.await.unwrap_or_else(|_| {
                let defect = "performing it panicked; this is a defect of Airut";
                Err(EffectError::Later(defect.to_owned()))
            });
            // The worker may have ended; then nobody needs to know.
            landings.send((subject, outcome)).ok();
        });
    }

    async fn land(&mut self, (subject, outcome): Landing) {
        let judged = match outcome {
            Ok(Outcome::Recorded) => Ok(()),
            Ok(Outcome::Judged(received, verdict)) => {
                self.record_verdict(&received, *verdict).await
            }
            Err(error) => Err(error),
        };
        if let Err(error) = judged {
            tracing::warn!(?subject, %error, "an effect did not come to its end");
        }
        if let Some(flight) = self.flights.get_mut(&subject) {
            flight.phase = Phase::Settling(self.ports.log.head().position);
        }
    }

    /// Decides on the newest conversations what becomes of a message. One after the other, so that
    /// two messages of a new thread find the same conversation.
    async fn record_verdict(
        &mut self,
        received: &MessageReceived,
        verdict: Verdict,
    ) -> Result<(), EffectError> {
        self.fold()?;
        let conversations = &self.state.view().conversations;
        let decision = match verdict {
            Verdict::Accepted(accepted, defaults) => {
                decide_acceptance(conversations, received, *accepted, &defaults)
            }
            Verdict::Rejected(reason, detail) => decide_rejection(received, reason, detail),
        };
        let append = self.append_of(decision, received);
        self.ports.append(append).await?;
        Ok(self.fold()?)
    }

    fn append_of(&self, decision: Decision, received: &MessageReceived) -> Append {
        let waiting = self.state.view().inbox.get(received.inbound);
        let causation = waiting.map(|message| message.position);
        Append {
            expected: decision.expected,
            events: decision.events,
            key: Some(format!("triage:{}", received.inbound)),
            context: judged_context(received, causation, decision.conversation, clock::now()),
        }
    }

    async fn answer(&mut self, question: Question) {
        // Whoever asked may have gone; then nobody needs the answer.
        match question {
            Question::Standing(answer) => {
                let standing = standing(self.state.view(), self.state.position());
                answer.send(standing).ok();
            }
            Question::Stop { target, by, answer } => {
                let decided = decide_stop(self.state.view(), target, &by, clock::now());
                let stopped = match decided {
                    Ok((tasks, append)) => self.request_stop(tasks, append).await,
                    Err(refusal) => Err(refusal),
                };
                answer.send(stopped).ok();
            }
        }
    }

    async fn request_stop(
        &self,
        tasks: Vec<TaskId>,
        append: Append,
    ) -> Result<Vec<TaskId>, StopRefusal> {
        let appended = self.ports.append(append).await;
        appended.map_err(|error| StopRefusal::Unrecorded(error.to_string()))?;
        Ok(tasks)
    }

    fn stop_what_is_to_be_stopped(&self) {
        for (subject, flight) in &self.flights {
            if let Subject::Task(task) = subject
                && let Some(task) = self.state.view().queue.tasks.get(task)
                && task.stop_requested_by.is_some()
                && matches!(flight.effect, Effect::Execute(_))
            {
                flight.stop.cancel();
            }
        }
    }

    fn is_performing(&self) -> bool {
        let mut flights = self.flights.values();
        flights.any(|flight| matches!(flight.phase, Phase::Performing | Phase::Settling(_)))
    }

    fn time_to_next(&self) -> Duration {
        let now = clock::now();
        let resting = self
            .flights
            .values()
            .filter_map(|flight| match flight.phase {
                Phase::Resting(until) => Some(until),
                Phase::Performing | Phase::Settling(_) => None,
            });
        let next = resting.chain(next_time(self.state.view(), now)).min();
        let next = next.unwrap_or_else(|| AtMs(now.0 + IDLE_ROUND_MS));
        Duration::from_millis(next.0.saturating_sub(now.0).max(1))
    }
}

/// How long effects may take to end once they are cut off; after that their tasks are dropped.
const CUT_OFF_PATIENCE: Duration = Duration::from_secs(30);

/// The longest time between two rounds; nothing depends on it.
const IDLE_ROUND_MS: u64 = 60_000;

fn after(pause_ms: u64) -> AtMs {
    AtMs(clock::now().0 + pause_ms)
}
