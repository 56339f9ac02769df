//! Performing one effect: the only place where effects meet the world. What an effect is about and
//! whether it is due was decided elsewhere.

use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::events::container::ReleaseCause;
use crate::events::seal::Owner;
use crate::handlers::effect::{Assignment, Beginning, Effect, Holding, Rejection};
use crate::handlers::forgetting::forget;
use crate::handlers::intake::triage::{Verdict, triage};
use crate::handlers::ports::{EffectError, Ports};
use crate::handlers::replies::{abandon, deliver, forget_attempt, reconcile};
use crate::handlers::setback::{decide_refusal, decide_retry, refusal_text};
use crate::handlers::tasks::answer::{Obstacle, answer_obstacle};
use crate::handlers::tasks::begin::{acknowledgement_text, decide_begin, is_acknowledged};
use crate::handlers::tasks::conclude::{Conclusion, decide_conclusion};
use crate::handlers::tasks::execute::execute;
use crate::handlers::tasks::holding::{decide_holding, waiting_text};
use crate::handlers::tasks::interrupt::{interruption, run_to_count};
use crate::handlers::tasks::record::cut_off_run;
use crate::projections::frozen_runs::FrozenRun;
use crate::projections::inbox::WaitingMessage;
use crate::projections::work_queue::QueuedTask;

/// What an effect leaves to its worker.
#[derive(Debug)]
pub enum Outcome {
    /// Everything is in the log.
    Recorded,
    /// A message was read, and what becomes of it is to be decided.
    Judged(Box<WaitingMessage>, Box<Verdict>),
}

/// Performs an effect. `stop` is cancelled when its task is to be stopped, or cut off.
///
/// # Errors
/// [`EffectError`] when it did not come to its end.
pub async fn perform(
    ports: &Ports,
    effect: Effect,
    stop: CancellationToken,
) -> Result<Outcome, EffectError> {
    match effect {
        Effect::Triage(message) => {
            let verdict = triage(ports, &message.received).await?;
            return Ok(Outcome::Judged(message, Box::new(verdict)));
        }
        Effect::Begin(beginning) => begin(ports, &beginning).await?,
        Effect::Hold(holding) => hold(ports, &holding).await?,
        Effect::Execute(assignment) => execute(ports, *assignment, stop).await?,
        Effect::Interrupt(task) => interrupt(ports, &task).await?,
        Effect::Deliver(outgoing) => deliver(ports, &outgoing).await?,
        Effect::ForgetAttempt(outgoing) => forget_attempt(ports, &outgoing).await?,
        Effect::Reconcile(outgoing) => reconcile(ports, &outgoing).await?,
        Effect::Reject(rejection) => reject(ports, &rejection).await?,
        Effect::Retry(task, cause) => {
            remove_run(ports, &task).await;
            ports
                .append(decide_retry(&task, cause, clock::now()))
                .await?;
        }
        Effect::GiveUp(assignment, cause) => give_up(ports, &assignment, cause).await?,
        Effect::Abandon(outgoing, cause) => abandon(ports, &outgoing, cause).await?,
        Effect::Forget(forgetting) => forget(ports, *forgetting).await?,
        Effect::Release(frozen) => release(ports, &frozen).await?,
    }
    Ok(Outcome::Recorded)
}

async fn begin(ports: &Ports, beginning: &Beginning) -> Result<(), EffectError> {
    let acknowledgement = if is_acknowledged(&beginning.conversation, beginning.tasks()) {
        let url = ports.conversation_url(beginning.task.conversation);
        let text = acknowledgement_text(url.as_deref());
        let owner = Owner::Task(beginning.task.task);
        Some(ports.bodies.put_markdown(owner, &text).await?)
    } else {
        None
    };
    let from = ports.mail_from(&beginning.task.repo);
    let append = decide_begin(beginning, acknowledgement.as_ref(), from, clock::now());
    ports.append(append).await
}

async fn hold(ports: &Ports, holding: &Holding) -> Result<(), EffectError> {
    let task = &holding.task;
    let text = waiting_text(holding);
    let owner = Owner::Task(task.task);
    let body = ports.bodies.put_markdown(owner, &text).await?;
    let from = ports.mail_from(&task.repo);
    let append = decide_holding(holding, &body, from, clock::now());
    ports.append(append).await
}

/// Removes what is left of the run first, so that no agent works on in the workspace of its
/// successor.
async fn interrupt(ports: &Ports, task: &QueuedTask) -> Result<(), EffectError> {
    remove_run(ports, task).await;
    let cut_off = match run_to_count(task) {
        Some(run) => cut_off_run(ports, run).await?,
        None => None,
    };
    ports
        .append(interruption(task, cut_off, clock::now()))
        .await
}

async fn remove_run(ports: &Ports, task: &QueuedTask) {
    if let Some(run) = task.run {
        let removed = ports.sandbox.remove_run(run, ports.recorder(run));
        if let Err(error) = removed.await {
            tracing::warn!(%run, %error, "what is left of a run could not be removed");
        }
    }
}

async fn release(ports: &Ports, frozen: &FrozenRun) -> Result<(), EffectError> {
    let cause = match frozen.release_requested_by {
        Some(_) => ReleaseCause::Requested,
        None => ReleaseCause::Time,
    };
    let recorder = ports.recorder(frozen.run);
    let released = ports.sandbox.release_frozen(frozen.run, cause, recorder);
    let released = released.await;
    released.map_err(|error| EffectError::Later(error.to_string()))
}

async fn reject(ports: &Ports, rejection: &Rejection) -> Result<(), EffectError> {
    let told = match &rejection.reply {
        Some(_) => {
            let text = refusal_text(&rejection.cause);
            let owner = Owner::Task(rejection.received.inbound.task());
            Some(ports.bodies.put_markdown(owner, &text).await?)
        }
        None => None,
    };
    let from = ports.mail_from(&rejection.received.repo);
    let append = decide_refusal(rejection, told.as_ref(), from, clock::now());
    ports.append(append).await
}

/// Ends a task with fixed words: whatever its execution would have said cannot be recorded.
async fn give_up(ports: &Ports, assignment: &Assignment, cause: String) -> Result<(), EffectError> {
    let task = &assignment.task;
    remove_run(ports, task).await;
    let answer = answer_obstacle(&Obstacle::Internal(cause));
    let owner = Owner::Task(task.task);
    let conclusion = Conclusion {
        body: ports.bodies.put_markdown(owner, &answer.text).await?,
        answer,
        files: vec![],
        judgement: None,
        session: task.session.clone(),
        spent: task.spent,
    };
    let from = ports.mail_from(&task.repo);
    let append = decide_conclusion(assignment, conclusion, from, clock::now());
    ports.append(append).await
}
