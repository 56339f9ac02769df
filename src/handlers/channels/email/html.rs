//! HTML mail as Markdown: what the sender wrote stays, what they quoted is marked or left out (spec
//! rows EML-25 to EML-30). Pure.

use std::rc::Rc;

use htmd::element_handler::{HandlerResult, Handlers};
use htmd::{Element, HtmlToMarkdown};
use mail_parser::decoders::html::html_to_text;

/// Marks in the converted text; characters that no mail means anything by.
const QUOTE_START: char = '\u{F0000}';
const QUOTE_END: char = '\u{F0001}';
const ALL_AFTER_IS_QUOTED: char = '\u{F0002}';
/// Most tags of a body that is read as a tree; the tags of a longer one are only taken out, for the
/// time it takes to make a tree grows with the square of them.
const TAGS_MAX: usize = 30_000;
/// Deepest nesting of a body that is converted; the tags of a deeper one are only taken out, for
/// each level takes from the thread's stack, and a stack that is used up ends the service.
const DEPTH_MAX: usize = 200;
/// What stands in place of a quote that nothing follows.
pub const QUOTE_REMOVED: &str = "[quoted text removed]";

/// Converts a body; one that cannot be converted is returned as its text, without quote marks.
pub fn to_markdown(html: &str) -> String {
    let clean: String = html
        .chars()
        .filter(|character| !is_mark(*character))
        .collect();
    if clean.matches('<').count() > TAGS_MAX {
        return html_to_text(&clean);
    }
    let converter = HtmlToMarkdown::builder()
        .skip_tags(vec!["script", "style", "head", "title"])
        .add_handler(vec!["div", "blockquote", "span", "hr"], quote_handler)
        .build();
    let Ok(tree) = converter.html_to_tree(&clean) else {
        return html_to_text(&clean);
    };
    let mut level = vec![Rc::clone(&tree)];
    for _ in 0..DEPTH_MAX {
        let children = level.iter().flat_map(|node| node.children.borrow().clone());
        level = children.collect();
    }
    if level.is_empty() {
        with_quotes(&converter.tree_to_markdown(&tree))
    } else {
        html_to_text(&clean)
    }
}

fn is_mark(character: char) -> bool {
    matches!(character, QUOTE_START | QUOTE_END | ALL_AFTER_IS_QUOTED)
}

fn quote_handler(handlers: &dyn Handlers, element: Element<'_>) -> Option<HandlerResult> {
    let attribute = |name: &str| {
        let mut attributes = element.attrs.iter();
        let found = attributes.find(|attribute| &*attribute.name.local == name);
        found
            .map(|attribute| attribute.value.to_string())
            .unwrap_or_default()
    };
    let (id, class) = (attribute("id"), attribute("class"));
    if id == "divRplyFwdMsg" {
        return Some(ALL_AFTER_IS_QUOTED.to_string().into());
    }
    let has_class = |name: &str| class.split_whitespace().any(|word| word == name);
    let is_quote = id == "mail-editor-reference-message-container"
        || ["gmail_quote", "yahoo_quoted", "moz-cite-prefix"]
            .into_iter()
            .any(has_class)
        || (element.tag == "blockquote" && attribute("type").eq_ignore_ascii_case("cite"));
    if !is_quote {
        return handlers.fallback(element);
    }
    let content = handlers.walk_children(element.node).content;
    let inner: String = content
        .chars()
        .filter(|character| !is_mark(*character))
        .collect();
    Some(format!("\n\n{QUOTE_START}{}{QUOTE_END}\n\n", inner.trim()).into())
}

/// Writes quotes that new text follows as quotes, and leaves those at the end out.
fn with_quotes(marked: &str) -> String {
    let (written, tail_is_quoted) = match marked.split_once(ALL_AFTER_IS_QUOTED) {
        Some((written, _)) => (written, true),
        None => (marked, false),
    };
    let mut text = String::with_capacity(written.len());
    let mut waiting = String::new();
    let mut rest = written;
    while let Some((before, after)) = rest.split_once(QUOTE_START) {
        add_text(&mut text, &mut waiting, before);
        let (quoted, after) = after.split_once(QUOTE_END).unwrap_or((after, ""));
        waiting.push_str(quoted);
        waiting.push('\n');
        rest = after;
    }
    add_text(&mut text, &mut waiting, rest);
    let mut text = text.trim().to_owned();
    if tail_is_quoted || !waiting.trim().is_empty() {
        text = format!("{text}\n\n{QUOTE_REMOVED}").trim().to_owned();
    }
    text
}

/// Adds what the sender wrote; a quote that waited for it is now one that is answered.
fn add_text(text: &mut String, waiting: &mut String, written: &str) {
    if written.trim().is_empty() {
        return;
    }
    for line in waiting.trim().lines() {
        text.push_str("> ");
        text.push_str(line);
        text.push('\n');
    }
    if !waiting.is_empty() {
        text.push('\n');
    }
    waiting.clear();
    text.push_str(written.trim());
    text.push_str("\n\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_becomes_markdown_and_scripts_nothing() {
        let html = "<style>p{}</style><p>Do <b>this</b> with <code>x</code></p><script>a</script>";
        assert_eq!(to_markdown(html), "Do **this** with `x`");
    }

    #[test]
    fn a_quote_at_the_end_is_left_out() {
        let html = "<div>Yes.</div><div class=\"gmail_quote\">On Monday: <b>old</b></div>";
        assert_eq!(to_markdown(html), "Yes.\n\n[quoted text removed]");
        let outlook = "<p>Yes.</p><div id=\"divRplyFwdMsg\">From: x</div><p>old</p>";
        assert_eq!(to_markdown(outlook), "Yes.\n\n[quoted text removed]");
    }

    #[test]
    fn a_quote_that_is_answered_stays_as_a_quote() {
        let html = "<blockquote type=\"cite\">Which one?</blockquote><p>The first.</p>";
        assert_eq!(to_markdown(html), "> Which one?\n\nThe first.");
    }

    #[test]
    fn deep_or_endless_markup_is_read_as_text() {
        for tag in [
            "div",
            "blockquote",
            "b",
            "x",
            "ul><li",
            "table><tr><td",
            "select",
            "span",
        ] {
            for depth in [40, 150, 250, 100_000] {
                let html = format!("{}<p>hello", format!("<{tag}>").repeat(depth));
                let text = to_markdown(&html);
                assert!(text.contains("hello"), "{tag} {depth}: {text:.80}");
            }
        }
    }
}
