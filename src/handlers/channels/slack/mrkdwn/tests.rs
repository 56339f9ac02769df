//! Answers in Slack's markup, and divided.

use proptest::prelude::*;

use super::*;

#[track_caller]
fn check(markdown: &str, expected: &str) {
    assert_eq!(of_markdown(markdown), expected, "{markdown}");
}

#[test]
fn words_get_slack_s_signs() {
    check("**a** *b* ~~c~~ `d`", "*a* _b_ ~c~ `d`");
    check("# Head **strong**\n\ntext", "*Head strong*\n\ntext");
    check("a  \nb\nc", "a\nb\nc");
    check("`` a`b ``", "a`b");
    check("above\n\n---\n\nbelow", "above\n\n———\n\nbelow");
    check("> a\n> b\n\nc", "> a\n> b\n\nc");
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
    fn nothing_is_lost_and_every_piece_fits(
        lines in prop::collection::vec("[a-zé&<>` *]{0,150}|```", 0..40),
        max in 64_usize..400,
    ) {
        let text = of_markdown(&lines.join("\n"));
        let pieces = split(&text, max);
        for piece in &pieces {
            prop_assert!(piece.chars().count() <= max, "{} of {max}", piece.chars().count());
        }
        prop_assert_eq!(letters(&pieces.concat()), letters(&text));
    }
}
