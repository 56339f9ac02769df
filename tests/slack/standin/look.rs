//! What a test sees of the workspace.

use serde_json::{Value, json};

use super::answer::{Answer, Refusal};
use super::args::Args;
use super::world::World;

/// Answers a look.
pub(crate) fn at(world: &World, what: &str, query: &Args) -> Answer {
    match what {
        "channel" => channel(world, &query.needed("id")?, query.text("after").as_deref()),
        "threads" => Ok(threads(world)),
        "calls" => Ok(calls(world, query.text("method").as_deref())),
        "sockets" => Ok(json!({ "connections": world.delivery.connections.len() })),
        "deliveries" => Ok(deliveries(world)),
        "files" => Ok(files(world)),
        _ => Err(Refusal::new("there is nothing to see under this name")),
    }
}

fn channel(world: &World, id: &str, after: Option<&str>) -> Answer {
    let channel = world.channels.get(id);
    let channel = channel.ok_or_else(|| Refusal::new("there is no such channel"))?;
    let shown = channel
        .messages
        .values()
        .filter(|message| after.is_none_or(|after| message.ts.as_str() > after))
        .map(|message| message.to_history(world, channel, true));
    Ok(json!({ "messages": shown.collect::<Value>() }))
}

fn threads(world: &World) -> Value {
    let shown = world.threads.iter().map(|((channel, root), thread)| {
        json!({
            "channel": channel, "thread_ts": root, "user": thread.user, "status": thread.status,
            "statuses": thread.statuses, "title": thread.title, "prompts": thread.prompts,
        })
    });
    json!({ "threads": shown.collect::<Value>() })
}

fn calls(world: &World, method: Option<&str>) -> Value {
    let wanted = world
        .calls
        .iter()
        .filter(|call| method.is_none_or(|method| call.method == method));
    let shown = wanted.map(|call| {
        json!({
            "method": call.method, "args": call.args, "at_ms": call.at_ms, "outcome": call.outcome,
        })
    });
    json!({ "calls": shown.collect::<Value>() })
}

fn deliveries(world: &World) -> Value {
    let shown = world.delivery.records.values().map(|record| {
        json!({
            "event_id": record.event_id, "kind": record.kind, "type": record.event_type,
            "attempts": record.attempts, "state": record.state, "response": record.response,
        })
    });
    json!({ "deliveries": shown.collect::<Value>() })
}

fn files(world: &World) -> Value {
    let shown = world.files.values().map(|file| {
        let mut shown = file.to_json(world);
        let content = file.content.as_deref().unwrap_or_default();
        shown["text"] = String::from_utf8_lossy(content).into();
        shown["complete"] = file.complete.into();
        shown
    });
    json!({ "files": shown.collect::<Value>() })
}
