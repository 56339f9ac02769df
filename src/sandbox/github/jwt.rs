//! The statement by which a GitHub App proves who it is: a JSON Web Token signed with RS256 (RFC 7515,
//! RFC 7518 section 3.3; GitHub, "Generating a JSON Web Token for a GitHub App").

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{PrivatePkcs1KeyDer, PrivatePkcs8KeyDer};

/// GitHub's clock may be behind this much, in seconds.
const BACKDATED_S: u64 = 60;

/// How long the statement is good for, in seconds; GitHub grants ten minutes.
const VALID_S: u64 = 540;

/// The key is none that signs: correct `private_key`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the private key is no RSA key in PEM form; download one from the app's settings")]
pub struct BadKey;

/// Returns whether a key can be used.
///
/// # Errors
/// [`BadKey`].
pub fn check(private_key: &str) -> Result<(), BadKey> {
    read(private_key).map(|_| ())
}

/// Returns the statement of an app at a moment, in milliseconds since the Unix epoch.
///
/// # Errors
/// [`BadKey`].
pub fn statement(app_id: &str, private_key: &str, now_ms: u64) -> Result<String, BadKey> {
    let now = now_ms / 1000;
    let claims = serde_json::json!({
        "iat": now.saturating_sub(BACKDATED_S),
        "exp": now + VALID_S,
        "iss": app_id,
    });
    let head = BASE64URL.encode(r#"{"alg":"RS256","typ":"JWT"}"#);
    let signed = format!("{head}.{}", BASE64URL.encode(claims.to_string()));
    let key = read(private_key)?;
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(
        &RSA_PKCS1_SHA256,
        &SystemRandom::new(),
        signed.as_bytes(),
        &mut signature,
    )
    .map_err(|_| BadKey)?;
    Ok(format!("{signed}.{}", BASE64URL.encode(signature)))
}

/// GitHub hands out PKCS#1; openssl's newer versions convert it to PKCS#8.
fn read(private_key: &str) -> Result<RsaKeyPair, BadKey> {
    let pem = private_key.as_bytes();
    let read = match PrivatePkcs1KeyDer::from_pem_slice(pem) {
        Ok(key) => RsaKeyPair::from_der(key.secret_pkcs1_der()),
        Err(_) => {
            let key = PrivatePkcs8KeyDer::from_pem_slice(pem).map_err(|_| BadKey)?;
            RsaKeyPair::from_pkcs8(key.secret_pkcs8_der())
        }
    };
    read.map_err(|_| BadKey)
}

#[cfg(test)]
mod tests {
    use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};

    use super::*;

    const KEY: &str = include_str!("../../../tests/golden/github/app.pem");
    const KEY_PKCS8: &str = include_str!("../../../tests/golden/github/app-pkcs8.pem");

    #[test]
    fn an_app_states_who_it_is_for_ten_minutes() {
        let made = statement("Iv1.app", KEY, 1_700_000_000_000).unwrap();
        assert_eq!(
            made,
            statement("Iv1.app", KEY_PKCS8, 1_700_000_000_000).unwrap()
        );
        let (signed, signature) = made.rsplit_once('.').unwrap();
        let key = read(KEY).unwrap();
        let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key.public().as_ref());
        let signature = BASE64URL.decode(signature).unwrap();
        assert!(public.verify(signed.as_bytes(), &signature).is_ok());
        let (head, claims) = signed.split_once('.').unwrap();
        let head = BASE64URL.decode(head).unwrap();
        assert_eq!(head, br#"{"alg":"RS256","typ":"JWT"}"#);
        let claims: serde_json::Value =
            serde_json::from_slice(&BASE64URL.decode(claims).unwrap()).unwrap();
        let expected = serde_json::json!({
            "iss": "Iv1.app", "iat": 1_699_999_940_u64, "exp": 1_700_000_540_u64
        });
        assert_eq!(claims, expected);
    }

    #[test]
    fn what_is_no_key_is_refused() {
        assert_eq!(statement("app", "no key", 0), Err(BadKey));
        assert_eq!(check(""), Err(BadKey));
        assert_eq!(check(KEY), Ok(()));
    }
}
