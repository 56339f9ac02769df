//! A conversation's directories (spec row CNV-02), and the files that come and go through them. What
//! an agent wrote is not trusted: only regular files are read, and no link is followed.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use crate::events::id::{ConversationId, RepoId, SessionId};
use crate::events::run::Mount;
use crate::handlers::channels::Attachment;
use crate::handlers::tasks::untrusted;
use crate::sandbox::cut::{first_bytes, first_chars};

/// Files taken from an outbox; the rest is named in the answer and left.
pub const OUTBOX_FILES_MAX: usize = 32;

/// Bytes taken from an outbox; files beyond are named in the answer and left.
pub const OUTBOX_BYTES_MAX: u64 = 25 * 1024 * 1024;

/// Entries of an outbox that are looked at; an outbox with more says so in the answer.
pub const OUTBOX_ENTRIES_MAX: usize = 1000;

/// Refused files that an answer names; the rest is counted.
pub const REFUSED_NAMES_MAX: usize = 20;

/// Characters of a refused file's name that an answer shows.
const REFUSED_NAME_CHARS_MAX: usize = 100;

/// Names that are tried for a file in the inbox; a message whose file finds none is refused.
pub const INBOX_NAMES_MAX: u32 = 1000;

/// Bytes of an attachment's name that are kept: with a number it fits what a disk takes.
const INBOX_NAME_BYTES_MAX: usize = 200;

/// Project directories of Claude Code that are looked through; a session beyond begins anew.
const PROJECTS_MAX: usize = 1000;

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
        let projects = self.root.join("claude/projects");
        // A link in their place would have us look elsewhere on the host.
        if session.0.contains('/') || !untrusted::is_directory(&projects) {
            return false;
        }
        let file = format!("{}.jsonl", session.0);
        let (projects, _) = untrusted::entries(&projects, PROJECTS_MAX);
        let mut projects = projects.iter().filter(|path| untrusted::is_directory(path));
        projects.any(|project| untrusted::is_file(&project.join(&file)))
    }

    /// Puts a file into the inbox and returns its name there: the same file again keeps its name,
    /// another file of that name gets a number (spec row EML-31).
    ///
    /// # Errors
    /// What the disk says, or that every name is taken.
    pub fn put_into_inbox(&self, attachment: &Attachment) -> std::io::Result<String> {
        let inbox = self.root.join("inbox");
        let name = plain_name(&attachment.name);
        for number in 0..INBOX_NAMES_MAX {
            let name = numbered(&name, number);
            let path = inbox.join(&name);
            if untrusted::has_content(&path, &attachment.bytes) {
                return Ok(name);
            }
            // The file gets its bytes where no agent can reach it, and its name only if it is free.
            if untrusted::put_new(&self.root, &path, &attachment.bytes)? {
                return Ok(name);
            }
        }
        Err(std::io::Error::other(format!(
            "the inbox has {INBOX_NAMES_MAX} files named like {name}; remove some"
        )))
    }

    /// Reads the regular files directly in the outbox, sorted by name (spec row EML-38).
    pub fn read_outbox(&self) -> OutboxContents {
        let outbox = self.root.join("outbox");
        let (paths, is_whole) = untrusted::entries(&outbox, OUTBOX_ENTRIES_MAX);
        let mut contents = OutboxContents::default();
        let mut room = OUTBOX_BYTES_MAX;
        for path in paths {
            take_from_outbox(&path, &mut contents, &mut room);
        }
        let unnamed = contents.refused.len().saturating_sub(REFUSED_NAMES_MAX);
        if unnamed > 0 {
            contents.refused.truncate(REFUSED_NAMES_MAX);
            contents.refused.push(format!("and {unnamed} more"));
        }
        if !is_whole {
            let rest = format!("and what is beyond {OUTBOX_ENTRIES_MAX} files");
            contents.refused.push(rest);
        }
        contents
    }

    /// Removes files from the outbox by name, and links instead of what they point to.
    pub fn clear_outbox(&self, names: &[String]) {
        for name in names.iter().filter(|name| !name.contains('/')) {
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
    if !untrusted::is_file(path) {
        return;
    }
    let name = path.file_name().unwrap_or_default();
    let read = match sendable_name(name) {
        Some(_) if contents.files.len() == OUTBOX_FILES_MAX => {
            Err(std::io::Error::other("too many files"))
        }
        Some(name) => untrusted::read_file(path, *room).map(|bytes| (name, bytes)),
        None => Err(std::io::Error::other("its name has odd characters")),
    };
    match read {
        Ok((name, bytes)) => {
            *room -= bytes.len() as u64;
            contents.files.push(Attachment {
                media_type: media_type(name).to_owned(),
                name: name.to_owned(),
                bytes,
            });
        }
        Err(error) => contents.refused.push(refusal(name, &error)),
    }
}

/// Returns a name under which the same file is found again, to be removed once it is sent.
fn sendable_name(name: &OsStr) -> Option<&str> {
    name.to_str()
        .filter(|name| !name.contains(char::is_control))
}

fn refusal(name: &OsStr, error: &std::io::Error) -> String {
    let shown = name.to_string_lossy().replace(char::is_control, "\u{fffd}");
    let name = first_chars(&shown, REFUSED_NAME_CHARS_MAX);
    format!("{name} ({error})")
}

/// Returns a name that is one of a file directly in a directory, whatever a mail calls it.
fn plain_name(name: &str) -> String {
    let odd = |c: char| c == '/' || c.is_control();
    let name = first_bytes(&name.replace(odd, "_"), INBOX_NAME_BYTES_MAX).to_owned();
    if matches!(name.as_str(), "" | "." | "..") {
        return "attachment".to_owned();
    }
    name
}

fn numbered(name: &str, number: u32) -> String {
    if number == 0 {
        return name.to_owned();
    }
    match name.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() => format!("{stem}-{number}.{extension}"),
        Some(_) | None => format!("{name}-{number}"),
    }
}

