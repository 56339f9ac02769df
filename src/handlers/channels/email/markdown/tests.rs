use super::*;

/// What stands in the body, without the styles.
fn plain(markdown: &str) -> String {
    let html = to_html(markdown);
    let (_, body) = html.split_once("<body").unwrap();
    let (_, body) = body.split_once(">\n").unwrap();
    let (body, _) = body.rsplit_once("</body>").unwrap();
    let mut kept = String::new();
    for (index, part) in body.split(" style=\"").enumerate() {
        let part = if index == 0 {
            part
        } else {
            part.split_once('"').unwrap().1
        };
        kept.push_str(part);
    }
    kept.trim_end().to_owned()
}

#[track_caller]
fn check(markdown: &str, expected: &str) {
    assert_eq!(plain(markdown), expected, "{markdown}");
}

#[test]
fn everything_an_answer_is_made_of_becomes_html() {
    check(
        "a **b** *c* ~~d~~ `e<f`",
        "<p>a <strong>b</strong> <em>c</em> <s>d</s> <code>e&lt;f</code></p>",
    );
    check(
        "## Two\nline one\nline two",
        "<h2>Two</h2>\n<p>line one<br>\nline two</p>",
    );
    check(
        "```rust\nlet a = \"<b>\";\n```",
        "<pre><code>let a = &quot;&lt;b&gt;&quot;;\n</code></pre>",
    );
    check(
        "> said\n\nanswered",
        "<blockquote>\n<p>said</p>\n</blockquote>\n<p>answered</p>",
    );
    check("---", "<hr>");
    check(
        "3. three\n4. four\n   - [x] done\n   - [ ] open",
        "<ol start=\"3\">\n<li>three</li>\n<li>four<ul>\n<li>&#9745; done</li>\n<li>&#9744; \
         open</li>\n</ul>\n</li>\n</ol>",
    );
    check(
        "|a|b|\n|---|--:|\n|1 \\| x|2|\n|only|",
        "<table cellpadding=\"6\" cellspacing=\"0\">\n<tr><th align=\"left\" valign=\"top\">a</th>\
         <th align=\"right\" valign=\"top\">b</th></tr>\n<tr><td align=\"left\" valign=\"top\">1 | \
         x</td><td align=\"right\" valign=\"top\">2</td></tr>\n<tr><td align=\"left\" \
         valign=\"top\">only</td><td align=\"right\" valign=\"top\"></td></tr>\n</table>",
    );
}

#[test]
fn html_in_the_text_is_shown_and_not_obeyed() {
    check(
        "a <script>x</script>",
        "<p>a &lt;script&gt;x&lt;/script&gt;</p>",
    );
    let html = to_html("<img src=y>\n\n<table>\n\n![pic](http://t.test/p) \"quoted\" <td>");
    for tag in ["<img", "<table", "<td"] {
        assert!(!html.contains(tag), "{html}");
    }
    assert!(
        html.contains("<a href=\"http://t.test/p\">pic</a>"),
        "{html}"
    );
}

#[test]
fn only_links_to_the_web_and_to_mailboxes_are_links() {
    for url in [
        "javascript:alert(1)",
        "JavaScript:alert(1)",
        "data:text/html,x",
        "file:///etc/passwd",
        "vbscript:x",
        "src/main.rs",
        "//evil.test/x",
    ] {
        for markdown in [format!("see [this]({url})"), format!("see ![this]({url})")] {
            check(&markdown, "<p>see this</p>");
        }
    }
    for (markdown, link) in [
        ("[a](https://x.test)", "<a href=\"https://x.test\">a</a>"),
        ("<a@x.test>", "<a href=\"mailto:a@x.test\">a@x.test</a>"),
        ("[a](MAILTO:a@x.test)", "<a href=\"MAILTO:a@x.test\">a</a>"),
        (
            "[![pic](http://x.test/p)](https://x.test)",
            "<a href=\"https://x.test\">pic</a>",
        ),
        (
            "[a](https://x.test/?a=1&b=\"2\")",
            "<a href=\"https://x.test/?a=1&amp;b=&quot;2&quot;\">a</a>",
        ),
    ] {
        check(markdown, &format!("<p>{link}</p>"));
    }
}

