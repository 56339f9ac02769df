//! `airut stop`: ends a task, or whatever waits or runs in a conversation, and lets frozen runs go.

use std::process::ExitCode;

use clap::Args;

use crate::cli::output::Output;
use crate::cli::paths;
use crate::service::surface::{Client, ConversationId, TaskId};

/// Arguments of `airut stop`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// A task (12 digits) or a conversation (8 digits)
    #[arg(value_name = "ID")]
    id: String,
}

/// Stops it.
pub(super) fn run(arguments: &Arguments, output: &Output) -> anyhow::Result<ExitCode> {
    let task: Option<TaskId> = arguments.id.parse().ok();
    let conversation: Option<ConversationId> = arguments.id.parse().ok();
    if task.is_none() && conversation.is_none() {
        let id = &arguments.id;
        anyhow::bail!("{id:?} is neither a task's id (12 digits) nor a conversation's (8 digits)");
    }
    let stopping = async {
        let mut client = Client::connect(&paths::socket()).await?;
        client.stop(task, conversation).await
    };
    let stopped = super::block_on(stopping)??;
    for task in stopped.tasks {
        output.line(&format!("Stopping task {task}."));
    }
    for run in stopped.released {
        output.line(&format!("Letting the frozen run {run} go."));
    }
    Ok(ExitCode::SUCCESS)
}
