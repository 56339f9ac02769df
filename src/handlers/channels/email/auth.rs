//! Who a mail is from, as far as the trusted server vouches for it, and whether that sender may
//! use the repository (spec rows EML-10 to EML-16). Pure.

use crate::config::types::{EmailAuth, Verify};
use crate::events::message::{AuthenticationMethod, RejectionReason};
use crate::handlers::channels::email::headers::Headers;
use crate::handlers::channels::email::results::{self, MethodResult};
use crate::handlers::channels::email::verify::Proof;

/// A sender that is who it says it is, and may use the repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sender {
    /// The address, in lower case.
    pub address: String,
    /// How it was proven.
    pub method: AuthenticationMethod,
    /// What proved it.
    pub evidence: String,
    /// The configured pattern that permits it.
    pub rule: String,
}

/// Why a mail is not acted on.
pub type Rejection = (RejectionReason, String);

/// Judges the sender of a mail.
///
/// # Errors
/// The reason and the words of a rejection.
pub fn judge(
    headers: &Headers,
    auth: &EmailAuth,
    evidence: Option<&Proof>,
) -> Result<Sender, Rejection> {
    let unauthenticated = |detail: String| (RejectionReason::NotAuthenticated, detail);
    let address = from_address(headers).map_err(unauthenticated)?;
    let verdict = match auth.verify {
        Verify::Header => verdict(headers, auth, &address),
        Verify::Ourselves { .. } => own_verdict(&address, evidence),
    };
    let (method, evidence) = verdict.map_err(unauthenticated)?;
    let permits = |pattern: &&String| matches(pattern, &address);
    match auth.authorized_senders.iter().find(permits) {
        Some(_) if !can_be_answered(&address) => Err((
            RejectionReason::Unreadable,
            format!("{address} is permitted, but no answer can be addressed to it"),
        )),
        Some(rule) => Ok(Sender {
            address,
            method,
            evidence,
            rule: rule.clone(),
        }),
        None => Err((
            RejectionReason::NotAuthorized,
            format!("{address} matches no entry of authorized_senders"),
        )),
    }
}

/// Returns the one address of the one `From` field, in lower case.
///
/// # Errors
/// Words that say what is wrong with it.
pub fn from_address(headers: &Headers) -> Result<String, String> {
    if headers.is_ambiguous() {
        return Err("the header could be read in two ways".to_owned());
    }
    let mut fields = headers.all("from");
    let Some(field) = fields.next() else {
        return Err("the mail has no From".to_owned());
    };
    if fields.next().is_some() {
        return Err("the mail has more than one From".to_owned());
    }
    single_address(field).ok_or_else(|| format!("the From {field:?} is not one address"))
}

/// Reads `a@b` or `Name <a@b>`; anything that could be read in two ways is none. Quotes may stand
/// in the name only, for what they hide elsewhere may be the address that others read.
fn single_address(field: &str) -> Option<String> {
    let bare = without_quotes_and_comments(field)?;
    if bare.contains(',') || bare.contains(';') {
        return None;
    }
    plain_address(&bare)
}

/// Returns the addresses of a list such as `To`, in lower case; what could be read in two ways is
/// passed over.
pub fn addresses(field: &str) -> Vec<String> {
    let bare = without_quotes_and_comments(field).unwrap_or_default();
    let in_groups = |part: &str| {
        let member = part.rsplit_once(':').map_or(part, |(_, member)| member);
        plain_address(member)
    };
    bare.split([',', ';']).filter_map(in_groups).collect()
}

/// Reads an address without comments, and with `"` for each quoted string.
fn plain_address(bare: &str) -> Option<String> {
    let address = match bare.split_once('<') {
        None => bare.trim(),
        Some((name, rest)) => {
            let (address, after) = rest.split_once('>')?;
            if name.contains('@') || name.contains('>') || !after.trim().is_empty() {
                return None;
            }
            address.trim()
        }
    };
    is_address(address).then(|| address.to_ascii_lowercase())
}

