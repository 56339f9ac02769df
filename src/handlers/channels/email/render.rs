//! An answer as a mail: Markdown as plain text and as HTML for mail programs, threading headers,
//! files. Pure; the same message at the same time is the same mail, byte for byte.

use std::time::{Duration, UNIX_EPOCH};

use lettre::Message;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Attachment as MailAttachment, MessageBuilder, MultiPart, SinglePart};
use sha2::{Digest as _, Sha256};

use crate::events::delivery::DeliveryTarget;
use crate::events::id::AtMs;
use crate::handlers::channels::email::markdown::to_html;
use crate::handlers::channels::{Attachment, OutboundMessage};

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

/// Longest text that a mail shows, in bytes of Markdown; a longer one is attached whole, and the mail
/// shows its beginning. Gmail cuts what its reader sees at 102 KB of HTML.
pub const TEXT_BYTES_MAX: usize = 48 * 1024;

/// Name of the file with a text that is too long.
const LONG_TEXT_NAME: &str = "response.md";

/// Builds the mail; `at` is its `Date`.
///
/// # Errors
/// [`RenderError`]; trying again does not help.
pub fn mail(message: &OutboundMessage, from: &str, at: AtMs) -> Result<Message, RenderError> {
    let files: Vec<&Attachment> = message.files.iter().collect();
    build(message, (from, at), &message.body, &files)
}

/// Returns the text that the mail shows, as Markdown.
pub fn shown(message: &OutboundMessage) -> String {
    let files: Vec<&Attachment> = message.files.iter().collect();
    shown_and_kept(message, &message.body, &files).0
}

/// Builds the mail so that a server takes it which takes at most `bytes_max`: the largest files are
/// left out, and the text names them. Without a file it may still be longer.
///
/// # Errors
/// [`RenderError`]; trying again does not help.
pub fn mail_within(
    message: &OutboundMessage,
    from: &str,
    at: AtMs,
    bytes_max: usize,
) -> Result<Message, RenderError> {
    let bare = build(message, (from, at), &message.body, &[])?;
    let room = bytes_max.saturating_sub(bare.formatted().len());
    let mut by_size: Vec<&Attachment> = message.files.iter().collect();
    by_size.sort_by_key(|file| file.bytes.len());
    // The note about what is left out needs room, too.
    let mut left = room.saturating_sub(message.files.len() * NOTE_BYTES);
    let mut fitting = 0;
    for file in &by_size {
        let Some(rest) = left.checked_sub(encoded_bytes(file)) else {
            break;
        };
        (left, fitting) = (rest, fitting + 1);
    }
    let left_out = &by_size[fitting..];
    if left_out.is_empty() {
        return mail(message, from, at);
    }
    let stays = |file: &&Attachment| !left_out.iter().any(|other| std::ptr::eq(*other, *file));
    let kept: Vec<&Attachment> = message.files.iter().filter(stays).collect();
    let notes: Vec<String> = left_out.iter().map(|file| left_out_note(file)).collect();
    let body = message.body.trim_end();
    let largest = megabytes(bytes_max);
    let note = format!(
        "*Could not attach {}: the mail server takes mails of at most {largest}.*",
        notes.join(", ")
    );
    build(message, (from, at), &format!("{body}\n\n{note}"), &kept)
}

/// Bytes that the note about one file may take; names are shortened to fit.
const NOTE_BYTES: usize = 1024;

fn left_out_note(file: &Attachment) -> String {
    let name: String = file.name.chars().take(100).collect();
    format!(
        "`{}` ({})",
        name.replace('`', "'"),
        megabytes(file.bytes.len())
    )
}

fn megabytes(bytes: usize) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

/// Bytes that a file takes within a mail: base64 in lines of 76 characters, and its header.
fn encoded_bytes(file: &Attachment) -> usize {
    let base64 = file.bytes.len().div_ceil(3) * 4;
    base64 + base64.div_ceil(76) * 2 + file.name.len() * 4 + 512
}

