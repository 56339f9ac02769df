//! What fails for ever ends in a record and, where somebody waits for it, in an answer.

use std::fs::DirEntry;
use std::path::Path;

use airut::clock;
use airut::events::Event;
use airut::events::blobs::Blobs;
use airut::events::delivery::{DeliveryKind, DeliveryRequested, DeliveryTarget};
use airut::events::event::{MessageEvent, TaskEvent};
use airut::events::id::{
    AtMs, BlobRef, ChannelKind, ConversationId, DeliveryId, InboundId, Sha256, StreamId,
};
use airut::events::log::{Append, Context, Log};
use airut::events::message::RejectionReason;
use airut::events::seal::BODY_OVERHEAD_BYTES;
use airut::events::service::{StorageLow, StorageRecovered};
use airut::handlers::channels::{SendOutcome, Triaged};
use airut::handlers::intake::Intake;
use airut::sandbox::port::ImageError;
use airut::sandbox::recorder::RecordError;

use crate::fakes::Act;
use crate::parts::{incoming, raw, repo};
use crate::world::{World, conversation_of};

/// Damages the body that holds `text`.
fn damage(world: &World, text: &str) {
    let directory = world.state_dir().join("blobs");
    let blobs = Blobs::open(&directory).unwrap();
    let files = |path: &Path| std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap());
    let files = files(&directory).flat_map(|below| files(&below.path()));
    let says_it = |file: &DirEntry| {
        let body = BlobRef {
            sha256: file.file_name().to_str().unwrap().parse().unwrap(),
            bytes: file
                .metadata()
                .unwrap()
                .len()
                .saturating_sub(BODY_OVERHEAD_BYTES),
            media_type: String::new(),
        };
        blobs.get(&body).is_ok_and(|bytes| bytes == text.as_bytes())
    };
    let found: Vec<DirEntry> = files.filter(says_it).collect();
    assert!(!found.is_empty());
    for file in found {
        std::fs::write(file.path(), "something else").unwrap();
    }
}

#[tokio::test]
async fn messages_whose_bytes_are_damaged_stop_nobody_elses() {
    let world = World::new(&[]);
    let log = Log::open(world.disk(u64::MAX)).unwrap();
    let intake = Intake::new(log.clone(), world.ports(&log).bodies);
    for text in (0..10).map(|n| format!("Damaged {n}.")) {
        let message = incoming(&text, "alice", "", &text);
        intake.receive(message).await.unwrap();
        damage(&world, &raw("alice", "", "Fix it", &text));
    }
    log.close().await;
    let daemon = world.daemon().await;
    daemon.receive("m", "alice", "", "Whole.").await.unwrap();
    daemon.until("TaskCompleted", 1).await;
    daemon.until("MessageRejected", 10).await;
    daemon.drain().await;
    for recorded in world.events() {
        if let Event::Message(MessageEvent::Rejected(rejected)) = recorded.event {
            assert_eq!(rejected.reason, RejectionReason::Unreadable);
            assert!(
                rejected.detail.contains("is damaged"),
                "{}",
                rejected.detail
            );
        }
    }
}

#[tokio::test]
async fn a_task_whose_message_is_damaged_is_answered() {
    let world = World::new(&[Act::AnswerWhenReleased("First.")]);
    let daemon = world.daemon().await;
    daemon
        .receive("m1", "alice", "cc bob", "First.")
        .await
        .unwrap();
    daemon.until("AgentEventObserved", 1).await;
    let conversation = conversation_of(&world.events(), "m1");
    let received = daemon.receive("m2", "bob", &conversation, "Second.").await;
    received.unwrap();
    daemon.until("TaskQueued", 2).await;
    damage(&world, "Second.");
    world.sandbox.release.add_permits(1);
    daemon.until("TaskCompleted", 2).await;
    daemon.until("DeliverySucceeded", 3).await;
    daemon.drain().await;
    let reply = world.channel.replies().remove(1).body;
    assert!(reply.contains("is damaged"), "{reply}");
    assert!(reply.contains("send your message again"), "{reply}");
}

#[tokio::test]
async fn a_panic_while_a_task_is_prepared_is_answered_and_frees_its_place() {
    let mut world = World::new(&[]);
    world.repo_url = "panicking".to_owned();
    let daemon = world.daemon().await;
    for key in ["m1", "m2", "m3"] {
        daemon.receive(key, "alice", "", key).await.unwrap();
    }
    daemon.until("TaskCompleted", 3).await;
    daemon.until("DeliverySucceeded", 6).await;
    daemon.drain().await;
    let reply = world.channel.replies().remove(0).body;
    assert!(reply.contains("this is a defect of Airut"), "{reply}");
}

#[tokio::test]
async fn a_failure_that_may_pass_puts_its_task_off() {
    let world = World::new(&[]);
    *world.sandbox.image_error.lock().unwrap() =
        Some(ImageError::Record(RecordError("for now".to_owned())));
    let daemon = world.daemon().await;
    daemon.receive("m1", "alice", "", "Hello.").await.unwrap();
    let scheduled = daemon.until("TaskRetryScheduled", 1).await;
    daemon.drain().await;
    let Event::Task(TaskEvent::RetryScheduled(retry)) = scheduled.event else {
        panic!("another event");
    };
    assert!(retry.cause.contains("for now"), "{}", retry.cause);
    assert!(retry.not_before > scheduled.at);
    assert_eq!(world.count("TaskCompleted"), 0);
}

