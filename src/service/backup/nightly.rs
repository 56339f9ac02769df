//! The backup that the daemon takes by itself once a day, and the drill that restores it on trial.
//! What it came to is an event, also when it failed; whether one is due is read from those.

use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Time;
use jiff::tz::TimeZone;
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::config::types::{Backup, TimeOfDay};
use crate::events::Event;
use crate::events::event::ServiceEvent;
use crate::events::id::{AtMs, StreamId, StreamVersion};
use crate::events::log::{Append, AppendError, Context, Log, ReadError};
use crate::events::service::{BackupFailed, BackupTaken, RestoreDrillCompleted};
use crate::service::backup::{self, BackedUp};
use crate::tasks;

/// Longest sleep before the clock is asked again: it may have been set, or the machine suspended.
const ROUND_MAX: Duration = Duration::from_secs(60);

/// Events of the log's own stream among which the last backup is looked for; behind more of them in a
/// day it is not found, and one more backup is taken.
const LOOKED_THROUGH_MAX: u64 = 256;

/// Takes backups.
#[derive(Debug)]
pub struct Nightly {
    settings: Backup,
    state_dir: PathBuf,
    log: Log,
}

/// Why it cannot go on; the worker meets the same.
#[derive(Debug, thiserror::Error)]
enum NightlyError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Append(#[from] AppendError),
}

impl Nightly {
    /// Returns what backs up the log below a state directory.
    pub fn new(settings: Backup, state_dir: PathBuf, log: Log) -> Self {
        Self {
            settings,
            state_dir,
            log,
        }
    }

    /// Takes a backup whenever one is due, until it is told to stop; what it is at then is given up,
    /// and the backup is the one that it was.
    pub async fn run(self, stop: CancellationToken) {
        let ended = tokio::select! {
            () = stop.cancelled() => return,
            ended = self.run_for_ever() => ended,
        };
        if let Err(error) = ended {
            tracing::error!(%error, "no backups are taken any more");
        }
    }

    async fn run_for_ever(&self) -> Result<(), NightlyError> {
        loop {
            let (now, last) = (clock::now(), self.last()?);
            let due = due(self.settings.at, last, &TimeZone::system());
            if due > now {
                let wait = Duration::from_millis(due.0 - now.0);
                tokio::time::sleep(wait.min(ROUND_MAX)).await;
            } else {
                self.take().await?;
            }
        }
    }

    /// Returns when the last backup was taken, or failed.
    fn last(&self) -> Result<Option<AtMs>, ReadError> {
        let stream = StreamId::log();
        let version = self.log.stream_version(&stream)?;
        let after = StreamVersion(version.0.saturating_sub(LOOKED_THROUGH_MAX));
        let limit = usize::try_from(LOOKED_THROUGH_MAX).unwrap_or(usize::MAX);
        let events = self.log.read_stream(&stream, after, limit)?;
        let last = events.iter().rev().find(|recorded| {
            matches!(
                recorded.event,
                Event::Service(ServiceEvent::BackupTaken(_) | ServiceEvent::BackupFailed(_))
            )
        });
        Ok(last.map(|recorded| recorded.at))
    }

    /// Takes a backup, restores it on trial, and records both at once, so that a crash in between
    /// leaves the whole night to be done again.
    async fn take(&self) -> Result<(), AppendError> {
        let (state_dir, directory) = (self.state_dir.clone(), self.settings.directory.clone());
        let taken = tasks::apart(move || backup::back_up(&state_dir, &directory, false)).await;
        let taken = taken
            .map_err(|error| error.to_string())
            .and_then(|taken| taken.map_err(|error| error.to_string()));
        let mut events = vec![self.told(&taken)];
        if self.settings.drill {
            let drilled = match &taken {
                Ok(_) => self.drill().await,
                Err(error) => Err(format!("no backup could be taken: {error}")),
            };
            events.push(self.told_drill(drilled));
        }
        let context = Context::system(clock::now());
        let append = Append::to(&StreamId::log(), events, context);
        self.log.append(append).await.map(|_appended| ())
    }

