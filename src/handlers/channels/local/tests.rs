use super::client::{Client, ClientError};
use super::desk::WAITERS_MAX;
use super::pentest::Pentest;
use super::protocol::{Drill, Send};
use super::*;
use crate::clock;
use crate::events::blobs::Blobs;
use crate::events::conversation::ConversationCreated;
use crate::events::delivery::{DeliveryKind, DeliveryRequested, DeliverySucceeded, DeliveryTarget};
use crate::events::id::{
    Actor, BlobRef, ConversationId, DeliveryId, Position, RepoId, Sha256, StreamId, TaskId,
};
use crate::events::log::memory::MemoryStore;
use crate::events::log::{Append, Context, Log};
use crate::events::seal::Owner;
use crate::handlers::bodies::Bodies;
use crate::handlers::operator::Operator;

struct Scene {
    log: Log,
    bodies: Bodies,
    socket: PathBuf,
    stop: CancellationToken,
    served: tokio::task::JoinHandle<()>,
    _dir: tempfile::TempDir,
}

async fn scene() -> Scene {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::open(Arc::new(MemoryStore::default())).unwrap();
    let bodies = Bodies::new(Arc::new(Blobs::open(&dir.path().join("blobs")).unwrap()));
    let socket = dir.path().join("run/airut.sock");
    let desk = Desk::new(
        log.clone(),
        bodies.clone(),
        vec![RepoId("work".to_owned())],
        Operator::new().0,
    );
    let channel = Arc::new(LocalChannel::new(socket.clone(), desk));
    let stop = CancellationToken::new();
    let intake = Intake::new(log.clone(), bodies.clone());
    let listening = channel.listen(intake, stop.clone());
    let served = crate::tasks::TaskSet::new().spawn(listening);
    while !socket.exists() {
        tokio::task::yield_now().await;
    }
    Scene {
        log,
        bodies,
        socket,
        stop,
        served,
        _dir: dir,
    }
}

fn hello() -> Send {
    Send {
        text: "hello".to_owned(),
        ..Send::default()
    }
}

#[tokio::test]
async fn a_message_is_durable_when_it_is_accepted_and_taken_in_once() {
    let scene = scene().await;
    let mut client = Client::connect(&scene.socket).await.unwrap();
    let send = Send {
        nonce: "n1".to_owned(),
        ..hello()
    };
    let first = client.send(send.clone()).await.unwrap();
    let again = client.send(send).await.unwrap();
    assert_eq!(first.inbound, again.inbound);
    let events = scene.log.read(Position(0), 10).unwrap();
    let names: Vec<_> = events
        .iter()
        .map(|recorded| recorded.event.name())
        .collect();
    assert_eq!(
        names
            .iter()
            .filter(|name| **name == "MessageReceived")
            .count(),
        1,
        "{names:?}"
    );
}

#[tokio::test]
async fn the_result_of_a_restore_drill_is_recorded_through_the_socket() {
    let scene = scene().await;
    let mut client = Client::connect(&scene.socket).await.unwrap();
    let drill = Drill {
        events: 7,
        root: None,
        ok: false,
        detail: "/backup: a body is missing".to_owned(),
    };
    client.record_drill(drill).await.unwrap();
    let recorded = scene.log.read(Position(0), 10).unwrap().remove(0);
    assert_eq!(recorded.event.name(), "RestoreDrillCompleted");
    assert_eq!(recorded.stream, StreamId::log());
    assert!(matches!(recorded.actor, Actor::Operator(_)));
}

#[tokio::test]
async fn the_result_of_an_attack_suite_is_recorded_through_the_socket() {
    let scene = scene().await;
    let mut client = Client::connect(&scene.socket).await.unwrap();
    let result = Pentest {
        passed: 310,
        failed: 1,
        not_run: 14,
        denied_queries: 0,
        report: BlobRef {
            sha256: Sha256([7; 32]),
            bytes: 9,
            media_type: "application/json".to_owned(),
        },
        signature: "0f1e".to_owned(),
    };
    client.record_pentest(result).await.unwrap();
    let recorded = scene.log.read(Position(0), 10).unwrap().remove(0);
    assert_eq!(recorded.event.name(), "PentestCompleted");
    assert_eq!(recorded.stream, StreamId::log());
    assert!(matches!(recorded.actor, Actor::Operator(_)));
}

