//! What a mail says: subject, text and files, whatever state its MIME is in. Pure, and it returns
//! something for every sequence of bytes.

use mail_parser::{MessageParser, MessagePart, MimeHeaders as _, PartType};

use crate::handlers::channels::Attachment;
use crate::handlers::channels::email::headers::Headers;
use crate::handlers::channels::email::{body, unreadable};
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
    /// Whether a calendar wrote it: an invitation, an answer to one, a cancellation.
    pub is_of_calendar: bool,
}

/// Reads a mail.
pub fn content(raw: &[u8]) -> Content {
    let Some(mail) = MessageParser::default().parse(raw) else {
        return Content {
            body: String::from_utf8_lossy(raw).into_owned(),
            ..Content::default()
        };
    };
    let mut body = body::text(&mail).trim().to_owned();
    let (attachments, left_out) = attachments(&mail, !has_words(&body));
    let is_broken =
        body.is_empty() && mail.attachments().all(is_stray_text) && mail.html_part(0).is_none();
    if is_broken {
        body = body::salvaged(raw);
    }
    // What is salvaged holds the texts of forwarded mails already.
    let forwarded = forwarded(&mail).filter(|_| !is_broken || body.is_empty());
    let notes: Vec<String> = forwarded
        .chain(unreadable::words(&mail).map(ToOwned::to_owned))
        .collect();
    for note in notes {
        body = format!("{body}\n\n{note}").trim().to_owned();
    }
    if left_out > 0 {
        body = format!("{body}\n\n[{left_out} further attachments were left out]");
    }
    Content {
        subject: subject_of(&mail, raw),
        body,
        attachments,
        is_of_calendar: mail.parts.iter().any(is_of_calendar),
    }
}

/// Reads the decoded subject out of a mail's header.
pub fn subject(head: &[u8]) -> String {
    let mail = MessageParser::default().parse(head);
    mail.map(|mail| subject_of(&mail, head)).unwrap_or_default()
}

fn subject_of(mail: &mail_parser::Message<'_>, raw: &[u8]) -> String {
    // A header that ends with the mail is passed over by the parser.
    let headers = Headers::of(raw);
    let subject = mail.subject().or_else(|| headers.first("subject"));
    one_line(subject.unwrap_or_default())
}

/// Whether a text says anything beside the pictures that it shows.
fn has_words(body: &str) -> bool {
    let after_picture = |rest: &str| rest.split_once(')').is_some_and(|(_, rest)| is_word(rest));
    let (before, pictures) = body.split_once("![").unwrap_or((body, ""));
    is_word(before) || pictures.split("![").any(after_picture)
}

fn is_word(text: &str) -> bool {
    text.chars().any(char::is_alphanumeric)
}

/// Most forwarded mails whose text is shown; of further ones the files are all there is.
const FORWARDED_MAX: usize = 5;

/// The texts of the mails that were forwarded whole, each with what it says of itself.
fn forwarded<'a>(mail: &'a mail_parser::Message<'_>) -> impl Iterator<Item = String> + 'a {
    let messages = mail.attachments().filter_map(|part| match &part.body {
        PartType::Message(message) => Some(message),
        _ => None,
    });
    messages.take(FORWARDED_MAX).filter_map(|message| {
        let text = body::text(message);
        let from = message.from().and_then(|from| from.first());
        let from = from.and_then(|from| from.address()).unwrap_or("somebody");
        let subject = one_line(message.subject().unwrap_or_default());
        let head = format!("[forwarded mail from {}: {subject}]", one_line(from));
        (!text.trim().is_empty()).then(|| format!("{head}\n\n{}", text.trim()))
    })
}

/// An invitation, an answer to one or a cancellation (RFC 5546) is told by its method. A calendar that
/// a person attached as a file is that person's mail.
fn is_of_calendar(part: &MessagePart<'_>) -> bool {
    let is_calendar = |kind: &&mail_parser::ContentType<'_>| {
        let subtype = kind.subtype().unwrap_or_default();
        kind.ctype().eq_ignore_ascii_case("text") && subtype.eq_ignore_ascii_case("calendar")
    };
    let method = part.content_type().filter(is_calendar);
    let Some(method) = method.and_then(|kind| kind.attribute("method")) else {
        return false;
    };
    let is = |methods: &[&str]| methods.iter().any(|one| method.eq_ignore_ascii_case(one));
    let disposition = part.content_disposition();
    let is_file = disposition.is_some_and(|kind| kind.ctype().eq_ignore_ascii_case("attachment"));
    is(&["reply", "counter", "declinecounter"])
        || (!is_file && is(&["request", "cancel", "add", "refresh"]))
}

/// The files of a mail: whatever is no text of it and not shown within the text; where there is no
/// text, what is shown is all there is, as with a screenshot alone.
fn attachments(mail: &mail_parser::Message<'_>, no_text: bool) -> (Vec<Attachment>, usize) {
    let is_shown = |part: &&MessagePart<'_>| is_inline(part) && !no_text;
    let is_file = |part: &&MessagePart<'_>| !is_shown(part) && !is_stray_text(part);
    let files = mail.attachments().filter(is_file);
    let files: Vec<_> = files.chain(body::named_texts(mail)).collect();
    let left_out = files.len().saturating_sub(ATTACHMENTS_MAX);
    let mut files: Vec<Attachment> = files
        .into_iter()
        .take(ATTACHMENTS_MAX)
        .map(|part| {
            let media_type = media_type(part);
            Attachment {
                name: name(part, &media_type),
                media_type,
                bytes: match &part.body {
                    PartType::Message(_) => mail.raw_message
                        [part.raw_body_offset() as usize..part.raw_end_offset() as usize]
                        .to_vec(),
                    _ => part.contents().to_vec(),
                },
            }
        })
        .collect();
    make_names_safe(&mut files);
    (files, left_out)
}

