//! Mail that nobody wrote to be answered: automatic replies, lists, bounces, our own. Answering it
//! would make loops (RFC 3834, section 2). Pure; what is only told by the parts of a mail, such as an
//! invitation, is found where those are read.

use crate::handlers::channels::email::auth;
use crate::handlers::channels::email::headers::Headers;
use crate::handlers::channels::email::recipients::without_tag;

/// Fields that only lists and newsletters write (RFC 2369, RFC 2919), and older lists.
const OF_LISTS: [&str; 9] = [
    "list-id",
    "list-help",
    "list-unsubscribe",
    "list-subscribe",
    "list-post",
    "list-owner",
    "list-archive",
    "mailing-list",
    "x-mailing-list",
];

/// Fields that programs wrote before there was `Auto-Submitted`, and some still do.
const OF_PROGRAMS: [&str; 6] = [
    "x-autoreply",
    "x-autorespond",
    "x-autoreply-from",
    "x-auto-reply",
    "x-mail-autoreply",
    "x-vacation",
];

/// Media types of what servers and mail programs write about a mail: bounces (RFC 3464), notices that
/// it was read (RFC 8098), complaints (RFC 5965).
const OF_REPORTS: [&str; 5] = [
    "multipart/report",
    "message/delivery-status",
    "message/disposition-notification",
    "message/feedback-report",
    "message/global-delivery-status",
];

/// Says why a mail is not to be answered, if so. `own` are the names that Airut writes mail under:
/// its account and its `From`.
pub fn reason(headers: &Headers, own: [&str; 2]) -> Option<String> {
    automatic(headers)
        .or_else(|| of_many(headers))
        .or_else(|| about_a_mail(headers))
        .or_else(|| of_ourselves(headers, own))
}

/// A program wrote it, and says so.
fn automatic(headers: &Headers) -> Option<String> {
    let is_yes = |value: &&str| !first_word(value).eq_ignore_ascii_case("no");
    if let Some(value) = headers.all("auto-submitted").find(is_yes) {
        return Some(format!(
            "it was sent automatically (Auto-Submitted: {value})"
        ));
    }
    for name in OF_PROGRAMS {
        if headers.all(name).any(|value| is_yes(&value)) {
            return Some(format!("it was sent automatically ({name})"));
        }
    }
    // Exchange's mark on what must not be answered by programs: its own absence notices have it, and
    // what services send (MS-OXCMAIL, 2.2.3.2.14). `DR` and `OOF` alone stand on people's mail too.
    let forbids = |value: &str| {
        let mut words = value.split([',', ';']).map(str::trim);
        words.any(|word| word.eq_ignore_ascii_case("all") || word.eq_ignore_ascii_case("autoreply"))
    };
    let mut suppressed = headers.all("x-auto-response-suppress");
    if let Some(value) = suppressed.find(|value| forbids(value)) {
        return Some(format!(
            "it forbids automatic answers (X-Auto-Response-Suppress: {value})"
        ));
    }
    None
}

/// It went to many, of whom Airut is one.
fn of_many(headers: &Headers) -> Option<String> {
    let is_bulk = |value: &&str| {
        let bulk = ["bulk", "list", "junk", "auto_reply", "auto-reply"];
        bulk.iter()
            .any(|word| first_word(value).eq_ignore_ascii_case(word))
    };
    if let Some(value) = headers.all("precedence").find(is_bulk) {
        return Some(format!("it was not written to us (Precedence: {value})"));
    }
    let list = OF_LISTS
        .iter()
        .find(|name| headers.first(name).is_some())
        .copied();
    list.map(|name| format!("it came through a mailing list ({name})"))
}

/// A server or a mail program says what became of another mail.
fn about_a_mail(headers: &Headers) -> Option<String> {
    let is_empty = |path: &str| path.replace([' ', '\t'], "") == "<>";
    if headers.first("return-path").is_some_and(is_empty) {
        return Some("it is a bounce: its Return-Path is empty".to_owned());
    }
    if headers.first("x-failed-recipients").is_some() {
        return Some("it is a bounce (X-Failed-Recipients)".to_owned());
    }
    let kind = headers
        .first("content-type")
        .map(first_word)
        .unwrap_or_default();
    if OF_REPORTS
        .iter()
        .any(|report| kind.eq_ignore_ascii_case(report))
    {
        return Some(format!("it is a report about a mail ({kind})"));
    }
    let from = auth::from_address(headers).ok()?;
    let (name, _) = from.split_once('@')?;
    (name == "mailer-daemon").then(|| "it comes from a mail server (mailer-daemon)".to_owned())
}

/// Airut wrote it, under whatever tag.
fn of_ourselves(headers: &Headers, own: [&str; 2]) -> Option<String> {
    let from = without_tag(&auth::from_address(headers).ok()?);
    let is_own = own.into_iter().any(|name| bare(name) == from);
    is_own.then(|| "it comes from Airut's own address".to_owned())
}

/// Returns what stands before parameters and comments.
fn first_word(value: &str) -> &str {
    let end = value.find([';', '(', ' ', '\t']);
    value[..end.unwrap_or(value.len())].trim()
}

/// Reads the address out of `Name <a@b>`, in lower case.
pub fn bare(name: &str) -> String {
    let address = name.rsplit('<').next().unwrap_or_default();
    address.trim().trim_end_matches('>').to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: [&str; 2] = ["bot@example.test", "Airut <airut@example.test>"];

    /// Gap 32: answers of machines and mails of lists began tasks.
    #[test]
    fn what_nobody_wrote_is_filtered_and_letters_are_not() {
        for head in [
            "Auto-Submitted: auto-replied",
            "Auto-Submitted: auto-generated; owner-email=\"alice@example.test\"",
            "Auto-Submitted: no\nAuto-Submitted: auto-replied",
            "Precedence: bulk",
            "Precedence: Auto_Reply",
            "X-Autoreply: yes",
            "X-Autorespond: Away",
            "X-Auto-Response-Suppress: DR, OOF, AutoReply",
            "X-Auto-Response-Suppress: All",
            "List-Id: <all.example.test>",
            "List-Unsubscribe: <mailto:leave@example.test>",
            "Return-Path: <>",
            "Return-Path: < >",
            "X-Failed-Recipients: bot@example.test",
            "Content-Type: multipart/report; report-type=delivery-status",
            "Content-Type: Multipart/Report (why); report-type=disposition-notification",
            "Content-Type: message/feedback-report",
            "From: Mail Delivery System <MAILER-DAEMON@mail.example.test>",
            "From: Airut <bot@example.test>",
            "From: Bot@Example.Test",
            "From: Airut <bot+opus@example.test>",
            "From: \"Airut, at work\" <airut@example.test>",
        ] {
            assert!(
                reason(&Headers::of(head.as_bytes()), OWN).is_some(),
                "{head}"
            );
        }
        for from in ["alice@example.test", "Bot <robot@example.test>"] {
            let letter = format!(
                "From: {from}\nAuto-Submitted: no (a person)\nReturn-Path: <a@b>\nPrecedence: first\n\
                 X-Auto-Response-Suppress: DR, OOF\nContent-Type: multipart/mixed; boundary=report\n"
            );
            assert_eq!(reason(&Headers::of(letter.as_bytes()), OWN), None);
        }
    }
}
