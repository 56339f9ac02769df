//! What is decided about requests, as tables: what is asked, and what must become of it. A line says
//! which row of the contract it is about, and whether it is stricter than the Python Airut. The allowlist's table
//! is asked twice, of the pure judgement and of `airut allowlist explain --jsonl`.
#![expect(
    clippy::disallowed_methods,
    reason = "the rules on processes are for the product"
)]
#![expect(clippy::panic, reason = "a table that cannot be read ends its test")]

use std::path::PathBuf;
use std::process::{Command, Stdio};

use airut::sandbox::allowlist_file;
use airut::sandbox::proxy::allowlist::{Allowlist, Operations, UrlPrefix};
use airut::sandbox::proxy::credentials::inject;
use airut::sandbox::proxy::filter::{Filtered, Head, Plan};
use airut::sandbox::proxy::policy::{Asked, Denial, Verdict, judge};
use airut::sandbox::proxy::target::repeats_request;
use airut::sandbox::proxy::wire::MaskedCredential;
use http::{HeaderMap, HeaderName};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

fn directory() -> PathBuf {
    super::root().join("tests/golden/policy")
}

/// Returns the lines of a table, with their numbers; `least` of them must be there.
fn table<T: DeserializeOwned>(name: &str, least: usize) -> Vec<(usize, T)> {
    let text = std::fs::read_to_string(directory().join(name)).unwrap();
    let line = |(index, line)| {
        let read = serde_json::from_str(line);
        let number = index + 1;
        (
            number,
            read.unwrap_or_else(|error| panic!("{name}:{number}: {error}")),
        )
    };
    let lines: Vec<_> = text.lines().enumerate().map(line).collect();
    assert!(lines.len() >= least, "{name}: {} lines", lines.len());
    lines
}

fn allowlist(file: &str) -> Allowlist {
    let text = std::fs::read(directory().join(file)).unwrap();
    allowlist_file::parse(&text).unwrap()
}

fn headers(pairs: &[(String, String)]) -> HeaderMap {
    let pair = |(name, value): &(String, String)| {
        let name: HeaderName = name.parse().unwrap();
        (name, value.parse().unwrap())
    };
    let mut headers = HeaderMap::new();
    for (name, value) in pairs.iter().map(pair) {
        headers.append(name, value);
    }
    headers
}

/// A question about an allowlist and its answer.
#[derive(Deserialize)]
struct Question {
    allowlist: String,
    method: String,
    host: String,
    path: String,
    allowed: bool,
    rule: Option<String>,
    denial: Option<String>,
}

/// Returns the rule that allows it, or why none does.
fn judged(question: &Question) -> Result<String, String> {
    let asked = Asked {
        host: &question.host,
        path_and_query: &question.path,
        method: &question.method,
    };
    if repeats_request(asked.method) {
        return Err("method".to_owned());
    }
    match judge(&allowlist(&question.allowlist), asked) {
        Verdict::Allowed(rule) => Ok(rule.to_string()),
        Verdict::Denied { denial, .. } => Err(match denial {
            Denial::Traversal => "traversal",
            Denial::Host => "host",
            Denial::Path => "path",
            Denial::Method => "method",
        }
        .to_owned()),
    }
}

#[test]
fn the_table_of_requests_is_judged_as_it_says() {
    for (number, question) in table::<Question>("requests.jsonl", 150) {
        let expected = match (&question.rule, &question.denial) {
            (Some(rule), None) if question.allowed => Ok(rule.clone()),
            (None, Some(denial)) if !question.allowed => Err(denial.clone()),
            _ => panic!("requests.jsonl:{number} says two things"),
        };
        assert_eq!(judged(&question), expected, "requests.jsonl:{number}");
    }
}

