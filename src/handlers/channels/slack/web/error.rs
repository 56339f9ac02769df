//! What is known after a call of the Web API that gave no result. Slack's own codes are sorted by
//! whether the call had an effect, and whether it may work another time. No body and no address
//! enters it: they may hold secrets.

use std::error::Error as _;
use std::time::Duration;

use slack_morphism::errors::SlackClientError;

/// The pause after a 429 that names none.
const RATE_LIMIT_WAIT_UNNAMED: Duration = Duration::from_secs(1);

/// Longest code of Slack's that is kept, in characters; the rest is cut.
const CODE_CHARS_MAX: usize = 100;

/// What is known of a call that gave no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WebError {
    /// Nothing was done, for there are too many calls: come again after the pause.
    #[error("Slack asks to wait for {} s", retry_after.as_secs())]
    RateLimited {
        /// How long Slack asks to wait.
        retry_after: Duration,
    },
    /// Slack refused it, so nothing was done.
    #[error("Slack refuses {method}: {error}")]
    Refused {
        /// The method.
        method: String,
        /// Slack's code, for example `channel_not_found`.
        error: String,
        /// Whether trying again is pointless.
        permanent: bool,
    },
    /// There was no connection, so nothing was done: try again later.
    #[error("Slack cannot be reached: {detail}")]
    Unreachable {
        /// Why.
        detail: String,
    },
    /// Nobody knows whether it was done: find out before it is tried again.
    #[error("nobody knows whether Slack did it: {detail}")]
    Unknown {
        /// What is known.
        detail: String,
    },
    /// Slack did it, but its answer has another shape than is documented.
    #[error("the answer to {method} cannot be read")]
    Unreadable {
        /// The method.
        method: String,
    },
}

/// Codes that may be gone another time (<https://api.slack.com/web>, and the errors that each method
/// lists); of all others the same call would be refused again.
const PASSING: [&str; 7] = [
    "accesslimited",
    "message_limit_exceeded",
    "org_login_required",
    "ratelimited",
    "rate_limited",
    "team_added_to_org",
    "too_many_attachments_in_flight",
];

/// Codes after which some of it may have been done: `fatal_error` says so in its documentation.
const UNCLEAR: [&str; 5] = [
    "fatal_error",
    "internal_error",
    "request_timeout",
    "service_unavailable",
    "timeout",
];

/// Codes that say that a token is no use any more.
const TOKEN_GONE: [&str; 6] = [
    "account_inactive",
    "invalid_auth",
    "not_allowed_token_type",
    "not_authed",
    "token_expired",
    "token_revoked",
];

impl WebError {
    /// Returns what a client's error means for a call of `method`.
    pub fn of(method: &str, error: SlackClientError) -> Self {
        match error {
            SlackClientError::ApiError(refused) => Self::of_code(method, &refused.code),
            SlackClientError::RateLimitError(limited) => Self::RateLimited {
                retry_after: limited.retry_after.unwrap_or(RATE_LIMIT_WAIT_UNNAMED),
            },
            SlackClientError::HttpError(answered) => {
                Self::of_status(method, answered.status_code.as_u16())
            }
            SlackClientError::HttpProtocolError(failed) => {
                of_transport(method, failed.cause.as_deref())
            }
            SlackClientError::ProtocolError(_) => Self::Unreadable {
                method: method.to_owned(),
            },
            SlackClientError::EndOfStream(_)
            | SlackClientError::SystemError(_)
            | SlackClientError::SocketModeProtocolError(_) => Self::Unknown {
                detail: format!("the call of {method} broke off"),
            },
        }
    }

    /// Returns what Slack's code means.
    pub fn of_code(method: &str, code: &str) -> Self {
        let code: String = code.chars().take(CODE_CHARS_MAX).collect();
        if UNCLEAR.contains(&code.as_str()) {
            let detail = format!("Slack answers {method} with {code}");
            return Self::Unknown { detail };
        }
        Self::Refused {
            method: method.to_owned(),
            permanent: !PASSING.contains(&code.as_str()),
            error: code,
        }
    }

    fn of_status(method: &str, status: u16) -> Self {
        match status {
            400..500 => Self::Refused {
                method: method.to_owned(),
                error: format!("HTTP status {status}"),
                permanent: false,
            },
            _ => Self::Unknown {
                detail: format!("Slack answers {method} with HTTP status {status}"),
            },
        }
    }

    /// Returns whether a token was revoked, has expired or is none: only an operator can help.
    pub fn is_about_the_token(&self) -> bool {
        matches!(self, Self::Refused { error, .. } if TOKEN_GONE.contains(&error.as_str()))
    }

    /// Returns whether Slack refused, and will again.
    pub fn is_permanent(&self) -> bool {
        matches!(
            self,
            Self::Refused {
                permanent: true,
                ..
            }
        )
    }

    /// Returns Slack's code, if it refused.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused { error, .. } => Some(error),
            Self::RateLimited { .. }
            | Self::Unreachable { .. }
            | Self::Unknown { .. }
            | Self::Unreadable { .. } => None,
        }
    }
}

/// A connection that was never made carried nothing.
fn of_transport(
    method: &str,
    cause: Option<&(dyn std::error::Error + Send + Sync + 'static)>,
) -> WebError {
    let client = cause.and_then(|cause| {
        let cause: &(dyn std::error::Error + 'static) = cause;
        cause.downcast_ref::<hyper_util::client::legacy::Error>()
    });
    let words = |error: &hyper_util::client::legacy::Error| {
        let source = error.source().map(ToString::to_string);
        source.unwrap_or_else(|| error.to_string())
    };
    match client {
        Some(error) if error.is_connect() => WebError::Unreachable {
            detail: words(error),
        },
        Some(error) => WebError::Unknown {
            detail: format!("{method}: {}", words(error)),
        },
        None => WebError::Unknown {
            detail: format!("the call of {method} broke off"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_says_whether_it_was_done_and_whether_it_may_work_later() {
        let permanent = |code| WebError::Refused {
            method: "m".to_owned(),
            error: String::from(code),
            permanent: true,
        };
        assert_eq!(
            WebError::of_code("m", "channel_not_found"),
            permanent("channel_not_found")
        );
        let passing = WebError::of_code("m", "ratelimited");
        assert!(matches!(
            passing,
            WebError::Refused {
                permanent: false,
                ..
            }
        ));
        let unclear = WebError::of_code("m", "fatal_error");
        assert!(matches!(unclear, WebError::Unknown { .. }));
        assert!(matches!(
            WebError::of_status("m", 503),
            WebError::Unknown { .. }
        ));
        assert!(matches!(
            WebError::of_status("m", 404),
            WebError::Refused {
                permanent: false,
                ..
            }
        ));
    }

    #[test]
    fn a_revoked_token_is_told_from_other_refusals() {
        assert!(WebError::of_code("m", "token_revoked").is_about_the_token());
        assert!(!WebError::of_code("m", "not_in_channel").is_about_the_token());
    }

    #[test]
    fn an_endless_code_is_cut() {
        let error = WebError::of_code("m", &"x".repeat(CODE_CHARS_MAX + 1));
        assert_eq!(error.code().map(str::len), Some(CODE_CHARS_MAX));
    }
}
