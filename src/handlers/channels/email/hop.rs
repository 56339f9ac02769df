//! Who handed a mail to the trusted server: what that server wrote into the topmost `Received` and
//! `Return-Path` (RFC 5321, section 4.4). Pure.
//!
//! Parts of these fields are the client's own words (its `HELO`, the name that its address claims), so
//! only the form that Postfix, Exim and Sendmail write is read, and nothing that could be read in two
//! ways. Without a hop there is no SPF, and a mail must be proven by its signature.

use std::net::IpAddr;

use crate::handlers::channels::email::auth::addresses;
use crate::handlers::channels::email::headers::Headers;

/// The last step of a mail's way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hop {
    /// The client's address.
    pub ip: IpAddr,
    /// The name it gave itself.
    pub helo: String,
    /// The envelope's sender.
    pub sender: String,
}

/// Reads the hop into `server`, its name in lower case; nothing when the topmost fields are not that
/// server's, or not in the expected form.
pub fn into(headers: &Headers, server: &str) -> Option<Hop> {
    // A Return-Path below the topmost Received was there before the server got the mail.
    let path = headers.first_before("return-path", "received")?;
    let [sender] = <[String; 1]>::try_from(addresses(path)).ok()?;
    let field = headers.first("received")?;
    let rest = field.strip_prefix("from ")?.trim_start();
    let (helo, rest) = rest.split_once(' ')?;
    let (client, rest) = comment(rest)?;
    let by = after_comments(rest)?.strip_prefix("by ")?;
    let by = by.split([' ', '\t', ';']).next()?;
    if !by.eq_ignore_ascii_case(server) || !is_name(helo) {
        return None;
    }
    let ip = address(client)?;
    let helo = helo.to_owned();
    Some(Hop { ip, helo, sender })
}

/// Takes a comment without comments in it from the front.
fn comment(text: &str) -> Option<(&str, &str)> {
    let (comment, rest) = text.trim_start().strip_prefix('(')?.split_once(')')?;
    let is_plain = !comment.contains(['(', '"', '\\']);
    is_plain.then_some((comment, rest))
}

fn after_comments(mut text: &str) -> Option<&str> {
    while text.trim_start().starts_with('(') {
        (_, text) = comment(text)?;
    }
    Some(text.trim_start())
}

/// Reads `name [address]` or `[address]`, with `IPv6:` before an address of that kind or not.
fn address(comment: &str) -> Option<IpAddr> {
    let (name, rest) = comment.split_once('[')?;
    let (address, after) = rest.split_once(']')?;
    let name = name.trim();
    let is_plain = (name.is_empty() || is_name(name)) && after.trim().is_empty();
    let address = address.strip_prefix("IPv6:").unwrap_or(address);
    address.parse().ok().filter(|_| is_plain)
}

/// A host name or an address literal.
fn is_name(text: &str) -> bool {
    let inner = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let plain = |c: char| c.is_ascii_alphanumeric() || ".-_:".contains(c);
    let name = inner.unwrap_or(text);
    !name.is_empty() && name.chars().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(head: &str, expected: Option<(&str, &str, &str)>) {
        let headers = Headers::of(head.as_bytes());
        let hop = into(&headers, "mx.example.test");
        let parts = hop
            .as_ref()
            .map(|hop| (hop.ip.to_string(), hop.helo.as_str(), hop.sender.as_str()));
        let expected = expected.map(|(ip, helo, sender)| (ip.to_owned(), helo, sender));
        assert_eq!(parts, expected, "{head}");
    }

    const PATH: &str = "Return-Path: <alice@partner.test>\n";

    #[test]
    fn the_hop_of_common_servers_is_read() {
        for (from, ip, helo) in [
            (
                "mail.partner.test (mail.partner.test [192.0.2.7])\n\t(using TLSv1.3 with cipher X)\n\t\
                 (No client certificate requested)\n\tby mx.example.test (Postfix) with ESMTPS id 1",
                "192.0.2.7",
                "mail.partner.test",
            ),
            (
                "mail.partner.test (unknown [IPv6:2001:db8::7]) by MX.example.test with ESMTP",
                "2001:db8::7",
                "mail.partner.test",
            ),
            (
                "[192.0.2.7] ([192.0.2.7]) by mx.example.test; Mon, 23 Nov 2026 10:00:00 +0000",
                "192.0.2.7",
                "[192.0.2.7]",
            ),
        ] {
            check(
                &format!("{PATH}Received: from {from}\n"),
                Some((ip, helo, "alice@partner.test")),
            );
        }
    }

    #[test]
    fn what_the_client_may_have_written_is_not_believed() {
        let good = "Received: from a.test (a.test [192.0.2.7]) by mx.example.test with ESMTP\n";
        check(good, None);
        check(&format!("{good}{PATH}"), None);
        check(&format!("Return-Path: <>\n{good}"), None);
        check(
            &format!("Return-Path: <a@x.test>, <b@x.test>\n{good}"),
            None,
        );
        for from in [
            "a.test (a.test [192.0.2.7]) by other.test with LMTP",
            "(a.test [192.0.2.7]) (evil.test [198.51.100.1]) by mx.example.test",
            "a(b.test [192.0.2.7]) (evil.test [198.51.100.1]) by mx.example.test",
            "a.test ([192.0.2.7] [198.51.100.1]) by mx.example.test",
            "a.test (x (y) [192.0.2.7]) by mx.example.test",
            "a.test (\"x\" [192.0.2.7]) by mx.example.test",
            "a.test (a.test [192.0.2.777]) by mx.example.test",
            "a.test (a.test [192.0.2.7]) with ESMTP by mx.example.test",
            "a.test by mx.example.test",
        ] {
            check(&format!("{PATH}Received: from {from}\n{good}"), None);
        }
    }
}
