//! The journal: what is promised. An append-only file of the log's records, one checksummed frame
//! for each group, made durable with `fdatasync` before anything is acknowledged.
//!
//! ```text
//! file   "airut journal 1\n" · group*
//! group  body length u32 · crc32 of the body u32 · body
//! body   (record length u32 · record)*
//! ```
//!
//! A crash can only tear the last group, which was not acknowledged; it is cut off at the next
//! start. A broken group with a whole one behind it is damage, and never cut off. It knows no index.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read, Seek as _, SeekFrom, Write as _};
use std::ops::Range;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::events::codec::{RECORD_BYTES_MAX, StoredRecord};
use crate::events::id::Position;
use crate::events::log::store::{StoreError, told};

pub(super) const HEADER: &[u8; 16] = b"airut journal 1\n";

/// Number of the disk format, as the header says it.
pub const DISK_FORMAT: u32 = 1;

/// Longest group in bytes; a longer length in a file is damage.
pub(super) const GROUP_BYTES_MAX: u32 = 1 << 30;

/// The journal, open for appending.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    file: File,
    end: u64,
}

/// The journal, open for reading what is whole, while somebody else may append.
#[derive(Debug)]
pub(super) struct JournalReader {
    path: PathBuf,
    file: File,
}

/// How reading a journal ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tail {
    /// With the last whole group.
    Whole,
    /// With bytes that are no whole group, from this offset.
    Torn(u64),
}

impl Journal {
    /// Opens the journal, making it when there is none.
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true);
        let mut file = options.open(path)?;
        let end = file.metadata()?.len();
        if end == 0 {
            file.write_all(HEADER)?;
            file.sync_all()?;
            sync_directory(path)?;
        } else {
            check_header(&mut file, path)?;
        }
        let end = end.max(HEADER.len() as u64);
        Ok(Self {
            path: path.to_owned(),
            file,
            end,
        })
    }

    /// Returns a reader of what has been appended.
    pub(super) fn reader(&self) -> Result<JournalReader, StoreError> {
        Ok(JournalReader {
            path: self.path.clone(),
            file: File::open(&self.path)?,
        })
    }

    /// Returns the offset of the first group.
    pub(super) fn start() -> u64 {
        HEADER.len() as u64
    }

    /// Returns the offset behind the last group.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// Makes one group durable; on failure the file is cut back to what was promised before.
    pub(super) fn append(&mut self, records: &[StoredRecord]) -> Result<(), StoreError> {
        let group = frame(records);
        let written = self
            .file
            .write_all(&group)
            .and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            let cut = self
                .file
                .set_len(self.end)
                .and_then(|()| self.file.sync_data());
            let cut = cut.map_or_else(
                |error| format!(" (nor could it be cut back: {error})"),
                |()| String::new(),
            );
            let (path, error) = (self.path.display(), told(&error));
            return Err(StoreError(format!("{path}: {error}{cut}")));
        }
        self.end += group.len() as u64;
        Ok(())
    }

    /// Cuts off everything from `offset` on.
    pub(super) fn truncate(&mut self, offset: u64) -> Result<(), StoreError> {
        self.file.set_len(offset)?;
        self.file.sync_all()?;
        self.end = offset;
        Ok(())
    }

    /// Calls `visit` with each group from `offset` on: its records, and the offset behind it.
    pub(super) fn read_groups(
        &self,
        offset: u64,
        after: Position,
        mut visit: impl FnMut(Vec<StoredRecord>, u64) -> Result<(), StoreError>,
    ) -> Result<Tail, StoreError> {
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(offset))?;
        let mut reader = BufReader::with_capacity(1 << 20, file);
        let mut next = Position(after.0 + 1);
        let mut offset = offset;
        while offset < self.end {
            let Some(body) = read_group(&mut reader, self.end - offset)? else {
                return match self.is_followed(offset)? {
                    true => Err(self.damaged(offset, "a group is broken and whole ones follow it")),
                    false => Ok(Tail::Torn(offset)),
                };
            };
            let records = split_body(&body, next)
                .ok_or_else(|| self.damaged(offset, "a group's records do not fit its length"))?;
            offset += 8 + body.len() as u64;
            next = Position(next.0 + records.len() as u64);
            visit(records, offset)?;
        }
        Ok(Tail::Whole)
    }

    /// Tells whether a whole group lies where the broken one at `offset` says that it ends.
    fn is_followed(&self, offset: u64) -> Result<bool, StoreError> {
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(offset))?;
        let mut length = [0; 4];
        if self.end - offset < 8 {
            return Ok(false);
        }
        file.read_exact(&mut length)?;
        let next = offset + 8 + u64::from(u32::from_le_bytes(length));
        if next >= self.end {
            return Ok(false);
        }
        file.seek(SeekFrom::Start(next))?;
        let body = read_group(&mut BufReader::new(file), self.end - next)?;
        Ok(body.is_some_and(|body| !body.is_empty()))
    }

    fn damaged(&self, offset: u64, what: &str) -> StoreError {
        damaged(&self.path, offset, what)
    }
}

/// Bytes that are asked of the disk at once when many records are read, and when few are.
const READ_BYTES_MANY: usize = 1 << 20;
const READ_BYTES_FEW: usize = 16 * 1024;

