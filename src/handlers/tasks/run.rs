//! One run of the agent: planned durably, executed in the sandbox, judged by what the log holds of
//! it. A run that ended before a restart is judged in the same way, by the same record.

use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::events::conversation::PromptComposed;
use crate::events::id::{RunId, SessionId, StreamId};
use crate::events::log::Append;
use crate::events::run::{RunLimits, RunOutcome, RunOutcomeClassified, RunPlanned};
use crate::events::seal::Owner;
use crate::events::task::{TaskPhase, TaskPhaseEntered};
use crate::handlers::barrier;
use crate::handlers::effect::Assignment;
use crate::handlers::ports::{EffectError, Ports};
use crate::handlers::tasks::answer::{Obstacle, Said};
use crate::handlers::tasks::begin::context_of;
use crate::handlers::tasks::frozen::{judge_frozen, judge_not_kept};
use crate::handlers::tasks::granted::policy_in_force;
use crate::handlers::tasks::prepare::{Halt, Prepared};
use crate::handlers::tasks::prompt::{PromptParts, compose};
use crate::handlers::tasks::record::read_record;
use crate::handlers::tasks::recorder::PlanRecorder;
use crate::handlers::tasks::surrogates::credentials;
use crate::projections::usage::Spent;
use crate::sandbox::agent::{ExitFacts, Transcript, UsageLimit, arguments, classify, reply_text};
use crate::sandbox::credentials::RunCredentials;
use crate::sandbox::port::{
    AppKeys, NetworkRequest, OUTPUT_BYTES_MAX, OUTPUT_LINES_MAX, OutputKind, ProxyPolicy, RunEnd,
    RunFailure, RunRequest,
};
use crate::sandbox::proxy::honey::Honey;

/// A judged run.
#[derive(Debug, Clone)]
pub struct Judged {
    /// The judgement, not yet recorded.
    pub judgement: RunOutcomeClassified,
    /// What the agent left behind.
    pub said: Said,
    /// The session it named.
    pub session: Option<SessionId>,
    /// The usage limit that ended it.
    pub limit: Option<UsageLimit>,
    /// What it took.
    pub spent: Spent,
}

/// Plans a run, executes it and judges it.
///
/// # Errors
/// [`Halt`] when it could not be planned or executed.
pub async fn run_agent(
    ports: &Ports,
    assignment: &Assignment,
    prepared: &Prepared<'_>,
    run: RunId,
    prompt: &PromptParts,
    resumes: Option<SessionId>,
    stop: CancellationToken,
) -> Result<Judged, Halt> {
    let conversation = &assignment.conversation;
    let id = assignment.task.conversation;
    let (credentials, honey) = credentials(ports, prepared, id)?;
    let plan = Plan {
        argv: arguments(
            &conversation.model,
            conversation.effort.as_deref(),
            resumes.as_ref(),
        ),
        limits: limits(prepared),
        prompt: compose(prompt),
        resumes,
    };
    record_plan(ports, assignment, prepared, run, &plan, &credentials).await?;
    let request = request(
        prepared,
        run,
        plan,
        (credentials, honey),
        ports.cut_off.clone(),
    );
    let recorder = std::sync::Arc::new(PlanRecorder::new(ports.recorder(run), run.task));
    let ended = ports.sandbox.run(request, recorder, stop).await;
    barrier::barrier("agent-exited");
    let end = ended.map_err(|failure| match failure {
        RunFailure::Record(error) => Halt::Effect(EffectError::Later(error.to_string())),
        RunFailure::Engine(_) | RunFailure::Setup(_) => {
            Obstacle::Sandbox(failure.to_string()).into()
        }
    })?;
    if end.proxy_lost {
        return Err(
            Obstacle::Sandbox("the network proxy was lost during the run".to_owned()).into(),
        );
    }
    let record = read_record(ports, run).await?;
    let judged = judge(run, &record.transcript, facts_of(&end), &end);
    Ok(match &record.frozen {
        Some(frozen) => judge_frozen(judged, frozen),
        None => judged,
    })
}

/// Judges a run that ended before a restart by what the log holds of it. `honey_seen` is where its
/// honey surrogate was met: the service may have ended before the run was frozen.
///
/// # Errors
/// [`EffectError`] when the log or a body does not read.
pub async fn recorded_run(
    ports: &Ports,
    run: RunId,
    honey_seen: Option<&str>,
) -> Result<Judged, EffectError> {
    let record = read_record(ports, run).await?;
    let answered = record.transcript.results().last();
    // The sweep ended whatever still ran: an answer that was complete by then counts.
    let complete = answered.is_some_and(|result| !result.is_error);
    let mut facts = record.facts;
    if complete {
        facts.exit_code = 0;
    }
    let end = RunEnd {
        exit_code: facts.exit_code,
        timed_out: facts.timed_out,
        stopped: facts.stopped,
        out_of_memory: facts.out_of_memory,
        proxy_lost: false,
        too_much_output: false,
        // What its container took is in the queue's account already.
        duration_ms: 0,
        stderr_tail: String::new(),
    };
    let judged = judge(run, &record.transcript, facts, &end);
    Ok(match (&record.frozen, honey_seen) {
        (Some(frozen), _) => judge_frozen(judged, frozen),
        (None, Some(place)) => judge_not_kept(judged, place),
        (None, None) => judged,
    })
}

/// What a run is made with.
pub(super) struct Plan {
    pub(super) argv: Vec<String>,
    pub(super) limits: RunLimits,
    pub(super) prompt: String,
    pub(super) resumes: Option<SessionId>,
}

