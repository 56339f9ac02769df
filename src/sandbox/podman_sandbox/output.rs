//! What an agent writes, as events: each line of its stream, each piece of its error output. Lines
//! that arrive together are recorded together.

use std::sync::Arc;

use crate::events::Event;
use crate::events::blobs::Blobs;
use crate::events::id::RunId;
use crate::events::run::{AgentErrorOutput, AgentEventObserved, LINE_INLINE_BYTES_MAX, LineBody};
use crate::events::seal::Owner;
use crate::sandbox::agent::Transcript;
use crate::sandbox::cut::last_bytes;
use crate::sandbox::podman::OutputChunk;
use crate::sandbox::port::{OUTPUT_BYTES_MAX, OUTPUT_LINES_MAX};

/// Longest line of an agent's stream, in bytes; a longer one is cut there and goes on as another.
pub(super) const LINE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Longest end of standard error that is kept, in bytes; what came before is dropped.
pub(super) const STDERR_TAIL_BYTES_MAX: usize = 16 * 1024;

/// The output of one run so far. Long lines are written to the disk: use it on a thread that may
/// wait.
#[derive(Debug)]
pub(super) struct Output {
    run: RunId,
    blobs: Arc<Blobs>,
    unfinished: Vec<u8>,
    index: u32,
    transcript: Transcript,
    stderr_tail: String,
    lines: u64,
    bytes: u64,
}

impl Output {
    pub(super) fn new(run: RunId, blobs: Arc<Blobs>) -> Self {
        Self {
            run,
            blobs,
            unfinished: Vec::new(),
            index: 0,
            transcript: Transcript::default(),
            stderr_tail: String::new(),
            lines: 0,
            bytes: 0,
        }
    }

    /// Returns what bytes say as events; nothing once it is more than a run may write.
    pub(super) fn take(&mut self, chunk: OutputChunk) -> Vec<Event> {
        let (OutputChunk::Stdout(bytes) | OutputChunk::Stderr(bytes)) = &chunk;
        self.bytes = self.bytes.saturating_add(bytes.len() as u64);
        if self.is_flood() {
            self.unfinished = Vec::new();
            return Vec::new();
        }
        match chunk {
            OutputChunk::Stdout(bytes) => self.take_stdout(&bytes),
            OutputChunk::Stderr(bytes) => vec![self.take_stderr(&bytes)],
        }
    }

    /// Returns whether it is more than a run may write.
    pub(super) fn is_flood(&self) -> bool {
        self.lines > OUTPUT_LINES_MAX || self.bytes > OUTPUT_BYTES_MAX
    }

    /// Returns the last line when it has no end.
    pub(super) fn finish(&mut self) -> Option<Event> {
        let rest = std::mem::take(&mut self.unfinished);
        (!rest.is_empty()).then(|| self.line(&rest))
    }

    pub(super) fn stderr_tail(&self) -> &str {
        &self.stderr_tail
    }

    fn take_stdout(&mut self, bytes: &[u8]) -> Vec<Event> {
        // Only what is new is searched: the unfinished line has no end, else it would be finished.
        let mut rest = bytes;
        let mut events = Vec::new();
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let mut line = std::mem::take(&mut self.unfinished);
            line.extend(&rest[..end]);
            rest = &rest[end + 1..];
            let line = line.trim_ascii_end();
            if !line.is_empty() {
                events.push(self.line(line));
            }
            if self.is_flood() {
                return events;
            }
        }
        self.unfinished.extend(rest);
        if self.unfinished.len() > LINE_BYTES_MAX {
            events.extend(self.finish());
        }
        events
    }

    fn line(&mut self, bytes: &[u8]) -> Event {
        let line = String::from_utf8_lossy(bytes).into_owned();
        let facts = self.transcript.observe(&line);
        self.lines += 1;
        self.index = self.index.saturating_add(1);
        AgentEventObserved {
            run: self.run,
            index: self.index,
            event_type: facts.event_type,
            subtype: facts.subtype,
            session: facts.session,
            line: self.body(line, "application/json"),
        }
        .into()
    }

    fn take_stderr(&mut self, bytes: &[u8]) -> Event {
        let text = String::from_utf8_lossy(bytes).into_owned();
        self.stderr_tail.push_str(&text);
        if self.stderr_tail.len() > STDERR_TAIL_BYTES_MAX {
            let tail = last_bytes(&self.stderr_tail, STDERR_TAIL_BYTES_MAX).to_owned();
            self.stderr_tail = tail;
        }
        self.lines += 1;
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
        match self
            .blobs
            .put(Owner::Task(self.run.task), text.as_bytes(), media_type)
        {
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

    fn output(directory: &tempfile::TempDir) -> Output {
        let blobs = Blobs::open(&directory.path().join("blobs")).unwrap();
        Output::new("00000000000a.1".parse().unwrap(), Arc::new(blobs))
    }

    #[test]
    fn attack_a_flood_of_lines_or_bytes_becomes_no_flood_of_events() {
        let directory = tempfile::TempDir::new().unwrap();
        let many = OutputChunk::Stdout(b"x\n".repeat(1000));
        let errors = OutputChunk::Stderr(b"e".to_vec());
        let large = OutputChunk::Stderr(vec![b'e'; 1024 * 1024]);
        for (chunk, chunks) in [(many, 300), (errors, 300_000), (large, 300)] {
            let mut output = output(&directory);
            let events: u64 = (0..chunks)
                .map(|_| output.take(chunk.clone()).len() as u64)
                .sum();
            assert!(output.is_flood());
            assert!(events <= OUTPUT_LINES_MAX + 1, "{events}");
            assert!(events >= 256 && output.finish().is_none());
        }
    }

    #[test]
    fn a_line_without_an_end_is_cut_and_goes_on() {
        let directory = tempfile::TempDir::new().unwrap();
        let mut output = output(&directory);
        let chunk = OutputChunk::Stdout(vec![b'x'; 32 * 1024]);
        let chunks = LINE_BYTES_MAX / (32 * 1024) + 2;
        let events: Vec<Event> = (0..chunks)
            .flat_map(|_| output.take(chunk.clone()))
            .collect();
        assert_eq!(events.len(), 1);
        assert!(output.finish().is_some());
    }

    #[test]
    fn lines_cut_anywhere_are_whole_again_and_long_ones_are_kept_outside() {
        let directory = tempfile::TempDir::new().unwrap();
        let mut output = output(&directory);
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
