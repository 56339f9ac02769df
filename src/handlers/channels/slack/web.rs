//! The one place that calls Slack's Web API: through slack-morphism's client, each call bounded in
//! time, a 429 obeyed. It knows the methods' shapes and nothing of what they are called for.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use serde::de::DeserializeOwned;
use slack_morphism::hyper_tokio::SlackClientHyperHttpsConnector;
use slack_morphism::listener::SlackClientEventsListenerEnvironment;
use slack_morphism::socket_mode::clients_manager::{
    SlackSocketModeClientsManager, SlackSocketModeClientsManagerFactory as _,
};
use slack_morphism::{
    ClientResult, SlackApiToken, SlackApiTokenValue, SlackClient, SlackClientHttpConnector as _,
    SlackClientSocketModeConfig, SlackSocketModeClientListener,
};

use crate::config::types::Slack;

pub mod error;
pub mod fetch;
pub mod reading;
pub mod standing;

pub use error::WebError;

/// Longest time a call may take; then its outcome is unknown.
pub const CALL_TIME_MAX: Duration = Duration::from_secs(30);

/// How often a call is made that Slack answers with 429; then the caller is told, and comes again
/// later.
pub const RATE_LIMITED_TRIES_MAX: u32 = 3;

/// Longest pause that is waited out within a call; at a longer one the caller is told.
pub const RATE_LIMIT_WAIT_MAX: Duration = Duration::from_secs(60);

/// The client that calls go through.
pub type Client = SlackClient<SlackClientHyperHttpsConnector>;

/// Why Slack cannot be called at all: correct the machine.
#[derive(Debug, thiserror::Error)]
pub enum WebSetupError {
    /// The machine has no authorities that servers could be certified by.
    #[error(
        "the machine's certificate authorities cannot be read, so Slack cannot be trusted: {0}"
    )]
    Roots(std::io::Error),
}

/// Slack's Web API, with the tokens of one app.
#[derive(Debug)]
pub struct Web {
    client: Arc<Client>,
    bot: SlackApiToken,
    app: SlackApiToken,
    api_url: String,
}

impl Web {
    /// Returns the API of an app; nothing is called yet.
    ///
    /// # Errors
    /// [`WebSetupError`] when nobody could be trusted.
    pub fn new(settings: &Slack) -> Result<Self, WebSetupError> {
        let connector = SlackClientHyperHttpsConnector::from(connector(&settings.api_url)?);
        let connector = connector.with_slack_api_url(&settings.api_url);
        Ok(Self {
            client: Arc::new(SlackClient::new(connector)),
            bot: token(&settings.bot_token),
            app: token(&settings.app_token),
            api_url: settings.api_url.clone(),
        })
    }

    /// Returns where the API is.
    pub fn api_url(&self) -> &str {
        &self.api_url
    }

    /// Begins to open a connection of Socket Mode with the app-level token; what comes over it is
    /// handed to `listener`.
    ///
    /// # Errors
    /// What the client says when it cannot begin.
    pub(super) async fn open_socket(
        &self,
        config: &SlackClientSocketModeConfig,
        listener: Arc<dyn SlackSocketModeClientListener + Send + Sync>,
    ) -> ClientResult<Arc<dyn SlackSocketModeClientsManager + Send + Sync>> {
        let client = Arc::clone(&self.client);
        let environment = Arc::new(SlackClientEventsListenerEnvironment::new(client));
        let connector = &self.client.http_api.connector;
        let manager = connector.new_clients_manager(environment);
        manager
            .register_new_token(config, self.app.clone(), listener)
            .await?;
        manager.start().await;
        Ok(manager)
    }

    /// Calls a method that reads, with the bot token: its arguments stand in the address.
    ///
    /// # Errors
    /// [`WebError`], which says what is known.
    pub async fn get<R>(&self, method: &str, arguments: &[(&str, &str)]) -> Result<R, WebError>
    where
        R: DeserializeOwned + Send,
    {
        let session = self.client.open_session(&self.bot);
        let arguments: Vec<(&str, Option<&str>)> = arguments
            .iter()
            .map(|(name, value)| (*name, Some(*value)))
            .collect();
        obeying(method, || {
            let call = session.http_session_api.http_get(method, &arguments, None);
            Box::pin(call)
        })
        .await
    }

    /// Calls a method that may change something, with the bot token: its arguments are JSON.
    ///
    /// # Errors
    /// [`WebError`], which says what is known.
    pub async fn post<A, R>(&self, method: &str, arguments: &A) -> Result<R, WebError>
    where
        A: Serialize + Send + Sync,
        R: DeserializeOwned + Send,
    {
        self.post_as(&self.bot, method, arguments).await
    }

