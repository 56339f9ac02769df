//! What an agent writes, as events: each line of its stream, each piece of its error output. Lines
//! that arrive together are recorded together.

use crate::events::Event;
use crate::events::blobs::Blobs;
use crate::events::id::RunId;
use crate::events::run::{AgentErrorOutput, AgentEventObserved, LINE_INLINE_BYTES_MAX, LineBody};
use crate::sandbox::agent::Transcript;
use crate::sandbox::podman::OutputChunk;

/// Longest line of an agent's stream, in bytes; a longer one is cut there and goes on as another.
pub(super) const LINE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Longest end of standard error that is kept, in bytes; what came before is dropped.
pub(super) const STDERR_TAIL_BYTES_MAX: usize = 16 * 1024;

/// The output of one run so far.
pub(super) struct Output<'a> {
    run: RunId,
    blobs: &'a Blobs,
    unfinished: Vec<u8>,
    index: u32,
    transcript: Transcript,
    stderr_tail: String,
}

impl<'a> Output<'a> {
    pub(super) fn new(run: RunId, blobs: &'a Blobs) -> Self {
        Self {
            run,
            blobs,
            unfinished: Vec::new(),
            index: 0,
            transcript: Transcript::default(),
            stderr_tail: String::new(),
        }
    }

    /// Returns what bytes say as events.
    pub(super) fn take(&mut self, chunk: OutputChunk) -> Vec<Event> {
        match chunk {
            OutputChunk::Stdout(bytes) => self.take_stdout(&bytes),
            OutputChunk::Stderr(bytes) => vec![self.take_stderr(&bytes)],
        }
    }

    /// Returns the last line when it has no end.
    pub(super) fn finish(&mut self) -> Option<Event> {
        let rest = std::mem::take(&mut self.unfinished);
        (!rest.is_empty()).then(|| self.line(&rest))
    }

    pub(super) fn stderr_tail(self) -> String {
        self.stderr_tail
    }

    fn take_stdout(&mut self, bytes: &[u8]) -> Vec<Event> {
        self.unfinished.extend(bytes);
        let mut events = Vec::new();
        while let Some(end) = self.unfinished.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.unfinished.drain(..=end).collect();
            let line = line.trim_ascii_end();
            if !line.is_empty() {
                events.push(self.line(line));
            }
        }
        if self.unfinished.len() > LINE_BYTES_MAX {
            events.extend(self.finish());
        }
        events
    }

    fn line(&mut self, bytes: &[u8]) -> Event {
        let line = String::from_utf8_lossy(bytes).into_owned();
        let facts = self.transcript.observe(&line);
        self.index += 1;
        AgentEventObserved {
            run: self.run,
            index: self.index,
            event_type: facts.event_type,
            subtype: facts.subtype.chars().take(128).collect(),
            session: facts.session,
            line: self.body(line, "application/json"),
        }
        .into()
    }

    fn take_stderr(&mut self, bytes: &[u8]) -> Event {
        let text = String::from_utf8_lossy(bytes).into_owned();
        self.stderr_tail.push_str(&text);
        let surplus = self.stderr_tail.len().saturating_sub(STDERR_TAIL_BYTES_MAX);
        let cut =
            (surplus..=self.stderr_tail.len()).find(|at| self.stderr_tail.is_char_boundary(*at));
        self.stderr_tail.drain(..cut.unwrap_or(0));
        AgentErrorOutput {
            run: self.run,
            text: self.body(text, "text/plain"),
        }
        .into()
    }

    /// Returns a text in place when it is short, else kept as a blob; when that fails the text is
    /// cut, and says so.
    fn body(&self, text: String, media_type: &str) -> LineBody {
        if text.len() <= LINE_INLINE_BYTES_MAX {
            return LineBody::Inline(text);
        }
        match self.blobs.put(text.as_bytes(), media_type) {
            Ok(blob) => LineBody::Blob(blob),
            Err(error) => {
                let kept: String = text.chars().take(LINE_INLINE_BYTES_MAX / 8).collect();
                LineBody::Inline(format!("{kept}… (the rest is lost: {error})"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::event::RunEvent;

    fn lines(events: &[Event]) -> Vec<(u32, String)> {
        let line = |event: &Event| match event {
            Event::Run(RunEvent::AgentEventObserved(observed)) => match &observed.line {
                LineBody::Inline(line) => Some((observed.index, line.clone())),
                LineBody::Blob(blob) => Some((observed.index, format!("{} bytes", blob.bytes))),
            },
            _ => None,
        };
        events.iter().filter_map(line).collect()
    }

    #[test]
    fn lines_cut_anywhere_are_whole_again_and_long_ones_are_kept_outside() {
        let directory = tempfile::TempDir::new().unwrap();
        let blobs = Blobs::open(directory.path()).unwrap();
        let mut output = Output::new("00000000000a.1".parse().unwrap(), &blobs);
        let mut events = output.take(OutputChunk::Stdout(b"{\"type\":\"sys".to_vec()));
        events.extend(output.take(OutputChunk::Stdout(b"tem\"}\n\nsecond\nthi".to_vec())));
        events.extend(output.finish());
        let long = "x".repeat(LINE_INLINE_BYTES_MAX + 1);
        events.extend(output.take(OutputChunk::Stdout(format!("{long}\n").into_bytes())));
        let expected = ["{\"type\":\"system\"}", "second", "thi", "4097 bytes"];
        let expected: Vec<_> = (1..).zip(expected.map(str::to_owned)).collect();
        assert_eq!(lines(&events), expected);
        output.take(OutputChunk::Stderr(vec![b'e'; STDERR_TAIL_BYTES_MAX + 5]));
        assert_eq!(output.stderr_tail().len(), STDERR_TAIL_BYTES_MAX);
    }
}
