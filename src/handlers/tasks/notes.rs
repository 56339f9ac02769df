//! What stands above or below an answer without being the agent's words: what the sender must know of
//! the conversation, and of files that are not there. Pure.

use crate::events::id::ConversationId;

/// Stands above an answer to somebody who named a conversation of others. It names no id, so that
/// whoever guesses one learns nothing but that it is taken.
pub const OF_OTHERS: &str = "*Your message continues a conversation that you are not part of, so a new \
     one was begun for you: nothing of the other is known here. Whoever began that one can add you \
     by writing to it with your address in Cc.*";

/// Stands above an answer in a conversation that began because an earlier one was erased.
pub fn begins_anew(forgotten: ConversationId) -> String {
    format!(
        "*The earlier conversation {forgotten} was erased, so a new one was begun: nothing of what \
         was said or done before is known here.*"
    )
}

/// Stands below an answer whose agent was cut off by a restart of the service and ran again (gap 3).
pub const RESTARTED: &str = "*The service restarted while your message was being worked on. The agent \
     was told, and went on from where it was cut off.*";

/// Stands above an answer that tells of a failure of a schedule's task: nobody wrote the message that
/// such an answer speaks of. `due` is the time in UTC.
pub fn scheduled_failed(name: &str, due: &str) -> String {
    format!(
        "*The scheduled task \"{name}\", due at {due} UTC, failed as said below. It comes again when it \
         is due next. An answer to this mail goes on here before that.*"
    )
}

/// Stands below an answer some of whose files could not be read (spec row EML-38).
pub fn could_not_attach(names: &[String]) -> String {
    let noun = if names.len() == 1 { "file" } else { "files" };
    format!(
        "Could not attach {} {noun}: {}",
        names.len(),
        names.join(", ")
    )
}
