//! A line of the agent's stream in short, for people. Pure; what it does not know it leaves out.

use serde_json::Value;

/// Characters shown of a text of the agent; the rest is left out, the line in the log has it all.
pub const TEXT_SHOWN_MAX: usize = 400;

/// Characters shown of what a tool is asked or answers.
pub const TOOL_SHOWN_MAX: usize = 200;

/// Returns what a line says, a text for each of its parts.
pub fn told(line: &str) -> Vec<String> {
    let Ok(value) = serde_json::from_str::<Value>(line) else {
        return vec![format!("agent wrote: {}", cut(line, TOOL_SHOWN_MAX))];
    };
    match value["type"].as_str().unwrap_or_default() {
        "assistant" | "user" => parts(&value).iter().filter_map(part).collect(),
        "result" => vec![result(&value)],
        "system" if value["subtype"] == "init" => vec![format!("agent began: {}", began(&value))],
        _ => vec![],
    }
}

fn parts(value: &Value) -> Vec<Value> {
    match &value["message"]["content"] {
        Value::Array(parts) => parts.clone(),
        Value::String(text) => vec![serde_json::json!({"type": "text", "text": text})],
        _ => vec![],
    }
}

fn part(part: &Value) -> Option<String> {
    match part["type"].as_str()? {
        "text" => Some(format!(
            "agent: {}",
            cut(part["text"].as_str()?, TEXT_SHOWN_MAX)
        )),
        "tool_use" => {
            let (name, input) = (part["name"].as_str()?, part["input"].to_string());
            Some(format!("agent uses {name} {}", cut(&input, TOOL_SHOWN_MAX)))
        }
        "tool_result" => {
            let content = &part["content"];
            let text = content
                .as_str()
                .map_or_else(|| content.to_string(), str::to_owned);
            let error = if part["is_error"] == true {
                " with an error"
            } else {
                ""
            };
            Some(format!(
                "tool answered{error}: {}",
                cut(&text, TOOL_SHOWN_MAX)
            ))
        }
        _ => None,
    }
}

fn began(value: &Value) -> String {
    let model = value["model"].as_str().unwrap_or("model not named");
    let session = value["session_id"].as_str().unwrap_or("none");
    format!("{model}, session {session}")
}

fn result(value: &Value) -> String {
    let subtype = value["subtype"].as_str().unwrap_or("without a reason");
    let turns = value["num_turns"].as_u64().unwrap_or_default();
    format!("agent ended: {subtype} after {turns} turns")
}

/// Returns a text on one line, cut where it is long.
pub fn cut(text: &str, chars_max: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let shown: String = line.chars().take(chars_max).collect();
    let more = if shown.len() < line.len() { "…" } else { "" };
    format!("{shown}{more}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_tools_and_the_end_are_told_and_the_rest_is_not() {
        let check = |line: &str, expected: &[&str]| assert_eq!(told(line), expected, "{line}");
        check(
            r#"{"type":"assistant","message":{"content":[{"type":"text","text":"I\nlook."},
               {"type":"thinking","thinking":"hm"},
               {"type":"tool_use","name":"Bash","input":{"command":"ls"}}]}}"#,
            &["agent: I look.", r#"agent uses Bash {"command":"ls"}"#],
        );
        check(
            r#"{"type":"user","message":{"content":[{"type":"tool_result","is_error":true,"content":"no"}]}}"#,
            &["tool answered with an error: no"],
        );
        check(
            r#"{"type":"result","subtype":"success","num_turns":2}"#,
            &["agent ended: success after 2 turns"],
        );
        check(r#"{"type":"stream_event"}"#, &[]);
        check("no json", &["agent wrote: no json"]);
        assert_eq!(cut(&"x".repeat(500), 3), "xxx…");
    }
}
