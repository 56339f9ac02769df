//! Surrogates: values that look like the secret and are worth nothing (spec row SEC-01). Pure: the
//! randomness is an argument.

/// Prefixes that are kept, so that a client that checks the form accepts the surrogate.
const PREFIXES: [&str; 11] = [
    "github_pat_",
    "ghp_",
    "gho_",
    "ghs_",
    "ghr_",
    "sk-ant-",
    "sk-",
    "xoxb-",
    "xoxp-",
    "AKIA",
    "ASIA",
];

const UPPER: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const LOWER: &[u8] = b"abcdefghijklmnopqrstuvwxyz";
const DIGITS: &[u8] = b"0123456789";
const OTHER: &[u8] = b"-_";

/// Returns a surrogate of the same length, prefix and kinds of characters as `secret`, and never
/// `secret` itself; empty for an empty one.
pub fn generate(secret: &str, random: &mut dyn FnMut(&mut [u8])) -> String {
    let prefix = PREFIXES
        .iter()
        .find(|prefix| secret.starts_with(**prefix))
        .copied()
        .unwrap_or("");
    let rest = &secret[prefix.len()..];
    let alphabet = alphabet(rest);
    // A one-character secret may draw itself; the bound keeps a poor source from looping for ever.
    for _attempt in 0..64 {
        let drawn: String = rest.chars().map(|_| draw(&alphabet, random)).collect();
        if drawn != rest || rest.is_empty() {
            return format!("{prefix}{drawn}");
        }
    }
    format!("{prefix}{}", "x".repeat(rest.chars().count() + 1))
}

/// Returns letters and digits, so many.
pub fn alphanumeric(count: usize, random: &mut dyn FnMut(&mut [u8])) -> String {
    let alphabet = [UPPER, LOWER, DIGITS].concat();
    (0..count).map(|_| draw(&alphabet, random)).collect()
}

/// Returns the classes of characters present: `A-Z`, `a-z`, `0-9`, and `-_` for any other.
fn alphabet(text: &str) -> Vec<u8> {
    let mut alphabet = Vec::new();
    let present: [(&[u8], bool); 4] = [
        (UPPER, text.contains(|c: char| c.is_ascii_uppercase())),
        (LOWER, text.contains(|c: char| c.is_ascii_lowercase())),
        (DIGITS, text.contains(|c: char| c.is_ascii_digit())),
        (OTHER, text.contains(|c: char| !c.is_ascii_alphanumeric())),
    ];
    for (class, _) in present.iter().filter(|(_, present)| *present) {
        alphabet.extend(*class);
    }
    if alphabet.is_empty() {
        alphabet.extend(LOWER.iter().chain(DIGITS));
    }
    alphabet
}

/// Draws one character, every one being equally likely.
fn draw(alphabet: &[u8], random: &mut dyn FnMut(&mut [u8])) -> char {
    let count = alphabet.len();
    let fair = 256 - 256 % count;
    let mut byte = [0];
    // A byte above the last whole round is drawn again; the bound as above.
    for _attempt in 0..64 {
        random(&mut byte);
        if usize::from(byte[0]) < fair {
            break;
        }
    }
    char::from(alphabet[usize::from(byte[0]) % count])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counting() -> impl FnMut(&mut [u8]) {
        let mut next = 0_u8;
        move |bytes| {
            for byte in bytes {
                next = next.wrapping_mul(37).wrapping_add(11);
                *byte = next;
            }
        }
    }

    #[test]
    fn a_surrogate_has_the_form_of_its_secret() {
        for (secret, prefix) in [
            ("sk-ant-api03-AbC123", "sk-ant-"),
            ("ghp_0123456789abcdefABCD", "ghp_"),
            ("github_pat_11AAA", "github_pat_"),
            ("AKIAIOSFODNN7EXAMPLE", "AKIA"),
            ("plainpassword", ""),
            ("p@ss word!", ""),
        ] {
            let surrogate = generate(secret, &mut counting());
            assert_eq!(
                surrogate.chars().count(),
                secret.chars().count(),
                "{secret}"
            );
            assert!(surrogate.starts_with(prefix), "{surrogate}");
            assert_ne!(surrogate, secret);
        }
        assert_eq!(generate("", &mut counting()), "");
        assert!(
            generate("abc", &mut counting())
                .bytes()
                .all(|b| b.is_ascii_lowercase())
        );
    }

    #[test]
    fn a_poor_source_of_randomness_neither_loops_nor_gives_the_secret() {
        assert_ne!(generate("a", &mut |bytes| bytes.fill(0)), "a");
        assert_eq!(generate("bbb", &mut |bytes| bytes.fill(255)).len(), 3);
    }
}
