//! Answers that wait for their next attempt: what lets them go before their pause is over.

use airut::config::types::QueueLimits;
use airut::events::channel::ChannelConnected;
use airut::events::delivery::{
    DeliveryAttempted, DeliveryFailed, DeliveryKind, DeliveryRequested, DeliverySucceeded,
    DeliveryTarget,
};
use airut::events::event::DeliveryEvent;
use airut::events::id::{
    Actor, AtMs, BlobRef, ChannelKind, ConversationId, DeliveryId, InboundId, Position, RepoId,
    Sha256, StreamId, StreamVersion,
};
use airut::events::service::ServiceStarted;
use airut::events::{Event, Recorded};
use airut::handlers::channels::SendOutcome;
use airut::handlers::effect::Effect;
use airut::handlers::react::{Airborne, react};
use airut::handlers::turns::Capacity;
use airut::projections::Projection as _;
use airut::projections::state::State;

use crate::fakes::Act;
use crate::world::World;

const NOW: AtMs = AtMs(1_000_000);
const LATER: AtMs = AtMs(2_000_000);

fn requested(number: u64, repo: &str, channel: ChannelKind) -> Event {
    DeliveryRequested {
        delivery: DeliveryId(number),
        kind: DeliveryKind::Reply,
        repo: RepoId(repo.to_owned()),
        channel,
        conversation: ConversationId(1),
        task: InboundId::from_dedupe_key("a").task(),
        target: DeliveryTarget::Local,
        body: BlobRef {
            sha256: Sha256::of(b""),
            bytes: 0,
            media_type: "text/markdown".to_owned(),
        },
        files: vec![],
    }
    .into()
}

fn attempted(number: u64, attempt: u32) -> Event {
    DeliveryAttempted {
        delivery: DeliveryId(number),
        attempt,
        labelled_duplicate: false,
    }
    .into()
}

fn failed(number: u64, attempt: u32) -> Event {
    DeliveryFailed {
        delivery: DeliveryId(number),
        attempt,
        error: "no connection".to_owned(),
        retry_at: LATER,
    }
    .into()
}

fn sent(number: u64, reconciled: bool) -> Event {
    DeliverySucceeded {
        delivery: DeliveryId(number),
        attempt: 1,
        receipt: "250".to_owned(),
        reconciled,
    }
    .into()
}

fn connected(repo: &str) -> Event {
    ChannelConnected {
        repo: RepoId(repo.to_owned()),
        channel: ChannelKind::Email,
        endpoint: "localhost:993".to_owned(),
        mode: "idle".to_owned(),
    }
    .into()
}

fn service_started() -> Event {
    ServiceStarted {
        version: "0".to_owned(),
        pid: 1,
        host: "story".to_owned(),
        previous_stop_clean: true,
    }
    .into()
}

/// Returns which deliveries are attempted now, after an answer of repository `a` has failed and waits.
#[track_caller]
fn check(events: Vec<Event>, expected: &[u64]) {
    let waiting = [
        requested(1, "a", ChannelKind::Email),
        attempted(1, 1),
        failed(1, 1),
    ];
    let mut state = State::default();
    for (position, event) in (1..).zip(waiting.into_iter().chain(events)) {
        state.apply(&Recorded {
            position: Position(position),
            stream: StreamId::service(),
            stream_version: StreamVersion(position),
            at: AtMs(position),
            actor: Actor::System,
            causation: None,
            correlation: String::new(),
            event,
        });
    }
    let capacity = Capacity {
        tasks_max: 1,
        queue: QueueLimits::default(),
        begins: true,
    };
    let effects = react(&state, NOW, capacity, &Airborne::default());
    let attempts: Vec<u64> = effects
        .iter()
        .map(|effect| match effect {
            Effect::Deliver(outgoing) => outgoing.request.delivery.0,
            other => panic!("nothing but deliveries is there to do: {other:?}"),
        })
        .collect();
    assert_eq!(attempts, expected);
}

#[test]
fn what_waits_is_attempted_at_once_when_what_it_failed_for_may_be_over() {
    check(vec![], &[]);
    check(vec![service_started()], &[1]);
    check(vec![connected("a")], &[1]);
    check(vec![connected("b")], &[]);
    let another = |repo: &str, channel, reconciled| {
        let events = [requested(2, repo, channel), attempted(2, 1)];
        events.into_iter().chain([sent(2, reconciled)]).collect()
    };
    check(another("a", ChannelKind::Email, false), &[1]);
    check(another("a", ChannelKind::Email, true), &[]);
    check(another("a", ChannelKind::Slack, false), &[]);
    check(another("b", ChannelKind::Email, false), &[]);
}

#[test]
fn a_failure_begins_a_new_pause_whatever_came_back_before_it() {
    let again = |event| vec![event, attempted(1, 2), failed(1, 2)];
    check(again(service_started()), &[]);
    check(again(connected("a")), &[]);
}

#[test]
fn a_mailbox_that_is_full_is_not_tried_again_with_each_mail_to_somebody_else() {
    let another = |number| {
        let request = requested(number, "a", ChannelKind::Email);
        [request, attempted(number, 1), sent(number, false)]
    };
    let mut events: Vec<Event> = another(2).into();
    events.extend([attempted(1, 2), failed(1, 2)]);
    events.extend(another(3));
    check(events.clone(), &[]);
    events.push(service_started());
    check(events, &[1]);
}

#[tokio::test]
async fn an_answer_that_waits_goes_out_when_the_daemon_starts_again() {
    let world = World::new(&[Act::Answer("Done.")]);
    let refused = || SendOutcome::Refused {
        error: "no connection".to_owned(),
        permanent: false,
    };
    let outcomes = (0..2).map(|_| refused());
    world.channel.outcomes.lock().unwrap().extend(outcomes);
    let daemon = world.daemon().await;
    daemon.receive("m", "alice", "", "Work.").await.unwrap();
    daemon.until("DeliveryFailed", 2).await;
    daemon.drain().await;
    assert_eq!(world.channel.replies(), []);

    let daemon = world.daemon().await;
    daemon.until("DeliverySucceeded", 2).await;
    daemon.drain().await;
    assert_eq!(world.channel.replies().len(), 1);
    let pauses = world.events().into_iter().filter_map(|recorded| {
        let Event::Delivery(DeliveryEvent::Failed(failed)) = recorded.event else {
            return None;
        };
        Some(failed.retry_at)
    });
    let sent_at = world.events().last().unwrap().at;
    assert!(pauses.into_iter().all(|retry_at| sent_at < retry_at));
}
