//! An agent that answers with the prompt that it was given, so that a test in Slack sees what an agent
//! would read; asked to wait, it does until it is let go. It knows no channel.

use std::sync::Arc;

use airut::sandbox::port::RunRequest;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::parts::source_of;
use crate::passing::{Agent, Passing};

/// What a message says whose agent is to wait.
pub(crate) const WAIT: &str = "Wait for it.";

/// This agent.
pub(crate) struct Echo {
    held: watch::Sender<bool>,
}

/// Its sandbox.
pub(crate) type EchoSandbox = Passing<Echo>;

impl EchoSandbox {
    /// Returns one whose agents wait when they are asked to.
    pub(crate) fn new() -> Arc<Self> {
        let (held, _) = watch::channel(true);
        Arc::new(Self(Echo { held }))
    }

    /// Lets all agents go that wait, and those that will.
    pub(crate) fn release(&self) {
        self.0.held.send_replace(false);
    }
}

impl Agent for Echo {
    async fn work(&self, request: &RunRequest, stop: &CancellationToken) -> Option<String> {
        let prompt = String::from_utf8_lossy(&request.stdin);
        if prompt.contains(WAIT) && self.is_stopped_first(stop).await {
            return None;
        }
        Some(format!("{prompt}{}", files(request)))
    }
}

impl Echo {
    async fn is_stopped_first(&self, stop: &CancellationToken) -> bool {
        let mut held = self.held.subscribe();
        tokio::select! {
            () = stop.cancelled() => true,
            _ = held.wait_for(|held| !held) => false,
        }
    }
}

/// Names the files that the agent finds, with what is in them.
fn files(request: &RunRequest) -> String {
    let inbox = source_of(request, "/inbox");
    let mut found: Vec<String> = std::fs::read_dir(inbox)
        .unwrap()
        .map(|file| {
            let file = file.unwrap();
            let text = std::fs::read_to_string(file.path()).unwrap();
            format!("\nfile {}: {text}", file.file_name().display())
        })
        .collect();
    found.sort();
    found.concat()
}
