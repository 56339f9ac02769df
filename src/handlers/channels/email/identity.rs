//! What makes two mails the same: the `Message-ID` and the content, without what the servers on
//! the way wrote above it. It knows no mailbox and no log. Pure.

use sha2::Digest as _;

use crate::events::id::Sha256;
use crate::handlers::channels::email::headers::{self, Headers};
use crate::handlers::channels::email::parse;

/// Header fields that the route leaves and not the sender (RFC 5321, section 4.4; RFC 7208,
/// section 9.1; RFC 8617): they differ between two copies that came by two routes. `DKIM-Signature`
/// is not among them, because whether a mail is authentic follows from it.
const TRACE: [&str; 12] = [
    "received",
    "return-path",
    "delivered-to",
    "x-original-to",
    "x-delivered-to",
    "envelope-to",
    "x-envelope-to",
    "received-spf",
    "arc-seal",
    "arc-message-signature",
    "arc-authentication-results",
    "x-received",
];

/// Longest part of a `Message-ID` in a key, in characters; the digest beside it tells mails apart
/// in any case.
const ID_CHARS_MAX: usize = 200;

/// Returns the key of a mail in an account: the same for each copy of it, however it comes.
///
/// What a server found out about the mail is part of the key, without its comments, so that a
/// forged copy that comes first does not make the genuine one its duplicate. A mail without a
/// `Message-ID`, and any mail unless `routes_count_alike`, counts with every byte that is there of it:
/// one that is not whole, or whose route is what proves its sender.
pub fn dedupe_key(account: &str, raw: &[u8], routes_count_alike: bool) -> String {
    Identity::new(raw, routes_count_alike).key(account)
}

/// What makes a mail the same, found while the mail comes piece by piece.
pub struct Identity {
    id: String,
    /// Digest of the sender's fields, where the route's do not count.
    fields: Option<Sha256>,
    /// Of everything behind them, or of all there is.
    text: sha2::Sha256,
}

impl Identity {
    /// Begins with the first piece of a mail, in which its whole header is.
    pub fn new(first: &[u8], routes_count_alike: bool) -> Self {
        let head = headers::head(first);
        let headers = Headers::of(head);
        let id = parse::one_line(headers.first("message-id").unwrap_or_default());
        let id: String = id.chars().take(ID_CHARS_MAX).collect();
        let counts_whole = id.is_empty() || !routes_count_alike;
        let text = if counts_whole {
            first
        } else {
            &first[head.len()..]
        };
        Self {
            id,
            fields: (!counts_whole).then(|| sender_fields(head)),
            text: sha2::Sha256::new_with_prefix(text),
        }
    }

    /// Reads the next piece.
    pub fn read(&mut self, piece: &[u8]) {
        self.text.update(piece);
    }

    /// Returns the key of the mail in an account.
    pub fn key(self, account: &str) -> String {
        let text = Sha256(self.text.finalize().into());
        let digest = match self.fields {
            // Two digests in one, so that no text can be taken for a header.
            Some(fields) => Sha256::of(format!("{fields}{text}").as_bytes()),
            None => text,
        };
        format!("mail:{account}:{}#{digest}", self.id)
    }
}

/// Digests the sender's header fields.
fn sender_fields(head: &[u8]) -> Sha256 {
    let mut fields = Vec::with_capacity(head.len());
    for field in raw_fields(head) {
        let name = field.split(|byte| *byte == b':').next().unwrap_or_default();
        let name = String::from_utf8_lossy(name).trim().to_ascii_lowercase();
        if TRACE.contains(&name.as_str()) {
            continue;
        }
        if name == "authentication-results" {
            fields.extend(without_comments(field));
        } else {
            fields.extend_from_slice(field);
        }
    }
    Sha256::of(&fields)
}

