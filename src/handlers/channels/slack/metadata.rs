//! What Airut notes in the metadata of its messages, so that it finds again what it has posted, and so
//! that whoever reads the thread keeps a checkpoint of the log
//! (<https://docs.slack.dev/messaging/message-metadata>). Everybody in the workspace can read it. Pure.

use std::str::FromStr as _;

use serde_json::{Value, json};

use crate::events::id::{DeliveryId, TaskId};

/// Type of the metadata of a message that is a part of a delivery.
pub const REPLY: &str = "airut_reply";

/// Type of the metadata of the message that shows a task's plan.
pub const PLAN: &str = "airut_plan";

/// The part that names the files which could not be uploaded; those of the text count from 1.
pub const FILES_PART: usize = 0;

/// Returns the metadata of a part of a delivery. All values are texts, as Slack's own libraries want
/// them.
pub fn of_part(
    delivery: DeliveryId,
    (part, parts): (usize, usize),
    checkpoint: Option<&str>,
) -> Value {
    let mut payload = json!({
        "delivery": delivery.to_string(),
        "part": part.to_string(),
        "parts": parts.to_string(),
    });
    if let Some(checkpoint) = checkpoint {
        payload["checkpoint"] = checkpoint.into();
    }
    json!({"event_type": REPLY, "event_payload": payload})
}

/// Returns the metadata of the message with a task's plan.
pub fn of_plan(task: TaskId) -> Value {
    json!({"event_type": PLAN, "event_payload": {"task": task.to_string()}})
}

/// Returns which part of a delivery a message of a thread is.
pub fn part_of(message: &Value, delivery: DeliveryId) -> Option<usize> {
    let payload = payload(message, REPLY)?;
    let named = payload["delivery"].as_str().map(DeliveryId::from_str);
    let is_of_it = named.is_some_and(|named| named.ok() == Some(delivery));
    let part = payload["part"].as_str()?.parse().ok();
    part.filter(|_| is_of_it)
}

/// Says whether a message of a thread shows the plan of a task.
pub fn is_plan_of(message: &Value, task: TaskId) -> bool {
    let payload = payload(message, PLAN);
    payload.is_some_and(|payload| payload["task"].as_str() == Some(&task.to_string()))
}

/// Returns the checkpoint that a message carries, on one line.
pub fn checkpoint_of(message: &Value) -> Option<&str> {
    payload(message, REPLY)?["checkpoint"].as_str()
}

fn payload<'a>(message: &'a Value, event_type: &str) -> Option<&'a Value> {
    let metadata = &message["metadata"];
    let is_ours = metadata["event_type"].as_str() == Some(event_type);
    is_ours.then(|| &metadata["event_payload"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_noted_is_found_again() {
        let (delivery, other) = (DeliveryId(7), DeliveryId(8));
        let message = json!({"metadata": of_part(delivery, (2, 3), Some("airut-log/1 7 a b"))});
        assert_eq!(part_of(&message, delivery), Some(2));
        assert_eq!(part_of(&message, other), None);
        assert_eq!(checkpoint_of(&message), Some("airut-log/1 7 a b"));
        let plan = json!({"metadata": of_plan(TaskId(9))});
        assert!(is_plan_of(&plan, TaskId(9)) && !is_plan_of(&plan, TaskId(10)));
        assert_eq!(part_of(&plan, delivery), None);
        assert_eq!(checkpoint_of(&plan), None);
    }

    #[test]
    fn what_others_wrote_is_passed_over() {
        for message in [
            json!({}),
            json!({"metadata": null}),
            json!({"metadata": {"event_type": REPLY}}),
            json!({"metadata": {"event_type": REPLY, "event_payload": {"delivery": 7, "part": 1}}}),
            json!({"metadata": {"event_type": "task_created", "event_payload": {"delivery": "7"}}}),
        ] {
            assert_eq!(part_of(&message, DeliveryId(7)), None, "{message}");
            assert_eq!(checkpoint_of(&message), None, "{message}");
        }
    }
}
