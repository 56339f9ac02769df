//! `aws-chunked` bodies, in which each chunk's signature covers the one before: read, signed anew
//! and written with the same length (AWS, "Signature calculations for the Authorization header:
//! transferring payload in multiple chunks", and the form with trailers). Pure.

use bytes::{Buf as _, BytesMut};

use crate::sandbox::proxy::signing::canonical::sha256_hex;
use crate::sandbox::proxy::signing::claim::Algorithm;
use crate::sandbox::proxy::signing::key::Key;

/// Longest chunk, in bytes: its signature stands before it, so that it has to be gathered. A longer
/// one breaks the request off.
pub const CHUNK_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Longest line of a chunk's head or of all trailers, in bytes; a longer one breaks it off.
pub const LINES_BYTES_MAX: usize = 16 * 1024;

const SIGNATURE: &str = ";chunk-signature=";
const TRAILER_SIGNATURE: &str = "x-amz-trailer-signature";
const LINE_END: &[u8] = b"\r\n";
const TRAILERS_END: &[u8] = b"\r\n\r\n";

/// The body is not what its head announced: break the request off.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("its aws-chunked body is malformed: {0}")]
pub struct BadChunk(&'static str);

/// The words with which a request announces such a body, and whether trailers follow.
pub fn announced(payload_hash: &str, algorithm: Algorithm) -> Option<bool> {
    let rest = payload_hash.strip_prefix("STREAMING-")?;
    match rest.strip_prefix(algorithm.name())? {
        "-PAYLOAD" => Some(false),
        "-PAYLOAD-TRAILER" => Some(true),
        _ => None,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// A chunk's head comes next.
    Chunk,
    /// The trailers come next.
    Trailers,
    /// The blank line at the end comes next.
    End,
    /// Nothing more may come.
    Done,
}

/// Signs one body anew.
pub struct Resigner {
    key: Key,
    algorithm: Algorithm,
    /// Timestamp and scope, as each string to sign has them.
    context: String,
    previous: String,
    has_trailers: bool,
    waiting: BytesMut,
    state: State,
}

impl Resigner {
    /// Begins after the request's own signature, `seed`.
    pub fn new(
        key: Key,
        algorithm: Algorithm,
        timestamp: &str,
        scope: &str,
        seed: String,
        has_trailers: bool,
    ) -> Self {
        Self {
            key,
            algorithm,
            context: format!("{timestamp}\n{scope}"),
            previous: seed,
            has_trailers,
            waiting: BytesMut::new(),
            state: State::Chunk,
        }
    }

    /// Takes the next piece and returns what can go on.
    ///
    /// # Errors
    /// [`BadChunk`]; nothing of this piece may go on then.
    pub fn push(&mut self, piece: &[u8]) -> Result<BytesMut, BadChunk> {
        self.waiting.extend_from_slice(piece);
        let mut goes = BytesMut::new();
        loop {
            let advanced = match self.state {
                State::Chunk => self.chunk(&mut goes)?,
                State::Trailers => self.trailers(&mut goes)?,
                State::End => self.end(&mut goes)?,
                State::Done if self.waiting.is_empty() => false,
                State::Done => return Err(BadChunk("bytes after its end")),
            };
            if !advanced {
                return Ok(goes);
            }
        }
    }

    /// Returns whether the body has come to its end.
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    fn chunk(&mut self, goes: &mut BytesMut) -> Result<bool, BadChunk> {
        let Some(line) = self.line()? else {
            return Ok(false);
        };
        let (size, signature) = line
            .split_once(SIGNATURE)
            .ok_or(BadChunk("a chunk without signature"))?;
        let bare = !size.is_empty() && size.bytes().all(|byte| byte.is_ascii_hexdigit());
        let length = usize::from_str_radix(size, 16).ok();
        let length = length
            .filter(|length| bare && *length <= CHUNK_BYTES_MAX)
            .ok_or(BadChunk("a chunk beyond the limit, or of no length"))?;
        let (head, width) = (line.len() + 2, signature.len());
        let needed = if length == 0 { head } else { head + length + 2 };
        if self.waiting.len() < needed {
            return Ok(false);
        }
        let (data, end) = self.waiting[head..needed].split_at(length);
        if length > 0 && end != b"\r\n" {
            return Err(BadChunk("a chunk longer than it says"));
        }
        let string_to_sign = format!(
            "{}-PAYLOAD\n{}\n{}\n{}\n{}",
            self.algorithm.name(),
            self.context,
            self.previous,
            sha256_hex(""),
            sha256_hex(data)
        );
        let signature = self.sign(&string_to_sign, width)?;
        goes.extend_from_slice(format!("{size}{SIGNATURE}{signature}\r\n").as_bytes());
        goes.extend_from_slice(&self.waiting[head..needed]);
        self.waiting.advance(needed);
        self.state = match (length, self.has_trailers) {
            (0, true) => State::Trailers,
            (0, false) => State::End,
            _ => State::Chunk,
        };
        Ok(true)
    }

    /// Trailers are signed as `name:value` lines, each ended by a line feed.
    fn trailers(&mut self, goes: &mut BytesMut) -> Result<bool, BadChunk> {
        let Some(end) = find(&self.waiting, TRAILERS_END) else {
            return self.room(TRAILERS_END).map(|()| false);
        };
        let text = std::str::from_utf8(&self.waiting[..end]);
        let text = text.map_err(|_| BadChunk("trailers that are no text"))?;
        let lines: Vec<String> = text.split("\r\n").map(str::to_owned).collect();
        let [trailers @ .., signature] = &lines[..] else {
            return Err(BadChunk("no trailers"));
        };
        let (name, signature) = signature
            .split_once(':')
            .ok_or(BadChunk("trailers without signature"))?;
        if !name.eq_ignore_ascii_case(TRAILER_SIGNATURE) {
            return Err(BadChunk("trailers without signature"));
        }
        let canonical = trailers.iter().filter_map(|line| line.split_once(':'));
        let canonical: String = canonical
            .map(|(name, value)| format!("{}:{}\n", name.to_ascii_lowercase(), value.trim()))
            .collect();
        let string_to_sign = format!(
            "{}-TRAILER\n{}\n{}\n{}",
            self.algorithm.name(),
            self.context,
            self.previous,
            sha256_hex(canonical)
        );
        let blanks = signature.len() - signature.trim_start().len();
        let signed = self.sign(&string_to_sign, signature.len() - blanks)?;
        for line in trailers {
            goes.extend_from_slice(line.as_bytes());
            goes.extend_from_slice(b"\r\n");
        }
        let last = format!("{name}:{}{signed}\r\n\r\n", &signature[..blanks]);
        goes.extend_from_slice(last.as_bytes());
        self.waiting.advance(end + 4);
        self.state = State::Done;
        Ok(true)
    }

    fn end(&mut self, goes: &mut BytesMut) -> Result<bool, BadChunk> {
        if self.waiting.len() < 2 {
            return Ok(false);
        }
        if !self.waiting.starts_with(b"\r\n") {
            return Err(BadChunk("something after the last chunk"));
        }
        goes.extend_from_slice(b"\r\n");
        self.waiting.advance(2);
        self.state = State::Done;
        Ok(true)
    }

    /// Signs in the width that the signature had: the body's length is announced already.
    fn sign(&mut self, string_to_sign: &str, width: usize) -> Result<String, BadChunk> {
        let signature = self.key.sign_chunk(string_to_sign);
        self.previous = signature.trim_end_matches('*').to_owned();
        if signature.len() == width {
            return Ok(signature);
        }
        // A client of its own width: only padding may be cut.
        let bare = signature.trim_end_matches('*');
        if bare.len() > width {
            return Err(BadChunk("a signature of the wrong length"));
        }
        Ok(format!("{bare:*<width$}"))
    }

    /// Returns the line that is complete, without its end.
    fn line(&self) -> Result<Option<String>, BadChunk> {
        match find(&self.waiting, LINE_END) {
            None => self.room(LINE_END).map(|()| None),
            Some(end) => std::str::from_utf8(&self.waiting[..end])
                .map(|line| Some(line.to_owned()))
                .map_err(|_| BadChunk("a chunk's head that is no text")),
        }
    }

    /// Lets a line go on as long as it may still end in time; of its end, too, a part may be here.
    fn room(&self, end: &[u8]) -> Result<(), BadChunk> {
        if self.waiting.len() >= LINES_BYTES_MAX + end.len() {
            return Err(BadChunk("a line that does not end"));
        }
        Ok(())
    }
}

/// Returns where `end` first stands, looking no further than a line may reach.
fn find(bytes: &[u8], end: &[u8]) -> Option<usize> {
    let reach = bytes.len().min(LINES_BYTES_MAX + end.len());
    bytes[..reach]
        .windows(end.len())
        .position(|window| window == end)
}

#[cfg(test)]
mod tests;
