use std::net::SocketAddr;

use secrecy::ExposeSecret as _;

use super::*;
use crate::config::read::read;
use crate::config::resolve::Variables;

/// Reads a mailbox with a block of tokens and further keys of its account.
fn mailbox_with(oauth2: &str, account: &str) -> Result<Email, String> {
    let text = format!(
        "config_version: 5\nrepos:\n  a:\n    repo_url: x\n    email:\n      \
         account: {{username: b, from: b@x.test{account}}}\n      microsoft_oauth2: {{{oauth2}}}\n      \
         imap: {{server: i.test}}\n      smtp: {{server: s.test}}\n      \
         auth: {{authorized_senders: [a@x.test], trusted_authserv_id: \"\"}}\n"
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
