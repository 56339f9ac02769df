//! What the worker is asked for, and what age asks of it: decided between two events, on the newest
//! state.

use crate::clock;
use crate::events::id::{AtMs, ConversationId, TaskId};
use crate::events::log::Append;
use crate::handlers::effect::Subject;
use crate::handlers::forgetting::decide::{
    ForgetRefusal, RETENTION_MAX, RETENTION_PAUSE_MS, decide_forget, decide_retention,
};
use crate::handlers::operator::{Question, StopRefusal, Stopped, decide_stop, standing};
use crate::handlers::ports::EffectError;
use crate::handlers::standing::standings;
use crate::handlers::worker::{Phase, Worker, WorkerError};

impl Worker {
    pub(super) async fn answer(&mut self, question: Question) {
        // Whoever asked may have gone; then nobody needs the answer.
        match question {
            Question::Standing(answer) => {
                let standing = standing(self.state(), self.memory.position());
                answer.send(standing).ok();
            }
            Question::Tasks(answer) => {
                let (now, capacity) = (clock::now(), self.capacity());
                let tasks = standings(self.state(), now, capacity, &self.airborne());
                answer.send(tasks).ok();
            }
            Question::Stop { target, by, answer } => {
                let decided = decide_stop(self.state(), target, &by, clock::now());
                let stopped = match decided {
                    Ok((stopped, append)) => self.request_stop(stopped, append).await,
                    Err(refusal) => Err(refusal),
                };
                answer.send(stopped).ok();
            }
            Question::Forget {
                conversation,
                by,
                answer,
            } => {
                let asked = self.request_forget(conversation, &by).await;
                answer.send(asked).ok();
            }
        }
    }

    async fn request_stop(&self, stopped: Stopped, append: Append) -> Result<Stopped, StopRefusal> {
        let appended = self.ports.append(append).await;
        appended.map_err(|error| StopRefusal::Unrecorded(error.to_string()))?;
        Ok(stopped)
    }

    async fn request_forget(
        &mut self,
        conversation: ConversationId,
        by: &str,
    ) -> Result<(), ForgetRefusal> {
        let unrecorded = |error: String| ForgetRefusal::Unrecorded(error);
        self.fold().map_err(|error| unrecorded(error.to_string()))?;
        let is_busy = |task| self.is_busy(task);
        let decided = decide_forget(self.state(), conversation, by, &is_busy, clock::now())?;
        if let Some(append) = decided {
            let appended = self.ports.append(append).await;
            appended.map_err(|error| unrecorded(error.to_string()))?;
        }
        Ok(())
    }

    /// Asks for what is too old to be forgotten, once a day and when the service starts.
    pub(super) async fn forget_what_is_too_old(&mut self) -> Result<(), WorkerError> {
        let now = clock::now();
        // A clock that was set back does not put the next look off.
        let looks_at = self.retention_at.0.min(now.0 + RETENTION_PAUSE_MS);
        self.retention_at = AtMs(looks_at);
        if now < self.retention_at || self.signals.drain.is_cancelled() {
            return Ok(());
        }
        let days_max = self.ports.config.execution.conversation_max_age_days;
        let is_busy = |task| self.is_busy(task);
        let asked = decide_retention(self.state(), days_max, &is_busy, now);
        let has_more = asked.len() == RETENTION_MAX;
        self.retention_at = AtMs(now.0 + if has_more { 0 } else { RETENTION_PAUSE_MS });
        for append in asked {
            match self.ports.append(append).await {
                Ok(()) => {}
                Err(error) if error.is_fatal() => {
                    return Err(WorkerError::Unwritable(error.to_string()));
                }
                Err(error) => log_unasked(&error),
            }
        }
        // Nothing may be decided on what was true before.
        self.fold()
    }

    /// Returns whether something is still being done for a task, also after its end.
    fn is_busy(&self, task: TaskId) -> bool {
        let flight = self.flights.get(&Subject::Task(task));
        flight.is_some_and(|flight| matches!(flight.phase, Phase::Performing | Phase::Settling(_)))
    }
}

fn log_unasked(error: &EffectError) {
    tracing::warn!(%error, "an old conversation is forgotten another day");
}
