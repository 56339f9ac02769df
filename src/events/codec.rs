//! The bytes of a record, and the only file that calls rkyv.
//!
//! A record is an envelope and a frame, all integers little-endian:
//!
//! ```text
//! envelope  position u64 · stream version u64 · at u64 (ms) · causation u64 (0: none) · rest u16
//!           stream, actor, correlation, key: each u16 length, then that many bytes of UTF-8
//! frame     kind u16 · version u16 · payload length u32 · payload · crc32 u32 of all before it
//! ```
//!
//! `rest` counts the events of the same append that follow, and `key` is the append's idempotency
//! key on its first event, so that the journal alone is enough to make every index again. The
//! payload is the rkyv archive of the struct of that kind and version: never one archived enum,
//! since a larger variant would make every older record unreadable.

use crate::events::event::catalogue;
use crate::events::id::{Actor, AtMs, Position, StreamId, StreamVersion};
use crate::events::log::ReadError;
use crate::events::{
    Event, Recorded, channel, container, conversation, delivery, event, message, proxy, repository,
    run, schedule, service, task,
};

/// Longest record, in bytes; a longer append is refused with `AppendError::TooLarge`. Sled keeps
/// values above about 128 KiB in files that it never syncs, so records stay far below that.
pub const RECORD_BYTES_MAX: usize = 64 * 1024;

/// A record as it is stored, hashed and promised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRecord {
    /// Its place in the log.
    pub position: Position,
    /// Its bytes, envelope and frame.
    pub bytes: Vec<u8>,
}

impl StoredRecord {
    /// Returns the same record, borrowed.
    pub fn as_record(&self) -> RecordRef<'_> {
        RecordRef {
            position: self.position,
            bytes: &self.bytes,
        }
    }
}

/// A record within bytes that somebody else holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordRef<'a> {
    /// Its place in the log.
    pub position: Position,
    /// Its bytes, envelope and frame.
    pub bytes: &'a [u8],
}

/// The payload of an event as bytes, with the numbers that say how to read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload {
    /// Number of the kind.
    pub kind: u16,
    /// Version of the payload's struct.
    pub version: u16,
    /// Its rkyv archive.
    pub bytes: Vec<u8>,
}

impl Payload {
    fn as_frame(&self) -> Frame<'_> {
        Frame {
            kind: self.kind,
            version: self.version,
            bytes: &self.bytes,
        }
    }
}

/// A [`Payload`] within the bytes of its record.
#[derive(Debug, Clone, Copy)]
pub(in crate::events::codec) struct Frame<'a> {
    pub(in crate::events::codec) kind: u16,
    pub(in crate::events::codec) version: u16,
    pub(in crate::events::codec) bytes: &'a [u8],
}

impl Frame<'_> {
    pub(in crate::events::codec) fn unknown(self) -> PayloadError {
        PayloadError::Unknown {
            kind: self.kind,
            version: self.version,
        }
    }
}

/// Everything of a record but its event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// Its place in the log.
    pub position: Position,
    /// Its stream.
    pub stream: StreamId,
    /// Its place in the stream.
    pub stream_version: StreamVersion,
    /// When it was recorded.
    pub at: AtMs,
    /// Who caused it.
    pub actor: Actor,
    /// The event that led to it.
    pub causation: Option<Position>,
    /// What belongs together.
    pub correlation: String,
    /// How many events of the same append follow.
    pub rest: u16,
    /// The append's idempotency key, on its first event; empty if it has none.
    pub key: String,
}

/// Why bytes are no payload of the kind and version they claim.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PayloadError {
    /// The kind or version is not known: a newer Airut wrote it.
    #[error("kind {kind} version {version} is unknown")]
    Unknown {
        /// Number of the kind.
        kind: u16,
        /// Version of the payload.
        version: u16,
    },
    /// The bytes do not validate.
    #[error("{0}")]
    Invalid(String),
}

/// Archives one payload struct.
macro_rules! archive {
    ($payload:expr) => {
        rkyv::to_bytes::<rkyv::rancor::Error>($payload)
            .expect("strings, numbers and lists of them always archive")
            .to_vec()
    };
}

