//! Fetching a file that somebody shared. The bot token goes to Slack's own hosts and nowhere else,
//! whatever address a message names and wherever an answer leads.

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Request, Uri};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use std::time::Duration;

use crate::handlers::channels::slack::web::{Web, connector};

/// Hosts that the bot token may be sent to for a file (spec row SLK-23).
const FILE_HOSTS: [&str; 2] = ["files.slack.com", "slack.com"];

/// Longest time that fetching one file may take; then it is told as missing.
pub const FETCH_TIME_MAX: Duration = Duration::from_secs(120);

impl Web {
    /// Returns the bytes behind an address that a shared file names.
    ///
    /// # Errors
    /// Words for the sender, also when there are more than `bytes_max` bytes. `expects_page` says that
    /// the file is a page itself: else a page is Slack's way to ask for a login.
    pub async fn fetch(
        &self,
        url: &str,
        bytes_max: usize,
        expects_page: bool,
    ) -> Result<Bytes, String> {
        let uri = permitted(url, self.api_url()).ok_or("its address is not one of Slack's")?;
        let fetching = Box::pin(self.fetch_from(uri, bytes_max, expects_page));
        let fetched = tokio::time::timeout(FETCH_TIME_MAX, fetching).await;
        fetched.unwrap_or_else(|_| Err("fetching it took too long".to_owned()))
    }

    async fn fetch_from(
        &self,
        uri: Uri,
        bytes_max: usize,
        expects_page: bool,
    ) -> Result<Bytes, String> {
        let connector = connector(self.api_url()).map_err(|error| error.to_string())?;
        let client = Client::builder(TokioExecutor::new()).build::<_, Empty<Bytes>>(connector);
        let mut bearer = HeaderValue::from_str(&format!("Bearer {}", self.bot.token_value.0))
            .map_err(|_| "the bot token is no token".to_owned())?;
        bearer.set_sensitive(true);
        let request = Request::get(uri).header(AUTHORIZATION, bearer);
        let request = request.body(Empty::new());
        let request = request.map_err(|_| "its address cannot be asked".to_owned())?;
        let unreachable = |_| "Slack could not be reached for it".to_owned();
        let response = client.request(request).await.map_err(unreachable)?;
        // A redirection is not followed: the token would go along.
        if !response.status().is_success() {
            return Err(format!("Slack answered with {}", response.status()));
        }
        let kind = response.headers().get(CONTENT_TYPE);
        let is_page = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
        if is_page && !expects_page {
            return Err("Slack answered with a page; the app may lack the scope files:read".into());
        }
        let body = Limited::new(response.into_body(), bytes_max)
            .collect()
            .await;
        let whole = body.map_err(|_| "it is too large, or the connection broke off".to_owned())?;
        Ok(whole.to_bytes())
    }
}

/// Returns an address if the token may be sent there: to Slack over https, or to the very place that
/// the API is at, on this machine.
fn permitted(url: &str, api_url: &str) -> Option<Uri> {
    let uri: Uri = url.parse().ok()?;
    let host = uri.host()?.to_ascii_lowercase();
    let is_slack = uri.scheme_str() == Some("https")
        && uri.port_u16().is_none_or(|port| port == 443)
        && FILE_HOSTS.contains(&host.as_str());
    let api: Uri = api_url.parse().ok()?;
    let is_local = api.scheme_str() == Some("http")
        && uri.scheme() == api.scheme()
        && uri.authority() == api.authority();
    (is_slack || is_local).then_some(uri)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slk_23_the_token_goes_to_slacks_own_hosts_alone() {
        let real = "https://slack.com/api";
        for url in [
            "https://files.slack.com/files-pri/T1-F1/a.txt",
            "https://SLACK.com/x",
            "https://files.slack.com:443/x",
        ] {
            assert!(permitted(url, real).is_some(), "{url}");
        }
        for url in [
            "http://files.slack.com/x",
            "https://files.slack.com.evil.test/x",
            "https://files.slack.com@evil.test/x",
            "https://evil.test/files.slack.com",
            "https://xfiles.slack.com/x",
            "https://files.slack.com:8443/x",
            "http://127.0.0.1:9/x",
            "file:///etc/passwd",
            "/x",
            "",
        ] {
            assert!(permitted(url, real).is_none(), "{url}");
        }
    }

    #[test]
    fn a_local_api_has_its_own_files_and_no_neighbours() {
        let local = "http://127.0.0.1:9000/api";
        assert!(permitted("http://127.0.0.1:9000/files/F1", local).is_some());
        for url in [
            "http://127.0.0.1:9001/x",
            "http://127.0.0.2:9000/x",
            "https://127.0.0.1:9000/x",
            "http://a@127.0.0.1:9000/x",
        ] {
            assert!(permitted(url, local).is_none(), "{url}");
        }
    }
}
