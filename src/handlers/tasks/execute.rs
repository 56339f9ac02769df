//! Executing a task, from its assignment to its one answer. Whatever happens on the way, the task
//! ends in a recorded answer, or stays begun because the service itself ends.

use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::events::conversation::SessionAbandoned;
use crate::events::id::{RunId, SessionId, StreamId};
use crate::events::log::Append;
use crate::events::run::{RunOutcome, RunOutcomeClassified};
use crate::events::seal::Owner;
use crate::handlers::effect::{Assignment, Start};
use crate::handlers::ports::{EffectError, Ports};
use crate::handlers::tasks::answer::{
    Answer, Obstacle, Stop, StoppedWhen, answer_obstacle, answer_outcome,
};
use crate::handlers::tasks::begin::context_of;
use crate::handlers::tasks::command::{
    Commanded, conclude_silently, first_agent_run, run_command_first,
};
use crate::handlers::tasks::conclude::{Conclusion, decide_conclusion};
use crate::handlers::tasks::directories::{Directories, OutboxContents};
use crate::handlers::tasks::export::export;
use crate::handlers::tasks::outbox::{clear_outbox, read_outbox};
use crate::handlers::tasks::patience::{Patience, decide_patience, parked_text, patience};
use crate::handlers::tasks::prepare::{Halt, Prepared, prepare};
use crate::handlers::tasks::prompt::LostSession;
use crate::handlers::tasks::run::{Judged, recorded_run, run_agent};
use crate::handlers::tasks::stopping::{halt_of_stop, stop_of_running};
use crate::handlers::tasks::told::{Told, text_of};
use crate::projections::usage::Spent;
use crate::sandbox::cut::first_chars;
use crate::sandbox::port::Entrypoint;

/// Characters of the words about a task's end that its event holds; the operator finds the rest in
/// the event of the step that failed.
const DETAIL_CHARS_MAX: usize = 256;

/// Executes a task; `stop` is cancelled when it is to be stopped, or cut off.
///
/// # Errors
/// [`EffectError`] when its answer could not be recorded, or the service ends.
pub async fn execute(
    ports: &Ports,
    mut assignment: Assignment,
    stop: CancellationToken,
) -> Result<(), EffectError> {
    let came_to = match run_command_first(ports, &mut assignment, &stop).await {
        Ok(Commanded::Silent) => return conclude_silently(ports, &assignment).await,
        Ok(Commanded::Judged(judged)) => Some(Ok(*judged)),
        Ok(Commanded::GoOn) => None,
        Err(halt) => Some(Err(halt)),
    };
    let execution = Execution {
        ports,
        assignment: &assignment,
        stop,
    };
    let came_to = match came_to {
        Some(came_to) => came_to,
        None => execution.reach_an_end().await,
    };
    let end = match came_to {
        Ok(judged) if execution.puts_off(&judged).await? => return Ok(()),
        Ok(judged) if judged.judgement.outcome == RunOutcome::Stopped => End {
            answer: answer_obstacle(&stop_of_running(ports, assignment.task.task)?),
            ..End::of(judged)
        },
        Ok(judged) => End::of(judged),
        Err(Halt::Obstacle(obstacle)) => End {
            // What an earlier run of the task began is gone on with by whoever answers.
            session: assignment.task.session.clone(),
            ..End::at(answer_obstacle(&obstacle))
        },
        Err(Halt::Effect(error)) => return Err(error),
    };
    execution.conclude(end).await
}

/// A task's end before it is recorded.
struct End {
    answer: Answer,
    judgement: Option<RunOutcomeClassified>,
    session: Option<SessionId>,
    spent: Spent,
}

impl End {
    fn at(answer: Answer) -> Self {
        Self {
            answer,
            judgement: None,
            session: None,
            spent: Spent::default(),
        }
    }

    fn of(judged: Judged) -> Self {
        let judgement = judged.judgement;
        let answer = answer_outcome(judgement.outcome, &judgement.rule, &judged.said);
        Self {
            answer,
            spent: judged.spent,
            session: judged.session,
            judgement: Some(judgement),
        }
    }
}

struct Execution<'a> {
    ports: &'a Ports,
    assignment: &'a Assignment,
    stop: CancellationToken,
}

