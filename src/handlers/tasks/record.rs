//! What the log holds of a run: everything that is judged and counted is read from here. It judges
//! nothing.

use crate::events::container::{ContainerRole, RunFrozen, StopCause};
use crate::events::event::{ContainerEvent, RunEvent};
use crate::events::id::{RunId, StreamId, StreamVersion};
use crate::events::run::{LineBody, RunCutOff};
use crate::events::{Event, Recorded};
use crate::handlers::ports::{EffectError, Ports};
use crate::sandbox::agent::{ExitFacts, Transcript};
use crate::tasks;

/// Events of a run read at once.
const READ_MAX: usize = 1024;

/// What the log holds of a run.
pub(super) struct RunRecord {
    pub(super) transcript: Transcript,
    pub(super) facts: ExitFacts,
    pub(super) frozen: Option<RunFrozen>,
    is_judged: bool,
}

/// Returns what a run used that ended without a judgement; nothing when it was judged after all.
///
/// # Errors
/// [`EffectError`] when the log or a body does not read.
pub async fn cut_off_run(ports: &Ports, run: RunId) -> Result<Option<RunCutOff>, EffectError> {
    let record = read_record(ports, run).await?;
    let (usage, cost_microusd) = record.transcript.usage();
    let (turns, _) = record.transcript.turns_and_duration_ms();
    Ok((!record.is_judged).then_some(RunCutOff {
        run,
        usage,
        cost_microusd,
        turns,
    }))
}

/// Reads it on a thread that may wait for the disk; it may be much.
pub(super) async fn read_record(ports: &Ports, run: RunId) -> Result<RunRecord, EffectError> {
    let ports = ports.clone();
    let read = tasks::apart_waiting(async move { read_whole_record(&ports, run).await });
    let ended_early = |_| EffectError::Later("the thread that read the run ended early".to_owned());
    read.await.map_err(ended_early)?
}

async fn read_whole_record(ports: &Ports, run: RunId) -> Result<RunRecord, EffectError> {
    let mut record = RunRecord {
        transcript: Transcript::default(),
        facts: ExitFacts {
            exit_code: 1,
            ..ExitFacts::default()
        },
        frozen: None,
        is_judged: false,
    };
    let mut read = StreamVersion(0);
    loop {
        let events = ports.log.read_stream(&StreamId::run(run), read, READ_MAX)?;
        let Some(last) = events.last() else {
            return Ok(record);
        };
        read = last.stream_version;
        for recorded in &events {
            take_in(ports, &mut record, recorded).await?;
        }
    }
}

async fn take_in(
    ports: &Ports,
    record: &mut RunRecord,
    recorded: &Recorded,
) -> Result<(), EffectError> {
    match &recorded.event {
        Event::Run(RunEvent::AgentEventObserved(observed)) => {
            let line = match &observed.line {
                LineBody::Inline(line) => line.clone(),
                LineBody::Blob(blob) => ports.bodies.get_text(blob).await?,
            };
            record.transcript.observe(&line);
        }
        Event::Container(ContainerEvent::Exited(exited)) if exited.role == ContainerRole::Agent => {
            record.facts.exit_code = exited.exit_code;
            record.facts.out_of_memory = exited.out_of_memory;
        }
        Event::Run(RunEvent::OutcomeClassified(_)) => record.is_judged = true,
        Event::Container(ContainerEvent::RunFrozen(frozen)) => {
            record.frozen = Some(frozen.clone());
        }
        Event::Container(ContainerEvent::StopSignalSent(sent)) => match sent.cause {
            StopCause::TimeLimit => record.facts.timed_out = true,
            StopCause::Requested => record.facts.stopped = true,
            // Nobody asked for a stop that comes from the end of the service.
            StopCause::Shutdown
            | StopCause::ProxyLost
            | StopCause::InternalError
            | StopCause::OutputLimit => {}
        },
        _ => {}
    }
    Ok(())
}
