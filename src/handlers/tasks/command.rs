//! A schedule's command (spec rows SCH-04, SCH-05): it runs in the sandbox before any agent does, as
//! any run is planned, limited and recorded. What it writes is what the agent is given; when it has
//! nothing to say, nobody is written to. It knows no agent's output.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::events::Event;
use crate::events::conversation::{ConversationForgetRequested, ForgetReason};
use crate::events::id::{RunId, StreamId};
use crate::events::log::Append;
use crate::events::schedule::{ScheduleCameToNothing, ScheduleCommandEnded, ScheduledWork};
use crate::events::seal::Owner;
use crate::events::task::{CompletionReason, TaskCompleted, TaskPhase, TaskPhaseEntered};
use crate::handlers::effect::{Assignment, Start};
use crate::handlers::ports::{EffectError, Ports};
use crate::handlers::tasks::answer::Obstacle;
use crate::handlers::tasks::begin::context_of;
use crate::handlers::tasks::frozen::judge_frozen;
use crate::handlers::tasks::granted::policy_in_force;
use crate::handlers::tasks::prepare::{Halt, Prepared, prepare};
use crate::handlers::tasks::record::read_record;
use crate::handlers::tasks::run::{self, Judged, Plan};
use crate::handlers::tasks::stopping::halt_of_stop;
use crate::handlers::tasks::surrogates::credentials;
use crate::projections::work_queue::{QueuedMessage, QueuedTask};
use crate::sandbox::port::{
    Entrypoint, OUTPUT_BYTES_MAX, OutputKind, RunEnd, RunFailure, RunRequest, Streams,
};

mod gathered;

pub use gathered::ERROR_BYTES_MAX;
use gathered::{Gathered, Wrote};

/// What of the host a command sees beside its workspace; the agent's own files are not its business.
const TARGETS: [&str; 4] = ["/workspace", "/inbox", "/outbox", "/storage"];

/// What became of a task's command.
pub(super) enum Commanded {
    /// There is none, or it has ended: the agent comes next.
    GoOn,
    /// It had nothing to say.
    Silent,
    /// It ended the task.
    Judged(Box<Judged>),
}

/// Runs the command of a schedule's task, unless there is none or it has ended before.
pub(super) async fn run_command_first(
    ports: &Ports,
    assignment: &mut Assignment,
    stop: &CancellationToken,
) -> Result<Commanded, Halt> {
    let schedule = assignment.task.schedule.as_ref();
    if assignment.start != Start::Run || schedule.is_none() {
        return Ok(Commanded::GoOn);
    }
    if schedule.is_some_and(|schedule| schedule.has_command_to_run()) {
        let ended = match run_command(ports, assignment, stop).await? {
            Ok(ended) => ended,
            Err(judged) => return Ok(Commanded::Judged(judged)),
        };
        if let Some(schedule) = &mut assignment.task.schedule {
            schedule.ended = Some(ended);
        }
    }
    let is_alone = assignment.task.messages.len() == 1;
    let schedule = assignment.task.schedule.as_ref();
    match schedule.and_then(|schedule| schedule.ended.as_ref()) {
        Some(ended) if is_alone && has_succeeded(ended) => {
            let output = ports.bodies.get_text(&ended.output).await;
            let output = output.map_err(EffectError::from)?;
            Ok(match output.trim() {
                "" => Commanded::Silent,
                _ => Commanded::GoOn,
            })
        }
        Some(_) | None => Ok(Commanded::GoOn),
    }
}

/// Returns the first run of the task's agent: the command took a number before it.
pub(super) fn first_agent_run(task: &QueuedTask) -> RunId {
    let schedule = task.schedule.as_ref();
    let command = schedule.and_then(|schedule| schedule.ended.as_ref());
    let command = command.filter(|ended| ended.run.attempt >= task.started);
    let attempt = command.map_or(task.started, |ended| ended.run.attempt + 1);
    task.task.run(attempt)
}

fn has_succeeded(ended: &ScheduleCommandEnded) -> bool {
    ended.exit_code == 0 && !ended.timed_out && !ended.too_much_output
}

