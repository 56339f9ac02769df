//! The methods that tell who somebody is and what was written, with as much of their answers as is
//! used. Shapes: <https://api.slack.com/methods>.

use serde::Deserialize;

use crate::handlers::channels::slack::web::{Web, WebError};

/// Whose token it is (`auth.test`).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Own {
    /// The workspace.
    pub team_id: String,
    /// The bot's user.
    pub user_id: String,
    /// The bot.
    #[serde(default)]
    pub bot_id: Option<String>,
}

/// What `apps.connections.open` answers; the address is a secret, and not looked at.
#[derive(Debug, Deserialize)]
struct Opened {}

impl Web {
    /// Finds out why no socket can be opened: asks for one with the app-level token, as the socket's
    /// own client does.
    ///
    /// # Errors
    /// [`WebError`].
    pub async fn try_to_open_a_socket(&self) -> Result<(), WebError> {
        let opened: Result<Opened, WebError> = self.post_for_app("apps.connections.open").await;
        opened.map(|_opened| ())
    }

    /// Asks whose bot token it is.
    ///
    /// # Errors
    /// [`WebError`].
    pub async fn auth_test(&self) -> Result<Own, WebError> {
        self.post("auth.test", &serde_json::Map::new()).await
    }
}
