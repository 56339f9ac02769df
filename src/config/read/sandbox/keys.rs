//! `signing_credentials` and `github_app_credentials` of `.airut/sandbox.yaml`: brought into the form of
//! the gateway's file and read as there, but what is unset or empty is an error here. Pure; it knows no
//! environment.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;

use crate::config::read::credentials;
use crate::config::section::Section;
use crate::config::types::{GithubAppSecret, SigningSecret};
use crate::config::yaml::{Entry, Node, Place, Problem, Value};
use crate::events::id::CredentialName;

/// The parts of a key, and the variables in which AWS's own clients look for them.
const PARTS: [(&str, &str); 3] = [
    ("access_key_id", "AWS_ACCESS_KEY_ID"),
    ("secret_access_key", "AWS_SECRET_ACCESS_KEY"),
    ("session_token", "AWS_SESSION_TOKEN"),
];

/// Writes each plain part of a key as `{name, value}`: its surrogate goes into the variable that `!env`
/// names, else into the one where AWS's clients look (spec row SCLI-05). To be called while the tags are
/// still there.
pub(super) fn name_parts(root: &mut Node) {
    let keys = entries(root)
        .iter_mut()
        .filter(|entry| entry.key == "signing_credentials")
        .flat_map(|credentials| entries(&mut credentials.node));
    for part in keys.flat_map(|key| entries(&mut key.node)) {
        if let Some((_, usual)) = PARTS.iter().find(|(name, _)| *name == part.key) {
            name_part(&mut part.node, usual);
        }
    }
}

fn entries(node: &mut Node) -> &mut [Entry] {
    match &mut node.value {
        Value::Map(entries) => entries,
        Value::Absent | Value::Scalar(_) | Value::List(_) => &mut [],
    }
}

fn name_part(node: &mut Node, usual: &str) {
    let Value::Scalar(text) = &node.value else {
        return;
    };
    let is_variable = node.tag.as_deref() == Some("env");
    let name = if is_variable { text.as_str() } else { usual };
    let place = node.place;
    let untagged = |value| Node {
        place,
        tag: None,
        value,
    };
    let name = untagged(Value::Scalar(name.to_owned()));
    let value = mem::replace(node, untagged(Value::Absent));
    let parts = [("name", name), ("value", value)].map(|(key, node)| Entry {
        key: key.to_owned(),
        place,
        node,
    });
    *node = untagged(Value::Map(parts.into()));
}

/// Reads all keys that sign.
pub(super) fn signing(
    section: Option<Section>,
) -> Result<BTreeMap<CredentialName, SigningSecret>, Problem> {
    let (mut signing, mut variables) = (BTreeMap::new(), BTreeSet::new());
    for (name, place, path, node) in section.into_iter().flat_map(Section::into_named) {
        let key = credentials::key(&path, place, node)?;
        let key = key.ok_or_else(|| empty(&path, place, "access_key_id and secret_access_key"))?;
        let parts = [&key.access_key_id, &key.secret_access_key];
        for part in parts.into_iter().chain(&key.session_token) {
            if !variables.insert(part.name.clone()) {
                let what = format!(
                    "{path}: {} is the variable of another part already; name each by !env or {{name, value}}",
                    part.name
                );
                return Err(Problem::at(place, what));
            }
        }
        signing.insert(CredentialName(name), key);
    }
    Ok(signing)
}

/// Reads all apps of GitHub.
pub(super) fn apps(
    section: Option<Section>,
) -> Result<BTreeMap<CredentialName, GithubAppSecret>, Problem> {
    let mut apps = BTreeMap::new();
    for (name, place, path, node) in section.into_iter().flat_map(Section::into_named) {
        let app = credentials::app(&name, &path, place, node)?;
        let app = app.ok_or_else(|| empty(&path, place, "app_id and private_key"))?;
        apps.insert(CredentialName(name), app);
    }
    Ok(apps)
}

