//! How Slack keeps a text: what would be markup and is none is escaped, mentions and links stay.

/// Returns a text as it comes back from Slack: a bare `&`, and every `<` and `>` that is no part of
/// a link or mention, come back as entities; entities come back as they were sent.
pub(crate) fn stored(text: &str) -> String {
    let mut stored = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['&', '<', '>']) {
        let (before, special) = rest.split_at(at);
        stored.push_str(before);
        let kept = kept_whole(special);
        if kept > 0 {
            stored.push_str(&special[..kept]);
            rest = &special[kept..];
            continue;
        }
        stored.push_str(match special.as_bytes()[0] {
            b'&' => "&amp;",
            b'<' => "&lt;",
            _ => "&gt;",
        });
        rest = &special[1..];
    }
    stored.push_str(rest);
    stored
}

/// Returns the length of the entity, mention or link that begins here; 0 if none does. A `>` at the
/// beginning of a line is a quotation and stays too, as an entity: Slack sends it so.
fn kept_whole(special: &str) -> usize {
    for entity in ["&amp;", "&lt;", "&gt;"] {
        if special.starts_with(entity) {
            return entity.len();
        }
    }
    let Some(within) = special.strip_prefix('<') else {
        return 0;
    };
    let Some(end) = within.find('>') else {
        return 0;
    };
    let within = &within[..end];
    let target = within.split('|').next().unwrap_or_default();
    let is_link = [
        "@", "#C", "#G", "!", "http://", "https://", "mailto:", "tel:", "slack://",
    ]
    .iter()
    .any(|start| target.starts_with(start));
    let is_one_line = !within.contains(['<', '\n']);
    if is_link && is_one_line { end + 2 } else { 0 }
}

/// Returns whether a text mentions a user.
pub(crate) fn mentions(text: &str, user: &str) -> bool {
    text.contains(&format!("<@{user}>")) || text.contains(&format!("<@{user}|"))
}