    /// As [`Self::post`], but a 429 is the answer, however short the wait that it asks for.
    ///
    /// # Errors
    /// [`WebError`], which says what is known.
    pub async fn post_at_once<A, R>(&self, method: &str, arguments: &A) -> Result<R, WebError>
    where
        A: Serialize + Send + Sync,
        R: DeserializeOwned + Send,
    {
        let session = self.client.open_session(&self.bot);
        let call = session.http_session_api.http_post(method, arguments, None);
        bounded(method, Box::pin(call)).await
    }

    /// Calls a method with the app-level token.
    async fn post_for_app<R>(&self, method: &str) -> Result<R, WebError>
    where
        R: DeserializeOwned + Send,
    {
        let none = serde_json::Map::new();
        self.post_as(&self.app, method, &none).await
    }

    async fn post_as<A, R>(
        &self,
        token: &SlackApiToken,
        method: &str,
        arguments: &A,
    ) -> Result<R, WebError>
    where
        A: Serialize + Send + Sync,
        R: DeserializeOwned + Send,
    {
        let session = self.client.open_session(token);
        obeying(method, || {
            let call = session.http_session_api.http_post(method, arguments, None);
            Box::pin(call)
        })
        .await
    }

    /// Sends bytes to an address that Slack gave out for them
    /// (`files.getUploadURLExternal`); the address is a secret, and no token goes along.
    ///
    /// # Errors
    /// [`WebError`], which says what is known.
    pub async fn put_bytes(&self, url: &str, bytes: &[u8]) -> Result<(), WebError> {
        let span = tracing::Span::none();
        let context = slack_morphism::SlackClientApiCallContext {
            rate_control_params: None,
            token: None,
            tracing_span: &span,
            is_sensitive_url: true,
        };
        let connector = &self.client.http_api.connector;
        let sent: Result<serde_json::Value, WebError> = obeying("the upload", || {
            let kind = "application/octet-stream".to_owned();
            match url.parse() {
                Ok(url) => connector.http_post_uri_binary(url, kind, bytes, context.clone()),
                Err(error) => Box::pin(std::future::ready(Err(error.into()))),
            }
        })
        .await;
        sent.map(|_nothing| ())
    }
}

/// Calls until Slack does not answer 429, or says to wait for longer than a call may.
async fn obeying<'a, R>(
    method: &str,
    call: impl Fn() -> BoxFuture<'a, ClientResult<R>>,
) -> Result<R, WebError> {
    for _ in 1..RATE_LIMITED_TRIES_MAX {
        match bounded(method, call()).await {
            Err(WebError::RateLimited { retry_after }) if retry_after <= RATE_LIMIT_WAIT_MAX => {
                tracing::debug!(method, ?retry_after, "Slack asks to wait");
                tokio::time::sleep(retry_after).await;
            }
            answered => return answered,
        }
    }
    bounded(method, call()).await
}

async fn bounded<R>(method: &str, call: BoxFuture<'_, ClientResult<R>>) -> Result<R, WebError> {
    match tokio::time::timeout(CALL_TIME_MAX, call).await {
        Ok(answered) => answered.map_err(|error| WebError::of(method, error)),
        Err(_) => Err(WebError::Unknown {
            detail: format!("{method} took longer than {} s", CALL_TIME_MAX.as_secs()),
        }),
    }
}

/// Over https everybody is verified; plain http goes to this machine alone, which the configuration
/// sees to.
pub(super) fn connector(api_url: &str) -> Result<HttpsConnector<HttpConnector>, WebSetupError> {
    let builder = HttpsConnectorBuilder::new();
    if api_url.starts_with("http://") {
        let roots = rustls::RootCertStore::empty();
        let config = rustls::ClientConfig::builder_with_provider(Arc::new(
            rustls::crypto::ring::default_provider(),
        ))
        .with_safe_default_protocol_versions()
        .expect("ring has the default versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
        return Ok(builder
            .with_tls_config(config)
            .https_or_http()
            .enable_http1()
            .build());
    }
    let provider = rustls::crypto::ring::default_provider();
    let builder = builder
        .with_provider_and_native_roots(provider)
        .map_err(WebSetupError::Roots)?;
    Ok(builder.https_only().enable_http1().enable_http2().build())
}

fn token(secret: &SecretString) -> SlackApiToken {
    SlackApiToken::new(SlackApiTokenValue(secret.expose_secret().to_owned()))
}
