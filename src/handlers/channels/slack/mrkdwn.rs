//! Markdown as Slack's mrkdwn (spec row SLK-20; Slack API, *Formatting text for app surfaces*). Pure.
//!
//! Nothing of the text becomes a mention or a command of Slack's: `&`, `<` and `>` are written out, and
//! only links to the web and to mailboxes stand between angle brackets. A table, which mrkdwn has not,
//! becomes a block of text with aligned columns.

use pulldown_cmark::{Event, LinkType, Options, Parser, Tag, TagEnd, TextMergeStream};
use unicode_width::UnicodeWidthStr as _;

use crate::handlers::channels::email::markdown::is_harmless;

/// What stands before and after a block of code.
pub const FENCE: &str = "```";

/// Widest column of a table, in places of a terminal; what is wider is not padded any further.
const COLUMN_WIDTH_MAX: usize = 80;

/// Converts an answer.
pub fn to_mrkdwn(markdown: &str) -> String {
    let options =
        Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
    let mut writer = Writer::default();
    for event in TextMergeStream::new(Parser::new_ext(markdown, options)) {
        writer.write(event);
    }
    writer.text.trim_matches('\n').to_owned()
}

/// Returns a text with what Slack means something by written out.
pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[derive(Default)]
struct Writer {
    text: String,
    /// What each line begins with.
    quotes: usize,
    /// For each open list, the number of its next item; nothing for one without numbers.
    lists: Vec<Option<u64>>,
    /// For each open link, where its text began and where it leads, if it is written as a link.
    links: Vec<Option<(usize, String)>>,
    /// Open marks of bold text: a heading is one, and bold within bold is none.
    bold: usize,
    in_code: bool,
    /// Whether the next block goes on in the line of its item's mark.
    after_mark: bool,
    rows: Vec<Vec<String>>,
    in_table: bool,
}

