//! What is said to a token endpoint and what it answers (RFC 6749, sections 4.4 and 5), and the words
//! with which a token is shown to a mail server. Pure; it knows no connection.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::SecretString;
use serde::Deserialize;

/// Longest token; a longer one is none.
const TOKEN_BYTES_MAX: usize = 16 << 10;
/// Characters of an endpoint's own words that an error has; the rest is cut.
const WORDS_CHARS_MAX: usize = 300;

/// A token as it was issued.
#[derive(Debug)]
pub struct Token {
    /// The token.
    pub token: SecretString,
    /// For how many seconds it is good; 0 when the endpoint does not say.
    pub lasts_s: u64,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Answer {
    access_token: String,
    token_type: String,
    expires_in: u64,
    error: String,
    error_description: String,
}

/// Reads an answer.
///
/// # Errors
/// Words without `secret` and without a token, that say what is wrong.
pub fn read(status: u16, body: &[u8], secret: &str) -> Result<Token, String> {
    let answer: Answer = serde_json::from_slice(body)
        .map_err(|_| format!("answered {status}, and not in the form of a token endpoint"))?;
    if status != 200 {
        let Answer {
            error,
            error_description,
            ..
        } = answer;
        let said = format!("{error} {error_description}");
        return Err(format!("answered {status}: {}", shown(&said, secret)));
    }
    let is_token = |byte: u8| byte.is_ascii_graphic();
    let token = answer.access_token;
    let is_plain = !token.is_empty() && token.bytes().all(is_token);
    if !is_plain || token.len() > TOKEN_BYTES_MAX {
        return Err("answered without a usable access_token".to_owned());
    }
    if !answer.token_type.eq_ignore_ascii_case("bearer") {
        return Err("answered with a token that is no bearer token".to_owned());
    }
    Ok(Token {
        token: token.into(),
        lasts_s: answer.expires_in,
    })
}

/// An endpoint may repeat what it was told.
fn shown(said: &str, secret: &str) -> String {
    let said = said.replace(secret, "…").replace(&encoded(secret), "…");
    let line = said.replace(char::is_control, " ");
    line.trim().chars().take(WORDS_CHARS_MAX).collect()
}

/// Writes a form (`application/x-www-form-urlencoded`).
pub fn form(fields: &[(&str, &str)]) -> String {
    let pairs = fields.iter();
    let pairs = pairs.map(|(name, value)| format!("{name}={}", encoded(value)));
    pairs.collect::<Vec<_>>().join("&")
}

fn encoded(value: &str) -> String {
    utf8_percent_encode(value, NON_ALPHANUMERIC).to_string()
}

/// Returns the first answer of the XOAUTH2 mechanism, before base64 (Google's and Microsoft's SASL
/// XOAUTH2 pages).
pub fn xoauth2(username: &str, token: &str) -> String {
    format!("user={username}\u{1}auth=Bearer {token}\u{1}\u{1}")
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    const SECRET: &str = "s3cr/t value";

    #[test]
    fn a_token_is_read_and_its_length_is_limited() {
        let answer = |length: usize| {
            let token = "t".repeat(length);
            format!(
                r#"{{"token_type":"Bearer","expires_in":3599,"ext_expires_in":3599,"access_token":"{token}"}}"#
            )
        };
        for (length, is_read) in [
            (0, false),
            (1, true),
            (TOKEN_BYTES_MAX - 1, true),
            (TOKEN_BYTES_MAX, true),
            (TOKEN_BYTES_MAX + 1, false),
        ] {
            let token = read(200, answer(length).as_bytes(), SECRET);
            assert_eq!(token.is_ok(), is_read, "{length}");
            if let Ok(token) = token {
                assert_eq!(token.lasts_s, 3599);
                assert_eq!(token.token.expose_secret().len(), length);
            }
        }
    }

    #[test]
    fn what_is_no_token_is_refused_and_no_error_tells_a_secret() {
        for (status, body) in [
            (
                200,
                r#"{"access_token":"a b","token_type":"Bearer"}"#.to_owned(),
            ),
            (
                200,
                r#"{"access_token":"a\u0001b","token_type":"Bearer"}"#.to_owned(),
            ),
            (
                200,
                r#"{"access_token":"abc","token_type":"mac"}"#.to_owned(),
            ),
            (200, "<html>".to_owned()),
            (
                302,
                r#"{"access_token":"abc","token_type":"Bearer"}"#.to_owned(),
            ),
            (
                401,
                format!(
                    r#"{{"error":"invalid_client","error_description":"AADSTS7000215: no {SECRET}, s3cr%2Ft%20value\r\nTrace"}}"#
                ),
            ),
        ] {
            let error = read(status, body.as_bytes(), SECRET).unwrap_err();
            assert!(!error.contains("s3cr") && !error.contains("abc"), "{error}");
            assert!(!error.contains(char::is_control), "{error}");
            assert_eq!(error.contains("invalid_client"), status == 401, "{error}");
        }
    }

    #[test]
    fn the_words_for_both_servers_are_as_documented() {
        assert_eq!(
            form(&[("client_secret", "a&b=c+d é"), ("grant_type", "x")]),
            "client_secret=a%26b%3Dc%2Bd%20%C3%A9&grant_type=x"
        );
        assert_eq!(
            xoauth2("bot@example.test", "token"),
            "user=bot@example.test\x01auth=Bearer token\x01\x01"
        );
    }
}