fn build(
    message: &OutboundMessage,
    (from, at): (&str, AtMs),
    body: &str,
    files: &[&Attachment],
) -> Result<Message, RenderError> {
    let builder = with_headers(message, from, at)?;
    let (body, long) = shown_and_kept(message, body, files);
    let boundary = boundary(message, &body);
    let text = MultiPart::alternative()
        .boundary(format!("text-{boundary}"))
        .singlepart(SinglePart::plain(body.clone()))
        .singlepart(SinglePart::html(to_html(&body)));
    let mut files = long.iter().chain(files.iter().copied()).peekable();
    if files.peek().is_none() {
        return Ok(builder.multipart(text)?);
    }
    let mut parts = MultiPart::mixed()
        .boundary(format!("all-{boundary}"))
        .multipart(text);
    for file in files {
        let octets = "application/octet-stream";
        let kind = ContentType::parse(&file.media_type).or_else(|_| ContentType::parse(octets));
        let kind = kind.unwrap_or(ContentType::TEXT_PLAIN);
        let part: SinglePart =
            MailAttachment::new(file.name.clone()).body(file.bytes.clone(), kind);
        parts = parts.singlepart(part);
    }
    Ok(builder.multipart(parts)?)
}

/// Returns what a mail shows of a text, and the file with all of it where that is more.
fn shown_and_kept(
    message: &OutboundMessage,
    body: &str,
    files: &[&Attachment],
) -> (String, Option<Attachment>) {
    let body = if message.labelled_duplicate {
        format!("{DUPLICATE_NOTE}\n\n{body}")
    } else {
        body.to_owned()
    };
    if body.len() <= TEXT_BYTES_MAX {
        return (body, None);
    }
    let whole = long_text(&body, files);
    let (name, shown) = (&whole.name, beginning(&body, TEXT_BYTES_MAX));
    let shown =
        format!("{shown}\n\n*The answer is longer: all of it is in the attached `{name}`.*");
    (shown, Some(whole))
}

/// Returns a text as a file whose name no other file has.
fn long_text(body: &str, others: &[&Attachment]) -> Attachment {
    let numbered = (2..).map(|number| format!("response-{number}.md"));
    let mut names = std::iter::once(LONG_TEXT_NAME.to_owned()).chain(numbered);
    let is_free = |name: &String| others.iter().all(|other| other.name != *name);
    Attachment {
        name: names.find(is_free).unwrap_or_default(),
        media_type: "text/markdown; charset=utf-8".to_owned(),
        bytes: body.as_bytes().to_vec(),
    }
}

/// Returns the beginning of a text, cut between paragraphs or lines where that leaves most of it; a
/// block of code that is cut is closed.
fn beginning(text: &str, bytes_max: usize) -> String {
    let head = &text[..text.floor_char_boundary(bytes_max)];
    let cut = ["\n\n", "\n"]
        .iter()
        .filter_map(|border| head.rfind(border));
    let end = cut.into_iter().find(|end| *end >= bytes_max / 2);
    let head = head[..end.unwrap_or(head.len())].trim_end();
    let fences = head
        .lines()
        .filter(|line| line.trim_start().starts_with("```"));
    let close = if fences.count() % 2 == 1 { "\n```" } else { "" };
    format!("{head}{close}")
}

/// Begins the mail with everything but its parts.
fn with_headers(
    message: &OutboundMessage,
    from: &str,
    at: AtMs,
) -> Result<MessageBuilder, RenderError> {
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
    let is_reply = !in_reply_to.is_empty();
    let automatic = if is_reply {
        "auto-replied"
    } else {
        "auto-generated"
    };
    let mut builder = Message::builder()
        .from(address(from)?)
        .to(address(to)?)
        .subject(subject)
        .message_id(Some(message_id.clone()))
        .date(UNIX_EPOCH + Duration::from_millis(at.0))
        .raw_header(header("Auto-Submitted", automatic))
        .raw_header(header("X-Auto-Response-Suppress", "All"))
        .raw_header(header(
            "X-Airut-Conversation",
            &message.conversation.to_string(),
        ));
    if is_reply {
        builder = builder.in_reply_to(in_reply_to.clone());
    }
    if !references.is_empty() {
        builder = builder.references(references.join(" "));
    }
    if let Some(checkpoint) = &message.checkpoint {
        builder = builder.raw_header(header(CHECKPOINT_HEADER, checkpoint));
    }
    if message.labelled_duplicate {
        builder = builder.raw_header(header("X-Airut-Duplicate", "possible"));
    }
    Ok(builder)
}

/// Returns what sets the parts apart (RFC 2046, section 5.1.1): it is made of all of the text and of an
/// id that its writer did not know, so that no text can have it within.
fn boundary(message: &OutboundMessage, body: &str) -> String {
    let digest = Sha256::new()
        .chain_update(message.delivery.to_string())
        .chain_update(body)
        .finalize();
    hex::encode(&digest[..16])
}