/// Records from which on a read is of many.
const MANY_RECORDS: usize = 64;

impl JournalReader {
    /// Returns up to `limit` records after a position from a range of whole groups, whose first record
    /// has the position `first`.
    pub(super) fn read(
        &self,
        range: Range<u64>,
        first: Position,
        after: Position,
        limit: usize,
    ) -> Result<Vec<StoredRecord>, StoreError> {
        let is_many = limit >= MANY_RECORDS;
        let at_once = if is_many {
            READ_BYTES_MANY
        } else {
            READ_BYTES_FEW
        };
        let (mut offset, mut first) = (range.start, first);
        let mut reader = BufReader::with_capacity(at_once, At(&self.file, offset));
        let mut records = Vec::with_capacity(limit.min(1024));
        while offset < range.end && records.len() < limit {
            let broken = |what| damaged(&self.path, offset, what);
            let body = read_group(&mut reader, range.end - offset)?;
            let body = body.ok_or_else(|| broken("a group is broken"))?;
            let group = split_body(&body, first)
                .ok_or_else(|| broken("a group's records do not fit its length"))?;
            offset += 8 + body.len() as u64;
            first = Position(first.0 + group.len() as u64);
            records.extend(group.into_iter().filter(|record| record.position > after));
        }
        records.truncate(limit);
        Ok(records)
    }
}

/// A file from an offset on, without a place of its own that readers would have to share.
struct At<'a>(&'a File, u64);

impl Read for At<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.0.read_at(buffer, self.1)?;
        self.1 += length as u64;
        Ok(length)
    }
}

fn damaged(path: &Path, offset: u64, what: &str) -> StoreError {
    let path = path.display();
    StoreError(format!(
        "{path} is damaged at byte {offset}: {what}; restore a backup"
    ))
}

/// Refuses a file that does not begin as a journal of this version does; that of a newer version is
/// named as such.
pub(super) fn check_header(file: &mut File, path: &Path) -> Result<(), StoreError> {
    let mut header = Vec::with_capacity(HEADER.len());
    file.seek(SeekFrom::Start(0))?;
    file.take(HEADER.len() as u64).read_to_end(&mut header)?;
    if header == HEADER {
        return Ok(());
    }
    let path = path.display();
    let format = header.strip_prefix(b"airut journal ");
    let format = format.and_then(|number| str::from_utf8(number).ok()?.trim_end().parse().ok());
    Err(StoreError(match format {
        Some(format @ 2u32..) => format!(
            "{path} has disk format {format}, this version of Airut knows format {DISK_FORMAT}: \
             update Airut"
        ),
        _ => format!("{path} is no journal of Airut"),
    }))
}

/// Makes a new directory entry durable.
pub(super) fn sync_directory(path: &Path) -> Result<(), StoreError> {
    let directory = path.parent().unwrap_or_else(|| Path::new("."));
    Ok(File::open(directory)?.sync_all()?)
}

/// Replaces a small file of this user's alone, durably: a crash in between leaves the former one or
/// the new one whole.
pub(super) fn replace_file(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let new = path.with_extension("new");
    let mut options = OpenOptions::new();
    let options = options.create(true).truncate(true).write(true).mode(0o600);
    let mut file = options.open(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&new, path)?;
    sync_directory(path)
}

fn frame(records: &[StoredRecord]) -> Vec<u8> {
    let length = records
        .iter()
        .map(|record| record.bytes.len() + 4)
        .sum::<usize>();
    let mut group = Vec::with_capacity(length + 8);
    group.extend([0; 8]);
    for record in records {
        group.extend((record.bytes.len() as u32).to_le_bytes());
        group.extend(&record.bytes);
    }
    let crc = crc32fast::hash(&group[8..]);
    group[..4].copy_from_slice(&(length as u32).to_le_bytes());
    group[4..8].copy_from_slice(&crc.to_le_bytes());
    group
}

/// Returns the body of the next group; nothing when it is not whole.
fn read_group(reader: &mut impl Read, available: u64) -> Result<Option<Vec<u8>>, StoreError> {
    if available < 8 {
        return Ok(None);
    }
    let mut head = [0; 8];
    reader.read_exact(&mut head)?;
    let [l0, l1, l2, l3, c0, c1, c2, c3] = head;
    let length = u32::from_le_bytes([l0, l1, l2, l3]);
    if length > GROUP_BYTES_MAX || u64::from(length) > available - 8 {
        return Ok(None);
    }
    let mut body = vec![0; length as usize];
    reader.read_exact(&mut body)?;
    let whole = crc32fast::hash(&body) == u32::from_le_bytes([c0, c1, c2, c3]);
    Ok(whole.then_some(body))
}

fn split_body(mut body: &[u8], first: Position) -> Option<Vec<StoredRecord>> {
    let mut records = Vec::new();
    while !body.is_empty() {
        let (length, rest) = body.split_first_chunk()?;
        let length = u32::from_le_bytes(*length) as usize;
        let (bytes, rest) = rest.split_at_checked(length)?;
        if length > RECORD_BYTES_MAX {
            return None;
        }
        let position = Position(first.0 + records.len() as u64);
        records.push(StoredRecord {
            position,
            bytes: bytes.to_vec(),
        });
        body = rest;
    }
    Some(records)
}
