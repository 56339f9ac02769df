//! What a run is allowed, in the words of the log: the allowlist, who gave it its form, and each
//! credential by name and scope. Pure; it never sees a value.

use crate::config::types::Repo;
use crate::events::id::{CredentialName, RepoId, RunId};
use crate::events::run::{CredentialGrant, PolicyInForce};
use crate::handlers::tasks::prepare::Prepared;

/// Returns the policy of a run that has been prepared.
pub fn policy_in_force(prepared: &Prepared<'_>, repo: &RepoId, run: RunId) -> PolicyInForce {
    let policy = prepared.policy.as_ref();
    PolicyInForce {
        run,
        repo: repo.clone(),
        allowlist: policy.map(|policy| policy.file.clone()),
        allowlist_commit: prepared.commit.clone(),
        allowlist_change: policy.and_then(|policy| policy.change.clone()),
        credentials: grants(prepared.repo),
    }
}

/// Returns the credentials a repository's runs may use, by name.
fn grants(repo: &Repo) -> Vec<CredentialGrant> {
    let plain = repo.secrets.keys().map(|name| CredentialGrant {
        name: CredentialName(name.clone()),
        kind: "plain".to_owned(),
        scopes: vec![],
        headers: vec![],
        allow_foreign: false,
    });
    let masked = repo.masked_secrets.iter();
    let masked = masked.map(|(name, secret)| CredentialGrant {
        name: name.clone(),
        kind: "masked".to_owned(),
        scopes: secret.scopes.clone(),
        headers: secret.headers.clone(),
        allow_foreign: secret.allow_foreign_credentials,
    });
    let signing = repo.signing_credentials.iter();
    let signing = signing.map(|(name, secret)| CredentialGrant {
        name: name.clone(),
        kind: "aws-sigv4".to_owned(),
        scopes: secret.scopes.clone(),
        headers: vec![],
        allow_foreign: false,
    });
    let apps = repo.github_app_credentials.iter();
    let apps = apps.map(|(name, app)| CredentialGrant {
        name: name.clone(),
        kind: "github-app".to_owned(),
        scopes: app.scopes.clone(),
        headers: vec!["Authorization".to_owned()],
        allow_foreign: app.allow_foreign_credentials,
    });
    let all = plain.chain(masked).chain(signing).chain(apps);
    let mut grants: Vec<CredentialGrant> = all.collect();
    grants.sort_by(|one, other| one.name.cmp(&other.name));
    grants
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use secrecy::SecretString;

    use super::*;
    use crate::config::types::{Limits, MaskedSecret};

    #[test]
    fn every_credential_is_named_with_its_scopes_and_without_its_value() {
        let masked = MaskedSecret {
            value: SecretString::from("real-one"),
            scopes: vec!["api.test".to_owned()],
            headers: vec!["x-api-key".to_owned()],
            allow_foreign_credentials: true,
        };
        let repo = Repo {
            repo_url: "u".to_owned(),
            model: "m".to_owned(),
            effort: None,
            claude_version: "latest".to_owned(),
            container_path: "c".to_owned(),
            network_sandbox: true,
            limits: Limits::default(),
            secrets: BTreeMap::from([("PLAIN".to_owned(), SecretString::from("real-two"))]),
            masked_secrets: BTreeMap::from([(CredentialName("API".to_owned()), masked)]),
            signing_credentials: BTreeMap::new(),
            github_app_credentials: BTreeMap::new(),
            email: None,
            slack: None,
            schedules: BTreeMap::new(),
        };
        let grants = grants(&repo);
        let kinds: Vec<_> = grants
            .iter()
            .map(|g| (g.name.0.as_str(), g.kind.as_str()))
            .collect();
        assert_eq!(kinds, [("API", "masked"), ("PLAIN", "plain")]);
        assert_eq!(
            (&grants[0].scopes[0], grants[0].allow_foreign),
            (&"api.test".to_owned(), true)
        );
        assert!(!format!("{grants:?}").contains("real-"));
    }
}
