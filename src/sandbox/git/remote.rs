//! A repository's address without what it says of a login: user and password go to git through its
//! environment, so that they stand in no argument, no mirror's configuration and no workspace. Pure.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use percent_encoding::percent_decode_str;
use secrecy::{ExposeSecret as _, SecretString};

/// A repository's address.
#[derive(Debug)]
pub(super) struct Remote {
    /// The address that may be shown.
    pub(super) url: String,
    /// One setting of git that the login takes.
    setting: Option<(String, SecretString)>,
}

impl Remote {
    /// Splits a configured address.
    pub(super) fn of(url: &str) -> Self {
        let whole = || Self {
            url: url.to_owned(),
            setting: None,
        };
        let Some((scheme, rest)) = url.split_once("://") else {
            return whole();
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let Some((login, host)) = authority.rsplit_once('@') else {
            return whole();
        };
        let (user, password) = match login.split_once(':') {
            Some((user, password)) => (user, Some(password)),
            None => (login, None),
        };
        if !matches!(scheme, "http" | "https") {
            // The user of ssh belongs to the address; it takes no password from there.
            return Self {
                url: format!("{scheme}://{user}@{host}{path}"),
                setting: None,
            };
        }
        let server = format!("{scheme}://{host}/");
        let setting = match password {
            Some(password) => (
                format!("http.{server}.extraHeader"),
                SecretString::from(basic(user, password)),
            ),
            // A credential helper of the host knows the password of this user.
            None => (
                format!("credential.{server}.username"),
                SecretString::from(decoded(user)),
            ),
        };
        Self {
            url: format!("{scheme}://{host}{path}"),
            setting: Some(setting),
        }
    }

    /// Returns the environment by which git knows the login.
    pub(super) fn env(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let setting = self.setting.iter();
        setting.flat_map(|(name, value)| {
            [
                ("GIT_CONFIG_COUNT", "1"),
                ("GIT_CONFIG_KEY_0", name.as_str()),
                ("GIT_CONFIG_VALUE_0", value.expose_secret()),
            ]
        })
    }
}

fn basic(user: &str, password: &str) -> String {
    let login = format!("{}:{}", decoded(user), decoded(password));
    format!("Authorization: Basic {}", BASE64.encode(login))
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(url: &str, shown: &str, setting: Option<(&str, &str)>) {
        let remote = Remote::of(url);
        assert_eq!(remote.url, shown);
        let env: Vec<_> = remote.env().skip(1).map(|(_, value)| value).collect();
        let expected = setting.map(|(name, value)| vec![name, value]);
        assert_eq!(env, expected.unwrap_or_default());
        assert!(!format!("{remote:?}").contains("Basic"));
    }

    #[test]
    fn an_address_is_split_from_its_login() {
        for plain in ["https://git.test/a@b.git", "/srv/a", "git@git.test:a/b.git"] {
            check(plain, plain, None);
        }
        check(
            "https://x:p%40ss@git.test:8443/a.git",
            "https://git.test:8443/a.git",
            Some((
                "http.https://git.test:8443/.extraHeader",
                "Authorization: Basic eDpwQHNz",
            )),
        );
        check(
            "http://me@git.test/a",
            "http://git.test/a",
            Some(("credential.http://git.test/.username", "me")),
        );
        check("ssh://git:pw@git.test/a", "ssh://git@git.test/a", None);
    }
}
