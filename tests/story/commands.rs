//! Commands: what a message's first line asks of Airut itself is done at once and answered once.

use airut::events::Event;
use airut::events::event::{ConversationEvent, TaskEvent};

use crate::fakes::Act;
use crate::world::{World, conversation_of};

fn answers(world: &World) -> Vec<String> {
    let replies = world.channel.replies();
    replies.into_iter().map(|reply| reply.body).collect()
}

#[tokio::test]
async fn a_status_is_told_while_the_task_runs_and_starts_none() {
    let world = World::new(&[Act::AnswerWhenReleased("Done.")]);
    let daemon = world.daemon().await;
    daemon.receive("m1", "alice", "", "First.").await.unwrap();
    daemon.until("AgentEventObserved", 1).await;
    let conversation = conversation_of(&world.events(), "m1");
    daemon
        .receive("m2", "alice", &conversation, "/Status\n")
        .await
        .unwrap();
    daemon.until("TaskCompleted", 1).await;
    daemon.until("DeliverySucceeded", 2).await;
    world.sandbox.release.add_permits(1);
    daemon.until("TaskCompleted", 2).await;
    daemon.until("DeliverySucceeded", 3).await;
    daemon.drain().await;
    let answers = answers(&world);
    assert_eq!(answers.len(), 2, "{answers:?}");
    assert!(answers[0].contains("runs, received"), "{answers:?}");
    assert!(answers[0].contains("Last answer: none yet"), "{answers:?}");
    assert_eq!(world.sandbox.ran.lock().unwrap().len(), 1);
    assert_eq!(world.count("TaskCommandGiven"), 1);
}

#[tokio::test]
async fn a_stop_ends_what_runs_and_is_answered_beside_it() {
    let world = World::new(&[Act::Hang]);
    let daemon = world.daemon().await;
    daemon.receive("m1", "alice", "", "First.").await.unwrap();
    daemon.until("ContainerStarted", 1).await;
    let conversation = conversation_of(&world.events(), "m1");
    daemon
        .receive("m2", "alice", &conversation, "/stop\n\n-- \nAlice")
        .await
        .unwrap();
    daemon.until("TaskCompleted", 2).await;
    daemon.until("DeliverySucceeded", 3).await;
    daemon.drain().await;
    let answers = answers(&world);
    assert_eq!(answers.len(), 2, "{answers:?}");
    assert!(
        answers
            .iter()
            .any(|text| text.starts_with("These are being stopped")),
        "{answers:?}"
    );
    assert!(
        answers
            .iter()
            .any(|text| text.contains("stopped on request")),
        "{answers:?}"
    );
    assert_eq!(world.sandbox.ran.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_model_is_chosen_for_the_conversation_from_this_message_on() {
    let world = World::new(&[]);
    let daemon = world.daemon().await;
    daemon.receive("m1", "alice", "", "First.").await.unwrap();
    daemon.until("TaskCompleted", 1).await;
    let conversation = conversation_of(&world.events(), "m1");
    daemon
        .receive("m2", "alice", &conversation, "/model haiku")
        .await
        .unwrap();
    daemon.until("TaskCompleted", 2).await;
    daemon
        .receive("m3", "alice", &conversation, "Second.")
        .await
        .unwrap();
    daemon.until("TaskCompleted", 3).await;
    daemon
        .receive("m4", "alice", &conversation, "/model sonnet\n\nThird.")
        .await
        .unwrap();
    daemon.until("TaskCompleted", 4).await;
    daemon
        .receive("m5", "alice", "", "/model opus\n\nFourth.")
        .await
        .unwrap();
    daemon.until("TaskCompleted", 5).await;
    daemon.drain().await;
    let ran = world.sandbox.ran.lock().unwrap().clone();
    let models: Vec<_> = ran
        .iter()
        .map(|run| {
            let at = run.argv.iter().position(|word| word == "--model").unwrap();
            run.argv[at + 1].clone()
        })
        .collect();
    assert_eq!(models[1..], ["haiku", "sonnet", "opus"]);
    assert!(ran[2].prompt.ends_with("\nThird."), "{}", ran[2].prompt);
    let chosen = world.events().into_iter().filter(|recorded| {
        matches!(
            recorded.event,
            Event::Conversation(ConversationEvent::ModelChosen(_))
        )
    });
    assert_eq!(chosen.count(), 3);
}

#[tokio::test]
async fn a_command_further_down_or_in_a_quote_is_text() {
    let world = World::new(&[]);
    let daemon = world.daemon().await;
    daemon
        .receive("m1", "alice", "", "Please.\n/stop")
        .await
        .unwrap();
    daemon
        .receive("m2", "alice", "", "> /stop\n\nWhat is that?")
        .await
        .unwrap();
    daemon.until("TaskCompleted", 2).await;
    daemon.drain().await;
    let is_command = |event: &Event| matches!(event, Event::Task(TaskEvent::CommandGiven(_)));
    assert!(
        !world
            .events()
            .iter()
            .any(|recorded| is_command(&recorded.event))
    );
    assert_eq!(world.sandbox.ran.lock().unwrap().len(), 2);
}
