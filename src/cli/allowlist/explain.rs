//! `airut allowlist explain`: one request, or a line of JSON for each of many.

use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Args;

use crate::cli::EXIT_FAILED;
use crate::cli::allowlist::jsonl;
use crate::cli::output::Output;
use crate::service::policy::Policy;

/// Arguments of `airut allowlist explain`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The allowlist file; with --jsonl, for lines that name none
    #[arg(value_name = "FILE", required_unless_present = "jsonl")]
    file: Option<String>,
    /// The request's method
    #[arg(value_name = "METHOD", required_unless_present = "jsonl")]
    method: Option<String>,
    /// The request's URL
    #[arg(value_name = "URL", required_unless_present = "jsonl")]
    url: Option<String>,
    /// Read {"allowlist", "host", "path", "method"} from standard input, a line each, and answer each
    /// with a line that says "allowed", "rule" and "denial"; the allowlist is a file, its text, or its content
    /// as JSON
    #[arg(long, conflicts_with_all = ["method", "url"])]
    jsonl: bool,
}

/// Answers.
pub(super) fn run(arguments: &Arguments, output: Output) -> anyhow::Result<ExitCode> {
    let file = arguments.file.as_deref();
    let policy = file.map(Policy::read).transpose()?;
    if arguments.jsonl {
        return jsonl::run(policy, output);
    }
    let (Some(policy), Some(method), Some(url)) = (policy, &arguments.method, &arguments.url)
    else {
        bail!("a file, a method and a URL are needed");
    };
    let (host, path_and_query) = split(url).with_context(|| format!("{url} is no URL"))?;
    let answer = policy.explain(&host, path_and_query, method);
    let word = if answer.is_allowed() {
        "allowed"
    } else {
        "blocked"
    };
    output.line(&format!("{word}: {}", answer.why));
    Ok(if answer.is_allowed() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(EXIT_FAILED)
    })
}

/// Returns a URL's host, lower case and without port, and its path and query, as the proxy would
/// see them: what is odd in the path must reach the rules as it is.
fn split(url: &str) -> Option<(String, &str)> {
    let (scheme, rest) = url.split_once("://")?;
    if !["http", "https"].contains(&scheme.to_ascii_lowercase().as_str()) {
        return None;
    }
    let rest = rest.split('#').next().unwrap_or_default();
    let (authority, path_and_query) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let (host, port) = authority.split_once(':').unwrap_or((authority, ""));
    let well_formed =
        !host.is_empty() && !host.contains('@') && port.bytes().all(|byte| byte.is_ascii_digit());
    let path_and_query = if path_and_query.is_empty() {
        "/"
    } else {
        path_and_query
    };
    well_formed.then(|| (host.to_ascii_lowercase(), path_and_query))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_split_as_the_proxy_sees_it() {
        for (url, host, path_and_query) in [
            ("https://A.test", "a.test", "/"),
            (
                "http://a.test:8080/x%2f..\\y?q=1#top",
                "a.test",
                "/x%2f..\\y?q=1",
            ),
            ("HTTPS://a.test?q", "a.test", "?q"),
        ] {
            assert_eq!(split(url), Some((host.to_owned(), path_and_query)), "{url}");
        }
        for url in [
            "a.test/x",
            "ftp://a.test/",
            "https:///x",
            "https://u@a.test/",
        ] {
            assert_eq!(split(url), None, "{url}");
        }
    }
}
