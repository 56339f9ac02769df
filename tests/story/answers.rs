//! What a sender gets, in good and in bad weather.

use airut::events::Event;
use airut::events::checkpoint::{LogKey, SignedCheckpoint};
use airut::events::event::DeliveryEvent;
use airut::events::id::{Position, StreamId};
use airut::events::tree::{leaf_hash, proof};
use airut::handlers::channels::SendOutcome;
use airut::handlers::operator::{StopRefusal, StopTarget};
use airut::sandbox::port::ImageError;

use crate::fakes::Act;
use crate::world::{World, conversation_of};

#[tokio::test]
async fn a_message_is_acknowledged_and_answered_once() {
    let world = World::new(&[Act::Answer("All done.")]);
    let daemon = world.daemon().await;
    daemon
        .receive("m1", "alice", "", "Please fix it.")
        .await
        .unwrap();
    daemon.until("DeliverySucceeded", 2).await;
    daemon.drain().await;
    let arrived = world.channel.arrived.lock().unwrap().clone();
    assert_eq!(arrived.len(), 2);
    let page = "https://airut.example.test/conversation/";
    assert!(arrived.iter().any(|message| message.body.contains(page)));
    let replies = world.channel.replies();
    assert_eq!(replies[0].body, "All done.\n\n*Cost: $0.0100*");
    assert!(!replies[0].labelled_duplicate);
    assert_eq!(world.count("TaskCompleted"), 1);
}

#[tokio::test]
async fn the_same_message_is_taken_in_once() {
    let world = World::new(&[]);
    let daemon = world.daemon().await;
    let first = daemon.receive("m1", "alice", "", "Hello.").await.unwrap();
    let second = daemon.receive("m1", "alice", "", "Hello.").await.unwrap();
    assert!(!first.duplicate && second.duplicate && first.task == second.task);
    daemon.until("DeliverySucceeded", 2).await;
    daemon.drain().await;
    assert_eq!(world.count("MessageReceived"), 1);
    assert_eq!(world.channel.replies().len(), 1);
}

#[tokio::test]
async fn a_stranger_gets_no_answer_and_leaves_a_record() {
    let world = World::new(&[]);
    let daemon = world.daemon().await;
    daemon
        .receive("m1", "mallory", "", "Let me in.")
        .await
        .unwrap();
    daemon.until("MessageRejected", 1).await;
    daemon.drain().await;
    assert!(world.channel.arrived.lock().unwrap().is_empty());
    assert_eq!(world.count("TaskQueued"), 0);
}

#[tokio::test]
async fn a_message_that_makes_its_reader_panic_ends_only_itself() {
    let world = World::new(&[]);
    let daemon = world.daemon().await;
    let broken = airut::handlers::channels::Incoming {
        raw: b"no bars at all".to_vec(),
        repo: crate::parts::repo(),
        channel: airut::events::id::ChannelKind::Email,
        source: airut::events::message::MessageSource::Socket,
        dedupe_key: "broken".to_owned(),
        media_type: "message/rfc822".to_owned(),
        claimed_sender: String::new(),
        title: String::new(),
    };
    daemon.intake.receive(broken).await.unwrap();
    daemon.until("MessageRejected", 1).await;
    daemon
        .receive("m2", "alice", "", "Still there?")
        .await
        .unwrap();
    daemon.until("TaskCompleted", 1).await;
    daemon.drain().await;
}

#[tokio::test]
async fn a_broken_image_is_told_to_the_sender() {
    let world = World::new(&[]);
    let error = ImageError::Build("step 3 failed: no such package".to_owned());
    *world.sandbox.image_error.lock().unwrap() = Some(error);
    let daemon = world.daemon().await;
    daemon.receive("m1", "alice", "", "Build.").await.unwrap();
    daemon.until("DeliverySucceeded", 2).await;
    daemon.drain().await;
    let reply = world.channel.replies().remove(0).body;
    assert!(
        reply.contains("no such package") && reply.contains("Dockerfile"),
        "{reply}"
    );
}

#[tokio::test]
async fn an_unreachable_remote_is_told_to_the_sender() {
    let mut world = World::new(&[]);
    world.repo_url = "unreachable".to_owned();
    let daemon = world.daemon().await;
    daemon.receive("m1", "alice", "", "Build.").await.unwrap();
    daemon.until("MirrorFetchFailed", 1).await;
    daemon.until("DeliverySucceeded", 2).await;
    daemon.drain().await;
    let reply = world.channel.replies().remove(0).body;
    assert!(reply.contains("could not resolve host"), "{reply}");
}

#[tokio::test]
async fn an_agent_that_writes_without_end_is_told_as_what_it_is() {
    let world = World::new(&[Act::Flood]);
    let daemon = world.daemon().await;
    daemon.receive("m1", "alice", "", "Hello.").await.unwrap();
    daemon.until("DeliverySucceeded", 2).await;
    daemon.drain().await;
    let body = world.channel.replies()[0].body.clone();
    assert!(body.contains("more output than a run may write"), "{body}");
    assert!(body.contains("again"), "{body}");
}

