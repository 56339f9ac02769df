//! Answers in Slack's markup, and divided.

use proptest::prelude::*;

use super::*;
use crate::handlers::channels::slack::mentions_out::{Candidates, Person};

#[track_caller]
fn check(markdown: &str, expected: &str) {
    let converted = of_markdown(markdown, &Names::default());
    assert_eq!(converted, expected, "{markdown}");
}

/// A sign that is shown as it is.
macro_rules! sign {
    ($sign:literal) => {
        concat!("<!date^00000000^{_}|", $sign, ">")
    };
}

#[test]
fn words_get_slack_s_signs() {
    check("**a** *b* ~~c~~ `d`", "*a* _b_ ~c~ `d`");
    check("# Head **strong**\n\ntext", "*Head strong*\n\ntext");
    check("a  \nb\nc", "a\nb\nc");
    check("`` a`b ``", concat!("a", sign!("`"), "b"));
    check("above\n\n---\n\nbelow", "above\n\n———\n\nbelow");
    check("> a\n> b\n\nc", "> a\n> b\n\nc");
}

#[test]
fn what_is_text_stays_text() {
    check(r"\*a\*", concat!(sign!("*"), "a", sign!("*")));
    check(
        r"\_a\_ \~b\~",
        concat!(
            sign!("_"),
            "a",
            sign!("_"),
            " ",
            sign!("~"),
            "b",
            sign!("~")
        ),
    );
    check(r"\`a\`", concat!(sign!("`"), "a", sign!("`")));
    check(r"\> a", concat!(sign!("&gt;"), " a"));
    check("a\\\n\\> b", concat!("a\n", sign!("&gt;"), " b"));
    check("a > b", "a &gt; b");
    check(
        r"snake_case 2\*3\*4 5 * 6 a~b",
        "snake_case 2*3*4 5 * 6 a~b",
    );
    check(r"**a\* b**", concat!("*a", sign!("*"), " b*"));
    check("\\*\n", sign!("*"));
}

#[test]
fn a_sign_works_within_a_word_and_not_beyond_its_line() {
    check("a**b**c", "a\u{200b}*b*\u{200b}c");
    check("a `b`s", "a `b`\u{200b}s");
    check("**a**\n\nb", "*a*\n\nb");
    check("**a\n*b*\nc** d", "*a*\n*_b_*\n*c* d");
    check("*a **b *c* d** e*", "_a *b c d* e_");
}

#[test]
fn a_link_s_words_have_no_signs_and_stand_on_one_line() {
    check("[**a**\n`b`](https://x.test)", "<https://x.test|a b>");
    check("**[a](https://x.test)**", "*<https://x.test|a>*");
    check("[](https://x.test)", "<https://x.test>");
}

#[test]
fn known_names_are_mentioned_outside_code_and_links_only() {
    let people = [Person {
        id: "U1".to_owned(),
        display_name: "alice".to_owned(),
        ..Person::default()
    }];
    let names = Names::of(&Candidates {
        people: people.into(),
        ..Candidates::default()
    });
    let check = |markdown: &str, expected: &str| {
        assert_eq!(of_markdown(markdown, &names), expected, "{markdown}");
    };
    check("Thanks, **@alice**!", "Thanks, *<@U1>*!");
    check("@alice @bob @here", "<@U1> @bob @here");
    check("a@alice.test `@alice`", "a@alice.test `@alice`");
    check("```\n@alice\n```", "```\n@alice\n```");
    check("[@alice](https://x.test)", "<https://x.test|@alice>");
    check("`` @alice` ``", concat!("@alice", sign!("`")));
    check("| a |\n|---|\n| @alice |", "```\na\n------\n@alice\n```");
}

#[test]
fn no_text_mentions_anybody() {
    check("<!here> & <@U123>", "&lt;!here&gt; &amp; &lt;@U123&gt;");
    check("`<!channel>`", "`&lt;!channel&gt;`");
    check("```\n<@U1>\n```", "```\n&lt;@U1&gt;\n```");
    check(
        "[<!here>](https://x.test)",
        "<https://x.test|&lt;!here&gt;>",
    );
    check(
        "[a](<https://x.test/|<!here>>)",
        "[a](&lt;https://x.test/|&lt;!here&gt;&gt;)",
    );
    check("[a](<!here>)", "a");
}

