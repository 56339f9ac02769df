//! Coming to a signed-in connection: TLS first, verified, and only then a word.

use std::sync::Arc;

use async_imap::Client;
use rustls::pki_types::ServerName;
use secrecy::ExposeSecret as _;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::config::types::{Email, MailTls};
use crate::handlers::channels::email::imap::{ImapError, Session};
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

/// Signs in.
pub(super) async fn sign_in(
    email: &Email,
    client: Client<TlsStream<TcpStream>>,
) -> Result<Session, ImapError> {
    let password = email
        .password
        .as_ref()
        .map(|password| password.expose_secret());
    let signed_in = client
        .login(&email.username, password.unwrap_or_default())
        .await;
    signed_in.map_err(|(error, _)| ImapError::SignIn {
        server: format!("{}:{}", email.imap.server, email.imap.port),
        username: email.username.clone(),
        error: error.to_string(),
    })
}
