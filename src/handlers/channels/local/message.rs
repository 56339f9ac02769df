//! The form in which a local message is kept, and how it is read: JSON with the identity that the
//! socket proved. Pure; it knows no socket.

use serde::{Deserialize, Serialize};

use crate::events::id::ConversationId;
use crate::events::message::{AuthenticationMethod, HintSource, RejectionReason, ReplyAddress};
use crate::handlers::channels::local::protocol::File;
use crate::handlers::channels::{Attachment, Triage, Triaged};

/// Media type of a kept local message.
pub const MEDIA_TYPE: &str = "application/vnd.airut.local+json";
/// Longest title made of a text's first line, in characters; the rest is cut.
pub const TITLE_CHARS_MAX: usize = 80;

/// A local message as it is kept in the log's bodies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalMessage {
    /// Version of this form.
    pub version: u32,
    /// The user the socket's other end runs as, `local:<name>`.
    pub identity: String,
    /// That user's number.
    pub uid: u32,
    /// The conversation it continues.
    pub conversation: Option<ConversationId>,
    /// The text, as Markdown.
    pub text: String,
    /// Its files.
    pub files: Vec<File>,
}

impl LocalMessage {
    /// Returns the first line, shortened.
    pub fn title(&self) -> String {
        let line = self
            .text
            .lines()
            .find(|line| !line.trim().is_empty())
            .unwrap_or_default();
        line.trim().chars().take(TITLE_CHARS_MAX).collect()
    }
}

/// Judges a kept local message. Whoever reaches the socket may use it: its file mode and the
/// check of the peer are the permission.
pub fn triage(raw: &[u8]) -> Triage {
    let message = match serde_json::from_slice::<LocalMessage>(raw) {
        Ok(message) => message,
        Err(error) => return unreadable(error.to_string()),
    };
    let subject = message.title();
    let attachments: Result<Vec<Attachment>, _> = message
        .files
        .into_iter()
        .map(Attachment::try_from)
        .collect();
    let mut attachments = match attachments {
        Ok(attachments) => attachments,
        Err(error) => return unreadable(error.to_string()),
    };
    make_names_safe(&mut attachments);
    Triage::Accepted(Box::new(Triaged {
        sender_name: String::new(),
        method: AuthenticationMethod::SocketPeer,
        identity: message.identity,
        evidence: format!("peer of the daemon's socket, uid {}", message.uid),
        rule: "local socket".to_owned(),
        body: message.text,
        subject,
        conversation_hint: message.conversation.map(|id| (id, HintSource::Explicit)),
        invites: vec![],
        model_hint: None,
        attachments,
        reply_to: ReplyAddress::Local,
    }))
}

fn unreadable(detail: String) -> Triage {
    Triage::Rejected {
        reason: RejectionReason::Unreadable,
        detail,
    }
}

/// Makes every name a plain file name, and no two the same.
pub fn make_names_safe(files: &mut [Attachment]) {
    let mut taken = Vec::with_capacity(files.len());
    for file in files {
        let name = distinct(&safe_name(&file.name), &taken);
        taken.push(name.clone());
        file.name = name;
    }
}

/// Longest file name, in bytes, that every file system takes; a longer one loses its middle.
const NAME_BYTES_MAX: usize = 200;

fn safe_name(name: &str) -> String {
    let base = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let kept: String = base
        .chars()
        .filter(|character| !character.is_control() && !turns_the_text(*character))
        .collect();
    let kept = kept.trim().trim_start_matches('.').to_owned();
    if kept.is_empty() {
        return "attachment".to_owned();
    }
    shortened(&kept)
}

/// Whether a character changes the direction of what follows, so that a name could show another
/// ending than it has.
fn turns_the_text(character: char) -> bool {
    matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Longest ending that a name keeps when it is shortened, in bytes, its dot included.
const ENDING_BYTES_MAX: usize = 20;

fn shortened(name: &str) -> String {
    if name.len() <= NAME_BYTES_MAX {
        return name.to_owned();
    }
    let ending = name.rfind('.').map(|dot| &name[dot..]).unwrap_or_default();
    let ending = Some(ending).filter(|ending| ending.len() <= ENDING_BYTES_MAX);
    let ending = ending.unwrap_or_default();
    let end = name.floor_char_boundary(NAME_BYTES_MAX - ending.len());
    format!("{}{ending}", &name[..end])
}

fn distinct(name: &str, taken: &[String]) -> String {
    let is_free = |candidate: &String| !taken.contains(candidate);
    let (stem, extension) = match name.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() => (stem, format!(".{extension}")),
        _ => (name, String::new()),
    };
    let numbered = (1..).map(|number| format!("{stem}-{number}{extension}"));
    let mut candidates = std::iter::once(name.to_owned()).chain(numbered);
    candidates.find(is_free).unwrap_or_else(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(given: &[&str]) -> Vec<String> {
        let file = |name: &&str| Attachment {
            name: (*name).to_owned(),
            media_type: String::new(),
            bytes: vec![],
        };
        let mut files: Vec<_> = given.iter().map(file).collect();
        make_names_safe(&mut files);
        files.into_iter().map(|file| file.name).collect()
    }

    #[test]
    fn names_are_plain_and_distinct() {
        let given = [
            "a.txt",
            "../../a.txt",
            "C:\\x\\a.txt",
            "..",
            "",
            ".ssh",
            "b\0\n",
            "a.txt",
        ];
        let safe = [
            "a.txt",
            "a-1.txt",
            "a-2.txt",
            "attachment",
            "attachment-1",
            "ssh",
            "b",
            "a-3.txt",
        ];
        assert_eq!(names(&given), safe);
    }

    #[test]
    fn a_long_name_keeps_its_ending_and_none_turns_the_text_round() {
        for length in [
            NAME_BYTES_MAX - 5,
            NAME_BYTES_MAX - 4,
            NAME_BYTES_MAX - 3,
            5_000,
        ] {
            let name = &names(&[&format!("{}.pdf", "x".repeat(length))])[0];
            assert!(
                name.len() <= NAME_BYTES_MAX && name.ends_with("x.pdf"),
                "{length}"
            );
        }
        assert!(names(&[&"ä".repeat(5_000)])[0].len() <= NAME_BYTES_MAX);
        assert_eq!(names(&["invoice\u{202e}fdp.exe"]), ["invoicefdp.exe"]);
    }

    #[test]
    fn a_local_message_is_accepted_with_the_socket_s_identity() {
        let message = LocalMessage {
            version: 1,
            identity: "local:alice".to_owned(),
            uid: 1000,
            conversation: None,
            text: "\nFix it\nplease".to_owned(),
            files: vec![],
        };
        let raw = serde_json::to_vec(&message).unwrap();
        let Triage::Accepted(triaged) = triage(&raw) else {
            panic!("it is accepted")
        };
        assert_eq!(
            (triaged.identity.as_str(), triaged.subject.as_str()),
            ("local:alice", "Fix it")
        );
    }

    #[test]
    fn noise_is_rejected() {
        let rejected = triage(b"\xff{");
        assert!(matches!(
            rejected,
            Triage::Rejected {
                reason: RejectionReason::Unreadable,
                ..
            }
        ));
    }
}
