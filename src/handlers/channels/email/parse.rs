//! What a mail says: subject, text and files, whatever state its MIME is in. Pure, and it returns
//! something for every sequence of bytes.

use mail_parser::{MessageParser, MimeHeaders as _, PartType};

use crate::handlers::channels::Attachment;
use crate::handlers::channels::email::headers::Headers;
use crate::handlers::channels::email::html;
use crate::handlers::channels::local::message::make_names_safe;

/// Files taken from one mail; further ones are left out, and the text says so.
pub const ATTACHMENTS_MAX: usize = 100;

/// A mail that was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Content {
    /// The decoded subject.
    pub subject: String,
    /// The text as Markdown.
    pub body: String,
    /// The attached files.
    pub attachments: Vec<Attachment>,
}

/// Reads a mail.
pub fn content(raw: &[u8]) -> Content {
    let Some(mail) = MessageParser::default().parse(raw) else {
        return Content {
            body: String::from_utf8_lossy(raw).into_owned(),
            ..Content::default()
        };
    };
    // A header that ends with the mail is passed over by the parser.
    let headers = Headers::of(raw);
    let subject = mail.subject().or_else(|| headers.first("subject"));
    let (attachments, left_out) = attachments(&mail);
    let mut body = body(&mail).trim().to_owned();
    if body.is_empty() && attachments.is_empty() && mail.html_part(0).is_none() {
        body = salvaged(raw);
    }
    if left_out > 0 {
        body = format!("{body}\n\n[{left_out} further attachments were left out]");
    }
    Content {
        subject: one_line(subject.unwrap_or_default()),
        body,
        attachments,
    }
}

/// The first HTML part as Markdown, or else the first text part as it is.
fn body(mail: &mail_parser::Message<'_>) -> String {
    let html = mail.html_bodies().find_map(|part| match &part.body {
        PartType::Html(html) => Some(html::to_markdown(html)),
        _ => None,
    });
    let text = || mail.body_text(0).map(|text| text.replace("\r\n", "\n"));
    html.filter(|html| !html.trim().is_empty())
        .or_else(text)
        .unwrap_or_default()
}

/// Reads the text out of parts that do not begin or end as they should: a broken mail must not look
/// like an empty one.
fn salvaged(raw: &[u8]) -> String {
    let text = String::from_utf8_lossy(raw).replace("\r\n", "\n");
    let (_, written) = text.split_once("\n\n").unwrap_or_default();
    let is_frame = |line: &&str| {
        let start = line.get(..8).unwrap_or_default();
        line.starts_with("--") || start.eq_ignore_ascii_case("content-")
    };
    let lines: Vec<&str> = written.lines().filter(|line| !is_frame(line)).collect();
    lines.join("\n").trim().to_owned()
}

fn attachments(mail: &mail_parser::Message<'_>) -> (Vec<Attachment>, usize) {
    let named = mail
        .attachments()
        .filter(|part| part.attachment_name().is_some());
    let mut files: Vec<Attachment> = named
        .map(|part| Attachment {
            name: part.attachment_name().unwrap_or_default().to_owned(),
            media_type: media_type(part),
            bytes: match &part.body {
                PartType::Message(_) => mail.raw_message
                    [part.raw_body_offset() as usize..part.raw_end_offset() as usize]
                    .to_vec(),
                _ => part.contents().to_vec(),
            },
        })
        .collect();
    let left_out = files.len().saturating_sub(ATTACHMENTS_MAX);
    files.truncate(ATTACHMENTS_MAX);
    make_names_safe(&mut files);
    (files, left_out)
}

/// Longest media type; a longer one counts as none.
const MEDIA_TYPE_BYTES_MAX: usize = 100;

fn media_type(part: &mail_parser::MessagePart<'_>) -> String {
    let declared = part.content_type();
    let named = declared.map(|kind| format!("{}/{}", kind.ctype(), kind.subtype().unwrap_or("*")));
    let named = named.filter(|name| name.len() <= MEDIA_TYPE_BYTES_MAX);
    named.unwrap_or_else(|| "application/octet-stream".to_owned())
}

/// Puts a text on one line, without what would move a terminal's cursor.
pub fn one_line(text: &str) -> String {
    let shown = |c: char| if c.is_control() { ' ' } else { c };
    let line: String = text.chars().map(shown).collect();
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_subject_and_files_are_read() {
        let mail = b"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nMIME-Version: 1.0\r\nContent-Type: \
            multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=iso-8859-1\
            \r\n\r\nSch\xf6n.\r\n--b\r\nContent-Type: text/csv\r\nContent-Disposition: attachment; \
            filename=\"../a.csv\"\r\n\r\n1,2\r\n--b--\r\n";
        let content = content(mail);
        assert_eq!(
            (content.subject.as_str(), content.body.as_str()),
            ("Grüße", "Schön.")
        );
        let [file] = content.attachments.as_slice() else {
            panic!("{content:?}")
        };
        assert_eq!(
            (file.name.as_str(), file.media_type.as_str()),
            ("a.csv", "text/csv")
        );
        assert_eq!(file.bytes, b"1,2");
    }

    #[test]
    fn anything_at_all_is_read_without_panic() {
        for raw in [
            &b""[..],
            b"\xff\xfe",
            b"Content-Type: multipart/mixed\r\n\r\n--",
            b":\r\n:",
        ] {
            content(raw);
        }
        assert_eq!(content(b"Subject: odd\r\n\r\nplain \xe4").subject, "odd");
    }

    proptest::proptest! {
        #[test]
        fn random_bytes_are_read_without_panic(bytes: Vec<u8>, head in "[A-Za-z:; =\"/\r\n-]{0,200}") {
            content(&bytes);
            content(&[head.as_bytes(), &bytes].concat());
        }
    }
}
