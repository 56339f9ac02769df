//! The name of a folder as IMAP writes it: modified UTF-7 (RFC 3501, section 5.1.3). Pure.

use base64::Engine as _;
use base64::alphabet::IMAP_MUTF7;
use base64::engine::GeneralPurpose;
use base64::engine::general_purpose::NO_PAD;

/// Its alphabet has a comma where others have a slash.
const MODIFIED: GeneralPurpose = GeneralPurpose::new(&IMAP_MUTF7, NO_PAD);

/// Writes a name as the server knows it.
pub fn on_the_wire(name: &str) -> String {
    let mut written = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(first) = rest.chars().next() {
        let is_plain = |c: &char| (' '..='~').contains(c);
        let alike = rest.find(|c| is_plain(&c) != is_plain(&first));
        let (run, later) = rest.split_at(alike.unwrap_or(rest.len()));
        if is_plain(&first) {
            written.push_str(&run.replace('&', "&-"));
        } else {
            let units: Vec<u8> = run.encode_utf16().flat_map(u16::to_be_bytes).collect();
            written.push('&');
            written.push_str(&MODIFIED.encode(units));
            written.push('-');
        }
        rest = later;
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_written_as_the_rfc_shows_them() {
        for (name, expected) in [
            ("INBOX", "INBOX"),
            ("~peter/mail/台北/日本語", "~peter/mail/&U,BTFw-/&ZeVnLIqe-"),
            ("Entwürfe", "Entw&APw-rfe"),
            ("Q & A", "Q &- A"),
            ("🦀", "&2D7dgA-"),
            ("", ""),
        ] {
            assert_eq!(on_the_wire(name), expected);
        }
    }
}
