//! Whom mail servers must be certified by: the public authorities and the operator's own.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

/// Why there is no trust to begin with: correct the configuration.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The file cannot be read.
    #[error("tls_ca_file {path} cannot be used: {error}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        error: String,
    },
    /// No name server can be asked.
    #[error("auth.resolver cannot be used: {0}")]
    Resolver(String),
    /// The TLS library refuses.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
}

/// Whom to trust, for both protocols.
#[derive(Debug, Clone)]
pub struct Trust {
    /// For IMAP.
    pub config: Arc<ClientConfig>,
    /// The operator's own authorities, for SMTP.
    pub own: Vec<Vec<u8>>,
}

impl Trust {
    /// Reads the operator's authorities, if there are any.
    ///
    /// # Errors
    /// [`TrustError`] naming the file.
    pub fn load(ca_file: Option<&Path>) -> Result<Self, TrustError> {
        let own = match ca_file {
            Some(path) => certificates(path)?,
            None => Vec::new(),
        };
        let mut roots = RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        for certificate in &own {
            roots.add(CertificateDer::from(certificate.clone()))?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self {
            config: Arc::new(config),
            own,
        })
    }
}

fn certificates(path: &Path) -> Result<Vec<Vec<u8>>, TrustError> {
    let failed = |error: String| TrustError::File {
        path: path.to_owned(),
        error,
    };
    let found = CertificateDer::pem_file_iter(path).map_err(|error| failed(error.to_string()))?;
    let found: Result<Vec<Vec<u8>>, _> = found
        .map(|one| one.map(|one| one.as_ref().to_vec()))
        .collect();
    let found = found.map_err(|error| failed(error.to_string()))?;
    if found.is_empty() {
        return Err(failed("it holds no certificate".to_owned()));
    }
    Ok(found)
}
