//! Markdown as HTML for mail programs (spec row EML-37): every style stands at its element, since
//! Gmail drops sheets and Outlook's engine is Word's; no colour is fixed that a dark theme would make
//! unreadable; nothing is fetched. Pure.
//!
//! HTML in the text is shown and not obeyed; an image becomes a link, for it would be fetched without
//! being asked; a link that is not to the web or a mailbox becomes its text.

use pulldown_cmark::{
    Alignment, Event, HeadingLevel, LinkType, Options, Parser, Tag, TagEnd, TextMergeStream,
};

/// Longest HTML that is made, in bytes; of a text that would need more the Markdown itself is shown.
const HTML_BYTES_MAX: usize = 2 * 1024 * 1024;

/// Deepest lists and quotes that are shown as such; what is deeper is shown as the last of them.
const DEPTH_MAX: usize = 24;

const BODY: &str = "font-family:-apple-system,'Segoe UI',Helvetica,Arial,sans-serif;font-size:14px;\
                    line-height:1.45;overflow-wrap:anywhere";
const PARAGRAPH: &str = "margin:0 0 12px 0";
const MONOSPACE: &str = "font-family:ui-monospace,Menlo,Consolas,monospace;font-size:13px";
/// The second is for programs that know transparency: it is right on white and on black.
const SHADE: &str = "background-color:#f0f0f0;background-color:rgba(128,128,128,0.15)";
const LINE: &str = "1px solid #999999";

/// Converts an answer.
pub fn to_html(markdown: &str) -> String {
    let mut writer = Writer::default();
    for event in read(markdown) {
        writer.write(event);
        if writer.html.len() > HTML_BYTES_MAX {
            return page(&format!(
                "<pre style=\"{MONOSPACE};white-space:pre-wrap\">{}</pre>\n",
                escaped(markdown)
            ));
        }
    }
    page(&writer.html)
}

fn page(content: &str) -> String {
    format!(
        "<!DOCTYPE html>\n<html>\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta name=\"supported-color-schemes\" content=\"light dark\">\n</head>\n\
         <body style=\"{BODY}\">\n{content}</body>\n</html>\n"
    )
}

/// Returns a text with what HTML means something by written out.
fn escaped(text: &str) -> String {
    let mut html = String::with_capacity(text.len() + text.len() / 8);
    for character in text.chars() {
        match character {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            plain => html.push(plain),
        }
    }
    html
}

/// Reads an answer's Markdown, for whatever it is written as.
pub fn read(markdown: &str) -> impl Iterator<Item = Event<'_>> {
    let options =
        Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
    TextMergeStream::new(Parser::new_ext(markdown, options))
}

/// Returns where a link leads that whoever reads an answer may follow: to the web or to a mailbox.
pub fn followed(kind: LinkType, url: &str) -> Option<String> {
    let scheme = if kind == LinkType::Email {
        "mailto:"
    } else {
        ""
    };
    is_harmless(kind, url).then(|| format!("{scheme}{url}"))
}

