//! Text whose lines were broken for display only (RFC 3676): they are joined again, so that a
//! paragraph is one line. Pure.

/// Joins the flowed lines of a text; with `delsp` the space that marks them is no part of it.
pub fn unflow(text: &str, delsp: bool) -> String {
    let mut paragraphs: Vec<String> = Vec::new();
    // The depth of the quote that the last line stands in, if the next line continues it.
    let mut open: Option<usize> = None;
    for line in text.lines() {
        let unquoted = line.trim_start_matches('>');
        let depth = line.len() - unquoted.len();
        let content = unquoted.strip_prefix(' ').unwrap_or(unquoted);
        let is_flowed = content.ends_with(' ') && content != "-- ";
        let kept = match content.strip_suffix(' ') {
            Some(shorter) if is_flowed && delsp => shorter,
            Some(_) | None => content,
        };
        match paragraphs.last_mut() {
            Some(paragraph) if open == Some(depth) && content != "-- " => paragraph.push_str(kept),
            Some(_) | None => paragraphs.push(quoted(depth, kept)),
        }
        open = is_flowed.then_some(depth);
    }
    paragraphs.join("\n")
}

fn quoted(depth: usize, content: &str) -> String {
    if depth == 0 {
        return content.to_owned();
    }
    format!("{} {content}", ">".repeat(depth))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, delsp: bool, expected: &str) {
        assert_eq!(unflow(text, delsp), expected, "{text:?}");
    }

    #[test]
    fn a_paragraph_becomes_one_line_again() {
        check("One \ntwo \nthree.\nFour.", false, "One two three.\nFour.");
        check("Aus \neinander", true, "Auseinander");
        check(" >no quote\n From", false, ">no quote\nFrom");
        check("end \n\nnext", false, "end \nnext");
    }

    #[test]
    fn quotes_flow_for_themselves_and_a_signature_stays() {
        check(">> a \n>> b\n> c \nmine", false, ">> a b\n> c \nmine");
        check("text \n-- \nAlice", false, "text \n-- \nAlice");
    }

    proptest::proptest! {
        #[test]
        fn no_word_is_lost(text in "[a-z> \n-]{0,80}") {
            let letters = |text: &str| text.chars().filter(char::is_ascii_lowercase).collect::<String>();
            assert_eq!(letters(&unflow(&text, false)), letters(&text));
        }
    }
}
