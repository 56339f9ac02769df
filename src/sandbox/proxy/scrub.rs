//! Responses without real credentials: every form of a value that comes back is replaced by its
//! surrogate's, across the boundaries of pieces, in constant memory, and never waits for more than
//! a match that has begun. Pure; it knows no body and no connection.

pub(super) mod body;
pub mod forms;

use std::sync::Arc;

use aho_corasick::{AhoCorasick, MatchKind};
use bytes::{Bytes, BytesMut};
use http::header::{HeaderMap, HeaderValue};

use crate::sandbox::proxy::scrub::forms::Form;

/// What is looked for in the responses of one run.
#[derive(Clone)]
pub struct Scrubber {
    search: AhoCorasick,
    /// By the search's number of the form.
    surrogates: Vec<Vec<u8>>,
    /// All forms in order, to find those that begin with given bytes.
    sorted: Vec<Vec<u8>>,
    /// Which bytes a form can begin with.
    begins: [bool; 256],
    longest: usize,
}

impl Scrubber {
    /// Returns what looks for each value, to replace it by its surrogate; nothing when there is
    /// nothing to look for.
    pub fn new<'a>(credentials: impl Iterator<Item = (&'a str, &'a str)>) -> Option<Self> {
        let mut all: Vec<Form> = Vec::new();
        for form in credentials.flat_map(|(value, surrogate)| forms::of(value, surrogate)) {
            if all.iter().all(|known| known.real != form.real) {
                all.push(form);
            }
        }
        // Where one begins with another the longer one counts.
        all.sort_by_key(|form| std::cmp::Reverse(form.real.len()));
        let longest = all.first()?.real.len();
        let search = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostFirst)
            .build(all.iter().map(|form| &form.real))
            .ok()?;
        let mut sorted: Vec<Vec<u8>> = all.iter().map(|form| form.real.clone()).collect();
        sorted.sort();
        let mut begins = [false; 256];
        for form in &sorted {
            begins[usize::from(form[0])] = true;
        }
        let surrogates = all.into_iter().map(|form| form.surrogate).collect();
        Some(Self {
            search,
            surrogates,
            sorted,
            begins,
            longest,
        })
    }

    /// Replaces what is found in the values of headers or trailers.
    pub fn scrub_headers(&self, headers: &mut HeaderMap) {
        for value in headers.values_mut() {
            if !self.search.is_match(value.as_bytes()) {
                continue;
            }
            let mut bytes = BytesMut::from(value.as_bytes());
            self.replace_until_end(&mut bytes);
            // Surrogates are visible characters, so that the value stays one.
            *value = HeaderValue::from_maybe_shared(bytes.freeze())
                .unwrap_or_else(|_| HeaderValue::from_static("removed"));
        }
    }

    fn replace_until_end(&self, bytes: &mut [u8]) {
        let found: Vec<_> = self.search.find_iter(&*bytes).collect();
        for found in found {
            let surrogate = &self.surrogates[found.pattern().as_usize()];
            bytes[found.range()].copy_from_slice(surrogate);
        }
    }

    /// Returns the first place from which on the bytes may be the beginning of a form.
    fn unfinished(&self, bytes: &[u8], from: usize) -> usize {
        let earliest = (bytes.len() + 1).saturating_sub(self.longest).max(from);
        let may_begin = |at: &usize| {
            self.begins[usize::from(bytes[*at])] && {
                let rest = &bytes[*at..];
                let next = self.sorted.partition_point(|form| form.as_slice() <= rest);
                let form = self.sorted.get(next);
                form.is_some_and(|form| form.starts_with(rest))
            }
        };
        (earliest..bytes.len())
            .find(may_begin)
            .unwrap_or(bytes.len())
    }
}

/// One stream of bytes that is looked through.
pub struct Scrubbing {
    scrubber: Arc<Scrubber>,
    /// The beginning of what may become a form; shorter than the longest form.
    held: Bytes,
}

impl Scrubbing {
    /// Begins a stream.
    pub fn new(scrubber: Arc<Scrubber>) -> Self {
        let held = Bytes::new();
        Self { scrubber, held }
    }

    /// Takes the next piece and returns what can go on; it may be empty.
    pub fn push(&mut self, piece: Bytes) -> Bytes {
        let mut piece = if self.held.is_empty() {
            piece
        } else {
            let mut joined = BytesMut::with_capacity(self.held.len() + piece.len());
            joined.extend_from_slice(&self.held);
            joined.extend_from_slice(&piece);
            joined.freeze()
        };
        let (found, goes) = self.look(&piece);
        self.held = piece.split_off(goes);
        if found.is_empty() {
            return piece;
        }
        let mut piece = BytesMut::from(piece);
        for (at, form) in found {
            let surrogate = &self.scrubber.surrogates[form];
            piece[at..at + surrogate.len()].copy_from_slice(surrogate);
        }
        piece.freeze()
    }