fn is_harmless(kind: LinkType, url: &str) -> bool {
    let begins = |scheme: &&str| {
        let start = url.get(..scheme.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    };
    kind == LinkType::Email || ["http://", "https://", "mailto:"].iter().any(begins)
}

/// Room at the left of a list for its mark or a number of one digit, in pixels; two digits, so that it
/// can be changed in its place.
const INDENT: usize = 24;
/// Room for each further digit, in pixels.
const DIGIT_WIDTH: usize = 8;
/// Most digits that room is made for; what is longer sticks out.
const DIGITS_MAX: usize = 9;

/// An open list.
struct List {
    /// Where its room at the left is written; nothing where it is too deep to be a list.
    indent_at: Option<usize>,
    /// The number of its next item, if it has numbers.
    next: Option<u64>,
}

#[derive(Default)]
struct Writer {
    html: String,
    lists: Vec<List>,
    /// For each open link or image, whether it is written as a link.
    links: Vec<bool>,
    /// For each open list, quote or item, whether it is written.
    nested: Vec<bool>,
    alignments: Vec<Alignment>,
    /// Column of the cell that is written.
    column: usize,
    in_head: bool,
    in_code: bool,
}

impl Writer {
    fn write(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) if self.in_code || self.is_in_link() => {
                self.html.push_str(&escaped(&text));
            }
            Event::Text(text) => self.text(&text),
            Event::Code(text) => {
                let text = escaped(&text);
                self.push(&format!(
                    "<code style=\"{MONOSPACE};{SHADE};padding:1px 4px;border-radius:3px\">{text}</code>"
                ));
            }
            Event::Html(text) | Event::InlineHtml(text) => self.html.push_str(&escaped(&text)),
            Event::SoftBreak | Event::HardBreak => self.push("<br>\n"),
            Event::Rule => self.push(&format!(
                "<hr style=\"border:0;border-top:{LINE};margin:16px 0\">\n"
            )),
            Event::TaskListMarker(done) => self.push(if done { "&#9745; " } else { "&#9744; " }),
            // None of these is asked for.
            Event::FootnoteReference(_) | Event::InlineMath(_) | Event::DisplayMath(_) => {}
        }
    }

    fn push(&mut self, html: &str) {
        self.html.push_str(html);
    }

    fn is_in_link(&self) -> bool {
        self.links.contains(&true)
    }

    fn start(&mut self, tag: Tag<'_>) {
        match tag {
            Tag::Paragraph => self.push(&format!("<p style=\"{PARAGRAPH}\">")),
            Tag::Heading { level, .. } => self.push(&heading(level)),
            Tag::BlockQuote(_) => self.nest(
                "<blockquote style=\"margin:0 0 12px 0;padding:0 0 0 12px;border-left:3px solid \
                 #999999\">\n",
            ),
            Tag::CodeBlock(_) => {
                self.in_code = true;
                self.push(&format!(
                    "<pre style=\"{MONOSPACE};{SHADE};margin:0 0 12px 0;padding:8px 10px;border:{LINE};\
                     border-radius:4px;white-space:pre-wrap;overflow-wrap:anywhere\"><code>"
                ));
            }
            Tag::List(first) => self.start_list(first),
            Tag::Item => {
                if let Some(next) = self.lists.last_mut().and_then(|list| list.next.as_mut()) {
                    *next = next.saturating_add(1);
                }
                self.nest("<li style=\"margin:0 0 4px 0\">");
            }
            Tag::Table(alignments) => {
                self.alignments = alignments;
                self.push(&format!(
                    "<table cellpadding=\"6\" cellspacing=\"0\" style=\"border-collapse:collapse;\
                     margin:0 0 12px 0;border:{LINE}\">\n"
                ));
            }
            Tag::TableHead => {
                (self.in_head, self.column) = (true, 0);
                self.push("<tr>");
            }
            Tag::TableRow => {
                self.column = 0;
                self.push("<tr>");
            }
            Tag::TableCell => self.cell(),
            Tag::Emphasis => self.push("<em>"),
            Tag::Strong => self.push("<strong>"),
            Tag::Strikethrough => self.push("<s>"),
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
                let is_inner = self.is_in_link();
                let url = followed(link_type, &dest_url).filter(|_| !is_inner);
                self.links.push(url.is_some());
                if let Some(url) = url {
                    self.push(&format!("<a href=\"{}\">", escaped(&url)));
                }
            }
            _ => {}
        }
    }

    /// Opens a list, an item or a quote, unless too many are open.
    fn nest(&mut self, html: &str) {
        let fits = self.nested.len() < DEPTH_MAX;
        self.nested.push(fits);
        if fits {
            self.push(html);
        }
    }

    fn unnest(&mut self, html: &str) {
        if self.nested.pop() == Some(true) {
            self.push(html);
        }
    }

    fn cell(&mut self) {
        let (name, weight) = if self.in_head {
            ("th", "font-weight:bold;")
        } else {
            ("td", "")
        };
        let align = match self.alignments.get(self.column) {
            Some(Alignment::Center) => "center",
            Some(Alignment::Right) => "right",
            _ => "left",
        };
        self.column += 1;
        // Word takes the attribute, the others the style.
        self.push(&format!(
            "<{name} align=\"{align}\" valign=\"top\" style=\"{weight}border:{LINE};padding:4px 8px;\
             text-align:{align}\">"
        ));
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Paragraph => self.push("</p>\n"),
            TagEnd::Heading(level) => self.push(&format!("</{level}>\n")),
            TagEnd::BlockQuote(_) => self.unnest("</blockquote>\n"),
            TagEnd::CodeBlock => {
                self.in_code = false;
                self.push("</code></pre>\n");
            }
            TagEnd::List(is_numbered) => {
                self.indent();
                self.unnest(if is_numbered { "</ol>\n" } else { "</ul>\n" });
            }
            TagEnd::Item => self.unnest("</li>\n"),
            TagEnd::Table => self.push("</table>\n"),
            TagEnd::TableHead => {
                self.in_head = false;
                self.push("</tr>\n");
            }
            TagEnd::TableRow => self.push("</tr>\n"),
            TagEnd::TableCell if self.in_head => self.push("</th>"),
            TagEnd::TableCell => self.push("</td>"),
            TagEnd::Emphasis => self.push("</em>"),
            TagEnd::Strong => self.push("</strong>"),
            TagEnd::Strikethrough => self.push("</s>"),
            TagEnd::Link | TagEnd::Image => self.end_link(),
            _ => {}
        }
    }

    fn start_list(&mut self, first: Option<u64>) {
        // A list within a list is no paragraph of its own.
        let below = if self.nested.is_empty() { 12 } else { 4 };
        let style = format!("style=\"margin:0 0 {below}px 0;padding:0 0 0 ");
        let begin = match first {
            None => format!("<ul {style}"),
            Some(1) => format!("<ol {style}"),
            Some(first) => format!("<ol start=\"{first}\" {style}"),
        };
        let indent_at = self.html.len() + begin.len();
        self.nest(&format!("{begin}{INDENT}px\">\n"));
        let is_written = self.nested.last() == Some(&true);
        self.lists.push(List {
            indent_at: is_written.then_some(indent_at),
            next: first,
        });
    }

    /// Gives a numbered list as much room at its left as its last number takes: mail programs cut off
    /// what does not fit.
    fn indent(&mut self) {
        let Some(List {
            indent_at: Some(at),
            next: Some(next),
        }) = self.lists.pop()
        else {
            return;
        };
        let digits = next.saturating_sub(1).max(1).ilog10() as usize + 1;
        let indent = INDENT + (digits.min(DIGITS_MAX) - 1) * DIGIT_WIDTH;
        self.html.replace_range(at..at + 2, &indent.to_string());
    }

    fn end_link(&mut self) {
        if self.links.pop() == Some(true) {
            self.push("</a>");
        }
    }

    /// Writes a text whose bare addresses of the web become links: Outlook makes none of them itself.
    fn text(&mut self, text: &str) {
        let mut rest = text;
        while let Some((before, url, after)) = find_url(rest) {
            self.html.push_str(&escaped(before));
            let url = escaped(url);
            self.push(&format!("<a href=\"{url}\">{url}</a>"));
            rest = after;
        }
        self.html.push_str(&escaped(rest));
    }
}

