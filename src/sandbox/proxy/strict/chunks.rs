//! Where a chunked body ends (RFC 9112, 7.1): line by line, data only counted. Pure.

use crate::sandbox::proxy::limits::{CHUNK_LINE_BYTES_MAX, TRAILER_BYTES_MAX, TRAILERS_MAX};
use crate::sandbox::proxy::strict::head::{Malformed, malformed, position, read_field};

/// Trailers that would frame, route or authenticate a request after it was judged (RFC 9110, 6.5.1).
const TRAILERS_REFUSED: [&str; 8] = [
    "authorization",
    "connection",
    "content-length",
    "cookie",
    "host",
    "te",
    "trailer",
    "transfer-encoding",
];

/// How far a chunked body has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunks {
    next: Next,
    trailers: usize,
    trailer_bytes: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Size,
    Data(u64),
    DataEnd,
    Trailer,
    Nothing,
}

impl Chunks {
    /// Returns a body of which nothing has come.
    pub fn new() -> Self {
        Self {
            next: Next::Size,
            trailers: 0,
            trailer_bytes: 0,
        }
    }

    /// Returns how many bytes of data come next, whatever they are.
    pub fn data_left(&self) -> u64 {
        match self.next {
            Next::Data(left) => left,
            _ => 0,
        }
    }

    /// Returns whether the body is complete.
    pub fn is_complete(&self) -> bool {
        self.next == Next::Nothing
    }

    /// Counts bytes of data that were handed on; at most as many as [`Self::data_left`].
    pub fn count_data(&mut self, bytes: u64) {
        if let Next::Data(left) = self.next {
            self.next = match left.saturating_sub(bytes) {
                0 => Next::DataEnd,
                left => Next::Data(left),
            };
        }
    }

    /// Returns how many of `bytes` belong to the body and may be handed on: whole lines, and data.
    ///
    /// # Errors
    /// [`Malformed`] when they are no chunked body.
    pub fn pass(&mut self, bytes: &[u8]) -> Result<usize, Malformed> {
        let mut passed = 0;
        loop {
            let rest = &bytes[passed..];
            match self.next {
                Next::Nothing => return Ok(passed),
                Next::Data(left) => {
                    if rest.is_empty() {
                        return Ok(passed);
                    }
                    let taken =
                        usize::try_from(left).map_or(rest.len(), |left| left.min(rest.len()));
                    self.count_data(taken as u64);
                    passed += taken;
                }
                Next::Size | Next::DataEnd | Next::Trailer => match self.line(rest)? {
                    Some(length) => passed += length,
                    None => return Ok(passed),
                },
            }
        }
    }

    /// Takes one line, if it is whole; returns its length.
    fn line(&mut self, bytes: &[u8]) -> Result<Option<usize>, Malformed> {
        let line_max = match self.next {
            Next::DataEnd => 2,
            Next::Size => CHUNK_LINE_BYTES_MAX,
            _ => TRAILER_BYTES_MAX,
        };
        let Some(newline) = position(&bytes[..bytes.len().min(line_max)], b'\n') else {
            if bytes.len() >= line_max {
                return Err(malformed("a chunk's line is too long"));
            }
            return Ok(None);
        };
        let line = bytes[..newline].strip_suffix(b"\r");
        let line = line.ok_or_else(|| malformed("a chunk's line ends without CR"))?;
        self.next = match self.next {
            Next::Size => match read_size(line)? {
                0 => Next::Trailer,
                size => Next::Data(size),
            },
            Next::DataEnd if line.is_empty() => Next::Size,
            Next::Trailer if line.is_empty() => Next::Nothing,
            Next::Trailer => self.trailer(line)?,
            _ => return Err(malformed("a chunk is longer than its size")),
        };
        Ok(Some(newline + 1))
    }

    fn trailer(&mut self, line: &[u8]) -> Result<Next, Malformed> {
        self.trailers += 1;
        self.trailer_bytes += line.len();
        if self.trailers > TRAILERS_MAX || self.trailer_bytes > TRAILER_BYTES_MAX {
            return Err(malformed("there are too many trailers"));
        }
        let (name, _) = read_field(line)?;
        let refused = |refused: &str| name.eq_ignore_ascii_case(refused.as_bytes());
        if TRAILERS_REFUSED.into_iter().any(refused) {
            return Err(malformed("a trailer says what only a header may say"));
        }
        Ok(Next::Trailer)
    }
}

