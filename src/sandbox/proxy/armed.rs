//! What is done to a request's credentials between its permission and its record: tokens asked for,
//! surrogates replaced, signatures made anew, and its response's search prepared.

use std::sync::{Arc, PoisonError};

use http::header::AUTHORIZATION;
use http::{Request, StatusCode};

use crate::sandbox::proxy::body::ProxyBody;
use crate::sandbox::proxy::credentials::{self, Injected};
use crate::sandbox::proxy::forward::Proxy;
use crate::sandbox::proxy::github::Refused;
use crate::sandbox::proxy::scrub::Scrubber;
use crate::sandbox::proxy::scrub::body::Search;
use crate::sandbox::proxy::signing;
use crate::sandbox::proxy::signing::note::SigningNote;
use crate::sandbox::proxy::target::Target;

/// A request that is ready to go.
pub(super) struct Armed {
    pub(super) injected: Injected,
    pub(super) search: Option<Search>,
    /// The signature that was made anew.
    pub(super) signature: Option<SigningNote>,
}

/// Why a request's credentials keep it from going.
pub(super) struct Unarmed {
    pub(super) status: StatusCode,
    pub(super) detail: String,
    /// The answer's body, where it is not that of every refusal.
    pub(super) body: Option<serde_json::Value>,
}

impl Unarmed {
    fn plain(detail: String) -> Self {
        Self {
            status: StatusCode::FORBIDDEN,
            detail,
            body: None,
        }
    }
}

impl From<Refused> for Unarmed {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::NoToken => Self {
                status: StatusCode::BAD_GATEWAY,
                detail: "no token of the GitHub App could be had".to_owned(),
                body: Some(serde_json::json!({
                    "error": "github_app_token_refresh_failed",
                    "message": "Failed to refresh GitHub App installation token",
                })),
            },
            Refused::Scope(why) => Self {
                status: StatusCode::FORBIDDEN,
                detail: format!("it reaches beyond the repositories of the GitHub App: {why}"),
                body: Some(serde_json::json!({
                    "error": "graphql_repo_scope_blocked",
                    "message": format!(
                        "This GraphQL request was not shown to stay within the repositories that \
                         the GitHub App credential is for: {why}."
                    ),
                    "detail": why.0,
                })),
            },
        }
    }
}

impl Proxy {
    /// Puts in what the request may carry.
    pub(super) async fn arm(
        &self,
        request: &mut Request<ProxyBody>,
        target: &Target,
        https: bool,
    ) -> Result<Armed, Unarmed> {
        let host = target.host.as_str();
        if !https {
            let asked = credentials::asked_for(request.headers(), host, &self.credentials);
            let asked = asked.or_else(|| self.apps.asked_for(request.headers(), host));
            if let Some(name) = asked {
                let detail = format!("the credential {name} would be sent in the clear");
                return Err(Unarmed::plain(detail));
            }
        }
        let granting = self.apps.grant(request.headers(), host, &self.link);
        let granted = granting.await?;
        granted.check_scope(request, target).await?;
        if granted.is_new {
            self.know_tokens();
        }
        let search = self.search(host, request);
        // A signature of ours is no foreign credential, whoever else has the header in scope.
        let signature = request.headers().get(AUTHORIZATION);
        let signature = signature.filter(|value| signing::is_signed(value, host, &self.signing));
        let signature = signature.cloned();
        if signature.is_some() {
            request.headers_mut().remove(AUTHORIZATION);
        }
        let mut injected = if granted.credentials.is_empty() {
            credentials::inject(request.headers_mut(), host, &self.credentials)
        } else {
            let own = self.credentials.iter().cloned();
            let all: Vec<_> = own.chain(granted.credentials).collect();
            credentials::inject(request.headers_mut(), host, &all)
        };
        if let Some(signature) = signature {
            request.headers_mut().insert(AUTHORIZATION, signature);
        }
        let signed = signing::apply::sign(request, target, https, &self.signing).await;
        let (used, signature) = signed.map_err(Unarmed::plain)?.unzip();
        injected.used.extend(used);
        Ok(Armed {
            injected,
            search,
            signature,
        })
    }

    /// Returns how the response is looked through, when there is something to look for.
    fn search(&self, host: &str, request: &mut Request<ProxyBody>) -> Option<Search> {
        let scrubber = self.scrubber.read();
        let scrubber = scrubber.unwrap_or_else(PoisonError::into_inner).clone()?;
        let in_scope = credentials::may_go_to(host, &self.credentials)
            || signing::may_go_to(host, &self.signing)
            || self.apps.may_go_to(host);
        Some(Search::prepare(scrubber, in_scope, request.headers_mut()))
    }

    /// Looks for the tokens that there are, too, from now on.
    pub(super) fn know_tokens(&self) {
        let masked = self.credentials.iter();
        let masked = masked.map(|known| (known.value.expose(), known.surrogate.expose()));
        let keys = self.signing.iter().flat_map(|known| {
            let id = (known.key_id.expose(), known.surrogate_key_id.expose());
            let token = known.token.as_ref();
            let token = token.map(|token| (token.value.expose(), token.surrogate.expose()));
            std::iter::once(id).chain(token)
        });
        let tokens = self.apps.known();
        let tokens = tokens
            .iter()
            .map(|(token, surrogate)| (token.expose(), surrogate.expose()));
        let scrubber = Scrubber::new(masked.chain(keys).chain(tokens)).map(Arc::new);
        let mut known = self
            .scrubber
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *known = scrubber;
    }
}
