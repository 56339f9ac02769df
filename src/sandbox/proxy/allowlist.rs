//! What may be reached, as data (spec `config.md` §4). It knows no file format.

use serde::{Deserialize, Serialize};

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
}
