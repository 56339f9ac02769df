//! An agent that says at once which letters it was given: the numbers that it finds in its prompt; asked
//! to, it sends the files back that it was given. It knows no channel.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use airut::events::container::{FrozenRunReleased, ReleaseCause};
use airut::events::id::RunId;
use airut::sandbox::port::{ImageError, ImageRequest, RunEnd, RunFailure, RunRequest, Sandbox};
use airut::sandbox::recorder::{PortFuture, Recorder};
use tokio_util::sync::CancellationToken;

use crate::parts::{exited, keep_session, observe, result, said, session_of, source_of, started};

/// What stands before the number of a letter; `tests/soak/letter.rs` has the same.
const MARK: &str = "soak-";

/// What a letter says that wants its files back; `tests/soak/long.rs` says it.
const FILES_BACK: &str = "Send the files back.";

/// The sandbox of this agent: nothing of a run outlives it.
pub(crate) struct InstantSandbox;

impl Sandbox for InstantSandbox {
    fn ensure_image(
        &self,
        _: ImageRequest,
        _: Arc<dyn Recorder>,
    ) -> PortFuture<'_, Result<String, ImageError>> {
        Box::pin(std::future::ready(Ok("localhost/soak:1".to_owned())))
    }

    fn run(
        &self,
        request: RunRequest,
        recorder: Arc<dyn Recorder>,
        _: CancellationToken,
    ) -> PortFuture<'_, Result<RunEnd, RunFailure>> {
        Box::pin(async move {
            let run = request.run;
            recorder.record(vec![started(run)]).await?;
            let session = session_of(&request);
            keep_session(&request, &session);
            let prompt = String::from_utf8_lossy(&request.stdin);
            if prompt.contains(FILES_BACK) {
                send_files_back(&request);
            }
            let echo = echo(&prompt);
            let init = format!(r#"{{"type":"system","subtype":"init","session_id":"{session}"}}"#);
            let lines = vec![init, said(&echo), result(&echo, &session)];
            observe(recorder.as_ref(), run, lines).await?;
            recorder.record(vec![exited(run, 0)]).await?;
            Ok(RunEnd {
                exit_code: 0,
                timed_out: false,
                stopped: false,
                out_of_memory: false,
                proxy_lost: false,
                too_much_output: false,
                duration_ms: 1,
                stderr_tail: String::new(),
            })
        })
    }

    fn remove_run(&self, _: RunId, _: Arc<dyn Recorder>) -> PortFuture<'_, Result<(), RunFailure>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn release_frozen(
        &self,
        run: RunId,
        cause: ReleaseCause,
        recorder: Arc<dyn Recorder>,
    ) -> PortFuture<'_, Result<(), RunFailure>> {
        Box::pin(async move {
            let released = FrozenRunReleased { run, cause };
            Ok(recorder.record(vec![released.into()]).await?)
        })
    }

    fn sweep(&self, _: Arc<dyn Recorder>) -> PortFuture<'_, Result<(), RunFailure>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn agent_binary(&self, version: String) -> PortFuture<'_, Result<PathBuf, RunFailure>> {
        let path = PathBuf::from("/claude").join(version);
        Box::pin(std::future::ready(Ok(path)))
    }
}

fn send_files_back(request: &RunRequest) {
    let [inbox, outbox] = ["/inbox", "/outbox"].map(|target| source_of(request, target));
    for file in std::fs::read_dir(inbox).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), outbox.join(file.file_name())).unwrap();
    }
}

/// Names every letter of a prompt once.
fn echo(prompt: &str) -> String {
    let number = |rest: &str| {
        rest.get(..6)
            .filter(|text| text.parse::<u32>().is_ok())
            .map(str::to_owned)
    };
    let numbers: BTreeSet<String> = prompt.split(MARK).skip(1).filter_map(number).collect();
    let numbers: Vec<String> = numbers
        .iter()
        .map(|number| format!("{MARK}{number}"))
        .collect();
    format!("echo: {}", numbers.join(" "))
}
