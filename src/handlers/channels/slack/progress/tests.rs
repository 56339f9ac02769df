//! What a thread shows, told by events.

use super::*;
use crate::events::id::{BlobRef, Sha256};
use crate::events::message::MessageParsed;
use crate::events::task::{
    CompletionReason, TaskCoalesced, TaskCommandGiven, TaskCompleted, TaskPhaseEntered, TaskQueued,
    TodoListUpdated, TodoStatus,
};
use crate::projections::testing::recorded;

const REPO: &str = "work";

fn progress() -> Progress {
    Progress::of(RepoId(REPO.to_owned()), &[])
}

/// A message in a channel, or in a direct message, that became the task of its number.
fn queued(number: u64, channel: &str, repo: &str) -> [Event; 2] {
    let inbound = InboundId::from_dedupe_key(&number.to_string());
    let parsed = MessageParsed {
        inbound,
        body: BlobRef {
            sha256: Sha256::of(b""),
            bytes: 0,
            media_type: String::new(),
        },
        subject: String::new(),
        conversation_hint: None,
        hint_source: None,
        model_hint: None,
        attachments: vec![],
        reply_to: ReplyAddress::Slack {
            channel: channel.to_owned(),
            thread: "1.000100".to_owned(),
            message: format!("{number}.000100"),
        },
    };
    let queued = TaskQueued {
        task: TaskId(number),
        inbound,
        repo: RepoId(repo.to_owned()),
        conversation: ConversationId(0xab),
        sender: "U1".to_owned(),
        title: "Fix it".to_owned(),
        sender_name: String::new(),
    };
    [parsed.into(), queued.into()]
}

fn entered(phase: TaskPhase) -> Event {
    let task = TaskId(1);
    TaskPhaseEntered { task, phase }.into()
}

fn plan(content: &str) -> Event {
    let item = TodoItem {
        content: content.to_owned(),
        active_form: String::new(),
        status: TodoStatus::Pending,
    };
    TodoListUpdated {
        task: TaskId(1),
        items: vec![item],
    }
    .into()
}

fn completed() -> Event {
    TaskCompleted {
        task: TaskId(1),
        reason: CompletionReason::Success,
        detail: String::new(),
        duration_ms: 1,
    }
    .into()
}

fn observe(progress: &mut Progress, events: impl IntoIterator<Item = Event>) {
    for recorded in recorded(events.into_iter().collect()) {
        progress.observe(&recorded);
    }
}

fn shows(progress: &mut Progress) -> Vec<Show> {
    std::iter::from_fn(|| progress.take_show()).collect()
}

fn seen(number: u64) -> Show {
    Show::Seen {
        task: TaskId(number),
        channel: "C1".to_owned(),
        ts: format!("{number}.000100"),
    }
}

fn status(status: &'static str) -> Show {
    let thread = Thread {
        channel: "D1".to_owned(),
        thread: "1.000100".to_owned(),
    };
    Show::Status { thread, status }
}

#[test]
fn a_message_in_a_channel_is_marked_as_seen_and_a_direct_one_has_a_status() {
    let mut progress = progress();
    observe(&mut progress, queued(1, "C1", REPO));
    observe(
        &mut progress,
        [entered(TaskPhase::Preparing), entered(TaskPhase::Running)],
    );
    assert_eq!(shows(&mut progress), [seen(1)]);
    let mut progress = self::progress();
    observe(&mut progress, queued(1, "D1", REPO));
    observe(&mut progress, [entered(TaskPhase::Preparing)]);
    assert_eq!(shows(&mut progress), [status(PREPARING)]);
    observe(&mut progress, [entered(TaskPhase::Running)]);
    assert_eq!(shows(&mut progress), [status("")]);
}

#[test]
fn only_the_newest_status_is_shown() {
    let mut progress = progress();
    observe(&mut progress, queued(1, "D1", REPO));
    observe(
        &mut progress,
        [entered(TaskPhase::Preparing), entered(TaskPhase::Running)],
    );
    assert_eq!(shows(&mut progress), [status("")]);
}

#[test]
fn another_repository_s_messages_show_nothing() {
    let mut progress = progress();
    observe(&mut progress, queued(1, "C1", "other"));
    observe(&mut progress, [plan("a"), completed()]);
    assert_eq!(shows(&mut progress), []);
    assert_eq!(progress.wakes_at(), None);
}

