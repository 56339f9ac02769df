//! What the index does not hold yet: entries of groups that are durable in the journal. They are
//! found here until they are found there. It knows no sled.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::events::codec::{self, StoredRecord};
use crate::events::id::{Position, Sha256, StreamId, StreamVersion};
use crate::events::log::store::{Group, KeyEntry, StoreError, StreamEntry, digest_of};
use crate::events::tree::leaf_hash;

/// Where a group lies in the journal, and how it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct GroupEntry {
    /// Position of its first record.
    pub(super) first: Position,
    /// Offset of its frame in the journal.
    pub(super) offset: u64,
    /// Number of its records.
    pub(super) count: u32,
    /// Leaf hash of its last record.
    pub(super) leaf: Sha256,
}

impl GroupEntry {
    /// Returns the entry of records whose frame is at `offset`; nothing without a record.
    pub(super) fn of(records: &[StoredRecord], offset: u64) -> Option<Self> {
        let (first, last) = (records.first()?, records.last()?);
        Some(Self {
            first: first.position,
            offset,
            count: u32::try_from(records.len()).unwrap_or(u32::MAX),
            leaf: leaf_hash(&last.bytes),
        })
    }

    /// Returns the position of its last record.
    pub(super) fn last(&self) -> Position {
        Position((self.first.0 + u64::from(self.count)).saturating_sub(1))
    }

    /// Returns whether it holds a position.
    pub(super) fn holds(&self, position: Position) -> bool {
        (self.first..=self.last()).contains(&position)
    }
}

/// Consecutive events of one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stretch {
    /// Version of the first.
    pub(super) first: StreamVersion,
    /// Their positions, in order; at least one.
    pub(super) positions: Vec<Position>,
}

impl Stretch {
    /// Returns the version of the last event.
    pub(super) fn last(&self) -> StreamVersion {
        StreamVersion((self.first.0 + self.positions.len() as u64).saturating_sub(1))
    }

    /// Returns the positions of the events after a version.
    pub(super) fn after(&self, version: StreamVersion) -> &[Position] {
        let known = (version.0 + 1).saturating_sub(self.first.0);
        let known = usize::try_from(known).unwrap_or(usize::MAX);
        self.positions.get(known..).unwrap_or_default()
    }
}

/// Entries of groups that follow one another.
#[derive(Debug, Default)]
pub(super) struct Recent {
    /// In order of their positions.
    pub(super) groups: Vec<GroupEntry>,
    pub(super) streams: HashMap<StreamId, Stretch>,
    pub(super) keys: HashMap<String, KeyEntry>,
    pub(super) kinds: BTreeSet<(u16, u16)>,
}

impl Recent {
    /// Returns the number of events in it.
    pub(super) fn events(&self) -> u64 {
        let ends = self.groups.first().zip(self.groups.last());
        ends.map_or(0, |(first, last)| last.last().0 + 1 - first.first.0)
    }

    /// Adds the group that follows, which has the entry `at`.
    pub(super) fn push(&mut self, group: &Group, at: GroupEntry) {
        for entry in &group.streams {
            if let Some(stretch) = self.streams.get_mut(&entry.stream) {
                stretch.positions.push(entry.position);
                continue;
            }
            let stretch = Stretch {
                first: entry.version,
                positions: vec![entry.position],
            };
            self.streams.insert(entry.stream.clone(), stretch);
        }
        self.keys.extend(group.keys.iter().cloned());
        let kinds = group.records.iter();
        let kinds = kinds.filter_map(|record| codec::kind_and_version(&record.bytes));
        self.kinds.extend(kinds);
        self.groups.push(at);
    }

    /// Adds the group that follows, as read from the journal at `offset`: everything that is to be
    /// known of it stands in its records.
    pub(super) fn push_records(
        &mut self,
        records: Vec<StoredRecord>,
        offset: u64,
    ) -> Result<(), StoreError> {
        let Some(at) = GroupEntry::of(&records, offset) else {
            return Ok(());
        };
        self.push(&described(records)?, at);
        Ok(())
    }

    /// Returns the group that holds a position.
    pub(super) fn group_of(&self, position: Position) -> Option<GroupEntry> {
        let behind = self.groups.partition_point(|group| group.first <= position);
        let group = self.groups.get(behind.checked_sub(1)?)?;
        group.holds(position).then_some(*group)
    }

    /// Returns the streams' entries in the order of their names.
    pub(super) fn streams_in_order(&self) -> BTreeMap<&StreamId, &Stretch> {
        self.streams.iter().collect()
    }
}

/// Returns records with what the writer knew of them.
fn described(records: Vec<StoredRecord>) -> Result<Group, StoreError> {
    let split = records.iter().map(codec::split);
    let split = split.collect::<Result<Vec<_>, _>>();
    let split = split.map_err(|error| StoreError(error.to_string()))?;
    let mut group = Group::default();
    for (at, (envelope, _)) in split.iter().enumerate() {
        group.streams.push(StreamEntry {
            stream: envelope.stream.clone(),
            version: envelope.stream_version,
            position: envelope.position,
        });
        if envelope.key.is_empty() {
            continue;
        }
        let append = split.get(at..=at + usize::from(envelope.rest));
        let parts = append.unwrap_or_default().iter();
        let digest = digest_of(parts.map(|(envelope, payload)| (&envelope.stream, payload)));
        let entry = KeyEntry {
            first: envelope.position,
            count: u32::from(envelope.rest) + 1,
            digest,
        };
        group.keys.push((envelope.key.clone(), entry));
    }
    group.records = records;
    Ok(group)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(first: u64, count: u32) -> GroupEntry {
        GroupEntry {
            first: Position(first),
            offset: first * 100,
            count,
            leaf: Sha256([0; 32]),
        }
    }

    #[test]
    fn a_position_is_found_in_the_group_that_holds_it() {
        let recent = Recent {
            groups: vec![entry(5, 2), entry(7, 3)],
            ..Recent::default()
        };
        assert_eq!(recent.events(), 5);
        for (position, first) in [(5, 5), (6, 5), (7, 7), (9, 7)] {
            let found = recent.group_of(Position(position)).unwrap();
            assert_eq!(found.first, Position(first), "{position}");
        }
        for elsewhere in [0, 4, 10] {
            assert_eq!(recent.group_of(Position(elsewhere)), None, "{elsewhere}");
        }
    }

    #[test]
    fn a_stretch_gives_what_follows_a_version() {
        let stretch = Stretch {
            first: StreamVersion(4),
            positions: vec![Position(10), Position(12), Position(15)],
        };
        assert_eq!(stretch.last(), StreamVersion(6));
        for (after, expected) in [(0, 3), (3, 3), (4, 2), (5, 1), (6, 0), (u64::MAX - 1, 0)] {
            let found = stretch.after(StreamVersion(after));
            assert_eq!(found.len(), expected, "{after}");
        }
    }
}
