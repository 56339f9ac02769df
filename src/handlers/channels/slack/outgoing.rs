//! An answer as what is posted to a Slack thread: messages, each with metadata to find it again by, and
//! files; and what of it a thread already holds (spec rows SLK-16, SLK-20 to SLK-22, SLK-25). Pure.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::events::delivery::{AnswerTone, DeliveryKind, DeliveryTarget};
use crate::handlers::channels::email::render::DUPLICATE_NOTE;
use crate::handlers::channels::slack::blocks::{SECTION_CHARS_MAX, buttons, section};
use crate::handlers::channels::slack::mentions_out::Names;
use crate::handlers::channels::slack::metadata::{self, FILES_PART};
use crate::handlers::channels::slack::mrkdwn::{TEXT_CHARS_MAX, of_markdown, split};
use crate::handlers::channels::{Attachment, OutboundMessage};

/// Most messages of one answer; a longer answer is uploaded as a file, and one message shows its
/// beginning.
pub const MESSAGES_MAX: usize = 5;

/// Characters that are shown of an answer which is uploaded as a file.
const BEGINNING_CHARS_MAX: usize = SECTION_CHARS_MAX;

/// Name of the file with an answer that is too long, unless another file has it.
const LONG_NAME: &str = "response";

/// What Slack calls that file.
const LONG_TITLE: &str = "Response";

/// What stands before an answer that tells of a failure of Airut's own.
const BROKEN: &str = "An error occurred: ";

/// What is posted where an answer has no words; Slack takes no empty message.
const WORDLESS: &str = "_The answer has no text._";

/// Longest list of names in a message about files, in characters; the rest is counted.
const NAMED_CHARS_MAX: usize = 2_000;

/// A file to upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// Its name, which no other file of the answer has.
    pub name: String,
    /// What Slack calls it.
    pub title: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// An answer as it is posted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posting {
    /// The bodies of `chat.postMessage`, in their order.
    pub messages: Vec<Value>,
    /// The files, in their order.
    pub uploads: Vec<Upload>,
}

/// What a thread holds of a delivery.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// Parts of its text, from 1, and the part that tells of files.
    parts: BTreeSet<usize>,
    /// Files that came after its first part: name and bytes.
    files: BTreeSet<(String, u64)>,
    /// `ts` of the part that was found first.
    first: Option<String>,
}

impl Found {
    /// Reads messages of a thread, oldest first, of which only those of `own` count: the user of our
    /// bot.
    pub fn of(messages: &[Value], message: &OutboundMessage, own: &str) -> Self {
        let mut found = Self::default();
        for posted in messages.iter().filter(|posted| posted["user"] == own) {
            if let Some(part) = metadata::part_of(posted, message.delivery) {
                found.parts.insert(part);
                let ts = posted["ts"].as_str().map(str::to_owned);
                found.first = found.first.or(ts);
            }
            // Files carry no metadata: they come after the text they belong to.
            if found.first.is_some() {
                let files = posted["files"].as_array().into_iter().flatten();
                found.files.extend(files.filter_map(name_and_bytes));
            }
        }
        found
    }

    /// Says whether a message is there, by its place among them from 0.
    pub fn has_message(&self, index: usize) -> bool {
        self.parts.contains(&(index + 1))
    }

    /// Says whether a file is there.
    pub fn has_upload(&self, upload: &Upload) -> bool {
        let bytes = upload.bytes.len() as u64;
        self.files.contains(&(upload.name.clone(), bytes))
    }

    /// Says whether everything is there that ever will be: also where a message tells of the files
    /// that could not be uploaded, which is the last that is posted.
    pub fn is_whole(&self, posting: &Posting) -> bool {
        let has_files = posting.uploads.iter().all(|file| self.has_upload(file));
        (0..posting.messages.len()).all(|index| self.has_message(index))
            && (has_files || self.parts.contains(&FILES_PART))
    }

    /// Returns the `ts` of its first part.
    pub fn first(&self) -> Option<&str> {
        self.first.as_deref()
    }
}

fn name_and_bytes(file: &Value) -> Option<(String, u64)> {
    Some((file["name"].as_str()?.to_owned(), file["size"].as_u64()?))
}

