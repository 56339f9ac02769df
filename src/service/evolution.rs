//! What this version of Airut would find in a log that another one wrote, and the snapshots that it
//! would go on from, made ahead. Both read the journal alone, without the index and without the lock:
//! the daemon that has the log goes on, with its own snapshots, until it is stopped for the new one.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use crate::clock::Stopwatch;
use crate::events::Event;
use crate::events::codec;
use crate::events::id::Position;
use crate::events::keys::KeyRing;
use crate::events::log::ReadError;
use crate::events::log::replay::{self, Census};
use crate::events::tree::CompactRange;
use crate::handlers::snapshots::{Found, Snapshots};
use crate::projections::state::State;
use crate::projections::{Feed, Projection};
use crate::service::look::log_directory;

/// Events of the log that are folded to tell how long all of it would take; of a shorter log all.
pub const PREFIX_EVENTS_MAX: u64 = 50_000;

/// Why a log could not be prepared for this version.
#[derive(Debug, thiserror::Error)]
pub enum EvolutionError {
    /// The log does not read; the text says what to do.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Snapshots can neither be listed nor kept: see the directory's permissions and the disk.
    #[error("the snapshots in {directory}: {error}")]
    Snapshots {
        /// Where they lie.
        directory: PathBuf,
        /// What the disk says.
        error: std::io::Error,
    },
}

/// Events of one kind in a version that this Airut does not write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KindFound {
    /// Number of the kind.
    pub kind: u16,
    /// Its name; nothing when this version does not know it.
    pub name: Option<&'static str>,
    /// The version in the log.
    pub version: u16,
    /// The version that this Airut writes, if it knows the kind.
    pub current: Option<u16>,
    /// How many there are.
    pub records: u64,
    /// Where the first is.
    pub first: Position,
}

impl KindFound {
    fn is_newer(&self) -> bool {
        self.current.is_none_or(|current| current < self.version)
    }
}

/// What becomes of one projection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProjectionFound {
    /// Its name.
    pub name: &'static str,
    /// The numbers of its code in the snapshots of other versions, the newest last.
    pub from: Vec<u32>,
    /// The number of its code in this version.
    pub to: u32,
    /// How many events this version's snapshot takes into account; 0 without a whole one.
    pub kept: u64,
    /// How many events are folded anew before it serves.
    pub events: u64,
}

impl ProjectionFound {
    /// Returns whether there is nothing to go on from.
    pub fn is_rebuilt(&self) -> bool {
        self.kept == 0 && self.events > 0
    }
}

/// What this version would find in a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Survey {
    /// How many events there are.
    pub events: u64,
    /// Bytes behind the last whole group: a daemon is writing, or a crash tore them.
    pub torn_bytes: u64,
    /// Events that are brought up to date whenever they are read; their bytes stay.
    pub upcast: Vec<KindFound>,
    /// Events that only a newer Airut reads: with any of them this one does not start.
    pub newer: Vec<KindFound>,
    /// What is folded from the events.
    pub projections: Vec<ProjectionFound>,
}

/// Surveys the log below a state directory; nothing is changed.
///
/// # Errors
/// [`EvolutionError`] when the log cannot be read at all; that of a newer version can.
pub fn survey(state_dir: &Path) -> Result<Survey, EvolutionError> {
    let census = replay::census(&log_directory(state_dir))?;
    let found = Snapshots::below(state_dir).found();
    let found = found.map_err(|error| snapshots_error(state_dir, error))?;
    Ok(judge(census, &found))
}

/// Folds the beginning of a log; returns how many events of it, and how long that took. Of the whole
/// log it takes as much longer as that is longer.
///
/// # Errors
/// [`EvolutionError::Read`] naming the first event that does not read.
pub fn measure(state_dir: &Path) -> Result<(u64, Duration), EvolutionError> {
    let watch = Stopwatch::start();
    let prefix = Position(PREFIX_EVENTS_MAX);
    let (_range, feed) = fold::<State>(state_dir, prefix)?;
    Ok((feed.position().0, watch.elapsed()))
}

/// Makes the snapshots that this version goes on from, beside those of others; returns how far each
/// one reaches. A daemon may have written more meanwhile: the new one folds that at its start.
///
/// # Errors
/// [`EvolutionError`]; snapshots that lie there are as they were.
pub fn prepare(
    state_dir: &Path,
    survey: &Survey,
) -> Result<Vec<(&'static str, Position)>, EvolutionError> {
    let is_behind = |name| {
        let mut projections = survey.projections.iter();
        projections.any(|projection| projection.name == name && projection.events > 0)
    };
    let mut prepared = Vec::new();
    if is_behind(State::NAME) {
        prepared.push((State::NAME, make::<State>(state_dir)?));
    }
    Ok(prepared)
}

