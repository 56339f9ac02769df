//! Patterns as the allowlist knows them (spec row NET-17): with `*` or `?` a shell glob over the
//! whole text, where `*` also crosses `/` and `.` and `[...]` is a class; otherwise plain equality.

/// Returns whether `text` matches `pattern`, letters taken as written.
pub fn matches(pattern: &str, text: &str) -> bool {
    if is_glob(pattern) {
        matches_as_glob(pattern, text)
    } else {
        pattern == text
    }
}

/// Returns whether `text` matches `pattern`, whose classes count although it has no `*` or `?`.
pub fn matches_as_glob(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    glob(&pattern, &text)
}

/// Returns whether `text` matches `pattern`, ASCII letters taken without case.
pub fn matches_ignoring_case(pattern: &str, text: &str) -> bool {
    if is_glob(pattern) {
        matches_as_glob(&pattern.to_ascii_lowercase(), &text.to_ascii_lowercase())
    } else {
        pattern.eq_ignore_ascii_case(text)
    }
}

/// Returns whether a pattern is a glob.
pub fn is_glob(pattern: &str) -> bool {
    pattern.contains(['*', '?'])
}

/// Matches in time proportional to the product of the lengths: on a mismatch only the last `*`
/// takes one more character.
fn glob(pattern: &[char], text: &[char]) -> bool {
    let (mut at, mut read) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while read < text.len() {
        if pattern.get(at) == Some(&'*') {
            star = Some((at, read));
            at += 1;
        } else if let Some(next) = one(&pattern[at..], text[read]) {
            at += next;
            read += 1;
        } else if let Some((star_at, star_read)) = star {
            star = Some((star_at, star_read + 1));
            (at, read) = (star_at + 1, star_read + 1);
        } else {
            return false;
        }
    }
    pattern[at..].iter().all(|rest| *rest == '*')
}

/// Returns how many characters of the pattern match this one character of the text.
fn one(pattern: &[char], character: char) -> Option<usize> {
    match pattern.first()? {
        '?' => Some(1),
        '[' => match class(&pattern[1..], character) {
            Some((true, length)) => Some(length + 1),
            Some((false, _)) => None,
            None => (character == '[').then_some(1),
        },
        literal => (*literal == character).then_some(1),
    }
}

/// Returns whether a class contains the character, and its length with the closing bracket;
/// nothing when it is not closed.
fn class(pattern: &[char], character: char) -> Option<(bool, usize)> {
    let negated = pattern.first() == Some(&'!');
    let start = usize::from(negated);
    // A closing bracket in the first place is a member.
    let close = pattern.iter().skip(start + 1).position(|c| *c == ']')? + start + 1;
    let members = &pattern[start..close];
    let mut contained = false;
    let mut at = 0;
    while at < members.len() {
        if at + 2 < members.len() && members[at + 1] == '-' {
            contained |= (members[at]..=members[at + 2]).contains(&character);
            at += 3;
        } else {
            contained |= members[at] == character;
            at += 1;
        }
    }
    Some((contained != negated, close + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, matching: &[&str], other: &[&str]) {
        for text in matching {
            assert!(matches(pattern, text), "{pattern} must match {text}");
        }
        for text in other {
            assert!(!matches(pattern, text), "{pattern} must not match {text}");
        }
    }

    #[test]
    fn patterns_match_the_whole_text() {
        check(
            "api.github.com",
            &["api.github.com"],
            &["xapi.github.com", "api.github.com.evil"],
        );
        check(
            "*.github.com",
            &["api.github.com", "a.b.github.com"],
            &["github.com", "evil-github.com"],
        );
        check("/v1/*", &["/v1/", "/v1/a/b?c=d"], &["/v1", "/v2/", "x/v1/"]);
        check("/a?c", &["/abc", "/a/c"], &["/ac", "/abbc"]);
        check("*", &["", "anything"], &[]);
        check("", &[""], &["x"]);
        check("a*b*c", &["abc", "aXbYbZc"], &["ab", "acb"]);
    }

    #[test]
    fn classes_count_only_within_globs() {
        check("[ab]", &["[ab]"], &["a"]);
        check("[ab]*", &["a", "bx"], &["[ab]", "cx"]);
        check("[!ab]?", &["cx"], &["ax"]);
        check("[a-c]*", &["b"], &["d"]);
        check("[]x]*", &["]", "x"], &["y"]);
        check("[*", &["[", "[x"], &["x"]);
    }

    #[test]
    fn a_hostile_pattern_takes_bounded_time() {
        let pattern = format!("{}b", "a*".repeat(200));
        assert!(!matches(&pattern, &"a".repeat(4000)));
    }

    proptest::proptest! {
        #[test]
        fn any_pattern_meets_any_text(pattern in "[*?\\[\\]!a-c-]{0,200}", text in "[a-c]{0,2000}") {
            let _either = matches(&pattern, &text);
        }
    }
}
