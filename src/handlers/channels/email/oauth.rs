//! Tokens for a mailbox at Microsoft: asked for with the client-credentials grant (RFC 6749, section
//! 4.4; Microsoft identity platform, v2.0 token endpoint), kept until five minutes before they end, and
//! shared by IMAP and SMTP. Neither the secret nor a token is in an error or a `Debug` print. What a
//! token is used for is not known here.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HOST, USER_AGENT};
use http::{Method, Request, StatusCode, Uri};
use http_body_util::Full;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::Mutex;
use tokio_rustls::TlsConnector;

use crate::clock;
use crate::config::types::MicrosoftOauth2;
use crate::handlers::channels::email::oauth::answer::{Token, form, read};
use crate::handlers::channels::email::tls::Trust;
use crate::sandbox::https;

pub mod answer;

/// Time for one question; then it has failed.
const CALL_TIME_MAX: Duration = Duration::from_secs(30);
/// Longest answer, in bytes; a longer one is a failure.
const ANSWER_BYTES_MAX: usize = 64 << 10;
/// How long before its end a token counts as ended.
const REFRESH_BEFORE_MS: u64 = 5 * 60 * 1000;

/// Why there is no token. Whoever needed one tries again as after any other failure.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no OAuth2 token from {endpoint}: {why}")]
pub struct OauthError {
    endpoint: String,
    why: String,
}

/// The tokens of an account.
#[derive(Debug)]
pub struct Tokens {
    settings: MicrosoftOauth2,
    tls: TlsConnectorOf,
    /// Locked while a token is asked for, so that both protocols wait for the same one.
    kept: Mutex<Option<Kept>>,
}

/// A token to sign in with.
#[derive(Debug, Clone)]
pub struct Usable {
    /// The token.
    pub token: SecretString,
    /// Whether it was used before: when it is refused, a new one may do better.
    pub is_old: bool,
}

#[derive(Debug)]
struct Kept {
    token: SecretString,
    until_ms: u64,
}

/// [`TlsConnector`] with a `Debug` print.
struct TlsConnectorOf(TlsConnector);

impl std::fmt::Debug for TlsConnectorOf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TlsConnector")
    }
}

impl Tokens {
    /// Returns the tokens of an account; none is asked for yet.
    pub fn new(settings: MicrosoftOauth2, trust: &Trust) -> Self {
        let tls = TlsConnectorOf(TlsConnector::from(Arc::clone(&trust.config)));
        Self {
            settings,
            tls,
            kept: Mutex::new(None),
        }
    }

    /// Returns the token that is kept, or a new one when it ends within five minutes.
    ///
    /// # Errors
    /// [`OauthError`] when the endpoint gives none; nothing is kept then.
    pub async fn token(&self) -> Result<Usable, OauthError> {
        let mut kept = self.kept.lock().await;
        let now_ms = clock::now_ms();
        if let Some(kept) = kept.as_ref().filter(|kept| now_ms < kept.until_ms) {
            return Ok(Usable {
                token: kept.token.clone(),
                is_old: true,
            });
        }
        *kept = None;
        let Token { token, lasts_s } = Box::pin(self.ask()).await?;
        let lasts_ms = lasts_s.saturating_mul(1000);
        *kept = Some(Kept {
            token: token.clone(),
            until_ms: now_ms.saturating_add(lasts_ms.saturating_sub(REFRESH_BEFORE_MS)),
        });
        Ok(Usable {
            token,
            is_old: false,
        })
    }

    /// Drops a token that a server refused, unless another has taken its place.
    pub async fn refused(&self, token: &SecretString) {
        let mut kept = self.kept.lock().await;
        kept.take_if(|kept| kept.token.expose_secret() == token.expose_secret());
    }

    async fn ask(&self) -> Result<Token, OauthError> {
        let endpoint = self.endpoint();
        let asked = tokio::time::timeout(CALL_TIME_MAX, self.exchange(&endpoint)).await;
        let answer = asked.unwrap_or_else(|_| Err("no answer in time".to_owned()));
        let read = answer.and_then(|(status, body)| {
            read(
                status.as_u16(),
                &body,
                self.settings.client_secret.expose_secret(),
            )
        });
        read.map_err(|why| OauthError { endpoint, why })
    }

    fn endpoint(&self) -> String {
        let MicrosoftOauth2 {
            authority,
            tenant_id,
            ..
        } = &self.settings;
        format!("{authority}/{tenant_id}/oauth2/v2.0/token")
    }

    /// Posts the form and reads the answer, on a connection of its own.
    async fn exchange(&self, endpoint: &str) -> Result<(StatusCode, Bytes), String> {
        let uri: Uri = endpoint.parse().map_err(words)?;
        let request = self.request(&uri).map_err(words)?;
        https::call(&self.tls.0, &uri, request, ANSWER_BYTES_MAX).await
    }

    fn request(&self, uri: &Uri) -> Result<Request<Full<Bytes>>, http::Error> {
        let settings = &self.settings;
        let body = form(&[
            ("client_id", &settings.client_id),
            ("client_secret", settings.client_secret.expose_secret()),
            ("scope", &settings.scope),
            ("grant_type", "client_credentials"),
        ]);
        Request::builder()
            .method(Method::POST)
            .uri(uri.path())
            .header(HOST, uri.authority().map_or("", |host| host.as_str()))
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(ACCEPT, "application/json")
            .header(USER_AGENT, "airut")
            .body(Full::new(Bytes::from(body)))
    }
}

fn words(error: impl std::fmt::Display) -> String {
    error.to_string()
}