/// Puts a `"` for each `"quoted string"` and a space for each `(comment)`; nothing when one of them
/// does not end.
fn without_quotes_and_comments(text: &str) -> Option<String> {
    let mut kept = String::with_capacity(text.len());
    let (mut quoted, mut depth, mut escaped) = (false, 0_u32, false);
    for character in text.chars() {
        let is_escaped = std::mem::take(&mut escaped);
        match character {
            '\\' if (quoted || depth > 0) && !is_escaped => escaped = true,
            '"' if depth == 0 && !is_escaped => {
                quoted = !quoted;
                if quoted {
                    kept.push('"');
                }
            }
            '(' if !quoted && !is_escaped => {
                depth += 1;
                kept.push(' ');
            }
            ')' if depth > 0 && !is_escaped => depth -= 1,
            _ if !quoted && depth == 0 => kept.push(character),
            _ => {}
        }
    }
    (!quoted && depth == 0).then_some(kept)
}

/// Whether an answer can be sent there: some addresses that servers deliver are outside the grammar.
fn can_be_answered(address: &str) -> bool {
    address.parse::<lettre::message::Mailbox>().is_ok()
}

/// Longest address of the grammar (RFC 5321); a longer one is none.
const ADDRESS_BYTES_MAX: usize = 254;

fn is_address(text: &str) -> bool {
    if text.len() > ADDRESS_BYTES_MAX {
        return false;
    }
    let Some((local, domain)) = text.split_once('@') else {
        return false;
    };
    let plain = |part: &str, also: &str| {
        let allowed = |c: char| c.is_ascii_alphanumeric() || also.contains(c);
        !part.is_empty() && part.chars().all(allowed)
    };
    let labels = domain.split('.').all(|label| !label.is_empty());
    plain(local, ".!#$%&'*+/=?^_`{|}~-") && plain(domain, ".-") && labels
}

/// Takes what Airut has found out itself, if it is about that sender.
fn own_verdict(
    address: &str,
    evidence: Option<&Proof>,
) -> Result<(AuthenticationMethod, String), String> {
    match evidence {
        Some(evidence) if !evidence.is_proven => Err(evidence.words.clone()),
        Some(evidence) if evidence.identity == address => {
            Ok((AuthenticationMethod::Dmarc, evidence.words.clone()))
        }
        Some(_) | None => Err("nobody has verified the mail".to_owned()),
    }
}

/// Finds the verdict of the trusted server: only the topmost field counts, for only that one is
/// certainly not the sender's own.
fn verdict(
    headers: &Headers,
    auth: &EmailAuth,
    address: &str,
) -> Result<(AuthenticationMethod, String), String> {
    let Some(field) = headers.first("authentication-results") else {
        let internal = headers.first("x-ms-exchange-organization-authas");
        let is_internal = internal.is_some_and(|value| value.eq_ignore_ascii_case("internal"));
        return if auth.microsoft_internal_fallback && is_internal {
            let evidence = "X-MS-Exchange-Organization-AuthAs: Internal".to_owned();
            Ok((AuthenticationMethod::MicrosoftInternal, evidence))
        } else {
            Err("no server has put an Authentication-Results on the mail".to_owned())
        };
    };
    let results = results::read(field).map_err(|error| error.to_string())?;
    let trusted = auth.trusted_authserv_id.trim();
    // Microsoft 365 writes no authserv-id at all: without a trusted one, anybody's word counts.
    let server = results.server.as_deref().unwrap_or_default();
    if !trusted.is_empty() && !server.eq_ignore_ascii_case(trusted) {
        return Err(format!(
            "the topmost Authentication-Results is by {server:?}, not {trusted:?}"
        ));
    }
    dmarc(&results.all, address)?;
    Ok((
        AuthenticationMethod::Dmarc,
        format!("Authentication-Results: {field}"),
    ))
}

/// Requires that DMARC passed, for the very domain of the `From`.
fn dmarc(results: &[MethodResult], address: &str) -> Result<(), String> {
    let domain = domain_of(address);
    let mut passed = false;
    for result in results.iter().filter(|result| result.method == "dmarc") {
        if result.result != "pass" {
            return Err(format!("dmarc={} for the mail", result.result));
        }
        let of = result.properties.iter();
        for (_, of) in of.filter(|(name, _)| name == "header.from") {
            let of = domain_of(of).trim_end_matches('.');
            if !of.eq_ignore_ascii_case(domain) {
                return Err(format!("dmarc=pass is for {of}, not for {domain}"));
            }
        }
        passed = true;
    }
    if passed {
        Ok(())
    } else {
        Err("the trusted server gives no dmarc=pass".to_owned())
    }
}

/// Returns what stands after the last `@`, or all of it.
fn domain_of(address: &str) -> &str {
    address
        .rsplit_once('@')
        .map_or(address, |(_, domain)| domain)
}

