//! The blocks that stand in Airut's messages: texts, and the buttons with which a person stops the
//! work or asks how far it is (<https://docs.slack.dev/reference/block-kit/blocks>). Pure.

use serde_json::{Value, json};

use crate::events::id::ConversationId;

/// Longest text of a section, in characters; Slack refuses a longer one.
pub const SECTION_CHARS_MAX: usize = 3_000;

/// Action of the button that stops the work; its value is the conversation.
pub const STOP: &str = "airut_stop";

/// Action of the button that asks how far the work is; its value is the conversation.
pub const STATUS: &str = "airut_status";

/// Returns a section with words of our own in Slack's markup; addresses in it are links.
pub fn section(mrkdwn: &str) -> Value {
    json!({"type": "section", "text": {"type": "mrkdwn", "text": mrkdwn}})
}

/// Returns a section with words of others in Slack's markup. They are shown verbatim: otherwise Slack
/// looks for names in them by itself, and mentions whom it finds.
pub fn verbatim_section(mrkdwn: &str) -> Value {
    let mut section = section(mrkdwn);
    section["text"]["verbatim"] = true.into();
    section
}

/// Returns the row with both buttons. Stopping asks first: a slip of the finger would end an hour's
/// work.
pub fn buttons(conversation: ConversationId) -> Value {
    let button = |action: &str, label: &str| {
        json!({
            "type": "button", "action_id": action, "value": conversation.to_string(),
            "text": {"type": "plain_text", "text": label},
        })
    };
    let mut stop = button(STOP, "Stop");
    stop["style"] = "danger".into();
    let words = |text: &str| json!({"type": "plain_text", "text": text});
    stop["confirm"] = json!({
        "title": words("Stop the work?"),
        "text": words("What is done so far is kept. Reply in the thread to let it go on."),
        "confirm": words("Stop"), "deny": words("Let it work"), "style": "danger",
    });
    json!({"type": "actions", "elements": [stop, button(STATUS, "Status")]})
}
