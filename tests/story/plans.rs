//! The agent's plan, from either tool that writes one: each change of it is a fact of its own.

use airut::events::Event;
use airut::events::event::TaskEvent;
use airut::events::task::TodoStatus;

use crate::fakes::Act;
use crate::tools::{plan_in_pieces, tool_used};
use crate::world::World;

/// Returns each plan that was recorded: the marks of its items and what they say.
async fn plans(lines: Vec<String>) -> Vec<String> {
    let world = World::new(&[Act::WriteWhenReleased(lines.clone(), "Done.")]);
    world.sandbox.release.add_permits(lines.len() + 1);
    let daemon = world.daemon().await;
    daemon.receive("m1", "alice", "", "Hello.").await.unwrap();
    daemon.until("DeliverySucceeded", 2).await;
    daemon.drain().await;
    let events = world.events().into_iter();
    let plan = |event: Event| match event {
        Event::Task(TaskEvent::TodoListUpdated(updated)) => Some(updated.items),
        _ => None,
    };
    let shown = |items: Vec<airut::events::task::TodoItem>| {
        let shown = items.iter().map(|item| {
            let mark = match item.status {
                TodoStatus::Pending => "-",
                TodoStatus::InProgress => ">",
                TodoStatus::Completed => "+",
            };
            format!("{mark}{}/{}", item.content, item.active_form)
        });
        shown.collect::<Vec<_>>().join(" ")
    };
    events
        .filter_map(|event| plan(event.event))
        .map(shown)
        .collect()
}

#[tokio::test]
async fn a_plan_that_is_written_whole_is_recorded() {
    let write = |todos: &str| tool_used("t1", "TodoWrite", &format!(r#"{{"todos":[{todos}]}}"#));
    let lines = vec![
        write(r#"{"content":"Read","activeForm":"Reading","status":"in_progress"}"#),
        write(r#"{"content":"Read","activeForm":"Reading","status":"completed"}"#),
    ];
    assert_eq!(plans(lines).await, [">Read/Reading", "+Read/Reading"]);
}

#[tokio::test]
async fn a_plan_that_is_written_piece_by_piece_is_recorded() {
    let lines = plan_in_pieces(r#"{"taskId":"2","status":"in_progress","activeForm":"Fixing"}"#);
    let expected = [
        "-Read/Reading",
        "-Read/Reading -Fix/",
        "+Read/Reading -Fix/",
        "+Read/Reading >Fix/Fixing",
    ];
    assert_eq!(plans(lines).await, expected);
}
