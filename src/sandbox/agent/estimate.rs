//! What a run used that ended without saying so: the sum over its messages, at list prices. It is the
//! least that it can be, since a message names its output tokens only when it is complete. Pure.

use std::collections::VecDeque;

use serde_json::Value;

use crate::events::conversation::TokenUsage;
use crate::sandbox::agent::usage::token_usage;
use crate::sandbox::cut::first_chars;

/// Messages that are recognised when another line of theirs comes; an older one would count twice.
const MESSAGES_MAX: usize = 32;

/// Longest id of a message; a longer one is cut.
const ID_CHARS_MAX: usize = 64;

/// List prices in millionths of a dollar for a thousand tokens: input, output, written to the cache,
/// read from it. They are those with which Claude Code 2.1 sums up its runs.
const PRICES: [(&str, [u64; 4]); 7] = [
    ("claude-opus-5", [4_000, 20_000, 5_000, 200]),
    ("claude-opus-4-1", [15_000, 75_000, 18_750, 1_500]),
    ("claude-opus-4-0", [15_000, 75_000, 18_750, 1_500]),
    ("claude-opus", [5_000, 25_000, 6_250, 500]),
    ("claude-sonnet-5", [2_000, 10_000, 2_500, 100]),
    ("claude-sonnet", [3_000, 15_000, 3_750, 300]),
    ("claude-haiku", [1_000, 5_000, 1_250, 100]),
];

/// A sum over messages.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Estimate {
    usage: TokenUsage,
    /// Billionths of a dollar, so that nothing is lost in rounding before the end.
    cost_nanousd: u64,
    turns: u32,
    messages: VecDeque<String>,
}

impl Estimate {
    /// Takes an `assistant` line in; several lines may be of one message.
    pub(super) fn observe(&mut self, event: &Value) {
        let message = &event["message"];
        let id = first_chars(message["id"].as_str().unwrap_or_default(), ID_CHARS_MAX);
        if id.is_empty() || self.messages.iter().any(|known| known == id) {
            return;
        }
        if self.messages.len() == MESSAGES_MAX {
            self.messages.pop_front();
        }
        self.messages.push_back(id.to_owned());
        // What was done on the web, the result counts.
        let used = TokenUsage {
            web_searches: 0,
            web_fetches: 0,
            ..token_usage(&message["usage"])
        };
        let model = message["model"].as_str().unwrap_or_default();
        self.cost_nanousd = self.cost_nanousd.saturating_add(cost_nanousd(model, used));
        self.turns = self.turns.saturating_add(1);
        self.usage.add(used);
    }

    /// Returns tokens, cost in millionths of a dollar, and turns.
    pub(super) fn sum(&self) -> (TokenUsage, u64, u32) {
        (self.usage, self.cost_nanousd.div_ceil(1000), self.turns)
    }
}

/// A model that is not listed costs nothing: no price is better than an invented one.
fn cost_nanousd(model: &str, used: TokenUsage) -> u64 {
    let listed = PRICES.iter().find(|(prefix, _)| model.starts_with(prefix));
    let Some((_, prices)) = listed else {
        return 0;
    };
    let counts = [
        used.input,
        used.output,
        used.cache_creation,
        used.cache_read,
    ];
    let costs = counts.iter().zip(prices);
    costs.fold(0, |sum: u64, (count, price)| {
        sum.saturating_add(count.saturating_mul(*price))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tokens of input, output, written and read cache, and what Claude Code said that they cost.
    #[test]
    fn the_prices_are_those_with_which_claude_code_sums_up() {
        for (model, counts, cost_microusd) in [
            ("claude-opus-5-5", [10, 20, 120, 3000], 1640),
            ("claude-sonnet-5-5", [10, 20, 120, 3000], 820),
            ("claude-sonnet-4-5", [80, 160, 960, 24_000], 13_440),
            ("claude-opus-4-8", [10, 20, 5, 7], 585),
            ("claude-unheard-of", [10, 20, 5, 7], 0),
        ] {
            let [input, output, written, read] = counts;
            let usage = serde_json::json!({"input_tokens": input, "output_tokens": output,
                "cache_creation_input_tokens": written, "cache_read_input_tokens": read});
            let mut estimate = Estimate::default();
            let message = serde_json::json!({"id": "m", "model": model, "usage": usage});
            let line = serde_json::json!({"message": message});
            estimate.observe(&line);
            // A message comes in as many lines as it has parts.
            estimate.observe(&line);
            assert_eq!(
                (estimate.sum().1, estimate.sum().2),
                (cost_microusd, 1),
                "{model}"
            );
        }
    }
}
