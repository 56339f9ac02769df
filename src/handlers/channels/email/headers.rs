//! The header fields of a mail as they stand in it, for judgements that must not depend on a
//! parser's good will. Pure.

/// Header fields in the order they stand, topmost first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers {
    fields: Vec<(String, String)>,
    is_ambiguous: bool,
}

impl Headers {
    /// Reads the fields up to the first empty line; what is not UTF-8 is replaced, folded lines
    /// are joined.
    pub fn of(raw: &[u8]) -> Self {
        let mut fields: Vec<(String, String)> = Vec::new();
        let mut is_ambiguous = false;
        for line in raw.split(|byte| *byte == b'\n') {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if line.is_empty() {
                break;
            }
            // Some readers end a line at a bare CR, or everything at a NUL, and find other fields.
            is_ambiguous |= line.iter().any(|byte| matches!(byte, b'\r' | 0));
            let text = String::from_utf8_lossy(line);
            if line[0] == b' ' || line[0] == b'\t' {
                if let Some((_, value)) = fields.last_mut() {
                    value.push(' ');
                    value.push_str(text.trim());
                }
            } else if let Some((name, value)) = text.split_once(':') {
                fields.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
            }
        }
        Self {
            fields,
            is_ambiguous,
        }
    }

    /// Returns whether another reader may find other fields in the same bytes: who a mail is from
    /// must not depend on the reader.
    pub fn is_ambiguous(&self) -> bool {
        self.is_ambiguous
    }

    /// Returns all values of a field; the name is lower case.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let named = self.fields.iter().filter(move |(field, _)| field == name);
        named.map(|(_, value)| value.as_str())
    }

    /// Returns the topmost value of a field if it stands above all fields of another name.
    pub fn first_before(&self, name: &str, other: &str) -> Option<&str> {
        let mut above = self.fields.iter().take_while(|(field, _)| field != other);
        let found = above.find(|(field, _)| field == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Returns the topmost value of a field; the name is lower case.
    pub fn first<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        self.all(name).next()
    }
}

/// Longest header that is read where only the header is wanted; the rest counts as text.
pub const HEAD_BYTES_MAX: usize = 256 << 10;

/// Returns the header of a mail with the empty line after it.
pub fn head(raw: &[u8]) -> &[u8] {
    let most = &raw[..raw.len().min(HEAD_BYTES_MAX)];
    let mut from = 0;
    while let Some(length) = most[from..].iter().position(|byte| *byte == b'\n') {
        let line = &most[from..from + length];
        from += length + 1;
        if line.is_empty() || line == b"\r" {
            return &most[..from];
        }
    }
    most
}

/// Longest id that counts as one; longer ones are passed over.
const ID_BYTES_MAX: usize = 250;

/// Returns the ids, each with its angle brackets, of a field such as `References`.
pub fn message_ids(value: &str) -> Vec<String> {
    let starts = value.split('<').skip(1);
    let ids = starts.filter_map(|rest| rest.split_once('>').map(|(id, _)| id.trim()));
    let is_id = |id: &&str| {
        let is_plain = id.bytes().all(|byte| byte.is_ascii_graphic());
        !id.is_empty() && id.len() <= ID_BYTES_MAX && is_plain
    };
    ids.filter(is_id).map(|id| format!("<{id}>")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_unfolded_and_end_at_the_empty_line() {
        let headers = Headers::of(b"To: a\r\nSubject: one\r\n\ttwo\r\nto: b\r\n\r\nTo: body\r\n");
        assert_eq!(headers.all("to").collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(headers.first("subject"), Some("one two"));
    }

    #[test]
    fn the_head_ends_with_the_empty_line_however_lines_end() {
        for (raw, expected) in [
            (&b"A: b\r\n\r\nbody\r\n\r\n"[..], &b"A: b\r\n\r\n"[..]),
            (b"A: b\n\nbody", b"A: b\n\n"),
            (b"A: b", b"A: b"),
        ] {
            assert_eq!(head(raw), expected);
        }
        assert_eq!(head(&vec![b'x'; 1 << 20]).len(), HEAD_BYTES_MAX);
    }

    #[test]
    fn ids_are_found_among_noise() {
        assert_eq!(
            message_ids("<a@b> junk <c@d> <> <x y> <unfinished"),
            ["<a@b>", "<c@d>"]
        );
    }
}