/// Splits a text around its first address of the web.
fn find_url(text: &str) -> Option<(&str, &str, &str)> {
    let starts = text.match_indices("http");
    let mut starts = starts.filter(|(start, _)| {
        let before = text[..*start].chars().next_back();
        let rest = &text[*start..];
        let after = rest
            .strip_prefix("https://")
            .or_else(|| rest.strip_prefix("http://"));
        let has_host = after.is_some_and(|after| after.starts_with(|c: char| c.is_alphanumeric()));
        has_host && before.is_none_or(|c| !c.is_alphanumeric())
    });
    let (start, _) = starts.next()?;
    let rest = &text[start..];
    let ends = |c: char| c.is_whitespace() || c.is_control() || "<>\"`|".contains(c);
    let mut url = &rest[..rest.find(ends).unwrap_or(rest.len())];
    // What ends a sentence or closes a bracket around it is no part of it.
    while let Some(last) = url.chars().next_back() {
        let opens = url.matches('(').count() >= url.matches(')').count();
        let belongs = !".,;:!?'*_~])}".contains(last) || (last == ')' && opens);
        if belongs {
            break;
        }
        url = &url[..url.len() - last.len_utf8()];
    }
    Some((&text[..start], url, &rest[url.len()..]))
}

fn heading(level: HeadingLevel) -> String {
    let size = match level {
        HeadingLevel::H1 => 20,
        HeadingLevel::H2 => 18,
        HeadingLevel::H3 => 16,
        _ => 14,
    };
    format!("<{level} style=\"font-size:{size}px;line-height:1.3;margin:16px 0 8px 0\">")
}

#[cfg(test)]
mod tests;
