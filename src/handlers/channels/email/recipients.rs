//! Whom a mail was written to besides Airut: its owner lets them take part in the conversation.
//! Pure; whether a mail is its owner's is not known here.

use crate::handlers::channels::email::auth::addresses;
use crate::handlers::channels::email::filter::bare;
use crate::handlers::channels::email::headers::Headers;

/// Most recipients of a mail that are read; those named after them count as not written to.
pub const RECIPIENTS_MAX: usize = 50;

/// Returns the addresses in `To` and `Cc`, in lower case and each once, without Airut's own. `own`
/// are the names that Airut writes mail under; what is no plain address is passed over.
pub fn others(headers: &Headers, own: [&str; 2]) -> Vec<String> {
    let own = own.map(bare);
    let mut others: Vec<String> = vec![];
    let fields = headers.all("to").chain(headers.all("cc"));
    for address in fields.flat_map(addresses).take(RECIPIENTS_MAX) {
        let is_own = own.contains(&without_tag(&address));
        if !is_own && !others.contains(&address) {
            others.push(address);
        }
    }
    others
}

/// Returns `airut@example.com` for `airut+opus@example.com`.
pub fn without_tag(address: &str) -> String {
    let parts = address.split_once('@');
    let untagged = parts.and_then(|(local, domain)| {
        let (name, _) = local.split_once('+')?;
        Some(format!("{name}@{domain}"))
    });
    untagged.unwrap_or_else(|| address.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: [&str; 2] = ["bot@example.test", "Airut <airut@example.test>"];

    #[track_caller]
    fn check(head: &str, expected: &[&str]) {
        assert_eq!(
            others(&Headers::of(head.as_bytes()), OWN),
            expected,
            "{head}"
        );
    }

    #[test]
    fn people_in_to_and_cc_are_found_and_airut_is_not_among_them() {
        check(
            "To: Airut <airut@example.test>, bot+opus@example.test, Bob@Partner.test\n\
             Cc: \"Harbor, Carol\" <carol@example.test> (at, work), bob@partner.test\n\
             Bcc: dave@example.test\nReply-To: erin@example.test\n",
            &["bob@partner.test", "carol@example.test"],
        );
        check(
            "Cc: Team: bob@partner.test, Carol <carol@example.test>;, dave@example.test\n",
            &[
                "bob@partner.test",
                "carol@example.test",
                "dave@example.test",
            ],
        );
    }

    #[test]
    fn what_is_no_plain_address_lets_nobody_in() {
        for field in [
            "undisclosed-recipients:;",
            "bob@partner.test <mallory@evil.test>",
            "\"bob@partner.test\" mallory@evil.test",
            "\"bob@partner.test",
            "bob",
            "",
        ] {
            check(&format!("Cc: {field}\n"), &[]);
        }
    }

    #[test]
    fn recipients_beyond_the_limit_are_passed_over() {
        for (count, expected) in [
            (RECIPIENTS_MAX - 1, RECIPIENTS_MAX - 1),
            (RECIPIENTS_MAX, RECIPIENTS_MAX),
            (RECIPIENTS_MAX + 1, RECIPIENTS_MAX),
        ] {
            let names: Vec<String> = (0..count).map(|n| format!("p{n}@x.test")).collect();
            let head = format!("Cc: {}\n", names.join(", "));
            assert_eq!(others(&Headers::of(head.as_bytes()), OWN).len(), expected);
        }
    }
}
