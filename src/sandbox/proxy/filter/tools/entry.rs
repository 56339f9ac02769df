//! One tool of a request: whether the server would fetch with it, and what it may be told. Pure.

use std::ops::Range;

use crate::sandbox::proxy::filter::Blocked;
use crate::sandbox::proxy::filter::tools::walk::Edit;

/// What the types of server-side tools begin with; a date follows.
const COVERED: [&str; 5] = [
    "web_fetch_",
    "web_search_",
    "computer_",
    "bash_",
    "code_execution_",
];

/// Of these the API refuses an empty list, so that they run without one. They return what a search
/// engine shows of pages, not the pages.
const UNRESTRICTED_ON_EMPTY: &str = "web_search_";

/// Hosts that one remark in the log names; further ones are counted.
const NAMED_MAX: usize = 10;

/// The hosts that a tool may fetch from, as the agent tells them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Domains {
    /// The list; nothing when it is no list. An item that is no text is nothing.
    pub(super) listed: Option<Vec<Option<String>>>,
    /// Where the value stands.
    pub(super) place: Range<usize>,
}

/// What of a tool decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// Behind the brace.
    begin: usize,
    /// Its `type`; empty when it tells none.
    pub(super) kind: String,
    /// Its `allowed_domains`, if it tells them.
    pub(super) allowed: Option<Domains>,
    /// What must go for `allowed_domains` to be gone.
    pub(super) removal: Range<usize>,
    /// Whether it tells `blocked_domains` that are not an empty list.
    pub(super) has_blocked: bool,
}

impl Entry {
    /// Returns a tool of which nothing is known yet.
    pub(super) fn beginning(begin: usize) -> Self {
        Self {
            begin,
            kind: String::new(),
            allowed: None,
            removal: 0..0,
            has_blocked: false,
        }
    }

    /// Returns how the tool must be changed, if it must, and what the log says of that.
    pub(super) fn settle(
        &self,
        opens: &dyn Fn(&str) -> bool,
    ) -> Result<Option<(Edit, String)>, Blocked> {
        let kind = self.kind.to_lowercase();
        if !COVERED.iter().any(|prefix| kind.starts_with(prefix)) {
            return Ok(None);
        }
        if self.has_blocked {
            return Err(self.blocklist());
        }
        let may_be_unrestricted = kind.starts_with(UNRESTRICTED_ON_EMPTY);
        let Some((listed, place)) = self.list() else {
            return Ok((!may_be_unrestricted).then(|| self.force_none()));
        };
        let declared: Option<Vec<&str>> = listed.iter().map(Option::as_deref).collect();
        let declared = declared.filter(|hosts| !hosts.iter().any(|host| is_wildcard(host)));
        let declared = declared.ok_or_else(|| self.wildcard())?;
        let (kept, dropped): (Vec<&str>, Vec<&str>) = declared
            .iter()
            .partition(|host| is_bare(host) && opens(host));
        if kept.is_empty() && may_be_unrestricted {
            return Ok(Some(self.clear(&dropped)));
        }
        if dropped.is_empty() {
            return Ok(None);
        }
        let note = format!(
            "{}: dropped {} of {} domains: {}",
            self.kind,
            dropped.len(),
            declared.len(),
            named(&dropped)
        );
        let text = serde_json::json!(kept).to_string();
        let place = place.clone();
        Ok(Some((Edit { place, text }, note)))
    }

    fn list(&self) -> Option<(&[Option<String>], &Range<usize>)> {
        let allowed = self.allowed.as_ref()?;
        Some((allowed.listed.as_deref()?, &allowed.place))
    }

    /// A tool that tells no hosts is told that there are none.
    fn force_none(&self) -> (Edit, String) {
        let edit = match &self.allowed {
            Some(other) => Edit {
                place: other.place.clone(),
                text: "[]".to_owned(),
            },
            None => Edit {
                place: self.begin..self.begin,
                text: r#""allowed_domains":[],"#.to_owned(),
            },
        };
        (edit, format!("{}: forced allowed_domains: []", self.kind))
    }

    fn clear(&self, dropped: &[&str]) -> (Edit, String) {
        let edit = Edit {
            place: self.removal.clone(),
            text: String::new(),
        };
        let note = if dropped.is_empty() {
            format!("{}: removed empty allowed_domains", self.kind)
        } else {
            format!(
                "{}: cleared allowed_domains ({} outside allowlist: {})",
                self.kind,
                dropped.len(),
                named(dropped)
            )
        };
        (edit, note)
    }

    fn blocklist(&self) -> Blocked {
        Blocked {
            error: "blocklist_tool_config_unsupported",
            message: "The network sandbox knows which hosts a server-side tool may reach, not \
                      which it may not: leave blocked_domains out and name allowed_domains, which \
                      are trimmed to the hosts that the network allowlist opens."
                .to_owned(),
            detail: self.kind.clone(),
            tag: Some(format!("{}: blocked-domains", self.kind)),
        }
    }

    fn wildcard(&self) -> Blocked {
        Blocked {
            error: "wildcard_tool_domain_unsupported",
            message: "Each of the allowed_domains of a server-side tool must be the name of one \
                      host, without wildcards, spaces or a dot before it."
                .to_owned(),
            detail: self.kind.clone(),
            tag: Some(format!("{}: wildcard", self.kind)),
        }
    }
}

fn is_wildcard(host: &str) -> bool {
    host.is_empty()
        || host.starts_with('.')
        || host.contains(|c: char| matches!(c, '*' | '?') || c.is_whitespace())
}

/// Returns whether this is a host name and nothing more: with a path behind it the name would be
/// another than the one that a pattern matches.
fn is_bare(host: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    host.bytes().all(allowed)
}

fn named(hosts: &[&str]) -> String {
    let (shown, rest) = hosts.split_at(hosts.len().min(NAMED_MAX));
    let shown = shown.join(",");
    if rest.is_empty() {
        shown
    } else {
        format!("{shown},+{} more", rest.len())
    }
}
