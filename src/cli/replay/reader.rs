//! Reading the log up to a moment.

use std::collections::VecDeque;

use crate::cli::format::{Format, source_name};
use crate::cli::log_source::LogSource;
use crate::service::look::Replay;
use crate::service::look::when::{When, time};
use crate::service::surface::{Position, Recorded, Subject};

/// A replay that can go on from moment to moment.
pub(super) struct Reader {
    source: LogSource,
    name: String,
    replay: Replay,
    /// Records that were read and come later than the moment.
    waiting: VecDeque<Recorded>,
}

impl Reader {
    /// Opens the log.
    pub(super) async fn open(subject: Option<Subject>, format: Format) -> anyhow::Result<Self> {
        let mut source = LogSource::open().await?;
        let name = source_name(&mut source, format).await?;
        Ok(Self {
            source,
            name,
            replay: Replay::about(subject),
            waiting: VecDeque::new(),
        })
    }

    /// Goes on to a moment, or to the end.
    pub(super) async fn advance(&mut self, to: Option<When>) -> anyhow::Result<&Replay> {
        let before = self.replay.position();
        loop {
            if self.waiting.is_empty() {
                let records = self.source.read(self.replay.position()).await?;
                for record in &records {
                    self.waiting.push_back(self.source.decode(record)?);
                }
            }
            let later = |recorded: &Recorded| to.is_some_and(|to| to.is_before(recorded));
            match self.waiting.pop_front_if(|recorded| !later(recorded)) {
                Some(recorded) => self.replay.apply(&recorded),
                None => break,
            }
        }
        if let Some(to) = to {
            self.check(to, before)?;
        }
        Ok(&self.replay)
    }

    /// Says in words why there is nothing to show for a moment.
    fn check(&self, to: When, before: Position) -> anyhow::Result<()> {
        let (end, at) = (self.replay.position(), time(self.replay.at()));
        match (to, self.waiting.front()) {
            (_, None) if end == Position(0) => {
                anyhow::bail!("the log is empty: nothing has happened yet")
            }
            (When::Position(Position(0)), _) => {
                anyhow::bail!("there is no position 0: positions count from 1")
            }
            (When::Position(to), _) if to > end => anyhow::bail!(
                "the log ends at position {end} ({at}), before position {to}: name one up to {end}"
            ),
            (to, Some(first)) if end == Position(0) => anyhow::bail!(
                "the log begins at {} (position {}), after {to}: name a later moment",
                time(first.at),
                first.position
            ),
            (When::Position(to), _) if to < before => anyhow::bail!(
                "position {to} comes before position {before}: name the earlier moment first"
            ),
            (When::Time(to), Some(next)) if before == end && next.at > to && at > time(to) => {
                anyhow::bail!(
                    "{} comes before {at} (position {end}): name the earlier moment first",
                    time(to)
                )
            }
            _ => Ok(()),
        }
    }

    /// Closes the log and returns what it is called in CloudEvents.
    pub(super) async fn close(self) -> String {
        self.source.close().await;
        self.name
    }
}
