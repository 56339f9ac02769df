//! Which conversation a mail continues, and which model it asks for (spec rows EML-18 and EML-23).
//! Pure; whether that conversation exists is not known here.

use crate::events::id::ConversationId;
use crate::events::message::HintSource;
use crate::handlers::channels::email::headers::{Headers, message_ids};

/// Finds the conversation: `In-Reply-To` first, then `References` from the newest, then the
/// subject's tag.
pub fn conversation_hint(headers: &Headers, subject: &str) -> Option<(ConversationId, HintSource)> {
    let in_ids = |name: &'static str| {
        let ids = headers.first(name).map(message_ids).unwrap_or_default();
        ids.iter().rev().find_map(|id| of_message_id(id))
    };
    let hint = |id: Option<ConversationId>, source| id.map(|id| (id, source));
    hint(in_ids("in-reply-to"), HintSource::InReplyTo)
        .or_else(|| hint(in_ids("references"), HintSource::References))
        .or_else(|| hint(of_subject(subject), HintSource::SubjectTag))
}

/// Reads `<airut.1f2e3d4c.1700000000.0a1b2c3d@example.test>`.
fn of_message_id(id: &str) -> Option<ConversationId> {
    let rest = id.strip_prefix("<airut.")?;
    let (conversation, rest) = rest.split_once('.')?;
    let (unique, _) = rest.split_once('@')?;
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
    let valid = !unique.is_empty() && unique.chars().all(is_word);
    valid.then(|| conversation.parse().ok()).flatten()
}

/// Reads `[ID:1f2e3d4c]`.
fn of_subject(subject: &str) -> Option<ConversationId> {
    let mut tags = subject.split("[ID:").skip(1);
    tags.find_map(|rest| rest.split_once(']')?.0.parse().ok())
}

/// Longest name of a model; a longer one is none.
const MODEL_BYTES_MAX: usize = 64;

/// Reads the model out of `airut+sonnet@example.test` in `To`.
pub fn model_hint(headers: &Headers) -> Option<String> {
    let to = headers.first("to")?;
    let address = match to.split_once('<') {
        Some((_, rest)) => rest.split('>').next().unwrap_or_default(),
        None => to.split(',').next().unwrap_or_default(),
    };
    let (local, _) = address.trim().split_once('@')?;
    let (_, hint) = local.split_once('+')?;
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let fits = (1..=MODEL_BYTES_MAX).contains(&hint.len());
    let valid = fits && hint.chars().all(is_name);
    valid.then(|| hint.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(head: &str, subject: &str, expected: Option<(u32, HintSource)>) {
        let hint = conversation_hint(&Headers::of(head.as_bytes()), subject);
        let expected = expected.map(|(id, source)| (ConversationId(id), source));
        assert_eq!(hint, expected, "{head} {subject}");
    }

    #[test]
    fn the_conversation_is_found_in_order_of_trust() {
        let ours = "<airut.0000000a.17.ab@x>";
        let older = "<airut.0000000b.17.ab@x>";
        let tag = "Re: [ID:0000000c] Fix";
        let both = format!("In-Reply-To: {ours}\nReferences: {older}\n");
        check(&both, tag, Some((10, HintSource::InReplyTo)));
        let references = format!("In-Reply-To: <a@b>\nReferences: {older} {ours} <c@d>\n");
        check(&references, tag, Some((10, HintSource::References)));
        check("", tag, Some((12, HintSource::SubjectTag)));
        check("", "[ID:xyz] [ID:0000000C] hello", None);
    }

    #[test]
    fn the_model_is_the_plus_part_of_the_recipient() {
        let hint = |to: &str| model_hint(&Headers::of(format!("To: {to}\n").as_bytes()));
        assert_eq!(hint("Airut <bot+Sonnet@x.test>").as_deref(), Some("sonnet"));
        assert_eq!(hint("bot+opus@x.test, b+c@d").as_deref(), Some("opus"));
        assert_eq!(hint("bot@x.test"), None);
        assert_eq!(hint("bot+a;b@x.test"), None);
    }
}
