//! Taking mail in, for ever: durable first, deleted afterwards, then waiting for the next.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::clock::{self, Stopwatch};
use crate::events::channel::{ChannelConnected, ChannelStopped};
use crate::events::event::ChannelEvent;
use crate::events::id::ChannelKind;
use crate::handlers::channels::back_off::{BACK_OFF_FIRST, back_off, degraded, guarded};
use crate::handlers::channels::email::EmailChannel;
use crate::handlers::channels::email::imap::{ImapError, Mailbox};
use crate::handlers::channels::email::notes::Notes;
use crate::handlers::intake::{Intake, IntakeError};

/// Longest wait for a push before the mailbox is searched all the same.
const IDLE_WAIT_MAX: Duration = Duration::from_secs(300);
/// Pause before a connection that has grown old is made anew.
const RECONNECT_AFTER: Duration = Duration::from_secs(1);
/// Most tries of one connection, whatever `imap.connect_retries` says; then the failure is told.
const CONNECT_TRIES_MAX: u32 = 10;
/// Longest pause between the tries of one connection.
const CONNECT_PAUSE_MAX: Duration = Duration::from_secs(8);

/// Why listening was interrupted; it begins again after a pause.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The mailbox.
    #[error(transparent)]
    Imap(#[from] ImapError),
    /// The log or the bodies; the mail stays where it lies.
    #[error(transparent)]
    Intake(#[from] IntakeError),
    /// A panic, which is a defect; it ends what was being done and nothing more.
    #[error("reading mail failed; this is a defect of Airut")]
    Defect,
}

impl EmailChannel {
    /// Listens until `stop` is cancelled. What is cut off in the middle is met again at the next
    /// start, and then known by its number in the mailbox.
    pub(super) async fn listen_for_ever(&self, intake: &Intake, stop: &CancellationToken) {
        let (mut failures, mut notes) = (0, Notes::default());
        while !stop.is_cancelled() {
            let mut was_drained = false;
            let listening = Box::pin(self.listen_once(intake, &mut notes, &mut was_drained));
            let interrupted = tokio::select! {
                () = stop.cancelled() => break,
                ended = guarded(listening, ListenError::Defect) => ended,
            };
            // A connection that only fails once mail is read from it is no success.
            failures = if was_drained { 1 } else { failures + 1 };
            let pause = match interrupted {
                Ok(()) => RECONNECT_AFTER,
                Err(ListenError::Intake(IntakeError::Closed)) => {
                    // Mail waits in the mailbox for the next start.
                    stop.cancelled().await;
                    break;
                }
                Err(error) => {
                    let pause = back_off(failures, &self.repo, clock::now());
                    self.report_degraded(intake, &error, failures, pause).await;
                    pause
                }
            };
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
        tracing::warn!(repo = %self.repo, %error, failures, "the mailbox is not listened to");
        let degraded = degraded(
            (&self.repo, ChannelKind::Email),
            error,
            failures,
            (clock::now(), pause),
        );
        self.report(intake, ChannelEvent::Degraded(degraded)).await;
    }

    pub(super) async fn report(&self, intake: &Intake, event: ChannelEvent) {
        if let Err(error) = intake.channel_event(event).await {
            tracing::error!(repo = %self.repo, %error, "the mailbox's state cannot be recorded");
        }
    }

    /// Connects; what may pass by itself is tried again at once before it counts as failed.
    async fn connect(&self) -> Result<Mailbox, ImapError> {
        let tries = self.email.imap.connect_retries.min(CONNECT_TRIES_MAX);
        for attempt in 1..tries {
            match Mailbox::open(&self.email, &self.trust, &self.sign_in).await {
                Err(error @ (ImapError::Connect { .. } | ImapError::Slow(_))) => {
                    tracing::debug!(repo = %self.repo, %error, attempt, "no connection");
                    let pause = BACK_OFF_FIRST.saturating_mul(1 << (attempt - 1));
                    tokio::time::sleep(pause.min(CONNECT_PAUSE_MAX)).await;
                }
                opened => return opened,
            }
        }
        Mailbox::open(&self.email, &self.trust, &self.sign_in).await
    }

    /// Connects and takes mail in until something fails or the connection is old.
    async fn listen_once(
        &self,
        intake: &Intake,
        notes: &mut Notes,
        was_drained: &mut bool,
    ) -> Result<(), ListenError> {
        let imap = &self.email.imap;
        let mut mailbox = self.connect().await?;
        notes.open(mailbox.uid_validity());
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
        self.sweep(&mut mailbox, intake, notes).await?;
        while age.elapsed() < age_max {
            self.drain(&mut mailbox, intake, notes).await?;
            *was_drained = true;
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn gap_45_a_panic_is_a_failure_and_not_the_end_of_listening() {
        let panics = async { Err(panic_now()) };
        assert!(matches!(
            guarded(panics, ListenError::Defect).await,
            Err(ListenError::Defect)
        ));
    }

    fn panic_now() -> ListenError {
        panic!("as a defect would")
    }
}
