//! A table as lines of equally wide columns, for a block of code: Slack has no tables. Pure.

use pulldown_cmark::Alignment;
use unicode_width::UnicodeWidthStr as _;

/// Widest column that is filled up, in columns of a terminal; cells beyond it stay as they are.
const COLUMN_WIDTH_MAX: usize = 60;

/// A table that is being read.
pub(super) struct Table {
    alignments: Vec<Alignment>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn new(alignments: Vec<Alignment>) -> Self {
        Self {
            alignments,
            rows: vec![],
        }
    }

    pub(super) fn row(&mut self) {
        self.rows.push(vec![]);
    }

    pub(super) fn cell(&mut self) {
        if let Some(row) = self.rows.last_mut() {
            row.push(String::new());
        }
    }

    pub(super) fn push(&mut self, text: &str) {
        if let Some(cell) = self.rows.last_mut().and_then(|row| row.last_mut()) {
            cell.push_str(&without_fences(text));
        }
    }

    /// Returns the lines, the head set apart.
    pub(super) fn text(&self) -> String {
        let width_of = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            let widest = cells.map(|cell| width(cell)).max().unwrap_or(0);
            widest.min(COLUMN_WIDTH_MAX)
        };
        let widths: Vec<usize> = (0..self.alignments.len()).map(width_of).collect();
        let mut text = String::new();
        for (index, row) in self.rows.iter().enumerate() {
            let cells = row.iter().zip(&widths).zip(&self.alignments);
            let cells = cells.map(|((cell, width), align)| filled(cell, *width, *align));
            let line = cells.collect::<Vec<_>>().join(" | ");
            text += line.trim_end();
            text.push('\n');
            if index == 0 {
                let rules = widths.iter().map(|width| "-".repeat(*width));
                text += &rules.collect::<Vec<_>>().join("-|-");
                text.push('\n');
            }
        }
        text
    }
}

/// Returns the columns that a text takes where it is shown, with what is written out read back.
fn width(text: &str) -> usize {
    let shown = text.replace("&lt;", "<").replace("&gt;", ">");
    shown.replace("&amp;", "&").width()
}

fn filled(cell: &str, to: usize, align: Alignment) -> String {
    let missing = to.saturating_sub(width(cell));
    let left = match align {
        Alignment::Right => missing,
        Alignment::Center => missing / 2,
        Alignment::Left | Alignment::None => 0,
    };
    format!("{}{cell}{}", " ".repeat(left), " ".repeat(missing - left))
}

/// Keeps a text from ending the block of code that it stands in: nothing is seen between the signs.
pub(super) fn without_fences(text: &str) -> String {
    text.replace("``", "`\u{200b}`")
}
