//! What the app must be allowed in its workspace, and what for: each method that is called with the
//! scopes that Slack wants for it, and each event that is listened to (spec row SLK-02). The manifest
//! `config/slack-app-manifest.json` asks for exactly this, which `tests/slack/manifest.rs` holds it to.
//! Pure.

/// A method of the Web API, and the scopes that all its uses together want
/// (<https://docs.slack.dev/reference/methods>).
pub const METHODS: &[(&str, &[&str])] = &[
    ("assistant.threads.setStatus", &["chat:write"]),
    (
        "assistant.threads.setSuggestedPrompts",
        &["assistant:write"],
    ),
    ("assistant.threads.setTitle", &["assistant:write"]),
    ("auth.test", &[]),
    ("bots.info", &["users:read"]),
    ("chat.postMessage", &["chat:write"]),
    ("chat.update", &["chat:write"]),
    (
        "conversations.history",
        &["channels:history", "groups:history", "im:history"],
    ),
    ("conversations.info", &["channels:read", "groups:read"]),
    (
        "conversations.replies",
        &["channels:history", "groups:history", "im:history"],
    ),
    ("files.completeUploadExternal", &["files:write"]),
    ("files.getUploadURLExternal", &["files:write"]),
    ("reactions.add", &["reactions:write"]),
    ("reactions.remove", &["reactions:write"]),
    ("usergroups.list", &["usergroups:read"]),
    ("usergroups.users.list", &["usergroups:read"]),
    ("users.info", &["users:read"]),
];

/// Methods that are called with the app-level token, and its scope.
pub const METHODS_OF_THE_APP: &[(&str, &str)] = &[("apps.connections.open", "connections:write")];

/// What is done without a method of its own, in words, and its scope.
const BESIDE_METHODS: &[(&str, &str)] = &[("fetching files that people share", "files:read")];

/// An event that the app is subscribed to, and the scope without which Slack does not send it
/// (<https://docs.slack.dev/reference/events>).
pub const EVENTS: &[(&str, &str)] = &[
    ("app_mention", "app_mentions:read"),
    ("assistant_thread_context_changed", "assistant:write"),
    ("assistant_thread_started", "assistant:write"),
    ("message.channels", "channels:history"),
    ("message.groups", "groups:history"),
    ("message.im", "im:history"),
];

/// A scope of the bot token, and what it is needed for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// Its name.
    pub scope: &'static str,
    /// Methods, events and other uses, in words.
    pub uses: Vec<String>,
}

/// Returns all scopes that the bot token needs, sorted by name.
pub fn needs() -> Vec<Need> {
    let methods = METHODS
        .iter()
        .flat_map(|(method, scopes)| scopes.iter().map(|scope| (*scope, (*method).to_owned())));
    let beside = BESIDE_METHODS
        .iter()
        .map(|(words, scope)| (*scope, (*words).to_owned()));
    let events = EVENTS
        .iter()
        .map(|(event, scope)| (*scope, format!("the event {event}")));
    let mut needs = std::collections::BTreeMap::<&'static str, Vec<String>>::new();
    for (scope, purpose) in methods.chain(beside).chain(events) {
        needs.entry(scope).or_default().push(purpose);
    }
    let needs = needs.into_iter();
    needs.map(|(scope, uses)| Need { scope, uses }).collect()
}

/// Returns the needs that a token with these scopes does not meet.
pub fn missing(granted: &[String]) -> Vec<Need> {
    let mut needs = needs();
    needs.retain(|need| !granted.iter().any(|granted| granted == need.scope));
    needs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_scope_is_named_with_all_that_fails_without_it() {
        let all: Vec<String> = needs().iter().map(|need| need.scope.to_owned()).collect();
        assert!(missing(&all).is_empty());
        let without: Vec<String> = all.into_iter().filter(|s| s != "groups:history").collect();
        let [need] = missing(&without).try_into().unwrap();
        assert_eq!(need.scope, "groups:history");
        let uses = [
            "conversations.history",
            "conversations.replies",
            "the event message.groups",
        ];
        assert_eq!(need.uses, uses);
    }

    #[test]
    fn the_tables_are_sorted_and_name_each_thing_once() {
        assert!(METHODS.windows(2).all(|pair| pair[0].0 < pair[1].0));
        assert!(EVENTS.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }
}
