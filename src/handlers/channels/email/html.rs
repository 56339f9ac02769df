//! HTML mail as Markdown: what the sender wrote stays, what they quoted is marked or left out (spec
//! rows EML-25 to EML-30). Pure.

use std::rc::Rc;

use htmd::element_handler::{HandlerResult, Handlers};
use htmd::{Element, HtmlToMarkdown};
use mail_parser::decoders::html::html_to_text;

mod quotes;
mod tables;

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
/// What mail programs write for a second space; in code that is copied out of a mail it is an error.
const NO_BREAK_SPACE: char = '\u{A0}';
/// Where a word may be broken; nobody sees them.
const UNSEEN: [char; 2] = ['\u{AD}', '\u{200B}'];
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
        .add_handler(
            vec!["table"],
            |handlers: &dyn Handlers, element: Element<'_>| {
                Some(HandlerResult::from(table(handlers, &element)))
            },
        )
        .add_handler(
            vec!["tr", "td", "th"],
            |handlers: &dyn Handlers, element: Element<'_>| {
                Some(HandlerResult::from(row_or_cell(handlers, &element)))
            },
        )
        .add_handler(
            vec!["s", "strike", "del", "sup"],
            |handlers: &dyn Handlers, element: Element<'_>| {
                Some(HandlerResult::from(meant(handlers, &element)))
            },
        )
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
        let markdown = converter
            .tree_to_markdown(&tree)
            .replace(NO_BREAK_SPACE, " ");
        quotes::written(&markdown.replace(UNSEEN, ""), keeps_quotes)
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
        return Some(format!("{}{head}\n\n", quotes::all_after_is_quoted()).into());
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

fn table(handlers: &dyn Handlers, element: &Element<'_>) -> String {
    tables::written(&handlers.walk_children(element.node).content)
}

fn row_or_cell(handlers: &dyn Handlers, element: &Element<'_>) -> String {
    let content = handlers.walk_children(element.node).content;
    if element.tag == "tr" {
        tables::row(&content)
    } else {
        tables::cell(&content)
    }
}

/// Keeps what changes the meaning of a text: that it is struck out, that it is an exponent.
fn meant(handlers: &dyn Handlers, element: &Element<'_>) -> String {
    let content = handlers.walk_children(element.node).content;
    let (content, is_power) = (content.trim(), element.tag == "sup");
    match (content.is_empty(), is_power) {
        (true, _) => String::new(),
        (false, true) => format!("^{content}"),
        (false, false) => format!("~~{content}~~"),
    }
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
    fn a_table_of_data_keeps_its_rows_and_one_of_layout_becomes_its_text() {
        let data = "<table><tr><td>Name</td><td>Size</td></tr><tr><td><p>a|b</p></td><td>5</td></tr>\
                    </table>";
        let expected = "| Name | Size |\n| --- | --- |\n| a\\|b | 5 |";
        assert_eq!(to_markdown(data, false), expected);
        let named = data.replace("td>Name</td", "th>Name</th");
        assert_eq!(to_markdown(&named, false), expected);
        for layout in [
            "<table><tr><td>Left</td><td>Right</td></tr></table>",
            "<table><tr><td>Left</td></tr><tr><td>Right</td></tr></table>",
            "<table><tr><td><table><tr><td>Left</td></tr></table></td><td>Right</td></tr></table>",
        ] {
            assert_eq!(to_markdown(layout, false), "Left\n\nRight");
        }
    }

    #[test]
    fn what_is_struck_out_or_raised_stays_so_and_what_nobody_sees_goes() {
        let html = "<p>10<sup>6</sup> <s>now</s>&nbsp;let&nbsp;x&shy;y</p>";
        assert_eq!(to_markdown(html, false), "10^6 ~~now~~ let xy");
    }

    #[test]
    fn what_stands_below_the_head_of_a_quote_is_apart_from_it() {
        let outlook = "<p>Yes.</p><div id=\"divRplyFwdMsg\"><b>From:</b> Airut</div>Which one?";
        assert_eq!(
            to_markdown(outlook, true),
            "Yes.\n\n**From:** Airut\n\nWhich one?"
        );
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
