use secrecy::ExposeSecret as _;

use super::*;
use crate::config::read::read;
use crate::config::resolve::Variables;

/// Reads a mailbox with a block of tokens and further keys of its account.
fn mailbox_with(oauth2: &str, account: &str) -> Result<Email, String> {
    mailbox_of(oauth2, account, "")
}

fn mailbox_of(oauth2: &str, account: &str, auth: &str) -> Result<Email, String> {
    mailbox_at("", oauth2, account, auth)
}

fn mailbox_at(imap: &str, oauth2: &str, account: &str, auth: &str) -> Result<Email, String> {
    let text = format!(
        "config_version: 5\nrepos:\n  a:\n    repo_url: x\n    email:\n      \
         account: {{username: b, from: b@x.test{account}}}\n      microsoft_oauth2: {{{oauth2}}}\n      \
         imap: {{server: i.test{imap}}}\n      smtp: {{server: s.test}}\n      \
         auth: {{authorized_senders: [a@x.test], trusted_authserv_id: \"\"{auth}}}\n"
    );
    let dns = SocketAddr::from(([127, 0, 0, 1], 53));
    let config =
        read(&text, &Variables::new(), Some(dns)).map_err(|problem| problem.to_string())?;
    let repo = config.repos.into_values().next();
    Ok(repo.and_then(|repo| repo.email).unwrap())
}

const ALL: &str = "tenant_id: harbor.onmicrosoft.com, client_id: c, client_secret: real-secret";

#[test]
fn tokens_take_the_place_of_a_password() {
    let email = mailbox_with(ALL, "").unwrap();
    let tokens = email.microsoft_oauth2.unwrap();
    assert_eq!(tokens.authority, "https://login.microsoftonline.com");
    assert_eq!(tokens.scope, "https://outlook.office365.com/.default");
    assert_eq!(tokens.client_secret.expose_secret(), "real-secret");
    assert!(email.password.is_none());
    assert!(!format!("{tokens:?}").contains("real-secret"));
    let other = format!("{ALL}, authority: \"https://login.microsoftonline.us/\", scope: s");
    let tokens = mailbox_with(&other, ", password: p").unwrap();
    let tokens = tokens.microsoft_oauth2.unwrap();
    assert_eq!(tokens.authority, "https://login.microsoftonline.us");
    assert_eq!(tokens.scope, "s");
}

#[test]
fn an_empty_block_of_tokens_counts_as_none_and_half_of_one_is_an_error() {
    let empty = "tenant_id: !env NONE, client_id: \"\", client_secret: !env NONE";
    let email = mailbox_with(empty, ", password: p").unwrap();
    assert!(email.microsoft_oauth2.is_none());
    assert_eq!(email.password.unwrap().expose_secret(), "p");
    for (oauth2, expected) in [
        (empty, "account.password is required"),
        ("tenant_id: t, client_id: c", "give all three"),
        ("client_secret: c", "give all three"),
        (
            "tenant_id: a/b, client_id: c, client_secret: s",
            "neither the id nor a domain",
        ),
        (
            &format!("{ALL}, authority: \"http://x.test\""),
            "https://login.microsoftonline.com",
        ),
        (
            &format!("{ALL}, authority: \"https://x.test/?a=b\""),
            "https://login.microsoftonline.com",
        ),
        (&format!("{ALL}, tenant: t"), "tenant_id"),
    ] {
        let error = mailbox_with(oauth2, "").unwrap_err();
        assert!(error.contains(expected), "{oauth2}: {error}");
    }
}

#[test]
fn a_name_server_is_named_where_airut_verifies_and_only_there() {
    let verify = |auth: &str| {
        let email = mailbox_of("", ", password: p", auth)?;
        Ok::<_, String>(email.auth.verify)
    };
    let ours = |resolver: &str| Verify::Ourselves {
        resolver: resolver.parse().unwrap(),
    };
    for (auth, expected) in [
        ("", Ok(Verify::Header)),
        (", verify: header", Ok(Verify::Header)),
        (
            ", verify: self, resolver: 192.0.2.53",
            Ok(ours("192.0.2.53:53")),
        ),
        (
            ", verify: self, resolver: \"[::1]:5353\"",
            Ok(ours("[::1]:5353")),
        ),
        (", verify: self", Err("resolver is required")),
        (", resolver: 192.0.2.53", Err("with verify: self only")),
        (
            ", verify: self, resolver: dns.test",
            Err("must be an address"),
        ),
        (", verify: both", Err("verify")),
    ] {
        match (verify(auth), expected) {
            (Ok(verify), Ok(expected)) => assert_eq!(verify, expected, "{auth}"),
            (Err(error), Err(expected)) => assert!(error.contains(expected), "{error}"),
            (verify, expected) => panic!("{auth}: {verify:?}, not {expected:?}"),
        }
    }
}

#[test]
fn another_folder_than_the_inbox_may_be_read_and_its_name_has_limits() {
    let folder = |imap: &str| {
        let email = mailbox_at(imap, "", ", password: p", "");
        email.map(|email| email.imap.folder)
    };
    assert_eq!(folder("").unwrap(), "INBOX");
    assert_eq!(
        folder(", folder: \" Teams/Aufträge \"").unwrap(),
        "Teams/Aufträge"
    );
    let name = |length| format!(", folder: {}", "ä".repeat(length));
    for good in [1, FOLDER_CHARS_MAX - 1, FOLDER_CHARS_MAX] {
        assert_eq!(folder(&name(good)).unwrap().chars().count(), good);
    }
    for bad in [
        name(FOLDER_CHARS_MAX + 1),
        ", folder: \" \"".into(),
        ", folder: \"a\\nb\"".into(),
    ] {
        let error = folder(&bad).unwrap_err();
        assert!(error.contains("must name a folder"), "{error}");
    }
}