/// Runs it, and records how it ended; a run that was frozen is judged instead.
async fn run_command(
    ports: &Ports,
    assignment: &Assignment,
    stop: &CancellationToken,
) -> Result<Result<ScheduleCommandEnded, Box<Judged>>, Halt> {
    let task = &assignment.task;
    let run = task.task.run(task.started);
    let prepared = tokio::select! {
        // In a fixed order, so that a simulation takes the same way again.
        biased;
        prepared = prepare(ports, assignment, run, Entrypoint::Passthrough) => prepared?,
        () = stop.cancelled() => return Err(halt_of_stop(ports, task.task)),
    };
    let ends = stop.child_token();
    let gathered = Arc::new(Gathered::new(output_bytes_max(task), ends.clone()));
    let streams = Arc::clone(&gathered) as Arc<dyn Streams>;
    let request = plan(ports, assignment, &prepared, run, streams).await?;
    let ended = ports.sandbox.run(request, ports.recorder(run), ends).await;
    let end = ended.map_err(|failure| match failure {
        RunFailure::Record(error) => Halt::Effect(EffectError::Later(error.to_string())),
        RunFailure::Engine(_) | RunFailure::Setup(_) => {
            Obstacle::Sandbox(failure.to_string()).into()
        }
    })?;
    if let Some(judged) = judge_if_frozen(ports, run, &end).await? {
        return Ok(Err(Box::new(judged)));
    }
    let wrote = gathered.take();
    if end.proxy_lost {
        let lost = "the network proxy was lost while the command ran".to_owned();
        return Err(Obstacle::Sandbox(lost).into());
    }
    if end.stopped && !wrote.is_flood() {
        return Err(halt_of_stop(ports, task.task));
    }
    Ok(Ok(record_end(ports, assignment, run, &end, wrote).await?))
}

/// Judges the run by what the log holds of it, if it was frozen.
async fn judge_if_frozen(
    ports: &Ports,
    run: RunId,
    end: &RunEnd,
) -> Result<Option<Judged>, EffectError> {
    let record = read_record(ports, run).await?;
    let judged = || run::judge(run, &record.transcript, run::facts_of(end), end);
    let frozen = record.frozen.as_ref();
    Ok(frozen.map(|frozen| judge_frozen(judged(), frozen)))
}

fn work(task: &QueuedTask) -> Option<&ScheduledWork> {
    task.schedule.as_ref().map(|schedule| &schedule.fired.work)
}

fn output_bytes_max(task: &QueuedTask) -> u64 {
    match work(task) {
        Some(ScheduledWork::Command {
            output_bytes_max, ..
        }) => *output_bytes_max,
        Some(ScheduledWork::Prompt) | None => 0,
    }
}

/// Makes the plan durable before anything of the run exists.
async fn plan(
    ports: &Ports,
    assignment: &Assignment,
    prepared: &Prepared<'_>,
    run: RunId,
    streams: Arc<dyn Streams>,
) -> Result<RunRequest, Halt> {
    let task = &assignment.task;
    let mut limits = run::limits(prepared);
    let mut argv = vec![];
    if let Some(ScheduledWork::Command {
        argv: words,
        timeout_ms,
        ..
    }) = work(task)
    {
        limits.timeout_ms = timeout_ms.or(limits.timeout_ms);
        argv.clone_from(words);
    }
    let (credentials, honey) = credentials(ports, prepared, task.conversation)?;
    let plan = Plan {
        argv,
        limits,
        prompt: String::new(),
        resumes: None,
    };
    let mut planned = run::planned(prepared, run, &plan, &credentials);
    planned
        .mounts
        .retain(|mount| TARGETS.contains(&mount.target.as_str()));
    let mounts = planned.mounts.clone();
    let policy = policy_in_force(prepared, &task.repo, run);
    let running = TaskPhaseEntered {
        task: task.task,
        phase: TaskPhase::Running,
    };
    let append = Append {
        expected: vec![],
        events: vec![
            (StreamId::run(run), planned.into()),
            (StreamId::run(run), policy.into()),
            (StreamId::task(task.task), running.into()),
        ],
        key: None,
        context: context_of(task, clock::now()),
    };
    ports.append(append).await?;
    let cut_off = ports.cut_off.clone();
    Ok(RunRequest {
        mounts,
        output: OutputKind::Passed(streams),
        ..run::request(prepared, run, plan, (credentials, honey), cut_off)
    })
}

