//! The agent's plan, from either tool that writes one: `TodoWrite` gives it whole, `TaskCreate` and
//! `TaskUpdate` give it piece by piece.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::events::task::{TodoItem, TodoStatus};
use crate::sandbox::cut::first_chars;

/// Items that are kept; further ones are left out of the display.
const ITEMS_MAX: usize = 100;

/// Characters kept of what an item says.
const ITEM_CHARS_MAX: usize = 200;

/// Bytes of all items together; items beyond are left out of the display.
const ITEMS_BYTES_MAX: usize = 48 * 1024;

/// Longest id of an item or of a tool's use, in bytes; one with a longer id is not followed.
const ID_BYTES_MAX: usize = 128;

/// The plan so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Todos {
    items: Vec<(String, TodoItem)>,
    /// `TaskCreate` calls that have no id yet, by tool use.
    created: BTreeMap<String, TodoItem>,
}

impl Todos {
    pub(super) fn items(&self) -> Vec<TodoItem> {
        let mut room = ITEMS_BYTES_MAX;
        let fits = |item: &&TodoItem| {
            let bytes = item.content.len() + item.active_form.len();
            let left = room.checked_sub(bytes);
            room = left.unwrap_or(room);
            left.is_some()
        };
        let items = self.items.iter().map(|(_, item)| item);
        items.take_while(fits).cloned().collect()
    }

    /// Takes an `assistant` line in; returns whether the plan changed.
    pub(super) fn observe_assistant(&mut self, event: &Value) -> bool {
        let blocks = event["message"]["content"].as_array().into_iter().flatten();
        let mut changed = false;
        for block in blocks.filter(|block| block["type"] == "tool_use") {
            let input = &block["input"];
            match block["name"].as_str() {
                Some("TodoWrite") => changed |= self.write(input),
                Some("TaskCreate") => self.create(block["id"].as_str(), input),
                Some("TaskUpdate") => changed |= self.update(input),
                _ => {}
            }
        }
        changed
    }

    /// Takes a `user` line in, which holds the results of tools; returns whether the plan changed.
    pub(super) fn observe_user(&mut self, event: &Value) -> bool {
        let blocks = event["message"]["content"].as_array().into_iter().flatten();
        let mut changed = false;
        for block in blocks.filter(|block| block["type"] == "tool_result") {
            let created = block["tool_use_id"]
                .as_str()
                .and_then(|id| self.created.remove(id));
            let id = event["tool_use_result"]["task"]["id"].as_str();
            if let (Some(item), Some(id)) = (created, id)
                && block["is_error"] != true
                && id.len() <= ID_BYTES_MAX
                && self.items.len() < ITEMS_MAX
            {
                self.items.push((id.to_owned(), item));
                changed = true;
            }
        }
        changed
    }

    fn write(&mut self, input: &Value) -> bool {
        let Some(todos) = input["todos"].as_array() else {
            return false;
        };
        let item = |(index, todo): (usize, &Value)| (index.to_string(), read_item(todo, "content"));
        self.items = todos.iter().take(ITEMS_MAX).enumerate().map(item).collect();
        true
    }

    fn create(&mut self, tool_use: Option<&str>, input: &Value) {
        let fits = |id: &&str| id.len() <= ID_BYTES_MAX && self.created.len() < ITEMS_MAX;
        if let Some(tool_use) = tool_use.filter(fits) {
            self.created
                .insert(tool_use.to_owned(), read_item(input, "subject"));
        }
    }

    fn update(&mut self, input: &Value) -> bool {
        let id = input["taskId"].as_str().unwrap_or_default();
        let Some(at) = self.items.iter().position(|(known, _)| known == id) else {
            return false;
        };
        if input["status"] == "deleted" {
            self.items.remove(at);
            return true;
        }
        let item = &mut self.items[at].1;
        if let Some(status) = input["status"].as_str() {
            item.status = read_status(status);
        }
        if let Some(subject) = input["subject"].as_str() {
            item.content = kept(subject);
        }
        if let Some(active_form) = input["activeForm"].as_str() {
            item.active_form = kept(active_form);
        }
        true
    }
}

fn read_item(item: &Value, content: &str) -> TodoItem {
    TodoItem {
        content: kept(item[content].as_str().unwrap_or_default()),
        active_form: kept(item["activeForm"].as_str().unwrap_or_default()),
        status: read_status(item["status"].as_str().unwrap_or_default()),
    }
}

fn kept(text: &str) -> String {
    first_chars(text, ITEM_CHARS_MAX).to_owned()
}

fn read_status(status: &str) -> TodoStatus {
    match status {
        "in_progress" => TodoStatus::InProgress,
        "completed" => TodoStatus::Completed,
        _ => TodoStatus::Pending,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Returns the plan after the agent has written so many items that say the same.
    fn written(count: usize, says: &str) -> Vec<TodoItem> {
        let todo = json!({ "content": says, "activeForm": "", "status": "pending" });
        let mut todos = Todos::default();
        let input = json!({ "todos": vec![todo; count] });
        let wrote = json!([{ "type": "tool_use", "name": "TodoWrite", "input": input }]);
        assert!(todos.observe_assistant(&json!({ "message": { "content": wrote } })));
        todos.items()
    }

    #[test]
    fn a_plan_has_as_many_items_and_says_as_much_as_may_be_shown() {
        for count in [ITEMS_MAX - 1, ITEMS_MAX, ITEMS_MAX + 1] {
            assert_eq!(written(count, "x").len(), count.min(ITEMS_MAX), "{count}");
        }
        for chars in [ITEM_CHARS_MAX - 1, ITEM_CHARS_MAX, ITEM_CHARS_MAX + 1] {
            let said = written(1, &"\u{fc}".repeat(chars)).remove(0).content;
            assert_eq!(said.chars().count(), chars.min(ITEM_CHARS_MAX), "{chars}");
        }
        // Four bytes each: 61 items of 800 bytes fit in 48 KiB.
        let long = "\u{1f6a2}".repeat(ITEM_CHARS_MAX);
        let fit = ITEMS_BYTES_MAX / long.len();
        for count in [fit - 1, fit, fit + 1] {
            assert_eq!(written(count, &long).len(), count.min(fit), "{count}");
        }
    }

    #[test]
    fn an_item_is_followed_by_an_id_as_long_as_may_be() {
        for (tool_use, task, followed) in [
            (ID_BYTES_MAX, ID_BYTES_MAX, true),
            (ID_BYTES_MAX + 1, 1, false),
            (1, ID_BYTES_MAX + 1, false),
        ] {
            let (tool_use, task) = ("u".repeat(tool_use), "t".repeat(task));
            let input = json!({ "subject": "x" });
            let used = json!([{ "type": "tool_use", "name": "TaskCreate", "id": tool_use, "input": input }]);
            let result = json!([{ "type": "tool_result", "tool_use_id": tool_use }]);
            let mut todos = Todos::default();
            todos.observe_assistant(&json!({ "message": { "content": used } }));
            let changed = todos.observe_user(&json!({
                "message": { "content": result }, "tool_use_result": { "task": { "id": task } }
            }));
            assert_eq!(
                (changed, todos.items().len()),
                (followed, usize::from(followed))
            );
        }
    }
}
