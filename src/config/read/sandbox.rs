//! `.airut/sandbox.yaml`: what a command gets that runs in the sandbox without the gateway (spec
//! `config.md` §4). Pure. Unlike the gateway's file it fails closed: a variable that is not set is an
//! error, because a run without its credential must not look like one with it.

mod keys;

use std::collections::BTreeMap;

use secrecy::SecretString;

use crate::config::read::credentials;
use crate::config::read::repo::{check_env_name, limits};
use crate::config::resolve::Variables;
use crate::config::section::Section;
use crate::config::types::{GithubAppSecret, Limits, MaskedSecret, SigningSecret};
use crate::config::yaml::{self, Entry, Node, Problem, Value};
use crate::events::id::CredentialName;

/// What a command gets.
#[derive(Debug, Clone)]
pub struct SandboxFile {
    /// Environment variables with their values.
    pub env: BTreeMap<String, SecretString>,
    /// Names of variables that pass from the caller's environment; those not set are left out.
    pub pass_env: Vec<String>,
    /// Credentials of which the container only sees surrogates, by environment variable.
    pub masked_secrets: BTreeMap<CredentialName, MaskedSecret>,
    /// Keys of which the container only sees surrogates, whose requests are signed anew.
    pub signing_credentials: BTreeMap<CredentialName, SigningSecret>,
    /// Apps of GitHub of whose tokens the container only sees surrogates, by environment variable.
    pub github_app_credentials: BTreeMap<CredentialName, GithubAppSecret>,
    /// Whether the network sandbox is on; default true.
    pub network_sandbox: bool,
    /// Limits of the run.
    pub limits: Limits,
}

impl SandboxFile {
    /// Returns whether the container gets surrogates, which only a proxy makes good.
    pub fn has_surrogates(&self) -> bool {
        !self.masked_secrets.is_empty()
            || !self.signing_credentials.is_empty()
            || !self.github_app_credentials.is_empty()
    }
}

/// Reads the file; an empty one gives the defaults.
///
/// # Errors
/// [`Problem`] at the first place that cannot be acted on.
pub fn read(text: &str, environment: &Variables) -> Result<SandboxFile, Problem> {
    let mut root = yaml::parse(text)?;
    keys::name_parts(&mut root);
    let mut root = Section::new("", resolved(root, environment)?)?;
    let network_sandbox = root.scalar("network_sandbox")?;
    let file = SandboxFile {
        env: env(root.section("env")?)?,
        pass_env: pass_env(&mut root)?,
        masked_secrets: masked_secrets(root.section("masked_secrets")?)?,
        signing_credentials: keys::signing(root.section("signing_credentials")?)?,
        github_app_credentials: keys::apps(root.section("github_app_credentials")?)?,
        network_sandbox: network_sandbox.map_or(Ok(true), |scalar| scalar.boolean())?,
        limits: limits(root.section("resource_limits")?)?,
    };
    root.end()?;
    Ok(file)
}

/// Replaces every `!env NAME`; there is no `!var` here.
fn resolved(node: Node, environment: &Variables) -> Result<Node, Problem> {
    let Node { place, tag, value } = node;
    let value = match (tag.as_deref(), value) {
        (None, Value::List(items)) => {
            let items = items.into_iter().map(|item| resolved(item, environment));
            Value::List(items.collect::<Result<_, _>>()?)
        }
        (None, Value::Map(entries)) => {
            let entry = |entry: Entry| {
                let node = resolved(entry.node, environment)?;
                Ok(Entry { node, ..entry })
            };
            Value::Map(entries.into_iter().map(entry).collect::<Result<_, _>>()?)
        }
        (None, value) => value,
        (Some("env"), Value::Scalar(name)) => {
            let unset = || {
                let what =
                    format!("the environment variable {name} is not set; set it, or remove this");
                Problem::at(place, what)
            };
            Value::Scalar(environment.get(&name).cloned().ok_or_else(unset)?)
        }
        (Some("env"), _) => return Err(Problem::at(place, "!env is followed by a name")),
        (Some(tag), _) => {
            let what = format!("unknown tag !{tag}: this file has !env only");
            return Err(Problem::at(place, what));
        }
    };
    let tag = None;
    Ok(Node { place, tag, value })
}