#[test]
fn what_is_answered_already_is_not_marked_as_seen() {
    let given = TaskCommandGiven {
        task: TaskId(1),
        command: "/status".to_owned(),
        by: "U1".to_owned(),
    };
    for end in [given.into(), completed()] {
        let mut progress = progress();
        observe(&mut progress, queued(1, "C1", REPO));
        observe(&mut progress, [end]);
        assert_eq!(shows(&mut progress), []);
    }
}

#[test]
fn a_mark_that_comes_after_the_answer_goes_again() {
    let mut progress = progress();
    observe(&mut progress, queued(1, "C1", REPO));
    observe(&mut progress, queued(2, "C1", REPO));
    assert_eq!(shows(&mut progress), [seen(1), seen(2)]);
    let coalesced = TaskCoalesced {
        task: TaskId(2),
        into: TaskId(1),
    };
    observe(&mut progress, [coalesced.into()]);
    progress.mark_set(TaskId(1), "C1".to_owned(), "1.000100".to_owned());
    assert_eq!(shows(&mut progress), []);
    observe(&mut progress, [completed()]);
    progress.mark_set(TaskId(2), "C1".to_owned(), "2.000100".to_owned());
    let unseen = Show::Unseen {
        channel: "C1".to_owned(),
        ts: "2.000100".to_owned(),
    };
    assert_eq!(shows(&mut progress), [unseen]);
}

fn is_update(step: Option<&PlanStep>) -> bool {
    matches!(step, Some(PlanStep::Update(_)))
}

#[test]
fn a_plan_is_posted_once_and_then_edited_at_most_once_a_second() {
    let mut progress = progress();
    observe(&mut progress, queued(1, "C1", REPO));
    assert_eq!(progress.due_plan(AtMs(5_000)), None);
    observe(&mut progress, [plan("a")]);
    assert_eq!(progress.due_plan(AtMs(5_000)), Some(TaskId(1)));
    assert!(matches!(
        progress.plan_step(TaskId(1)),
        Some(PlanStep::Post(_))
    ));
    progress.plan_shown(TaskId(1), "2.000100".to_owned(), AtMs(5_000));
    assert_eq!(progress.wakes_at(), None);
    observe(&mut progress, [plan("b"), plan("c")]);
    assert_eq!(progress.due_plan(AtMs(5_999)), None);
    assert_eq!(progress.wakes_at(), Some(AtMs(6_000)));
    assert_eq!(progress.due_plan(AtMs(6_000)), Some(TaskId(1)));
    assert!(is_update(progress.plan_step(TaskId(1)).as_ref()));
    progress.plan_shown(TaskId(1), "2.000100".to_owned(), AtMs(6_000));
    observe(&mut progress, [completed()]);
    assert_eq!(progress.due_plan(AtMs(7_000)), Some(TaskId(1)));
    progress.plan_shown(TaskId(1), "2.000100".to_owned(), AtMs(7_000));
    assert_eq!(progress.plan_step(TaskId(1)), None);
}

#[test]
fn a_plan_of_which_nobody_knows_whether_it_was_posted_is_looked_for() {
    let mut progress = progress();
    observe(&mut progress, queued(1, "C1", REPO));
    observe(&mut progress, [plan("a")]);
    progress.plan_failed(TaskId(1), true, AtMs(9_000));
    assert_eq!(progress.due_plan(AtMs(8_999)), None);
    assert!(matches!(
        progress.plan_step(TaskId(1)),
        Some(PlanStep::Find(_))
    ));
    progress.plan_looked_for(TaskId(1), Some("2.000100".to_owned()));
    assert!(is_update(progress.plan_step(TaskId(1)).as_ref()));
    progress.plan_looked_for(TaskId(1), None);
    assert!(matches!(
        progress.plan_step(TaskId(1)),
        Some(PlanStep::Post(_))
    ));
}

#[test]
fn a_plan_that_cannot_be_shown_is_given_up() {
    let mut progress = progress();
    observe(&mut progress, queued(1, "C1", REPO));
    observe(&mut progress, [plan("a")]);
    for failures in 1..=PLAN_FAILURES_MAX {
        assert!(progress.plan_step(TaskId(1)).is_some(), "{failures}");
        progress.plan_failed(TaskId(1), false, AtMs(0));
    }
    assert_eq!(progress.plan_step(TaskId(1)), None);
}

#[test]
fn up_to_the_limit_tasks_are_followed() {
    let mut progress = progress();
    for number in 0..=FOLLOWED_MAX as u64 {
        observe(&mut progress, queued(number, "C1", REPO));
    }
    assert_eq!(progress.followed.len(), FOLLOWED_MAX);
    assert_eq!(shows(&mut progress).len(), FOLLOWED_MAX);
    assert!(progress.read.is_empty());
}