/// Reads one payload struct through validated access.
macro_rules! unarchive {
    ($payload:ty, $bytes:expr) => {
        rkyv::from_bytes::<$payload, rkyv::rancor::Error>($bytes)
            .map_err(|error| PayloadError::Invalid(error.to_string()))
    };
}

mod upcast;

/// Defines the two directions between [`Event`] and [`Payload`] for the whole catalogue.
macro_rules! define_codec {
    ($($family:ident($family_event:ident) in $module:ident {
        $($kind:literal $version:ident $variant:ident($payload:ident),)*
    })*) => {
        /// Returns the event's payload in the current version of its kind.
        pub fn encode_payload(event: &Event) -> Payload {
            match event {
                $($(Event::$family(event::$family_event::$variant(payload)) => Payload {
                    kind: $kind,
                    version: const { version_number(stringify!($version)) },
                    bytes: archive!(payload),
                },)*)*
            }
        }

        fn decode_current(frame: Frame<'_>) -> Result<Event, PayloadError> {
            match frame.kind {
                $($($kind => Ok(unarchive!($module::$payload, frame.bytes)?.into()),)*)*
                _ => Err(frame.unknown()),
            }
        }

        /// Returns the current version of a kind's payload.
        pub fn current_version(kind: u16) -> Option<u16> {
            match kind {
                $($($kind => Some(const { version_number(stringify!($version)) }),)*)*
                _ => None,
            }
        }
    };
}
catalogue!(define_codec);

/// Reads the number out of the catalogue's `v1`; anything else does not compile.
const fn version_number(written: &str) -> u16 {
    match written.as_bytes() {
        [b'v', digit @ b'1'..=b'9'] => (*digit - b'0') as u16,
        _ => unreachable!(),
    }
}

/// Returns the event a payload holds, brought to the current version of its kind.
///
/// # Errors
/// [`PayloadError::Unknown`] for a kind or version this program does not know.
pub fn decode_payload(payload: &Payload) -> Result<Event, PayloadError> {
    decode_frame(payload.as_frame())
}

fn decode_frame(frame: Frame<'_>) -> Result<Event, PayloadError> {
    match current_version(frame.kind) {
        Some(current) if current == frame.version => decode_current(frame),
        Some(current) if frame.version < current => upcast::decode(frame),
        _ => Err(frame.unknown()),
    }
}

/// Returns the bytes of a record.
pub fn encode(envelope: &Envelope, payload: &Payload) -> StoredRecord {
    let mut bytes = Vec::with_capacity(payload.bytes.len() + 160);
    bytes.extend(envelope.position.0.to_le_bytes());
    bytes.extend(envelope.stream_version.0.to_le_bytes());
    bytes.extend(envelope.at.0.to_le_bytes());
    bytes.extend(
        envelope
            .causation
            .map_or(0, |position| position.0)
            .to_le_bytes(),
    );
    bytes.extend(envelope.rest.to_le_bytes());
    // An actor's printed form reads back without loss.
    let actor = envelope.actor.to_string();
    for text in [
        envelope.stream.as_str(),
        &actor,
        &envelope.correlation,
        &envelope.key,
    ] {
        let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
        bytes.extend(length.to_le_bytes());
        bytes.extend(&text.as_bytes()[..usize::from(length)]);
    }
    bytes.extend(payload.kind.to_le_bytes());
    bytes.extend(payload.version.to_le_bytes());
    bytes.extend((payload.bytes.len() as u32).to_le_bytes());
    bytes.extend(&payload.bytes);
    bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
    StoredRecord {
        position: envelope.position,
        bytes,
    }
}

/// Returns envelope and payload of a record, its checksum verified.
///
/// # Errors
/// [`ReadError::Damaged`] naming the position.
pub fn split(record: &StoredRecord) -> Result<(Envelope, Payload), ReadError> {
    let (envelope, frame) = split_record(record.as_record())?;
    let payload = Payload {
        kind: frame.kind,
        version: frame.version,
        bytes: frame.bytes.to_vec(),
    };
    Ok((envelope, payload))
}

