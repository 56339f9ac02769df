//! Looking for what was written while no connection was there: in every channel that Airut is in and
//! every thread that it takes part in, from when it was last heard. It judges no message; what it finds is taken in as though
//! Slack had just told it, and what was taken in before is known.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;

use crate::clock;
use crate::events::channel::ChannelCaughtUp;
use crate::events::event::ChannelEvent;
use crate::events::id::{AtMs, ChannelKind};
use crate::handlers::channels::back_off::back_off;
use crate::handlers::channels::slack::SlackChannel;
use crate::handlers::channels::slack::hear::Hearing;
use crate::handlers::channels::slack::incoming::{as_event, message_key};
use crate::handlers::channels::slack::web::WebError;
use crate::handlers::channels::slack::web::reading::Span;
use crate::handlers::intake::IntakeError;
use crate::projections::slack_threads::{Heard, Thread, thread_key};

/// How far before the last moment of a connection is looked, in milliseconds: what was on its way then
/// is older than it.
pub const OVERLAP_MS: u64 = 300_000;

/// Pages of 200 messages that are read of one channel or thread; what is older is told as not looked
/// at.
pub const PAGES_MAX: usize = 5;

/// Channels that are looked into, those first where Airut was spoken to; the others are told as not
/// looked at.
pub const CHANNELS_MAX: usize = 500;

/// Threads that are looked into, the ones heard last; the others are told as not looked at.
pub const THREADS_MAX: usize = 200;

/// Places without a look that are named; of more, the number is told.
pub const BEYOND_NAMED_MAX: usize = 20;

/// Codes that say that nobody writes to Airut in a place any more.
const NO_PLACE: [&str; 5] = [
    "channel_not_found",
    "is_archived",
    "not_in_channel",
    "thread_not_found",
    "message_not_found",
];

