//! Forgetting a conversation: its keys are destroyed, then its workspace, its exports and its bodies
//! are removed, then the tombstone says so. Whatever is interrupted is done again from the beginning,
//! which changes nothing about what is gone already. Whether it may be forgotten was
//! [`decide`]d before.

use crate::clock;
use crate::events::conversation::ConversationForgotten;
use crate::events::id::{BlobRef, StreamId, StreamVersion};
use crate::events::log::audit::bodies_of;
use crate::events::log::{Append, Context};
use crate::events::seal::Owner;
use crate::events::{Event, content};
use crate::handlers::barrier;
use crate::handlers::ports::{EffectError, Ports};
use crate::handlers::snapshots::Snapshots;
use crate::handlers::tasks::directories::Directories;
use crate::projections::conversations::Forgetting;
use crate::tasks;

pub mod decide;
mod removal;

/// Events of a stream read at once.
const READ_MAX: usize = 1024;

/// Destroys everything that a conversation said, and records that.
///
/// # Errors
/// [`EffectError`] when something of it is still there; it is tried again then.
pub async fn forget(ports: &Ports, forgetting: Forgetting) -> Result<(), EffectError> {
    let (conversation, worked_on) = (forgetting.id, ports.clone());
    let destroyed = tasks::apart(move || destroy(&worked_on, &forgetting)).await;
    let ended_early = |_| EffectError::Later("the thread that erased it ended early".to_owned());
    let forgotten = destroyed.map_err(ended_early)??;
    barrier::barrier("conversation-erased");
    let context = Context {
        correlation: conversation.to_string(),
        ..Context::system(clock::now())
    };
    let stream = StreamId::conversation(conversation);
    let append = Append::to(&stream, vec![forgotten.into()], context);
    ports
        .append(append.once(format!("forgotten:{conversation}")))
        .await
}

fn destroy(ports: &Ports, forgetting: &Forgetting) -> Result<ConversationForgotten, EffectError> {
    // The references first: they are in the log in any case, but only the log knows them.
    let bodies = bodies(ports, forgetting)?;
    for task in &forgetting.tasks {
        let owner = Owner::Task(*task);
        let destroyed = ports.bodies.keys().destroy(owner);
        destroyed.map_err(|error| EffectError::Later(error.to_string()))?;
        if let Some(keys) = ports.log.keys() {
            keys.let_go(owner);
        }
    }
    barrier::barrier("keys-destroyed");
    let place = Directories::of(&ports.state_dir, &forgetting.repo, forgetting.id);
    let root = place.root();
    let mut bytes_freed = removal::remove_tree(root)
        .map_err(|error| EffectError::Later(format!("{}: {error}", root.display())))?;
    for body in &bodies {
        bytes_freed += ports.bodies.remove(body)?;
    }
    // What was remembered before it was asked to forget; the worker keeps its memory anew.
    let snapshots = Snapshots::below(&ports.state_dir);
    let remembered = snapshots.directory();
    removal::remove_tree(remembered)
        .map_err(|error| EffectError::Later(format!("{}: {error}", remembered.display())))?;
    let count = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
    Ok(ConversationForgotten {
        conversation: forgetting.id,
        keys: count(forgetting.tasks.len()),
        bodies: count(bodies.len()),
        bytes_freed,
    })
}

/// Returns the bodies that are the conversation's own: all that its events refer to and that are
/// sealed with one of its keys.
fn bodies(ports: &Ports, forgetting: &Forgetting) -> Result<Vec<BlobRef>, EffectError> {
    let messages = forgetting.messages.iter().copied().map(StreamId::inbound);
    let runs = forgetting.runs.iter().copied().map(StreamId::run);
    let deliveries = forgetting.deliveries.iter().copied();
    let streams = [StreamId::conversation(forgetting.id)]
        .into_iter()
        .chain(messages)
        .chain(runs)
        .chain(deliveries.map(StreamId::delivery));
    let is_own = |event: &Event| match content::owner(event) {
        Some(Owner::Task(task)) => forgetting.tasks.contains(&task),
        Some(Owner::Service) | None => false,
    };
    let mut bodies: Vec<BlobRef> = Vec::new();
    for stream in streams {
        let mut read = StreamVersion(0);
        loop {
            let events = ports.log.read_stream(&stream, read, READ_MAX)?;
            let Some(last) = events.last() else { break };
            read = last.stream_version;
            let own = events.iter().filter(|recorded| is_own(&recorded.event));
            bodies.extend(own.flat_map(|recorded| bodies_of(&recorded.event)));
        }
    }
    bodies.sort_by_key(|body| body.sha256);
    bodies.dedup_by_key(|body| body.sha256);
    Ok(bodies)
}
