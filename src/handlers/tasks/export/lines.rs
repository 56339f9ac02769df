//! `events.jsonl`: the lines of every run of a conversation, a blank line between two runs. It grows
//! by what is new. How far it came stands beside it, so that a crash in between neither loses a
//! line nor doubles one.

use std::fs::File;
use std::io::{BufWriter, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::events::id::StreamVersion;
use crate::handlers::tasks::directories::Directories;

/// Bytes of the file; lines beyond are in the log alone.
pub(super) const LINES_BYTES_MAX: u64 = 256 * 1024 * 1024;

const NAME: &str = "events.jsonl";

/// Where it stands how far the file came.
const MARK: &str = "events.jsonl.mark";

/// How far the file came.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    /// The conversation's event up to which its runs are in the file.
    conversation_version: u64,
    /// Length of the file then.
    bytes: u64,
}

/// The file, open for what is new.
pub(super) struct LinesFile {
    file: BufWriter<File>,
    mark: Mark,
}

impl LinesFile {
    /// Opens the file where it was left; one that is not what its mark says is written anew.
    pub(super) fn open(directories: &Directories) -> std::io::Result<Self> {
        let root = directories.root();
        let path = root.join(NAME);
        let mark = read_mark(&root.join(MARK)).filter(|mark| length(&path) >= mark.bytes);
        let mark = mark.unwrap_or_default();
        let mut options = File::options();
        let options = options.create(true).write(true).truncate(false);
        let mut file = options.open(&path)?;
        file.set_len(mark.bytes)?;
        file.seek(SeekFrom::End(0))?;
        Ok(Self {
            file: BufWriter::new(file),
            mark,
        })
    }

    /// Returns whether the run that an event of the conversation began is in the file.
    pub(super) fn has(&self, version: StreamVersion) -> bool {
        version.0 <= self.mark.conversation_version
    }

    /// Begins a run.
    pub(super) fn begin_run(&mut self) -> std::io::Result<()> {
        if self.mark.bytes > 0 {
            self.write("\n")?;
        }
        Ok(())
    }

    /// Adds a line; one that has no room any more is left out.
    pub(super) fn add(&mut self, line: &str) -> std::io::Result<()> {
        if self.mark.bytes + line.len() as u64 >= LINES_BYTES_MAX {
            return Ok(());
        }
        self.write(line)?;
        self.write("\n")
    }

    fn write(&mut self, text: &str) -> std::io::Result<()> {
        self.mark.bytes += text.len() as u64;
        self.file.write_all(text.as_bytes())
    }

    /// Notes how far the file came.
    pub(super) fn finish(
        mut self,
        directories: &Directories,
        version: StreamVersion,
    ) -> std::io::Result<()> {
        self.file.flush()?;
        self.mark.conversation_version = self.mark.conversation_version.max(version.0);
        directories.replace(MARK, &serde_json::to_vec(&self.mark)?)
    }
}

fn read_mark(path: &PathBuf) -> Option<Mark> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

fn length(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |metadata| metadata.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::id::{ConversationId, RepoId};

    fn add(directories: &Directories, version: u64, lines: &[&str]) {
        let mut file = LinesFile::open(directories).unwrap();
        if !file.has(StreamVersion(version)) {
            file.begin_run().unwrap();
            for line in lines {
                file.add(line).unwrap();
            }
        }
        file.finish(directories, StreamVersion(version)).unwrap();
    }

    #[test]
    fn a_file_grows_by_what_is_new_and_a_crash_doubles_no_line() {
        let state = tempfile::TempDir::new().unwrap();
        let directories = Directories::of(state.path(), &RepoId("r".to_owned()), ConversationId(1));
        directories.make().unwrap();
        let read = || std::fs::read_to_string(directories.root().join(NAME)).unwrap();
        add(&directories, 2, &["a", "b"]);
        add(&directories, 2, &["never"]);
        assert_eq!(read(), "a\nb\n");
        // A crash: lines without their mark.
        std::fs::write(directories.root().join(NAME), "a\nb\n\nc\n").unwrap();
        add(&directories, 5, &["c", "d"]);
        assert_eq!(read(), "a\nb\n\nc\nd\n");
        // Somebody took lines away: everything is written anew.
        std::fs::write(directories.root().join(NAME), "a\n").unwrap();
        assert!(!LinesFile::open(&directories).unwrap().has(StreamVersion(1)));
    }

    #[test]
    fn a_file_that_is_full_takes_no_more() {
        let state = tempfile::TempDir::new().unwrap();
        let directories = Directories::of(state.path(), &RepoId("r".to_owned()), ConversationId(1));
        directories.make().unwrap();
        let mut file = LinesFile::open(&directories).unwrap();
        file.mark.bytes = LINES_BYTES_MAX - 4;
        file.add("long").unwrap();
        file.add("ok").unwrap();
        assert_eq!(file.mark.bytes, LINES_BYTES_MAX - 1);
    }
}
