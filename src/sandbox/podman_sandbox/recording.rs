//! Recording what a container writes while it writes it, as long as a run may write.

use std::sync::{Arc, Mutex, PoisonError};

use tokio_util::sync::CancellationToken;

use crate::events::Event;
use crate::sandbox::podman::{Attached, OutputChunk};
use crate::sandbox::podman_sandbox::output::Output;
use crate::sandbox::recorder::{RECORD_EVENTS_MAX, RecordError, Recorder};

/// Chunks of output that are taken in together.
const CHUNKS_PER_RECORD_MAX: usize = 64;

/// Output that a thread that may wait for the disk reads; locked there only.
pub(super) type SharedOutput = Arc<Mutex<Output>>;

/// Records what a container writes until it closes its streams. `flood` is cancelled when it writes
/// more than it may; what comes after that is dropped.
pub(super) async fn record_output(
    attached: &mut Attached,
    output: &SharedOutput,
    flood: &CancellationToken,
    recorder: &dyn Recorder,
) -> Result<(), RecordError> {
    let (sender, mut chunks) = tokio::sync::mpsc::channel(CHUNKS_PER_RECORD_MAX);
    let read = async move {
        while let Some(chunk) = attached.next().await {
            if sender.send(chunk).await.is_err() {
                break;
            }
        }
    };
    let record = async {
        let mut waiting = Vec::new();
        while chunks.recv_many(&mut waiting, CHUNKS_PER_RECORD_MAX).await > 0 {
            let (events, is_flood) = take(output, std::mem::take(&mut waiting)).await?;
            record_in_parts(events, recorder).await?;
            if is_flood {
                flood.cancel();
            }
        }
        let last = output
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .finish();
        record_in_parts(last.into_iter().collect(), recorder).await
    };
    tokio::join!(read, record).1
}

/// Turns chunks into events on a thread of its own: long lines are kept as files.
async fn take(
    output: &SharedOutput,
    chunks: Vec<OutputChunk>,
) -> Result<(Vec<Event>, bool), RecordError> {
    let output = Arc::clone(output);
    let taken = tokio::task::spawn_blocking(move || {
        let mut output = output.lock().unwrap_or_else(PoisonError::into_inner);
        let mut events = Vec::new();
        for chunk in chunks {
            events.extend(output.take(chunk));
        }
        (events, output.is_flood())
    });
    let ended_early = |_| RecordError("the thread that reads the output ended early".to_owned());
    taken.await.map_err(ended_early)
}

/// Records events, in several appends when there are more than one may hold.
async fn record_in_parts(
    mut events: Vec<Event>,
    recorder: &dyn Recorder,
) -> Result<(), RecordError> {
    while !events.is_empty() {
        let rest = events.split_off(events.len().min(RECORD_EVENTS_MAX));
        recorder
            .record(std::mem::replace(&mut events, rest))
            .await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::container::{ContainerRole, ContainerStarted};
    use crate::events::log::APPEND_EVENTS_MAX;
    use crate::sandbox::recorder::PortFuture;

    #[derive(Default)]
    struct Lengths(Mutex<Vec<usize>>);

    impl Recorder for Lengths {
        fn record(&self, events: Vec<Event>) -> PortFuture<'_, Result<(), RecordError>> {
            self.0.lock().unwrap().push(events.len());
            Box::pin(std::future::ready(Ok(())))
        }
    }

    #[tokio::test]
    async fn an_append_of_output_has_room_for_what_a_recorder_adds() {
        let run = "00000000000a.1".parse().unwrap();
        let role = ContainerRole::Agent;
        let event = Event::from(ContainerStarted { run, role });
        let lengths = Lengths::default();
        let events = vec![event; APPEND_EVENTS_MAX + 1];
        record_in_parts(events, &lengths).await.unwrap();
        let expected = [RECORD_EVENTS_MAX, RECORD_EVENTS_MAX, 1];
        assert_eq!(*lengths.0.lock().unwrap(), expected);
        const { assert!(RECORD_EVENTS_MAX < APPEND_EVENTS_MAX) };
    }
}