/// Whether a configured pattern permits an address: the same address, or `*@` and its domain.
fn matches(pattern: &str, address: &str) -> bool {
    let pattern = pattern.trim();
    match pattern.strip_prefix("*@") {
        Some(domain) => {
            let of = address.rsplit_once('@').map(|(_, domain)| domain);
            of.is_some_and(|of| of.eq_ignore_ascii_case(domain))
        }
        None => pattern.eq_ignore_ascii_case(address),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(head: &str) -> Result<Sender, Rejection> {
        let auth = EmailAuth {
            authorized_senders: vec!["alice@example.test".into(), "*@partner.test".into()],
            trusted_authserv_id: "mail.example.test".into(),
            microsoft_internal_fallback: false,
            verify: Verify::Header,
        };
        judge(&Headers::of(head.as_bytes()), &auth, None)
    }

    const PASS: &str = "Authentication-Results: mail.example.test; dmarc=pass\n";

    #[track_caller]
    fn check(head: &str, expected: Result<&str, RejectionReason>) {
        let judged = judged(head).map_err(|(reason, _)| reason);
        let actual = judged.map(|sender| sender.address);
        assert_eq!(actual, expected.map(str::to_owned), "{head}");
    }

    #[test]
    fn a_permitted_sender_with_a_trusted_pass_is_accepted() {
        for from in [
            "alice@example.test",
            "Alice <Alice@Example.TEST>",
            "\"Harbor, Alice\" <alice@example.test> (at work)",
        ] {
            check(&format!("{PASS}From: {from}\n"), Ok("alice@example.test"));
        }
        check(
            &format!("{PASS}From: bob@partner.test\n"),
            Ok("bob@partner.test"),
        );
    }

    #[test]
    fn a_from_that_could_be_two_is_refused() {
        for from in [
            "alice@example.test, mallory@evil.test",
            "alice@example.test <mallory@evil.test>",
            "<alice@example.test> <mallory@evil.test>",
            "\"unfinished <alice@example.test>",
            "alice@example.test\nFrom: alice@example.test",
            "Team: alice@example.test;",
            "alice@@example.test",
            "alice@example.test\"@evil.test\"",
            "\"mallory@evil.test\" alice@example.test",
            "<\"mallory\"alice@example.test>",
            "<alice@example.test\"@evil.test\">",
            "<alice@example.test> \"or mallory\"",
            "alice(or)@example.test",
            "",
        ] {
            check(
                &format!("{PASS}From: {from}\n"),
                Err(RejectionReason::NotAuthenticated),
            );
        }
    }

    #[test]
    fn a_sender_whom_no_answer_reaches_is_refused_with_words() {
        let long = "x".repeat(64);
        for address in [
            "alice..bob@partner.test".to_owned(),
            ".alice@partner.test".to_owned(),
            format!("{long}x@partner.test"),
        ] {
            let head = format!("{PASS}From: {address}\n");
            let (reason, detail) = judged(&head).unwrap_err();
            assert_eq!(reason, RejectionReason::Unreadable, "{address}");
            assert!(detail.contains("no answer"), "{detail}");
        }
        let domain = format!("{PASS}From: alice@{long}.test\n");
        check(&domain, Err(RejectionReason::NotAuthorized));
        check(
            &format!("{PASS}From: {long}@partner.test\n"),
            Ok(&format!("{long}@partner.test")),
        );
    }

    #[test]
    fn only_the_topmost_verdict_of_the_trusted_server_counts() {
        let from = "From: alice@example.test\n";
        for verdict in [
            "evil.test; dmarc=pass",
            "mail.example.test; spf=pass; dkim=pass",
            "mail.example.test; dmarc=fail",
            "mail.example.test; dmarc=fail (dmarc=pass)",
            "mail.example.test; x=\"; dmarc=pass\"",
            "mail.example.test; notdmarc=pass",
            "mail.example.test; dmarc=passed",
            "mail.example.test; dmarc=pass header.from=evil.test",
            "mail.example.test; dmarc=none; dmarc=pass",
            "mail.example.test.evil.test; dmarc=pass",
        ] {
            let head = format!("Authentication-Results: {verdict}\n{PASS}{from}");
            check(&head, Err(RejectionReason::NotAuthenticated));
        }
        let full = "Authentication-Results: mail.example.test 1;\n spf=none (why);\n \
                    DMARC=Pass (p=reject) header.from=example.test\n";
        check(&format!("{full}{from}"), Ok("alice@example.test"));
    }

    #[test]
    fn a_mail_with_any_trick_of_a_forged_sender_is_refused() {
        let ours = "Authentication-Results: mail.example.test; dmarc=";
        let from = "From: alice@example.test\n";
        for head in [
            format!("{ours}pass header.from=evil.test\n{from}"),
            format!("{ours}pass header.from=example.test.evil.test\n{from}"),
            format!("{ours}pass header.from=example.test header.from=evil.test\n{from}"),
            format!(
                "{ours}pass header.from=example.test; dmarc=pass header.from=evil.test\n{from}"
            ),
            format!("{ours}fail header.from=evil.test\n{PASS}{from}"),
            format!("Authentication-Results: evil.test; dmarc=pass\n{PASS}{from}"),
            format!("Authentication-Results: \"mail.example.test\" evil; dmarc=pass\n{from}"),
            format!("Authentication-Results:\n{PASS}{from}"),
            format!("Authentication-Results : evil.test; dmarc=pass\n{PASS}{from}"),
            format!("ARC-Authentication-Results: i=1; mail.example.test; dmarc=pass\n{from}"),
            format!("X-Authentication-Results: mail.example.test; dmarc=pass\n{from}"),
            format!("Subject: x\n{from}\n{PASS}"),
            format!("{PASS}From: mallory@evil.test\n{from}"),
            format!("{PASS}from : mallory@evil.test\n{from}"),
            format!("{PASS}Subject: x\rFrom: mallory@evil.test\n{from}"),
            format!("{PASS}X: \0\n{from}"),
            format!("{PASS}From: \"alice@example.test\" <mallory@evil.test>\n"),
            format!("{PASS}From: =?utf-8?q?alice=40example=2Etest?= <mallory@evil.test>\n"),
            format!("{PASS}From: alice@example.test (<mallory@evil.test>\n"),
            format!("{PASS}From: alice@ex\u{430}mple.test\n"),
            format!("{PASS}From: Friends: alice@example.test;\n"),
            format!("{PASS}Sender: alice@example.test\n"),
        ] {
            assert!(judged(&head).is_err(), "{head}");
        }
    }

    #[test]
    fn strangers_and_subdomains_are_not_authorized() {
        for from in [
            "mallory@example.test",
            "bob@sub.partner.test",
            "bob@xpartner.test",
        ] {
            check(
                &format!("{PASS}From: {from}\n"),
                Err(RejectionReason::NotAuthorized),
            );
        }
    }

    #[track_caller]
    fn check_microsoft(trusted: &str, fallback: bool, head: &str, accepted: bool) {
        let auth = EmailAuth {
            authorized_senders: vec!["alice@example.test".into()],
            trusted_authserv_id: trusted.into(),
            microsoft_internal_fallback: fallback,
            verify: Verify::Header,
        };
        let head = format!("{head}From: alice@example.test\n");
        let judged = judge(&Headers::of(head.as_bytes()), &auth, None);
        assert_eq!(judged.is_ok(), accepted, "{head} {judged:?}");
    }

    #[test]
    fn an_empty_authserv_id_trusts_the_topmost_verdict_of_any_server() {
        let unnamed = "Authentication-Results: spf=pass (x) smtp.mailfrom=example.test; dkim=pass\n \
                       header.d=example.test;dmarc=pass action=none header.from=example.test;\n \
                       compauth=pass reason=100\n";
        check_microsoft("", false, unnamed, true);
        check_microsoft("", false, PASS, true);
        check_microsoft("mail.example.test", false, unnamed, false);
        let failed = "Authentication-Results: dmarc=fail action=none\n";
        check_microsoft("", false, &format!("{failed}{PASS}"), false);
    }

    #[test]
    fn microsofts_mark_counts_only_where_no_verdict_is() {
        let mark = "X-MS-Exchange-Organization-AuthAs: Internal\n";
        check_microsoft("mail.example.test", true, mark, true);
        check_microsoft("mail.example.test", false, mark, false);
        let anonymous = "X-MS-Exchange-Organization-AuthAs: Anonymous\n";
        check_microsoft("mail.example.test", true, anonymous, false);
        let failed = "Authentication-Results: mail.example.test; dmarc=fail\n";
        check_microsoft("mail.example.test", true, &format!("{failed}{mark}"), false);
    }
}