/// Returns the media type that a file's name suggests.
pub fn media_type(name: &str) -> &'static str {
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
        directories.clear_outbox(&["b.txt", "../inbox"].map(str::to_owned));
        assert!(!outbox.join("b.txt").exists() && directories.root().join("inbox").exists());
    }

    #[test]
    fn a_file_beyond_the_limit_is_named_and_left() {
        let (_state, directories) = directories();
        let path = directories.root().join("outbox/large.bin");
        fs::File::create(&path)
            .unwrap()
            .set_len(OUTBOX_BYTES_MAX + 1)
            .unwrap();
        let contents = directories.read_outbox();
        assert_eq!(contents.refused, ["large.bin (too large)"]);
        assert!(path.exists());
    }

    #[test]
    fn an_answer_names_few_of_many_refused_files() {
        let (_state, directories) = directories();
        let outbox = directories.root().join("outbox");
        for number in 0..OUTBOX_ENTRIES_MAX + 1 {
            fs::write(outbox.join(format!("{number:0>200}")), "").unwrap();
        }
        let contents = directories.read_outbox();
        assert_eq!(contents.files.len(), OUTBOX_FILES_MAX);
        assert_eq!(contents.refused.len(), REFUSED_NAMES_MAX + 2);
        assert_eq!(contents.refused[REFUSED_NAMES_MAX], "and 948 more");
        assert!(contents.refused.iter().all(|name| name.len() < 150));
    }

    #[test]
    fn attack_a_file_whose_name_is_not_found_again_is_not_sent_for_ever() {
        use std::os::unix::ffi::OsStrExt as _;
        let (_state, directories) = directories();
        let outbox = directories.root().join("outbox");
        fs::write(outbox.join(OsStr::from_bytes(b"a\xff")), "").unwrap();
        fs::write(outbox.join("b\nSubject: c"), "").unwrap();
        let contents = directories.read_outbox();
        assert_eq!(contents.files, []);
        let odd = |name| format!("{name} (its name has odd characters)");
        let expected = ["a\u{fffd}", "b\u{fffd}Subject: c"].map(odd);
        assert_eq!(contents.refused, expected);
    }

    #[test]
    fn attack_a_link_in_the_inbox_leads_no_byte_out_of_it() {
        let (state, directories) = directories();
        let inbox = directories.root().join("inbox");
        let victim = state.path().join("victim");
        fs::write(&victim, "the host's").unwrap();
        let planted = ["a.airut-new", "a.txt", "a-1.txt"].map(|name| inbox.join(name));
        for link in &planted {
            std::os::unix::fs::symlink(&victim, link).unwrap();
        }
        // A link to nowhere would have its target made.
        std::os::unix::fs::symlink(state.path().join("made"), inbox.join("a-2.txt")).unwrap();
        let name = directories.put_into_inbox(&file("a.txt", "mail")).unwrap();
        assert_eq!(name, "a-3.txt");
        assert_eq!(fs::read_to_string(inbox.join(name)).unwrap(), "mail");
        assert_eq!(fs::read_to_string(&victim).unwrap(), "the host's");
        assert!(!state.path().join("made").exists());
        assert!(planted.iter().all(|link| link.is_symlink()));
    }

    #[test]
    fn attack_pipes_in_inbox_and_outbox_hold_nobody_up() {
        let (_state, directories) = directories();
        let pipe = |path: PathBuf| {
            let mode = rustix::fs::Mode::from_raw_mode(0o666);
            rustix::fs::mkfifoat(rustix::fs::CWD, path, mode).unwrap();
        };
        for name in ["inbox/a.txt", "inbox/a.airut-new", "outbox/a.txt"] {
            pipe(directories.root().join(name));
        }
        let name = directories.put_into_inbox(&file("a.txt", "mail")).unwrap();
        assert_eq!(name, "a-1.txt");
        assert_eq!(directories.read_outbox(), OutboxContents::default());
    }

    #[test]
    fn attack_an_inbox_full_of_names_is_told_and_a_mail_names_no_path() {
        let (_state, directories) = directories();
        let inbox = directories.root().join("inbox");
        for number in 0..INBOX_NAMES_MAX {
            fs::create_dir(inbox.join(numbered("a", number))).unwrap();
        }
        let full = directories.put_into_inbox(&file("a", "mail")).unwrap_err();
        assert!(full.to_string().contains("named like a"), "{full}");
        let put = |name: &str| directories.put_into_inbox(&file(name, name)).unwrap();
        assert_eq!(put("../../x"), ".._.._x");
        assert_eq!(put(".."), "attachment");
        assert_eq!(put(&"é".repeat(300)).len(), INBOX_NAME_BYTES_MAX);
    }

    #[test]
    fn attack_a_link_in_the_place_of_sessions_leads_nowhere() {
        let (state, directories) = directories();
        let elsewhere = state.path().join("elsewhere/project");
        fs::create_dir_all(&elsewhere).unwrap();
        fs::write(elsewhere.join("5e55.jsonl"), "").unwrap();
        let projects = directories.root().join("claude/projects");
        std::os::unix::fs::symlink(state.path().join("elsewhere"), &projects).unwrap();
        let session = SessionId("5e55".to_owned());
        assert!(!directories.has_session(&session));
        fs::remove_file(&projects).unwrap();
        fs::create_dir(&projects).unwrap();
        std::os::unix::fs::symlink(&elsewhere, projects.join("project")).unwrap();
        assert!(!directories.has_session(&session));
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
