//! What a run gets in place of secrets, and beside them its conversation's honey surrogate. The real
//! values go to the proxy alone.

use secrecy::{ExposeSecret as _, SecretString};

use crate::config::types::Repo;
use crate::events::id::ConversationId;
use crate::handlers::ports::Ports;
use crate::handlers::tasks::answer::Obstacle;
use crate::handlers::tasks::prepare::{Halt, Prepared};
use crate::sandbox::credentials::{RunCredentials, honey, issue};
use crate::sandbox::proxy::honey::{Honey, ModelCall};
use crate::sandbox::proxy::wire::Secret;

/// Where agents talk with their model: host and path patterns. Anthropic's own API, Amazon Bedrock
/// and Google Vertex AI; uploads and batches of the same hosts are no talk.
const MODEL_CALLS: [(&str, &str); 4] = [
    ("api.anthropic.com", "/v1/messages"),
    ("api.anthropic.com", "/v1/messages/count_tokens"),
    ("bedrock-runtime.*.amazonaws.com", "/model/*/invoke*"),
    ("*aiplatform.googleapis.com", "/v1/projects/*:*rawPredict"),
];

/// Makes the run's environment: plain secrets as they are, surrogates for the masked ones. Without
/// the proxy nothing could put the real values in, so that a masked secret is then not given at all.
///
/// # Errors
/// [`Halt`] without randomness.
pub(super) fn credentials(
    ports: &Ports,
    prepared: &Prepared<'_>,
    conversation: ConversationId,
) -> Result<(RunCredentials, Option<Honey>), Halt> {
    let mut no_randomness = None;
    let mut random = |bytes: &mut [u8]| {
        if let Err(error) = getrandom::fill(bytes) {
            no_randomness = Some(error);
        }
    };
    let masked = &prepared.repo.masked_secrets;
    let mut credentials = issue(masked, &ports.fingerprint_key, &mut random);
    let apps = &prepared.repo.github_app_credentials;
    credentials.issue_apps(apps, &ports.fingerprint_key, &mut random);
    let signing = &prepared.repo.signing_credentials;
    credentials.issue_signing(signing, &ports.fingerprint_key, &mut random);
    if let Some(error) = no_randomness {
        return Err(Obstacle::Internal(format!("no randomness for surrogates: {error}")).into());
    }
    let plain = prepared.repo.secrets.iter();
    let plain = plain.map(|(name, value)| (name.clone(), value.clone()));
    let mut env: Vec<(String, SecretString)> = plain.collect();
    env.append(&mut credentials.env);
    credentials.env = env;
    // Without a proxy nobody would see it.
    let is_watched = prepared.policy.is_some() && ports.config.network.honey;
    let is_taken = |name: &str| credentials.env.iter().any(|(taken, _)| taken == name);
    let placed = honey::of(conversation, &ports.fingerprint_key, is_taken);
    let honey = placed.filter(|_| is_watched).map(|(name, value)| {
        credentials.env.push((name, SecretString::from(&*value)));
        Honey {
            value: Secret::new(value),
            model_calls: model_calls(prepared.repo),
        }
    });
    Ok((credentials, honey))
}

/// Returns where the agent talks with its model; the operator may have given it another host.
fn model_calls(repo: &Repo) -> Vec<ModelCall> {
    let call = |(host, path): (&str, &str)| ModelCall {
        host: host.to_owned(),
        path: path.to_owned(),
    };
    let mut calls: Vec<ModelCall> = MODEL_CALLS.into_iter().map(call).collect();
    let base = repo.secrets.get("ANTHROPIC_BASE_URL");
    let base: Option<http::Uri> = base.and_then(|base| base.expose_secret().parse().ok());
    if let Some(base) = base
        && let Some(host) = base.host()
    {
        let path = base.path().trim_end_matches('/');
        for end in ["/v1/messages", "/v1/messages/count_tokens"] {
            calls.push(call((host, &format!("{path}{end}"))));
        }
    }
    calls
}
