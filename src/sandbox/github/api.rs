//! The two calls to GitHub's API that an app needs: a token for an installation, and the list of its
//! repositories (GitHub REST API, version 2022-11-28). Over verified TLS alone.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue, USER_AGENT};
use http::{Method, Request, Uri};
use http_body_util::Full;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use serde::Deserialize;
use tokio_rustls::TlsConnector;

use crate::sandbox::https;
use crate::sandbox::proxy::wire::AllowedRepository;

/// Time for one call; then it has failed.
const CALL_TIME_MAX: Duration = Duration::from_secs(30);

/// Longest answer, in bytes; a longer one is a failure.
const ANSWER_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Repositories on one page, GitHub's most.
const PAGE_ITEMS: usize = 100;

/// Pages that are read; repositories beyond them count as not allowed.
const PAGES_MAX: usize = 100;

/// Why GitHub gave no answer; the proxy answers 502 then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct CallError(String);

/// A token as GitHub issued it.
#[derive(Deserialize)]
pub struct Token {
    /// The token.
    pub token: String,
    /// When it expires, RFC 3339.
    pub expires_at: String,
}

/// GitHub's API.
#[derive(Clone)]
pub struct Api {
    tls: TlsConnector,
}

impl Api {
    /// Trusts the public authorities, and those in `further` (PEM).
    ///
    /// # Errors
    /// When a further authority does not read.
    pub fn new(further: Option<&str>) -> Result<Self, CallError> {
        let mut roots = RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        for authority in CertificateDer::pem_slice_iter(further.unwrap_or_default().as_bytes()) {
            let authority = authority.map_err(|error| failed("authorities", &error))?;
            let added = roots.add(authority);
            added.map_err(|error| failed("authorities", &error))?;
        }
        let config = ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let tls = TlsConnector::from(Arc::new(config));
        Ok(Self { tls })
    }

    /// Asks for a token of an installation.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn token(
        &self,
        base_url: &str,
        installation_id: u64,
        statement: &str,
        narrowed: &serde_json::Value,
    ) -> Result<Token, CallError> {
        let url = format!("{base_url}/app/installations/{installation_id}/access_tokens");
        self.call(Method::POST, &url, statement, narrowed.to_string())
            .await
    }

    /// Returns the repositories that a token is good for.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn repositories(
        &self,
        base_url: &str,
        token: &str,
    ) -> Result<Vec<AllowedRepository>, CallError> {
        #[derive(Deserialize)]
        struct Page {
            repositories: Vec<AllowedRepository>,
        }
        let mut all = Vec::new();
        for page in 1..=PAGES_MAX {
            let url =
                format!("{base_url}/installation/repositories?per_page={PAGE_ITEMS}&page={page}");
            let read: Page = self.call(Method::GET, &url, token, String::new()).await?;
            let was_last = read.repositories.len() < PAGE_ITEMS;
            all.extend(read.repositories);
            if was_last {
                break;
            }
        }
        Ok(all)
    }

    async fn call<A: serde::de::DeserializeOwned>(
        &self,
        method: Method,
        url: &str,
        bearer: &str,
        body: String,
    ) -> Result<A, CallError> {
        let called = tokio::time::timeout(CALL_TIME_MAX, self.exchange(method, url, bearer, body));
        let answer = called
            .await
            .map_err(|_| CallError(format!("{url}: no answer in time")))??;
        serde_json::from_slice(&answer).map_err(|error| failed(url, &error))
    }

    async fn exchange(
        &self,
        method: Method,
        url: &str,
        bearer: &str,
        body: String,
    ) -> Result<Bytes, CallError> {
        let uri: Uri = url.parse().map_err(|error| failed(url, &error))?;
        let request = request(method, &uri, bearer, body).map_err(|error| failed(url, &error))?;
        let answered = https::call(&self.tls, &uri, request, ANSWER_BYTES_MAX).await;
        let (status, body) = answered.map_err(|error| failed(url, &error))?;
        if !status.is_success() {
            return Err(CallError(format!("{url}: answered {status}")));
        }
        Ok(body)
    }
}

fn request(
    method: Method,
    uri: &Uri,
    bearer: &str,
    body: String,
) -> Result<Request<Full<Bytes>>, http::Error> {
    let mut bearer = HeaderValue::try_from(format!("Bearer {bearer}"))?;
    bearer.set_sensitive(true);
    let target = uri.path_and_query().map_or("/", |target| target.as_str());
    let host = uri.authority().map_or("", |authority| authority.as_str());
    Request::builder()
        .method(method)
        .uri(target)
        .header(HOST, host)
        .header(AUTHORIZATION, bearer)
        .header(ACCEPT, "application/vnd.github+json")
        .header(CONTENT_TYPE, "application/json")
        .header(USER_AGENT, "airut")
        .header("x-github-api-version", "2022-11-28")
        .body(Full::new(Bytes::from(body)))
}

fn failed(what: &str, error: &dyn std::fmt::Display) -> CallError {
    CallError(format!("{what}: {error}"))
}