fn make<P: Projection>(state_dir: &Path) -> Result<Position, EvolutionError> {
    let (range, feed) = fold::<P>(state_dir, Position(u64::MAX))?;
    let written = Snapshots::below(state_dir).write(&range, &feed.checkpoint());
    written.map_err(|error| snapshots_error(state_dir, error))?;
    Ok(feed.position())
}

fn fold<P: Projection>(
    state_dir: &Path,
    up_to: Position,
) -> Result<(CompactRange, Feed<P>), EvolutionError> {
    let (mut range, mut feed) = (CompactRange::default(), Feed::new());
    let (directory, keys) = (log_directory(state_dir), KeyRing::of_state(state_dir));
    replay::replay(&directory, Some(&keys), up_to, |record| {
        range.push(record.leaf);
        feed.apply(&record.recorded);
    })?;
    Ok((range, feed))
}

fn snapshots_error(state_dir: &Path, error: std::io::Error) -> EvolutionError {
    EvolutionError::Snapshots {
        directory: Snapshots::below(state_dir).directory().to_owned(),
        error,
    }
}

fn judge(census: Census, found: &[Found]) -> Survey {
    let records = census.records;
    let kinds = census.kinds.into_iter();
    let other = kinds.filter_map(|((kind, version), (records, first))| {
        let current = codec::current_version(kind);
        let mut known = Event::kinds().iter();
        let named = known.find(|(number, ..)| *number == kind);
        (current != Some(version)).then_some(KindFound {
            kind,
            name: named.map(|(_, name, _)| *name),
            version,
            current,
            records,
            first,
        })
    });
    let (mut newer, upcast): (Vec<_>, Vec<_>) = other.partition(KindFound::is_newer);
    newer.sort_by_key(|kind| kind.first);
    Survey {
        events: records,
        torn_bytes: census.torn_bytes,
        upcast,
        newer,
        projections: vec![judge_projection::<State>(records, found)],
    }
}

fn judge_projection<P: Projection>(records: u64, found: &[Found]) -> ProjectionFound {
    let of_this = found.iter().filter(|found| found.name == P::NAME);
    let (this, others): (Vec<_>, Vec<_>) =
        of_this.partition(|found| found.code_version == P::CODE_VERSION);
    let kept = this.first().and_then(|found| found.position);
    // One that is ahead of the log is of another log.
    let kept = kept.filter(|kept| kept.0 <= records).unwrap_or_default();
    ProjectionFound {
        name: P::NAME,
        from: others.iter().map(|found| found.code_version).collect(),
        to: P::CODE_VERSION,
        kept: kept.0,
        events: records - kept.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(code_version: u32, position: Option<u64>) -> Found {
        Found {
            name: State::NAME.to_owned(),
            code_version,
            position: position.map(Position),
        }
    }

    #[track_caller]
    fn check(found: &[Found], from: &[u32], kept: u64) {
        let judged = judge_projection::<State>(100, found);
        assert_eq!(judged.from, from);
        assert_eq!((judged.kept, judged.events), (kept, 100 - kept));
    }

    #[test]
    fn a_projection_is_rebuilt_unless_this_version_has_a_snapshot_of_this_log() {
        let this = State::CODE_VERSION;
        check(&[], &[], 0);
        check(&[found(this - 1, Some(90))], &[this - 1], 0);
        check(&[found(this, None)], &[], 0);
        check(&[found(this, Some(101))], &[], 0);
        check(&[found(this, Some(100))], &[], 100);
        check(
            &[found(this - 1, Some(9)), found(this, Some(60))],
            &[this - 1],
            60,
        );
    }

    #[test]
    fn what_only_a_newer_airut_reads_is_told_apart_from_what_is_brought_up_to_date() {
        let kinds = [
            ((4, 0), 2, 7),
            ((4, 1), 5, 1),
            ((4, 2), 1, 9),
            ((9999, 1), 3, 8),
        ];
        let kinds = kinds.into_iter();
        let census = Census {
            records: 11,
            kinds: kinds
                .map(|(kind, records, first)| (kind, (records, Position(first))))
                .collect(),
            torn_bytes: 0,
        };
        let survey = judge(census, &[]);
        let shown = |kinds: &[KindFound]| -> Vec<_> {
            let kinds = kinds.iter();
            kinds
                .map(|kind| (kind.kind, kind.version, kind.records, kind.first.0))
                .collect()
        };
        assert_eq!(shown(&survey.upcast), [(4, 0, 2, 7)]);
        assert_eq!(shown(&survey.newer), [(9999, 1, 3, 8), (4, 2, 1, 9)]);
    }
}
