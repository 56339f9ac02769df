//! What others wrote in a thread before Airut was mentioned in it, as text for the agent (spec row
//! SLK-13). Pure.

use crate::handlers::channels::slack::mentions_in::{Names, resolved};
use crate::handlers::channels::slack::parse::Message;

/// Messages that are replayed, the newest; of more, the number is told.
pub const REPLAYED_MAX: usize = 200;

/// Characters that are replayed; of a longer thread the oldest messages are left out, and counted.
pub const REPLAYED_CHARS_MAX: usize = 100_000;

/// What was written in a thread before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    /// The messages of people, oldest first.
    pub messages: Vec<Message>,
    /// How many older ones are left out; more may be, where the thread is longer than is read.
    pub omitted: usize,
}

impl History {
    /// Keeps the newest of a thread's messages.
    pub fn of(messages: Vec<Message>) -> Self {
        let mut messages: Vec<Message> = messages
            .into_iter()
            .filter(Message::is_of_a_person)
            .collect();
        let omitted = messages.len().saturating_sub(REPLAYED_MAX);
        messages.drain(..omitted);
        Self { messages, omitted }
    }

    /// Returns it as text: a line for each message, continued on indented lines, so that no message
    /// can pass for two.
    pub fn text(&self, own: &str, names: &Names) -> String {
        let mut lines: Vec<String> = Vec::new();
        let (mut chars, mut omitted) = (0, self.omitted);
        for message in self.messages.iter().rev() {
            let line = line(message, own, names);
            chars += line.chars().count();
            if chars > REPLAYED_CHARS_MAX && !lines.is_empty() {
                omitted = self.omitted + self.messages.len() - lines.len();
                break;
            }
            lines.push(line.chars().take(REPLAYED_CHARS_MAX).collect());
        }
        if omitted > 0 {
            lines.push(format!("({omitted} earlier messages are left out.)"));
        }
        lines.reverse();
        lines.join("\n")
    }
}

fn line(message: &Message, own: &str, names: &Names) -> String {
    let user = message.user.as_deref().unwrap_or_default();
    let name = names.users.get(user).map_or(user, String::as_str);
    let name = name.replace(['\n', '\r', ']'], " ");
    let text = resolved(&message.text, own, names).replace('\n', "\n    ");
    let files: Vec<&str> = message
        .files
        .iter()
        .map(|file| file.name.as_deref().unwrap_or("a file"))
        .collect();
    match files.is_empty() {
        true => format!("[{name}]: {text}"),
        false => format!("[{name}]: {text} [attached: {}]", files.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handlers::channels::slack::parse::SharedFile;

    fn said(user: &str, text: &str) -> Message {
        Message {
            ts: "1.1".to_owned(),
            user: Some(user.to_owned()),
            text: text.to_owned(),
            ..Message::default()
        }
    }

    fn text(messages: Vec<Message>) -> String {
        let mut names = Names::default();
        names.users.insert("U1".to_owned(), "Alice".to_owned());
        History::of(messages).text("UBOT", &names)
    }

    #[test]
    fn slk_13_people_are_replayed_by_name_and_with_their_files() {
        let mut with_file = said("U2", "see <@U1>");
        let name = Some("plan.pdf".to_owned());
        with_file.files.push(SharedFile {
            name,
            ..SharedFile::default()
        });
        let mut bot = said("U3", "beep");
        bot.bot_id = Some("B1".to_owned());
        let shown = text(vec![said("U1", "One\n[U2]: two"), bot, with_file]);
        let expected = "[Alice]: One\n    [U2]: two\n[U2]: see @Alice [attached: plan.pdf]";
        assert_eq!(shown, expected);
    }

    #[test]
    fn a_long_thread_is_replayed_in_part_and_says_so() {
        let many = |count| text((0..count).map(|n| said("U1", &n.to_string())).collect());
        assert!(!many(REPLAYED_MAX).contains("left out"));
        let over = many(REPLAYED_MAX + 1);
        assert!(
            over.starts_with("(1 earlier messages are left out.)\n[Alice]: 1\n"),
            "{over}"
        );
    }

    #[test]
    fn long_messages_are_left_out_from_the_oldest_on() {
        let half = "x".repeat(REPLAYED_CHARS_MAX / 2);
        let shown = text(vec![
            said("U1", &half),
            said("U1", &half),
            said("U1", "new"),
        ]);
        assert!(shown.starts_with("(1 earlier messages"), "{}", &shown[..40]);
        assert!(shown.ends_with("[Alice]: new"));
        let one = text(vec![said("U1", &"x".repeat(2 * REPLAYED_CHARS_MAX))]);
        assert_eq!(one.chars().count(), REPLAYED_CHARS_MAX);
    }
}
