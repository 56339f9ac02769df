//! What one record is by itself: its hash, whether it is whole, where it stands, and what in it
//! matters to an audit. Groups are examined on all processors at once.

use std::num::NonZero;
use std::thread;

use serde_json::Value;

use crate::events::Event;
use crate::events::codec::{self, StoredRecord};
use crate::events::content;
use crate::events::event::{ConversationEvent, DeliveryEvent, MessageEvent, ServiceEvent};
use crate::events::id::{BlobRef, ConversationId, Sha256, StreamId, StreamVersion, TaskId};
use crate::events::log::ReadError;
use crate::events::log::audit::reader::Group;
use crate::events::seal::Owner;
use crate::events::service::LogKeyRotated;
use crate::events::tree::leaf_hash;

/// Threads that examine; more would wait for the one that reads.
const THREADS_MAX: usize = 8;

/// Kinds of event that may refer to a body; a test compares them with the samples of all kinds.
pub const KINDS_WITH_BODIES: [u16; 13] =
    [12, 60, 65, 105, 107, 120, 122, 123, 124, 125, 127, 134, 180];

/// Something in a record that matters to the audit as a whole.
#[derive(Debug)]
pub(super) enum Notable {
    KeyRotated(LogKeyRotated),
    CheckpointSent(String),
    /// This task is of that conversation.
    Belongs(TaskId, ConversationId),
    /// That conversation is forgotten.
    Erasure(ConversationId),
    Bodies(Named),
}

/// The bodies that an event names.
#[derive(Debug)]
pub(super) struct Named {
    pub(super) bodies: Vec<BlobRef>,
    /// The task whose key they are sealed with; nothing for those of the service.
    pub(super) task: Option<TaskId>,
    /// The conversation that the event says it is of.
    pub(super) conversation: Option<ConversationId>,
}

/// One record, examined.
#[derive(Debug)]
pub(super) struct Examined {
    pub(super) leaf: Sha256,
    /// Its place in its stream, if it can be read.
    pub(super) place: Option<(StreamId, StreamVersion)>,
    pub(super) faults: Vec<String>,
    pub(super) notable: Option<Notable>,
}

/// Examines groups on all processors, and lets `meanwhile` run beside; returns their records in
/// order, and what `meanwhile` returned.
pub(super) fn examine<T>(groups: &[Group], meanwhile: impl FnOnce() -> T) -> (Vec<Examined>, T) {
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let each = groups.len().div_ceil(threads.min(THREADS_MAX)).max(1);
    let all = |groups: &[Group]| groups.iter().flat_map(examine_group).collect::<Vec<_>>();
    thread::scope(|scope| {
        let parts = groups
            .chunks(each)
            .map(|part| scope.spawn(move || all(part)));
        let parts: Vec<_> = parts.collect();
        let done = meanwhile();
        let examined = parts.into_iter().flat_map(|part| {
            part.join()
                .expect("examining returns faults and never panics")
        });
        (examined.collect(), done)
    })
}

fn examine_group(group: &Group) -> Vec<Examined> {
    let mut examined: Vec<Examined> = group
        .records()
        .map(|record| examine_record(&record))
        .collect();
    let whole = crc32fast::hash(&group.body) == group.crc;
    let explained = examined.iter().any(|record| !record.faults.is_empty());
    if !whole
        && !explained
        && let Some(first) = examined.first_mut()
    {
        let what = "the checksum of the group of records that begins here does not match";
        first.faults.push(what.to_owned());
    }
    examined
}

fn examine_record(record: &StoredRecord) -> Examined {
    let leaf = leaf_hash(&record.bytes);
    match codec::decode(record) {
        Ok(recorded) => Examined {
            leaf,
            place: Some((recorded.stream, recorded.stream_version)),
            faults: Vec::new(),
            notable: notable(recorded.event),
        },
        Err(error) => Examined {
            leaf,
            place: None,
            faults: vec![fault(error)],
            notable: None,
        },
    }
}

fn fault(error: ReadError) -> String {
    match error {
        ReadError::Damaged { detail, .. } => format!("the record is damaged: {detail}"),
        ReadError::Newer { kind, version, .. } => format!(
            "the record is of kind {kind} version {version}, which this version of Airut does not \
             know: update Airut"
        ),
        ReadError::Unreadable(detail) => detail,
    }
}

fn notable(event: Event) -> Option<Notable> {
    if KINDS_WITH_BODIES.contains(&event.kind()) {
        let bodies = bodies_of(&event);
        let task = match content::owner(&event) {
            Some(Owner::Task(task)) => Some(task),
            Some(Owner::Service) | None => None,
        };
        let conversation = conversation_of_delivery(&event);
        return Some(Notable::Bodies(Named {
            bodies,
            task,
            conversation,
        }));
    }
    match event {
        Event::Service(ServiceEvent::LogKeyRotated(rotated)) => Some(Notable::KeyRotated(rotated)),
        Event::Delivery(DeliveryEvent::CheckpointSent(sent)) => {
            Some(Notable::CheckpointSent(sent.checkpoint))
        }
        Event::Message(MessageEvent::Routed(routed)) => {
            Some(Notable::Belongs(routed.task, routed.conversation))
        }
        Event::Conversation(ConversationEvent::ForgetRequested(asked)) => {
            Some(Notable::Erasure(asked.conversation))
        }
        Event::Conversation(ConversationEvent::Forgotten(forgotten)) => {
            Some(Notable::Erasure(forgotten.conversation))
        }
        Event::Service(_)
        | Event::Schedule(_)
        | Event::Channel(_)
        | Event::Repository(_)
        | Event::Message(_)
        | Event::Task(_)
        | Event::Conversation(_)
        | Event::Run(_)
        | Event::Container(_)
        | Event::Proxy(_)
        | Event::Delivery(_) => None,
    }
}

/// What is sent for a message that was not taken in belongs to a conversation all the same.
fn conversation_of_delivery(event: &Event) -> Option<ConversationId> {
    if let Event::Delivery(DeliveryEvent::Requested(request)) = event {
        return Some(request.conversation);
    }
    None
}

/// Returns the bodies that an event refers to.
pub fn bodies_of(event: &Event) -> Vec<BlobRef> {
    let mut bodies = Vec::new();
    if KINDS_WITH_BODIES.contains(&event.kind()) {
        // Every event is JSON for `airut events`, so this never fails.
        let value = serde_json::to_value(event).unwrap_or_default();
        collect(&value, &mut bodies);
    }
    bodies
}

/// Collects everything that has the form of a body's reference.
pub(super) fn collect(value: &Value, bodies: &mut Vec<BlobRef>) {
    match value {
        Value::Object(fields) if is_reference(fields) => {
            bodies.extend(serde_json::from_value::<BlobRef>(value.clone()));
        }
        Value::Object(fields) => fields.values().for_each(|field| collect(field, bodies)),
        Value::Array(values) => values.iter().for_each(|value| collect(value, bodies)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn is_reference(fields: &serde_json::Map<String, Value>) -> bool {
    let has = |field| fields.contains_key(field);
    fields.len() == 3 && has("sha256") && has("bytes") && has("media_type")
}
