//! What an auditor reads of a conversation: complete, in order, and the same from wherever it is
//! rebuilt.

use airut::events::Event;
use airut::events::event::RunEvent;
use airut::events::id::InboundId;
use airut::projections::Projection as _;
use airut::projections::audit::{Audit, Moment, Subject};
use airut::projections::config_in_force::ConfigInForce;

use crate::world::{World, conversation_of};

async fn two_answers() -> World {
    let world = World::new(&[]);
    let daemon = world.daemon().await;
    daemon
        .receive("m1", "alice", "cc bob", "First.")
        .await
        .unwrap();
    daemon.until("TaskCompleted", 1).await;
    let conversation = conversation_of(&world.events(), "m1");
    let more = daemon.receive("m2", "bob", &conversation, "Second.");
    more.await.unwrap();
    daemon.receive("m3", "carol", "", "Other.").await.unwrap();
    daemon.until("TaskCompleted", 3).await;
    daemon.until("DeliverySucceeded", 5).await;
    daemon.drain().await;
    world
}

#[tokio::test]
async fn what_a_run_may_reach_is_recorded_with_its_plan_and_who_allowed_it() {
    let world = two_answers().await;
    let events = world.events();
    let bodies = world
        .ports(&airut::events::log::Log::open(world.disk(0)).unwrap())
        .bodies;
    let mut policies = 0;
    for pair in events.windows(2) {
        let Event::Run(RunEvent::Planned(planned)) = &pair[0].event else {
            continue;
        };
        let Event::Run(RunEvent::PolicyInForce(policy)) = &pair[1].event else {
            panic!("a plan without its policy: {pair:#?}");
        };
        assert_eq!(
            (policy.run, &policy.repo),
            (planned.run, &crate::parts::repo())
        );
        let change = policy.allowlist_change.as_ref().unwrap();
        assert_eq!(change.author, "Olive <olive@example.test>");
        let text = bodies.get_text(policy.allowlist.as_ref().unwrap()).await;
        assert_eq!(text.unwrap(), "domains: []\n");
        policies += 1;
    }
    assert_eq!(policies, 3);
}

#[tokio::test]
async fn the_record_of_a_conversation_is_the_same_from_any_checkpoint() {
    let world = two_answers().await;
    let events = world.events();
    let conversation = conversation_of(&events, "m1").parse().unwrap();
    let task = InboundId::from_dedupe_key("m2").task();
    for subject in [Subject::Conversation(conversation), Subject::Task(task)] {
        let mut whole = Audit::of(subject);
        events.iter().for_each(|recorded| whole.apply(recorded));
        for cut in 0..=events.len() {
            let mut first = Audit::of(subject);
            events[..cut]
                .iter()
                .for_each(|recorded| first.apply(recorded));
            let kept = serde_json::to_string(&first).unwrap();
            let mut rebuilt: Audit = serde_json::from_str(&kept).unwrap();
            events[cut..]
                .iter()
                .for_each(|recorded| rebuilt.apply(recorded));
            assert_eq!(rebuilt, whole, "{subject:?} cut at {cut}");
        }
    }
}

#[tokio::test]
async fn the_record_holds_all_of_its_subject_and_nothing_of_another() {
    let world = two_answers().await;
    let events = world.events();
    let conversation = conversation_of(&events, "m1").parse().unwrap();
    let mut audit = Audit::of(Subject::Conversation(conversation));
    events.iter().for_each(|recorded| audit.apply(recorded));
    let count = |wanted: fn(&Moment) -> bool| {
        audit
            .entries()
            .filter(|entry| wanted(&entry.moment))
            .count()
    };
    assert_eq!(count(|moment| matches!(moment, Moment::Asked(_))), 2);
    assert_eq!(count(|moment| matches!(moment, Moment::Authorized(_))), 2);
    assert_eq!(count(|moment| matches!(moment, Moment::Policy(_))), 2);
    assert_eq!(count(|moment| matches!(moment, Moment::Answered(_))), 2);
    let first = audit.entries().next().unwrap();
    assert!(matches!(first.moment, Moment::Received(_)), "{first:?}");

    let task = InboundId::from_dedupe_key("m3").task();
    let mut audit = Audit::of(Subject::Task(task));
    assert!(!audit.is_known());
    events.iter().for_each(|recorded| audit.apply(recorded));
    assert!(audit.is_known());
    let asked: Vec<_> = audit.entries().collect();
    let others = |moment: &Moment| match moment {
        Moment::Received(received) => received.inbound.task() != task,
        Moment::Answered(reply) => reply.task != task,
        _ => false,
    };
    assert!(
        !asked.iter().any(|entry| others(&entry.moment)),
        "{asked:#?}"
    );
}

#[tokio::test]
async fn the_policy_in_force_is_that_of_the_runs_that_are_not_over() {
    let world = two_answers().await;
    let mut config = ConfigInForce::default();
    let mut most = 0;
    for recorded in world.events() {
        config.apply(&recorded);
        most = most.max(config.runs.len());
    }
    assert!(most >= 1);
    assert!(config.runs.is_empty(), "{:#?}", config.runs);
    assert_eq!(config.repos.len(), 1);
}
