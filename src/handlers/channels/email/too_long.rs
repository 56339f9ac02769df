//! The form in which a mail that is too long is kept: a mark with its length, then its header. The
//! mark begins with a byte that no mail has over IMAP, so that no sender can write it. Pure.

use crate::handlers::channels::email::imap::MAIL_BYTES_MAX;

/// Begins the kept form; IMAP has no zero byte (RFC 3501, section 9, CHAR8).
const MARK: &[u8] = b"\0only the header of this mail is kept; its length is ";

/// Returns the kept form of a mail of which only the header was fetched.
pub fn kept(header: &[u8], bytes: u32) -> Vec<u8> {
    [MARK, bytes.to_string().as_bytes(), b"\n", header].concat()
}

/// Returns the kept form of a mail that was fetched whole: the mail as it is, but for one from a
/// server that sends the mark all the same.
pub fn kept_whole(mut raw: Vec<u8>) -> Vec<u8> {
    if raw.starts_with(MARK) {
        raw[0] = b'?';
    }
    raw
}

/// Splits a kept form into the length of a mail that is too long, and what is there of the mail.
pub fn split(raw: &[u8]) -> (Option<u32>, &[u8]) {
    let marked = raw.strip_prefix(MARK).and_then(|rest| {
        let end = rest.iter().position(|byte| *byte == b'\n')?;
        let bytes = std::str::from_utf8(&rest[..end]).ok()?.parse().ok()?;
        Some((Some(bytes), &rest[end + 1..]))
    });
    marked.unwrap_or((None, raw))
}

/// Says it to the sender.
pub fn words(bytes: u32) -> String {
    format!(
        "Your mail is too large to be read: it has {} MiB, and the limit is {} MiB. Send it again with \
         smaller attachments, or put large files where the repository can fetch them and name the \
         place.",
        bytes.div_ceil(1 << 20),
        MAIL_BYTES_MAX >> 20
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_comes_back_and_no_sender_can_forge_it() {
        let header = b"From: alice@example.test\r\n\r\n";
        let marked = kept(header, 60 << 20);
        assert_eq!(split(&marked), (Some(60 << 20), &header[..]));
        assert_eq!(split(header), (None, &header[..]));
        let forged = kept_whole(marked);
        assert_eq!(split(&forged).0, None);
        assert!(words(60 << 20).contains("60 MiB") && words(1).contains("the limit is 50 MiB"));
    }
}
