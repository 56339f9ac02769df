//! Taking mail in, for ever: durable first, deleted afterwards, then waiting for the next.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::clock::{self, Stopwatch};
use crate::events::channel::{ChannelConnected, ChannelDegraded, ChannelStopped};
use crate::events::event::ChannelEvent;
use crate::events::id::{AtMs, ChannelKind, Sha256};
use crate::events::message::MessageSource;
use crate::handlers::barrier;
use crate::handlers::channels::Incoming;
use crate::handlers::channels::email::headers::Headers;
use crate::handlers::channels::email::imap::{FOLDER, ImapError, Kept, Mailbox};
use crate::handlers::channels::email::{EmailChannel, TOO_LONG_HEADER, parse};
use crate::handlers::intake::{Intake, IntakeError};

/// Longest wait for a push before the mailbox is searched all the same.
const IDLE_WAIT_MAX: Duration = Duration::from_secs(300);
/// First pause after a failure; it doubles with each further one.
const BACK_OFF_FIRST: Duration = Duration::from_secs(1);
/// Longest pause after failures; there is no last try.
const BACK_OFF_MAX: Duration = Duration::from_secs(300);

/// Why listening was interrupted; it begins again after a pause.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The mailbox.
    #[error(transparent)]
    Imap(#[from] ImapError),
    /// The log or the bodies; the mail stays where it lies.
    #[error(transparent)]
    Intake(#[from] IntakeError),
}

impl EmailChannel {
    /// Listens until `stop` is cancelled. What is cut off in the middle is met again at the next
    /// start, and then known by its number in the mailbox.
    pub(super) async fn listen_for_ever(&self, intake: &Intake, stop: &CancellationToken) {
        let mut failures = 0;
        while !stop.is_cancelled() {
            let mut was_connected = false;
            let interrupted = tokio::select! {
                () = stop.cancelled() => break,
                ended = self.listen_once(intake, &mut was_connected) => ended,
            };
            failures = if was_connected { 1 } else { failures + 1 };
            let pause = back_off(failures, clock::now().0);
            if let Err(error) = interrupted {
                self.report_degraded(intake, &error, failures, pause).await;
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
        let stopped = ChannelStopped {
            repo: self.repo.clone(),
            channel: ChannelKind::Email,
        };
        self.report(intake, ChannelEvent::Stopped(stopped)).await;
    }

    async fn report_degraded(
        &self,
        intake: &Intake,
        error: &ListenError,
        failures: u32,
        pause: Duration,
    ) {
        let pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
        tracing::warn!(repo = %self.repo, %error, failures, "the mailbox is not listened to");
        let degraded = ChannelDegraded {
            repo: self.repo.clone(),
            channel: ChannelKind::Email,
            error: error.to_string(),
            failures,
            retry_at: AtMs(clock::now().0.saturating_add(pause_ms)),
        };
        self.report(intake, ChannelEvent::Degraded(degraded)).await;
    }

    async fn report(&self, intake: &Intake, event: ChannelEvent) {
        if let Err(error) = intake.channel_event(event).await {
            tracing::error!(repo = %self.repo, %error, "the mailbox's state cannot be recorded");
        }
    }

    /// Connects and takes mail in until something fails or the connection is old.
    async fn listen_once(
        &self,
        intake: &Intake,
        was_connected: &mut bool,
    ) -> Result<(), ListenError> {
        let imap = &self.email.imap;
        let mut mailbox = Mailbox::open(&self.email, &self.trust).await?;
        *was_connected = true;
        let uses_idle = imap.use_idle && mailbox.has_idle();
        let mode = if uses_idle {
            "idle".to_owned()
        } else {
            format!("poll {} s", imap.poll_interval_s)
        };
        let connected = ChannelConnected {
            repo: self.repo.clone(),
            channel: ChannelKind::Email,
            endpoint: format!("{}:{}", imap.server, imap.port),
            mode,
        };
        self.report(intake, ChannelEvent::Connected(connected))
            .await;
        let age = Stopwatch::start();
        let age_max = Duration::from_secs_f64(imap.idle_reconnect_interval_s);
        let mut left = BTreeSet::new();
        while age.elapsed() < age_max {
            self.drain(&mut mailbox, intake, &mut left).await?;
            if mailbox.has_news() {
                continue;
            }
            if uses_idle {
                mailbox = mailbox.idle(IDLE_WAIT_MAX.min(age_max)).await?;
            } else {
                tokio::time::sleep(Duration::from_secs_f64(imap.poll_interval_s)).await;
                mailbox.poll().await?;
            }
        }
        Ok(())
    }

    /// Takes everything in that lies in the mailbox. What is too long is recorded and left where
    /// it is (`left` keeps it from being met again and again): it is not ours to throw away.
    async fn drain(
        &self,
        mailbox: &mut Mailbox,
        intake: &Intake,
        left: &mut BTreeSet<u32>,
    ) -> Result<(), ListenError> {
        for uid in mailbox.uids().await? {
            if left.contains(&uid) {
                continue;
            }
            let Some(kept) = mailbox.fetch(uid).await? else {
                continue;
            };
            let is_too_long = kept.too_long.is_some();
            let receipt = intake.receive(self.incoming(kept)).await?;
            if is_too_long {
                left.insert(uid);
                continue;
            }
            mailbox.delete(uid).await?;
            barrier::barrier("mail-deleted");
            if let Err(error) = intake.source_acknowledged(receipt.inbound).await {
                tracing::warn!(repo = %self.repo, %error, "a deletion could not be recorded");
            }
        }
        Ok(())
    }

    fn incoming(&self, kept: Kept) -> Incoming {
        let Kept {
            uid_validity,
            uid,
            mut raw,
            too_long,
        } = kept;
        let headers = Headers::of(&raw);
        let digest = Sha256::of(&raw);
        if let Some(bytes) = too_long {
            raw = [format!("{TOO_LONG_HEADER}: {bytes}\r\n").into_bytes(), raw].concat();
        }
        let (user, server) = (&self.email.username, &self.email.imap.server);
        let header = |name| headers.first(name).unwrap_or_default();
        let message_id = message_id_for_key(header("message-id"));
        Incoming {
            repo: self.repo.clone(),
            channel: ChannelKind::Email,
            source: MessageSource::Mailbox {
                folder: FOLDER.to_owned(),
                uid_validity,
                uid,
            },
            // Not the number: a mailbox that was rebuilt gives the same mail another one.
            dedupe_key: format!("mail:{user}@{server}:{message_id}#{digest}"),
            claimed_sender: parse::one_line(header("from")),
            title: parse::content(&headers_only(&raw)).subject,
            raw,
            media_type: "message/rfc822".to_owned(),
        }
    }
}

/// Longest part of a `Message-ID` in a deduplication key, in characters; the digest beside it tells
/// mails apart in any case.
const KEY_ID_MAX: usize = 200;

fn message_id_for_key(header: &str) -> String {
    parse::one_line(header).chars().take(KEY_ID_MAX).collect()
}

/// The part of a mail that the title is read from; the whole would be parsed twice.
fn headers_only(raw: &[u8]) -> Vec<u8> {
    let end = raw.windows(4).position(|window| window == b"\r\n\r\n");
    raw[..end.map_or(raw.len(), |end| end + 4)].to_vec()
}

/// Doubles up to the limit, and spreads so that many mailboxes do not come back at once.
fn back_off(failures: u32, seed: u64) -> Duration {
    let doubled = BACK_OFF_FIRST.saturating_mul(1 << failures.saturating_sub(1).min(16));
    let limited = doubled.min(BACK_OFF_MAX);
    limited.mul_f64(0.75 + 0.25 * f64::from(u8::try_from(seed % 256).unwrap_or(0)) / 255.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_grows_and_has_a_limit() {
        let pauses: Vec<u128> = [1, 2, 5, 9, 60]
            .map(|n| back_off(n, 255).as_millis())
            .to_vec();
        assert_eq!(pauses, [1_000, 2_000, 16_000, 256_000, 300_000]);
        assert_eq!(back_off(1, 0).as_millis(), 750);
    }
}