    /// Returns what was held, at the stream's end.
    pub fn finish(&mut self) -> Bytes {
        let mut rest = BytesMut::from(std::mem::take(&mut self.held));
        self.scrubber.replace_until_end(&mut rest);
        rest.freeze()
    }

    /// Returns how many bytes are held.
    pub fn held_bytes(&self) -> usize {
        self.held.len()
    }

    /// Returns where which forms stand, and how many bytes can go on. A form that has begun before
    /// a complete one may still swallow it, so it is waited for.
    fn look(&self, bytes: &[u8]) -> (Vec<(usize, usize)>, usize) {
        let mut found = Vec::new();
        let mut goes = self.scrubber.unfinished(bytes, 0);
        for complete in self.scrubber.search.find_iter(bytes) {
            if complete.start() >= goes {
                break;
            }
            found.push((complete.start(), complete.pattern().as_usize()));
            if complete.end() > goes {
                goes = self.scrubber.unfinished(bytes, complete.end());
            }
        }
        (found, goes)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn scrubber() -> Arc<Scrubber> {
        let credentials = [
            ("sk-ant-real-value", "sk-ant-surrogate1"),
            ("abcabcabd", "123123124"),
            ("real-value", "other-text"),
        ];
        Arc::new(Scrubber::new(credentials.into_iter()).unwrap())
    }

    fn scrubbed(pieces: &[&[u8]]) -> Vec<u8> {
        let mut scrubbing = Scrubbing::new(scrubber());
        let mut seen = Vec::new();
        for piece in pieces {
            seen.extend_from_slice(&scrubbing.push(Bytes::copy_from_slice(piece)));
        }
        seen.extend_from_slice(&scrubbing.finish());
        seen
    }

    #[track_caller]
    fn check(pieces: &[&str], expected: &str) {
        let pieces: Vec<&[u8]> = pieces.iter().map(|piece| piece.as_bytes()).collect();
        let seen = scrubbed(&pieces);
        assert_eq!(String::from_utf8(seen).unwrap(), expected);
    }

    #[test]
    fn a_value_is_replaced_wherever_pieces_are_cut() {
        let text = "x sk-ant-real-value y";
        for cut in 0..text.len() {
            check(&[&text[..cut], &text[cut..]], "x sk-ant-surrogate1 y");
        }
        let bytes: Vec<String> = text.chars().map(String::from).collect();
        let bytes: Vec<&str> = bytes.iter().map(String::as_str).collect();
        check(&bytes, "x sk-ant-surrogate1 y");
    }

    #[test]
    fn the_longer_of_two_values_counts_across_a_cut() {
        check(&["sk-ant-", "real-value"], "sk-ant-surrogate1");
        check(&["sk-ant-real-valu"], "sk-ant-real-valu");
        check(&["sk-bnt-real-value"], "sk-bnt-other-text");
    }

    #[test]
    fn overlapping_beginnings_are_not_missed() {
        check(&["abcabca", "bcabd"], "abc123123124");
        check(&["abcabcabcabd"], "abc123123124");
    }

    #[test]
    fn text_that_begins_no_value_does_not_wait() {
        let mut scrubbing = Scrubbing::new(scrubber());
        let event = Bytes::from_static(b"data: 1\n\n");
        assert_eq!(scrubbing.push(event.clone()), event);
        assert_eq!(scrubbing.held_bytes(), 0);
        assert_eq!(scrubbing.push(Bytes::from_static(b"data: sk-")), "data: ");
        assert_eq!(scrubbing.held_bytes(), 3);
    }

    #[test]
    fn headers_are_scrubbed() {
        let mut headers = HeaderMap::new();
        let value = HeaderValue::from_static("key=sk-ant-real-value; x");
        headers.insert("x-echo", value);
        headers.append("x-echo", HeaderValue::from_static("innocent"));
        scrubber().scrub_headers(&mut headers);
        let seen: Vec<_> = headers.get_all("x-echo").iter().collect();
        assert_eq!(seen, ["key=sk-ant-surrogate1; x", "innocent"]);
    }

    #[test]
    fn nothing_to_look_for_is_no_scrubber() {
        assert!(Scrubber::new([("short", "other")].into_iter()).is_none());
    }

    proptest! {
        #[test]
        fn cuts_make_no_difference(
            words in proptest::collection::vec("(abc|abd|sk-ant-|real-value|-|x){0,6}", 1..12),
        ) {
            let whole = words.concat();
            let pieces: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
            let in_pieces = scrubbed(&pieces);
            prop_assert_eq!(&in_pieces, &scrubbed(&[whole.as_bytes()]));
            let text = String::from_utf8(in_pieces).unwrap();
            prop_assert!(!text.contains("real-value") && !text.contains("abcabcabd"));
            prop_assert_eq!(text.len(), whole.len());
        }
    }
}
