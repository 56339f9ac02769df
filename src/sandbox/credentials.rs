//! What a run gets in place of its secrets: surrogates for its environment, the real values for
//! its proxy only, and for the log a name and a keyed fingerprint.

pub mod honey;
pub mod surrogate;

mod apps;
mod signing;

use std::collections::BTreeMap;

use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256 as Hasher};

use crate::config::types::MaskedSecret;
use crate::events::id::{CredentialName, Sha256};
use crate::events::run::CredentialScope;
use crate::sandbox::proxy::wire::{AppCredential, MaskedCredential, Secret, SigningCredential};

/// The credentials of one run.
#[derive(Debug, Default)]
pub struct RunCredentials {
    /// Environment of the agent: names and surrogates.
    pub env: Vec<(String, SecretString)>,
    /// What the proxy gets.
    pub masked: Vec<MaskedCredential>,
    /// Keys for AWS that it gets.
    pub signing: Vec<SigningCredential>,
    /// Apps of GitHub that it knows.
    pub apps: Vec<AppCredential>,
    /// What the log gets.
    pub scopes: Vec<CredentialScope>,
}

/// Makes fresh surrogates for all masked secrets; an empty value stays empty (spec row CFG-27).
///
/// `fingerprint_key` keys the fingerprints, so that nobody can test guesses against the log, and
/// `random` fills bytes with randomness.
pub fn issue(
    secrets: &BTreeMap<CredentialName, MaskedSecret>,
    fingerprint_key: &[u8; 32],
    random: &mut dyn FnMut(&mut [u8]),
) -> RunCredentials {
    let mut issued = RunCredentials::default();
    for (name, secret) in secrets {
        let value = secret.value.expose_secret();
        let surrogate = surrogate::generate(value, random);
        issued
            .env
            .push((name.0.clone(), SecretString::from(surrogate.clone())));
        if value.is_empty() {
            continue;
        }
        issued.scopes.push(CredentialScope {
            name: name.clone(),
            kind: "masked".to_owned(),
            scopes: secret.scopes.clone(),
            surrogate_fingerprint: fingerprint(fingerprint_key, &surrogate),
        });
        issued.masked.push(MaskedCredential {
            name: name.0.clone(),
            surrogate: Secret::new(surrogate),
            value: Secret::new(value.to_owned()),
            scopes: secret.scopes.clone(),
            headers: secret.headers.clone(),
            allow_foreign: secret.allow_foreign_credentials,
        });
    }
    issued
}

/// Returns a keyed digest: HMAC-SHA256 (RFC 2104), whose key is shorter than a block.
pub fn fingerprint(key: &[u8; 32], text: &str) -> Sha256 {
    let pad = |byte: u8| {
        let mut block = [byte; 64];
        for (padded, key) in block.iter_mut().zip(key) {
            *padded ^= key;
        }
        block
    };
    let inner = Hasher::new()
        .chain_update(pad(0x36))
        .chain_update(text)
        .finalize();
    Sha256(
        Hasher::new()
            .chain_update(pad(0x5c))
            .chain_update(inner)
            .finalize()
            .into(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fingerprint_is_hmac_sha256() {
        // RFC 4231's second case with its short key, zero-padded as HMAC itself does.
        let mut key = [0; 32];
        key[..4].copy_from_slice(b"Jefe");
        let expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(
            fingerprint(&key, "what do ya want for nothing?").to_string(),
            expected
        );
    }

    #[test]
    fn every_run_has_surrogates_of_its_own() {
        let secret = MaskedSecret {
            value: SecretString::from("sk-ant-real-value-0123"),
            scopes: vec![],
            headers: vec![],
            allow_foreign_credentials: false,
        };
        let secrets = BTreeMap::from([(CredentialName("KEY".to_owned()), secret)]);
        let mut next = 0;
        let mut random = |bytes: &mut [u8]| {
            bytes.fill_with(|| {
                next += 1;
                next
            });
        };
        let one = issue(&secrets, &[7; 32], &mut random);
        let other = issue(&secrets, &[7; 32], &mut random);
        assert_ne!(one.masked[0].surrogate, other.masked[0].surrogate);
        assert_eq!(
            one.masked[0].surrogate.expose(),
            one.env[0].1.expose_secret()
        );
    }

    #[test]
    fn only_the_proxy_gets_the_real_value() {
        let secret = MaskedSecret {
            value: SecretString::from("sk-ant-real-value-0123"),
            scopes: vec!["api.anthropic.com".to_owned()],
            headers: vec!["x-api-key".to_owned()],
            allow_foreign_credentials: false,
        };
        let secrets = BTreeMap::from([(CredentialName("KEY".to_owned()), secret)]);
        let issued = issue(&secrets, &[7; 32], &mut |bytes| bytes.fill(9));
        assert_eq!(issued.masked[0].value.expose(), "sk-ant-real-value-0123");
        assert_ne!(issued.env[0].1.expose_secret(), "sk-ant-real-value-0123");
        assert!(!format!("{issued:?}").contains("real-value"));
    }
}
