//! `airut forget`: destroys what a conversation said, for good.

use std::process::ExitCode;

use clap::Args;

use crate::cli::output::Output;
use crate::cli::paths;
use crate::service::surface::{Client, ClientError, ConversationId};

/// Arguments of `airut forget`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The conversation (8 digits)
    #[arg(value_name = "CONVERSATION")]
    conversation: ConversationId,
}

/// Forgets it.
pub(super) fn run(arguments: &Arguments, output: &Output) -> anyhow::Result<ExitCode> {
    let conversation = arguments.conversation;
    let forgetting = async {
        let mut client = Client::connect(&paths::socket()).await?;
        client.forget(conversation).await
    };
    let forgotten = match super::block_on(forgetting)? {
        Err(error @ ClientError::NoDaemon { .. }) => anyhow::bail!(
            "{error}: only the daemon knows whether the conversation is active, so start it first"
        ),
        forgotten => forgotten?,
    };
    let (keys, bodies) = (forgotten.keys, forgotten.bodies);
    output.line(&format!(
        "Conversation {conversation} is forgotten (position {}): destroyed keys: {keys}, \
         erased bodies: {bodies}.",
        forgotten.position
    ));
    output.line(&format!("{} bytes are free again.", forgotten.bytes_freed));
    output.line(
        "Backups made before still hold it: make the next one into the same directory, and destroy \
         older copies.",
    );
    Ok(ExitCode::SUCCESS)
}
