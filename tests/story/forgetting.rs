//! A conversation is forgotten: nothing of what was said can be found any more, the log is whole all
//! the same, and an active conversation is never touched.

use std::path::Path;
use std::sync::Arc;

use airut::clock;
use airut::events::id::{AtMs, ConversationId, InboundId, Position};
use airut::events::log::Log;
use airut::events::log::store::Store;
use airut::events::seal::ERASED;
use airut::handlers::channels::{Attachment, Triaged};
use airut::handlers::forgetting::decide::{ForgetRefusal, decide_forget, decide_retention};
use airut::handlers::intake::IntakeError;

use crate::fakes::Act;
use crate::world::{Daemon, World, conversation_of};

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// Words of the mail, of its subject, its file and its file's name, of the agent and of its file.
const CANARIES: [&str; 6] = [
    "the canary sings in the mail",
    "canary in the subject",
    "canary in the file",
    "canary-name.txt",
    "the agent sings of canaries",
    "canary-outbox.txt",
];

fn add_canaries(triaged: &mut Triaged) {
    CANARIES[1].clone_into(&mut triaged.subject);
    triaged.attachments = vec![Attachment {
        name: CANARIES[3].to_owned(),
        media_type: "text/plain".to_owned(),
        bytes: CANARIES[2].as_bytes().to_vec(),
    }];
}

/// Returns a world in which a conversation with canaries is over.
async fn sung() -> (World, Daemon, ConversationId) {
    let world = World::new(&[Act::AnswerWithFile(CANARIES[4], CANARIES[5])]);
    *world.channel.change.lock().unwrap() = Some(add_canaries);
    let daemon = world.daemon().await;
    let received = daemon.receive("m1", "alice", "", CANARIES[0]).await;
    received.unwrap();
    daemon.until("DeliverySucceeded", 2).await;
    // The worker keeps its memory, as it does now and then.
    daemon.drain().await;
    let daemon = world.daemon().await;
    let conversation = conversation_of(&world.events(), "m1").parse().unwrap();
    (world, daemon, conversation)
}

async fn forget(daemon: &Daemon, conversation: ConversationId) -> Result<(), ForgetRefusal> {
    let forgotten = daemon.operator.forget(conversation, "olive".to_owned());
    forgotten.await
}

/// Returns which canaries are in the stored records, or in any file or name below the directory.
fn found(world: &World) -> Vec<&'static str> {
    let plain = Log::open(Arc::clone(&world.kept) as Arc<dyn Store>).unwrap();
    let mut bytes: Vec<u8> = Vec::new();
    for record in plain.read_stored(Position(0), usize::MAX).unwrap() {
        bytes.extend(record.bytes);
    }
    gather(world.state_dir(), &mut bytes);
    let has = |canary: &&&str| {
        let canary = canary.as_bytes();
        bytes.windows(canary.len()).any(|part| part == canary)
    };
    CANARIES.iter().filter(has).copied().collect()
}

fn gather(directory: &Path, bytes: &mut Vec<u8>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        bytes.extend(path.file_name().unwrap().as_encoded_bytes());
        match path.is_dir() {
            true => gather(&path, bytes),
            false => bytes.extend(std::fs::read(&path).unwrap()),
        }
    }
}

/// Gap 23: such a message lost its subject, and one that was all subject was refused.
#[tokio::test]
async fn a_message_to_a_conversation_that_is_no_more_keeps_its_subject_and_needs_no_text() {
    let (world, daemon, forgotten) = sung().await;
    forget(&daemon, forgotten).await.unwrap();
    daemon.until("ConversationForgotten", 1).await;
    let before = world.sandbox.ran.lock().unwrap().len();
    let hint = forgotten.to_string();
    daemon.receive("m9", "alice", &hint, "").await.unwrap();
    daemon.until("TaskCompleted", before + 1).await;
    daemon.drain().await;
    let ran = world.sandbox.ran.lock().unwrap().clone();
    assert_eq!(ran.len(), before + 1);
    let (prompt, subject) = (&ran[before].prompt, CANARIES[1]);
    assert!(prompt.contains(&format!("Subject: {subject}")), "{prompt}");
}

#[tokio::test]
async fn nothing_of_a_forgotten_conversation_is_left_anywhere() {
    let (world, daemon, conversation) = sung().await;
    // Its workspace, its exports and the worker's memory hold it as it is.
    assert_eq!(found(&world).len(), CANARIES.len());
    forget(&daemon, conversation).await.unwrap();
    daemon.until("ConversationForgotten", 1).await;
    assert_eq!(found(&world), Vec::<&str>::new());
    // Asked for again, it is what it is.
    forget(&daemon, conversation).await.unwrap();
    daemon.drain().await;
    assert_eq!(found(&world), Vec::<&str>::new());
    assert_eq!(world.count("ConversationForgetRequested"), 1);
    let views = world.views();
    let cards = views.view().board.cards();
    assert!(cards[0].forgotten && cards[0].title == ERASED);
    assert!(views.view().state.conversations.is_forgotten(conversation));
}

#[tokio::test]
async fn before_it_is_forgotten_the_log_itself_holds_it_sealed_only() {
    let (world, daemon, _) = sung().await;
    let plain = Log::open(Arc::clone(&world.kept) as Arc<dyn Store>).unwrap();
    for record in plain.read_stored(Position(0), usize::MAX).unwrap() {
        for canary in CANARIES {
            let canary = canary.as_bytes();
            assert!(
                !record
                    .bytes
                    .windows(canary.len())
                    .any(|part| part == canary)
            );
        }
    }
    daemon.drain().await;
}

