//! A long answer in several messages (spec row SLK-21). Pure.

use crate::handlers::channels::slack::mrkdwn::FENCE;

/// Longest text of one message, in characters (Slack API, `chat.postMessage`); a longer one is posted
/// in pieces.
pub const MESSAGE_CHARS_MAX: usize = 40_000;

/// Most pieces of an answer; a longer one is uploaded as a file.
pub const PIECES_MAX: usize = 5;

/// Splits a text into pieces of at most `chars_max` characters, between paragraphs where that leaves
/// at least half of a piece, else between lines, else anywhere but within a link or an escape. A block
/// of code that is cut is closed in one piece and opened again in the next.
pub fn split(text: &str, chars_max: usize) -> Vec<String> {
    // Room for the two fences and what stands beside them.
    let room = chars_max.saturating_sub(2 * (FENCE.len() + 1)).max(1);
    let (mut pieces, mut rest, mut in_code) = (Vec::new(), text, false);
    loop {
        let opened = if in_code {
            format!("{FENCE}\n")
        } else {
            String::new()
        };
        let fits = opened.chars().count() + rest.chars().count() <= chars_max;
        if fits {
            if !rest.is_empty() {
                pieces.push(format!("{opened}{rest}"));
            }
            return pieces;
        }
        let end = cut(rest, room);
        let head = &rest[..end];
        rest = rest[end..].trim_start_matches('\n');
        let fences = head
            .lines()
            .filter(|line| line.trim_start_matches("> ").starts_with(FENCE));
        in_code ^= fences.count() % 2 == 1;
        let head = head.trim_end_matches('\n');
        let closed = if in_code {
            format!("\n{FENCE}")
        } else {
            String::new()
        };
        pieces.push(format!("{opened}{head}{closed}"));
    }
}

/// Returns where a piece of at most `room` characters ends.
fn cut(text: &str, room: usize) -> usize {
    let limit = text
        .char_indices()
        .nth(room)
        .map_or(text.len(), |(end, _)| end);
    let head = &text[..limit];
    let borders = [head.rfind("\n\n"), head.rfind('\n')];
    let far_enough = |end: &usize| *end >= limit / 2;
    if let Some(end) = borders.into_iter().flatten().find(far_enough) {
        return end;
    }
    // Within a link or an escape neither half would mean what it says.
    let unfinished = |open: char, close: char| {
        let start = head.rfind(open)?;
        (!head[start..].contains(close) && start > 0).then_some(start)
    };
    let starts = [unfinished('<', '>'), unfinished('&', ';')];
    starts
        .into_iter()
        .flatten()
        .filter(far_enough)
        .min()
        .unwrap_or(limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_at_the_limit_is_one_piece_and_one_above_is_two() {
        for (length, expected) in [(99, 1), (100, 1), (101, 2)] {
            assert_eq!(split(&"ä".repeat(length), 100).len(), expected, "{length}");
        }
        assert!(split("", 100).is_empty());
    }

    #[test]
    fn a_text_is_cut_between_paragraphs_then_between_lines() {
        let text = format!(
            "{}\n\n{}\n{}",
            "a".repeat(30),
            "b".repeat(20),
            "c".repeat(20)
        );
        let expected = [
            "a".repeat(30),
            format!("{}\n{}", "b".repeat(20), "c".repeat(20)),
        ];
        assert_eq!(split(&text, 60), expected);
    }

    #[test]
    fn code_that_is_cut_is_closed_and_opened_again() {
        let text = format!("```\n{}\n{}\n```\nend", "a".repeat(30), "b".repeat(30));
        let pieces = split(&text, 50);
        let expected = [
            format!("```\n{}\n```", "a".repeat(30)),
            format!("```\n{}\n```\nend", "b".repeat(30)),
        ];
        assert_eq!(pieces, expected);
    }

    #[test]
    fn neither_a_link_nor_an_escape_is_cut() {
        let text = format!("{}<https://x.test/{}|name>", "a".repeat(40), "b".repeat(30));
        assert_eq!(split(&text, 60)[0], "a".repeat(40));
        let text = format!("{}&amp;{}", "a".repeat(50), "b".repeat(30));
        assert_eq!(split(&text, 60)[0], "a".repeat(50));
    }

    proptest::proptest! {
        #[test]
        fn nothing_is_lost_and_every_piece_fits(text in "[a-c \n`ä]{0,400}", chars_max in 20..90_usize) {
            let pieces = split(&text, chars_max);
            for piece in &pieces {
                proptest::prop_assert!(piece.chars().count() <= chars_max, "{:?}", piece);
            }
            let letters = |text: &str| text.chars().filter(|c| !"\n`".contains(*c)).collect::<String>();
            proptest::prop_assert_eq!(letters(&pieces.concat()), letters(&text));
        }
    }
}
