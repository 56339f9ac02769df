//! What Slack says of the app's own tokens, and of what an operator has named: asked for by
//! `airut check` alone. The scopes of a token stand in a header, which the client of the other calls
//! keeps to itself, so one method is called here without it.

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue, Request, StatusCode};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde::Deserialize;
use slack_morphism::SlackApiToken;

use crate::handlers::channels::slack::web::{CALL_TIME_MAX, Web, WebError, connector};

/// Longest answer that is read, in bytes; of a longer one nothing is known.
pub const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// The header that names the scopes of the token (<https://docs.slack.dev/apis/web-api>).
const SCOPES: &str = "x-oauth-scopes";

const METHOD: &str = "auth.test";

/// Whose token it is, and what it may.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Standing {
    /// The workspace's name.
    pub team: String,
    /// The workspace's id.
    pub team_id: String,
    /// The workspace's address.
    pub url: String,
    /// The name of the token's user.
    pub user: String,
    /// The bot; only a bot token has one.
    pub bot_id: Option<String>,
    /// The app; only an app-level token has it here.
    pub app_id: Option<String>,
    /// What the token may.
    #[serde(skip)]
    pub scopes: Vec<String>,
}

/// A channel as far as it matters for the set-up.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Place {
    /// What it is called.
    pub name: String,
    /// Whether the app is in it.
    pub is_member: bool,
    /// Whether it is archived.
    pub is_archived: bool,
}

#[derive(Deserialize)]
struct Envelope {
    ok: bool,
    #[serde(default)]
    error: String,
}

#[derive(Deserialize)]
struct PlaceAnswer {
    channel: Place,
}

#[derive(Deserialize)]
struct BotAnswer {
    bot: Bot,
}

#[derive(Deserialize)]
struct Bot {
    app_id: String,
}

impl Web {
    /// Asks whose bot token it is and what it may.
    ///
    /// # Errors
    /// [`WebError`].
    pub async fn bot_standing(&self) -> Result<Standing, WebError> {
        self.standing(&self.bot).await
    }

    /// Asks which app the app-level token is of.
    ///
    /// # Errors
    /// [`WebError`].
    pub async fn app_standing(&self) -> Result<Standing, WebError> {
        self.standing(&self.app).await
    }

    /// Asks which app a bot is of.
    ///
    /// # Errors
    /// [`WebError`].
    pub async fn app_of(&self, bot: &str) -> Result<String, WebError> {
        let answer: BotAnswer = self.get("bots.info", &[("bot", bot)]).await?;
        Ok(answer.bot.app_id)
    }

    /// Asks about a channel.
    ///
    /// # Errors
    /// [`WebError`].
    pub async fn place(&self, channel: &str) -> Result<Place, WebError> {
        let arguments = [("channel", channel)];
        let answer: PlaceAnswer = self.get("conversations.info", &arguments).await?;
        Ok(answer.channel)
    }

    async fn standing(&self, token: &SlackApiToken) -> Result<Standing, WebError> {
        let asking = tokio::time::timeout(CALL_TIME_MAX, Box::pin(self.ask(token)));
        let too_long = |_| unknown("took too long");
        let (headers, body) = asking.await.map_err(too_long)??;
        let unreadable = |_| WebError::Unreadable {
            method: METHOD.to_owned(),
        };
        let envelope: Envelope = serde_json::from_slice(&body).map_err(unreadable)?;
        if !envelope.ok {
            return Err(WebError::of_code(METHOD, &envelope.error));
        }
        let standing: Standing = serde_json::from_slice(&body).map_err(unreadable)?;
        Ok(Standing {
            scopes: scopes(&headers),
            ..standing
        })
    }

    async fn ask(&self, token: &SlackApiToken) -> Result<(HeaderMap, Bytes), WebError> {
        let connector = connector(self.api_url()).map_err(|error| unknown(&error.to_string()))?;
        let client = Client::builder(TokioExecutor::new()).build::<_, Empty<Bytes>>(connector);
        let mut bearer = HeaderValue::from_str(&format!("Bearer {}", token.token_value.0))
            .map_err(|_| unknown("was not called: the token is no token"))?;
        bearer.set_sensitive(true);
        let request = Request::post(format!("{}/{METHOD}", self.api_url()));
        let request = request.header(AUTHORIZATION, bearer).body(Empty::new());
        let request = request.map_err(|_| unknown("cannot be called at this address"))?;
        let answered = client.request(request).await;
        let response = answered.map_err(|error| WebError::Unreachable {
            detail: error.to_string(),
        })?;
        let (head, body) = response.into_parts();
        if head.status != StatusCode::OK {
            return Err(unknown(&format!("was answered with {}", head.status)));
        }
        let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
        let body = body.map_err(|_| unknown("was not answered to the end"))?;
        Ok((head.headers, body.to_bytes()))
    }
}

fn scopes(headers: &HeaderMap) -> Vec<String> {
    let values = headers.get_all(SCOPES).iter();
    let values = values.filter_map(|value| value.to_str().ok());
    let scopes = values.flat_map(|value| value.split(',')).map(str::trim);
    let scopes = scopes.filter(|scope| !scope.is_empty());
    scopes.map(str::to_owned).collect()
}

fn unknown(what: &str) -> WebError {
    WebError::Unknown {
        detail: format!("{METHOD} {what}"),
    }
}
