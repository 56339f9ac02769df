//! Tokens of GitHub Apps, minted by the daemon: an app's key never enters a container. Runs share
//! tokens; each is minted anew shortly before it expires. It knows nothing of surrogates.

pub mod api;
pub mod jwt;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use secrecy::ExposeSecret as _;

use crate::clock;
use crate::config::types::GithubAppSecret;
use crate::sandbox::github::api::{Api, CallError};
use crate::sandbox::proxy::github::is_fresh;
use crate::sandbox::proxy::wire::{IssuedToken, Secret};

/// Why there is no token; the run's proxy answers 502 then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// No app has that name.
    #[error("no app of this run has that name")]
    Unknown,
    /// The app's key cannot be used.
    #[error(transparent)]
    Key(#[from] jwt::BadKey),
    /// GitHub did not answer as expected.
    #[error(transparent)]
    Call(#[from] CallError),
    /// GitHub's time of expiry does not read.
    #[error("the token's time of expiry is none: {0}")]
    Expiry(String),
}

/// One token, or none yet; locked while it is minted, so that all who want it wait for one call.
type Slot = Arc<tokio::sync::Mutex<Option<IssuedToken>>>;

/// Mints tokens and keeps them for all runs.
pub struct GithubTokens {
    api: Api,
    slots: Mutex<BTreeMap<String, Slot>>,
}

impl GithubTokens {
    /// Trusts the public authorities, and those in `further` (PEM).
    ///
    /// # Errors
    /// When a further authority does not read.
    pub fn new(further: Option<&str>) -> Result<Self, CallError> {
        Ok(Self {
            api: Api::new(further)?,
            slots: Mutex::default(),
        })
    }

    /// Returns a token that is good for more than five minutes.
    ///
    /// # Errors
    /// [`TokenError`].
    pub async fn token(&self, app: &GithubAppSecret) -> Result<IssuedToken, TokenError> {
        let slot = self.slot(app);
        let mut slot = slot.lock().await;
        let now_ms = clock::now_ms();
        if let Some(token) = slot.as_ref().filter(|token| is_fresh(token, now_ms)) {
            return Ok(token.clone());
        }
        let token = self.mint(app).await?;
        *slot = Some(token.clone());
        Ok(token)
    }

    /// Apps that ask for the same share a token; one that asks for less never gets more.
    fn slot(&self, app: &GithubAppSecret) -> Slot {
        let wanted = serde_json::json!([
            app.base_url,
            app.app_id.expose_secret(),
            app.private_key.expose_secret(),
            app.installation_id,
            app.permissions,
            app.repositories
        ]);
        let key = crate::sandbox::proxy::signing::canonical::sha256_hex(wanted.to_string());
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(slots.entry(key).or_default())
    }

    async fn mint(&self, app: &GithubAppSecret) -> Result<IssuedToken, TokenError> {
        let (id, key) = (app.app_id.expose_secret(), app.private_key.expose_secret());
        let statement = jwt::statement(id, key, clock::now_ms())?;
        let mut narrowed = serde_json::Map::new();
        if !app.permissions.is_empty() {
            narrowed.insert("permissions".to_owned(), serde_json::json!(app.permissions));
        }
        if !app.repositories.is_empty() {
            narrowed.insert(
                "repositories".to_owned(),
                serde_json::json!(app.repositories),
            );
        }
        let (base_url, installation) = (&app.base_url, app.installation_id);
        let token = self
            .api
            .token(base_url, installation, &statement, &narrowed.into())
            .await?;
        let expires_at: jiff::Timestamp = token
            .expires_at
            .parse()
            .map_err(|error: jiff::Error| TokenError::Expiry(error.to_string()))?;
        // Without the list no GraphQL request is in scope; everything else works.
        let repositories = self.api.repositories(base_url, &token.token).await;
        let repositories = repositories.unwrap_or_else(|error| {
            tracing::warn!(%error, "the repositories of a GitHub App cannot be listed");
            Vec::new()
        });
        Ok(IssuedToken {
            token: Secret::new(token.token),
            expires_at_ms: u64::try_from(expires_at.as_millisecond()).unwrap_or(0),
            repositories,
        })
    }
}

impl std::fmt::Debug for GithubTokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("GithubTokens")
    }
}

/// The apps of one run, by the name its proxy knows.
#[derive(Clone)]
pub struct RunApps {
    tokens: Arc<GithubTokens>,
    apps: Arc<BTreeMap<String, GithubAppSecret>>,
}

impl RunApps {
    /// Lets a run have tokens of these apps, and of no other.
    pub fn new(tokens: Arc<GithubTokens>, apps: BTreeMap<String, GithubAppSecret>) -> Self {
        let apps = Arc::new(apps);
        Self { tokens, apps }
    }

    /// Returns a token of one of them; why there is none is traced.
    pub async fn token(&self, name: &str) -> Option<IssuedToken> {
        let minted = match self.apps.get(name) {
            Some(app) => self.tokens.token(app).await,
            None => Err(TokenError::Unknown),
        };
        minted
            .inspect_err(|error| tracing::warn!(app = name, %error, "no token of a GitHub App"))
            .ok()
    }
}
