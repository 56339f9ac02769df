//! Sending a mail, one step after the other, so that it is known which step failed: before the
//! text was handed over nothing was sent; while the server's receipt is missing nobody knows.

use std::time::Duration;

use lettre::Message;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{
    AsyncSmtpConnection, Certificate, CertificateStore, TlsParameters,
};
use lettre::transport::smtp::commands::{Data, Ehlo, Mail, Rcpt};
use lettre::transport::smtp::extension::{ClientId, Extension, MailBodyParameter, MailParameter};
use lettre::transport::smtp::response::Response;
use secrecy::ExposeSecret as _;

use crate::config::types::{Email, MailTls};
use crate::handlers::channels::SendOutcome;
use crate::handlers::channels::email::oauth::OauthError;
use crate::handlers::channels::email::sign_in::{Shown, SignIn};
use crate::handlers::channels::email::tls::Trust;

/// How long a connection may take.
const CONNECT_MAX: Duration = Duration::from_secs(20);
/// How long signing in, and then the envelope, may take; nothing was sent when it is reached.
const ENVELOPE_MAX: Duration = Duration::from_secs(60);
/// How long text and receipt may take; whether it was sent is unknown when it is reached.
const TEXT_MAX: Duration = Duration::from_secs(300);

/// That a server takes no mail of a length; nothing was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLong {
    /// The mail's length.
    pub bytes: usize,
    /// The server's limit.
    pub max: usize,
}

/// Sends a mail.
///
/// # Errors
/// [`TooLong`], before anything was sent.
pub async fn send(
    email: &Email,
    trust: &Trust,
    means: &SignIn,
    mail: &Message,
) -> Result<SendOutcome, TooLong> {
    let mut connection = match before_text(open(email, trust, means), email).await {
        Ok(connection) => connection,
        // Nothing about this mail was said yet: whatever it is, it can be put right.
        Err((error, _)) => {
            return Ok(SendOutcome::Refused {
                error,
                permanent: false,
            });
        }
    };
    let text = mail.formatted();
    let bytes = text.len();
    let named = async {
        let max = bytes_max(&mut connection, bytes).await?;
        if bytes > max {
            return Ok(Err(TooLong { bytes, max }));
        }
        name(&mut connection, mail).await.map(Ok)
    };
    let refused = match before_text(named, email).await {
        Ok(Ok(())) => None,
        Ok(Err(too_long)) => Some(Err(too_long)),
        Err((error, permanent)) => Some(Ok(SendOutcome::Refused { error, permanent })),
    };
    if let Some(refused) = refused {
        drop(tokio::time::timeout(CONNECT_MAX, connection.quit()).await);
        return refused;
    }
    let sent = tokio::time::timeout(TEXT_MAX, connection.message(&text)).await;
    let outcome = match sent {
        Ok(Ok(response)) => SendOutcome::Accepted {
            receipt: receipt(&response),
        },
        // A response with an error code is a clear no; anything else leaves it open.
        Ok(Err(error)) if error.status().is_some() => SendOutcome::Refused {
            permanent: error.is_permanent(),
            error: words(email, &error),
        },
        Ok(Err(error)) => SendOutcome::Unknown {
            detail: format!("connection lost after DATA: {}", words(email, &error)),
        },
        Err(_) => SendOutcome::Unknown {
            detail: "no receipt came after DATA".to_owned(),
        },
    };
    drop(tokio::time::timeout(CONNECT_MAX, connection.quit()).await);
    Ok(outcome)
}

type Error = lettre::transport::smtp::Error;

/// Why a step failed before the text was handed over.
enum Failure {
    /// It can be put right, at the server or in the configuration: signing in, the sender's name.
    Curable(Error),
    /// There is no token to sign in with.
    NoToken(OauthError),
    /// It is about this recipient or this mail, and stays as it is where the server says so.
    OfTheMail(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Curable(error)
    }
}

/// Takes a step, bounded in time; says what went wrong, and whether that is for good.
async fn before_text<T>(
    step: impl Future<Output = Result<T, Failure>>,
    email: &Email,
) -> Result<T, (String, bool)> {
    match tokio::time::timeout(ENVELOPE_MAX, step).await {
        Ok(Ok(taken)) => Ok(taken),
        Ok(Err(Failure::Curable(error))) => Err((words(email, &error), false)),
        Ok(Err(Failure::NoToken(error))) => Err((error.to_string(), false)),
        Ok(Err(Failure::OfTheMail(error))) => Err((words(email, &error), error.is_permanent())),
        Err(_) => {
            let (server, seconds) = (&email.smtp.server, ENVELOPE_MAX.as_secs());
            Err((format!("{server} took more than {seconds} s"), false))
        }
    }
}

/// Connects and signs in; once more, on a new connection, when a token that was kept is refused.
async fn open(
    email: &Email,
    trust: &Trust,
    means: &SignIn,
) -> Result<AsyncSmtpConnection, Failure> {
    if !email.smtp.require_auth {
        return Ok(connect(email, trust).await?);
    }
    let (shown, may_renew) = means.shown().await.map_err(Failure::NoToken)?;
    let error = match signed_in(email, trust, &shown).await {
        Ok(connection) => return Ok(connection),
        Err(error) => error,
    };
    // Without an answer of the server nothing is known of the token.
    if error.status().is_none() && !error.is_client() {
        return Err(error.into());
    }
    means.refused(&shown).await;
    if !may_renew {
        return Err(error.into());
    }
    let (shown, _) = means.shown().await.map_err(Failure::NoToken)?;
    Ok(signed_in(email, trust, &shown).await?)
}

