//! The text of a mail as a person reads it: each part that is shown, one after the other, as Markdown.
//! Pure; it knows nothing of files, and returns something for every state that a mail's MIME is in.

use mail_parser::{ContentType, HeaderName, Message, MessagePart, MimeHeaders as _, PartType};

use crate::handlers::channels::email::{flowed, headers, html};

/// Returns the parts that are shown, each in the kind that says most: HTML as Markdown, or the plain text
/// where there is no HTML or nothing in it.
pub fn text(mail: &Message<'_>) -> String {
    let forwards = is_forward(mail.subject().unwrap_or_default());
    let read = |part: &MessagePart<'_>| read(part, forwards);
    let bodies: Vec<_> = mail.html_bodies().map(|part| (part, read(part))).collect();
    let is_hollow = |(part, text): &(&MessagePart<'_>, String)| {
        matches!(part.body, PartType::Html(_)) && text.trim().is_empty()
    };
    let shown: Vec<String> = if bodies.iter().any(is_hollow) {
        let bodies = mail.text_bodies().enumerate();
        let shown = bodies.filter(|(number, part)| !is_named_text(*number, part));
        shown.map(|(_, part)| read(part)).collect()
    } else {
        let bodies = bodies.into_iter().enumerate();
        let shown = bodies.filter(|(number, (part, _))| !is_named_text(*number, part));
        shown.map(|(_, (_, text))| text).collect()
    };
    let untyped = mail.attachments().filter(|part| is_untyped(part));
    let texts: Vec<String> = shown.into_iter().chain(untyped.map(decoded)).collect();
    let texts = texts.iter().map(|text| text.trim_matches(['\r', '\n']));
    let texts: Vec<&str> = texts.filter(|text| !text.trim().is_empty()).collect();
    texts.join("\n\n")
}

/// Returns the texts that are files, though the mail wants them to be shown.
pub fn named_texts<'a>(mail: &'a Message<'_>) -> impl Iterator<Item = &'a MessagePart<'a>> {
    let bodies = mail.text_bodies().enumerate();
    let named = bodies.filter(|(number, part)| is_named_text(*number, part));
    named.map(|(_, part)| part)
}

/// Whatever stands beside another text and has a name is a file.
fn is_named_text(number: usize, part: &MessagePart<'_>) -> bool {
    let is_text = matches!(part.body, PartType::Text(_) | PartType::Html(_));
    number > 0 && is_text && part.attachment_name().is_some()
}

fn read(part: &MessagePart<'_>, forwards: bool) -> String {
    match &part.body {
        PartType::Html(html) => html::to_markdown(html, forwards),
        PartType::Text(text) => {
            let text = text.replace("\r\n", "\n");
            let text = within_frame(part, &text);
            unflowed(part, text).unwrap_or_else(|| text.to_owned())
        }
        PartType::Binary(_)
        | PartType::InlineBinary(_)
        | PartType::Message(_)
        | PartType::Multipart(_) => String::new(),
    }
}

/// Cuts a text where a delimiter stands that its own header announces: the header says twice what the part
/// is, and other readers take it for a whole of parts, of which this is the first.
fn within_frame<'a>(part: &MessagePart<'_>, text: &'a str) -> &'a str {
    let kinds = part
        .headers
        .iter()
        .filter(|header| header.name == HeaderName::ContentType)
        .filter_map(|header| header.value.as_content_type());
    let boundaries = kinds.filter_map(|kind| kind.attribute("boundary"));
    let ends = boundaries.filter_map(|boundary| text.find(&format!("\n--{boundary}")));
    &text[..ends.min().unwrap_or(text.len())]
}

/// Whether a part says that it is a text, but not which; it is plain then (RFC 2045, section 5.2).
fn is_untyped(part: &MessagePart<'_>) -> bool {
    let is_text = |kind: &ContentType<'_>| {
        kind.ctype().eq_ignore_ascii_case("text") && kind.subtype().is_none_or(str::is_empty)
    };
    part.content_type().is_some_and(is_text)
        && part.attachment_name().is_none()
        && part.content_disposition().is_none()
}

fn decoded(part: &MessagePart<'_>) -> String {
    let text = match &part.body {
        PartType::Text(text) => text.to_string(),
        _ => String::from_utf8_lossy(part.contents()).into_owned(),
    };
    text.replace("\r\n", "\n")
}

/// What mail programs put before the subject of a mail that is forwarded, in the languages that they
/// write it in.
const FORWARD_MARKS: [&str; 13] = [
    "fwd", "fw", "wg", "tr", "rv", "enc", "i", "vs", "vb", "vl", "pd", "doorst", "转发",
];

/// Whether a mail forwards another: then what looks like a quote is what it is about. An answer to one
/// begins with another mark.
fn is_forward(subject: &str) -> bool {
    let mark = subject.split_once(':').map(|(mark, _)| mark.trim());
    mark.is_some_and(|mark| {
        FORWARD_MARKS
            .iter()
            .any(|known| mark.eq_ignore_ascii_case(known))
    })
}

/// Joins the lines of a part that says they were broken for display only.
fn unflowed(part: &MessagePart<'_>, text: &str) -> Option<String> {
    let kind = part.content_type().filter(|_| part.is_text())?;
    let says = |name: &str, value: &str| {
        let said = kind.attribute(name);
        said.is_some_and(|said| said.eq_ignore_ascii_case(value))
    };
    let is_plain = kind
        .subtype()
        .is_some_and(|kind| kind.eq_ignore_ascii_case("plain"));
    (is_plain && says("format", "flowed")).then(|| flowed::unflow(text, says("delsp", "yes")))
}

/// Longest text that is salvaged from a broken mail, in bytes; the rest is left out.
pub const SALVAGED_BYTES_MAX: usize = 256 << 10;

/// Reads the text out of parts that do not begin or end as they should: a broken mail must not look
/// like an empty one.
pub fn salvaged(raw: &[u8]) -> String {
    let header = headers::head(raw).len();
    let most = raw.len().min(header + SALVAGED_BYTES_MAX);
    let text = String::from_utf8_lossy(&raw[..most]).replace("\r\n", "\n");
    let written = without_fields(&text);
    let is_frame = |line: &&str| {
        let start = line.get(..8).unwrap_or_default();
        line.starts_with("--") || start.eq_ignore_ascii_case("content-")
    };
    let lines: Vec<&str> = written.lines().filter(|line| !is_frame(line)).collect();
    lines.join("\n").trim().to_owned()
}

/// Returns a mail from the first line that is no field of its header, whether that is an empty one or not.
fn without_fields(text: &str) -> &str {
    let is_field = |line: &str| {
        let (name, _) = line.split_once(':').unwrap_or_default();
        let name = name.trim_end();
        let is_name = !name.is_empty() && !name.contains(' ');
        is_name || line.starts_with([' ', '\t']) || line.starts_with("From ")
    };
    let fields = text.split_inclusive('\n').take_while(|line| is_field(line));
    &text[fields.map(str::len).sum()..]
}
