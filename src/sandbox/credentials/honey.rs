//! The honey surrogate of a conversation: a value in the agent's environment that stands for no
//! credential. Nobody is told of it, so that only somebody who goes through the environment finds it.
//! Pure: it follows from a key that never leaves the daemon, and is stored nowhere.

use crate::events::id::ConversationId;
use crate::sandbox::credentials::{fingerprint, surrogate};

/// Names under which it may stand, the first that nothing else has. They look like worth taking, and
/// no program reads them of its own accord: `GITHUB_TOKEN` would be used by innocent ones.
const NAMES: [&str; 4] = [
    "RELEASE_DEPLOY_TOKEN",
    "PROD_DEPLOY_TOKEN",
    "BACKUP_DEPLOY_TOKEN",
    "INTERNAL_DEPLOY_TOKEN",
];

/// Characters of the value after its prefix, as GitHub's tokens have them.
const CHARACTERS: usize = 36;

/// Returns name and value for a conversation, the same for all its runs; nothing when every name is
/// taken by a configured secret.
pub fn of(
    conversation: ConversationId,
    key: &[u8; 32],
    is_taken: impl Fn(&str) -> bool,
) -> Option<(String, String)> {
    let name = NAMES.into_iter().find(|name| !is_taken(name))?;
    let mut stream = Stream {
        conversation,
        key,
        block: 0,
        left: vec![],
    };
    let rest = surrogate::alphanumeric(CHARACTERS, &mut |bytes| stream.fill(bytes));
    Some((name.to_owned(), format!("ghp_{rest}")))
}

/// Bytes that follow from key and conversation.
struct Stream<'a> {
    conversation: ConversationId,
    key: &'a [u8; 32],
    block: u64,
    left: Vec<u8>,
}

impl Stream<'_> {
    fn fill(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            if self.left.is_empty() {
                let (conversation, block) = (self.conversation, self.block);
                let text = format!("honey surrogate of {conversation}, block {block}");
                self.left = fingerprint(self.key, &text).0.to_vec();
                self.block += 1;
            }
            *byte = self.left.pop().unwrap_or_default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conversation_keeps_its_honey_surrogate_and_shares_it_with_none() {
        let of = |conversation, key| of(ConversationId(conversation), &[key; 32], |_| false);
        let (name, value) = of(1, 7).unwrap();
        assert_eq!(of(1, 7), Some((name.clone(), value.clone())));
        assert!(of(2, 7).unwrap().1 != value && of(1, 8).unwrap().1 != value);
        assert_eq!((name.as_str(), value.len()), ("RELEASE_DEPLOY_TOKEN", 40));
        assert!(value.starts_with("ghp_"));
    }

    #[test]
    fn a_configured_secret_keeps_its_name() {
        let with = |taken: &[&str]| {
            let honey = of(ConversationId(1), &[7; 32], |name| taken.contains(&name));
            honey.map(|(name, _)| name)
        };
        assert_eq!(with(&NAMES[..1]).as_deref(), Some(NAMES[1]));
        assert_eq!(with(&NAMES[..3]).as_deref(), Some(NAMES[3]));
        assert_eq!(with(&NAMES), None);
    }
}
