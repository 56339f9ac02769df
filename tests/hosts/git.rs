//! A git host: smart HTTP through git's own `http-backend`.
//!
//! Reading is free; a push needs the token as password, when there is one, so that a push that
//! arrives proves that the real credential did.

use std::path::Path;
use std::process::Stdio;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::AnyError;
use crate::site::{Asked, Body, Site, respond, text};

/// Answers a git client.
pub(crate) async fn answer(site: &Site, asked: &Asked) -> Response<Body> {
    let Some(repositories) = &site.options.repositories else {
        return text(StatusCode::NOT_FOUND, "no git host here\n");
    };
    if !may_ask(site, asked) {
        let mut refused = text(StatusCode::UNAUTHORIZED, "a push needs the token\n");
        let challenge = HeaderValue::from_static("Basic realm=\"git\"");
        refused
            .headers_mut()
            .insert(header::WWW_AUTHENTICATE, challenge);
        return refused;
    }
    match backend(repositories, asked).await {
        Ok(output) => from_cgi(&output),
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, &format!("{error}\n")),
    }
}

fn is_push(asked: &Asked) -> bool {
    asked.head.uri.to_string().contains("git-receive-pack")
}

fn may_ask(site: &Site, asked: &Asked) -> bool {
    let Some(token) = &site.options.push_token else {
        return true;
    };
    !is_push(asked) || password_of(asked).is_some_and(|password| password == *token)
}

fn password_of(asked: &Asked) -> Option<String> {
    let value = asked
        .head
        .headers
        .get(header::AUTHORIZATION)?
        .to_str()
        .ok()?;
    let decoded = BASE64_STANDARD.decode(value.strip_prefix("Basic ")?).ok()?;
    let pair = String::from_utf8(decoded).ok()?;
    pair.split_once(':')
        .map(|(_, password)| password.to_owned())
}

async fn backend(repositories: &Path, asked: &Asked) -> Result<Vec<u8>, AnyError> {
    let told = |name: HeaderName| {
        let value = asked
            .head
            .headers
            .get(name)
            .and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    };
    let mut child = Command::new("git")
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", repositories)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("GIT_CONFIG_COUNT", "2")
        .env("GIT_CONFIG_KEY_0", "safe.directory")
        .env("GIT_CONFIG_VALUE_0", "*")
        .env("GIT_CONFIG_KEY_1", "http.receivepack")
        .env("GIT_CONFIG_VALUE_1", "true")
        .env("REQUEST_METHOD", asked.head.method.as_str())
        .env("PATH_INFO", asked.head.uri.path())
        .env("QUERY_STRING", asked.head.uri.query().unwrap_or_default())
        .env("CONTENT_TYPE", told(header::CONTENT_TYPE))
        .env("CONTENT_LENGTH", asked.body.len().to_string())
        .env("HTTP_CONTENT_ENCODING", told(header::CONTENT_ENCODING))
        .env(
            "GIT_PROTOCOL",
            told(HeaderName::from_static("git-protocol")),
        )
        .env("REMOTE_USER", "test")
        .env("REMOTE_ADDR", "127.0.0.1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut input = child.stdin.take().ok_or("no standard input")?;
    let body = asked.body.clone();
    let feed = tokio::spawn(async move { input.write_all(&body).await });
    let output = child.wait_with_output().await?;
    // The backend may answer before it has read everything.
    drop(feed.await?);
    Ok(output.stdout)
}

/// Reads a CGI answer: headers, an empty line, the body.
fn from_cgi(output: &[u8]) -> Response<Body> {
    let Some(end) = output.windows(4).position(|window| window == b"\r\n\r\n") else {
        return text(StatusCode::BAD_GATEWAY, "git http-backend said nothing\n");
    };
    let head = String::from_utf8_lossy(&output[..end]).into_owned();
    let body = Bytes::copy_from_slice(&output[end + 4..]);
    let mut response = respond(StatusCode::OK, "application/octet-stream", body);
    for (name, value) in head.lines().filter_map(|line| line.split_once(": ")) {
        if name.eq_ignore_ascii_case("status") {
            let code = value
                .split(' ')
                .next()
                .and_then(|code| code.parse::<u16>().ok());
            *response.status_mut() = code
                .and_then(|code| StatusCode::from_u16(code).ok())
                .unwrap_or_default();
        } else if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), value.parse()) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}
