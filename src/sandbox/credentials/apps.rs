//! Surrogates for tokens of GitHub Apps (spec row SEC-03).

use std::collections::BTreeMap;

use secrecy::SecretString;

use crate::config::types::GithubAppSecret;
use crate::events::id::CredentialName;
use crate::events::run::CredentialScope;
use crate::sandbox::credentials::{RunCredentials, fingerprint, surrogate};
use crate::sandbox::proxy::wire::{AppCredential, Secret};

/// Characters of a token after its prefix, as GitHub's clients expect them.
const TOKEN_CHARACTERS: usize = 36;

impl RunCredentials {
    /// Adds a fresh surrogate for a token of each app.
    pub fn issue_apps(
        &mut self,
        apps: &BTreeMap<CredentialName, GithubAppSecret>,
        fingerprint_key: &[u8; 32],
        random: &mut dyn FnMut(&mut [u8]),
    ) {
        for (name, app) in apps {
            let surrogate = format!("ghs_{}", surrogate::alphanumeric(TOKEN_CHARACTERS, random));
            self.env
                .push((name.0.clone(), SecretString::from(surrogate.clone())));
            self.scopes.push(CredentialScope {
                name: name.clone(),
                kind: "github-app".to_owned(),
                scopes: app.scopes.clone(),
                surrogate_fingerprint: fingerprint(fingerprint_key, &surrogate),
            });
            self.apps.push(AppCredential {
                name: name.0.clone(),
                surrogate: Secret::new(surrogate),
                scopes: app.scopes.clone(),
                allow_foreign: app.allow_foreign_credentials,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    #[test]
    fn the_agent_gets_a_surrogate_of_the_form_of_a_token() {
        let app = GithubAppSecret {
            app_id: SecretString::from("12"),
            private_key: SecretString::from("a-real-key"),
            installation_id: 1,
            scopes: vec!["api.github.com".to_owned()],
            allow_foreign_credentials: false,
            base_url: "https://api.github.com".to_owned(),
            permissions: BTreeMap::new(),
            repositories: vec![],
        };
        let apps = BTreeMap::from([(CredentialName("GH_TOKEN".to_owned()), app)]);
        let mut issued = RunCredentials::default();
        issued.issue_apps(&apps, &[7; 32], &mut |bytes| bytes.fill(9));
        let (name, surrogate) = &issued.env[0];
        assert_eq!(name, "GH_TOKEN");
        assert_eq!(surrogate.expose_secret().len(), "ghs_".len() + 36);
        assert!(surrogate.expose_secret().starts_with("ghs_"));
        assert_eq!(issued.apps[0].surrogate.expose(), surrogate.expose_secret());
    }
}