#[test]
fn a_bare_address_of_the_web_becomes_a_link() {
    for (text, url) in [
        ("see https://x.test/a?b=1.", "https://x.test/a?b=1"),
        ("(http://x.test/a_(b))", "http://x.test/a_(b)"),
        ("https://x.test, then", "https://x.test"),
        ("https://x.test/ä", "https://x.test/ä"),
    ] {
        let html = plain(text);
        assert!(
            html.contains(&format!("<a href=\"{url}\">{url}</a>")),
            "{html}"
        );
    }
    for text in [
        "http",
        "https://",
        "xhttps://x.test",
        "`https://x.test`",
        "https:// x",
    ] {
        assert!(!plain(text).contains("<a "), "{text}");
    }
}

#[test]
fn lists_in_lists_have_an_end() {
    let tags = |depth: usize| to_html(&">".repeat(depth)).matches("<blockquote").count();
    assert_eq!(tags(DEPTH_MAX - 1), DEPTH_MAX - 1);
    assert_eq!(tags(DEPTH_MAX), DEPTH_MAX);
    assert_eq!(tags(DEPTH_MAX + 1), DEPTH_MAX);
}

#[test]
fn a_text_whose_html_would_be_too_long_is_shown_as_it_is() {
    // Each character becomes five.
    let fits = "&".repeat(HTML_BYTES_MAX / 5 - 100);
    assert!(to_html(&fits).contains("<p "));
    let over = "&".repeat(HTML_BYTES_MAX / 5 + 1);
    let html = to_html(&over);
    assert!(
        !html.contains("<p ") && html.contains("<pre "),
        "{}",
        html.len()
    );
}

#[test]
fn no_style_fixes_a_colour_of_text_or_paper() {
    let html = to_html("# a\n\n`b`\n\n|c|\n|-|\n|d|\n\n> e");
    assert!(
        !html.contains(";color:") && !html.contains("\"color:"),
        "{html}"
    );
    assert!(
        html.contains("name=\"color-scheme\" content=\"light dark\""),
        "{html}"
    );
}

proptest::proptest! {
    #[test]
    fn any_text_gives_html_whose_tags_are_ours_and_balanced(text in "[a-c<>/&*_`|#\n \\-\\[\\]()!\"1.~]{0,200}") {
        let html = plain(&text);
        let mut open: Vec<&str> = vec![];
        for tag in html.split('<').skip(1) {
            let (tag, _) = tag.split_once('>').expect("a tag ends");
            let name = tag.split(' ').next().unwrap();
            match name.strip_prefix('/') {
                Some(name) => proptest::prop_assert_eq!(open.pop(), Some(name)),
                None if name == "br" || name == "hr" => {}
                None => open.push(name),
            }
        }
        proptest::prop_assert!(open.is_empty(), "{:?}", open);
    }
}

#[test]
fn a_list_has_room_for_the_digits_of_its_last_number() {
    let check = |markdown: &str, rooms: &[&str]| {
        let html = to_html(markdown);
        let found: Vec<&str> = html
            .split("padding:0 0 0 ")
            .skip(1)
            .map(|rest| rest.split_once("px").unwrap().0)
            .collect();
        assert_eq!(found, rooms, "{html}");
    };
    check("1. one\n", &["24"]);
    check("9. nine\n", &["24"]);
    check("9. nine\n10. ten\n", &["32"]);
    check("9998. a\n9999. b\n", &["48"]);
    check("9999. a\n10000. b\n", &["56"]);
    check(
        "999. a\n     - x\n     - y\n1000. b\n      1. c\n",
        &["48", "24", "24"],
    );
    check("999999999. longest\n", &["88"]);
    check("- point\n", &["24"]);
}

#[test]
fn a_list_too_deep_to_be_one_leaves_its_words_as_they_are() {
    let long = "ä".repeat(60);
    for deep in ["1. ".repeat(13), format!("{}1. ", "> ".repeat(24))] {
        let html = to_html(&format!("{deep}x{long} 24px"));
        assert!(html.contains(&format!("x{long} 24px")), "{html}");
    }
}