async fn signed_in(
    email: &Email,
    trust: &Trust,
    shown: &Shown,
) -> Result<AsyncSmtpConnection, Error> {
    let mut connection = connect(email, trust).await?;
    let (mechanisms, secret): (&[Mechanism], _) = match shown {
        Shown::Password(password) => (&[Mechanism::Plain, Mechanism::Login], password),
        Shown::Token(token) => (&[Mechanism::Xoauth2], token),
    };
    let secret = secret.expose_secret().to_owned();
    let credentials = Credentials::new(email.username.clone(), secret);
    connection.auth(mechanisms, &credentials).await?;
    Ok(connection)
}

async fn connect(email: &Email, trust: &Trust) -> Result<AsyncSmtpConnection, Error> {
    let smtp = &email.smtp;
    let address = (smtp.server.as_str(), smtp.port);
    let hello = ClientId::default();
    let tls = parameters(&smtp.server, trust)?;
    let at_once = matches!(smtp.tls, MailTls::Implicit).then(|| tls.clone());
    let mut connection =
        AsyncSmtpConnection::connect_tokio1(address, Some(CONNECT_MAX), &hello, at_once, None)
            .await?;
    if matches!(smtp.tls, MailTls::StartTls) {
        // Refused by lettre when the server does not offer it: never without encryption.
        connection.starttls(tls, &hello).await?;
    }
    Ok(connection)
}

/// Mails up to this length are taken by every server; their limit is not asked for.
const SIZE_ASKED_ABOVE: usize = 1 << 20;

/// Longest mail that is sent to a server which names no limit of its own; files of a longer one are
/// left out. It is what the large providers take.
pub const MAIL_BYTES_MAX_UNSAID: usize = 25_000_000;

/// Bytes that a server may write above a mail, and then counts against its limit (Postfix: `Received`).
pub const SERVER_ADDS_BYTES_MAX: usize = 4 << 10;

/// Returns how long a mail the server takes (RFC 1870), so that none is sent in vain.
async fn bytes_max(connection: &mut AsyncSmtpConnection, bytes: usize) -> Result<usize, Failure> {
    if bytes <= SIZE_ASKED_ABOVE {
        return Ok(SIZE_ASKED_ABOVE);
    }
    let response = connection.command(Ehlo::new(ClientId::default())).await?;
    let said = size_max(response.message()).map(|max| max.saturating_sub(SERVER_ADDS_BYTES_MAX));
    Ok(said.unwrap_or(MAIL_BYTES_MAX_UNSAID))
}

/// Reads the limit out of the lines that answer EHLO; 0 means that there is none.
fn size_max<'a>(lines: impl Iterator<Item = &'a str>) -> Option<usize> {
    let size = |line: &str| {
        let mut words = line.split_whitespace();
        let is_size = words.next()?.eq_ignore_ascii_case("SIZE");
        is_size.then(|| words.next()?.parse().ok()).flatten()
    };
    let mut sizes = lines.filter_map(size);
    sizes.next().filter(|max| *max > 0)
}

/// Names sender and recipient; the server then waits for the text.
async fn name(connection: &mut AsyncSmtpConnection, mail: &Message) -> Result<(), Failure> {
    let envelope = mail.envelope();
    let eight_bit = connection
        .server_info()
        .supports_feature(Extension::EightBitMime);
    let options = if eight_bit {
        vec![MailParameter::Body(MailBodyParameter::EightBitMime)]
    } else {
        vec![]
    };
    connection
        .command(Mail::new(envelope.from().cloned(), options))
        .await?;
    for recipient in envelope.to() {
        connection
            .command(Rcpt::new(recipient.clone(), vec![]))
            .await
            .map_err(Failure::OfTheMail)?;
    }
    let taken = connection.command(Data).await;
    taken.map_err(Failure::OfTheMail)?;
    Ok(())
}

fn parameters(server: &str, trust: &Trust) -> Result<TlsParameters, Error> {
    let builder = TlsParameters::builder(server.to_owned());
    let mut builder = builder.certificate_store(CertificateStore::WebpkiRoots);
    for certificate in &trust.own {
        builder = builder.add_root_certificate(Certificate::from_der(certificate.clone())?);
    }
    builder.build_rustls()
}

fn receipt(response: &Response) -> String {
    let words: Vec<&str> = response.message().collect();
    format!("{} {}", response.code(), words.join(" "))
}

/// Says what failed and where, with the cause that lettre keeps inside.
fn words(email: &Email, error: &Error) -> String {
    let mut words = format!("{}:{}: {error}", email.smtp.server, email.smtp.port);
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        let inner_words = inner.to_string();
        if !words.contains(&inner_words) {
            words = format!("{words}: {inner_words}");
        }
        cause = inner.source();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_s_limit_is_read_from_its_greeting() {
        let max = |lines: &[&str]| size_max(lines.iter().copied());
        assert_eq!(
            max(&["mail.example.test", "8BITMIME", "size 1000"]),
            Some(1000)
        );
        assert_eq!(max(&["mail.example.test", "SIZE"]), None);
        assert_eq!(max(&["mail.example.test", "SIZE 0"]), None);
        assert_eq!(max(&["SIZED 7"]), None);
    }
}