pub(super) fn limits(prepared: &Prepared<'_>) -> RunLimits {
    let limits = &prepared.repo.limits;
    RunLimits {
        timeout_ms: limits.timeout_s.map(|seconds| seconds.saturating_mul(1000)),
        memory_bytes: limits.memory_bytes,
        cpu_millis: limits.cpu_millis,
        pids_max: limits.pids_max,
    }
}

/// Makes the plan durable before anything of it exists.
async fn record_plan(
    ports: &Ports,
    assignment: &Assignment,
    prepared: &Prepared<'_>,
    run: RunId,
    plan: &Plan,
    credentials: &RunCredentials,
) -> Result<(), EffectError> {
    let task = &assignment.task;
    let prompt = ports
        .bodies
        .put_markdown(Owner::Task(task.task), &plan.prompt)
        .await?;
    let composed = PromptComposed {
        conversation: task.conversation,
        run,
        prompt,
        resumes: plan.resumes.clone(),
    };
    let planned = planned(prepared, run, plan, credentials);
    let policy = policy_in_force(prepared, &task.repo, run);
    let running = TaskPhaseEntered {
        task: task.task,
        phase: TaskPhase::Running,
    };
    let append = Append {
        expected: vec![],
        events: vec![
            (StreamId::conversation(task.conversation), composed.into()),
            (StreamId::run(run), planned.into()),
            (StreamId::run(run), policy.into()),
            (StreamId::task(task.task), running.into()),
        ],
        key: None,
        context: context_of(task, clock::now()),
    };
    ports.append(append).await
}

/// Returns the record of what will be made for a run.
pub(super) fn planned(
    prepared: &Prepared<'_>,
    run: RunId,
    plan: &Plan,
    credentials: &RunCredentials,
) -> RunPlanned {
    let policy = prepared.policy.as_ref();
    let env = credentials.env.iter();
    RunPlanned {
        run,
        image: prepared.image.clone(),
        argv: plan.argv.clone(),
        env_names: env.map(|(name, _)| name.clone()).collect(),
        mounts: prepared.directories.mounts(&prepared.agent),
        limits: plan.limits.clone(),
        allowlist: policy.map(|policy| policy.file.clone()),
        allowlist_commit: prepared.commit.clone(),
        credentials: credentials.scopes.clone(),
    }
}

pub(super) fn request(
    prepared: &Prepared<'_>,
    run: RunId,
    plan: Plan,
    (credentials, honey): (RunCredentials, Option<Honey>),
    service_ends: CancellationToken,
) -> RunRequest {
    let network = prepared.policy.as_ref().map(|policy| {
        NetworkRequest::Sandboxed(Box::new(ProxyPolicy {
            allowlist: policy.allowlist.clone(),
            credentials: credentials.masked,
            signing: credentials.signing,
            apps: credentials.apps,
            honey,
            app_keys: AppKeys::of(&prepared.repo.github_app_credentials),
        }))
    });
    RunRequest {
        run,
        image: prepared.image.clone(),
        argv: plan.argv,
        env: credentials.env,
        mounts: prepared.directories.mounts(&prepared.agent),
        limits: plan.limits,
        stdin: plan.prompt.into_bytes(),
        output: OutputKind::AgentStream,
        network: network.unwrap_or(NetworkRequest::Open),
        service_ends,
    }
}

pub(super) fn facts_of(end: &RunEnd) -> ExitFacts {
    ExitFacts {
        exit_code: end.exit_code,
        timed_out: end.timed_out,
        stopped: end.stopped,
        out_of_memory: end.out_of_memory,
    }
}

pub(super) fn judge(run: RunId, transcript: &Transcript, facts: ExitFacts, end: &RunEnd) -> Judged {
    let (outcome, rule) = if end.too_much_output {
        (RunOutcome::AgentFailed, "output limit".to_owned())
    } else {
        classify(transcript, facts)
    };
    let (usage, cost_microusd) = transcript.usage();
    let (turns, _) = transcript.turns_and_duration_ms();
    let spent = Spent {
        usage,
        cost_microusd,
        turns,
        duration_ms: end.duration_ms,
    };
    let session = transcript.session().cloned();
    Judged {
        judgement: RunOutcomeClassified {
            run,
            outcome,
            rule,
            usage,
            cost_microusd,
            turns,
        },
        said: Said {
            reply: said_text(transcript, outcome),
            last_lines: last_lines(transcript, end),
            duration_ms: end.duration_ms,
        },
        session: session.filter(|_| outcome != RunOutcome::SessionUnusable),
        limit: transcript.usage_limit(),
        spent,
    }
}

/// The agent's answer; of a failed run the error in its result, which is more precise.
fn said_text(transcript: &Transcript, outcome: RunOutcome) -> String {
    let failed = outcome != RunOutcome::Success;
    let result = transcript.results().last().filter(|_| failed);
    let error = result.and_then(|result| {
        let text = result.text.clone().filter(|text| !text.trim().is_empty());
        text.or_else(|| Some(result.errors.join("\n")).filter(|errors| !errors.is_empty()))
    });
    error.unwrap_or_else(|| reply_text(transcript))
}

fn last_lines(transcript: &Transcript, end: &RunEnd) -> Vec<String> {
    if end.too_much_output {
        return vec![format!(
            "The agent wrote more output than a run may write ({OUTPUT_LINES_MAX} lines or \
             {OUTPUT_BYTES_MAX} bytes) and was ended."
        )];
    }
    let errors = end.stderr_tail.lines().map(str::to_owned);
    transcript
        .text_lines()
        .iter()
        .cloned()
        .chain(errors)
        .collect()
}
