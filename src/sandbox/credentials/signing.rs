//! Surrogates for keys that sign: an id, a secret and a session token that look like AWS's and sign
//! nothing (spec row SEC-02).

use std::collections::BTreeMap;

use secrecy::{ExposeSecret as _, SecretString};

use crate::config::types::SigningSecret;
use crate::events::id::CredentialName;
use crate::events::run::CredentialScope;
use crate::sandbox::credentials::{RunCredentials, fingerprint, surrogate};
use crate::sandbox::proxy::wire::{Replaced, Secret, SigningCredential};

/// Length of a surrogate for a session token, whatever the real one's; AWS promises none.
const TOKEN_CHARACTERS: usize = 512;

impl RunCredentials {
    /// Adds fresh surrogates for all keys that sign.
    pub fn issue_signing(
        &mut self,
        secrets: &BTreeMap<CredentialName, SigningSecret>,
        fingerprint_key: &[u8; 32],
        random: &mut dyn FnMut(&mut [u8]),
    ) {
        for (name, secret) in secrets {
            let (id, key) = (&secret.access_key_id, &secret.secret_access_key);
            let surrogate_id = surrogate::generate(id.value.expose_secret(), random);
            let surrogate_key = surrogate::generate(key.value.expose_secret(), random);
            let token = secret.session_token.as_ref().map(|token| {
                let surrogate = surrogate::alphanumeric(TOKEN_CHARACTERS, random);
                self.env
                    .push((token.name.clone(), SecretString::from(surrogate.clone())));
                Replaced {
                    surrogate: Secret::new(surrogate),
                    value: Secret::new(token.value.expose_secret().to_owned()),
                }
            });
            self.env
                .push((id.name.clone(), SecretString::from(surrogate_id.clone())));
            self.env
                .push((key.name.clone(), SecretString::from(surrogate_key)));
            self.scopes.push(CredentialScope {
                name: name.clone(),
                kind: "aws-sigv4".to_owned(),
                scopes: secret.scopes.clone(),
                surrogate_fingerprint: fingerprint(fingerprint_key, &surrogate_id),
            });
            self.signing.push(SigningCredential {
                name: name.0.clone(),
                surrogate_key_id: Secret::new(surrogate_id),
                key_id: Secret::new(id.value.expose_secret().to_owned()),
                secret: Secret::new(key.value.expose_secret().to_owned()),
                token,
                scopes: secret.scopes.clone(),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::types::NamedSecret;

    #[test]
    fn the_agent_gets_surrogates_of_the_id_the_secret_and_the_token() {
        let named = |name: &str, value: &str| NamedSecret {
            name: name.to_owned(),
            value: SecretString::from(value),
        };
        let secret = SigningSecret {
            access_key_id: named("AWS_ACCESS_KEY_ID", "ASIAIOSFODNN7EXAMPLE"),
            secret_access_key: named("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG"),
            session_token: Some(named("AWS_SESSION_TOKEN", "a-real-token")),
            scopes: vec!["*.amazonaws.com".to_owned()],
        };
        let secrets = BTreeMap::from([(CredentialName("store".to_owned()), secret)]);
        let mut issued = RunCredentials::default();
        let mut next = 0_u8;
        issued.issue_signing(&secrets, &[7; 32], &mut |bytes| {
            bytes.fill_with(|| {
                next = next.wrapping_mul(37).wrapping_add(11);
                next
            });
        });
        let env: BTreeMap<&str, &str> = issued
            .env
            .iter()
            .map(|(name, value)| (name.as_str(), value.expose_secret()))
            .collect();
        assert!(env["AWS_ACCESS_KEY_ID"].starts_with("ASIA"));
        assert_eq!(env["AWS_SESSION_TOKEN"].len(), TOKEN_CHARACTERS);
        let known = &issued.signing[0];
        assert_eq!(known.surrogate_key_id.expose(), env["AWS_ACCESS_KEY_ID"]);
        assert_eq!(known.key_id.expose(), "ASIAIOSFODNN7EXAMPLE");
        assert_ne!(env["AWS_SECRET_ACCESS_KEY"], known.secret.expose());
        assert!(!format!("{issued:?}").contains("wJalr"));
    }
}
