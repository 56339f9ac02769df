//! The thread that brings the index up to date behind the writer, and writes the anchor. Nothing
//! waits for it but a writer that is too far ahead: what it has not done yet is found in memory, and
//! after a crash in the journal.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::events::id::{Position, StreamId, StreamVersion};
use crate::events::log::sled::anchor::{Anchor, AnchorFile};
use crate::events::log::sled::index::Index;
use crate::events::log::sled::recent::{GroupEntry, Recent, Stretch};
use crate::events::log::store::{Group, KeyEntry, StoreError};

/// Events after which the index is flushed and the anchor is written anew.
pub(super) const ANCHOR_EVENTS: u64 = 4096;

/// Events that may be ahead of the index while it works; then the writer waits for it. A start reads
/// at most about twice as many again.
const AHEAD_EVENTS_MAX: u64 = 4 * ANCHOR_EVENTS;

/// How long few events wait for more of them before they are put into the index.
const WAIT_FOR_MORE: Duration = Duration::from_millis(500);

/// The index with what it lacks, and the thread that works on that.
#[derive(Debug)]
pub(super) struct Indexer {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
struct Shared {
    index: Index,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    /// What nobody works on yet.
    waiting: Recent,
    /// What the thread is putting into the index.
    in_work: Option<Arc<Recent>>,
    /// How far the journal reaches, `waiting` included.
    reached: Anchor,
    ending: Option<Ending>,
    failed: Option<StoreError>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// The index is brought up to date, and the anchor says so.
    InGoodOrder,
    /// The index is brought up to date.
    Dropped,
}

/// Something for the thread to do.
struct Work {
    recent: Arc<Recent>,
    reached: Anchor,
    ending: Option<Ending>,
}

impl Indexer {
    /// Starts the thread behind an index and an anchor that reach as far as the journal.
    pub(super) fn start(
        index: Index,
        anchor: AnchorFile,
        reached: Anchor,
    ) -> Result<Self, StoreError> {
        let anchored = reached.range.size();
        let state = State {
            waiting: Recent::default(),
            in_work: None,
            reached,
            ending: None,
            failed: None,
        };
        let shared = Arc::new(Shared {
            index,
            state: Mutex::new(state),
            changed: Condvar::new(),
        });
        let worker = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("airut-index".to_owned())
            .spawn(move || worker.work(&anchor, anchored))?;
        Ok(Self {
            shared,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Returns once a further group may be pushed.
    ///
    /// # Errors
    /// [`StoreError`] when the index or the anchor could not be written, or after
    /// [`close`](Self::close): nothing more is taken.
    pub(super) fn wait_for_room(&self) -> Result<(), StoreError> {
        let mut state = self.shared.state();
        while state.failed.is_none() && state.waiting.events() >= AHEAD_EVENTS_MAX {
            state = self.shared.wait(state);
        }
        match (&state.failed, state.ending) {
            (Some(error), _) => Err(error.clone()),
            (None, Some(_)) => Err(StoreError("it is closed".to_owned())),
            (None, None) => Ok(()),
        }
    }

    /// Takes a group that is durable in the journal, which reaches so far with it.
    pub(super) fn push(&self, group: &Group, at: GroupEntry, reached: Anchor) {
        let mut state = self.shared.state();
        let was_empty = state.waiting.groups.is_empty();
        state.waiting.push(group, at);
        state.reached = reached;
        if was_empty || state.waiting.events() >= ANCHOR_EVENTS {
            self.shared.changed.notify_all();
        }
    }

    /// Brings the index up to date, writes the anchor and ends the thread.
    ///
    /// # Errors
    /// [`StoreError`] when one of them could not be written, now or before.
    pub(super) fn close(&self) -> Result<(), StoreError> {
        self.end(Ending::InGoodOrder);
        self.shared.state().failed.clone().map_or(Ok(()), Err)
    }

    fn end(&self, ending: Ending) {
        self.shared.state().ending.get_or_insert(ending);
        self.shared.changed.notify_all();
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(thread) = thread {
            // Its panics are caught, and stand in the state.
            let _ended = thread.join();
        }
    }

    /// Returns the group that holds a position; nothing when it is behind the last one, or 0.
    pub(super) fn group_of(&self, position: Position) -> Result<Option<GroupEntry>, StoreError> {
        let recent = {
            let state = self.shared.state();
            let in_work = || state.in_work.as_ref()?.group_of(position);
            state.waiting.group_of(position).or_else(in_work)
        };
        // What is no longer in memory is in the index.
        match recent {
            Some(group) => Ok(Some(group)),
            None => self.shared.index.group_of(position),
        }
    }

    /// Returns the number of events in a stream.
    pub(super) fn stream_version(&self, stream: &StreamId) -> Result<StreamVersion, StoreError> {
        match self.shared.state().stretches(stream).pop() {
            Some(stretch) => Ok(stretch.last()),
            None => self.shared.index.stream_version(stream),
        }
    }

    /// Returns the positions of up to `limit` events of a stream after a version, in order.
    pub(super) fn stream_positions(
        &self,
        stream: &StreamId,
        after: StreamVersion,
        limit: usize,
    ) -> Result<Vec<Position>, StoreError> {
        let stretches = self.shared.state().stretches(stream);
        // The index may have taken some of them over since: it is asked for what is before alone.
        let first = stretches
            .first()
            .map_or(u64::MAX, |stretch| stretch.first.0);
        let mut positions = self.shared.index.stream_positions(
            stream,
            after,
            StreamVersion(first.saturating_sub(1)),
            limit,
        )?;
        for stretch in &stretches {
            positions.extend(stretch.after(after));
        }
        positions.truncate(limit);
        Ok(positions)
    }

    /// Returns the entry of an idempotency key.
    pub(super) fn find_key(&self, key: &str) -> Result<Option<KeyEntry>, StoreError> {
        let recent = {
            let state = self.shared.state();
            let in_work = || state.in_work.as_ref()?.keys.get(key).copied();
            state.waiting.keys.get(key).copied().or_else(in_work)
        };
        match recent {
            Some(entry) => Ok(Some(entry)),
            None => self.shared.index.find_key(key),
        }
    }
}

impl Drop for Indexer {
    fn drop(&mut self) {
        self.end(Ending::Dropped);
    }
}

impl State {
    /// Returns what of a stream is in memory, in order.
    fn stretches(&self, stream: &StreamId) -> Vec<Stretch> {
        let in_work = self.in_work.iter().map(|recent| &**recent);
        let recents = in_work.chain([&self.waiting]);
        recents
            .filter_map(|recent| recent.streams.get(stream).cloned())
            .collect()
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        let waited = self.changed.wait(state);
        waited.unwrap_or_else(PoisonError::into_inner)
    }

    /// Does what there is to do until the end; what fails is the last thing it does.
    fn work(&self, anchor: &AnchorFile, mut anchored: u64) {
        loop {
            let work = self.next();
            // A damaged page makes sled panic.
            let done = catch_unwind(AssertUnwindSafe(|| {
                self.perform(&work, anchor, &mut anchored)
            }));
            let panicked = |_| {
                let what = "sled panicked, which a damaged index can cause: airut log rebuild makes \
                            it again";
                Err(StoreError(what.to_owned()))
            };
            let failed = done.unwrap_or_else(panicked).err();
            let ends = work.ending.is_some() || failed.is_some();
            let mut state = self.state();
            if let Some(error) = failed {
                tracing::error!(%error, "the log's index cannot be written");
                // It stays in memory, where it is still found.
                state.failed = Some(error);
            } else {
                state.in_work = None;
            }
            drop(state);
            self.changed.notify_all();
            if ends {
                return;
            }
        }
    }

    /// Waits until there is enough to do, or a little for long enough.
    fn next(&self) -> Work {
        let mut state = self.state();
        let mut waited_for_more = false;
        while state.ending.is_none() && state.waiting.events() < ANCHOR_EVENTS && !waited_for_more {
            if state.waiting.groups.is_empty() {
                state = self.wait(state);
                continue;
            }
            let waited = self.changed.wait_timeout(state, WAIT_FOR_MORE);
            let (next, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            state = next;
            waited_for_more = timeout.timed_out();
        }
        let recent = Arc::new(std::mem::take(&mut state.waiting));
        state.in_work = Some(Arc::clone(&recent));
        Work {
            recent,
            reached: state.reached.clone(),
            ending: state.ending,
        }
    }

    fn perform(
        &self,
        work: &Work,
        anchor: &AnchorFile,
        anchored: &mut u64,
    ) -> Result<(), StoreError> {
        self.index.apply(&work.recent)?;
        let size = work.reached.range.size();
        let is_due = size - *anchored >= ANCHOR_EVENTS || work.ending == Some(Ending::InGoodOrder);
        if is_due {
            self.index.flush()?;
            anchor.write(&work.reached)?;
            *anchored = size;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
