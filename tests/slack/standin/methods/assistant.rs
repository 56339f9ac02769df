//! Methods of the app's own surface: status, title and suggested prompts of a thread.

use serde_json::Value;

use super::super::answer::{Answer, Refusal, done};
use super::super::args::Args;
use super::super::events;
use super::super::world::{AssistantThread, Kind, World};

/// Prompts that may be suggested.
const PROMPTS_MAX: usize = 4;
/// Statuses that are remembered of a thread; later ones are not.
const STATUSES_MAX: usize = 1_000;

/// `assistant.threads.setStatus`: an empty status clears it. Channels have one too.
pub(super) fn set_status(world: &mut World, args: &Args) -> Answer {
    let (channel, root) = place(world, args)?;
    let status = args.text("status").unwrap_or_default();
    let thread = world.threads.entry((channel, root)).or_default();
    thread.status.clone_from(&status);
    if thread.statuses.len() < STATUSES_MAX {
        thread.statuses.push(status);
    }
    done()
}

/// `assistant.threads.setTitle`: the title of the thread in a person's list; not of a channel's.
pub(super) fn set_title(world: &mut World, args: &Args) -> Answer {
    let (channel, root) = direct(world, args)?;
    let title = args.needed("title")?;
    thread(world, &channel, &root).title = Some(title.clone());
    let before = world.message(&channel, &root)?.to_json(world);
    let message = world.message_mut(&channel, &root)?;
    if message.assistant_title.is_none() {
        return done();
    }
    message.assistant_title = Some(title);
    let after = message.clone();
    events::changed(world, &channel, &before, &after);
    done()
}

/// `assistant.threads.setSuggestedPrompts`.
pub(super) fn set_prompts(world: &mut World, args: &Args) -> Answer {
    let (channel, root) = direct(world, args)?;
    let prompts = args
        .structure("prompts")?
        .ok_or_else(|| Refusal::missing("prompts"))?;
    let is_prompt = |prompt: &Value| prompt["title"].is_string() && prompt["message"].is_string();
    match prompts.as_array() {
        Some(all) if all.len() > PROMPTS_MAX => {
            return Err(Refusal::arguments(
                "[ERROR] no more than 4 items allowed: prompts",
            ));
        }
        Some(all) if all.iter().all(is_prompt) => {}
        _ => {
            return Err(Refusal::arguments(
                "[ERROR] title and message are needed: prompts",
            ));
        }
    }
    thread(world, &channel, &root).prompts = prompts;
    done()
}

fn thread<'world>(
    world: &'world mut World,
    channel: &str,
    root: &str,
) -> &'world mut AssistantThread {
    world
        .threads
        .entry((channel.to_owned(), root.to_owned()))
        .or_default()
}

fn place(world: &World, args: &Args) -> Result<(String, String), Refusal> {
    let channel = args.needed("channel_id")?;
    let root = args.needed("thread_ts")?;
    let channel = world.writable(&channel)?.id.clone();
    let message = world.message(&channel, &root);
    let message = message.map_err(|_| Refusal::new("invalid_thread_ts"))?;
    let root = message.thread_ts.clone().unwrap_or(root);
    Ok((channel, root))
}

fn direct(world: &World, args: &Args) -> Result<(String, String), Refusal> {
    let (channel, root) = place(world, args)?;
    if world.channel(&channel)?.kind != Kind::Direct {
        return Err(Refusal::new("channel_not_found"));
    }
    Ok((channel, root))
}
