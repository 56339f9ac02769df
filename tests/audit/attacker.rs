//! A log to attack, and an attacker who owns host, disk and key: records are changed as one likes,
//! and every checksum, the index and the anchor are made to fit.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use airut::events::Event;
use airut::events::blobs::Blobs;
use airut::events::checkpoint::SignedCheckpoint;
use airut::events::codec::{self, StoredRecord};
use airut::events::conversation::PromptComposed;
use airut::events::id::{AtMs, ConversationId, Position, RunId, StreamId, StreamVersion, TaskId};
use airut::events::log::sled::SledStore;
use airut::events::log::{Append, Context, Log};
use airut::events::seal::Owner;
use airut::events::service::DrainStarted;
use airut::service::audit::{Audit, Findings, Prover, Witness};
use tempfile::TempDir;

/// What comes before the groups of a journal.
const HEADER: &[u8] = b"airut journal 1\n";

/// A state directory with a log in it.
pub(crate) struct Victim {
    pub(crate) home: TempDir,
}

/// An event of no importance.
pub(crate) fn event(number: u32) -> Event {
    let event = DrainStarted {
        cause: format!("cause {number} {}", "x".repeat(number as usize % 90)),
        executing: number,
        waiting: 0,
    };
    event.into()
}

impl Victim {
    /// Writes a log of `count` events in three streams, one or two in a group, and closes it.
    pub(crate) fn new(count: u32) -> Self {
        let victim = Self {
            home: TempDir::new().unwrap(),
        };
        victim.append(count);
        victim
    }

    /// Opens the log, appends and closes it.
    pub(crate) fn append(&self, count: u32) {
        let events: Vec<Event> = (0..count).map(event).collect();
        self.append_events(&events);
    }

    pub(crate) fn append_events(&self, events: &[Event]) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let log = Log::open(Arc::new(SledStore::open(&self.log()).unwrap())).unwrap();
            for (number, pair) in events.chunks(2).enumerate() {
                let stream = StreamId::from_stored(format!("stream:{}", number % 3));
                let append = Append::to(&stream, pair.to_vec(), Context::system(AtMs(7)));
                log.append(append).await.unwrap();
            }
            log.close().await;
        });
    }

    /// Keeps a body and refers to it; returns its file.
    pub(crate) fn append_body(&self, body: &[u8]) -> PathBuf {
        let blobs = self.state().join("blobs");
        let prompt = Blobs::open(&blobs)
            .unwrap()
            .put(Owner::Task(TaskId(1)), body, "text/plain")
            .unwrap();
        let name = prompt.sha256.to_string();
        let composed = PromptComposed {
            run: RunId {
                task: TaskId(1),
                attempt: 1,
            },
            prompt,
            conversation: ConversationId(1),
            resumes: None,
        };
        self.append_events(&[composed.into()]);
        blobs.join(&name[..2]).join(name)
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.home.path().join("airut")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.state().join("log")
    }

    fn journal(&self) -> PathBuf {
        self.log().join("journal")
    }

    /// What an auditor has kept: the checkpoint of the first `size` events.
    pub(crate) fn checkpoint(&self, size: u64) -> SignedCheckpoint {
        let prover = Prover::read(&self.state()).unwrap();
        SignedCheckpoint::from_note(&prover.checkpoint(Some(size)).unwrap()).unwrap()
    }

    /// Checks the log against checkpoints.
    pub(crate) fn findings(&self, checkpoints: &[SignedCheckpoint]) -> Findings {
        let witness = |signed: &SignedCheckpoint| Witness {
            name: "the kept checkpoint".to_owned(),
            signed: signed.clone(),
        };
        let witnesses: Vec<Witness> = checkpoints.iter().map(witness).collect();
        let mut audit = Audit::read(&self.state(), None).unwrap();
        audit.compare_index_on_disk();
        audit.compare(&witnesses)
    }

    /// Reads the journal: its records, group by group.
    pub(crate) fn groups(&self) -> Vec<Vec<Vec<u8>>> {
        let journal = std::fs::read(self.journal()).unwrap();
        let mut rest = &journal[HEADER.len()..];
        let mut groups = Vec::new();
        while !rest.is_empty() {
            let length = u32::from_le_bytes(rest[..4].try_into().unwrap()) as usize;
            let (mut body, tail) = rest[8..].split_at(length);
            let mut records = Vec::new();
            while !body.is_empty() {
                let length = u32::from_le_bytes(body[..4].try_into().unwrap()) as usize;
                records.push(body[4..4 + length].to_vec());
                body = &body[4 + length..];
            }
            groups.push(records);
            rest = tail;
        }
        groups
    }

    /// Puts other records into the journal, and makes checksums, index and anchor fit.
    pub(crate) fn rewrite(&self, groups: &[Vec<Vec<u8>>]) {
        self.write(groups);
        drop(std::fs::remove_dir_all(self.log().join("index")));
        // The attacker's own tools refuse what cannot be read; the journal stays as it is then.
        drop(std::fs::remove_file(self.log().join("anchor")));
        drop(SledStore::rebuild(&self.log(), true));
    }

    /// Puts other records into the journal, and makes its checksums fit.
    pub(crate) fn write(&self, groups: &[Vec<Vec<u8>>]) {
        let mut journal = HEADER.to_vec();
        for group in groups.iter().filter(|group| !group.is_empty()) {
            let mut body = Vec::new();
            for record in group {
                body.extend(u32::try_from(record.len()).unwrap().to_le_bytes());
                body.extend(record);
            }
            journal.extend(u32::try_from(body.len()).unwrap().to_le_bytes());
            journal.extend(crc32(&body).to_le_bytes());
            journal.extend(body);
        }
        std::fs::write(self.journal(), journal).unwrap();
    }

    /// Changes one bit of the journal's file, and nothing else.
    pub(crate) fn flip_file_bit(&self, bit: usize) {
        let mut journal = std::fs::read(self.journal()).unwrap();
        let bits = (journal.len() - HEADER.len()) * 8;
        let bit = HEADER.len() * 8 + bit % bits;
        journal[bit / 8] ^= 1 << (bit % 8);
        std::fs::write(self.journal(), journal).unwrap();
    }
}

