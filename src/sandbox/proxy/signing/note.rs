//! What is known of a signature that was made anew, told where it helps: a clock that is off in the
//! decision, the rest when upstream refuses it. It holds no secret. Pure.

use serde::{Deserialize, Serialize};

use crate::sandbox::proxy::escape::escape_cut;
use crate::sandbox::proxy::signing::Place;

/// How far a signature's time may be off before that is told, in seconds: AWS refuses it then
/// (spec row SEC-12).
const SKEW_SECONDS_MAX: u64 = 300;

/// Longest part of a note, in bytes; the rest is cut, and said to be.
const PART_BYTES_MAX: usize = 512;

/// Longest code that is read from a refusal, in bytes; a longer one is none.
pub const CODE_BYTES_MAX: usize = 64;

/// One signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SigningNote {
    /// The credential's name.
    pub credential: String,
    /// Its algorithm, for example `AWS4-HMAC-SHA256`.
    pub algorithm: String,
    /// Day, region and service, as they were signed.
    pub scope: String,
    /// Names of the signed headers.
    pub signed_headers: String,
    /// What stands for the body: its digest, or the words that say how it is signed.
    pub payload: String,
    /// SHA-256 of the canonical request, as upstream has to come to it.
    pub canonical_sha256: String,
    /// A clock that is off, in words.
    pub skew: Option<String>,
}

impl SigningNote {
    /// Cuts what the agent wrote to what a note may hold.
    pub fn new(parts: [&str; 6]) -> Self {
        let [
            credential,
            algorithm,
            scope,
            signed_headers,
            payload,
            canonical_sha256,
        ] = parts.map(|part| escape_cut(part.as_bytes(), PART_BYTES_MAX));
        Self {
            credential,
            algorithm,
            scope,
            signed_headers,
            payload,
            canonical_sha256,
            skew: None,
        }
    }
}

/// Returns in words how far a signature's time, `20260101T000000Z`, is from `now_ms`, if that is too
/// far. A presigned URL may be old: how long it is good for is another part of it.
pub(super) fn skew(timestamp: &str, place: Place, now_ms: u64) -> Option<String> {
    let (signed, now) = (seconds(timestamp)?, now_ms / 1000);
    let off = signed.abs_diff(now);
    if off <= SKEW_SECONDS_MAX || (signed < now && place == Place::Query) {
        return None;
    }
    let direction = if signed < now { "behind" } else { "ahead of" };
    Some(format!(
        "aws-clock-skew: signed {off} s {direction} this machine's clock"
    ))
}

/// Returns seconds since the Unix epoch; nothing for what is no time since then.
fn seconds(timestamp: &str) -> Option<u64> {
    let number = |from: usize, to: usize| timestamp.get(from..to)?.parse::<u64>().ok();
    let (year, month, day) = (number(0, 4)?, number(4, 6)?, number(6, 8)?);
    let (hour, minute, second) = (number(9, 11)?, number(11, 13)?, number(13, 15)?);
    if year < 1970 || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // Years begin in March, so that the day that is not in every year is the last one.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1;
    // Days from the first of March of the year 0 to the Unix epoch.
    let days = days.checked_sub(719_468)?;
    Some(((days * 24 + hour) * 60 + minute) * 60 + second)
}

/// Returns the code of AWS's refusal, in its form of XML or of JSON.
pub fn code_in(body: &str) -> Option<&str> {
    let after = |before: &str| {
        let (_, rest) = body.split_once(before)?;
        let rest = rest.trim_start_matches([' ', ':', '"']);
        code_of(rest.split(['<', '"']).next()?)
    };
    let names = ["<Code>", "\"__type\"", "\"code\"", "\"Code\""];
    names.into_iter().find_map(after)
}

/// Returns the code in a value such as `aws.auth#ExpiredToken:http://…`.
pub fn code_of(value: &str) -> Option<&str> {
    let value = value.split(':').next()?.rsplit('#').next()?.trim();
    let plain = value
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'.');
    (plain && !value.is_empty() && value.len() <= CODE_BYTES_MAX).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_the_calendar_has_them() {
        for (timestamp, expected) in [
            ("19700101T000000Z", Some(0)),
            ("20000229T235959Z", Some(951_868_799)),
            ("20150830T123600Z", Some(1_440_938_160)),
            ("20260301T000000Z", Some(1_772_323_200)),
            ("19691231T235959Z", None),
            ("20261301T000000Z", None),
            ("2026", None),
        ] {
            assert_eq!(seconds(timestamp), expected, "{timestamp}");
        }
    }

    #[test]
    fn a_clock_that_is_off_is_told_beyond_five_minutes() {
        let told = |place, now: u64| skew("20150830T123600Z", place, now * 1000);
        let signed = 1_440_938_160;
        for off in [0, 299, 300] {
            assert_eq!(told(Place::Header, signed + off), None, "{off}");
            assert_eq!(told(Place::Header, signed - off), None, "{off}");
        }
        let behind = told(Place::Header, signed + 301).unwrap();
        assert_eq!(
            behind,
            "aws-clock-skew: signed 301 s behind this machine's clock"
        );
        let ahead = told(Place::Header, signed - 301).unwrap();
        assert_eq!(
            ahead,
            "aws-clock-skew: signed 301 s ahead of this machine's clock"
        );
        assert_eq!(
            told(Place::Query, signed + 86_400),
            None,
            "a URL may be old"
        );
        assert!(told(Place::Query, signed - 301).is_some());
    }

    #[test]
    fn a_refusal_tells_its_code() {
        for (body, code) in [
            (
                "<Error><Code>SignatureDoesNotMatch</Code>",
                Some("SignatureDoesNotMatch"),
            ),
            (
                r#"{"__type":"com.amazon.coral#ExpiredTokenException"}"#,
                Some("ExpiredTokenException"),
            ),
            (
                r#"{"message":"no","code" : "AccessDenied"}"#,
                Some("AccessDenied"),
            ),
            ("<Code>a b</Code>", None),
            ("<Code>", None),
            ("<html>", None),
        ] {
            assert_eq!(code_in(body), code, "{body}");
        }
        let at = "x".repeat(CODE_BYTES_MAX);
        assert_eq!(code_of(&at), Some(&*at));
        assert_eq!(code_of(&at[1..]), Some(&at[1..]));
        assert_eq!(code_of(&format!("{at}x")), None);
        assert_eq!(
            code_of("InvalidSignatureException:http://a.test/"),
            Some("InvalidSignatureException")
        );
    }

    #[test]
    fn a_note_holds_no_more_than_it_may() {
        let long = "a".repeat(PART_BYTES_MAX + 1);
        let note = SigningNote::new([&long[..PART_BYTES_MAX], &long, "", "", "", ""]);
        assert_eq!(note.credential.len(), PART_BYTES_MAX);
        assert!(note.algorithm.ends_with('…'));
    }
}
