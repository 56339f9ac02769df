//! Mail that nobody wrote to be answered: automatic replies, lists, bounces, our own. Answering it
//! would make loops (RFC 3834). Pure.

use crate::handlers::channels::email::auth;
use crate::handlers::channels::email::headers::Headers;

/// Says why a mail is not to be answered, if so. `own` are the names that Airut writes mail under:
/// its account and its `From`.
pub fn reason(headers: &Headers, own: [&str; 2]) -> Option<String> {
    let lower = |name: &'static str| headers.first(name).map(str::to_ascii_lowercase);
    if let Some(value) = lower("auto-submitted")
        && value
            .split(';')
            .next()
            .is_some_and(|word| word.trim() != "no")
    {
        return Some(format!(
            "it was sent automatically (Auto-Submitted: {value})"
        ));
    }
    if let Some(value) = lower("precedence")
        && matches!(value.as_str(), "bulk" | "list" | "junk" | "auto_reply")
    {
        return Some(format!("it was not written to us (Precedence: {value})"));
    }
    // What programs wrote before there was Auto-Submitted, and some still do.
    for name in ["x-autoreply", "x-autorespond"] {
        if lower(name).is_some_and(|value| value != "no") {
            return Some(format!("it was sent automatically ({name})"));
        }
    }
    if lower("list-id").is_some() {
        return Some("it came through a mailing list".to_owned());
    }
    if lower("return-path").is_some_and(|path| path.replace(' ', "") == "<>") {
        return Some("it is a bounce".to_owned());
    }
    if lower("content-type").is_some_and(|kind| kind.starts_with("multipart/report")) {
        return Some("it is a delivery report".to_owned());
    }
    let from = auth::from_address(headers).ok()?;
    let is_own = own.into_iter().any(|name| bare(name) == from);
    is_own.then(|| "it comes from Airut's own address".to_owned())
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

    #[test]
    fn what_nobody_wrote_is_filtered_and_letters_are_not() {
        for head in [
            "Auto-Submitted: auto-replied",
            "Precedence: bulk",
            "Precedence: auto_reply",
            "X-Autoreply: yes",
            "X-Autorespond: Away",
            "List-Id: <all.example.test>",
            "Return-Path: <>",
            "Content-Type: multipart/report; report-type=delivery-status",
            "From: Airut <bot@example.test>",
            "From: Bot@Example.Test",
            "From: \"Airut, at work\" <airut@example.test>",
        ] {
            assert!(
                reason(&Headers::of(head.as_bytes()), OWN).is_some(),
                "{head}"
            );
        }
        for from in ["alice@example.test", "Bot <robot@example.test>"] {
            let letter = format!("From: {from}\nAuto-Submitted: no\nReturn-Path: <a@b>\n");
            assert_eq!(reason(&Headers::of(letter.as_bytes()), OWN), None);
        }
    }
}