/// Splits a header into its fields, each with the lines that continue it.
fn raw_fields(head: &[u8]) -> Vec<&[u8]> {
    let (mut fields, mut start, mut at) = (Vec::new(), 0, 0);
    for line in head.split_inclusive(|byte| *byte == b'\n') {
        let continues = matches!(line.first(), Some(b' ' | b'\t'));
        if !continues && at > start {
            fields.push(&head[start..at]);
            start = at;
        }
        at += line.len();
    }
    if at > start {
        fields.push(&head[start..at]);
    }
    fields
}

/// Returns a field without its comments (RFC 5322, section 3.2.2), which name the host that a copy
/// came from, and without white space.
fn without_comments(field: &[u8]) -> Vec<u8> {
    let mut depth = 0_usize;
    let mut kept = Vec::with_capacity(field.len());
    for byte in field {
        match byte {
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            byte if depth == 0 && !byte.is_ascii_whitespace() => kept.push(*byte),
            _ => {}
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAIL: &str = "From: a@example.test\r\nMessage-ID: <1@x>\r\nSubject: Hi\r\n\tthere\r\n\r\n\
                        Received: text\r\n";

    fn key(mail: &str) -> String {
        dedupe_key("bot@server", mail.as_bytes(), true)
    }

    #[test]
    fn two_copies_by_two_routes_are_one_mail() {
        let to = "Return-Path: <a@example.test>\r\nDelivered-To: bot@example.test\r\n\
                  Received: from one\r\n\tby two; Mon\r\n\
                  Authentication-Results: mx; spf=pass (10.0.0.1) smtp.mailfrom=a; dmarc=pass\r\n";
        let alias = "Delivered-To: alias@example.test\r\nRECEIVED: from three\r\n by four\r\n\
                     X-Original-To: alias\r\nAuthentication-Results: mx;\r\n spf=pass (10.0.0.2) \
                     smtp.mailfrom=a; dmarc=pass\r\n";
        assert_eq!(key(&format!("{to}{MAIL}")), key(&format!("{alias}{MAIL}")));
    }

    #[test]
    fn another_content_or_another_verdict_is_another_mail() {
        let verdict = |word: &str| format!("Authentication-Results: mx; dmarc={word}\r\n{MAIL}");
        let keys = [
            key(MAIL),
            key(&MAIL.replace("there", "here")),
            key(&MAIL.replace("Received: text", "Received: word")),
            key(&MAIL.replace("<1@x>", "<2@x>")),
            key(&MAIL.replace("From:", "DKIM-Signature: b=1\r\nFrom:")),
            key(&verdict("pass")),
            key(&verdict("fail")),
            dedupe_key("other@server", MAIL.as_bytes(), true),
        ];
        let distinct: std::collections::BTreeSet<&String> = keys.iter().collect();
        assert_eq!(distinct.len(), keys.len());
    }

    #[test]
    fn a_mail_that_comes_in_pieces_has_the_key_of_the_whole() {
        for (mail, alike) in [
            (MAIL, true),
            (MAIL, false),
            (&MAIL.replace("Message-ID", "X"), true),
        ] {
            let first = MAIL.find("Received").unwrap() + 3;
            for at in [first, mail.len() - 1, mail.len()] {
                let (first, rest) = mail.as_bytes().split_at(at);
                let mut identity = Identity::new(first, alike);
                rest.chunks(4).for_each(|piece| identity.read(piece));
                let whole = dedupe_key("bot@server", mail.as_bytes(), alike);
                assert_eq!(identity.key("bot@server"), whole);
            }
        }
    }

    #[test]
    fn without_an_id_or_a_whole_text_every_byte_counts() {
        let nameless = MAIL.replace("Message-ID", "Subject");
        let copy = |mail: &str| format!("Received: from one\r\n{mail}");
        assert_ne!(key(&nameless), key(&copy(&nameless)));
        let header_only = |mail: &str| dedupe_key("bot@server", mail.as_bytes(), false);
        assert_ne!(header_only(MAIL), header_only(&copy(MAIL)));
        assert_eq!(key(MAIL), key(&copy(MAIL)));
    }
}
