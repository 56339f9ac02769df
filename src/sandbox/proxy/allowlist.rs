//! What may be reached, as data (spec `config.md` §4). It knows no file format.

use serde::{Deserialize, Deserializer, Serialize};

use crate::sandbox::proxy::glob;

/// A repository's allowlist; empty, it allows nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Allowlist {
    /// Host patterns of which every path and method is allowed.
    #[serde(default)]
    pub domains: Vec<String>,
    /// Entries that also name paths and methods.
    #[serde(default)]
    pub url_prefixes: Vec<UrlPrefix>,
}

/// An entry of `url_prefixes`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UrlPrefix {
    /// Host pattern; an empty one matches nothing.
    #[serde(default)]
    pub host: String,
    /// Pattern over the once-decoded path with its query; empty: any.
    #[serde(default)]
    pub path: String,
    /// Methods, in any case; empty: any.
    #[serde(default)]
    pub methods: Vec<String>,
    /// Operations that requests may ask for; without it their bodies are not read.
    #[serde(
        default,
        deserialize_with = "operations",
        skip_serializing_if = "Option::is_none"
    )]
    pub graphql: Option<Operations>,
}

/// Patterns over the names of top-level fields, by the kind of operation; an empty list allows no
/// operation of its kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Operations {
    /// For `query`.
    #[serde(default)]
    pub queries: Vec<String>,
    /// For `mutation`.
    #[serde(default)]
    pub mutations: Vec<String>,
    /// For `subscription`.
    #[serde(default)]
    pub subscriptions: Vec<String>,
}

/// Reads the operations of an entry that names them: a `graphql:` with nothing behind it must not
/// mean that nothing is filtered.
fn operations<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Operations>, D::Error> {
    Operations::deserialize(deserializer).map(Some)
}

impl Allowlist {
    /// Returns whether every path of a host may be read: what may be handed to somebody else who
    /// fetches in the agent's name and knows hosts only.
    pub fn opens(&self, host: &str) -> bool {
        let domain = |pattern: &String| glob::matches_ignoring_case(pattern, host);
        self.domains.iter().any(domain)
            || self.url_prefixes.iter().any(|entry| {
                let reads = |method: &String| method.eq_ignore_ascii_case("GET");
                entry.path.is_empty()
                    && entry.matches_host(host)
                    && (entry.methods.is_empty() || entry.methods.iter().any(reads))
            })
    }
}

impl UrlPrefix {
    /// Returns whether the entry is about a host.
    pub fn matches_host(&self, host: &str) -> bool {
        !self.host.is_empty() && glob::matches_ignoring_case(&self.host, host)
    }

    /// Returns whether the entry is about a once-decoded path with its query.
    pub fn matches_path(&self, decoded: &str) -> bool {
        self.path.is_empty() || glob::matches(&self.path, decoded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_open_only_when_no_path_and_no_method_closes_it() {
        let entry = |host: &str, path: &str, methods: &[&str]| UrlPrefix {
            host: host.to_owned(),
            path: path.to_owned(),
            methods: methods.iter().map(|method| (*method).to_owned()).collect(),
            graphql: None,
        };
        let allowlist = Allowlist {
            domains: vec!["*.open.test".to_owned()],
            url_prefixes: vec![
                entry("read.test", "", &["get"]),
                entry("any.test", "", &[]),
                entry("path.test", "/a*", &[]),
                entry("post.test", "", &["POST"]),
                entry("", "", &[]),
            ],
        };
        for host in ["a.open.test", "read.test", "ANY.test"] {
            assert!(allowlist.opens(host), "{host}");
        }
        for host in ["open.test", "path.test", "post.test", ""] {
            assert!(!allowlist.opens(host), "{host}");
        }
    }

    #[test]
    fn a_graphql_block_with_nothing_in_it_is_no_missing_one() {
        let read = |text: &str| serde_json::from_str::<UrlPrefix>(text);
        assert_eq!(read(r#"{"host":"a"}"#).unwrap().graphql, None);
        let empty = read(r#"{"host":"a","graphql":{}}"#).unwrap().graphql;
        assert_eq!(empty, Some(Operations::default()));
        assert!(read(r#"{"host":"a","graphql":null}"#).is_err());
        let unfiltered = UrlPrefix::default();
        let written = serde_json::to_string(&unfiltered).unwrap();
        assert_eq!(read(&written).unwrap(), unfiltered);
    }
}