impl Writer {
    fn write(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) | Event::Code(text) | Event::InlineHtml(text) if self.in_table => {
                self.cell(&text);
            }
            Event::Text(text) if self.in_code => {
                // A fence within would end the block.
                let text = text.replace(FENCE, "`\u{200b}``");
                self.lines(text.trim_end_matches('\n'));
            }
            Event::Text(text) | Event::Html(text) | Event::InlineHtml(text) => self.lines(&text),
            Event::Code(text) => {
                let text = escaped(&text.replace('`', "'"));
                self.text.push_str(&format!("`{text}`"));
            }
            Event::SoftBreak | Event::HardBreak if self.in_table => self.cell(" "),
            Event::SoftBreak | Event::HardBreak => self.new_line(),
            Event::Rule => {
                self.block();
                self.text.push_str("———");
            }
            Event::TaskListMarker(done) => self.text.push_str(if done { "☑ " } else { "☐ " }),
            // None of these is asked for.
            Event::FootnoteReference(_) | Event::InlineMath(_) | Event::DisplayMath(_) => {}
        }
    }

    /// Writes a text that may have several lines.
    fn lines(&mut self, text: &str) {
        for (index, line) in text.split('\n').enumerate() {
            if index > 0 {
                self.new_line();
            }
            self.text.push_str(&escaped(line));
        }
    }

    fn new_line(&mut self) {
        self.text.push('\n');
        self.begin_line();
    }

    fn begin_line(&mut self) {
        self.text.push_str(&"> ".repeat(self.quotes.min(1)));
        if !self.in_code {
            self.text
                .push_str(&"    ".repeat(self.lists.len().saturating_sub(1)));
        }
    }

    /// Begins a block: after an empty line, but close together within lists and quotes.
    fn block(&mut self) {
        if std::mem::take(&mut self.after_mark) {
            return;
        }
        if !self.text.is_empty() {
            self.text.push('\n');
            if self.lists.is_empty() && self.quotes == 0 {
                self.text.push('\n');
            }
        }
        self.begin_line();
    }

    fn start(&mut self, tag: Tag<'_>) {
        match tag {
            Tag::Paragraph | Tag::HtmlBlock => self.block(),
            Tag::Heading { .. } => {
                self.block();
                self.bold(1);
            }
            Tag::BlockQuote(_) => {
                if self.quotes == 0 && self.lists.is_empty() && !self.text.is_empty() {
                    self.text.push('\n');
                }
                self.quotes += 1;
            }
            Tag::CodeBlock(_) => {
                self.block();
                self.text.push_str(FENCE);
                self.in_code = true;
                self.new_line();
            }
            Tag::List(first) => {
                if self.lists.is_empty() && self.quotes == 0 && !self.text.is_empty() {
                    self.text.push('\n');
                }
                self.after_mark = false;
                self.lists.push(first);
            }
            Tag::Item => self.item(),
            Tag::Table(_) => (self.in_table, self.rows) = (true, vec![]),
            Tag::TableHead | Tag::TableRow => self.rows.push(vec![]),
            Tag::TableCell => {
                if let Some(row) = self.rows.last_mut() {
                    row.push(String::new());
                }
            }
            _ if self.in_table => {}
            Tag::Emphasis => self.text.push('_'),
            Tag::Strong => self.bold(1),
            Tag::Strikethrough => self.text.push('~'),
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
                self.start_link(link_type, &dest_url);
            }
            _ => {}
        }
    }

    fn bold(&mut self, opened: usize) {
        if self.bold == 0 {
            self.text.push('*');
        }
        self.bold += opened;
    }

    fn not_bold(&mut self) {
        self.bold = self.bold.saturating_sub(1);
        if self.bold == 0 {
            self.text.push('*');
        }
    }

    fn item(&mut self) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.begin_line();
        let mark = match self.lists.last_mut() {
            Some(Some(number)) => {
                *number += 1;
                format!("{}. ", *number - 1)
            }
            _ => "• ".to_owned(),
        };
        self.text.push_str(&mark);
        self.after_mark = true;
    }

    fn start_link(&mut self, kind: LinkType, url: &str) {
        let within = self.links.iter().any(Option::is_some);
        let url = (!within && is_harmless(kind, url)).then(|| {
            let scheme = if kind == LinkType::Email {
                "mailto:"
            } else {
                ""
            };
            let url = url
                .replace('|', "%7C")
                .replace('<', "%3C")
                .replace('>', "%3E");
            format!("{scheme}{}", escaped(&url))
        });
        self.links.push(url.map(|url| (self.text.len(), url)));
    }

    fn end_link(&mut self) {
        let Some(Some((start, url))) = self.links.pop() else {
            return;
        };
        let text = self.text.split_off(start);
        let text = text.replace('|', "¦").replace('\n', " ");
        let is_bare = text.trim().is_empty() || url == text || url == format!("mailto:{text}");
        if is_bare {
            self.text.push_str(&format!("<{url}>"));
        } else {
            self.text.push_str(&format!("<{url}|{text}>"));
        }
    }

    fn cell(&mut self, text: &str) {
        if let Some(cell) = self.rows.last_mut().and_then(|row| row.last_mut()) {
            cell.push_str(&text.replace(FENCE, "'''"));
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Heading(_) => self.not_bold(),
            TagEnd::BlockQuote(_) => self.quotes = self.quotes.saturating_sub(1),
            TagEnd::CodeBlock => {
                self.new_line();
                self.in_code = false;
                self.text.push_str(FENCE);
            }
            TagEnd::List(_) => drop(self.lists.pop()),
            TagEnd::Item => self.after_mark = false,
            TagEnd::Table => self.end_table(),
            _ if self.in_table => {}
            TagEnd::Emphasis => self.text.push('_'),
            TagEnd::Strong => self.not_bold(),
            TagEnd::Strikethrough => self.text.push('~'),
            TagEnd::Link | TagEnd::Image => self.end_link(),
            _ => {}
        }
    }

    fn end_table(&mut self) {
        self.in_table = false;
        let rows = std::mem::take(&mut self.rows);
        self.block();
        self.text.push_str(FENCE);
        self.in_code = true;
        for line in aligned(&rows) {
            self.new_line();
            self.text.push_str(&escaped(&line));
        }
        self.new_line();
        self.in_code = false;
        self.text.push_str(FENCE);
    }
}

/// Returns the lines of a table, its first row set off; columns are as wide as they look in a font
/// whose characters take one place or two (East Asian Width, UAX #11).
fn aligned(rows: &[Vec<String>]) -> Vec<String> {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        let widest = cells.map(|cell| cell.trim().width()).max();
        widest.unwrap_or_default().min(COLUMN_WIDTH_MAX)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut lines = Vec::with_capacity(rows.len() + 1);
    for (index, row) in rows.iter().enumerate() {
        let cells = row.iter().zip(&widths).map(|(cell, width)| {
            let cell = cell.trim();
            let missing = width.saturating_sub(cell.width());
            format!("{cell}{}", " ".repeat(missing))
        });
        let line = cells.collect::<Vec<_>>().join(" | ");
        lines.push(line.trim_end().to_owned());
        if index == 0 {
            let line: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
            lines.push(line.join("-|-"));
        }
    }
    lines
}

#[cfg(test)]
mod tests;
