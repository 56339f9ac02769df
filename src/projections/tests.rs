use super::live_resources::LiveResources;
use super::projection::{Feed, Projection};
use super::testing::recorded;
use super::work_queue::{TaskState, WorkQueue};
use crate::events::Event;
use crate::events::id::{BlobRef, ConversationId, InboundId, RepoId, Sha256, TaskId};
use crate::events::message::{MessageParsed, ReplyAddress};
use crate::events::run::{RunLimits, RunPlanned};
use crate::events::task::{
    CompletionReason, TaskCoalesced, TaskCompleted, TaskQueued, TaskStarted,
};

fn queued(key: &str, conversation: u32) -> (TaskId, Vec<Event>) {
    let inbound = InboundId::from_dedupe_key(key);
    let body = BlobRef {
        sha256: Sha256::of(b""),
        bytes: 0,
        media_type: "text/plain".to_owned(),
    };
    let parsed = MessageParsed {
        inbound,
        body,
        subject: key.to_owned(),
        conversation_hint: None,
        hint_source: None,
        model_hint: None,
        attachments: vec![],
        reply_to: ReplyAddress::Local,
    };
    let queued = TaskQueued {
        sender_name: String::new(),
        task: inbound.task(),
        inbound,
        repo: RepoId("r".to_owned()),
        conversation: ConversationId(conversation),
        sender: "alice".to_owned(),
        title: key.to_owned(),
    };
    (inbound.task(), vec![parsed.into(), queued.into()])
}

fn story() -> (Vec<Event>, TaskId, TaskId, TaskId) {
    let (a, mut events) = queued("a", 1);
    let (b, more) = queued("b", 1);
    let (c, yet_more) = queued("c", 2);
    events.extend(more);
    events.extend(yet_more);
    events.push(
        TaskStarted {
            task: b,
            attempt: 1,
            coalesced: vec![a],
        }
        .into(),
    );
    events.push(TaskCoalesced { task: a, into: b }.into());
    (events, a, b, c)
}

fn fold<P: Projection>(events: &[Event]) -> Feed<P> {
    let mut feed = Feed::new();
    recorded(events.to_vec())
        .iter()
        .for_each(|recorded| feed.apply(recorded));
    feed
}

#[test]
fn a_task_is_in_the_queue_from_its_queueing_to_its_end() {
    let (mut events, a, b, c) = story();
    let feed = fold::<WorkQueue>(&events);
    let queue = feed.view();
    assert!(!queue.tasks.contains_key(&a), "its message is now {b}'s");
    assert_eq!(queue.active(ConversationId(1)).unwrap().messages.len(), 2);
    assert_eq!(queue.tasks[&b].state, TaskState::Running { cut_off: false });
    assert!(queue.tasks[&c].is_waiting());
    let (reason, detail) = (CompletionReason::Success, String::new());
    events.push(
        TaskCompleted {
            task: b,
            reason,
            detail,
            duration_ms: 1,
        }
        .into(),
    );
    let feed = fold::<WorkQueue>(&events);
    assert_eq!(feed.view().tasks.keys().copied().collect::<Vec<_>>(), [c]);
}

#[test]
fn a_checkpoint_taken_anywhere_leads_to_the_same_value() {
    let (events, ..) = story();
    let whole = fold::<WorkQueue>(&events).checkpoint();
    for cut in 0..=events.len() {
        let checkpoint = fold::<WorkQueue>(&events[..cut]).checkpoint();
        let mut feed = Feed::<WorkQueue>::restore(&checkpoint).unwrap();
        recorded(events.clone())
            .iter()
            .for_each(|recorded| feed.apply(recorded));
        assert_eq!(feed.checkpoint(), whole, "cut at {cut}");
    }
}

#[test]
fn a_checkpoint_of_another_code_version_is_not_used() {
    let (events, ..) = story();
    let mut checkpoint = fold::<WorkQueue>(&events).checkpoint();
    checkpoint.code_version += 1;
    assert!(Feed::<WorkQueue>::restore(&checkpoint).is_none());
}

#[test]
fn a_gap_is_a_bug_that_is_not_passed_over() {
    let (events, ..) = story();
    let fed_with_a_gap = || Feed::<WorkQueue>::new().apply(&recorded(events)[1]);
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(fed_with_a_gap)).is_err());
}

#[test]
fn of_a_task_that_is_over_no_run_is_kept() {
    let (task, mut events) = queued("a", 1);
    let run = task.run(1);
    let planned = RunPlanned {
        run,
        image: "i".to_owned(),
        argv: vec![],
        env_names: vec![],
        mounts: vec![],
        limits: RunLimits::default(),
        allowlist: None,
        allowlist_commit: String::new(),
        credentials: vec![],
    };
    events.push(planned.into());
    assert_eq!(fold::<LiveResources>(&events).view().runs().count(), 1);
    let (reason, detail) = (CompletionReason::InternalError, String::new());
    events.push(
        TaskCompleted {
            task,
            reason,
            detail,
            duration_ms: 1,
        }
        .into(),
    );
    assert_eq!(fold::<LiveResources>(&events).view().runs().count(), 0);
}