/// Returns an answer as it is posted; `names` are those that it may mention. `may_be_there` is said of
/// one whose thread could not be looked at.
pub fn posting(message: &OutboundMessage, names: &Names, may_be_there: bool) -> Posting {
    let markdown = words(message, may_be_there);
    let text = of_markdown(&markdown, names);
    let mut texts = split(&text, TEXT_CHARS_MAX);
    let mut uploads: Vec<Upload> = message.files.iter().map(upload).collect();
    if texts.len() > MESSAGES_MAX {
        let whole = long_text(&markdown, &uploads);
        let beginning = split(&text, BEGINNING_CHARS_MAX).swap_remove(0);
        let note = format!(
            "_The answer is longer: all of it is in the file_ `{}`_._",
            whole.name
        );
        texts = vec![format!("{}\n\n{note}", beginning.trim_end())];
        uploads.insert(0, whole);
    }
    let parts = texts.len();
    let body = |(index, text): (usize, &String)| body(message, text, (index + 1, parts));
    Posting {
        messages: texts.iter().enumerate().map(body).collect(),
        uploads,
    }
}

/// Returns the text as Markdown, with what Slack's readers are told around it.
fn words(message: &OutboundMessage, may_be_there: bool) -> String {
    let before = if tone(message) == Some(AnswerTone::Broken) {
        BROKEN
    } else {
        ""
    };
    let note = if may_be_there && message.labelled_duplicate {
        format!("{DUPLICATE_NOTE}\n\n")
    } else {
        String::new()
    };
    format!("{note}{before}{}", message.body.trim_start())
}

fn tone(message: &OutboundMessage) -> Option<AnswerTone> {
    match &message.target {
        DeliveryTarget::Slack { tone, .. } => Some(*tone),
        DeliveryTarget::Email { .. } | DeliveryTarget::Local => None,
    }
}

fn upload(file: &Attachment) -> Upload {
    Upload {
        name: file.name.clone(),
        title: file.name.clone(),
        bytes: file.bytes.clone(),
    }
}

fn long_text(markdown: &str, others: &[Upload]) -> Upload {
    let numbered = (2..).map(|number| format!("{LONG_NAME}-{number}.md"));
    let mut names = std::iter::once(format!("{LONG_NAME}.md")).chain(numbered);
    let is_free = |name: &String| others.iter().all(|other| other.name != *name);
    Upload {
        name: names.find(is_free).unwrap_or_default(),
        title: LONG_TITLE.to_owned(),
        bytes: markdown.as_bytes().to_vec(),
    }
}

fn body(message: &OutboundMessage, text: &str, place: (usize, usize)) -> Value {
    let text = if text.trim().is_empty() {
        WORDLESS
    } else {
        text
    };
    let checkpoint = message.checkpoint.as_deref();
    let mut body = in_thread(message);
    body["text"] = text.into();
    body["metadata"] = metadata::of_part(message.delivery, place, checkpoint);
    let is_short = text.chars().count() <= SECTION_CHARS_MAX;
    if message.kind == DeliveryKind::Acknowledgement && is_short {
        body["blocks"] = json!([section(text), buttons(message.conversation)]);
    }
    body
}

/// Returns a message to the thread that notifies nobody by itself and shows no page that it links to.
fn in_thread(message: &OutboundMessage) -> Value {
    let (channel, thread) = thread(message);
    json!({
        "channel": channel, "thread_ts": thread, "mrkdwn": true,
        "link_names": false, "unfurl_links": false, "unfurl_media": false,
    })
}

/// Returns channel and thread; two empty names for what is not addressed to Slack.
pub fn thread(message: &OutboundMessage) -> (&str, &str) {
    match &message.target {
        DeliveryTarget::Slack {
            channel, thread, ..
        } => (channel, thread),
        DeliveryTarget::Email { .. } | DeliveryTarget::Local => ("", ""),
    }
}

/// Returns the body of `files.completeUploadExternal` that shares an uploaded file in a thread.
pub fn shared(id: &str, title: &str, (channel, thread): (&str, &str)) -> Value {
    json!({
        "files": [{"id": id, "title": title}],
        "channel_id": channel, "thread_ts": thread,
    })
}

/// Returns the message that tells which files could not be uploaded: each with the reason.
pub fn about_files(message: &OutboundMessage, failed: &[(String, String)]) -> Value {
    let mut named = String::new();
    let mut left_out = 0;
    for (name, why) in failed {
        let item = format!("`{}` ({why})", name.replace('`', "'"));
        if named.chars().count() + item.chars().count() > NAMED_CHARS_MAX {
            left_out += 1;
            continue;
        }
        let comma = if named.is_empty() { "" } else { ", " };
        named.push_str(comma);
        named.push_str(&item);
    }
    if left_out > 0 {
        named.extend([" and ", &left_out.to_string(), " more"]);
    }
    let markdown = format!("Could not upload {} file(s): {named}", failed.len());
    let mut body = in_thread(message);
    body["text"] = of_markdown(&markdown, &Names::default()).into();
    body["metadata"] = metadata::of_part(message.delivery, (FILES_PART, 0), None);
    body
}

#[cfg(test)]
mod tests;
