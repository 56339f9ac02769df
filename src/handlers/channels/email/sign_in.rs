//! How an account signs in at both of its servers: with its password, or with tokens. It knows neither
//! protocol.

use secrecy::SecretString;

use crate::config::types::Email;
use crate::handlers::channels::email::oauth::{OauthError, Tokens};
use crate::handlers::channels::email::tls::Trust;

/// The means of an account.
#[derive(Debug)]
pub enum SignIn {
    /// Always the same password.
    Password(SecretString),
    /// Tokens that are asked for.
    Tokens(Tokens),
}

/// What is shown to a server now.
#[derive(Debug, Clone)]
pub enum Shown {
    /// A password.
    Password(SecretString),
    /// A token, for the mechanism XOAUTH2.
    Token(SecretString),
}

impl SignIn {
    /// Returns the means of an account: tokens where they are configured.
    pub fn of(email: &Email, trust: &Trust) -> Self {
        match &email.microsoft_oauth2 {
            Some(settings) => Self::Tokens(Tokens::new(settings.clone(), trust)),
            None => Self::Password(email.password.clone().unwrap_or_default()),
        }
    }

    /// Returns what to show, and whether something newer may be accepted when it is refused.
    ///
    /// # Errors
    /// [`OauthError`] when there is no token to be had.
    pub async fn shown(&self) -> Result<(Shown, bool), OauthError> {
        match self {
            Self::Password(password) => Ok((Shown::Password(password.clone()), false)),
            Self::Tokens(tokens) => {
                let usable = tokens.token().await?;
                Ok((Shown::Token(usable.token), usable.is_old))
            }
        }
    }

    /// Takes note that a server refused it: a token is not shown again.
    pub async fn refused(&self, shown: &Shown) {
        if let (Self::Tokens(tokens), Shown::Token(token)) = (self, shown) {
            tokens.refused(token).await;
        }
    }
}
