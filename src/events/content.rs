//! What of an event is content: the words of a mail, of the agent, of an answer. They lie sealed in
//! the log, under the key of the message that all of it came of, and are gone with that key. What
//! else an event says stays for ever: it is the record. Pure; it seals nothing itself.

use crate::events::Event;
use crate::events::delivery::DeliveryTarget;
use crate::events::event::{
    ConversationEvent, DeliveryEvent, MessageEvent, RunEvent, ScheduleEvent, TaskEvent,
};
use crate::events::id::{StoredFile, TaskId};
use crate::events::run::LineBody;
use crate::events::seal::Owner;

/// Returns whose content an event's bodies are; nothing when it is of a kind without content.
pub fn owner(event: &Event) -> Option<Owner> {
    let task = match event {
        Event::Message(event) => of_message(event),
        Event::Task(event) => of_task(event),
        Event::Conversation(event) => of_conversation(event),
        Event::Run(event) => of_run(event),
        Event::Schedule(ScheduleEvent::CommandEnded(ended)) => Some(ended.task),
        Event::Delivery(DeliveryEvent::Requested(requested)) => Some(requested.task),
        Event::Delivery(_)
        | Event::Service(_)
        | Event::Schedule(_)
        | Event::Channel(_)
        | Event::Repository(_)
        | Event::Container(_)
        | Event::Proxy(_) => None,
    };
    task.map(Owner::Task)
}

fn of_message(event: &MessageEvent) -> Option<TaskId> {
    match event {
        MessageEvent::Received(received) => Some(received.inbound.task()),
        MessageEvent::Parsed(parsed) => Some(parsed.inbound.task()),
        MessageEvent::Rejected(rejected) => Some(rejected.inbound.task()),
        MessageEvent::DuplicateIgnored(_)
        | MessageEvent::SourceAcknowledged(_)
        | MessageEvent::SenderAuthorized(_)
        | MessageEvent::Routed(_)
        | MessageEvent::JoinRefused(_) => None,
    }
}

fn of_task(event: &TaskEvent) -> Option<TaskId> {
    match event {
        TaskEvent::Queued(queued) => Some(queued.task),
        TaskEvent::TodoListUpdated(updated) => Some(updated.task),
        TaskEvent::RetryScheduled(retry) => Some(retry.task),
        TaskEvent::Completed(completed) => Some(completed.task),
        TaskEvent::Coalesced(_)
        | TaskEvent::Started(_)
        | TaskEvent::PhaseEntered(_)
        | TaskEvent::StopRequested(_)
        | TaskEvent::CommandGiven(_)
        | TaskEvent::Held(_)
        | TaskEvent::TurnedAway(_)
        | TaskEvent::Parked(_)
        | TaskEvent::Interrupted(_) => None,
    }
}

fn of_conversation(event: &ConversationEvent) -> Option<TaskId> {
    match event {
        ConversationEvent::PromptComposed(composed) => Some(composed.run.task),
        ConversationEvent::ReplyRecorded(reply) => Some(reply.task),
        ConversationEvent::Created(_)
        | ConversationEvent::ParticipantJoined(_)
        | ConversationEvent::ParticipantInvited(_)
        | ConversationEvent::ModelChosen(_)
        | ConversationEvent::ThreadLinked(_)
        | ConversationEvent::WorkspaceCloned(_)
        | ConversationEvent::WorkspaceCloneFailed(_)
        | ConversationEvent::SessionAbandoned(_)
        | ConversationEvent::ForgetRequested(_)
        | ConversationEvent::Forgotten(_) => None,
    }
}

/// Allowlists are the repository's and no content: [`RunEvent::Planned`] and
/// [`RunEvent::PolicyInForce`] own nothing.
fn of_run(event: &RunEvent) -> Option<TaskId> {
    match event {
        RunEvent::ImageBuildFailed(failed) => Some(failed.run.task),
        RunEvent::AgentEventObserved(observed) => Some(observed.run.task),
        RunEvent::AgentErrorOutput(output) => Some(output.run.task),
        RunEvent::OutcomeClassified(outcome) => Some(outcome.run.task),
        RunEvent::Planned(_)
        | RunEvent::ImageBuildStarted(_)
        | RunEvent::ImageBuilt(_)
        | RunEvent::CutOff(_)
        | RunEvent::PolicyInForce(_) => None,
    }
}

/// Returns the texts of an event that are its owner's content; none of an event without an owner.
pub fn texts(event: &mut Event) -> Vec<&mut String> {
    match event {
        Event::Message(MessageEvent::Received(received)) => vec![&mut received.title],
        Event::Message(MessageEvent::Parsed(parsed)) => {
            let mut texts = vec![&mut parsed.subject];
            texts.extend(names(&mut parsed.attachments));
            texts
        }
        Event::Message(MessageEvent::Rejected(rejected)) => vec![&mut rejected.detail],
        Event::Task(TaskEvent::Queued(queued)) => {
            vec![&mut queued.title, &mut queued.sender_name]
        }
        Event::Task(TaskEvent::TodoListUpdated(updated)) => {
            let items = updated.items.iter_mut();
            let words = items.flat_map(|item| [&mut item.content, &mut item.active_form]);
            words.collect()
        }
        Event::Task(TaskEvent::RetryScheduled(retry)) => vec![&mut retry.cause],
        Event::Task(TaskEvent::Completed(completed)) => vec![&mut completed.detail],
        Event::Conversation(ConversationEvent::ReplyRecorded(reply)) => {
            names(&mut reply.files).collect()
        }
        Event::Run(RunEvent::ImageBuildFailed(failed)) => vec![&mut failed.error],
        Event::Run(RunEvent::AgentEventObserved(observed)) => {
            let mut texts = vec![&mut observed.subtype];
            texts.extend(inline(&mut observed.line));
            texts
        }
        Event::Run(RunEvent::AgentErrorOutput(output)) => inline(&mut output.text).collect(),
        Event::Run(RunEvent::OutcomeClassified(outcome)) => vec![&mut outcome.rule],
        Event::Delivery(DeliveryEvent::Requested(requested)) => {
            let subject = match &mut requested.target {
                DeliveryTarget::Email { subject, .. } => Some(subject),
                DeliveryTarget::Local | DeliveryTarget::Slack { .. } => None,
            };
            subject
                .into_iter()
                .chain(names(&mut requested.files))
                .collect()
        }
        Event::Message(_)
        | Event::Task(_)
        | Event::Conversation(_)
        | Event::Run(_)
        | Event::Delivery(_)
        | Event::Service(_)
        | Event::Schedule(_)
        | Event::Channel(_)
        | Event::Repository(_)
        | Event::Container(_)
        | Event::Proxy(_) => vec![],
    }
}

fn names(files: &mut [StoredFile]) -> impl Iterator<Item = &mut String> {
    files.iter_mut().map(|file| &mut file.name)
}

fn inline(line: &mut LineBody) -> impl Iterator<Item = &mut String> {
    let text = match line {
        LineBody::Inline(text) => Some(text),
        LineBody::Blob(_) => None,
    };
    text.into_iter()
}
