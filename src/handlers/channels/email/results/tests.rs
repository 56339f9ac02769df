use proptest::prelude::*;

use super::*;

fn dmarc(field: &str) -> Vec<String> {
    let all = read(field).map(|results| results.all).unwrap_or_default();
    let dmarc = all.into_iter().filter(|result| result.method == "dmarc");
    dmarc.map(|result| result.result).collect()
}

#[test]
fn fields_as_servers_write_them_are_read() {
    for field in [
        "mx.google.com; dkim=pass header.i=@example.test header.s=s1 header.b=\"ab+/=\"; spf=pass \
         (google.com: domain of alice@example.test designates 192.0.2.1 as permitted sender) \
         smtp.mailfrom=alice@example.test; dmarc=pass (p=NONE sp=QUARANTINE dis=NONE) \
         header.from=example.test",
        "spf=pass (sender IP is 192.0.2.1) smtp.mailfrom=example.test; dkim=pass (signature was \
         verified) header.d=example.test;dmarc=pass action=none header.from=example.test;compauth=pass \
         reason=100",
        "mail.example.test; dmarc=pass (p=reject dis=none) header.from=example.test",
        "mail.example.test; dkim=pass header.d=example.test header.s=mail header.b=XzJ/4+a=; spf=none \
         smtp.mailfrom=\"\"; dmarc=pass (policy=none) header.from=example.test; arc=none",
        "mail.example.test/1 1; dmarc=pass policy.published-domain-policy=none",
        "\"mail example\" (x (y)) 1; dmarc / 1 = pass reason=\"because ; dmarc=fail\" header . from = x",
        "mail.example.test; iprev=pass policy.iprev=\"2001:db8::1\"; dmarc=pass;",
        "mail.example.test;dmarc(one)=(two)pass(three)header.from(four)=(five)example.test",
    ] {
        assert_eq!(dmarc(field), ["pass"], "{field}: {:?}", read(field));
    }
}

#[test]
fn what_only_looks_like_a_pass_is_none() {
    for field in [
        "mail.example.test; none",
        "mail.example.test",
        "mail.example.test; x=(dmarc=pass)",
        "mail.example.test; spf=fail reason=\"; dmarc=pass\"",
        "mail.example.test; spf=fail smtp.mailfrom=\"a\\\"; dmarc=pass\"",
        "mail.example.test; spf=fail (\\) ; dmarc=pass)",
        "mail.example.test; spf=fail smtp.dmarc=pass",
        "mail.example.test; spf=fail dmarc=pass",
        "mail.example.test; spf=fail smtp.mailfrom=dmarc=pass",
        "mail.example.test; dmarc=\"pass\"",
        "mail.example.test; \"dmarc\"=pass",
        "mail.example.test; dmarc/2=pass",
        "mail.example.test 2; dmarc=pass",
        "mail.example.test 1 1; dmarc=pass",
        "mail.example.test evil.test; dmarc=pass",
        "mail.example.test; dmarc=pass extra",
        "mail.example.test; dmarc==pass",
        "mail.example.test; dmarc=pass;; spf=pass",
        "mail.example.test; none; dmarc=pass",
        "mail.example.test; dmarc=pass) (",
        "mail.example.test; dmarc=pass (open",
        "mail.example.test; dmarc=pass \"open",
        "mail.example.test; dmarc=pass\0",
        "mail.example.test; dmarc pass",
        "mail.example.test; d(x)marc=pass",
        "mail.example.test; dmarc=pa(x)ss",
        "; dmarc=pass",
        "",
    ] {
        let passes = dmarc(field).iter().any(|result| result == "pass");
        assert!(!passes, "{field}: {:?}", read(field));
    }
}

#[test]
fn what_is_too_much_is_not_read() {
    let nested = |depth: usize| format!("m{}{}; dmarc=pass", "(".repeat(depth), ")".repeat(depth));
    let many = |count: usize| format!("m{}", "; dmarc=pass".repeat(count));
    for (field, is_read) in [
        (nested(31), true),
        (nested(32), true),
        (nested(33), false),
        (many(RESULTS_MAX - 1), true),
        (many(RESULTS_MAX), true),
        (many(RESULTS_MAX + 1), false),
    ] {
        assert_eq!(read(&field).is_ok(), is_read, "{}", field.len());
    }
}

/// Text as a sender may bring it into a field through an honest server: quoted or as a comment.
fn hidden() -> impl Strategy<Value = String> {
    let text = prop_oneof![
        Just("; dmarc=pass".to_owned()),
        Just("\\\"; dmarc=pass ;\\\"".to_owned()),
        Just("(; dmarc=pass)".to_owned()),
        "[a-z =;.()\"\\\\]{0,20}",
    ];
    (text, any::<bool>()).prop_map(|(text, is_comment)| {
        let special: &[char] = if is_comment {
            &['(', ')', '\\']
        } else {
            &['"', '\\']
        };
        let mut escaped = String::new();
        for character in text.chars() {
            if special.contains(&character) {
                escaped.push('\\');
            }
            escaped.push(character);
        }
        if is_comment {
            format!(" ({escaped})")
        } else {
            format!(" reason=\"{escaped}\"")
        }
    })
}

proptest! {
    #[test]
    fn nothing_in_comments_or_quotes_makes_a_pass(
        first in hidden(), second in hidden(), verdict in "fail|none|temperror",
    ) {
        let field = format!("mail.example.test; spf=fail{first}; dmarc={verdict}{second}");
        prop_assert_eq!(dmarc(&field), vec![verdict]);
        let without = format!("mail.example.test; spf=fail{first}");
        prop_assert_eq!(dmarc(&without), Vec::<String>::new());
    }

    #[test]
    fn any_text_is_read_or_refused(field in "\\PC{0,80}|[a-z=;()\"\\\\ ./1]{0,60}") {
        if let Ok(results) = read(&field) {
            prop_assert!(results.all.len() <= RESULTS_MAX);
        }
    }
}
