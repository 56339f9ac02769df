//! Coming to a signed-in connection: TLS first, verified, and only then a word.

use std::sync::Arc;

use async_imap::{Authenticator, Client};
use rustls::pki_types::ServerName;
use secrecy::ExposeSecret as _;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::config::types::{Email, MailTls};
use crate::handlers::channels::email::imap::{ImapError, Session};
use crate::handlers::channels::email::oauth::OauthError;
use crate::handlers::channels::email::oauth::answer::xoauth2;
use crate::handlers::channels::email::sign_in::{Shown, SignIn};
use crate::handlers::channels::email::tls::Trust;

/// Connects, over TLS.
pub(super) async fn connect(
    email: &Email,
    trust: &Trust,
) -> Result<Client<TlsStream<TcpStream>>, ImapError> {
    let imap = &email.imap;
    let server = format!("{}:{}", imap.server, imap.port);
    let failed = |error: String| ImapError::Connect {
        server: server.clone(),
        error,
    };
    let name =
        ServerName::try_from(imap.server.clone()).map_err(|error| failed(error.to_string()))?;
    let tcp = TcpStream::connect((imap.server.as_str(), imap.port)).await;
    let tcp = tcp.map_err(|error| failed(error.to_string()))?;
    let tcp = match imap.tls {
        MailTls::Implicit => tcp,
        MailTls::StartTls => start_tls(tcp)
            .await
            .map_err(|error| failed(error.to_string()))?,
    };
    let tls = TlsConnector::from(Arc::clone(&trust.config))
        .connect(name, tcp)
        .await;
    let mut client = Client::new(tls.map_err(|error| failed(error.to_string()))?);
    if matches!(imap.tls, MailTls::Implicit) {
        greeting(&mut client)
            .await
            .map_err(|error| failed(error.to_string()))?;
    }
    Ok(client)
}

/// Asks for encryption before anything else is said.
async fn start_tls(tcp: TcpStream) -> Result<TcpStream, async_imap::error::Error> {
    let mut client = Client::new(tcp);
    greeting(&mut client).await?;
    client.run_command_and_check_ok("STARTTLS", None).await?;
    Ok(client.into_inner())
}

async fn greeting<S>(client: &mut Client<S>) -> Result<(), async_imap::error::Error>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + std::fmt::Debug + Send,
{
    match client.read_response().await? {
        Some(_) => Ok(()),
        None => Err(async_imap::error::Error::ConnectionLost),
    }
}

/// Signs in; once more with a new token when a kept one is refused.
pub(super) async fn sign_in(
    email: &Email,
    means: &SignIn,
    client: Client<TlsStream<TcpStream>>,
) -> Result<Session, ImapError> {
    let failed = |error: String| ImapError::SignIn {
        server: format!("{}:{}", email.imap.server, email.imap.port),
        username: email.username.clone(),
        error,
    };
    let no_token = |error: OauthError| failed(error.to_string());
    let (shown, may_renew) = means.shown().await.map_err(no_token)?;
    let (error, client) = match show(email, &shown, client).await {
        Ok(session) => return Ok(session),
        Err(refused) => refused,
    };
    means.refused(&shown).await;
    if !may_renew {
        return Err(failed(error.to_string()));
    }
    let (shown, _) = means.shown().await.map_err(no_token)?;
    match show(email, &shown, client).await {
        Ok(session) => Ok(session),
        Err((error, _)) => {
            means.refused(&shown).await;
            Err(failed(error.to_string()))
        }
    }
}

type Connected = Client<TlsStream<TcpStream>>;

async fn show(
    email: &Email,
    shown: &Shown,
    client: Connected,
) -> Result<Session, (async_imap::error::Error, Connected)> {
    match shown {
        Shown::Password(password) => {
            client
                .login(&email.username, password.expose_secret())
                .await
        }
        Shown::Token(token) => {
            let words = Some(xoauth2(&email.username, token.expose_secret()));
            client.authenticate("XOAUTH2", OnceSaid(words)).await
        }
    }
}

/// Says its words to the first challenge. A second one tells why they are refused, and an empty
/// answer lets the server say so.
struct OnceSaid(Option<String>);

impl Authenticator for OnceSaid {
    type Response = String;

    fn process(&mut self, _: &[u8]) -> String {
        self.0.take().unwrap_or_default()
    }
}
