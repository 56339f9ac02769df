//! Markdown as Slack's mrkdwn (spec row SLK-20; <https://docs.slack.dev/messaging/formatting-message-text>),
//! and its division into messages. What is text stays text: its signs are written out, and nobody is
//! mentioned but whom the given names name. Pure.

mod literal;
mod pieces;
mod table;

pub use pieces::{TEXT_CHARS_MAX, split};

use pulldown_cmark::{Event, Tag, TagEnd};

use crate::handlers::channels::email::markdown::{followed, read};
use crate::handlers::channels::slack::mentions_out::Names;
use literal::{Before, escaped, is_of_word, plain};
use table::Table;

/// Deepest lists that are moved in; what is deeper stands as far in as the last of them.
const DEPTH_MAX: usize = 24;

/// Begins and ends a block of code.
const FENCE: &str = "```";

/// Sets a sign apart from the word that it touches; without it Slack takes it for a part of the word.
/// Nothing is seen of it.
const APART: char = '\u{200b}';

/// Converts an answer; `names` are those that it may mention.
pub fn of_markdown(markdown: &str, names: &Names) -> String {
    let mut writer = Writer::new(names);
    for event in read(markdown) {
        writer.write(event);
    }
    writer.end_text();
    let text = writer.open.concat();
    text.trim_end().to_owned()
}

/// Returns a plain text as it is shown, on its own line; `names` are those that it may mention.
pub fn as_text(text: &str, names: &Names) -> String {
    plain(text, Before::Line, names)
}

struct Writer<'a> {
    names: &'a Names,
    /// The text that is being read: what it means depends on all of it.
    text: String,
    /// What is written of each open quote and item; the first is the whole.
    open: Vec<String>,
    /// The next number of each open list; nothing for one of points.
    lists: Vec<Option<u64>>,
    /// For each open link or image, whether it is written as a link.
    links: Vec<bool>,
    /// The sign of each open emphasis, the innermost last; empty where none is written.
    signs: Vec<&'static str>,
    /// Whether a sign was closed last.
    has_closed: bool,
    code: Option<String>,
    table: Option<Table>,
}

impl<'a> Writer<'a> {
    fn new(names: &'a Names) -> Self {
        Self {
            names,
            text: String::new(),
            open: vec![String::new()],
            lists: vec![],
            links: vec![],
            signs: vec![],
            has_closed: false,
            code: None,
            table: None,
        }
    }

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

    /// In a table, which is shown as code, and within a link signs mean nothing.
    fn has_signs(&self) -> bool {
        self.table.is_none() && !self.links.contains(&true)
    }

    /// Returns what stands before the text that follows.
    fn before(&self) -> Before {
        let last = self.open.last().and_then(|text| text.chars().next_back());
        last.filter(|last| *last != '\n')
            .map_or(Before::Line, Before::Char)
    }

    fn begin_sign(&mut self, sign: &'static str) {
        // A sign within the same sign would end it.
        let written = if self.has_signs() && !self.signs.contains(&sign) {
            sign
        } else {
            ""
        };
        if !written.is_empty() && matches!(self.before(), Before::Char(c) if is_of_word(c)) {
            self.push(&APART.to_string());
        }
        self.push(written);
        self.signs.push(written);
    }

    fn end_sign(&mut self) {
        let sign = self.signs.pop().unwrap_or_default();
        self.push(sign);
        self.has_closed = !sign.is_empty();
    }

    /// Writes the text that was read.
    fn end_text(&mut self) {
        let text = std::mem::take(&mut self.text);
        if text.is_empty() {
            return;
        }
        let is_after_sign = std::mem::take(&mut self.has_closed)
            && matches!(self.before(), Before::Char('*' | '_' | '~' | '`'));
        if is_after_sign && text.starts_with(is_of_word) {
            self.push(&APART.to_string());
        }
        if self.has_signs() {
            let written = plain(&text, self.before(), self.names);
            self.push(&written);
        } else {
            self.push(&escaped(&text));
        }
    }

    /// Ends the line; no sign reaches beyond one.
    fn break_line(&mut self) {
        if !self.has_signs() {
            self.push(" ");
            return;
        }
        let signs = self.signs.clone();
        signs.iter().rev().for_each(|sign| self.push(sign));
        self.push("\n");
        signs.iter().for_each(|sign| self.push(sign));
        self.has_closed = false;
    }

    fn code_span(&mut self, text: &str) {
        // Slack has no way to write the sign itself within code.
        if !self.has_signs() {
            return self.push(&escaped(text));
        }
        if text.contains('`') {
            let written = plain(text, self.before(), &Names::default());
            return self.push(&written);
        }
        self.begin_sign("`");
        self.push(&escaped(text));
        self.end_sign();
    }

    fn write(&mut self, event: Event<'_>) {
        match event {
            Event::Text(text) => match &mut self.code {
                Some(code) => code.push_str(&text),
                None => self.text.push_str(&text),
            },
            Event::Html(text) | Event::InlineHtml(text) => self.text.push_str(&text),
            other => {
                self.end_text();
                self.write_other(other);
            }
        }
    }

    fn write_other(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => self.end(tag),
            Event::Code(text) => self.code_span(&text),
            Event::SoftBreak | Event::HardBreak => self.break_line(),
            Event::Rule => {
                self.block("\n\n");
                self.push("———\n\n");
            }
            Event::TaskListMarker(done) => self.push(if done { "☑ " } else { "☐ " }),
            // Texts were taken before, and none of the others is asked for.
            Event::Text(_)
            | Event::Html(_)
            | Event::InlineHtml(_)
            | Event::FootnoteReference(_)
            | Event::InlineMath(_)
            | Event::DisplayMath(_) => {}
        }
    }

    fn start(&mut self, tag: Tag<'_>) {
        match tag {
            Tag::Paragraph | Tag::HtmlBlock => self.block("\n\n"),
            Tag::Heading { .. } => {
                self.block("\n\n");
                self.begin_sign("*");
            }
            Tag::Strong => self.begin_sign("*"),
            Tag::Emphasis => self.begin_sign("_"),
            Tag::Strikethrough => self.begin_sign("~"),
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

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Heading(_) => {
                self.end_sign();
                self.push("\n\n");
            }
            TagEnd::Strong => self.end_sign(),
            TagEnd::Emphasis => self.end_sign(),
            TagEnd::Strikethrough => self.end_sign(),
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
            if let Some(last) = self.open.last_mut()
                && last.ends_with('|')
            {
                // A link without words shows its address.
                last.pop();
            }
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
