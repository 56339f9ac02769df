//! Text that came from the agent, made harmless for logs: one line, visible characters only.

/// Returns `text` with everything but printable ASCII written as `\xNN`, and `\` doubled.
pub fn escape(text: &[u8]) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text {
        match byte {
            b'\\' => escaped.push_str("\\\\"),
            0x20..=0x7e => escaped.push(char::from(*byte)),
            _ => {
                escaped.push_str("\\x");
                escaped.push_str(&hex::encode([*byte]));
            }
        }
    }
    escaped
}

/// Returns `text` escaped and cut to about `bytes_max` bytes, the cut marked with `…`.
pub fn escape_cut(text: &[u8], bytes_max: usize) -> String {
    let mut escaped = escape(text);
    if escaped.len() > bytes_max {
        escaped.truncate(bytes_max);
        escaped.push('…');
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_forge_a_line() {
        assert_eq!(escape(b"a\nALLOWED GET"), "a\\x0aALLOWED GET");
        assert_eq!(escape("ü\u{202e}".as_bytes()), "\\xc3\\xbc\\xe2\\x80\\xae");
        assert_eq!(escape_cut(b"abcdef", 3), "abc…");
    }
}