fn empty(path: &str, place: Place, parts: &str) -> Problem {
    Problem::at(place, format!("{path} needs {parts}; none may be empty"))
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use crate::config::read::sandbox::{SandboxFile, read};
    use crate::config::types::NamedSecret;
    use crate::events::id::CredentialName;

    fn read_with_keys(text: &str) -> Result<SandboxFile, String> {
        let environment = [
            ("STORE_ID", "AKIAREAL"),
            ("STORE_SECRET", "s"),
            ("NONE", ""),
        ];
        let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
        read(text, &environment.into()).map_err(|problem| problem.to_string())
    }

    fn told(part: &NamedSecret) -> (&str, &str) {
        (&part.name, part.value.expose_secret())
    }

    #[test]
    fn a_keys_surrogates_are_named_as_the_variables_it_comes_from() {
        let text = "signing_credentials:\n  store: {type: aws-sigv4, access_key_id: !env STORE_ID, \
                    secret_access_key: plain, session_token: {name: OWN, value: t}, scopes: [s3.test]}\n";
        let file = read_with_keys(text).unwrap();
        let key = &file.signing_credentials[&CredentialName("store".to_owned())];
        assert_eq!(told(&key.access_key_id), ("STORE_ID", "AKIAREAL"));
        let secret = ("AWS_SECRET_ACCESS_KEY", "plain");
        assert_eq!(told(&key.secret_access_key), secret);
        assert_eq!(key.session_token.as_ref().map(told), Some(("OWN", "t")));
        assert_eq!(key.scopes, ["s3.test"]);
    }

    #[test]
    fn an_empty_session_token_is_none() {
        let text = "signing_credentials:\n  store: {type: aws-sigv4, access_key_id: a, \
                    secret_access_key: b, session_token: !env NONE, scopes: [s3.test]}\n";
        let file = read_with_keys(text).unwrap();
        let key = &file.signing_credentials[&CredentialName("store".to_owned())];
        assert_eq!(key.access_key_id.name, "AWS_ACCESS_KEY_ID");
        assert!(key.session_token.is_none());
    }

    #[test]
    fn an_app_reads_as_in_the_gateways_file() {
        let text = "github_app_credentials:\n  GH_TOKEN: {app_id: 1, private_key: p, installation_id: 2, \
                    scopes: [api.github.com], repositories: [ferry]}\n";
        let file = read_with_keys(text).unwrap();
        let app = &file.github_app_credentials[&CredentialName("GH_TOKEN".to_owned())];
        assert_eq!(
            (app.installation_id, &app.repositories[0][..]),
            (2, "ferry")
        );
    }

    #[test]
    fn a_credential_that_is_not_whole_is_an_error() {
        #[track_caller]
        fn check(text: &str, expected: &str) {
            let error = read_with_keys(text).unwrap_err();
            assert!(error.contains(expected), "{text:?}: {error}");
        }
        let key = |parts: &str| {
            format!("signing_credentials: {{a: {{type: aws-sigv4, scopes: [x], {parts}}}}}\n")
        };
        let needs = "signing_credentials.a needs access_key_id and secret_access_key";
        check(&key("access_key_id: a"), needs);
        check(
            &key("access_key_id: !env NONE, secret_access_key: b"),
            needs,
        );
        check(
            &key("access_key_id: !env NOT_SET, secret_access_key: b"),
            "NOT_SET is not set",
        );
        check(
            &key("access_key_id: !env STORE_ID, secret_access_key: !env STORE_ID"),
            "STORE_ID is the variable of another part already",
        );
        check(
            &key("access_key_id: a, secret_access_key: b, scope: [x]"),
            "did you mean scopes?",
        );
        check(
            "github_app_credentials: {A: {app_id: 1, installation_id: 1, scopes: [x]}}\n",
            "github_app_credentials.A needs app_id and private_key",
        );
    }
}
