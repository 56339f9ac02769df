//! What is odd about an allowlist that reads well: rules that never decide anything. Pure.

use crate::sandbox::proxy::allowlist::{Allowlist, UrlPrefix};
use crate::sandbox::proxy::glob;

/// Returns what a person should look at, in the file's order.
pub fn remarks(allowlist: &Allowlist) -> Vec<String> {
    let mut remarks = Vec::new();
    for (index, pattern) in allowlist.domains.iter().enumerate() {
        if let Some(why) = odd_host(pattern) {
            remarks.push(format!(
                "domains[{index}] ({pattern}) matches nothing: {why}"
            ));
        }
    }
    for (index, entry) in allowlist.url_prefixes.iter().enumerate() {
        let host = &entry.host;
        let told = odd_entry(allowlist, index, entry);
        let told = told.into_iter();
        remarks.extend(told.map(|why| format!("url_prefixes[{index}] ({host}) {why}")));
    }
    remarks
}

fn odd_host(pattern: &str) -> Option<&'static str> {
    if pattern.is_empty() {
        return Some("it is empty");
    }
    if pattern.contains(['/', ':']) {
        return Some("a host has no scheme, port or path");
    }
    let class_without_glob = pattern.contains('[') && !glob::is_glob(pattern);
    class_without_glob.then_some("[...] counts only beside * or ?")
}

fn odd_entry(allowlist: &Allowlist, index: usize, entry: &UrlPrefix) -> Option<String> {
    if let Some(why) = odd_host(&entry.host) {
        return Some(format!("matches nothing: {why}"));
    }
    let covers = |pattern: &String| glob::matches_ignoring_case(pattern, &entry.host);
    if let Some(domain) = allowlist.domains.iter().position(covers) {
        return Some(format!(
            "never decides: domains[{domain}] allows everything on its host first"
        ));
    }
    if !entry.path.is_empty() && !entry.path.starts_with(['/', '*', '?', '[']) {
        return Some("matches nothing: a path begins with /".to_owned());
    }
    let twins = &allowlist.url_prefixes[..index];
    if let Some(twin) = twins.iter().position(|other| other == entry) {
        return Some(format!("never decides: url_prefixes[{twin}] is the same"));
    }
    let posts = |method: &String| method.eq_ignore_ascii_case("POST");
    let deaf =
        entry.graphql.is_some() && !entry.methods.is_empty() && !entry.methods.iter().any(posts);
    deaf.then(|| "allows nothing: operations are posted, and POST is not allowed".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::policy::Policy;

    #[test]
    fn rules_that_never_decide_are_named() {
        let file = "domains: ['https://a.test', '*.b.test', '[ab].test']\nurl_prefixes:\n  \
                    - {host: x.b.test, path: /a}\n  - {host: c.test, path: v1}\n  \
                    - {host: c.test, path: /v1}\n  - {host: c.test, path: /v1}\n  - {path: /}\n  \
                    - {host: g.test, methods: [GET], graphql: {queries: ['*']}}\n";
        let policy = Policy::parse(file.as_bytes()).unwrap();
        let told = remarks(policy.allowlist());
        let places: Vec<&str> = told
            .iter()
            .filter_map(|text| text.split(' ').next())
            .collect();
        let expected = [
            "domains[0]",
            "domains[2]",
            "url_prefixes[0]",
            "url_prefixes[1]",
            "url_prefixes[3]",
            "url_prefixes[4]",
            "url_prefixes[5]",
        ];
        assert_eq!(places, expected, "{told:?}");
        let fine = Policy::parse(b"domains: [a.test]\nurl_prefixes: [{host: b.test}]").unwrap();
        assert_eq!(remarks(fine.allowlist()), [""; 0]);
    }
}