#[tokio::test]
async fn a_waiting_client_gets_the_reply_once_it_is_delivered() {
    let scene = scene().await;
    let mut client = Client::connect(&scene.socket).await.unwrap();
    let accepted = client.send(hello()).await.unwrap();
    let delivery = DeliveryId(7);
    let body = scene
        .bodies
        .put_markdown(Owner::Service, "**done**")
        .await
        .unwrap();
    let requested = DeliveryRequested {
        delivery,
        kind: DeliveryKind::Reply,
        repo: RepoId("work".to_owned()),
        channel: ChannelKind::Local,
        conversation: ConversationId(1),
        task: accepted.task,
        target: DeliveryTarget::Local,
        body,
        files: vec![],
    };
    let succeeded = DeliverySucceeded {
        delivery,
        attempt: 1,
        receipt: "kept".to_owned(),
        reconciled: false,
    };
    let events = vec![requested.into(), succeeded.into()];
    let append = Append::to(
        &StreamId::delivery(delivery),
        events,
        Context::system(clock::now()),
    );
    let (reply, appended) = tokio::join!(
        client.await_reply(accepted.task, accepted.after),
        scene.log.append(append)
    );
    appended.unwrap();
    assert_eq!(reply.unwrap().text, "**done**");
}

#[tokio::test]
async fn what_cannot_be_done_is_refused_with_words() {
    let scene = scene().await;
    let mut client = Client::connect(&scene.socket).await.unwrap();
    let elsewhere = Send {
        repo: Some(RepoId("other".to_owned())),
        ..hello()
    };
    let refused = client.send(elsewhere).await.unwrap_err().to_string();
    assert!(refused.contains("work"), "{refused}");
    let refused = client.await_reply(TaskId(7), Position(0)).await;
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("no message became task"), "{refused}");
    let refused = client.stop(None, Some(ConversationId(9))).await;
    assert!(
        matches!(refused, Err(ClientError::Refused(_))),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_follower_sees_what_is_there_and_what_comes() {
    let scene = scene().await;
    let mut follower = Client::connect(&scene.socket).await.unwrap();
    follower.follow(Position(0)).await.unwrap();
    let mut client = Client::connect(&scene.socket).await.unwrap();
    client.send(hello()).await.unwrap();
    let records = follower.next_records().await.unwrap();
    assert_eq!(records[0].position, Position(1));
    assert_eq!(
        client.status().await.unwrap().head,
        scene.log.head().position
    );
}

#[tokio::test]
async fn a_stopped_channel_leaves_no_socket_and_no_connection() {
    let scene = scene().await;
    let mut follower = Client::connect(&scene.socket).await.unwrap();
    follower.follow(Position(0)).await.unwrap();
    scene.stop.cancel();
    scene.served.await.unwrap();
    assert!(!scene.socket.exists());
    assert!(follower.next_records().await.is_err());
    let nobody = Client::connect(&scene.socket).await.unwrap_err();
    assert!(nobody.to_string().contains("run-gateway"), "{nobody}");
}

#[tokio::test]
async fn an_unknown_conversation_and_one_of_another_repository_are_refused() {
    let scene = scene().await;
    let mut client = Client::connect(&scene.socket).await.unwrap();
    let conversation = ConversationId(9);
    let created = ConversationCreated {
        conversation,
        repo: RepoId("gone".to_owned()),
        channel: ChannelKind::Local,
        owner: "local:alice".to_owned(),
        model: "opus".to_owned(),
        effort: None,
    };
    let stream = StreamId::conversation(conversation);
    let append = Append::to(&stream, vec![created.into()], Context::system(clock::now()));
    scene.log.append(append).await.unwrap();
    for (id, repo, word) in [
        (8, None, "no conversation 00000008"),
        (9, Some(RepoId("work".to_owned())), "of repository gone"),
        (9, None, "no repository gone"),
    ] {
        let send = Send {
            conversation: Some(ConversationId(id)),
            repo,
            ..hello()
        };
        let refused = client.send(send).await.unwrap_err().to_string();
        assert!(refused.contains(word), "{refused}");
    }
    assert_eq!(scene.log.head().position, Position(1));
}

#[tokio::test]
async fn clients_that_have_gone_keep_no_place_and_waiters_leave_room_for_others() {
    let scene = scene().await;
    let mut client = Client::connect(&scene.socket).await.unwrap();
    client.send(hello()).await.unwrap();
    for _ in 0..3 {
        let mut followers = Vec::new();
        for _ in 0..WAITERS_MAX {
            let mut follower = Client::connect(&scene.socket).await.unwrap();
            follower.follow(Position(0)).await.unwrap();
            // It waits for sure once the first record has come.
            while let Err(error) = follower.next_records().await {
                assert!(error.to_string().contains("wait already"), "{error}");
                follower.follow(Position(0)).await.unwrap();
            }
            followers.push(follower);
        }
        let mut surplus = Client::connect(&scene.socket).await.unwrap();
        surplus.follow(Position(0)).await.unwrap();
        let refused = surplus.next_records().await.unwrap_err().to_string();
        assert!(refused.contains("wait already"), "{refused}");
        assert!(surplus.status().await.is_ok());
    }
}