/// The checksum of the journal, worked out bit by bit.
pub(crate) fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            let mask = (crc & 1).wrapping_neg();
            crc = crc >> 1 ^ 0xedb8_8320 & mask;
        }
    }
    !crc
}

/// Gives a record's own checksum what it should be.
pub(crate) fn reseal(record: &mut [u8]) {
    let end = record.len() - 4;
    let crc = crc32(&record[..end]);
    record[end..].copy_from_slice(&crc.to_le_bytes());
}

/// Gives all records their places: positions in order and versions of each stream without a gap.
pub(crate) fn renumber(groups: &mut [Vec<Vec<u8>>]) {
    let mut versions = std::collections::BTreeMap::new();
    for (record, position) in groups.iter_mut().flatten().zip(1..) {
        let position = Position(position);
        let bytes = record.clone();
        // Where the record says it stands, so that it reads.
        let said = u64::from_le_bytes(bytes[..8].try_into().unwrap());
        let position_said = Position(said);
        let stored = StoredRecord {
            position: position_said,
            bytes,
        };
        let (mut envelope, payload) = codec::split(&stored).unwrap();
        let version = versions.entry(envelope.stream.clone()).or_insert(0);
        *version += 1;
        envelope.position = position;
        envelope.stream_version = StreamVersion(*version);
        *record = codec::encode(&envelope, &payload).bytes;
    }
}

/// Runs `airut` in a home, as a person would.
pub(crate) fn airut(home: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_airut"))
        .args(arguments)
        .env_clear()
        .env("HOME", home)
        .env("XDG_CONFIG_HOME", home.join("config"))
        .env("XDG_STATE_HOME", home)
        .env("XDG_RUNTIME_DIR", home.join("runtime"))
        .output()
        .unwrap()
}