#[tokio::test]
async fn a_stopped_task_is_answered_as_stopped() {
    let world = World::new(&[Act::Hang]);
    let daemon = world.daemon().await;
    let receipt = daemon.receive("m1", "alice", "", "Loop.").await.unwrap();
    daemon.until("AgentEventObserved", 1).await;
    let target = StopTarget::Task(receipt.task);
    let stopped = daemon
        .operator
        .stop(target, "operator:eve".to_owned())
        .await;
    assert_eq!(stopped.unwrap().tasks, [receipt.task]);
    daemon.until("DeliverySucceeded", 2).await;
    let again = daemon
        .operator
        .stop(target, "operator:eve".to_owned())
        .await;
    assert_eq!(again, Err(StopRefusal::NoSuchTask(receipt.task)));
    daemon.drain().await;
    let reply = world.channel.replies().remove(0).body;
    assert!(
        reply.starts_with("The task was stopped on request"),
        "{reply}"
    );
}

#[tokio::test]
async fn an_unknown_outcome_is_searched_and_sent_again_only_with_its_label() {
    for searchable in [true, false] {
        let world = World::new(&[]);
        *world.channel.is_searchable.lock().unwrap() = searchable;
        let accepted = SendOutcome::Accepted {
            receipt: "250".to_owned(),
        };
        let unknown = SendOutcome::Unknown {
            detail: "connection lost after DATA".to_owned(),
        };
        let outcomes = [accepted, unknown];
        world.channel.outcomes.lock().unwrap().extend(outcomes);
        let daemon = world.daemon().await;
        daemon.receive("m1", "alice", "", "Hello.").await.unwrap();
        daemon.until("DeliverySucceeded", 2).await;
        daemon.drain().await;
        let replies = world.channel.replies();
        let labels: Vec<bool> = replies
            .iter()
            .map(|reply| reply.labelled_duplicate)
            .collect();
        let expected: &[bool] = if searchable { &[false] } else { &[false, true] };
        assert_eq!(labels, expected, "searchable: {searchable}");
        let first = &replies[0].target;
        assert!(
            replies.iter().all(|reply| reply.target == *first),
            "the same Message-ID"
        );
    }
}

#[tokio::test]
async fn a_conversation_keeps_its_exports() {
    let world = World::new(&[Act::Answer("All done.")]);
    let daemon = world.daemon().await;
    daemon
        .receive("m1", "alice", "", "Please fix it.")
        .await
        .unwrap();
    daemon.until("DeliverySucceeded", 2).await;
    daemon.drain().await;
    let conversation = conversation_of(&world.events(), "m1");
    let root = world
        .state_dir()
        .join("work/conversations")
        .join(&conversation);
    let json = std::fs::read(root.join("conversation.json")).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(json["conversation_id"], conversation.as_str());
    assert_eq!(json["replies"][0]["total_cost_usd"], 0.01);
    assert_eq!(json["replies"][0]["num_turns"], 2);
    let lines = std::fs::read_to_string(root.join("events.jsonl")).unwrap();
    assert_eq!(lines.lines().count(), 3, "{lines}");
    let network = std::fs::read_to_string(root.join("network-sandbox.log")).unwrap();
    assert!(network.starts_with("=== TASK START 2"), "{network}");
}

#[tokio::test]
async fn a_message_that_is_declined_is_answered_without_an_agent() {
    let world = World::new(&[Act::Answer("Never said.")]);
    let daemon = world.daemon().await;
    let words = "Too long: at most 50 MiB are taken in.";
    daemon.receive("m1", "alice", "", words).await.unwrap();
    daemon.until("TaskCompleted", 1).await;
    daemon.drain().await;
    let replies = world.channel.replies();
    assert_eq!(replies.len(), 1);
    assert_eq!(replies[0].body, words);
    assert_eq!(world.count("RunPlanned"), 0);
    let arrived = world.channel.arrived.lock().unwrap().len();
    assert_eq!(
        arrived, 1,
        "nothing was begun that an acknowledgement could tell of"
    );
}

#[tokio::test]
async fn every_answer_carries_a_checkpoint_of_the_log_before_it() {
    let world = World::new(&[Act::Answer("All done.")]);
    let daemon = world.daemon().await;
    daemon
        .receive("m1", "alice", "", "Please fix it.")
        .await
        .unwrap();
    daemon.until("DeliverySucceeded", 2).await;
    let arrived = world.channel.arrived.lock().unwrap().clone();
    assert_eq!(arrived.len(), 2, "an acknowledgement and an answer");
    let records = daemon.log.read_stored(Position(0), 10_000).unwrap();
    let leaves: Vec<_> = records
        .iter()
        .map(|record| leaf_hash(&record.bytes))
        .collect();
    let key = LogKey::first([1; 32]).verifier();
    for message in arrived {
        let line = message.checkpoint.unwrap();
        let signed = SignedCheckpoint::from_line(&line).unwrap();
        signed.verified_by(std::slice::from_ref(&key)).unwrap();
        let size = usize::try_from(signed.checkpoint().size).unwrap();
        assert_eq!(signed.checkpoint().root, proof::root(&leaves[..size]));
        let events = world.events();
        // Others may have written in between, but nothing of this delivery.
        let of_it = events[size..].iter().filter_map(|recorded| {
            let Event::Delivery(delivery) = &recorded.event else {
                return None;
            };
            (recorded.stream == StreamId::delivery(message.delivery)).then_some(delivery)
        });
        let of_it: Vec<_> = of_it.take(2).collect();
        let [
            DeliveryEvent::Attempted(_),
            DeliveryEvent::CheckpointSent(sent),
        ] = of_it[..]
        else {
            panic!("{of_it:?}")
        };
        assert_eq!(sent.checkpoint, line);
    }
    daemon.drain().await;
}
