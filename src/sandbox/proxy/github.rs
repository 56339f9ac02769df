//! Tokens of GitHub Apps in a proxy: asked for over the link when a surrogate is used, kept until
//! shortly before they expire. The app's key never comes here.

pub mod node_id;
pub mod scope;

use std::sync::{PoisonError, RwLock};

use bytes::BytesMut;
use http::Request;
use http::header::{CONTENT_ENCODING, HeaderMap};
use http_body_util::BodyExt as _;
use percent_encoding::percent_decode_str;
use tokio::sync::Mutex;

use crate::clock;
use crate::sandbox::proxy::body::{ProxyBody, full};
use crate::sandbox::proxy::credentials;
use crate::sandbox::proxy::github::scope::OutOfScope;
use crate::sandbox::proxy::glob;
use crate::sandbox::proxy::limits::GRAPHQL_BODY_BYTES_MAX;
use crate::sandbox::proxy::link::Link;
use crate::sandbox::proxy::target::Target;
use crate::sandbox::proxy::wire::{AppCredential, IssuedToken, MaskedCredential, Secret};

/// How long before its end a token is not used any more.
pub const REFRESH_BEFORE_MS: u64 = 300_000;

/// Tokens of one app that are looked for in responses; older ones have expired.
const TOKENS_KNOWN_MAX: usize = 3;

/// Returns whether a token may still be used at `now_ms`: it is good for longer than the time it is
/// minted anew before its end.
pub fn is_fresh(token: &IssuedToken, now_ms: u64) -> bool {
    token.expires_at_ms > now_ms.saturating_add(REFRESH_BEFORE_MS)
}

/// Why a request with an app's surrogate does not go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// No token could be had: answer 502.
    NoToken,
    /// It reaches beyond the app's repositories: answer 403.
    Scope(OutOfScope),
}

/// The apps of a run.
pub struct Apps {
    apps: Vec<App>,
}

struct App {
    credential: AppCredential,
    /// Held while a token is asked for, so that one request asks and the others wait.
    issued: Mutex<Option<IssuedToken>>,
    /// What responses are looked through for.
    known: RwLock<Vec<Secret>>,
}

/// What requests to one host are to be treated with.
pub struct Granted {
    /// As a masked secret: the token, or nothing to put in where none is asked for.
    pub credentials: Vec<MaskedCredential>,
    /// Whether a token is new, so that responses have to be looked through for it.
    pub is_new: bool,
    tokens: Vec<IssuedToken>,
}

impl Apps {
    /// Keeps the apps of a run, without a token so far.
    pub fn new(apps: Vec<AppCredential>) -> Self {
        let app = |credential| App {
            credential,
            issued: Mutex::default(),
            known: RwLock::default(),
        };
        Self {
            apps: apps.into_iter().map(app).collect(),
        }
    }

    /// Returns whether any app's token may go to `host`.
    pub fn may_go_to(&self, host: &str) -> bool {
        self.apps.iter().any(|app| app.in_scope(host))
    }

    /// Returns the tokens there are, with their surrogates.
    pub fn known(&self) -> Vec<(Secret, Secret)> {
        let mut all = Vec::new();
        for app in &self.apps {
            let known = app.known.read().unwrap_or_else(PoisonError::into_inner);
            let surrogate = &app.credential.surrogate;
            all.extend(known.iter().map(|token| (token.clone(), surrogate.clone())));
        }
        all
    }

    /// Returns the name of an app whose token a request to `host` would carry.
    pub fn asked_for(&self, headers: &HeaderMap, host: &str) -> Option<&str> {
        let asks = |app: &&App| {
            let credential = [app.as_masked()];
            app.in_scope(host) && credentials::asked_for(headers, host, &credential).is_some()
        };
        let app = self.apps.iter().find(asks)?;
        Some(&app.credential.name)
    }