#[test]
fn the_command_answers_the_table_of_requests_as_it_says() {
    let questions = std::fs::File::open(directory().join("requests.jsonl")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_airut"));
    let command = command.args(["allowlist", "explain", "--jsonl"]);
    let answered = command
        .current_dir(directory())
        .stdin(Stdio::from(questions))
        .output()
        .unwrap();
    let answers = String::from_utf8(answered.stdout).unwrap();
    let mut answers = answers.lines();
    for (number, expected) in table::<Value>("requests.jsonl", 150) {
        let answer: Value = serde_json::from_str(answers.next().unwrap()).unwrap();
        for key in ["allowed", "rule", "denial", "error"] {
            assert_eq!(
                answer.get(key).unwrap_or(&Value::Null),
                &expected[key],
                "requests.jsonl:{number}: {key}"
            );
        }
    }
    assert_eq!(answers.next(), None);
}

/// A body, and what a filter must make of it.
#[derive(Deserialize)]
struct Body {
    #[serde(default)]
    host: String,
    #[serde(default)]
    method: String,
    path: String,
    #[serde(default)]
    headers: Vec<(String, String)>,
    body: String,
    operations: Option<Operations>,
    #[serde(default)]
    passes: Value,
    refused: Option<String>,
    detail: Option<String>,
    sent: Option<String>,
    tag: Option<String>,
}

fn filtered(allowlist: &Allowlist, body: &Body) -> Filtered {
    let asked = Asked {
        host: &body.host,
        path_and_query: &body.path,
        method: &body.method,
    };
    let Verdict::Allowed(rule) = judge(allowlist, asked) else {
        panic!("{} is not allowed", body.path);
    };
    let headers = headers(&body.headers);
    let plan = Plan::of(allowlist, rule, asked);
    let apply = |plan: Plan<'_>| {
        plan.apply(
            Head {
                asked,
                headers: &headers,
            },
            body.body.as_bytes(),
        )
    };
    plan.map(apply).unwrap_or_default()
}

#[test]
fn the_table_of_graphql_requests_is_filtered_as_it_says() {
    for (number, mut body) in table::<Body>("graphql.jsonl", 140) {
        "graph.test".clone_into(&mut body.host);
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let usual = || Operations {
            queries: names(&["viewer", "repo*", "[xy]z"]),
            mutations: names(&["createPullRequest", "update*"]),
            subscriptions: vec![],
        };
        let entry = UrlPrefix {
            host: body.host.clone(),
            graphql: Some(body.operations.clone().unwrap_or_else(usual)),
            ..UrlPrefix::default()
        };
        let allowlist = Allowlist {
            domains: vec![],
            url_prefixes: vec![entry],
        };
        let filtered = filtered(&allowlist, &body);
        let passes = body.passes.as_str().map(str::to_owned);
        let tag = passes.or_else(|| body.tag.clone());
        let tags: Vec<String> = tag.iter().map(|tag| format!("graphql-op: {tag}")).collect();
        let refused = filtered.blocked.map(|blocked| {
            assert_eq!(blocked.error, "graphql_operation_blocked");
            blocked.detail
        });
        assert_eq!(refused, body.refused, "graphql.jsonl:{number}");
        assert_eq!(filtered.tags, tags, "graphql.jsonl:{number}");
        assert_eq!(filtered.rewritten, None, "graphql.jsonl:{number}");
    }
}

#[test]
fn the_table_of_server_side_tools_is_trimmed_as_it_says() {
    let allowlist = allowlist("tools.yaml");
    for (number, mut body) in table::<Body>("tools.jsonl", 110) {
        "POST".clone_into(&mut body.method);
        let filtered = filtered(&allowlist, &body);
        let sent = filtered
            .rewritten
            .map(|sent| String::from_utf8(sent).unwrap());
        assert_eq!(sent, body.sent, "tools.jsonl:{number}");
        let refused = filtered
            .blocked
            .map(|blocked| (blocked.error.to_owned(), blocked.detail));
        let is_refused = refused.is_some();
        assert_eq!(
            refused,
            body.refused.zip(body.detail),
            "tools.jsonl:{number}"
        );
        if !is_refused {
            let tags: Vec<String> = body
                .tag
                .iter()
                .map(|tag| format!("tool-domains: {tag}"))
                .collect();
            assert_eq!(filtered.tags, tags, "tools.jsonl:{number}");
        }
    }
}

/// Headers, and what of them goes on.
#[derive(Deserialize)]
struct Masked {
    host: String,
    credentials: Vec<MaskedCredential>,
    headers: Vec<(String, String)>,
    goes: Vec<(String, String)>,
    used: Value,
    stripped: Vec<String>,
}

#[test]
fn the_table_of_masked_credentials_is_put_in_as_it_says() {
    for (number, masked) in table::<Masked>("masking.jsonl", 60) {
        let mut seen = headers(&masked.headers);
        let injected = inject(&mut seen, &masked.host, &masked.credentials);
        assert_eq!(seen, headers(&masked.goes), "masking.jsonl:{number}");
        let used = injected.used.iter();
        let used: Value = used
            .map(|used| json!([used.name, used.header, used.count]))
            .collect();
        assert_eq!(used, masked.used, "masking.jsonl:{number}");
        assert_eq!(injected.stripped, masked.stripped, "masking.jsonl:{number}");
    }
}