fn env(section: Option<Section>) -> Result<BTreeMap<String, SecretString>, Problem> {
    let mut env = BTreeMap::new();
    for (name, place, path, node) in section.into_iter().flat_map(Section::into_named) {
        check_env_name(&name, place)?;
        let Value::Scalar(value) = node.value else {
            let what = format!("{path} must be a single value");
            return Err(Problem::at(node.place, what));
        };
        env.insert(name, SecretString::from(value));
    }
    Ok(env)
}

fn pass_env(root: &mut Section) -> Result<Vec<String>, Problem> {
    let names = root.scalars("pass_env")?.unwrap_or_default();
    let mut passed = Vec::new();
    for name in names {
        check_env_name(&name.text, name.place)?;
        passed.push(name.text);
    }
    Ok(passed)
}

fn masked_secrets(
    section: Option<Section>,
) -> Result<BTreeMap<CredentialName, MaskedSecret>, Problem> {
    let mut masked = BTreeMap::new();
    for (name, place, path, node) in section.into_iter().flat_map(Section::into_named) {
        check_env_name(&name, place)?;
        let secret = credentials::masked(&path, place, node)?;
        let secret =
            secret.ok_or_else(|| Problem::at(place, format!("{path}.value is missing")))?;
        masked.insert(CredentialName(name), secret);
    }
    Ok(masked)
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    fn read_with_token(text: &str) -> Result<SandboxFile, String> {
        let environment = [("TOKEN".to_owned(), "real".to_owned())];
        read(text, &environment.into()).map_err(|problem| problem.to_string())
    }

    #[test]
    fn a_file_with_every_key_reads_as_written() {
        let file = read_with_token(
            "env: {CI: \"1\", REGION: !env TOKEN}\npass_env: [TERM]\nmasked_secrets:\n  GH_TOKEN:\n    \
             value: !env TOKEN\n    scopes: [api.github.com]\n    headers: [Authorization]\n    \
             allow_foreign_credentials: true\nnetwork_sandbox: false\nresource_limits: {timeout: \
             900, memory: 3g, cpus: 2, pids_limit: 512}\n",
        );
        let file = file.unwrap();
        assert_eq!(file.env["REGION"].expose_secret(), "real");
        assert_eq!(file.pass_env, ["TERM"]);
        let token = &file.masked_secrets[&CredentialName("GH_TOKEN".to_owned())];
        assert_eq!(token.value.expose_secret(), "real");
        assert!(token.allow_foreign_credentials && !file.network_sandbox);
        assert_eq!(
            (file.limits.timeout_s, file.limits.pids_max),
            (Some(900), Some(512))
        );
        assert!(!format!("{file:?}").contains("real"));
    }

    #[test]
    fn the_file_of_this_repository_reads() {
        let file = read_with_token(include_str!("../../../.airut/sandbox.yaml")).unwrap();
        assert_eq!(file.limits.timeout_s, Some(3600));
    }

    #[test]
    fn an_empty_file_gives_the_defaults() {
        for text in ["", "# nothing\n", "env:\n"] {
            let file = read_with_token(text).unwrap();
            assert!(file.network_sandbox && file.env.is_empty(), "{text:?}");
            assert_eq!(file.limits.timeout_s, None);
        }
    }

    #[test]
    fn what_cannot_be_acted_on_is_refused_with_its_place() {
        #[track_caller]
        fn check(text: &str, expected: &str) {
            let error = read_with_token(text).unwrap_err();
            assert!(error.contains(expected), "{text:?}: {error}");
        }
        check(
            "env: {A: !env NOT_SET}\n",
            "1:15: the environment variable NOT_SET is not set",
        );
        check(
            "resource_limits: {memory: !env NOT_SET}\n",
            "NOT_SET is not set",
        );
        check("env: {A: !var x}\n", "unknown tag !var");
        check("env: {A: }\n", "env.A must be a single value");
        check("env: {1A: x}\n", "no name of an environment variable");
        check(
            "pass_env: [\"A=B\"]\n",
            "no name of an environment variable",
        );
        check(
            "masked_secrets: {A: {scopes: [x], headers: [y]}}\n",
            "A.value is missing",
        );
        check(
            "masked_secrets: {A: {value: x, headers: [y]}}\n",
            "A.scopes must name at least",
        );
        check(
            "masked_secrets: {A: {value: x, scopes: [x], headers: []}}\n",
            "A.headers must name",
        );
        check("network_sandbx: true\n", "did you mean network_sandbox?");
        check("network_sandbox: maybe\n", "must be true or false");
        check("resource_limits: {timeout: 9}\n", "from 10 to");
        check("- a\n", "must be a mapping");
    }
}
