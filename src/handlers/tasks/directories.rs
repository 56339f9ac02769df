//! A conversation's directories (spec row CNV-02), and the files that come and go through them. What
//! an agent wrote is not trusted: only regular files are read, and no link is followed.

use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use crate::events::id::{ConversationId, RepoId, SessionId};
use crate::events::run::Mount;
use crate::handlers::channels::Attachment;

/// Files taken from an outbox; the rest is named in the answer and left.
pub const OUTBOX_FILES_MAX: usize = 32;

/// Bytes taken from an outbox; files beyond are named in the answer and left.
pub const OUTBOX_BYTES_MAX: u64 = 25 * 1024 * 1024;

/// Where a conversation lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directories {
    root: PathBuf,
}

/// What was found in an outbox.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OutboxContents {
    /// Files that go out.
    pub files: Vec<Attachment>,
    /// Names of files that do not, each with the reason.
    pub refused: Vec<String>,
}

impl Directories {
    /// Returns the directories of a conversation below the state directory.
    pub fn of(state_dir: &Path, repo: &RepoId, conversation: ConversationId) -> Self {
        let conversations = state_dir.join(&repo.0).join("conversations");
        Self {
            root: conversations.join(conversation.to_string()),
        }
    }

    /// Returns the conversation's own directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the workspace's directory; whoever clones makes it.
    pub fn workspace(&self) -> PathBuf {
        self.root.join("workspace")
    }

    /// Makes everything but the workspace.
    ///
    /// # Errors
    /// What the disk says.
    pub fn make(&self) -> std::io::Result<()> {
        for name in ["claude", "inbox", "outbox", "storage"] {
            fs::create_dir_all(self.root.join(name))?;
        }
        Ok(())
    }

    /// Returns what a container sees of them (spec row SBX-09), with the agent's program.
    pub fn mounts(&self, agent: &Path) -> Vec<Mount> {
        let own = [
            ("workspace", "/workspace"),
            ("inbox", "/inbox"),
            ("outbox", "/outbox"),
            ("storage", "/storage"),
            ("claude", "/root/.claude"),
        ];
        let own = own.map(|(name, target)| Mount {
            source: self.root.join(name).to_string_lossy().into_owned(),
            target: target.to_owned(),
            read_only: false,
        });
        let program = Mount {
            source: agent.to_string_lossy().into_owned(),
            target: "/opt/claude/claude".to_owned(),
            read_only: true,
        };
        own.into_iter().chain([program]).collect()
    }

    /// Returns whether Claude Code kept what it needs to resume a session.
    pub fn has_session(&self, session: &SessionId) -> bool {
        let file = format!("{}.jsonl", session.0);
        let projects = fs::read_dir(self.root.join("claude/projects"));
        let mut projects = projects.into_iter().flatten().flatten();
        !session.0.contains('/') && projects.any(|project| project.path().join(&file).is_file())
    }

    /// Puts a file into the inbox and returns its name there: the same file again keeps its name,
    /// another file of that name gets a number (spec row EML-31).
    ///
    /// # Errors
    /// What the disk says.
    pub fn put_into_inbox(&self, attachment: &Attachment) -> std::io::Result<String> {
        let inbox = self.root.join("inbox");
        for number in 0.. {
            let name = numbered(&attachment.name, number);
            let path = inbox.join(&name);
            match fs::symlink_metadata(&path) {
                Err(_) => {
                    write_new(&path, &attachment.bytes)?;
                    return Ok(name);
                }
                Ok(there) if there.is_file() && same_content(&path, &attachment.bytes) => {
                    return Ok(name);
                }
                Ok(_) => {}
            }
        }
        Ok(attachment.name.clone())
    }

    /// Reads the regular files directly in the outbox, sorted by name (spec row EML-38).
    pub fn read_outbox(&self) -> OutboxContents {
        let entries = fs::read_dir(self.root.join("outbox"));
        let mut paths: Vec<PathBuf> = entries
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path())
            .collect();
        paths.sort();
        let mut contents = OutboxContents::default();
        let mut room = OUTBOX_BYTES_MAX;
        for path in paths {
            take_from_outbox(&path, &mut contents, &mut room);
        }
        contents
    }

    /// Removes files from the outbox by name, and links whatever they point to.
    pub fn clear_outbox<'a>(&self, names: impl Iterator<Item = &'a str>) {
        for name in names.filter(|name| !name.contains('/')) {
            // A file that is gone is what was wanted.
            fs::remove_file(self.root.join("outbox").join(name)).ok();
        }
    }

    /// Replaces a file of the conversation's directory as a whole.
    ///
    /// # Errors
    /// What the disk says.
    pub fn replace(&self, name: &str, bytes: &[u8]) -> std::io::Result<()> {
        let new = self.root.join(format!("{name}.new"));
        fs::write(&new, bytes)?;
        fs::rename(new, self.root.join(name))
    }
}