#[test]
fn links_lead_to_the_web_or_a_mailbox_or_are_their_text() {
    check(
        "[a & b](https://x.test/?a=1&b=2)",
        "<https://x.test/?a=1&amp;b=2|a &amp; b>",
    );
    check("![pic](https://x.test/p|q)", "<https://x.test/p%7Cq|pic>");
    check(
        "[a](javascript:x) <a@x.test>",
        "a <mailto:a@x.test|a@x.test>",
    );
}

#[test]
fn lists_keep_their_numbers_and_depth() {
    check("3. a\n4. b", "3. a\n4. b");
    check("- a\n  - b\n    c\n- d", "• a\n    • b\n        c\n• d");
    check("- [x] a\n- [ ] b\n\nend", "• ☑ a\n• ☐ b\n\nend");
}

#[test]
fn code_loses_its_language_and_cannot_end_its_block() {
    check("```rust\nfn a() {}\n```", "```\nfn a() {}\n```");
    check("````\n```\n````", "```\n`\u{200b}``\n```");
}

#[test]
fn a_table_stands_in_columns_as_wide_as_they_are_shown() {
    check(
        "| a | b |\n|---|--:|\n| 日本 | 1 |\n| `<x>` | 22 |",
        "```\na    |  b\n-----|---\n日本 |  1\n&lt;x&gt;  | 22\n```",
    );
}

#[test]
fn a_text_up_to_the_limit_is_one_message() {
    let lengths = |count: usize| {
        let pieces = split(&"é".repeat(count), TEXT_CHARS_MAX);
        pieces
            .iter()
            .map(|piece| piece.chars().count())
            .collect::<Vec<_>>()
    };
    assert_eq!(lengths(TEXT_CHARS_MAX - 1), [TEXT_CHARS_MAX - 1]);
    assert_eq!(lengths(TEXT_CHARS_MAX), [TEXT_CHARS_MAX]);
    assert_eq!(lengths(TEXT_CHARS_MAX + 1).len(), 2);
}

#[test]
fn a_block_of_code_that_is_divided_is_closed_and_opened_again() {
    let text = format!("```\n{}```\nend", "a line of code\n".repeat(6));
    let pieces = split(&text, 64);
    assert!(pieces.len() > 1);
    for piece in &pieces {
        assert_eq!(piece.matches(FENCE).count() % 2, 0, "{piece}");
    }
}

fn letters(text: &str) -> String {
    text.replace(FENCE, "").split_whitespace().collect()
}

proptest! {
    #[test]
    fn no_sign_of_a_text_can_open_anything(text in "[ab *_~`>.(\n]{0,40}") {
        let shown = plain(&text, Before::Line, &Names::default());
        let mut read = shown.clone();
        for sign in ["*", "_", "~", "`", "&gt;"] {
            read = read.replace(&format!("<!date^00000000^{{_}}|{sign}>"), "\u{fffc}");
        }
        prop_assert!(!read.contains('`') && !read.contains('<'), "{shown}");
        for line in read.lines() {
            prop_assert!(!line.starts_with("&gt;"), "{shown}");
            let chars: Vec<char> = line.chars().collect();
            for (at, _) in chars.iter().enumerate().filter(|(_, c)| "*_~".contains(**c)) {
                let is_after_word = at > 0 && chars[at - 1].is_alphanumeric();
                let is_before_space = chars.get(at + 1).is_none_or(|c| *c == ' ');
                prop_assert!(is_after_word || is_before_space, "{shown}");
            }
        }
        prop_assert_eq!(read.chars().count() - read.matches("&gt;").count() * 3, text.chars().count());
    }

    #[test]
    fn nothing_is_lost_and_every_piece_fits(
        lines in prop::collection::vec("[a-zé&<>` *]{0,150}|```", 0..40),
        max in 64_usize..400,
    ) {
        let text = of_markdown(&lines.join("\n"), &Names::default());
        let pieces = split(&text, max);
        for piece in &pieces {
            prop_assert!(piece.chars().count() <= max, "{} of {max}", piece.chars().count());
        }
        prop_assert_eq!(letters(&pieces.concat()), letters(&text));
    }
}
