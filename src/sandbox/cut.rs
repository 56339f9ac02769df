//! Cutting texts that others wrote to a length that events and answers can hold. Pure; it knows no
//! text's meaning.

/// Characters of an error that others wrote, git or a builder; what is beyond is left out.
pub const ERROR_CHARS_MAX: usize = 2000;

/// Returns the first characters of a text.
pub fn first_chars(text: &str, chars_max: usize) -> &str {
    let end = text.char_indices().nth(chars_max).map(|(at, _)| at);
    &text[..end.unwrap_or(text.len())]
}

/// Returns the beginning of a text, at most so many bytes of whole characters.
pub fn first_bytes(text: &str, bytes_max: usize) -> &str {
    let end = (0..=bytes_max.min(text.len())).rev();
    let mut end = end.skip_while(|at| !text.is_char_boundary(*at));
    &text[..end.next().unwrap_or(0)]
}

/// Returns the end of a text, at most so many bytes of whole characters.
pub fn last_bytes(text: &str, bytes_max: usize) -> &str {
    let start = text.len().saturating_sub(bytes_max);
    let mut start = (start..=text.len()).skip_while(|at| !text.is_char_boundary(*at));
    &text[start.next().unwrap_or(text.len())..]
}

/// Returns the end of a text, at most so many characters: the end of an output says why it failed.
pub fn last_chars(text: &str, chars_max: usize) -> &str {
    let surplus = text.chars().count().saturating_sub(chars_max);
    let start = text.char_indices().nth(surplus).map(|(at, _)| at);
    &text[start.unwrap_or(text.len())..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters() {
        let check = |bytes_max, first, last| {
            assert_eq!(first_bytes("aéb", bytes_max), first);
            assert_eq!(last_bytes("aéb", bytes_max), last);
        };
        check(0, "", "");
        check(1, "a", "b");
        check(2, "a", "b");
        check(3, "aé", "éb");
        check(9, "aéb", "aéb");
        assert_eq!((first_chars("aéb", 2), last_chars("aéb", 2)), ("aé", "éb"));
        assert_eq!(
            (first_chars("aéb", 9), last_chars("aéb", 9)),
            ("aéb", "aéb")
        );
        assert_eq!((first_chars("aéb", 0), last_chars("aéb", 0)), ("", ""));
    }
}
