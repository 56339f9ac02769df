//! Any bytes as an HTTP/1 request: however they are cut into pieces, they are judged the same, and what
//! is accepted has none of what another server could cut apart differently.
#![no_main]

use airut::sandbox::proxy::strict::chunks::Chunks;
use airut::sandbox::proxy::strict::head::{self, Framing, Progress};
use libfuzzer_sys::fuzz_target;

/// Beyond limits only the status differs, by how much of a head had come.
const BYTES_MAX: usize = 8 * 1024;

fuzz_target!(|bytes: &[u8]| {
    let bytes = &bytes[..bytes.len().min(BYTES_MAX)];
    let end = Progress::default().end(bytes);
    let mut progress = Progress::default();
    let in_pieces = (0..=bytes.len()).find_map(|arrived| {
        let end = progress.end(&bytes[..arrived]);
        (end != Ok(None)).then_some(end)
    });
    assert_eq!(in_pieces.unwrap_or(Ok(None)), end);
    let Ok(Some(end)) = end else { return };
    let (first, rest) = bytes.split_at(end);
    let Ok(read) = head::read(first) else { return };
    let newlines = first.iter().filter(|byte| **byte == b'\n').count();
    let pairs = first.windows(2).filter(|pair| *pair == b"\r\n").count();
    let returns = first.iter().filter(|byte| **byte == b'\r').count();
    assert_eq!((newlines, returns), (pairs, pairs));
    assert!(!first.contains(&0));
    if read.framing == Framing::Chunked {
        check_chunks(rest);
    }
});

/// A body that is accepted whole is accepted byte by byte, and ends at the same place.
fn check_chunks(bytes: &[u8]) {
    let mut whole = Chunks::new();
    let Ok(length) = whole.pass(bytes) else {
        return;
    };
    let (mut chunks, mut waiting, mut passed) = (Chunks::new(), Vec::new(), 0);
    for byte in bytes {
        if chunks.is_complete() {
            break;
        }
        waiting.push(*byte);
        let some = chunks.pass(&waiting).expect("it was accepted whole");
        drop(waiting.drain(..some));
        passed += some;
    }
    assert_eq!(
        (passed, chunks.is_complete()),
        (length, whole.is_complete())
    );
}