impl Default for Chunks {
    fn default() -> Self {
        Self::new()
    }
}

/// Reads `size[;extension]`: hexadecimal digits, and extensions of visible characters.
fn read_size(line: &[u8]) -> Result<u64, Malformed> {
    let end = position(line, b';').unwrap_or(line.len());
    let (digits, extension) = line.split_at(end);
    let plain = (1..=15).contains(&digits.len()) && digits.iter().all(u8::is_ascii_hexdigit);
    let control = |byte: &u8| (*byte < b' ' && *byte != b'\t') || *byte == 0x7f;
    if !plain || extension.iter().any(control) {
        return Err(malformed("a chunk's size is no number"));
    }
    let text = std::str::from_utf8(digits).ok();
    let size = text.and_then(|text| u64::from_str_radix(text, 16).ok());
    size.ok_or_else(|| malformed("a chunk's size is no number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns how many bytes the body has.
    fn whole(bytes: &[u8]) -> Result<Option<usize>, Malformed> {
        let mut chunks = Chunks::new();
        let passed = chunks.pass(bytes)?;
        Ok(chunks.is_complete().then_some(passed))
    }

    #[test]
    fn a_body_ends_with_its_last_chunk_and_trailers() {
        for body in [
            "0\r\n\r\n",
            "5\r\nabcde\r\n0\r\n\r\n",
            "5;name=value\r\nab\r\ne\r\n00a\r\n0123456789\r\n0\r\nx-sum: 1\r\nx: y\r\n\r\n",
        ] {
            let followed = format!("{body}GET / HTTP/1.1\r\n");
            assert_eq!(whole(followed.as_bytes()), Ok(Some(body.len())), "{body:?}");
            let cut = &body.as_bytes()[..body.len() - 1];
            assert_eq!(whole(cut), Ok(None), "{body:?}");
        }
    }

    #[test]
    fn a_body_may_arrive_byte_by_byte() {
        let body = b"5\r\nabcde\r\n1;x\r\n0\r\n0\r\nx-sum: 1\r\n\r\n";
        let (mut chunks, mut waiting, mut passed) = (Chunks::new(), Vec::new(), 0);
        for byte in body {
            assert!(!chunks.is_complete());
            waiting.push(*byte);
            let some = chunks.pass(&waiting).unwrap();
            drop(waiting.drain(..some));
            passed += some;
        }
        assert!(chunks.is_complete());
        assert_eq!(passed, body.len());
    }

    #[test]
    fn chunks_that_are_not_plain_are_refused() {
        for body in [
            "0x5\r\nabcde\r\n",
            "-5\r\n",
            "+5\r\n",
            " 5\r\n",
            "5 \r\n",
            "\r\n",
            ";x\r\n",
            "5\nabcde\r\n",
            "5\rabcde\r\n\r\n",
            "5;a\rb\r\n",
            "5\r\nabcdef\r\n",
            "5\r\nabcde\n",
            "5\r\nabcde0\r\n\r\n",
            "1000000000000000\r\n",
            "ffffffffffffffffff\r\n",
            "0\r\n folded: x\r\n\r\n",
            "0\r\nx : y\r\n\r\n",
            "0\r\nContent-Length: 5\r\n\r\n",
            "0\r\nhost: a.test\r\n\r\n",
            "0\r\nx: y\n\r\n",
        ] {
            assert!(whole(body.as_bytes()).is_err(), "{body:?}");
        }
    }

    #[test]
    fn lines_and_trailers_pass_up_to_their_limits() {
        let extended = |length: usize| format!("0;{}\r\n\r\n", "x".repeat(length - 4));
        assert!(whole(extended(CHUNK_LINE_BYTES_MAX).as_bytes()).is_ok());
        assert!(whole(extended(CHUNK_LINE_BYTES_MAX + 1).as_bytes()).is_err());
        let trailers = |count: usize| format!("0\r\n{}\r\n", "x: y\r\n".repeat(count));
        assert!(whole(trailers(TRAILERS_MAX).as_bytes()).is_ok());
        assert!(whole(trailers(TRAILERS_MAX + 1).as_bytes()).is_err());
        let sized = |length: usize| format!("0\r\nx: {}\r\n\r\n", "y".repeat(length - 5));
        assert!(whole(sized(TRAILER_BYTES_MAX).as_bytes()).is_ok());
        assert!(whole(sized(TRAILER_BYTES_MAX + 1).as_bytes()).is_err());
    }
}
