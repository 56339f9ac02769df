//! AWS's two ways to sign: HMAC with a key derived for a day, region and service, and ECDSA with a
//! key derived from the secret. Pure; signatures are deterministic (RFC 6979).

use hmac::{Hmac, KeyInit as _, Mac as _};
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{DerSignature, SigningKey as EcdsaKey};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::sandbox::proxy::signing::claim::{Algorithm, Scope};

/// Candidates for an ECDSA key; the chance that none of them fits is below 2⁻⁸⁰⁰⁰.
const CANDIDATES_MAX: u8 = 254;

/// Width to which AWS pads the ECDSA signature of a chunk, in characters.
const CHUNK_SIGNATURE_WIDTH: usize = 144;

/// A key for one credential, day, region and service.
pub enum Key {
    /// HMAC-SHA256.
    Hmac(Zeroizing<[u8; 32]>),
    /// ECDSA over P-256 with SHA-256.
    Ecdsa(Box<EcdsaKey>),
}

impl Key {
    /// Derives the key; nothing when none fits.
    pub fn derive(algorithm: Algorithm, id: &str, secret: &str, scope: &Scope) -> Option<Self> {
        match algorithm {
            Algorithm::Hmac => {
                let first = Zeroizing::new(format!("AWS4{secret}"));
                let mut key = mac(first.as_bytes(), &[scope.date.as_bytes()]);
                for part in [&scope.region, &scope.service] {
                    key = mac(&*key, &[part.as_bytes()]);
                }
                Some(Self::Hmac(mac(&*key, &[b"aws4_request"])))
            }
            Algorithm::Ecdsa => ecdsa(id, secret).map(|key| Self::Ecdsa(Box::new(key))),
        }
    }

    /// Returns the hexadecimal signature of a string to sign; DER for ECDSA.
    pub fn sign(&self, string_to_sign: &str) -> String {
        match self {
            Self::Hmac(key) => hex::encode(*mac(&**key, &[string_to_sign.as_bytes()])),
            Self::Ecdsa(key) => {
                let signature: DerSignature = key.sign(string_to_sign.as_bytes());
                hex::encode(signature.as_bytes())
            }
        }
    }

    /// As [`Self::sign`], as a chunk carries it: of one width, whatever the signature.
    pub fn sign_chunk(&self, string_to_sign: &str) -> String {
        let signature = self.sign(string_to_sign);
        match self {
            Self::Hmac(_) => signature,
            Self::Ecdsa(_) => format!("{signature:*<CHUNK_SIGNATURE_WIDTH$}"),
        }
    }
}

/// NIST SP 800-108 in counter mode, as AWS fixed it: the first candidate that is a key less one.
fn ecdsa(id: &str, secret: &str) -> Option<EcdsaKey> {
    let input = Zeroizing::new(format!("AWS4A{secret}"));
    (1..=CANDIDATES_MAX).find_map(|counter| {
        let candidate = mac(
            input.as_bytes(),
            &[
                &1_u32.to_be_bytes(),
                b"AWS4-ECDSA-P256-SHA256\0",
                id.as_bytes(),
                &[counter],
                &256_u32.to_be_bytes(),
            ],
        );
        let key = plus_one(candidate)?;
        // The order and what is above it are refused, as AWS refuses what is above the order less two.
        EcdsaKey::from_slice(&*key).ok()
    })
}

/// Adds one to a number, most significant byte first; nothing when it overflows.
fn plus_one(mut number: Zeroizing<[u8; 32]>) -> Option<Zeroizing<[u8; 32]>> {
    for byte in number.iter_mut().rev() {
        let (sum, overflows) = byte.overflowing_add(1);
        *byte = sum;
        if !overflows {
            return Some(number);
        }
    }
    None
}

fn mac(key: &[u8], parts: &[&[u8]]) -> Zeroizing<[u8; 32]> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    for part in parts {
        mac.update(part);
    }
    Zeroizing::new(mac.finalize().into_bytes().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ecdsa_key_is_derived_as_aws_derives_it() {
        // aws-c-auth, tests/key_derivation_tests.c.
        let secret = "q+jcrXGc+0zWN6uzclKVhvMmUsIfRPa4rlRandom";
        let key = ecdsa("AKISORANDOMAASORANDOM", secret).unwrap();
        assert_eq!(
            hex::encode(key.to_bytes()),
            "7fd3bd010c0d9c292141c2b77bfbde1042c92e6836fff749d1269ec890fca1bd"
        );
    }

    #[test]
    fn one_is_added_with_its_carry() {
        let mut number = [0; 32];
        number[30..].copy_from_slice(&[1, 255]);
        let sum = plus_one(Zeroizing::new(number)).unwrap();
        assert_eq!(sum[30..], [2, 0]);
        assert!(plus_one(Zeroizing::new([255; 32])).is_none());
    }
}
