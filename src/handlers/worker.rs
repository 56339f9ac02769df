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
use crate::events::id::{AtMs, Position};
use crate::events::log::{AppendError, ReadError};
use crate::handlers::effect::{Effect, Subject};
use crate::handlers::memory::Memory;
use crate::handlers::operator::Question;
use crate::handlers::perform::{Outcome, perform};
use crate::handlers::ports::{EffectError, Ports};
use crate::handlers::react::{Airborne, next_time, react};
use crate::handlers::schedule::timetable::Timetable;
use crate::handlers::setback::{Failure, pause_ms, react_to_failure};
use crate::handlers::snapshots::Snapshots;
use crate::handlers::turns::Capacity;
use crate::projections::Checkpoint;
use crate::projections::state::State;
use crate::tasks::TaskSet;

mod questions;
mod schedules;
mod verdicts;

use verdicts::Judged;

/// The pause before the same effect is proposed once more though it succeeded; a changed state is
/// reacted to at once.
pub const PAUSE_MS: u64 = 5_000;

/// How the worker is told to end.
#[derive(Debug, Clone, Default)]
pub struct Signals {
    /// Nothing further begins; what runs comes to its end.
    pub drain: CancellationToken,
}

/// Why the worker cannot go on: the service must end visibly, so that it is started again.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The log does not read: the message says what to do.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The log cannot be written: see the disk.
    #[error("nothing can be recorded any more: {0}")]
    Unwritable(String),
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
    /// It failed: nothing is done about its subject before this time.
    Paused(AtMs),
}

impl Phase {
    fn ends_at(self) -> Option<AtMs> {
        match self {
            Self::Resting(until) | Self::Paused(until) => Some(until),
            Self::Performing | Self::Settling(_) => None,
        }
    }
}

/// An effect that came to its end.
type Landing = (Subject, Result<Outcome, EffectError>);

