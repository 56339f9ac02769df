//! Firing what is due of the schedules, decided between two events on the newest state, so that a due
//! time becomes a task once and never while its schedule's last one is not over.

use crate::clock;
use crate::events::id::AtMs;
use crate::events::log::Append;
use crate::events::seal::Owner;
use crate::handlers::ports::EffectError;
use crate::handlers::schedule::decide::{
    Step, decide_firing, decide_in_force, decide_missing, decide_step, slot, text,
};
use crate::handlers::schedule::timetable::Entry;
use crate::handlers::worker::{PAUSE_MS, Worker, WorkerError, after};

impl Worker {
    /// Returns when the machine's clock will show a time at which a schedule is due.
    pub(super) fn next_slot(&mut self) -> Option<AtMs> {
        if self.signals.drain.is_cancelled() {
            return None;
        }
        let schedules = &self.memory.state().schedules;
        self.timetable.next_after(schedules, clock::shown())
    }

    /// Fires what is due; while the service drains nothing is, and the next start makes up for it.
    pub(super) async fn fire_what_is_due(&mut self) -> Result<(), WorkerError> {
        if self.signals.drain.is_cancelled() || clock::now() < self.schedules_rest_until {
            return Ok(());
        }
        match self.fire_all().await {
            Ok(()) => Ok(()),
            Err(error) if error.is_fatal() => Err(WorkerError::Unwritable(error.to_string())),
            Err(error) => {
                tracing::warn!(%error, "a schedule is fired a little later");
                self.schedules_rest_until = after(PAUSE_MS);
                Ok(())
            }
        }
    }

    async fn fire_all(&mut self) -> Result<(), EffectError> {
        let (machine, now) = (clock::shown(), clock::now());
        let entries = self.timetable.entries();
        if let Some(append) = decide_in_force(self.state(), &entries, machine, now) {
            self.record_schedule(append).await?;
        }
        let schedules = &self.memory.state().schedules;
        for entry in self.timetable.due(schedules, machine) {
            while let Some(step) = self.next_step(&entry, machine) {
                self.take(&entry, &step, machine).await?;
            }
        }
        Ok(())
    }

    fn next_step(&self, entry: &Entry, machine: AtMs) -> Option<Step> {
        let known = self.state().schedules.get(&entry.repo, &entry.name)?;
        decide_step(entry, known, machine)
    }

    async fn take(&mut self, entry: &Entry, step: &Step, machine: AtMs) -> Result<(), EffectError> {
        let append = match step {
            Step::Fire(at) => {
                let slot = slot(entry, *at, self.state().schedules.turn());
                let owner = Owner::Task(slot.inbound.task());
                let body = self.ports.bodies.put_markdown(owner, text(entry)).await?;
                let (state, times) = (self.state(), (machine, clock::now()));
                Some(decide_firing(
                    &state.conversations,
                    entry,
                    &slot,
                    body,
                    times,
                ))
            }
            Step::Miss { .. } => decide_missing(entry, step, clock::now()),
        };
        match append {
            Some(append) => self.record_schedule(append).await,
            None => Ok(()),
        }
    }

    /// Nothing further may be decided before it is folded.
    async fn record_schedule(&mut self, append: Append) -> Result<(), EffectError> {
        self.ports.append(append).await?;
        let folded = self.fold();
        folded.map_err(|error| EffectError::Later(error.to_string()))
    }
}
