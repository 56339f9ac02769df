use super::*;

#[track_caller]
fn check(markdown: &str, expected: &str) {
    assert_eq!(to_mrkdwn(markdown), expected, "{markdown}");
}

#[test]
fn everything_an_answer_is_made_of_becomes_mrkdwn() {
    check("a **b** *c* ~~d~~ `e<f`", "a *b* _c_ ~d~ `e&lt;f`");
    check(
        "## Two **three**\nline one\nline two",
        "*Two three*\n\nline one\nline two",
    );
    check("one\n\ntwo\n\n---\n\nthree", "one\n\ntwo\n\n———\n\nthree");
    check(
        "see\n\n```rust\nlet a = b < c;\n\nd\n```\nend",
        "see\n\n```\nlet a = b &lt; c;\n\nd\n```\n\nend",
    );
    check("> said\n> more\n\nanswered", "> said\n> more\n\nanswered");
    check("a\n\n> one\n>\n> two\n\nb", "a\n\n> one\n> two\n\nb");
    check(
        "Do:\n\n- one\n- two\n  1. sub\n  2. [x] done\n- [ ] open",
        "Do:\n\n• one\n• two\n    1. sub\n    2. ☑ done\n• ☐ open",
    );
    check("7. seven\n8. eight\n\nend", "7. seven\n8. eight\n\nend");
}

#[test]
fn links_lead_to_the_web_and_to_mailboxes_only() {
    check(
        "[a](https://x.test/?a=1&b=2)",
        "<https://x.test/?a=1&amp;b=2|a>",
    );
    check("[a|b](https://x.test)", "<https://x.test|a¦b>");
    check("<https://x.test>", "<https://x.test>");
    check("<a@x.test>", "<mailto:a@x.test>");
    check("![pic](https://x.test/p.png)", "<https://x.test/p.png|pic>");
    check(
        "[![pic](http://x.test/p)](https://x.test)",
        "<https://x.test|pic>",
    );
    check("[here](src/main.rs) [b](javascript:x)", "here b");
}

#[test]
fn no_text_becomes_a_mention_or_a_link_of_its_own() {
    check(
        "<@U123> <!channel> &amp; <#C1>",
        "&lt;@U123&gt; &lt;!channel&gt; &amp; &lt;#C1&gt;",
    );
    check("`<!here>`", "`&lt;!here&gt;`");
    check("```\n<!everyone>\n```", "```\n&lt;!everyone&gt;\n```");
    check(
        "[<!here>](https://x.test)",
        "<https://x.test|&lt;!here&gt;>",
    );
    check(
        "|<!here>|\n|-|\n|<@U1>|",
        "```\n&lt;!here&gt;\n-------\n&lt;@U1&gt;\n```",
    );
}

#[test]
fn a_table_is_aligned_as_it_looks() {
    check(
        "| name | **n** |\n|---|--:|\n| 日本 | 1 |\n| a `b` | 22 |",
        "```\nname | n\n-----|---\n日本 | 1\na b  | 22\n```",
    );
}

#[test]
fn a_fence_within_code_does_not_end_it() {
    let text = to_mrkdwn("````\na\n```\nb\n````");
    assert_eq!(text.matches(FENCE).count(), 2, "{text}");
}

proptest::proptest! {
    #[test]
    fn angle_brackets_are_links_of_ours_alone(text in "[a-c<>@!#&*_`|\n \\-\\[\\]()\"1.:/h~]{0,200}") {
        let mrkdwn = to_mrkdwn(&text);
        for part in mrkdwn.split('<').skip(1) {
            let is_ours = ["http://", "https://", "mailto:"].iter().any(|scheme| part.starts_with(scheme));
            proptest::prop_assert!(is_ours, "{}", mrkdwn);
        }
    }
}
