//! Slack's rate limits: so many calls of a method a minute, and one message a second and channel.

use std::collections::{BTreeMap, VecDeque};

use super::options::Options;

/// How often a method may be called.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Tier {
    /// 20 a minute.
    Two,
    /// 50 a minute.
    Three,
    /// 100 a minute.
    Four,
    /// So many a minute.
    Special(usize),
    /// One message a second and channel, with short bursts.
    Posting,
}

impl Tier {
    fn per_minute(self) -> usize {
        match self {
            Self::Two => 20,
            Self::Three => 50,
            Self::Four => 100,
            Self::Special(count) => count,
            // Several hundred a minute in a whole workspace.
            Self::Posting => 600,
        }
    }
}

/// What was called when.
#[derive(Debug, Default)]
pub(crate) struct Limits {
    calls: BTreeMap<String, VecDeque<u64>>,
    /// For each channel, when its next message would be due if they came one a second.
    posts: BTreeMap<String, u64>,
}

impl Limits {
    /// Counts a call. Says after how many seconds to try again, if it is one too many.
    pub(crate) fn count(
        &mut self,
        options: &Options,
        method: &str,
        tier: Tier,
        channel: Option<&str>,
        now_ms: u64,
    ) -> Result<(), u64> {
        if !options.limits {
            return Ok(());
        }
        let calls = self.calls.entry(method.to_owned()).or_default();
        while calls
            .front()
            .is_some_and(|&at| at + options.minute_ms <= now_ms)
        {
            calls.pop_front();
        }
        if calls.len() >= tier.per_minute() {
            let first = calls.front().copied().unwrap_or(now_ms);
            return Err(seconds(first + options.minute_ms - now_ms));
        }
        if let (Tier::Posting, Some(channel)) = (tier, channel) {
            let due = self.posts.entry(channel.to_owned()).or_insert(now_ms);
            let ahead = (*due).saturating_sub(now_ms);
            let burst = u64::from(options.post_burst.saturating_sub(1)) * options.post_every_ms;
            if ahead > burst {
                return Err(seconds(ahead - burst));
            }
            *due = (*due).max(now_ms) + options.post_every_ms;
        }
        calls.push_back(now_ms);
        Ok(())
    }
}

/// Whole seconds, at least one: that is all `Retry-After` can say.
fn seconds(ms: u64) -> u64 {
    ms.div_ceil(1_000).max(1)
}