fn take_from_outbox(path: &Path, contents: &mut OutboxContents, room: &mut u64) {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let is_file = fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_file());
    if !is_file {
        return;
    }
    if contents.files.len() == OUTBOX_FILES_MAX {
        contents.refused.push(format!("{name} (too many files)"));
        return;
    }
    match read_regular(path, *room) {
        Ok(bytes) => {
            *room -= bytes.len() as u64;
            contents.files.push(Attachment {
                media_type: media_type(&name).to_owned(),
                name: name.into_owned(),
                bytes,
            });
        }
        Err(error) => contents.refused.push(format!("{name} ({error})")),
    }
}

/// Reads a regular file of at most `bytes_max` bytes; a link that took its place is not followed.
fn read_regular(path: &Path, bytes_max: u64) -> std::io::Result<Vec<u8>> {
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let flags = i32::try_from(flags.bits()).unwrap_or(0);
    let file = File::options().read(true).custom_flags(flags).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(std::io::Error::other("not a regular file"));
    }
    let mut bytes = Vec::new();
    file.take(bytes_max + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > bytes_max {
        return Err(std::io::Error::other("too large"));
    }
    Ok(bytes)
}

fn write_new(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let new = path.with_extension("airut-new");
    fs::write(&new, bytes)?;
    fs::rename(new, path)
}

fn same_content(path: &Path, bytes: &[u8]) -> bool {
    read_regular(path, bytes.len() as u64).is_ok_and(|there| there == bytes)
}

fn numbered(name: &str, number: u32) -> String {
    let name = name.replace('/', "_");
    if number == 0 {
        return name;
    }
    match name.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() => format!("{stem}-{number}.{extension}"),
        Some(_) | None => format!("{name}-{number}"),
    }
}

/// Returns the media type that a file's name suggests.
fn media_type(name: &str) -> &'static str {
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    match extension.to_ascii_lowercase().as_str() {
        "txt" | "log" | "diff" | "patch" => "text/plain",
        "md" => "text/markdown",
        "html" | "htm" => "text/html",
        "csv" => "text/csv",
        "json" => "application/json",
        "pdf" => "application/pdf",
        "zip" => "application/zip",
        "gz" | "tgz" => "application/gzip",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "svg" => "image/svg+xml",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directories() -> (tempfile::TempDir, Directories) {
        let state = tempfile::TempDir::new().unwrap();
        let repo = RepoId("r".to_owned());
        let directories = Directories::of(state.path(), &repo, ConversationId(1));
        directories.make().unwrap();
        (state, directories)
    }

    fn file(name: &str, text: &str) -> Attachment {
        Attachment {
            name: name.to_owned(),
            media_type: "text/plain".to_owned(),
            bytes: text.as_bytes().to_vec(),
        }
    }

    #[test]
    fn a_second_file_of_the_same_name_gets_a_number_and_the_same_file_does_not() {
        let (_state, directories) = directories();
        let put = |text| directories.put_into_inbox(&file("a.txt", text)).unwrap();
        assert_eq!(["1", "2", "1"].map(put), ["a.txt", "a-1.txt", "a.txt"]);
    }

    #[test]
    fn an_outbox_gives_regular_files_only() {
        let (_state, directories) = directories();
        let outbox = directories.root().join("outbox");
        fs::write(outbox.join("b.txt"), "b").unwrap();
        fs::create_dir(outbox.join("directory")).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", outbox.join("link")).unwrap();
        let contents = directories.read_outbox();
        assert_eq!(contents.files, [file("b.txt", "b")]);
        assert_eq!(contents.refused, Vec::<String>::new());
        directories.clear_outbox(["b.txt", "../inbox"].into_iter());
        assert!(!outbox.join("b.txt").exists() && directories.root().join("inbox").exists());
    }

    #[test]
    fn a_file_beyond_the_limit_is_named_and_left() {
        let (_state, directories) = directories();
        let path = directories.root().join("outbox/large.bin");
        File::create(&path)
            .unwrap()
            .set_len(OUTBOX_BYTES_MAX + 1)
            .unwrap();
        let contents = directories.read_outbox();
        assert_eq!(contents.refused, ["large.bin (too large)"]);
        assert!(path.exists());
    }

    #[test]
    fn a_session_is_resumable_when_its_file_is_there() {
        let (_state, directories) = directories();
        let session = SessionId("5e55".to_owned());
        assert!(!directories.has_session(&session));
        let project = directories.root().join("claude/projects/-workspace");
        fs::create_dir_all(&project).unwrap();
        fs::write(project.join("5e55.jsonl"), "").unwrap();
        assert!(directories.has_session(&session));
    }
}
