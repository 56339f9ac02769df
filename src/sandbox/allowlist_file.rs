//! Reading `.airut/network-allowlist.yaml`: strict, so that a mistyped key is an error and not a
//! rule that silently is not there.

use crate::sandbox::proxy::allowlist::Allowlist;

/// Longest allowlist file in bytes; a longer one is refused.
pub const ALLOWLIST_BYTES_MAX: usize = 256 * 1024;

/// Where the allowlist lies in a repository.
pub const ALLOWLIST_PATH: &str = ".airut/network-allowlist.yaml";

/// The file is no allowlist; the text says where and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{ALLOWLIST_PATH}: {0}")]
pub struct AllowlistError(String);

impl AllowlistError {
    /// Returns where and why, without the usual file's name.
    pub fn reason(&self) -> &str {
        &self.0
    }
}

/// Reads an allowlist; an empty document allows nothing.
///
/// # Errors
/// [`AllowlistError`] with line and column.
pub fn parse(bytes: &[u8]) -> Result<Allowlist, AllowlistError> {
    if bytes.len() > ALLOWLIST_BYTES_MAX {
        let length = bytes.len();
        let text = format!("{length} bytes are beyond the limit of {ALLOWLIST_BYTES_MAX}");
        return Err(AllowlistError(text));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| AllowlistError(error.to_string()))?;
    let parsed: Option<Allowlist> =
        serde_saphyr::from_str(text).map_err(|error| AllowlistError(error.to_string()))?;
    Ok(parsed.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allowlist_reads_as_written() {
        let parsed = parse(
            b"domains: [static.test]\nurl_prefixes:\n  - {host: a.test, path: \"/v1*\", methods: [GET]}\n  - host: b.test\n",
        );
        let parsed = parsed.unwrap();
        assert_eq!(parsed.domains, ["static.test"]);
        assert_eq!(parsed.url_prefixes[0].methods, ["GET"]);
        assert_eq!(parsed.url_prefixes[1].path, "");
    }

    #[test]
    fn nothing_allows_nothing() {
        for empty in ["", "# only a comment\n", "{}\n", "domains: []\n"] {
            assert_eq!(
                parse(empty.as_bytes()).unwrap(),
                Allowlist::default(),
                "{empty:?}"
            );
        }
    }

    #[test]
    fn a_mistyped_key_is_an_error_that_names_it() {
        let error = parse(b"domains: []\nurl_prefix: []\n")
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("url_prefix") && error.contains("line 2"),
            "{error}"
        );
    }

    #[test]
    fn a_file_is_as_long_as_it_may_be() {
        for (bytes, fits) in [
            (ALLOWLIST_BYTES_MAX - 1, true),
            (ALLOWLIST_BYTES_MAX, true),
            (ALLOWLIST_BYTES_MAX + 1, false),
        ] {
            let mut file = b"domains: [a.test] #".to_vec();
            file.resize(bytes, b'x');
            assert_eq!(parse(&file).is_ok(), fits, "{bytes}");
        }
    }
}
