//! One request head over HTTP/1, judged by RFC 9112 without any of its leniency: what it leaves to a
//! server's mercy is refused. Pure.

use http::StatusCode;

use crate::sandbox::proxy::limits::{
    HEAD_BYTES_MAX, HEADERS_MAX, METHOD_BYTES_MAX, TARGET_BYTES_MAX,
};

/// Where a request's body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// After so many bytes; 0 for none.
    Length(u64),
    /// After the last chunk.
    Chunked,
}

/// What a well-formed head says about the bytes behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Where its body ends.
    pub framing: Framing,
    /// Whether the connection may be something else than HTTP afterwards: it asks for an upgrade or
    /// for a tunnel, and only the answer tells.
    pub may_switch: bool,
}

/// Why bytes are not served.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct Malformed {
    /// The status of the answer.
    pub status: StatusCode,
    /// In words.
    pub detail: &'static str,
}

/// Returns a refusal with 400.
pub fn malformed(detail: &'static str) -> Malformed {
    Malformed {
        status: StatusCode::BAD_REQUEST,
        detail,
    }
}

/// How far a head has been looked through while it arrives.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    line_start: usize,
    scanned: usize,
}

impl Progress {
    /// Returns the length of the head that `bytes` begin with; nothing while it is incomplete.
    ///
    /// # Errors
    /// [`Malformed`] as soon as it cannot become a well-formed head any more.
    pub fn end(&mut self, bytes: &[u8]) -> Result<Option<usize>, Malformed> {
        if bytes.first().is_some_and(|byte| !is_token(*byte)) {
            return Err(malformed("it does not begin with a method"));
        }
        while let Some(newline) = position(&bytes[self.scanned..], b'\n') {
            let newline = self.scanned + newline;
            let line = &bytes[self.line_start..newline];
            let Some(line) = line.strip_suffix(b"\r") else {
                return Err(malformed("a line ends without CR"));
            };
            (self.line_start, self.scanned) = (newline + 1, newline + 1);
            if line.is_empty() {
                return within_limit(newline + 1).map(Some);
            }
        }
        self.scanned = bytes.len();
        if self.line_start == 0 && bytes.len() > TARGET_BYTES_MAX + METHOD_BYTES_MAX + 16 {
            return Err(target_too_long());
        }
        within_limit(bytes.len()).map(|_| None)
    }
}

fn within_limit(length: usize) -> Result<usize, Malformed> {
    if length > HEAD_BYTES_MAX {
        return Err(too_large("the head is too long"));
    }
    Ok(length)
}

fn too_large(detail: &'static str) -> Malformed {
    let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
    Malformed { status, detail }
}

fn target_too_long() -> Malformed {
    Malformed {
        status: StatusCode::URI_TOO_LONG,
        detail: "the target is too long",
    }
}

/// Reads a whole head, up to and with its empty line.
///
/// # Errors
/// [`Malformed`] when it is not well-formed, beyond a limit, or could be framed in two ways.
pub fn read(head: &[u8]) -> Result<Head, Malformed> {
    let lines = head.strip_suffix(b"\r\n\r\n");
    let lines = lines.ok_or_else(|| malformed("the head has no end"))?;
    let mut lines = Lines(Some(lines));
    let request_line = lines.next().unwrap_or_default();
    let (method, version_minor) = read_request_line(request_line)?;
    let mut fields = Fields::default();
    for (count, line) in lines.enumerate() {
        if count == HEADERS_MAX {
            return Err(too_large("it has too many header fields"));
        }
        let (name, value) = read_field(line)?;
        fields.take(name, value)?;
    }
    Ok(Head {
        framing: fields.framing(version_minor)?,
        may_switch: fields.upgrade || method == b"CONNECT",
    })
}

/// Lines between CRLF; what is left of a lone CR or LF stays in its line and is refused there.
struct Lines<'a>(Option<&'a [u8]>);

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.0?;
        let end = rest.windows(2).position(|pair| pair == b"\r\n");
        let (line, rest) = match end {
            Some(end) => (&rest[..end], Some(&rest[end + 2..])),
            None => (rest, None),
        };
        self.0 = rest;
        Some(line)
    }
}