    /// Returns what a request to `host` with these headers is granted. The headers are read before
    /// the wait for a token, so that the request need not be held for it.
    ///
    /// # Errors
    /// [`Refused::NoToken`].
    pub fn grant<'a>(
        &'a self,
        headers: &HeaderMap,
        host: &str,
        link: &'a Link,
    ) -> impl Future<Output = Result<Granted, Refused>> + use<'a> {
        let in_scope = self.apps.iter().filter(|app| app.in_scope(host));
        let met: Vec<_> = in_scope
            .map(|app| {
                let credential = app.as_masked();
                let known = std::slice::from_ref(&credential);
                let is_asked = credentials::asked_for(headers, host, known).is_some();
                (app, credential, is_asked)
            })
            .collect();
        async move {
            let mut granted = Granted {
                credentials: Vec::new(),
                is_new: false,
                tokens: Vec::new(),
            };
            for (app, mut credential, is_asked) in met {
                if is_asked {
                    let (token, is_new) = app.token(link).await.ok_or(Refused::NoToken)?;
                    granted.is_new |= is_new;
                    credential.value = token.token.clone();
                    granted.tokens.push(token);
                }
                granted.credentials.push(credential);
            }
            Ok(granted)
        }
    }
}

impl Granted {
    /// Lets a GraphQL request pass only within the repositories of the app.
    ///
    /// # Errors
    /// [`Refused::Scope`].
    pub async fn check_scope(
        &self,
        request: &mut Request<ProxyBody>,
        target: &Target,
    ) -> Result<(), Refused> {
        let refuse = |why: &str| Err(Refused::Scope(OutOfScope(why.to_owned())));
        let decoded = percent_decode_str(&target.path_and_query).decode_utf8_lossy();
        let (path, query) = decoded.split_once('?').unwrap_or((&decoded, ""));
        let path = path.trim_end_matches('/').to_ascii_lowercase();
        if self.tokens.is_empty() || !path.ends_with("/graphql") {
            return Ok(());
        }
        if !query.is_empty() || decoded.ends_with('?') {
            return refuse("query-params");
        }
        if request.headers().contains_key(CONTENT_ENCODING) {
            return refuse("<unreadable>");
        }
        let mut body = std::mem::replace(request.body_mut(), full(""));
        let mut whole = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else {
                return refuse("<unreadable>");
            };
            let Ok(data) = frame.into_data() else {
                continue;
            };
            if whole.len() + data.len() > GRAPHQL_BODY_BYTES_MAX {
                return refuse("<too-large>");
            }
            whole.extend_from_slice(&data);
        }
        let whole = whole.freeze();
        for token in &self.tokens {
            scope::judge(&whole, &token.repositories).map_err(Refused::Scope)?;
        }
        *request.body_mut() = full(whole);
        Ok(())
    }
}

impl App {
    fn in_scope(&self, host: &str) -> bool {
        let mut scopes = self.credential.scopes.iter();
        scopes.any(|scope| glob::matches_ignoring_case(scope, host))
    }

    fn as_masked(&self) -> MaskedCredential {
        MaskedCredential {
            name: self.credential.name.clone(),
            surrogate: self.credential.surrogate.clone(),
            value: Secret::new(String::new()),
            scopes: self.credential.scopes.clone(),
            headers: vec!["Authorization".to_owned()],
            allow_foreign: self.credential.allow_foreign,
        }
    }

    /// Returns a token that is good for a while, and whether it is new.
    async fn token(&self, link: &Link) -> Option<(IssuedToken, bool)> {
        let mut issued = self.issued.lock().await;
        let now_ms = clock::now_ms();
        if let Some(token) = issued.as_ref().filter(|token| is_fresh(token, now_ms)) {
            return Some((token.clone(), false));
        }
        let token = link.token(&self.credential.name).await?;
        *issued = Some(token.clone());
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.insert(0, token.token.clone());
        known.truncate(TOKENS_KNOWN_MAX);
        Some((token, true))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_minted_anew_five_minutes_before_its_end() {
        let token = IssuedToken {
            token: Secret::new("ghs_token".to_owned()),
            expires_at_ms: 1_000_000,
            repositories: vec![],
        };
        assert!(is_fresh(&token, 699_999));
        assert!(!is_fresh(&token, 700_000));
        assert!(!is_fresh(&token, 700_001));
        assert!(!is_fresh(&token, u64::MAX));
    }
}
