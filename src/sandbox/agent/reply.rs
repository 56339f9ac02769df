//! Which of the agent's words are the reply (spec row GW-19).

use crate::sandbox::agent::Transcript;
use crate::sandbox::cut::first_bytes;

/// What is said when the agent said nothing.
pub const NO_OUTPUT: &str = "No output received from Claude.";

/// Longest reply, in bytes; the rest of a longer one stays in the log alone, and the reply says so.
pub const REPLY_BYTES_MAX: usize = 1024 * 1024;

/// What stands at the end of a reply that was cut.
const CUT: &str = "\n\n… (the reply was too long; the rest of it was left out)";

/// How many texts before the last one may be the real answer.
const WINDOW: usize = 4;

/// How many times longer than the last text such a one must be.
const RATIO: usize = 4;

/// Returns the reply: several results joined; else the last text, together with a much longer one
/// shortly before it; else the result's own text.
pub fn reply_text(transcript: &Transcript) -> String {
    let reply = whole_reply(transcript);
    if reply.len() < REPLY_BYTES_MAX {
        return reply;
    }
    first_bytes(&reply, REPLY_BYTES_MAX - CUT.len()).to_owned() + CUT
}

fn whole_reply(transcript: &Transcript) -> String {
    let results = || {
        transcript
            .results
            .iter()
            .filter_map(|result| result.text.clone())
    };
    if transcript.results.len() > 1 {
        let joined: Vec<String> = results().filter(|text| !text.trim().is_empty()).collect();
        if !joined.is_empty() {
            return joined.join("\n\n");
        }
    }
    let texts = &transcript.texts;
    let Some(last) = texts.last() else {
        return results()
            .next()
            .filter(|text| !text.is_empty())
            .unwrap_or_else(|| NO_OUTPUT.to_owned());
    };
    let end = texts.len() - 1;
    let start = end.saturating_sub(WINDOW);
    let much_longer = |text: &String| text.len() >= RATIO * last.len();
    let real = texts[start..end]
        .iter()
        .rposition(much_longer)
        .map_or(end, |at| start + at);
    texts[real..].join("\n\n")
}