#[tokio::test]
async fn an_error_that_is_too_long_for_the_log_is_told_in_short() {
    let world = World::new(&[]);
    let error = ImageError::Build("no such package. ".repeat(10_000));
    *world.sandbox.image_error.lock().unwrap() = Some(error);
    let daemon = world.daemon().await;
    daemon.receive("m1", "alice", "", "Build.").await.unwrap();
    daemon.until("DeliverySucceeded", 2).await;
    daemon.drain().await;
    let reply = world.channel.replies().remove(0).body;
    assert!(reply.contains("no such package"), "{reply}");
}

#[tokio::test]
async fn a_permitted_sender_whose_message_does_not_fit_into_the_log_is_told() {
    let world = World::new(&[]);
    *world.channel.change.lock().unwrap() = Some(|triaged: &mut Triaged| {
        triaged.subject = "long ".repeat(20_000);
    });
    let daemon = world.daemon().await;
    daemon.receive("m1", "alice", "", "Hello.").await.unwrap();
    daemon.until("MessageRejected", 1).await;
    daemon.until("DeliverySucceeded", 1).await;
    daemon.drain().await;
    let reply = world.channel.replies().remove(0);
    assert!(
        reply.body.contains("could not be taken in"),
        "{}",
        reply.body
    );
    assert_eq!(world.count("TaskQueued"), 0);
}

#[tokio::test]
async fn a_delivery_without_its_body_is_given_up() {
    let world = World::new(&[]);
    let daemon = world.daemon().await;
    let requested = DeliveryRequested {
        delivery: DeliveryId(7),
        kind: DeliveryKind::Reply,
        repo: repo(),
        channel: ChannelKind::Email,
        conversation: ConversationId(1),
        task: InboundId::from_dedupe_key("m").task(),
        target: DeliveryTarget::Local,
        body: BlobRef {
            sha256: Sha256::of(b"nowhere"),
            bytes: 7,
            media_type: "text/markdown".to_owned(),
        },
        files: vec![],
    };
    let stream = StreamId::delivery(DeliveryId(7));
    let append = Append::to(&stream, vec![requested.into()], Context::system(AtMs(1)));
    daemon.log.append(append).await.unwrap();
    daemon.until("DeliveryAbandoned", 1).await;
    daemon.drain().await;
}

#[tokio::test]
async fn an_answer_that_is_refused_with_its_files_is_sent_without_them() {
    let world = World::new(&[Act::AnswerWithFile("Here it is.", "big.bin")]);
    let accepted = SendOutcome::Accepted {
        receipt: "250".to_owned(),
    };
    let refused = SendOutcome::Refused {
        error: "552 too large".to_owned(),
        permanent: true,
    };
    let outcomes = [accepted, refused];
    world.channel.outcomes.lock().unwrap().extend(outcomes);
    let daemon = world.daemon().await;
    daemon.receive("m1", "alice", "", "Hello.").await.unwrap();
    daemon.until("DeliveryAbandoned", 1).await;
    daemon.until("DeliverySucceeded", 2).await;
    daemon.drain().await;
    let replies = world.channel.replies();
    assert_eq!(replies.len(), 1);
    let (body, files) = (&replies[0].body, &replies[0].files);
    assert!(
        files.is_empty() && body.starts_with("Here it is."),
        "{body}"
    );
    assert!(body.contains("Could not attach big.bin"), "{body}");
    assert!(body.contains("552 too large"), "{body}");
}

/// Law 1, above the store.
#[tokio::test]
async fn on_a_full_disk_nothing_is_taken_in_sent_or_run() {
    let world = World::new(&[Act::Hang]);
    let daemon = world.daemon().await;
    daemon.receive("m1", "alice", "", "Loop.").await.unwrap();
    daemon.until("AgentEventObserved", 1).await;
    daemon.until("DeliverySucceeded", 1).await;
    world.kept.fail_commits("no space left on device");
    let refused = daemon.receive("m2", "alice", "", "More.").await;
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("no space left"), "{refused}");
    let ended = daemon.end().await.unwrap_err().to_string();
    assert!(ended.contains("nothing can be recorded"), "{ended}");
    assert!(world.channel.replies().is_empty());
    // After the operator has made room, both messages find their answer.
    world.kept.mend();
    let daemon = world.daemon().await;
    daemon.receive("m2", "alice", "", "More.").await.unwrap();
    daemon.until("TaskCompleted", 2).await;
    daemon.drain().await;
}

/// A disk that is nearly full takes messages in and begins nothing, until there is room.
#[tokio::test]
async fn on_a_disk_that_is_nearly_full_messages_are_taken_in_and_wait() {
    let world = World::new(&[]);
    let daemon = world.daemon().await;
    let directory = || "/state".to_owned();
    let record = async |event: Event| {
        let context = Context::system(clock::now());
        let append = Append::to(&StreamId::log(), vec![event], context);
        daemon.log.append(append).await.unwrap();
    };
    let low = StorageLow {
        directory: directory(),
        free_bytes: 1,
        limit_bytes: 2,
    };
    record(low.into()).await;
    daemon.receive("m1", "alice", "", "Hello.").await.unwrap();
    daemon.until("TaskQueued", 1).await;
    daemon.receive("m2", "bob", "", "Hello.").await.unwrap();
    daemon.until("TaskQueued", 2).await;
    assert_eq!(world.count("TaskStarted"), 0);
    let tasks = daemon.operator.tasks().await.unwrap();
    assert!(
        tasks.iter().all(|task| task.holds == ["storage"]),
        "{tasks:?}"
    );
    let views = world.views();
    assert_eq!(views.view().state.storage.low().unwrap().free_bytes, 1);
    let recovered = StorageRecovered {
        directory: directory(),
        free_bytes: 3,
    };
    record(recovered.into()).await;
    daemon.until("TaskCompleted", 2).await;
    daemon.drain().await;
}
