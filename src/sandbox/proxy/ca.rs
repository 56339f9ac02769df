//! Certificates of one run: an authority of its own, and a leaf for each host it is asked for.
//! The authority is made by the daemon; its key goes over the link and is on no disk.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::sandbox::proxy::limits::LEAVES_MAX;
use crate::sandbox::proxy::wire::Secret;

/// A certificate could not be made.
#[derive(Debug, thiserror::Error)]
pub enum CaError {
    /// rcgen refused.
    #[error("certificate: {0}")]
    Certificate(#[from] rcgen::Error),
    /// rustls refused.
    #[error("certificate: {0}")]
    Tls(#[from] rustls::Error),
}

/// An authority, as text.
#[derive(Debug, Clone)]
pub struct Authority {
    /// Its certificate, PEM: what the sandbox trusts.
    pub certificate: String,
    /// Its key, PEM.
    pub key: Secret,
}

/// Makes an authority for one run; `name` is told to whoever looks at a certificate.
///
/// # Errors
/// [`CaError`] when no key can be made.
pub fn make_authority(name: &str) -> Result<Authority, CaError> {
    let key = KeyPair::generate()?;
    let certificate = authority_params(name).self_signed(&key)?.pem();
    Ok(Authority {
        certificate,
        key: Secret::new(key.serialize_pem()),
    })
}

fn authority_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, format!("Airut sandbox {name}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

/// Mints leaf certificates.
pub struct Minter {
    issuer: Issuer<'static, KeyPair>,
    /// All leaves share a key: it never leaves this process, and making keys costs time.
    leaf_key: KeyPair,
    configs: Mutex<HashMap<String, Arc<ServerConfig>>>,
}

impl Minter {
    /// Takes over the authority of that name.
    ///
    /// # Errors
    /// [`CaError`] when its key is unreadable.
    pub fn new(name: &str, key: &Secret) -> Result<Self, CaError> {
        let key = KeyPair::from_pem(key.expose())?;
        let issuer = Issuer::new(authority_params(name), key);
        Ok(Self {
            issuer,
            leaf_key: KeyPair::generate()?,
            configs: Mutex::default(),
        })
    }

    /// Returns the TLS configuration that speaks for `host`.
    ///
    /// # Errors
    /// [`CaError`] when `host` cannot stand in a certificate.
    pub fn config(&self, host: &str) -> Result<Arc<ServerConfig>, CaError> {
        let known = self
            .configs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(host)
            .cloned();
        if let Some(config) = known {
            return Ok(config);
        }
        let config = Arc::new(self.mint(host)?);
        let mut configs = self.configs.lock().unwrap_or_else(PoisonError::into_inner);
        if configs.len() >= LEAVES_MAX {
            configs.clear();
        }
        configs.insert(host.to_owned(), Arc::clone(&config));
        Ok(config)
    }

    fn mint(&self, host: &str) -> Result<ServerConfig, CaError> {
        let mut params = CertificateParams::new(vec![host.to_owned()])?;
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, host);
        params.is_ca = IsCa::ExplicitNoCa;
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let leaf = params.signed_by(&self.leaf_key, &self.issuer)?;
        let chain: Vec<CertificateDer<'static>> = vec![leaf.der().clone()];
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.leaf_key.serialize_der()));
        let mut config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_is_made_for_each_run_and_its_key_is_not_printed() {
        let (one, other) = (make_authority("a").unwrap(), make_authority("a").unwrap());
        assert_ne!(one.certificate, other.certificate);
        assert_ne!(one.key, other.key);
        assert!(!format!("{:?}", one.key).contains("PRIVATE"));
        assert!(!one.certificate.contains("PRIVATE"));
    }

    #[test]
    fn leaves_are_kept_up_to_the_limit_and_then_minted_anew() {
        let authority = make_authority("a").unwrap();
        let minter = Minter::new("a", &authority.key).unwrap();
        let kept = || minter.configs.lock().unwrap().len();
        let first = minter.config("first.test").unwrap();
        {
            // The rest is the same leaf, since only the number matters.
            let mut configs = minter.configs.lock().unwrap();
            let names = (2..LEAVES_MAX).map(|number| format!("h{number}.test"));
            configs.extend(names.map(|name| (name, Arc::clone(&first))));
        }
        assert_eq!(kept(), LEAVES_MAX - 1);
        minter.config("last.test").unwrap();
        assert_eq!(kept(), LEAVES_MAX, "at the limit all are kept");
        let again = minter.config("first.test").unwrap();
        assert!(Arc::ptr_eq(&first, &again));
        minter.config("beyond.test").unwrap();
        assert_eq!(kept(), 1);
        let anew = minter.config("first.test").unwrap();
        assert!(!Arc::ptr_eq(&first, &anew));
    }
}