fn header(name: &'static str, value: &str) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::delivery::DeliveryKind;
    use crate::events::id::{ConversationId, DeliveryId, RepoId, TaskId};

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
            attempt: 1,
        }
    }

    const AT: AtMs = AtMs(1_700_000_000_000);

    fn formatted(message: &OutboundMessage) -> String {
        let mail = mail(message, "Airut <bot@example.test>", AT).unwrap();
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

    fn with_files(sizes: &[usize]) -> OutboundMessage {
        let file = |(number, size): (usize, &usize)| Attachment {
            name: format!("{number}.bin"),
            media_type: "application/octet-stream".to_owned(),
            bytes: vec![7; *size],
        };
        OutboundMessage {
            files: sizes.iter().enumerate().map(file).collect(),
            ..message()
        }
    }

    fn within(message: &OutboundMessage, bytes_max: usize) -> String {
        let mail = mail_within(message, "Airut <bot@example.test>", AT, bytes_max).unwrap();
        String::from_utf8(mail.formatted()).unwrap()
    }

    #[test]
    fn files_that_a_server_would_not_take_are_left_out_and_named() {
        let message = with_files(&[50_000, 2_000_000, 1_000]);
        let mail = within(&message, 200_000);
        assert!(mail.len() <= 200_000, "{}", mail.len());
        for kept in ["filename=\"0.bin\"", "filename=\"2.bin\""] {
            assert!(mail.contains(kept), "{kept}");
        }
        assert!(!mail.contains("filename=\"1.bin\""));
        let read = mail_parser::MessageParser::default().parse(&mail).unwrap();
        let text = read.body_text(0).unwrap();
        assert!(
            text.contains("Could not attach `1.bin` (2.0 MB)") && text.contains("0.2 MB"),
            "{text}"
        );
    }

    #[test]
    fn a_mail_without_files_to_leave_out_names_none() {
        let mail = within(&with_files(&[]), 10);
        assert!(!mail.contains("Could not attach"), "{mail}");
        assert_eq!(mail, formatted(&with_files(&[])));
    }

    #[test]
    fn a_mail_within_a_limit_is_never_longer() {
        for sizes in [vec![0; 40], vec![1_000; 40], vec![70_000, 3, 60_000]] {
            let message = with_files(&sizes);
            for bytes_max in (60_000..260_000).step_by(7_919) {
                let length = within(&message, bytes_max).len();
                assert!(length <= bytes_max, "{length} {bytes_max} {sizes:?}");
            }
        }
    }

    #[test]
    fn a_text_that_is_too_long_is_attached_whole() {
        let of_length = |length: usize| OutboundMessage {
            body: "word ".repeat(length / 5 + 1)[..length].to_owned(),
            ..with_files(&[])
        };
        for fits in [TEXT_BYTES_MAX - 1, TEXT_BYTES_MAX] {
            assert!(
                !formatted(&of_length(fits)).contains("response.md"),
                "{fits}"
            );
        }
        let mut long = of_length(TEXT_BYTES_MAX + 1);
        assert!(formatted(&long).contains("filename=\"response.md\""));
        long.files = vec![Attachment {
            name: "response.md".to_owned(),
            media_type: "text/markdown".to_owned(),
            bytes: vec![],
        }];
        let mail = formatted(&long);
        let read = mail_parser::MessageParser::default().parse(&mail).unwrap();
        let text = read.body_text(0).unwrap();
        assert!(
            text.contains("all of it is in the attached `response-2.md`"),
            "{text}"
        );
        assert_eq!(read.attachment(0).unwrap().contents(), long.body.as_bytes());
    }

    #[test]
    fn a_text_is_cut_between_paragraphs_and_its_code_is_closed() {
        assert_eq!(beginning("one\n\ntwo\n\nthree", 11), "one\n\ntwo");
        assert_eq!(beginning("```\none\ntwo\n```", 9), "```\none\n```");
        assert_eq!(beginning("aaaaaaaä", 8), "aaaaaaa");
        assert_eq!(beginning("a\n\nbbbbbbbbbb", 9), "a\n\nbbbbbb");
    }

    #[test]
    fn a_mail_that_answers_none_begins_a_thread() {
        let mut message = message();
        if let DeliveryTarget::Email {
            in_reply_to,
            references,
            ..
        } = &mut message.target
        {
            (*in_reply_to, *references) = (String::new(), vec![]);
        }
        let mail = formatted(&message);
        assert!(mail.contains("Auto-Submitted: auto-generated"), "{mail}");
        assert!(
            !mail.contains("In-Reply-To") && !mail.contains("References"),
            "{mail}"
        );
    }
}