/// Returns the method and the minor version of `METHOD target HTTP/1.x`.
fn read_request_line(line: &[u8]) -> Result<(&[u8], u8), Malformed> {
    let not_three = || malformed("the request line is no method, target and version");
    let mut parts = line.split(|byte| *byte == b' ');
    let (Some(method), Some(target), Some(version), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(not_three());
    };
    if method.is_empty() || method.len() > METHOD_BYTES_MAX || !method.iter().all(|b| is_token(*b))
    {
        return Err(malformed("the method is no token"));
    }
    if target.len() > TARGET_BYTES_MAX {
        return Err(target_too_long());
    }
    // A fragment never goes to a server: one that is sent is cut off by some and kept by others.
    let hidden = |byte: &u8| *byte <= b' ' || *byte == 0x7f || *byte == b'#';
    if target.is_empty() || target.iter().any(hidden) {
        return Err(malformed("the target has characters that no target has"));
    }
    match version {
        b"HTTP/1.1" => Ok((method, 1)),
        b"HTTP/1.0" => Ok((method, 0)),
        _ => Err(malformed("the version is neither HTTP/1.1 nor HTTP/1.0")),
    }
}

/// Returns name and trimmed value of a header or trailer line.
///
/// # Errors
/// [`Malformed`] for folded lines, names that are no token, and control characters.
pub fn read_field(line: &[u8]) -> Result<(&[u8], &[u8]), Malformed> {
    if matches!(line.first(), Some(b' ' | b'\t')) {
        return Err(malformed("a header is folded over two lines"));
    }
    let colon = position(line, b':').ok_or_else(|| malformed("a header has no colon"))?;
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    if name.is_empty() || !name.iter().all(|byte| is_token(*byte)) {
        return Err(malformed("a header's name is no token"));
    }
    let control = |byte: &u8| (*byte < b' ' && *byte != b'\t') || *byte == 0x7f;
    if value.iter().any(control) {
        return Err(malformed("a header's value has control characters"));
    }
    Ok((name, value.trim_ascii()))
}

/// What the fields that frame a body say.
#[derive(Default)]
struct Fields {
    length: Option<u64>,
    chunked: bool,
    upgrade: bool,
}

impl Fields {
    fn take(&mut self, name: &[u8], value: &[u8]) -> Result<(), Malformed> {
        let is = |other: &str| name.eq_ignore_ascii_case(other.as_bytes());
        if is("content-length") {
            let length = read_length(value)?;
            if self.length.replace(length).is_some() {
                return Err(malformed("it has two lengths"));
            }
        } else if is("transfer-encoding") {
            if !value.eq_ignore_ascii_case(b"chunked") {
                return Err(malformed("its transfer coding is not chunked alone"));
            }
            if std::mem::replace(&mut self.chunked, true) {
                return Err(malformed("it has two transfer codings"));
            }
        } else if is("content_length") || is("transfer_encoding") {
            // Gateways that hand headers on as variables take `_` for `-`.
            return Err(malformed("a header looks like one that frames the body"));
        } else if is("upgrade") {
            self.upgrade = true;
        }
        Ok(())
    }

    fn framing(&self, version_minor: u8) -> Result<Framing, Malformed> {
        match (self.chunked, self.length) {
            (true, Some(_)) => Err(malformed("it has a length and a transfer coding")),
            (true, None) if version_minor == 0 => {
                Err(malformed("HTTP/1.0 has no transfer codings"))
            }
            (true, None) => Ok(Framing::Chunked),
            (false, length) => Ok(Framing::Length(length.unwrap_or(0))),
        }
    }
}

/// Reads a length: digits alone, so many that no reader's integer overflows.
fn read_length(value: &[u8]) -> Result<u64, Malformed> {
    let digits = (1..=18).contains(&value.len()) && value.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(value).ok().filter(|_| digits);
    let length = text.and_then(|text| text.parse().ok());
    length.ok_or_else(|| malformed("its length is no number"))
}

/// Returns whether a byte may stand in a method or a name (RFC 9110, 5.6.2).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Returns where `wanted` first stands.
pub fn position(bytes: &[u8], wanted: u8) -> Option<usize> {
    bytes.iter().position(|byte| *byte == wanted)
}

#[cfg(test)]
mod tests;
