//! A reply as a channel would send it, made beside any conversation and sent to nobody. The making is
//! the channels' own; this only gives it an example to make it of. Pure but for its callers.

use crate::events::delivery::{AnswerTone, DeliveryKind, DeliveryTarget};
use crate::events::id::{AtMs, ConversationId, DeliveryId, RepoId, TaskId};
use crate::events::message::ReplyAddress;
use crate::handlers::channels::email::{markdown, render};
use crate::handlers::channels::slack::mentions_out::Names;
use crate::handlers::channels::slack::outgoing::{self, Posting};
use crate::handlers::channels::{Attachment, OutboundMessage};
use crate::handlers::replies::address::{self, Envelope};
use crate::handlers::tasks::directories::media_type;

/// The `From` where no repository is named.
pub const EXAMPLE_FROM: &str = "Airut <airut@example.com>";

/// When the example is sent, so that the same file always gives the same mail.
const EXAMPLE_AT: AtMs = AtMs(1_767_225_600_000);

/// A reply that somebody wants to see.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Draft {
    /// The text as Markdown.
    pub markdown: String,
    /// Name and bytes of each attached file.
    pub files: Vec<(String, Vec<u8>)>,
}

impl Draft {
    /// Returns the whole mail (RFC 5322), as it would answer an example message; `from` is the `From`
    /// of the mailbox.
    ///
    /// # Errors
    /// [`render::RenderError`] where `from` cannot be used.
    pub fn mail(&self, from: &str) -> Result<Vec<u8>, render::RenderError> {
        let mail = render::mail(&self.message(from), from, EXAMPLE_AT)?;
        Ok(mail.formatted())
    }

    /// Returns the mail's plain text alone.
    pub fn text(&self) -> String {
        render::shown(&self.message(EXAMPLE_FROM))
    }

    /// Returns the mail's HTML alone, a page that a browser shows.
    pub fn html(&self) -> String {
        markdown::to_html(&self.text())
    }

    /// Returns the text in Slack's markup, one of each message.
    pub fn mrkdwn(&self) -> Vec<String> {
        let texts = self.posting().messages.into_iter();
        let texts = texts.filter_map(|body| Some(body["text"].as_str()?.to_owned()));
        texts.collect()
    }

    /// Returns the calls of Slack's Web API that answer an example message: method and body of each.
    /// Where a file's bytes go and what its id is, Slack's answers say: those are examples, too.
    pub fn slack_calls(&self) -> Vec<serde_json::Value> {
        let Posting { messages, uploads } = self.posting();
        let messages = messages.into_iter();
        let messages = messages.map(|body| call("chat.postMessage", &body));
        let files = uploads.iter().flat_map(|file| {
            let place = serde_json::json!({"filename": file.name, "length": file.bytes.len()});
            let shared = outgoing::shared(EXAMPLE_FILE, &file.title, EXAMPLE_THREAD);
            [
                call("files.getUploadURLExternal", &place),
                call("files.completeUploadExternal", &shared),
            ]
        });
        messages.chain(files).collect()
    }

    fn posting(&self) -> Posting {
        let message = OutboundMessage {
            target: slack_target(),
            ..self.message(EXAMPLE_FROM)
        };
        outgoing::posting(&message, &Names::default(), false)
    }

    fn message(&self, from: &str) -> OutboundMessage {
        let files = self.files.iter().map(|(name, bytes)| Attachment {
            name: name.clone(),
            media_type: media_type(name).to_owned(),
            bytes: bytes.clone(),
        });
        OutboundMessage {
            delivery: DeliveryId(0x1234_5678_9abc_def0),
            kind: DeliveryKind::Reply,
            repo: RepoId("example".to_owned()),
            conversation: EXAMPLE_CONVERSATION,
            task: TaskId(1),
            target: target(from),
            body: self.markdown.clone(),
            files: files.collect(),
            labelled_duplicate: false,
            checkpoint: None,
            attempt: 1,
        }
    }
}

/// Channel and thread of the example message in Slack.
const EXAMPLE_THREAD: (&str, &str) = ("C0123456789", "1767225600.000100");

/// The id of each example file in Slack.
const EXAMPLE_FILE: &str = "F0123456789";

fn call(method: &str, body: &serde_json::Value) -> serde_json::Value {
    serde_json::json!({"method": method, "body": body})
}

fn slack_target() -> DeliveryTarget {
    let (channel, thread) = EXAMPLE_THREAD;
    DeliveryTarget::Slack {
        channel: channel.to_owned(),
        thread: thread.to_owned(),
        answered: vec![thread.to_owned()],
        tone: AnswerTone::Good,
        is_direct: false,
        title: String::new(),
    }
}

const EXAMPLE_CONVERSATION: ConversationId = ConversationId(0x1f2e_3d4c);

fn target(from: &str) -> DeliveryTarget {
    let reply_to = ReplyAddress::Email {
        to: "alice@example.com".to_owned(),
        message_id: "<request@example.com>".to_owned(),
        references: vec![],
    };
    let envelope = Envelope {
        delivery: DeliveryId(0x1234_5678_9abc_def0),
        conversation: EXAMPLE_CONVERSATION,
        subject: "An example",
        from,
        at: EXAMPLE_AT,
    };
    address::target(&reply_to, envelope)
}
