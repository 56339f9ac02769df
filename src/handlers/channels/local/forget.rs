//! What is done about a request to forget a conversation: it is passed on to the worker, and the
//! tombstone is waited for.

use crate::events::event::ConversationEvent;
use crate::events::id::{ConversationId, StreamId, StreamVersion};
use crate::events::log::{Log, ReadError};
use crate::events::{Event, Recorded};
use crate::handlers::channels::local::protocol::{Forgotten, Response};
use crate::handlers::operator::Operator;

/// Events of the conversation read at once.
const READ_MAX: usize = 1024;

/// Lets the worker forget a conversation; returns the tombstone, also that of one that was forgotten
/// before. The error says in words why not.
pub(super) async fn forget(
    log: &Log,
    operator: &Operator,
    conversation: ConversationId,
    by: String,
) -> Result<Response, String> {
    let unreadable = |error: ReadError| error.to_string();
    let head = log.head().position;
    let asked = operator.forget(conversation, by).await;
    asked.map_err(|refusal| refusal.to_string())?;
    // One that was forgotten before has its tombstone before the head.
    let stream = StreamId::conversation(conversation);
    let mut read = StreamVersion(0);
    loop {
        let events = log
            .read_stream(&stream, read, READ_MAX)
            .map_err(unreadable)?;
        let Some(last) = events.last() else { break };
        read = last.stream_version;
        if let Some(forgotten) = events
            .iter()
            .find_map(|event| tombstone(event, conversation))
        {
            return Ok(Response::Forgotten(forgotten));
        }
    }
    let mut events = log.subscribe(head);
    loop {
        let next = events.next().await.map_err(unreadable)?;
        let recorded =
            next.ok_or("the daemon stops; it goes on forgetting when it starts again")?;
        if let Some(forgotten) = tombstone(&recorded, conversation) {
            return Ok(Response::Forgotten(forgotten));
        }
    }
}

fn tombstone(recorded: &Recorded, conversation: ConversationId) -> Option<Forgotten> {
    match &recorded.event {
        Event::Conversation(ConversationEvent::Forgotten(forgotten))
            if forgotten.conversation == conversation =>
        {
            Some(Forgotten {
                position: recorded.position,
                keys: forgotten.keys,
                bodies: forgotten.bodies,
                bytes_freed: forgotten.bytes_freed,
            })
        }
        _ => None,
    }
}