fn split_record(record: RecordRef<'_>) -> Result<(Envelope, Frame<'_>), ReadError> {
    let damaged = |detail: &str| ReadError::Damaged {
        position: record.position,
        detail: detail.to_owned(),
    };
    let (body, crc) = record
        .bytes
        .split_last_chunk()
        .ok_or_else(|| damaged("it is cut short"))?;
    if crc32fast::hash(body) != u32::from_le_bytes(*crc) {
        return Err(damaged("its checksum does not match"));
    }
    let (envelope, frame) = parse(&mut Reader(body)).ok_or_else(|| damaged("it is cut short"))?;
    if envelope.position != record.position {
        return Err(damaged("it belongs to another position"));
    }
    Ok((envelope, frame))
}

/// Returns kind and payload version of a record without checking it; nothing when it is cut short.
pub fn kind_and_version(bytes: &[u8]) -> Option<(u16, u16)> {
    let mut reader = Reader(bytes);
    reader.take(4 * 8 + 2)?;
    for _text in 0..4 {
        let length = reader.u16()?;
        reader.take(usize::from(length))?;
    }
    Some((reader.u16()?, reader.u16()?))
}

/// Returns the recorded event of a record.
///
/// # Errors
/// [`ReadError::Damaged`] or, for a record of a newer program, [`ReadError::Newer`].
pub fn decode(record: &StoredRecord) -> Result<Recorded, ReadError> {
    decode_record(record.as_record())
}

/// As [`decode`], for a record that somebody else holds.
///
/// # Errors
/// [`ReadError::Damaged`] or, for a record of a newer program, [`ReadError::Newer`].
pub fn decode_record(record: RecordRef<'_>) -> Result<Recorded, ReadError> {
    let (envelope, frame) = split_record(record)?;
    let position = envelope.position;
    let event = decode_frame(frame).map_err(|error| match error {
        PayloadError::Unknown { kind, version } => ReadError::Newer {
            position,
            kind,
            version,
        },
        PayloadError::Invalid(detail) => ReadError::Damaged { position, detail },
    })?;
    Ok(Recorded {
        position,
        stream: envelope.stream,
        stream_version: envelope.stream_version,
        at: envelope.at,
        actor: envelope.actor,
        causation: envelope.causation,
        correlation: envelope.correlation,
        event,
    })
}

/// The part of a record that is still unread.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn u16(&mut self) -> Option<u16> {
        self.take(2)?.try_into().ok().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take(4)?.try_into().ok().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take(8)?.try_into().ok().map(u64::from_le_bytes)
    }

    fn str(&mut self) -> Option<&'a str> {
        let length = usize::from(self.u16()?);
        str::from_utf8(self.take(length)?).ok()
    }

    fn text(&mut self) -> Option<String> {
        self.str().map(str::to_owned)
    }
}

fn parse<'a>(reader: &mut Reader<'a>) -> Option<(Envelope, Frame<'a>)> {
    let position = Position(reader.u64()?);
    let stream_version = StreamVersion(reader.u64()?);
    let at = AtMs(reader.u64()?);
    let causation = Some(Position(reader.u64()?)).filter(|position| position.0 > 0);
    let rest = reader.u16()?;
    let stream = StreamId::from_stored(reader.text()?);
    let actor = reader.str()?.parse().ok()?;
    let correlation = reader.text()?;
    let key = reader.text()?;
    let (kind, version) = (reader.u16()?, reader.u16()?);
    let length = reader.u32()? as usize;
    let bytes = reader.take(length)?;
    let envelope = Envelope {
        position,
        stream,
        stream_version,
        at,
        actor,
        causation,
        correlation,
        rest,
        key,
    };
    reader.0.is_empty().then_some((
        envelope,
        Frame {
            kind,
            version,
            bytes,
        },
    ))
}

#[cfg(test)]
mod tests;
