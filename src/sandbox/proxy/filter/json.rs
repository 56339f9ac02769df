//! JSON text read in one pass, piece by piece, with the place of each piece: a filter changes the few
//! bytes it must and leaves the rest of a long conversation as it came. Pure. It keeps nothing.

use std::ops::Range;

/// The text is no JSON; nothing of it is trusted then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// What a value begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Begin {
    Object,
    Array,
    Text,
    Scalar,
}

/// A place in JSON text.
#[derive(Debug, Clone)]
pub(super) struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// Returns the next byte that is no white space.
    pub(super) fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while matches!(bytes.get(self.at), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
        bytes.get(self.at).copied()
    }

    /// Takes a byte if it is the next one.
    pub(super) fn take(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }

    pub(super) fn expect(&mut self, byte: u8) -> Result<(), Malformed> {
        self.take(byte).then_some(()).ok_or(Malformed)
    }

    pub(super) fn begin(&mut self) -> Result<Begin, Malformed> {
        Ok(match self.peek().ok_or(Malformed)? {
            b'{' => Begin::Object,
            b'[' => Begin::Array,
            b'"' => Begin::Text,
            _ => Begin::Scalar,
        })
    }

    /// Passes a string and returns where it stands between its quotes.
    pub(super) fn text(&mut self) -> Result<Range<usize>, Malformed> {
        self.expect(b'"')?;
        let (bytes, start) = (self.text.as_bytes(), self.at);
        loop {
            match bytes.get(self.at).ok_or(Malformed)? {
                b'"' => {
                    self.at += 1;
                    return Ok(start..self.at - 1);
                }
                b'\\' => self.escape()?,
                0..=0x1f => return Err(Malformed),
                _ => self.at += 1,
            }
        }
    }

    fn escape(&mut self) -> Result<(), Malformed> {
        let rest = &self.text.as_bytes()[self.at + 1..];
        self.at += match rest.first().ok_or(Malformed)? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => 2,
            b'u' => {
                let digits = rest.get(1..5).ok_or(Malformed)?;
                if !digits.iter().all(u8::is_ascii_hexdigit) {
                    return Err(Malformed);
                }
                6
            }
            _ => return Err(Malformed),
        };
        Ok(())
    }

    /// Returns a string that was passed, its escapes resolved; half a surrogate pair, which some
    /// clients send, becomes U+FFFD.
    pub(super) fn resolve(&self, place: Range<usize>) -> String {
        let raw = &self.text[place];
        if !raw.contains('\\') {
            return raw.to_owned();
        }
        let mut units = Vec::with_capacity(raw.len());
        let mut rest = raw.chars();
        while let Some(character) = rest.next() {
            let resolved = match character {
                '\\' => match rest.next() {
                    Some('u') => {
                        let digits: String = rest.by_ref().take(4).collect();
                        // Passing it has checked the digits.
                        units.push(u16::from_str_radix(&digits, 16).unwrap_or(0xfffd));
                        continue;
                    }
                    Some('b') => '\u{8}',
                    Some('f') => '\u{c}',
                    Some('n') => '\n',
                    Some('r') => '\r',
                    Some('t') => '\t',
                    Some(other) => other,
                    None => continue,
                },
                other => other,
            };
            units.extend_from_slice(resolved.encode_utf16(&mut [0; 2]));
        }
        String::from_utf16_lossy(&units)
    }

    /// Passes a number, `true`, `false` or `null`.
    pub(super) fn scalar(&mut self) -> Result<(), Malformed> {
        let rest = &self.text[self.at..];
        let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
        let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        let word = &rest[..end];
        if !matches!(word, "true" | "false" | "null") && !is_number(word) {
            return Err(Malformed);
        }
        self.at += end;
        Ok(())
    }
}

/// Returns whether a word is a number (RFC 8259, 6).
fn is_number(word: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let word = word.strip_prefix('-').unwrap_or(word);
    let (mantissa, exponent) = match word.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (word, None),
    };
    let exponent = exponent.map(|text| text.strip_prefix(['+', '-']).unwrap_or(text));
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(digits)
        && exponent.is_none_or(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_resolved_as_servers_resolve_them() {
        for (text, expected) in [
            (r#""tools""#, "tools"),
            (r#""\u0074ools""#, "tools"),
            (r#""a\n\"\/\\""#, "a\n\"/\\"),
            (r#""\ud83d\ude00 ü""#, "😀 ü"),
            (r#""\ud83d!""#, "\u{fffd}!"),
        ] {
            let mut scanner = Scanner::new(text);
            let place = scanner.text().unwrap();
            assert_eq!(scanner.resolve(place), expected, "{text}");
        }
        for text in [
            r#""a"#,
            r#""\x""#,
            r#""\u12g4""#,
            "\"\n\"",
            r#""\"#,
            r#""\u12"#,
        ] {
            assert_eq!(Scanner::new(text).text(), Err(Malformed), "{text}");
        }
    }

    #[test]
    fn scalars_are_those_of_json() {
        for text in ["0", "-1", "10.5e-3", "1E+9", "true", "false", "null"] {
            assert_eq!(Scanner::new(text).scalar(), Ok(()), "{text}");
        }
        for text in [
            "", "01", "1.", ".5", "+1", "1e", "NaN", "Infinity", "nul", "True",
        ] {
            assert_eq!(Scanner::new(text).scalar(), Err(Malformed), "{text}");
        }
    }
}
