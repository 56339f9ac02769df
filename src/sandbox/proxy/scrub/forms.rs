//! The forms in which a service may echo a credential: as it is, and as the usual encodings write
//! it. Pure; it does not know where they are looked for.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Shortest value that is looked for, in bytes; a shorter one would be found in innocent text.
pub const VALUE_BYTES_MIN: usize = 6;

/// Longest form that is looked for, in bytes; of a longer one only the beginning is replaced.
pub const FORM_BYTES_MAX: usize = 16 * 1024;

/// RFC 3986's unreserved characters stay.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// A form of a value, and what stands in its place; both have the same length.
#[derive(Clone, PartialEq, Eq)]
pub struct Form {
    /// What is looked for.
    pub real: Vec<u8>,
    /// What replaces it.
    pub surrogate: Vec<u8>,
}

/// Returns the forms of `value` with those of `surrogate`, made equally long, so that no length
/// that was announced becomes wrong; none for a value below [`VALUE_BYTES_MIN`].
pub fn of(value: &str, surrogate: &str) -> Vec<Form> {
    if value.len() < VALUE_BYTES_MIN {
        return Vec::new();
    }
    let surrogates = written(surrogate);
    let pairs = written(value).into_iter().zip(surrogates);
    let mut forms: Vec<Form> = Vec::new();
    for (real, mut surrogate) in pairs {
        let mut real = real.into_bytes();
        real.truncate(FORM_BYTES_MAX);
        surrogate.retain(|c| c.is_ascii());
        let mut surrogate = surrogate.into_bytes();
        surrogate.resize(real.len(), b'x');
        if forms.iter().all(|form| form.real != real) {
            forms.push(Form { real, surrogate });
        }
    }
    forms
}

/// Returns the ways to write `text`, always as many and in the same order.
fn written(text: &str) -> Vec<String> {
    let percent = utf8_percent_encode(text, RESERVED).to_string();
    let json = serde_json::Value::from(text).to_string();
    let json = json[1..json.len() - 1].to_owned();
    let html = text
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;");
    let hex = hex::encode(text);
    let mut written = vec![
        text.to_owned(),
        lowercase_escapes(&percent),
        percent,
        json.replace('/', "\\/"),
        json,
        html,
        hex.to_uppercase(),
        hex,
    ];
    for before in 0..3 {
        written.push(within(before, text, |bytes| STANDARD_NO_PAD.encode(bytes)));
        written.push(within(before, text, |bytes| URL_SAFE_NO_PAD.encode(bytes)));
    }
    written
}

/// `%2F` and `%2f` are the same escape.
fn lowercase_escapes(percent: &str) -> String {
    let mut previous = [' '; 2];
    let lower = |c: char| {
        let escaped = previous.contains(&'%');
        previous = [previous[1], c];
        if escaped { c.to_ascii_lowercase() } else { c }
    };
    percent.chars().map(lower).collect()
}

/// Returns the base64 characters that depend on `text` alone when `before` bytes (modulo three)
/// stand before it, as the user's name does in Basic credentials.
fn within(before: usize, text: &str, encode: impl Fn(&[u8]) -> String) -> String {
    let mut bytes = vec![0; before];
    bytes.extend_from_slice(text.as_bytes());
    let (first, end) = ((before * 8).div_ceil(6), bytes.len() * 8 / 6);
    encode(&bytes)[first..end].to_owned()
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    fn has(forms: &[Form], written: &str) -> bool {
        forms.iter().any(|form| form.real == written.as_bytes())
    }

    #[test]
    fn a_value_is_known_in_its_usual_encodings() {
        let forms = of("p\"ss/wörd&", "abcdefghij");
        for written in [
            "p\"ss/wörd&",
            "p%22ss%2Fw%C3%B6rd%26",
            "p%22ss%2fw%c3%b6rd%26",
            "p\\\"ss/wörd&",
            "p\\\"ss\\/wörd&",
            "p&quot;ss/wörd&amp;",
            "702273732f77c3b6726426",
        ] {
            assert!(has(&forms, written), "{written}");
        }
        let unequal = forms.iter().find(|f| f.real.len() != f.surrogate.len());
        assert!(unequal.is_none());
    }

    #[test]
    fn a_value_is_known_within_basic_credentials_whatever_stands_before_it() {
        let forms = of("sk-ant-real-value", "sk-ant-surrogate1");
        for user in ["", "u", "us", "use"] {
            let basic = STANDARD.encode(format!("{user}:sk-ant-real-value"));
            let known = |form: &Form| basic.contains(std::str::from_utf8(&form.real).unwrap());
            assert!(forms.iter().any(known), "{basic}");
        }
    }

    #[test]
    fn very_short_values_are_not_looked_for() {
        assert!(of("12345", "abcde").is_empty());
        assert!(!of("123456", "abcdef").is_empty());
        assert!(!of("1234567", "abcdefg").is_empty());
    }

    #[test]
    fn of_a_very_long_form_the_beginning_is_looked_for() {
        for length in [FORM_BYTES_MAX - 1, FORM_BYTES_MAX, FORM_BYTES_MAX + 1] {
            let forms = of(&"v".repeat(length), "s");
            assert_eq!(forms[0].real.len(), length.min(FORM_BYTES_MAX));
            assert_eq!(forms[0].surrogate.len(), forms[0].real.len());
        }
    }
}
