//! Blocks: what Slack makes of a plain text, and what it refuses.

use serde_json::{Value, json};

use super::answer::Refusal;

/// Blocks in a message.
const BLOCKS_MAX: usize = 50;
/// Characters of a section's text.
const SECTION_CHARS_MAX: usize = 3_000;
/// Characters of a section's field.
const FIELD_CHARS_MAX: usize = 2_000;
/// Fields of a section.
const FIELDS_MAX: usize = 10;
/// Characters of a header.
const HEADER_CHARS_MAX: usize = 150;
/// Elements of a context block.
const CONTEXT_ELEMENTS_MAX: usize = 10;
/// Elements of an actions block.
const ACTIONS_ELEMENTS_MAX: usize = 25;
/// Characters on a button.
const BUTTON_CHARS_MAX: usize = 75;
/// Characters of a button's value.
const BUTTON_VALUE_CHARS_MAX: usize = 2_000;
/// Characters of an id of a block or an action.
const ID_CHARS_MAX: usize = 255;
/// Characters of all `markdown` blocks of a message.
const MARKDOWN_CHARS_MAX: usize = 12_000;

/// The types of blocks that a message may have.
const KINDS: [&str; 11] = [
    "actions",
    "context",
    "divider",
    "file",
    "header",
    "image",
    "input",
    "markdown",
    "rich_text",
    "section",
    "table",
];

/// Checks the blocks of a message.
pub(crate) fn check(blocks: &Value) -> Result<(), Refusal> {
    let Value::Array(blocks) = blocks else {
        return Err(Refusal::new("invalid_blocks_format"));
    };
    if blocks.len() > BLOCKS_MAX {
        return Err(invalid(
            &format!("no more than {BLOCKS_MAX} items allowed"),
            "/blocks",
        ));
    }
    for (index, block) in blocks.iter().enumerate() {
        check_block(block, &format!("/blocks/{index}"))?;
    }
    let ids: Vec<&str> = blocks
        .iter()
        .filter_map(|block| block["block_id"].as_str())
        .collect();
    let mut unique = ids.clone();
    unique.sort_unstable();
    unique.dedup();
    if unique.len() < ids.len() {
        return Err(invalid("block_id must be unique", "/blocks"));
    }
    let markdown = blocks.iter().filter(|block| block["type"] == "markdown");
    let chars: usize = markdown.map(|block| chars(&block["text"])).sum();
    if chars > MARKDOWN_CHARS_MAX {
        return Err(Refusal::new("msg_blocks_too_long"));
    }
    Ok(())
}

fn check_block(block: &Value, at: &str) -> Result<(), Refusal> {
    let kind = block["type"].as_str().unwrap_or_default();
    if !KINDS.contains(&kind) {
        return Err(invalid(
            &format!("unsupported type: {kind}"),
            &format!("{at}/type"),
        ));
    }
    within(&block["block_id"], ID_CHARS_MAX, &format!("{at}/block_id"))?;
    match kind {
        "section" => check_section(block, at),
        "header" => {
            needed(&block["text"]["text"], &format!("{at}/text/text"))?;
            within(
                &block["text"]["text"],
                HEADER_CHARS_MAX,
                &format!("{at}/text/text"),
            )
        }
        "markdown" => needed(&block["text"], &format!("{at}/text")),
        "context" => check_elements(block, CONTEXT_ELEMENTS_MAX, at),
        "actions" => check_elements(block, ACTIONS_ELEMENTS_MAX, at),
        "rich_text" => check_elements(block, usize::MAX, at),
        _ => Ok(()),
    }
}

fn check_section(block: &Value, at: &str) -> Result<(), Refusal> {
    let fields = block["fields"].as_array().map_or(&[][..], Vec::as_slice);
    if block["text"].is_null() && fields.is_empty() {
        return Err(invalid("missing required field: text", at));
    }
    if !block["text"].is_null() {
        check_text(&block["text"], SECTION_CHARS_MAX, &format!("{at}/text"))?;
    }
    if fields.len() > FIELDS_MAX {
        return Err(invalid(
            &format!("no more than {FIELDS_MAX} items allowed"),
            at,
        ));
    }
    for (index, field) in fields.iter().enumerate() {
        check_text(field, FIELD_CHARS_MAX, &format!("{at}/fields/{index}"))?;
    }
    if block["accessory"]["type"] == "button" {
        check_button(&block["accessory"], &format!("{at}/accessory"))?;
    }
    Ok(())
}

