//! Which threads stick, and up to where they were heard.

use super::*;
use crate::events::channel::{ChannelCaughtUp, ChannelConnected, ChannelDegraded};
use crate::events::conversation::{ConversationForgetRequested, ForgetReason};
use crate::events::id::{BlobRef, Sha256};
use crate::events::message::{MessageRejected, MessageRouted, RejectionReason};
use crate::events::service::ServiceStarted;
use crate::projections::Feed;
use crate::projections::testing::recorded;

const CONVERSATION: ConversationId = ConversationId(7);

fn repo() -> RepoId {
    RepoId("a".to_owned())
}

fn inbound(ts: &str) -> InboundId {
    InboundId::from_dedupe_key(&format!("slack:T1:C1:{ts}"))
}

fn received(ts: &str, thread: &str) -> Event {
    let source = MessageSource::Slack {
        event_id: String::new(),
        channel: "C1".to_owned(),
        ts: ts.to_owned(),
        thread: thread.to_owned(),
    };
    MessageReceived {
        inbound: inbound(ts),
        repo: repo(),
        channel: ChannelKind::Slack,
        source,
        dedupe_key: String::new(),
        raw: BlobRef {
            sha256: Sha256([0; 32]),
            bytes: 0,
            media_type: String::new(),
        },
        claimed_sender: String::new(),
        title: String::new(),
    }
    .into()
}

fn rejected(ts: &str) -> Event {
    MessageRejected {
        inbound: inbound(ts),
        reason: RejectionReason::NotAuthorized,
        detail: String::new(),
        claimed_sender: String::new(),
    }
    .into()
}

fn routed(ts: &str) -> Event {
    MessageRouted {
        inbound: inbound(ts),
        conversation: CONVERSATION,
        new: true,
        task: inbound(ts).task(),
    }
    .into()
}

fn connected() -> Event {
    ChannelConnected {
        repo: repo(),
        channel: ChannelKind::Slack,
        endpoint: String::new(),
        mode: String::new(),
    }
    .into()
}

fn degraded() -> Event {
    ChannelDegraded {
        repo: repo(),
        channel: ChannelKind::Slack,
        error: String::new(),
        failures: 1,
        retry_at: AtMs(0),
    }
    .into()
}

fn caught_up(until: u64) -> Event {
    ChannelCaughtUp {
        repo: repo(),
        channel: ChannelKind::Slack,
        since: AtMs(0),
        until: AtMs(until),
        found: 0,
        beyond: vec![],
    }
    .into()
}

fn folded(events: Vec<Event>) -> SlackThreads {
    let mut feed: Feed<SlackThreads> = Feed::new();
    recorded(events).iter().for_each(|event| feed.apply(event));
    feed.view().clone()
}

fn heard(events: Vec<Event>) -> Heard {
    folded(events).of(&repo()).cloned().unwrap_or_default()
}

#[test]
fn gap_07_a_thread_sticks_from_its_first_message_on_also_before_that_is_judged() {
    let first = heard(vec![received("1.1", "1.1")]);
    assert!(first.is_engaged("C1", "1.1"));
    assert!(!first.is_engaged("C1", "2.1") && !first.is_engaged("C2", "1.1"));
    let later = heard(vec![
        received("1.1", "1.1"),
        routed("1.1"),
        received("3.1", "1.1"),
    ]);
    assert_eq!(later.threads["C1:1.1"].last_seen, "3.1");
    assert_eq!(later.channels["C1"], "3.1");
}

#[test]
fn m4_whom_no_rule_permits_engages_nothing() {
    let refused = heard(vec![received("1.1", "1.1"), rejected("1.1")]);
    assert!(!refused.is_engaged("C1", "1.1"));
    let before = vec![received("1.1", "1.1"), routed("1.1")];
    let joined = [before, vec![received("2.1", "1.1"), rejected("2.1")]].concat();
    assert!(heard(joined).is_engaged("C1", "1.1"));
}

#[test]
fn slk_13_a_thread_is_foreign_until_its_first_message_is_accepted() {
    let waiting = heard(vec![received("2.1", "1.1"), received("3.1", "1.1")]);
    assert!(waiting.is_first("C1", "1.1", "2.1"));
    assert!(!waiting.is_first("C1", "1.1", "3.1"));
    let known = heard(vec![
        received("2.1", "1.1"),
        routed("2.1"),
        received("3.1", "1.1"),
    ]);
    assert!(!known.is_first("C1", "1.1", "3.1"));
}

#[test]
fn slk_12_a_forgotten_conversation_leaves_its_threads() {
    let forget = ConversationForgetRequested {
        conversation: CONVERSATION,
        reason: ForgetReason::Operator,
        by: String::new(),
        last_activity: AtMs(0),
    };
    let events = vec![received("1.1", "1.1"), routed("1.1"), forget.into()];
    assert!(!heard(events).is_engaged("C1", "1.1"));
}

#[test]
fn what_was_heard_ends_with_the_connection_and_only_if_it_had_caught_up() {
    assert_eq!(heard(vec![connected(), degraded()]).until, None);
    let once = vec![connected(), caught_up(500), degraded()];
    assert_eq!(heard(once.clone()).until, Some(AtMs(3000)));
    let again = [once, vec![degraded(), connected(), degraded()]].concat();
    assert_eq!(heard(again).until, Some(AtMs(3000)));
}

#[test]
fn what_comes_after_a_start_says_nothing_of_the_time_before_it() {
    let started = Event::from(ServiceStarted {
        version: String::new(),
        pid: 1,
        host: String::new(),
        previous_stop_clean: false,
    });
    let killed = vec![connected(), caught_up(500), received("1.1", "1.1")];
    assert_eq!(heard(killed.clone()).until, Some(AtMs(3000)));
    let again = vec![started, received("9.1", "9.1"), connected()];
    let again = [killed, again, vec![received("9.2", "9.1")]].concat();
    assert_eq!(heard(again.clone()).until, Some(AtMs(3000)));
    let through = [again, vec![caught_up(6000), received("9.3", "9.1")]].concat();
    assert_eq!(heard(through).until, Some(AtMs(9000)));
}

#[test]
fn the_thread_that_was_silent_for_longest_is_left_when_there_are_too_many() {
    let ts = |number: usize| format!("{:010}.000000", 1_700_000_000 + number);
    let many = |count: usize| {
        let events = (0..count).map(|number| received(&ts(number), &ts(number)));
        heard(events.collect())
    };
    assert!(many(THREADS_MAX).is_engaged("C1", &ts(0)));
    let over = many(THREADS_MAX + 1);
    assert_eq!(over.threads.len(), THREADS_MAX);
    assert!(!over.is_engaged("C1", &ts(0)) && over.is_engaged("C1", &ts(1)));
}