    fn told(&self, taken: &Result<BackedUp, String>) -> Event {
        let directory = self.settings.directory.display().to_string();
        match taken {
            Ok(taken) => {
                let (events, lacking) = (taken.events, taken.lacking.count);
                if lacking > 0 {
                    let first = taken.lacking.named.first();
                    tracing::error!(lacking, first, "the log lost bodies; the backup lacks them");
                }
                tracing::info!(directory, events, "a backup was taken");
                let taken = BackupTaken {
                    directory,
                    events,
                    root: taken.root,
                    new_bytes: taken.journal_bytes + taken.body_bytes,
                    lacking: u32::try_from(lacking).unwrap_or(u32::MAX),
                };
                taken.into()
            }
            Err(error) => {
                tracing::error!(directory, error, "NO BACKUP was taken");
                let error = error.clone();
                BackupFailed { directory, error }.into()
            }
        }
    }

    async fn drill(&self) -> Result<backup::Restored, String> {
        let (state_dir, directory) = (self.state_dir.clone(), self.settings.directory.clone());
        let drill = async move { backup::drill(&directory, &state_dir).await };
        let drilled = tasks::apart_waiting(drill).await;
        drilled
            .map_err(|error| error.to_string())?
            .map_err(|error| error.to_string())
    }

    fn told_drill(&self, drilled: Result<backup::Restored, String>) -> Event {
        let directory = self.settings.directory.display().to_string();
        let completed = match drilled {
            Ok(restored) => RestoreDrillCompleted {
                events: restored.events,
                root: Some(restored.root),
                ok: true,
                detail: directory,
            },
            Err(error) => {
                tracing::error!(
                    directory,
                    error,
                    "the backup could NOT BE RESTORED on trial"
                );
                RestoreDrillCompleted {
                    events: 0,
                    root: None,
                    ok: false,
                    detail: format!("{directory}: {error}"),
                }
            }
        };
        completed.into()
    }
}

/// Returns when a backup is due: at the first such time of day behind the last one, and at once where
/// there is none.
fn due(at: TimeOfDay, last: Option<AtMs>, zone: &TimeZone) -> AtMs {
    let next = || {
        let last = Timestamp::from_millisecond(i64::try_from(last?.0).ok()?).ok()?;
        let time = Time::new(at.hour, at.minute, 0, 0).ok()?;
        let mut day = zone.to_datetime(last).date();
        loop {
            let next = zone.to_timestamp(day.to_datetime(time)).ok()?;
            if next > last {
                return u64::try_from(next.as_millisecond()).ok();
            }
            day = day.tomorrow().ok()?;
        }
    };
    AtMs(next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(at: (i8, i8), zone: &str, last: &str, expected: &str) {
        let ms = |text: &str| text.parse::<Timestamp>().unwrap().as_millisecond() as u64;
        let (hour, minute) = at;
        let zone = TimeZone::get(zone).unwrap();
        let next = due(TimeOfDay { hour, minute }, Some(AtMs(ms(last))), &zone);
        assert_eq!(next, AtMs(ms(expected)));
    }

    #[test]
    fn the_next_backup_is_due_at_the_next_such_time_of_day() {
        check(
            (4, 0),
            "UTC",
            "2026-11-25T03:59:59.999Z",
            "2026-11-25T04:00:00Z",
        );
        check(
            (4, 0),
            "UTC",
            "2026-11-25T04:00:00Z",
            "2026-11-26T04:00:00Z",
        );
        check(
            (4, 0),
            "UTC",
            "2026-11-25T04:00:07Z",
            "2026-11-26T04:00:00Z",
        );
        check(
            (23, 59),
            "UTC",
            "2026-12-31T23:59:59Z",
            "2027-01-01T23:59:00Z",
        );
    }

    #[test]
    fn the_time_of_day_is_the_machines_own_also_when_its_clocks_are_changed() {
        let zone = "Europe/Helsinki";
        check((4, 0), zone, "2026-11-25T12:00:00Z", "2026-11-26T02:00:00Z");
        // At 03:00 it was 04:00: the night has no 03:30, and the backup comes an hour later.
        check(
            (3, 30),
            zone,
            "2026-03-28T20:00:00Z",
            "2026-03-29T01:30:00Z",
        );
        // At 04:00 it was 03:00: the night has 03:30 twice, and one backup.
        check(
            (3, 30),
            zone,
            "2026-10-24T20:00:00Z",
            "2026-10-25T00:30:00Z",
        );
        check(
            (3, 30),
            zone,
            "2026-10-25T00:31:00Z",
            "2026-10-26T01:30:00Z",
        );
    }

    #[test]
    fn a_first_backup_is_due_at_once() {
        let at = TimeOfDay { hour: 4, minute: 0 };
        assert_eq!(due(at, None, &TimeZone::UTC), AtMs(0));
    }
}