impl Execution<'_> {
    async fn reach_an_end(&self) -> Result<Judged, Halt> {
        let task = &self.assignment.task;
        match self.assignment.start {
            Start::Run => {
                let run = first_agent_run(task);
                self.run(run, Spent::default(), None).await
            }
            Start::Conclude => self.use_recorded_run().await,
            Start::GiveUp => Err(Obstacle::CutOffTooOften(task.interruptions).into()),
            Start::Stopped => {
                let by = task.stop_requested_by.clone().unwrap_or_default();
                let when = match task.run {
                    None => StoppedWhen::Unbegun,
                    Some(_) => StoppedWhen::Waiting,
                };
                Err(Obstacle::Stopped(Stop { by, when }).into())
            }
        }
    }

    /// The agent ended before the restart: its recorded output is the answer, unless it says that
    /// its session was unusable.
    async fn use_recorded_run(&self) -> Result<Judged, Halt> {
        let task = &self.assignment.task;
        let run = task.run.unwrap_or_else(|| task.task.run(task.attempt));
        let judged = recorded_run(self.ports, run, task.honey_seen.as_deref()).await?;
        match self.session().filter(|_| is_unusable(&judged)) {
            Some(session) => {
                self.abandon_session(&judged, session.clone()).await?;
                self.run(next(run), judged.spent, Some(session)).await
            }
            None => Ok(judged),
        }
    }

    /// Runs the agent in the session the conversation has, and once more in a fresh one when that
    /// session turns out unusable (spec row GW-18). One that was `abandoned` is not tried again.
    async fn run(
        &self,
        run: RunId,
        mut spent: Spent,
        abandoned: Option<SessionId>,
    ) -> Result<Judged, Halt> {
        let prepared = self.prepare(run).await?;
        let session = self.session();
        let resumable = session
            .clone()
            .filter(|session| abandoned.as_ref() != Some(session))
            .filter(|session| prepared.directories.has_session(session));
        let lost = match (&session, &resumable) {
            (Some(_), None) => Some(self.lost_session().await?),
            (None, _) | (Some(_), Some(_)) => None,
        };
        let mut judged = self
            .run_once(&prepared, run, resumable.clone(), lost)
            .await?;
        if let Some(session) = resumable.filter(|_| is_unusable(&judged)) {
            self.abandon_session(&judged, session).await?;
            spent.add(judged.spent);
            let lost = Some(self.lost_session().await?);
            judged = self.run_once(&prepared, next(run), None, lost).await?;
        }
        judged.spent.add(spent);
        Ok(judged)
    }

    async fn prepare(&self, run: RunId) -> Result<Prepared<'_>, Halt> {
        tokio::select! {
            // In a fixed order, so that a simulation takes the same way again.
            biased;
            prepared = prepare(self.ports, self.assignment, run, Entrypoint::Agent) => prepared,
            () = self.stop.cancelled() => Err(halt_of_stop(self.ports, self.assignment.task.task)),
        }
    }

    async fn run_once(
        &self,
        prepared: &Prepared<'_>,
        run: RunId,
        resumes: Option<SessionId>,
        lost: Option<LostSession>,
    ) -> Result<Judged, Halt> {
        let mut prompt = prepared.prompt.clone();
        prompt.lost_session = lost;
        let stop = self.stop.clone();
        let judged = run_agent(
            self.ports,
            self.assignment,
            prepared,
            run,
            &prompt,
            resumes,
            stop,
        )
        .await?;
        if judged.judgement.outcome == RunOutcome::Stopped && self.ports.cut_off.is_cancelled() {
            return Err(EffectError::Ending.into());
        }
        Ok(judged)
    }

    /// Puts the task off if the API refused for now; returns whether it did. What the runs before this
    /// one took stands in the log already.
    async fn puts_off(&self, judged: &Judged) -> Result<bool, EffectError> {
        let (ports, task) = (self.ports, &self.assignment.task);
        let judgement = judged.judgement.clone();
        let (limit, now) = (judged.limit.as_ref(), clock::now());
        let Some(patience) = patience(judgement.outcome, limit, task, now) else {
            return Ok(false);
        };
        let told = match &patience {
            Patience::Park { cause, until } => {
                let text = parked_text(cause, *until);
                let owner = Owner::Task(task.task);
                Some(ports.bodies.put_markdown(owner, &text).await?)
            }
            Patience::Retry { .. } => None,
        };
        let from = ports.mail_from(&task.repo);
        let append = decide_patience(task, judgement, &patience, told.as_ref(), from, now);
        ports.append(append).await?;
        Ok(true)
    }

    /// Returns the session to resume: that of the run that was cut off, else the conversation's.
    fn session(&self) -> Option<SessionId> {
        let own = self.assignment.task.session.clone();
        own.or_else(|| self.assignment.conversation.session.clone())
    }

    async fn lost_session(&self) -> Result<LostSession, Halt> {
        let reply = self.assignment.conversation.last_good_reply();
        let last_reply = match reply {
            Some(reply) => {
                let text = self.ports.bodies.get_text(&reply.body).await;
                Some(text.map_err(EffectError::from)?)
            }
            None => None,
        };
        Ok(LostSession { last_reply })
    }

    async fn abandon_session(&self, judged: &Judged, session: SessionId) -> Result<(), Halt> {
        let task = &self.assignment.task;
        let run = judged.judgement.run;
        let abandoned = SessionAbandoned {
            conversation: task.conversation,
            session,
            cause: judged.judgement.rule.clone(),
        };
        let stream = StreamId::conversation(task.conversation);
        let append = Append {
            expected: vec![],
            events: vec![
                (StreamId::run(run), judged.judgement.clone().into()),
                (stream, abandoned.into()),
            ],
            key: Some(format!("abandoned-session:{run}")),
            context: context_of(task, clock::now()),
        };
        Ok(self.ports.append(append).await?)
    }

    async fn conclude(&self, mut end: End) -> Result<(), EffectError> {
        let task = &self.assignment.task;
        let directories = Directories::of(&self.ports.state_dir, &task.repo, task.conversation);
        let outbox = match end.judgement.as_ref().map(|judgement| judgement.outcome) {
            // An interrupted task may go on, and then its files may still change.
            // What a frozen one has written is for the operator to see first.
            None | Some(RunOutcome::Timeout | RunOutcome::Stopped | RunOutcome::Frozen) => {
                OutboxContents::default()
            }
            Some(_) => read_outbox(&directories).await,
        };
        end.spent.add(task.spent);
        let text = text_of(&Told {
            assignment: self.assignment,
            repo: self.ports.config.repos.get(&task.repo),
            answer: &end.answer,
            judgement: end.judgement.as_ref(),
            spent: end.spent,
            refused: &outbox.refused,
        });
        let owner = Owner::Task(self.assignment.task.task);
        let body = self.ports.bodies.put_markdown(owner, &text).await?;
        let names: Vec<String> = outbox.files.iter().map(|file| file.name.clone()).collect();
        let mut files = Vec::with_capacity(outbox.files.len());
        for file in outbox.files {
            files.push(self.ports.bodies.put_file(owner, file).await?);
        }
        let conclusion = Conclusion {
            answer: Answer {
                detail: first_chars(&end.answer.detail, DETAIL_CHARS_MAX).to_owned(),
                ..end.answer
            },
            body,
            files,
            judgement: end.judgement,
            session: end.session,
            spent: end.spent,
        };
        let from = self.ports.mail_from(&task.repo);
        let append = decide_conclusion(self.assignment, conclusion, from, clock::now());
        self.ports.append(append).await?;
        if self.assignment.start == Start::Stopped {
            // Another task of the conversation may be at its files; its end exports this one too.
            return Ok(());
        }
        clear_outbox(&directories, names).await;
        if let Err(error) = export(self.ports, task.conversation, &directories).await {
            tracing::warn!(conversation = %task.conversation, %error, "exports were not written");
        }
        Ok(())
    }
}

fn is_unusable(judged: &Judged) -> bool {
    matches!(
        judged.judgement.outcome,
        RunOutcome::PromptTooLong | RunOutcome::SessionUnusable
    )
}

fn next(run: RunId) -> RunId {
    run.task.run(run.attempt + 1)
}