/// Why it was not looked for to the end; it is tried again.
#[derive(Debug, thiserror::Error)]
enum CatchUpError {
    #[error(transparent)]
    Web(#[from] WebError),
    #[error(transparent)]
    Intake(#[from] IntakeError),
}

/// What was looked for and found so far.
#[derive(Debug)]
struct Search {
    /// The `ts` from which on it is looked.
    oldest: String,
    found: u32,
    beyond: Vec<String>,
}

impl SlackChannel {
    /// Looks for what was missed before `until`, again and again until that worked; never returns.
    pub(super) async fn catch_up(&self, hearing: &Hearing, until: AtMs) {
        let mut failures = 0;
        while let Err(error) = self.catch_up_once(hearing, until).await {
            failures += 1;
            let repo = &self.repo;
            tracing::warn!(%repo, %error, "what was written meanwhile could not be looked for");
            tokio::time::sleep(pause(&error, back_off(failures, repo, clock::now()))).await;
        }
        std::future::pending::<()>().await;
    }

    async fn catch_up_once(&self, hearing: &Hearing, until: AtMs) -> Result<(), CatchUpError> {
        let heard = self.threads.look(&self.repo, Clone::clone);
        let since = heard.until.map_or(until, |last| {
            AtMs(last.0.saturating_sub(OVERLAP_MS).min(until.0))
        });
        let mut search = Search {
            oldest: ts_of(since),
            found: 0,
            beyond: Vec::new(),
        };
        if heard.until.is_some() {
            self.look_everywhere(hearing, &heard, &mut search).await?;
        }
        let caught_up = ChannelCaughtUp {
            repo: self.repo.clone(),
            channel: ChannelKind::Slack,
            since,
            until,
            found: search.found,
            beyond: named(search.beyond),
        };
        self.report(&hearing.intake, ChannelEvent::CaughtUp(caught_up))
            .await;
        Ok(())
    }

    /// Channels first: a thread that began meanwhile is known from its first message then.
    async fn look_everywhere(
        &self,
        hearing: &Hearing,
        heard: &Heard,
        search: &mut Search,
    ) -> Result<(), CatchUpError> {
        let channels = self.places(heard).await?;
        for channel in channels.iter().take(CHANNELS_MAX) {
            self.look_into(hearing, channel, None, search).await?;
        }
        let beyond = channels.into_iter().skip(CHANNELS_MAX);
        search.beyond.extend(beyond);
        // Looking into the channels may have begun threads.
        let mut threads: Vec<(String, String)> = self.threads.look(&self.repo, |heard| {
            let with_key = |(key, thread): (&String, &_)| last_seen(thread, key);
            heard.threads.iter().map(with_key).collect()
        });
        threads.sort_by(|one, other| other.cmp(one));
        let (within, beyond) = threads.split_at(threads.len().min(THREADS_MAX));
        search
            .beyond
            .extend(beyond.iter().map(|(_, key)| key.clone()));
        for (_, key) in within {
            if let Some((channel, thread)) = key.split_once(':') {
                self.look_into(hearing, channel, Some(thread), search)
                    .await?;
            }
        }
        Ok(())
    }

    /// Returns the channels to look into: where Airut was spoken to before, and then where else it may
    /// have been, as far as the app may ask for that (`channels:read`, `groups:read`, `im:read`).
    async fn places(&self, heard: &Heard) -> Result<Vec<String>, WebError> {
        let allowed = &self.settings.allowed_channels;
        let mut places: Vec<String> = heard.channels.keys().cloned().collect();
        let mut others: BTreeSet<String> = allowed.iter().cloned().collect();
        for kind in ["im", "public_channel", "private_channel"] {
            if kind != "im" && !allowed.is_empty() {
                continue;
            }
            let mut cursor = None::<String>;
            for _ in 0..PAGES_MAX {
                match self.web.own_channels(kind, cursor.as_deref()).await {
                    Ok((ids, next)) => {
                        others.extend(ids);
                        cursor = next;
                    }
                    Err(error) if error.is_permanent() => break,
                    Err(error) => return Err(error),
                }
                if cursor.is_none() {
                    break;
                }
            }
        }
        others.retain(|channel| !heard.channels.contains_key(channel));
        places.extend(others);
        Ok(places)
    }

    /// Looks into a channel, or a thread of it, and takes in what it finds, oldest first.
    async fn look_into(
        &self,
        hearing: &Hearing,
        channel: &str,
        thread: Option<&str>,
        search: &mut Search,
    ) -> Result<(), CatchUpError> {
        let name = || match thread {
            Some(thread) => thread_key(channel, thread),
            None => channel.to_owned(),
        };
        let span = Span {
            oldest: &search.oldest,
            latest: "",
            // What is recorded of a message is what Slack would have told of it.
            with_metadata: false,
        };
        let read = self.web.messages(channel, thread, span, PAGES_MAX).await;
        let (mut messages, is_whole) = match read {
            Ok(read) => read,
            Err(error) if is_no_place(&error) => return Ok(()),
            Err(error) if error.is_permanent() => {
                search.beyond.push(name());
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        if !is_whole {
            search.beyond.push(name());
        }
        messages.retain(|message| ts(message) >= search.oldest.as_str());
        messages.sort_by(|one, other| ts(one).cmp(ts(other)));
        for message in messages {
            // Of the overlap most was heard: it needs no record that it was met again.
            let key = message_key((&hearing.channel.repo, &hearing.own), channel, ts(&message));
            if hearing.intake.known(&key).is_some() {
                continue;
            }
            let taken = hearing.take_in(&as_event(channel, &message)).await?;
            if taken.is_some_and(|receipt| !receipt.duplicate) {
                search.found += 1;
            }
        }
        Ok(())
    }
}

fn last_seen(thread: &Thread, key: &str) -> (String, String) {
    (thread.last_seen.clone(), key.to_owned())
}

fn ts(message: &Value) -> &str {
    message["ts"].as_str().unwrap_or_default()
}

fn is_no_place(error: &WebError) -> bool {
    error.code().is_some_and(|code| NO_PLACE.contains(&code))
}

/// Slack's own word on when to come again counts more.
fn pause(error: &CatchUpError, back_off: Duration) -> Duration {
    match error {
        CatchUpError::Web(WebError::RateLimited { retry_after }) => back_off.max(*retry_after),
        CatchUpError::Web(_) | CatchUpError::Intake(_) => back_off,
    }
}

/// Returns a time as Slack numbers messages.
fn ts_of(at: AtMs) -> String {
    format!("{:010}.{:03}000", at.0 / 1_000, at.0 % 1_000)
}

fn named(mut beyond: Vec<String>) -> Vec<String> {
    let left_out = beyond.len().saturating_sub(BEYOND_NAMED_MAX);
    beyond.truncate(BEYOND_NAMED_MAX);
    if left_out > 0 {
        beyond.push(format!("and {left_out} more"));
    }
    beyond
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_becomes_a_number_of_slacks_that_orders_alike() {
        assert_eq!(ts_of(AtMs(1_795_442_646_007)), "1795442646.007000");
        assert!(ts_of(AtMs(999)) < ts_of(AtMs(1_000)));
    }

    #[test]
    fn places_without_a_look_are_named_up_to_a_limit_and_then_counted() {
        let places = |count: usize| -> Vec<String> { (0..count).map(|n| n.to_string()).collect() };
        for count in [BEYOND_NAMED_MAX - 1, BEYOND_NAMED_MAX] {
            assert_eq!(named(places(count)), places(count));
        }
        let over = named(places(BEYOND_NAMED_MAX + 1));
        assert_eq!(over.last().map(String::as_str), Some("and 1 more"));
        assert_eq!(over.len(), BEYOND_NAMED_MAX + 1);
    }
}
