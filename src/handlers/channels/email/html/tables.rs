//! Tables in a mail: one that holds data keeps its rows, one that only lays the page out becomes the text in
//! its cells. Cells and rows are marked while they are converted, so that a table is gone through once however
//! deep it is. It knows no HTML. Pure.

/// Ends a cell; a character that no mail means anything by.
const CELL_END: char = '\u{F0003}';
/// Ends a row.
pub(super) const ROW_END: char = '\u{F0004}';

/// Longest cell of a table that is written as one, in characters; with a longer one it is taken for a layout.
const CELL_CHARS_MAX: usize = 500;

/// Marks a cell.
pub(super) fn cell(content: &str) -> String {
    format!("{content}{CELL_END}")
}

/// Marks a row.
pub(super) fn row(content: &str) -> String {
    format!("{content}{ROW_END}")
}

/// Writes a table out of its marked rows, or the text of its cells when it is a layout.
pub(super) fn written(marked: &str) -> String {
    let rows = marked.split(ROW_END).map(str::trim);
    let rows: Vec<Vec<&str>> = rows
        .filter(|row| !row.is_empty())
        .map(|row| row.split_terminator(CELL_END).map(str::trim).collect())
        .collect();
    let columns = rows.first().map_or(0, Vec::len);
    let is_short = |cell: &&str| !cell.contains('\n') && cell.chars().count() <= CELL_CHARS_MAX;
    let is_data = rows.len() > 1
        && columns > 1
        && rows
            .iter()
            .all(|row| row.len() == columns && row.iter().all(is_short));
    if !is_data {
        let texts = marked.split([CELL_END, ROW_END]);
        let texts = texts.map(|text| text.trim_matches(['\n', ' ']));
        let texts: Vec<&str> = texts.filter(|text| !text.is_empty()).collect();
        return format!("\n\n{}\n\n", texts.join("\n\n"));
    }
    let line = |row: &Vec<String>| format!("| {} |\n", row.join(" | "));
    let rule = line(&vec!["---".to_owned(); columns]);
    let mut lines = rows.iter().map(|row| {
        let cells = row.iter().map(|cell| cell.replace('|', "\\|"));
        line(&cells.collect())
    });
    let head = lines.next().unwrap_or_default();
    format!("\n\n{head}{rule}{}\n\n", lines.collect::<String>())
}
