//! The streams of a command whose output is no record: they pass through as they are. It knows no
//! terminal and no file; whoever runs the command says what is at the other end.

use crate::sandbox::podman::{Attached, Stdin};
use crate::sandbox::port::Streams;

/// Connects a container's streams until it has closed its output. What is not read of its input by
/// then is not read any more.
pub(super) async fn pass(streams: &dyn Streams, stdin: Option<Stdin>, attached: &mut Attached) {
    let output = async {
        while let Some(chunk) = attached.next().await {
            streams.write(chunk).await;
        }
    };
    tokio::pin!(output);
    tokio::select! {
        biased;
        () = &mut output => return,
        () = feed(streams, stdin) => {}
    }
    output.await;
}

/// Hands on the input to its end, or until the command does not read any more.
async fn feed(streams: &dyn Streams, stdin: Option<Stdin>) {
    let Some(mut stdin) = stdin else { return };
    while let Some(bytes) = streams.read().await {
        if stdin.write(&bytes).await.is_err() {
            return;
        }
    }
    // A command that has ended needs no end of its input.
    let _ended = stdin.close().await;
}