async fn record_end(
    ports: &Ports,
    assignment: &Assignment,
    run: RunId,
    end: &RunEnd,
    wrote: Wrote,
) -> Result<ScheduleCommandEnded, EffectError> {
    let task = &assignment.task;
    let owner = Owner::Task(task.task);
    let (output_bytes, too_much_output) = (wrote.output_bytes, wrote.is_flood());
    let output = ports.bodies.put(owner, wrote.output, "text/plain").await?;
    let errors = ports.bodies.put(owner, wrote.errors, "text/plain").await?;
    let ended = ScheduleCommandEnded {
        task: task.task,
        conversation: task.conversation,
        run,
        exit_code: end.exit_code,
        timed_out: end.timed_out,
        out_of_memory: end.out_of_memory,
        too_much_output,
        output,
        output_bytes,
        errors,
    };
    let stream = StreamId::conversation(task.conversation);
    let context = context_of(task, clock::now());
    let append = Append::to(&stream, vec![ended.clone().into()], context);
    let append = append.once(format!("command:{run}"));
    ports.append(append).await?;
    Ok(ended)
}

/// Ends a task whose command had nothing to say, and lets its conversation be forgotten: nobody will
/// ever have heard of it.
pub(super) async fn conclude_silently(
    ports: &Ports,
    assignment: &Assignment,
) -> Result<(), EffectError> {
    let (task, now) = (&assignment.task, clock::now());
    let id = task.conversation;
    let nothing = task.schedule.as_ref().map(|schedule| {
        let (repo, name) = (schedule.fired.repo.clone(), schedule.fired.name.clone());
        let stream = StreamId::schedule(&repo, &name);
        let nothing = ScheduleCameToNothing {
            repo,
            name,
            slot: schedule.fired.slot,
            task: task.task,
        };
        (stream, Event::from(nothing))
    });
    let completed = TaskCompleted {
        task: task.task,
        reason: CompletionReason::Success,
        detail: String::new(),
        duration_ms: now.0.saturating_sub(task.queued_at.0),
    };
    let forget = ConversationForgetRequested {
        conversation: id,
        reason: ForgetReason::Silent,
        by: String::new(),
        last_activity: assignment.conversation.last_activity,
    };
    let ends = [
        (StreamId::task(task.task), completed.into()),
        (StreamId::conversation(id), forget.into()),
    ];
    let append = Append {
        expected: vec![],
        events: nothing.into_iter().chain(ends).collect(),
        key: Some(format!("completed:{}", task.task)),
        context: context_of(task, now),
    };
    ports.append(append).await
}

/// Returns how the command ended that a message stands for; nothing for any other message.
pub(super) fn command_of<'a>(
    task: &'a QueuedTask,
    message: &QueuedMessage,
) -> Option<&'a ScheduleCommandEnded> {
    let schedule = task.schedule.as_ref()?;
    let is_it = schedule.fired.inbound == message.inbound;
    schedule.ended.as_ref().filter(|_| is_it)
}

/// Returns what the agent is given of a command that has ended; `command` is its text.
pub(super) async fn command_text(
    ports: &Ports,
    command: &str,
    ended: &ScheduleCommandEnded,
) -> Result<String, EffectError> {
    let output = ports.bodies.get_text(&ended.output).await?;
    let errors = ports.bodies.get_text(&ended.errors).await?;
    Ok(compose(command, ended, &output, &errors))
}

fn compose(command: &str, ended: &ScheduleCommandEnded, output: &str, errors: &str) -> String {
    let mut output = output.trim_end().to_owned();
    let kept = ended.output.bytes;
    if ended.output_bytes > kept {
        let all = ended.output_bytes;
        output = format!("{output}\n\n[cut after {kept} bytes; the command wrote {all} bytes]");
    }
    if has_succeeded(ended) {
        return output;
    }
    let how = match ended {
        ended if ended.timed_out => "it ran into its time limit and was ended".to_owned(),
        ended if ended.too_much_output => {
            format!("it wrote more than {OUTPUT_BYTES_MAX} bytes and was ended")
        }
        ended if ended.out_of_memory => "it needed more memory than it may use".to_owned(),
        ended => format!("exit code {}", ended.exit_code),
    };
    format!(
        "The command that this scheduled task begins with failed: {how}.\n\nCommand: {}\n\nIts \
         standard output:\n\n{output}\n\nThe end of its standard error:\n\n{}\n\nFind out why it \
         failed, and report what you found.",
        command.trim(),
        errors.trim_end()
    )
}

#[cfg(test)]
mod tests;
