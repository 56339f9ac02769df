//! An answer as a mail: Markdown as plain text and as HTML for mail programs, threading headers,
//! files. Pure; the same message at the same time is the same mail, byte for byte.

use std::time::{Duration, UNIX_EPOCH};

use lettre::Message;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Attachment as MailAttachment, MultiPart, SinglePart};
use sha2::{Digest as _, Sha256};

use crate::events::delivery::DeliveryTarget;
use crate::events::id::AtMs;
use crate::handlers::channels::OutboundMessage;
use crate::handlers::channels::email::markdown::to_html;

/// Stands before the text of an answer that may have been sent before.
pub const DUPLICATE_NOTE: &str = "*This may be a duplicate: Airut was interrupted while it sent \
                                  this answer and cannot tell whether it arrived.*";

/// The header that carries a checkpoint of the log.
pub const CHECKPOINT_HEADER: &str = "Airut-Checkpoint";

/// Why a mail could not be made.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// The delivery is not for mail.
    #[error("the delivery is not addressed to a mailbox")]
    NotMail,
    /// An address cannot be read.
    #[error("address {address:?} cannot be used: {error}")]
    Address {
        /// The address.
        address: String,
        /// Why.
        error: lettre::address::AddressError,
    },
    /// The parts do not make a mail.
    #[error("the mail cannot be made: {0}")]
    Mail(#[from] lettre::error::Error),
}

/// Builds the mail; `at` is its `Date`.
///
/// # Errors
/// [`RenderError`]; trying again does not help.
pub fn mail(message: &OutboundMessage, from: &str, at: AtMs) -> Result<Message, RenderError> {
    let DeliveryTarget::Email {
        to,
        subject,
        message_id,
        in_reply_to,
        references,
    } = &message.target
    else {
        return Err(RenderError::NotMail);
    };
    let address = |text: &str| {
        let failed = |error| RenderError::Address {
            address: text.to_owned(),
            error,
        };
        text.parse().map_err(failed)
    };
    let mut builder = Message::builder()
        .from(address(from)?)
        .to(address(to)?)
        .subject(subject)
        .message_id(Some(message_id.clone()))
        .date(UNIX_EPOCH + Duration::from_millis(at.0))
        .raw_header(header("Auto-Submitted", "auto-replied"))
        .raw_header(header("X-Auto-Response-Suppress", "All"))
        .raw_header(header(
            "X-Airut-Conversation",
            &message.conversation.to_string(),
        ));
    if !in_reply_to.is_empty() {
        builder = builder.in_reply_to(in_reply_to.clone());
    }
    if !references.is_empty() {
        builder = builder.references(references.join(" "));
    }
    let mut body = message.body.clone();
    if let Some(checkpoint) = &message.checkpoint {
        builder = builder.raw_header(header(CHECKPOINT_HEADER, checkpoint));
    }
    if message.labelled_duplicate {
        builder = builder.raw_header(header("X-Airut-Duplicate", "possible"));
        body = format!("{DUPLICATE_NOTE}\n\n{body}");
    }
    let boundary = boundary(message_id, &body);
    let html = SinglePart::html(to_html(&body));
    let text = MultiPart::alternative()
        .boundary(format!("text-{boundary}"))
        .singlepart(SinglePart::plain(body))
        .singlepart(html);
    if message.files.is_empty() {
        return Ok(builder.multipart(text)?);
    }
    let mut parts = MultiPart::mixed()
        .boundary(format!("all-{boundary}"))
        .multipart(text);
    for file in &message.files {
        let octets = "application/octet-stream";
        let kind = ContentType::parse(&file.media_type).or_else(|_| ContentType::parse(octets));
        let kind = kind.unwrap_or(ContentType::TEXT_PLAIN);
        let part: SinglePart =
            MailAttachment::new(file.name.clone()).body(file.bytes.clone(), kind);
        parts = parts.singlepart(part);
    }
    Ok(builder.multipart(parts)?)
}

/// Returns what sets the parts apart (RFC 2046, section 5.1.1): it is made of all of the text, so that
/// no text can have it within.
fn boundary(message_id: &str, body: &str) -> String {
    let digest = Sha256::new()
        .chain_update(message_id)
        .chain_update(body)
        .finalize();
    digest[..16]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn header(name: &'static str, value: &str) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::delivery::DeliveryKind;
    use crate::events::id::{ConversationId, DeliveryId, RepoId, TaskId};
    use crate::handlers::channels::Attachment;

    fn message() -> OutboundMessage {
        OutboundMessage {
            delivery: DeliveryId(1),
            kind: DeliveryKind::Reply,
            repo: RepoId("work".to_owned()),
            conversation: ConversationId(10),
            task: TaskId(1),
            target: DeliveryTarget::Email {
                to: "alice@example.test".to_owned(),
                subject: "Re: [ID:0000000a] Grüße".to_owned(),
                message_id: "<airut.0000000a.17.ab@example.test>".to_owned(),
                in_reply_to: "<one@example.test>".to_owned(),
                references: vec![
                    "<zero@example.test>".to_owned(),
                    "<one@example.test>".to_owned(),
                ],
            },
            body: "It is **done**: <script>alert(1)</script>".to_owned(),
            files: vec![],
            labelled_duplicate: false,
            checkpoint: Some("airut-log/1 7 cm9vdA== c2ln".to_owned()),
        }
    }

    fn formatted(message: &OutboundMessage) -> String {
        let mail = mail(message, "Airut <bot@example.test>", AtMs(1_700_000_000_000)).unwrap();
        String::from_utf8(mail.formatted()).unwrap()
    }

    #[test]
    fn an_answer_threads_and_says_that_it_is_automatic() {
        let mail = formatted(&message());
        for line in [
            "Message-ID: <airut.0000000a.17.ab@example.test>",
            "In-Reply-To: <one@example.test>",
            "References: <zero@example.test> <one@example.test>",
            "Auto-Submitted: auto-replied",
            "X-Auto-Response-Suppress: All",
            "Airut-Checkpoint: airut-log/1 7 cm9vdA== c2ln",
        ] {
            assert!(mail.contains(line), "{line}: {mail}");
        }
        assert!(!mail.contains("X-Airut-Duplicate"), "{mail}");
    }

    #[test]
    fn the_same_message_is_the_same_mail() {
        let mail = formatted(&message());
        assert_eq!(mail, formatted(&message()));
        assert!(
            mail.contains("Date: Tue, 14 Nov 2023 22:13:20 +0000"),
            "{mail}"
        );
        let other = OutboundMessage {
            body: "other".to_owned(),
            ..message()
        };
        let boundary = |mail: &str| {
            let (_, rest) = mail.split_once("boundary=\"").unwrap();
            rest.split('"').next().unwrap().to_owned()
        };
        assert_ne!(boundary(&mail), boundary(&formatted(&other)));
    }

    #[test]
    fn a_possible_duplicate_says_so_twice() {
        let mail = formatted(&OutboundMessage {
            labelled_duplicate: true,
            ..message()
        });
        assert!(mail.contains("X-Airut-Duplicate: possible"), "{mail}");
        assert!(mail.contains("This may be a duplicate"), "{mail}");
    }

    #[test]
    fn files_are_attached() {
        let file = Attachment {
            name: "a.csv".to_owned(),
            media_type: "no type".to_owned(),
            bytes: vec![1, 2],
        };
        let mail = formatted(&OutboundMessage {
            files: vec![file],
            ..message()
        });
        assert!(
            mail.contains("filename=\"a.csv\"") && mail.contains("multipart/mixed"),
            "{mail}"
        );
    }
}
