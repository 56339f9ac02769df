//! The agent's plan as a message that is edited while it works (spec row SLK-19). Pure.

use serde_json::{Value, json};

use crate::events::id::{ConversationId, TaskId};
use crate::events::task::{TodoItem, TodoStatus};
use crate::handlers::channels::slack::blocks::{SECTION_CHARS_MAX, buttons, verbatim_section};
use crate::handlers::channels::slack::mentions_out::Names;
use crate::handlers::channels::slack::metadata;
use crate::handlers::channels::slack::mrkdwn::as_text;

/// Most sections of a plan; what does not fit is counted. Slack refuses messages whose blocks have
/// more than about 13,000 characters together (`msg_blocks_too_long`).
const SECTIONS_MAX: usize = 3;

/// Characters that the line takes which counts what was left out.
const REST_CHARS_MAX: usize = 40;

/// Whose plan it is and where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place<'a> {
    /// The conversation, for the buttons.
    pub conversation: ConversationId,
    /// The task.
    pub task: TaskId,
    /// Channel id.
    pub channel: &'a str,
    /// `thread_ts`.
    pub thread: &'a str,
}

/// Returns the body of `chat.postMessage` that shows a plan for the first time.
pub fn post(place: Place<'_>, items: &[TodoItem], is_over: bool) -> Value {
    let mut body = shown(place, items, is_over);
    body["thread_ts"] = place.thread.into();
    body["unfurl_links"] = false.into();
    body["unfurl_media"] = false.into();
    body["metadata"] = metadata::of_plan(place.task);
    body
}

/// Returns the body of `chat.update` that shows it anew in the message `ts`. Its metadata are given
/// again, so that they are whole whatever became of those before.
pub fn update(place: Place<'_>, ts: &str, items: &[TodoItem], is_over: bool) -> Value {
    let mut body = shown(place, items, is_over);
    body["ts"] = ts.into();
    body["metadata"] = metadata::of_plan(place.task);
    body
}

fn shown(place: Place<'_>, items: &[TodoItem], is_over: bool) -> Value {
    let sections = sections(items);
    let mut blocks: Vec<Value> = sections.iter().map(|text| verbatim_section(text)).collect();
    if !is_over {
        blocks.push(buttons(place.conversation));
    }
    json!({"channel": place.channel, "text": summary(items), "blocks": blocks})
}

/// Returns what a notification and a screen reader say.
fn summary(items: &[TodoItem]) -> String {
    let done = items
        .iter()
        .filter(|item| item.status == TodoStatus::Completed);
    format!("Plan: {} of {} done", done.count(), items.len())
}

/// Returns the lines of a plan, in texts of sections.
fn sections(items: &[TodoItem]) -> Vec<String> {
    let mut sections: Vec<String> = vec![];
    for (index, item) in items.iter().enumerate() {
        let line = line(item);
        let is_last = sections.len() == SECTIONS_MAX;
        let kept_free = if is_last { REST_CHARS_MAX } else { 0 };
        match sections.last_mut() {
            Some(last) if chars(last) + chars(&line) + kept_free < SECTION_CHARS_MAX => {
                last.push('\n');
                last.push_str(&line);
            }
            Some(last) if is_last => {
                let rest = items.len() - index;
                last.extend(["\n… and ", &rest.to_string(), " more"]);
                break;
            }
            Some(_) | None => sections.push(line),
        }
    }
    sections
}

fn chars(text: &str) -> usize {
    text.chars().count()
}

fn line(item: &TodoItem) -> String {
    let mark = match item.status {
        TodoStatus::Pending => "⚪",
        TodoStatus::InProgress => "🔄",
        TodoStatus::Completed => "✅",
    };
    let title = if item.active_form.trim().is_empty() {
        item.content.trim()
    } else {
        item.active_form.trim()
    };
    let title = title.replace(['\n', '\r'], " ");
    format!("{mark} {}", fitting(&title))
}

/// Returns a title in Slack's markup, with as much of it as leaves room for others.
fn fitting(title: &str) -> String {
    let mut kept = chars(title);
    loop {
        let head: String = title.chars().take(kept).collect();
        let text = as_text(&head, &Names::default());
        if chars(&text) <= SECTION_CHARS_MAX / 3 {
            return text;
        }
        kept /= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place<'_> = Place {
        conversation: ConversationId(0xab),
        task: TaskId(1),
        channel: "C1",
        thread: "1.000100",
    };

    fn item(content: &str, active_form: &str, status: TodoStatus) -> TodoItem {
        TodoItem {
            content: content.to_owned(),
            active_form: active_form.to_owned(),
            status,
        }
    }

    #[test]
    fn a_plan_shows_how_far_each_item_is() {
        let items = [
            item("Read", "", TodoStatus::Completed),
            item("Fix *it*", "Fixing\nit", TodoStatus::InProgress),
            item("Test <!here>", "", TodoStatus::Pending),
        ];
        let body = post(PLACE, &items, false);
        assert_eq!(body["text"], "Plan: 1 of 3 done");
        let text = "✅ Read\n🔄 Fixing it\n⚪ Test &lt;!here&gt;";
        assert_eq!(body["blocks"][0]["text"]["text"], text);
        assert_eq!(body["blocks"][1]["elements"][0]["action_id"], "airut_stop");
        assert_eq!(body["blocks"][1]["elements"][1]["value"], "000000ab");
        assert_eq!(body["thread_ts"], "1.000100");
        assert!(metadata::is_plan_of(&body, TaskId(1)));
        let over = update(PLACE, "2.000100", &items, true);
        assert_eq!(over["blocks"].as_array().unwrap().len(), 1);
        assert!(metadata::is_plan_of(&over, TaskId(1)) && over["thread_ts"].is_null());
    }

    #[test]
    fn a_long_plan_stays_within_slack_s_limits() {
        let title = |n: usize| {
            item(
                &format!("{n} {}", "*x* ".repeat(48)),
                "",
                TodoStatus::Pending,
            )
        };
        for count in [1, 12, 60, 100] {
            let items: Vec<TodoItem> = (0..count).map(title).collect();
            let sections = sections(&items);
            assert!(sections.len() <= SECTIONS_MAX, "{count}");
            let longest = sections.iter().map(|text| text.chars().count()).max();
            assert!(
                longest.unwrap_or(0) <= SECTION_CHARS_MAX,
                "{count} {longest:?}"
            );
            let lines = sections.iter().flat_map(|text| text.lines());
            let shown = lines.clone().filter(|line| line.starts_with('⚪')).count();
            let rest = format!("… and {} more", count - shown);
            assert_eq!(
                shown == count,
                !lines.clone().any(|line| line == rest),
                "{count}"
            );
        }
        let plain: Vec<TodoItem> = (0..100)
            .map(|n| item(&format!("Item {n}"), "", TodoStatus::Pending))
            .collect();
        assert_eq!(sections(&plain).len(), 1);
    }

    #[test]
    fn what_a_plan_is_changed_into_has_a_text_that_slack_takes() {
        // https://docs.slack.dev/reference/methods/chat.update: 4,000, which Slack counts in bytes.
        let items = vec![item(&"ä".repeat(5_000), "", TodoStatus::Pending); 1_000];
        let text = update(PLACE, "2.000100", &items, false)["text"].clone();
        assert!(text.as_str().unwrap().len() <= 4_000, "{text}");
    }

    #[test]
    fn no_plan_has_no_section() {
        assert!(sections(&[]).is_empty());
    }
}
