//! Reading the groups of a journal for an audit, many at a time. It judges nothing.

use std::fs::File;
use std::io::{BufReader, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use crate::events::codec::{RecordRef, StoredRecord};
use crate::events::id::Position;
use crate::events::log::journal::{GROUP_BYTES_MAX, HEADER, check_header};
use crate::events::log::store::StoreError;

/// Bytes read before they are examined; one group may be longer.
const BATCH_BYTES: usize = 8 << 20;

/// Bytes kept ready by the reader.
const BUFFER_BYTES: usize = 1 << 20;

/// The body of one group.
#[derive(Debug)]
pub(in crate::events::log) struct Group {
    /// Position of its first record.
    pub(in crate::events::log) first: Position,
    /// The checksum that it should have.
    pub(super) crc: u32,
    /// Its records, each after its length.
    pub(super) body: Vec<u8>,
}

impl Group {
    /// Returns how many bytes of the journal it takes.
    pub(super) fn framed_bytes(&self) -> u64 {
        8 + self.body.len() as u64
    }

    /// Returns its records, which fill it.
    pub(super) fn records(&self) -> impl Iterator<Item = StoredRecord> {
        self.record_refs().map(|record| StoredRecord {
            position: record.position,
            bytes: record.bytes.to_vec(),
        })
    }

    /// Returns its records within its body.
    pub(in crate::events::log) fn record_refs(&self) -> impl Iterator<Item = RecordRef<'_>> {
        let mut body = self.body.as_slice();
        let positions = self.first.0..;
        positions.map_while(move |position| {
            let (length, rest) = body.split_first_chunk()?;
            let (bytes, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
            body = rest;
            Some(RecordRef {
                position: Position(position),
                bytes,
            })
        })
    }
}

/// How a journal ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::events::log) enum End {
    /// With a whole group.
    Whole,
    /// With bytes that are none.
    Broken {
        /// Whether a group follows where the broken one says that it ends.
        followed: bool,
        /// Length of the file.
        length: u64,
    },
}

/// Reads one group after the other, up to the length that the file has when it is opened.
#[derive(Debug)]
pub(in crate::events::log) struct GroupReader {
    file: BufReader<File>,
    offset: u64,
    length: u64,
    next: Position,
}

impl GroupReader {
    /// Opens a journal for reading.
    pub(in crate::events::log) fn open(path: &Path) -> Result<Self, StoreError> {
        let named = |error: std::io::Error| StoreError(format!("{}: {error}", path.display()));
        let mut file = File::open(path).map_err(named)?;
        let length = file.metadata().map_err(named)?.len();
        check_header(&mut file, path)?;
        Ok(Self {
            file: BufReader::with_capacity(BUFFER_BYTES, file),
            offset: HEADER.len() as u64,
            length,
            next: Position(1),
        })
    }

    /// Returns the offset behind the last group that was read.
    pub(in crate::events::log) fn offset(&self) -> u64 {
        self.offset
    }

    /// Returns the next groups and, at the end, how it ends.
    pub(super) fn read_batch(&mut self) -> Result<(Vec<Group>, Option<End>), StoreError> {
        self.read_up_to(BATCH_BYTES)
    }

    /// Returns the next groups of so many bytes, the last one whole, and, at the end, how it ends.
    pub(in crate::events::log) fn read_up_to(
        &mut self,
        bytes_max: usize,
    ) -> Result<(Vec<Group>, Option<End>), StoreError> {
        let (mut groups, mut bytes) = (Vec::new(), 0);
        while bytes < bytes_max {
            if self.offset == self.length {
                return Ok((groups, Some(End::Whole)));
            }
            let Some(group) = self.read_group()? else {
                let (followed, length) = (self.is_followed()?, self.length);
                return Ok((groups, Some(End::Broken { followed, length })));
            };
            bytes += group.body.len();
            groups.push(group);
        }
        Ok((groups, None))
    }

    /// Returns the next group; nothing when its records do not fill its length, or, for a wrong
    /// checksum, when none of them is to blame.
    fn read_group(&mut self) -> Result<Option<Group>, StoreError> {
        let available = self.length - self.offset;
        let mut head = [0; 8];
        if available < 8 {
            return Ok(None);
        }
        self.file.read_exact(&mut head)?;
        let [l0, l1, l2, l3, c0, c1, c2, c3] = head;
        let length = u32::from_le_bytes([l0, l1, l2, l3]);
        if length == 0 || length > GROUP_BYTES_MAX || u64::from(length) > available - 8 {
            return Ok(None);
        }
        let mut body = vec![0; length as usize];
        self.file.read_exact(&mut body)?;
        let Some(records) = count(&body) else {
            return Ok(None);
        };
        let crc = u32::from_le_bytes([c0, c1, c2, c3]);
        let is_last = self.offset + 8 + u64::from(length) == self.length;
        if is_last && crc32fast::hash(&body) != crc {
            // Of the last group it is not known whether it was ever whole.
            return Ok(None);
        }
        let first = self.next;
        self.next = Position(first.0 + records);
        self.offset += 8 + u64::from(length);
        Ok(Some(Group { first, crc, body }))
    }

    /// Tells whether a group begins where the broken one at the offset says that it ends.
    fn is_followed(&mut self) -> Result<bool, StoreError> {
        let mut length = [0; 4];
        if self.length - self.offset < 8 {
            return Ok(false);
        }
        self.file.seek(SeekFrom::Start(self.offset))?;
        self.file.read_exact(&mut length)?;
        let next = self.offset + 8 + u64::from(u32::from_le_bytes(length));
        Ok(next < self.length)
    }
}

/// Returns the number of records in a body, if they fill it.
fn count(mut body: &[u8]) -> Option<u64> {
    let mut records = 0;
    while !body.is_empty() {
        let (length, rest) = body.split_first_chunk()?;
        let length = u32::from_le_bytes(*length) as usize;
        body = rest.get(length..)?;
        records += 1;
    }
    Some(records)
}
