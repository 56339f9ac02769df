//! The division of a text into messages: at ends of lines where it can be, with blocks of code closed
//! and opened again. Pure; nothing is lost.

use super::FENCE;

/// Characters of one message; Slack cuts a longer text off (`chat.postMessage`, `text`).
pub const TEXT_CHARS_MAX: usize = 40_000;

/// Characters that opening a block of code again takes, and closing it.
const FENCE_CHARS: usize = 4;

/// Divides a text into pieces of at most `max` characters, at least 64.
pub fn split(text: &str, max: usize) -> Vec<String> {
    let max = max.max(64);
    if text.chars().count() <= max {
        return vec![text.to_owned()];
    }
    let mut pieces = Vec::new();
    let mut piece = String::new();
    let mut chars = 0;
    let mut in_code = false;
    let lines = text.split_inclusive('\n');
    for line in lines.flat_map(|line| cut(line, max - FENCE_CHARS * 2)) {
        let length = line.chars().count();
        if chars + length + FENCE_CHARS > max {
            if in_code {
                close(&mut piece);
            }
            pieces.push(std::mem::take(&mut piece));
            if in_code {
                piece = format!("{FENCE}\n");
            }
            chars = piece.len();
        }
        piece.push_str(line);
        chars += length;
        in_code ^= line.matches(FENCE).count() % 2 == 1;
    }
    pieces.push(piece);
    pieces
}

fn close(piece: &mut String) {
    if !piece.ends_with('\n') {
        piece.push('\n');
    }
    piece.push_str(FENCE);
}

/// Cuts a line that is longer than a message, at a space where there is one.
fn cut(line: &str, max: usize) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = line;
    while let Some((end, _)) = rest.char_indices().nth(max) {
        let (part, after) = rest.split_at(border(&rest[..end]));
        parts.push(part);
        rest = after;
    }
    parts.push(rest);
    parts
}

/// Returns where a part may end: after its last space, or before what would be torn.
fn border(part: &str) -> usize {
    if let Some(space) = part.rfind(' ').filter(|space| *space > part.len() / 2) {
        return space + 1;
    }
    let torn = ['&', '<', '`'].into_iter().filter_map(|opens| {
        let at = part.rfind(opens)?;
        let is_closed = match opens {
            '&' => part[at..].contains(';') || part.len() - at > "&amp;".len(),
            '<' => part[at..].contains('>'),
            _ => part.len() - at > FENCE.len(),
        };
        (!is_closed && at > 0).then_some(at)
    });
    torn.min().unwrap_or(part.len())
}