#[tokio::test]
async fn a_crash_between_any_two_steps_leaves_nothing_half_forgotten() {
    for commits in 1..6 {
        let (world, daemon, conversation) = sung().await;
        daemon.drain().await;
        let asked = match world.daemon_that_dies_after(commits).await {
            Some(daemon) => {
                let asked = forget(&daemon, conversation).await.is_ok();
                let patience = std::time::Duration::from_millis(200);
                let forgotten = daemon.until("ConversationForgotten", 1);
                tokio::time::timeout(patience, forgotten).await.ok();
                daemon.crash().await;
                asked
            }
            None => false,
        };
        let daemon = world.daemon().await;
        if !asked {
            assert_eq!(found(&world).len(), CANARIES.len(), "{commits}");
            forget(&daemon, conversation).await.unwrap();
        }
        daemon.until("ConversationForgotten", 1).await;
        daemon.drain().await;
        assert_eq!(found(&world), Vec::<&str>::new(), "{commits}");
        assert_eq!(world.count("ConversationForgotten"), 1, "{commits}");
    }
}

#[tokio::test]
async fn an_active_conversation_is_not_forgotten_and_it_is_said_why() {
    let world = World::new(&[Act::AnswerWhenReleased("Done.")]);
    let daemon = world.daemon().await;
    daemon.receive("m1", "alice", "", "Hello.").await.unwrap();
    daemon.until("AgentEventObserved", 1).await;
    let conversation = conversation_of(&world.events(), "m1").parse().unwrap();
    let refused = forget(&daemon, conversation).await.unwrap_err();
    assert!(matches!(refused, ForgetRefusal::Busy { .. }), "{refused}");
    world.sandbox.release.add_permits(1);
    daemon.until("DeliverySucceeded", 2).await;
    let unknown = forget(&daemon, ConversationId(1)).await.unwrap_err();
    assert_eq!(unknown, ForgetRefusal::Unknown(ConversationId(1)));
    daemon.drain().await;
    assert_eq!(world.count("ConversationForgetRequested"), 0);
}

#[tokio::test]
async fn a_later_mail_begins_a_new_conversation_and_its_answer_says_so() {
    let (world, daemon, conversation) = sung().await;
    forget(&daemon, conversation).await.unwrap();
    daemon.until("ConversationForgotten", 1).await;
    let hint = conversation.to_string();
    daemon
        .receive("m2", "alice", &hint, "Go on.")
        .await
        .unwrap();
    daemon.until("DeliverySucceeded", 4).await;
    daemon.drain().await;
    let new = conversation_of(&world.events(), "m2");
    assert_ne!(new, hint);
    let said = world.channel.replies().remove(1).body;
    let expected = format!("The earlier conversation {hint} was erased");
    assert!(said.contains(&expected), "{said}");
}

#[tokio::test]
async fn a_forgotten_message_that_is_met_again_does_not_come_back() {
    let (world, daemon, conversation) = sung().await;
    forget(&daemon, conversation).await.unwrap();
    daemon.until("ConversationForgotten", 1).await;
    let again = daemon.receive("m1", "alice", "", CANARIES[0]).await;
    let receipt: Result<_, IntakeError> = again;
    assert!(receipt.unwrap().duplicate);
    daemon.drain().await;
    assert_eq!(world.count("MessageDuplicateIgnored"), 1);
    assert_eq!(found(&world), Vec::<&str>::new());
}

/// Gap 22: what counts is what happened in the conversation by the log, and not when a directory was
/// changed; an active one is never forgotten, however old it is.
#[tokio::test]
async fn retention_forgets_what_is_old_enough_and_spares_what_is_active() {
    let (world, daemon, conversation) = sung().await;
    daemon.drain().await;
    let mut views = world.views();
    let state = &views.view().state;
    let last = state.conversations.get(conversation).unwrap().last_activity;
    let idle = |_task| false;
    let after = |ms: u64| AtMs(last.0 + ms);
    let asked = |now: AtMs| decide_retention(state, 7, &idle, now).len();
    assert_eq!(asked(after(7 * DAY_MS - 1)), 0);
    assert_eq!(asked(after(7 * DAY_MS)), 1);
    assert_eq!(asked(after(7 * DAY_MS + 1)), 1);
    // A clock that was set back makes nothing old.
    assert_eq!(asked(AtMs(0)), 0);
    let task = InboundId::from_dedupe_key("m1").task();
    let busy = |busy_with| busy_with == task;
    let late = after(100 * DAY_MS);
    assert!(decide_retention(state, 7, &busy, late).is_empty());
    let refused = decide_forget(state, conversation, "olive", &busy, late);
    assert!(matches!(refused, Err(ForgetRefusal::Busy { .. })));
    // The age counts from the last message, not from the first.
    let world_goes_on = World::new(&[Act::AnswerWhenReleased("Later.")]);
    let daemon = world_goes_on.daemon().await;
    daemon.receive("m1", "alice", "", "Hello.").await.unwrap();
    daemon.until("AgentEventObserved", 1).await;
    views = world_goes_on.views();
    let state = &views.view().state;
    let late = AtMs(clock::now().0 + 100 * DAY_MS);
    assert!(decide_retention(state, 7, &idle, late).is_empty());
    world_goes_on.sandbox.release.add_permits(1);
    daemon.until("DeliverySucceeded", 2).await;
    daemon.drain().await;
    views = world_goes_on.views();
    let state = &views.view().state;
    assert_eq!(decide_retention(state, 7, &idle, late).len(), 1);
}