/// The loop with everything it owns.
pub struct Worker {
    ports: Ports,
    signals: Signals,
    memory: Memory,
    flights: BTreeMap<Subject, Flight>,
    /// How often the newest effects on a subject failed in a row.
    failures: BTreeMap<Subject, u32>,
    /// Verdicts that wait for those on earlier messages of the same source.
    verdicts: BTreeMap<Position, Judged>,
    /// Whether there may be something to do since the last reaction.
    stirred: bool,
    /// When it is next looked for conversations that are too old.
    retention_at: AtMs,
    /// The schedules that are switched on.
    timetable: Timetable,
    /// No schedule is fired before this time, because one could not be.
    schedules_rest_until: AtMs,
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
        let memory = Memory::open(&ports.log, Snapshots::below(&ports.state_dir))?;
        Ok(Self::new(ports, signals, questions, memory))
    }

    /// Returns a worker that remembers already what the log says.
    pub fn new(
        ports: Ports,
        signals: Signals,
        questions: mpsc::Receiver<Question>,
        memory: Memory,
    ) -> Self {
        Self {
            timetable: Timetable::of(&ports.config),
            schedules_rest_until: AtMs(0),
            ports,
            signals,
            memory,
            flights: BTreeMap::new(),
            failures: BTreeMap::new(),
            verdicts: BTreeMap::new(),
            stirred: true,
            retention_at: AtMs(0),
            // As many landings wait as there are flights, which the reaction bounds.
            landings: mpsc::unbounded_channel(),
            questions,
            performers: TaskSet::new(),
        }
    }

    /// Returns what is true now.
    pub fn state(&self) -> &State {
        self.memory.state()
    }

    /// Returns everything the worker remembers, byte for byte.
    pub fn checkpoint(&self) -> Checkpoint {
        self.memory.checkpoint()
    }

    /// Works until it has drained; returns how many tasks are left unfinished.
    ///
    /// # Errors
    /// [`WorkerError`] when the log cannot be read or written any more; whatever runs is cut off
    /// then.
    pub async fn run(&mut self) -> Result<usize, WorkerError> {
        let ended = self.work().await;
        if ended.is_err() {
            self.ports.cut_off.cancel();
        }
        let all_ended = self.performers.stop(CUT_OFF_PATIENCE).await;
        if !all_ended {
            tracing::warn!("effects were still being performed when the worker ended");
        }
        ended?;
        self.memory.catch_up(self.ports.log.head().position)?;
        self.memory.keep(&self.ports.log).await;
        Ok(self.state().queue.executing())
    }

    async fn work(&mut self) -> Result<(), WorkerError> {
        // That the service was started tells that whatever executed a task before is gone.
        self.fold()?;
        loop {
            let mut launched = false;
            if std::mem::take(&mut self.stirred) {
                self.fire_what_is_due().await?;
                self.forget_what_is_too_old().await?;
                self.stop_what_is_to_be_stopped();
                launched = self.launch_effects();
            }
            if self.signals.drain.is_cancelled() && !launched && !self.is_performing() {
                return Ok(());
            }
            self.take_in_what_happens().await?;
            if self.memory.is_due() {
                self.memory.keep(&self.ports.log).await;
            }
        }
    }

    /// Waits for the next thing to happen and takes it in, with all that is there already.
    async fn take_in_what_happens(&mut self) -> Result<(), WorkerError> {
        let (pause, slot) = (self.time_to_next(), self.next_slot());
        let failure = self.ports.log.failure();
        let draining = self.signals.drain.is_cancelled();
        tokio::select! {
            // In a fixed order, so that a simulation takes the same way again. Events come last:
            // they are the many, and the fold below takes them in however the wait ended.
            biased;
            () = failure.cancelled() => return Err(WorkerError::Unwritable(self.ports.why_unwritable())),
            Some(landing) = self.landings.1.recv() => self.land(landing).await?,
            Some(question) = self.questions.recv() => self.answer(question).await,
            () = self.signals.drain.cancelled(), if !draining => self.stirred = true,
            () = tokio::time::sleep(pause) => self.stirred = true,
            () = clock::until_shown(slot) => self.stirred = true,
            recorded = self.memory.next() => match recorded? {
                Some(recorded) => self.stirred |= self.memory.take_in(&recorded),
                None => return Err(WorkerError::Unwritable(self.ports.why_unwritable())),
            },
        }
        self.fold()
    }

    /// Takes in everything that was durable when it was called.
    fn fold(&mut self) -> Result<(), WorkerError> {
        self.stirred |= self.memory.catch_up(self.ports.log.head().position)?;
        self.settle();
        Ok(())
    }

    /// Lets flights rest whose outcome is in the fold.
    fn settle(&mut self) {
        let (position, rests_until) = (self.memory.position(), after(PAUSE_MS));
        for flight in self.flights.values_mut() {
            if matches!(flight.phase, Phase::Settling(outcome) if outcome <= position) {
                flight.phase = Phase::Resting(rests_until);
                self.stirred = true;
            }
        }
    }

    /// Launches what there is to do and is not being done; returns whether there was anything.
    fn launch_effects(&mut self) -> bool {
        if self.ports.cut_off.is_cancelled() {
            return false;
        }
        let now = clock::now();
        let capacity = self.capacity();
        let rests = |flight: &Flight| flight.phase.ends_at().is_none_or(|until| until > now);
        self.flights.retain(|_, flight| rests(flight));
        let effects = react(self.state(), now, capacity, &self.airborne());
        let any = !effects.is_empty();
        effects.into_iter().for_each(|effect| self.launch(effect));
        any
    }

    fn capacity(&self) -> Capacity {
        let begins = !self.signals.drain.is_cancelled();
        Capacity::of(&self.ports.config.execution, begins)
    }

    fn airborne(&self) -> Airborne<'_> {
        let mut airborne = Airborne::default();
        for (subject, flight) in &self.flights {
            match flight.phase {
                Phase::Performing | Phase::Settling(_) => {
                    airborne.performing.insert(*subject);
                }
                Phase::Paused(_) => {
                    airborne.paused.insert(*subject);
                }
                Phase::Resting(_) => {
                    airborne.performed.insert(*subject, &flight.effect);
                }
            }
        }
        airborne
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
            let outcome = performed.await.unwrap_or(Err(EffectError::Panicked));
            // The worker may have ended; then nobody needs to know.
            landings.send((subject, outcome)).ok();
        });
    }

    async fn land(&mut self, (subject, outcome): Landing) -> Result<(), WorkerError> {
        match outcome {
            Ok(Outcome::Recorded) => self.settle_flight(subject),
            Ok(Outcome::Judged(message, verdict)) => {
                let judged = Judged::new(*message, *verdict);
                self.verdicts.insert(judged.position(), judged);
            }
            Err(error) => self.fail(subject, &error)?,
        }
        self.record_verdicts().await
    }

    fn settle_flight(&mut self, subject: Subject) {
        self.failures.remove(&subject);
        if let Some(flight) = self.flights.get_mut(&subject) {
            flight.phase = Phase::Settling(self.ports.log.head().position);
        }
    }

    /// Decides what is done about an effect that failed.
    fn fail(&mut self, subject: Subject, error: &EffectError) -> Result<(), WorkerError> {
        if error.is_fatal() {
            return Err(WorkerError::Unwritable(error.to_string()));
        }
        self.fold()?;
        let Some(flight) = self.flights.get_mut(&subject) else {
            return Ok(());
        };
        if let EffectError::Ending | EffectError::Append(AppendError::WrongVersion { .. }) = error {
            // What it was decided on is no longer so; that is no failure.
            flight.phase = Phase::Settling(Position(0));
            self.settle();
            return Ok(());
        }
        tracing::warn!(?subject, %error, "an effect did not come to its end");
        let times = self.failures.entry(subject).or_default();
        *times += 1;
        let failure = Failure {
            cause: error.to_string(),
            is_permanent: error.is_permanent(),
            times: *times,
        };
        flight.phase = Phase::Paused(after(pause_ms(*times)));
        let effect = flight.effect.clone();
        if let Some(effect) = react_to_failure(self.state(), &effect, &failure) {
            self.launch(effect);
        }
        Ok(())
    }

    fn stop_what_is_to_be_stopped(&self) {
        for (subject, flight) in &self.flights {
            if let Subject::Task(task) = subject
                && let Some(task) = self.state().queue.tasks.get(task)
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
        let resting = self.flights.values();
        let resting = resting.filter_map(|flight| flight.phase.ends_at());
        let schedules = Some(self.schedules_rest_until).filter(|until| *until > now);
        let next = resting
            .chain(next_time(self.state(), now))
            .chain(schedules)
            .min();
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