/// Whether a part is shown within the text: it says so, or the text refers to it.
fn is_inline(part: &MessagePart<'_>) -> bool {
    match part.content_disposition() {
        Some(disposition) => disposition.ctype().eq_ignore_ascii_case("inline"),
        None => part.content_id().is_some(),
    }
}

/// Whether a part is what a broken frame left of the text: nobody called it a file.
fn is_stray_text(part: &MessagePart<'_>) -> bool {
    let is_text = part.content_type().is_none_or(|kind| {
        let subtype = kind.subtype().unwrap_or_default();
        let is = |name: &str| kind.ctype().eq_ignore_ascii_case(name);
        is("multipart") || is("text") && ["", "plain", "html"].contains(&subtype)
    });
    is_text && part.attachment_name().is_none() && part.content_disposition().is_none()
}

/// The name of a file; one that has none is called by its kind.
fn name(part: &MessagePart<'_>, media_type: &str) -> String {
    if let Some(name) = part.attachment_name() {
        return name.to_owned();
    }
    let ending = match media_type {
        "message/rfc822" => ".eml",
        "application/pdf" => ".pdf",
        "image/jpeg" => ".jpg",
        "image/png" => ".png",
        "text/plain" => ".txt",
        _ => "",
    };
    format!("attachment{ending}")
}

/// Longest media type; a longer one counts as none.
const MEDIA_TYPE_BYTES_MAX: usize = 100;

fn media_type(part: &MessagePart<'_>) -> String {
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
    fn a_file_without_a_name_gets_one_and_never_becomes_the_text() {
        let mail = b"MIME-Version: 1.0\r\nContent-Type: application/pdf\r\n\
            Content-Transfer-Encoding: base64\r\n\r\nJVBERi0xLjcK\r\n";
        let content = content(mail);
        assert_eq!(content.body, "");
        assert_eq!(content.attachments[0].name, "attachment.pdf");
        assert_eq!(content.attachments[0].bytes, b"%PDF-1.7\n");
    }

    #[test]
    fn parts_that_are_shown_within_the_text_are_no_files() {
        let part = |head: &str| format!("--b\r\nContent-Type: image/png\r\n{head}\r\n\r\nx\r\n");
        let mail = format!(
            "MIME-Version: 1.0\r\nContent-Type: multipart/related; boundary=b\r\n\r\n--b\r\n\
             Content-Type: text/plain\r\n\r\nSee.\r\n{}{}{}--b--\r\n",
            part("Content-Disposition: inline; filename=logo.png"),
            part("Content-ID: <logo@x>"),
            part("Content-ID: <a@x>\r\nContent-Disposition: attachment; filename=a.png"),
        );
        let content = content(mail.as_bytes());
        let names: Vec<&str> = content
            .attachments
            .iter()
            .map(|file| file.name.as_str())
            .collect();
        assert_eq!((content.body.as_str(), names), ("See.", vec!["a.png"]));
    }

    #[track_caller]
    fn check(mail: &str, body: &str, files: &[&str]) {
        let content = content(mail.replace('\n', "\r\n").as_bytes());
        let names: Vec<&str> = content
            .attachments
            .iter()
            .map(|file| file.name.as_str())
            .collect();
        assert_eq!((content.body.as_str(), names.as_slice()), (body, files));
    }

    const MIXED: &str = "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\
                         Content-Type: text/plain\n\nAbove.\n--b\n";

    #[test]
    fn text_before_and_after_a_picture_is_one_text() {
        let picture = "Content-Type: image/png; name=a.png\n\nx\n--b\n";
        let below = "Content-Type: text/html\n\n<p>Be<b>low</b>.</p>\n--b--\n";
        check(
            &format!("{MIXED}{picture}{below}"),
            "Above.\n\nBe**low**.",
            &["a.png"],
        );
    }

    #[test]
    fn a_text_with_a_name_beside_another_is_a_file_also_where_it_is_to_be_shown() {
        let patch = "Content-Type: text/plain\nContent-Disposition: inline; filename=a.patch\n\n\
                     +1\n--b--\n";
        check(&format!("{MIXED}{patch}"), "Above.", &["a.patch"]);
    }

    #[test]
    fn a_text_that_does_not_say_which_is_plain() {
        check(
            "Content-Type: text; charset=iso-8859-1\nContent-Transfer-Encoding: quoted-printable\n\n\
             Sch=F6n.\n",
            "Schön.",
            &[],
        );
    }

    #[test]
    fn a_text_without_an_empty_line_above_it_is_read() {
        let head = "From: alice@example.test\nSubject: here\n it is\n";
        check(
            &format!("{head}No line, no time.\n"),
            "No line, no time.",
            &[],
        );
        check(head, "", &[]);
    }

    #[test]
    fn a_part_that_says_twice_what_it_is_ends_where_either_does() {
        check(
            "MIME-Version: 1.0\nContent-Type: multipart/alternative; boundary=b\nContent-Type: \
             text/plain\n\nHello.\n--b\nContent-Type: text/html\n\n<p>Hello.</p>\n--b--\n",
            "Hello.",
            &[],
        );
    }

    #[test]
    fn what_is_salvaged_has_a_limit() {
        let mut mail = b"Content-Type: multipart/mixed\r\n\r\n".to_vec();
        mail.extend(b"word ".repeat(1 << 20));
        assert!(content(&mail).body.len() <= body::SALVAGED_BYTES_MAX);
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
