//! HTML mail as Markdown: what the sender wrote stays, what they quoted is marked or left out (spec
//! rows EML-25 to EML-30). Pure.

use std::rc::Rc;

use htmd::element_handler::{HandlerResult, Handlers};
use htmd::{Element, HtmlToMarkdown};
use mail_parser::decoders::html::html_to_text;

mod quotes;

pub use quotes::QUOTE_REMOVED;

/// Most tags of a body that is read as a tree; the tags of a longer one are only taken out, for the
/// time it takes to make a tree grows with the square of them.
const TAGS_MAX: usize = 30_000;
/// Classes of what is quoted, with the line that says who wrote it: Gmail, Yahoo, Thunderbird, Proton.
const QUOTE_CLASSES: [&str; 4] = [
    "gmail_quote",
    "yahoo_quoted",
    "moz-cite-prefix",
    "protonmail_quote",
];
/// Deepest nesting of a body that is converted; the tags of a deeper one are only taken out, for
/// each level takes from the thread's stack, and a stack that is used up ends the service.
const DEPTH_MAX: usize = 200;

/// Converts a body; one that cannot be converted is returned as its text, without quote marks.
/// Quotes at the end are left out, but where `keeps_quotes`: what is forwarded looks like one.
pub fn to_markdown(html: &str, keeps_quotes: bool) -> String {
    let clean = quotes::without_marks(html);
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
        quotes::written(&converter.tree_to_markdown(&tree), keeps_quotes)
    } else {
        html_to_text(&clean)
    }
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
    if id == "divRplyFwdMsg" || is_head_of_outlook(&attribute("style")) {
        let head = handlers.walk_children(element.node).content;
        return Some(format!("{}{head}", quotes::all_after_is_quoted()).into());
    }
    let has_class = |name: &str| class.split_whitespace().any(|word| word == name);
    let is_quote = id == "mail-editor-reference-message-container"
        || QUOTE_CLASSES.into_iter().any(has_class)
        || (element.tag == "blockquote" && attribute("type").eq_ignore_ascii_case("cite"));
    if !is_quote {
        return handlers.fallback(element);
    }
    let content = handlers.walk_children(element.node).content;
    Some(quotes::marked(&content).into())
}

/// Outlook's desktop program names nothing: what it quotes begins below a line of its own colours.
fn is_head_of_outlook(style: &str) -> bool {
    let style = style.to_ascii_lowercase().replace(' ', "");
    ["#e1e1e1", "#b5c4df"]
        .into_iter()
        .any(|colour| style.contains(&format!("border:none;border-top:solid{colour}1.0pt")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_becomes_markdown_and_scripts_nothing() {
        let html = "<style>p{}</style><p>Do <b>this</b> with <code>x</code></p><script>a</script>";
        assert_eq!(to_markdown(html, false), "Do **this** with `x`");
    }

    #[test]
    fn a_quote_at_the_end_is_left_out() {
        let html = "<div>Yes.</div><div class=\"gmail_quote\">On Monday: <b>old</b></div>";
        assert_eq!(to_markdown(html, false), "Yes.\n\n[quoted text removed]");
        let outlook = "<p>Yes.</p><div id=\"divRplyFwdMsg\">From: x</div><p>old</p>";
        assert_eq!(to_markdown(outlook, false), "Yes.\n\n[quoted text removed]");
    }

    #[test]
    fn a_quote_that_is_answered_stays_as_a_quote() {
        let html = "<blockquote type=\"cite\">Which one?</blockquote><p>The first.</p>";
        assert_eq!(to_markdown(html, false), "> Which one?\n\nThe first.");
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
                let text = to_markdown(&html, false);
                assert!(text.contains("hello"), "{tag} {depth}: {text:.80}");
            }
        }
    }
}