fn check_text(text: &Value, max: usize, at: &str) -> Result<(), Refusal> {
    if !matches!(text["type"].as_str(), Some("mrkdwn" | "plain_text")) {
        return Err(invalid("unsupported type", &format!("{at}/type")));
    }
    needed(&text["text"], &format!("{at}/text"))?;
    within(&text["text"], max, &format!("{at}/text"))
}

fn check_elements(block: &Value, max: usize, at: &str) -> Result<(), Refusal> {
    let Some(elements) = block["elements"].as_array().filter(|all| !all.is_empty()) else {
        return Err(invalid("missing required field: elements", at));
    };
    if elements.len() > max {
        return Err(invalid(&format!("no more than {max} items allowed"), at));
    }
    for (index, element) in elements.iter().enumerate() {
        if element["type"] == "button" {
            check_button(element, &format!("{at}/elements/{index}"))?;
        }
    }
    Ok(())
}

fn check_button(button: &Value, at: &str) -> Result<(), Refusal> {
    if button["text"]["type"] != "plain_text" {
        return Err(invalid("must be plain_text", &format!("{at}/text/type")));
    }
    needed(&button["text"]["text"], &format!("{at}/text/text"))?;
    within(
        &button["text"]["text"],
        BUTTON_CHARS_MAX,
        &format!("{at}/text/text"),
    )?;
    within(
        &button["action_id"],
        ID_CHARS_MAX,
        &format!("{at}/action_id"),
    )?;
    within(
        &button["value"],
        BUTTON_VALUE_CHARS_MAX,
        &format!("{at}/value"),
    )
}

fn needed(text: &Value, at: &str) -> Result<(), Refusal> {
    if text.as_str().is_none_or(str::is_empty) {
        return Err(invalid("must be more than 0 characters", at));
    }
    Ok(())
}

fn within(text: &Value, max: usize, at: &str) -> Result<(), Refusal> {
    if chars(text) > max {
        return Err(invalid(
            &format!("must be less than {} characters", max + 1),
            at,
        ));
    }
    Ok(())
}

fn chars(text: &Value) -> usize {
    text.as_str().map_or(0, |text| text.chars().count())
}

fn invalid(what: &str, at: &str) -> Refusal {
    let message = format!("[ERROR] {what} [json-pointer:{at}]");
    let metadata = json!({ "messages": [message] });
    let errors = json!([format!("{what} [json-pointer:{at}]")]);
    Refusal::with(
        "invalid_blocks",
        json!({ "errors": errors, "response_metadata": metadata }),
    )
}

/// Gives each block that has none an id, as Slack does.
pub(crate) fn with_ids(mut blocks: Value, mut mint: impl FnMut() -> String) -> Value {
    for block in blocks.as_array_mut().into_iter().flatten() {
        if block["block_id"].is_null() {
            block["block_id"] = mint().into();
        }
    }
    blocks
}

/// Returns the rich text that Slack makes of a text that came without blocks.
pub(crate) fn rich_text(text: &str) -> Value {
    let mut elements = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("<@") {
        let Some((user, behind)) = after.split_once('>') else {
            break;
        };
        push_text(&mut elements, before);
        let user = user.split('|').next().unwrap_or_default();
        elements.push(json!({ "type": "user", "user_id": user }));
        rest = behind;
    }
    push_text(&mut elements, rest);
    let section = json!({ "type": "rich_text_section", "elements": elements });
    json!([{ "type": "rich_text", "block_id": "b1", "elements": [section] }])
}

fn push_text(elements: &mut Vec<Value>, text: &str) {
    if !text.is_empty() {
        let text = text
            .replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&amp;", "&");
        elements.push(json!({ "type": "text", "text": text }));
    }
}
