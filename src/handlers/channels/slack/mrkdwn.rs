//! Markdown as Slack's mrkdwn (spec row SLK-20; <https://docs.slack.dev/messaging/formatting-message-text>),
//! and its division into messages. `&`, `<` and `>` of the text are written out, so that no text ever
//! mentions anybody. Pure.

mod pieces;
mod table;

pub use pieces::{TEXT_CHARS_MAX, split};

use pulldown_cmark::{Event, Tag, TagEnd};

use crate::handlers::channels::email::markdown::{followed, read};
use table::Table;

/// Deepest lists that are moved in; what is deeper stands as far in as the last of them.
const DEPTH_MAX: usize = 24;

/// Begins and ends a block of code.
const FENCE: &str = "```";

/// Converts an answer.
pub fn of_markdown(markdown: &str) -> String {
    let mut writer = Writer {
        open: vec![String::new()],
        ..Writer::default()
    };
    for event in read(markdown) {
        writer.write(event);
    }
    let text = writer.open.concat();
    text.trim_end().to_owned()
}

/// Returns a text with what Slack means something by written out.
fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;");
    text.replace('<', "&lt;").replace('>', "&gt;")
}

#[derive(Default)]
struct Writer {
    /// What is written of each open quote and item; the first is the whole.
    open: Vec<String>,
    /// The next number of each open list; nothing for one of points.
    lists: Vec<Option<u64>>,
    /// For each open link or image, whether it is written as a link.
    links: Vec<bool>,
    /// Open headings and strong words: a sign within a sign would end it.
    bold: usize,
    code: Option<String>,
    table: Option<Table>,
}

impl Writer {
    fn push(&mut self, text: &str) {
        if let Some(table) = &mut self.table {
            table.push(text);
        } else if let Some(last) = self.open.last_mut() {
            last.push_str(text);
        }
    }

    /// Leaves an empty line before a block, unless it begins what is open.
    fn block(&mut self, gap: &str) {
        if let Some(last) = self.open.last_mut()
            && !last.is_empty()
        {
            last.truncate(last.trim_end().len());
            last.push_str(gap);
        }
    }

    fn sign(&mut self, sign: &str) {
        // A table is shown as code, in which signs mean nothing.
        if self.table.is_none() {
            self.push(sign);
        }
    }

    fn write(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) => match &mut self.code {
                Some(code) => code.push_str(&text),
                None => self.push(&escaped(&text)),
            },
            // Slack has no way to write the sign itself within code.
            Event::Code(text) if text.contains('`') || self.table.is_some() => {
                self.push(&escaped(&text));
            }
            Event::Code(text) => self.push(&format!("`{}`", escaped(&text))),
            Event::Html(text) | Event::InlineHtml(text) => self.push(&escaped(&text)),
            Event::SoftBreak | Event::HardBreak => self.push("\n"),
            Event::Rule => {
                self.block("\n\n");
                self.push("———\n\n");
            }
            Event::TaskListMarker(done) => self.push(if done { "☑ " } else { "☐ " }),
            // None of these is asked for.
            Event::FootnoteReference(_) | Event::InlineMath(_) | Event::DisplayMath(_) => {}
        }
    }

    fn start(&mut self, tag: Tag<'_>) {
        match tag {
            Tag::Paragraph | Tag::HtmlBlock => self.block("\n\n"),
            Tag::Heading { .. } => {
                self.block("\n\n");
                self.start_bold();
            }
            Tag::Strong => self.start_bold(),
            Tag::Emphasis => self.sign("_"),
            Tag::Strikethrough => self.sign("~"),
            Tag::CodeBlock(_) => self.code = Some(String::new()),
            Tag::List(first) => {
                self.block(if self.lists.is_empty() { "\n\n" } else { "\n" });
                self.lists.push(first);
            }
            Tag::Item | Tag::BlockQuote(_) => self.open.push(String::new()),
            Tag::Table(alignments) => self.table = Some(Table::new(alignments)),
            Tag::TableHead | Tag::TableRow => self.in_table(Table::row),
            Tag::TableCell => self.in_table(Table::cell),
            Tag::Link {
                link_type,
                dest_url,
                ..
            }
            | Tag::Image {
                link_type,
                dest_url,
                ..
            } => {
                let is_inner = self.links.contains(&true) || self.table.is_some();
                let url = followed(link_type, &dest_url).filter(|_| !is_inner);
                self.links.push(url.is_some());
                if let Some(url) = url {
                    // A bar would end the address.
                    self.push(&format!("<{}|", escaped(&url).replace('|', "%7C")));
                }
            }
            _ => {}
        }
    }

    fn in_table(&mut self, step: fn(&mut Table)) {
        if let Some(table) = &mut self.table {
            step(table);
        }
    }

    fn start_bold(&mut self) {
        if self.bold == 0 {
            self.sign("*");
        }
        self.bold += 1;
    }

    fn end_bold(&mut self) {
        self.bold = self.bold.saturating_sub(1);
        if self.bold == 0 {
            self.sign("*");
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Heading(_) => {
                self.end_bold();
                self.push("\n\n");
            }
            TagEnd::Strong => self.end_bold(),
            TagEnd::Emphasis => self.sign("_"),
            TagEnd::Strikethrough => self.sign("~"),
            TagEnd::CodeBlock => {
                let code = self.code.take().unwrap_or_default();
                self.fenced(&code);
            }
            TagEnd::Item => self.end_item(),
            TagEnd::List(_) => {
                self.lists.pop();
                self.push("\n");
            }
            TagEnd::BlockQuote(_) => self.end_quote(),
            TagEnd::Table => {
                let text = self.table.take().map(|table| table.text());
                let text = text.unwrap_or_default();
                self.block("\n\n");
                self.push(&format!("{FENCE}\n{text}{FENCE}\n\n"));
            }
            TagEnd::Link | TagEnd::Image => self.end_link(),
            _ => {}
        }
    }

    fn end_link(&mut self) {
        if self.links.pop() == Some(true) {
            self.push(">");
        }
    }

    /// Writes a block of code; the language is dropped, for Slack would show it.
    fn fenced(&mut self, code: &str) {
        self.block("\n\n");
        let code = table::without_fences(&escaped(code));
        self.push(&format!(
            "{FENCE}\n{}\n{FENCE}\n\n",
            code.trim_end_matches('\n')
        ));
    }

    fn end_item(&mut self) {
        let item = self.open.pop().unwrap_or_default();
        let marker = match self.lists.last_mut() {
            Some(Some(number)) => {
                *number += 1;
                format!("{}. ", *number - 1)
            }
            _ => "• ".to_owned(),
        };
        let indent = if self.lists.len() < DEPTH_MAX {
            "    "
        } else {
            ""
        };
        let inner = item.trim_end().replace('\n', &format!("\n{indent}"));
        self.push(&format!("{marker}{inner}\n"));
    }

    fn end_quote(&mut self) {
        let quote = self.open.pop().unwrap_or_default();
        self.block("\n\n");
        for line in quote.trim_end().split('\n') {
            self.push(&format!("> {line}\n"));
        }
        self.push("\n");
    }
}

#[cfg(test)]
mod tests;
