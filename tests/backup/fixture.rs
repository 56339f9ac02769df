//! A log with events and bodies in one directory, and a backup of it in another.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use airut::events::Event;
use airut::events::blobs::Blobs;
use airut::events::checkpoint::SignedCheckpoint;
use airut::events::conversation::{
    ConversationForgetRequested, ConversationForgotten, ForgetReason, PromptComposed,
};
use airut::events::id::{AtMs, ConversationId, InboundId, RunId, StreamId, TaskId};
use airut::events::keys::KeyRing;
use airut::events::log::sled::SledStore;
use airut::events::log::{Append, Context, Log};
use airut::events::message::MessageRouted;
use airut::events::seal::Owner;
use airut::events::service::DrainStarted;
use airut::service::backup::{BackedUp, BackupError, back_up};
use tempfile::TempDir;

/// A home directory with a log, and room for backups.
pub(crate) struct Machine {
    pub(crate) home: TempDir,
}

pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(future)
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

impl Machine {
    /// Returns a machine whose log has `count` events.
    pub(crate) fn new(count: u32) -> Self {
        let machine = Self::empty();
        machine.append(count);
        machine
    }

    /// Returns a machine without a log.
    pub(crate) fn empty() -> Self {
        Self {
            home: TempDir::new().unwrap(),
        }
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.home.path().join("airut")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.state().join("log")
    }

    pub(crate) fn backup(&self) -> PathBuf {
        self.home.path().join("backup")
    }

    pub(crate) fn open(&self) -> Log {
        Log::open(Arc::new(SledStore::open(&self.log()).unwrap())).unwrap()
    }

    pub(crate) fn append(&self, count: u32) {
        let events: Vec<Event> = (0..count).map(event).collect();
        self.append_events(&events);
    }

    pub(crate) fn append_events(&self, events: &[Event]) {
        block_on(async {
            let log = self.open();
            for pair in events.chunks(2) {
                let stream = StreamId::from_stored("stream:1".to_owned());
                let append = Append::to(&stream, pair.to_vec(), Context::system(AtMs(7)));
                log.append(append).await.unwrap();
            }
            log.close().await;
        });
    }

    /// Keeps a body and refers to it; returns its file's path within a directory of bodies.
    pub(crate) fn append_body(&self, body: &[u8]) -> PathBuf {
        let blobs = Blobs::open(&self.state().join("blobs")).unwrap();
        let prompt = blobs
            .put(Owner::Task(TaskId(1)), body, "text/plain")
            .unwrap();
        let name = prompt.sha256.to_string();
        let run = RunId {
            task: TaskId(1),
            attempt: 1,
        };
        let composed = PromptComposed {
            run,
            prompt,
            conversation: ConversationId(1),
            resumes: None,
        };
        self.append_events(&[composed.into()]);
        PathBuf::from(&name[..2]).join(name)
    }

    /// Forgets the conversation of the body, as the daemon does: the key, the body, the tombstone.
    pub(crate) fn forget(&self, body: &Path) {
        let conversation = ConversationId(1);
        let routed = MessageRouted {
            inbound: InboundId([1; 16]),
            conversation,
            new: true,
            task: TaskId(1),
        };
        let asked = ConversationForgetRequested {
            conversation,
            reason: ForgetReason::Operator,
            by: "olive".to_owned(),
            last_activity: AtMs(7),
        };
        let forgotten = ConversationForgotten {
            conversation,
            keys: 1,
            bodies: 1,
            bytes_freed: 71,
        };
        let keys = KeyRing::of_state(&self.state());
        keys.destroy(Owner::Task(TaskId(1))).unwrap();
        std::fs::remove_file(self.state().join("blobs").join(body)).unwrap();
        self.append_events(&[routed.into(), asked.into(), forgotten.into()]);
    }

    #[track_caller]
    pub(crate) fn back_up(&self) -> BackedUp {
        self.try_back_up().unwrap()
    }

    pub(crate) fn try_back_up(&self) -> Result<BackedUp, BackupError> {
        back_up(&self.state(), &self.backup(), false)
    }

    /// Returns why nothing is backed up.
    #[track_caller]
    pub(crate) fn refusal(&self) -> String {
        self.try_back_up().unwrap_err().to_string()
    }

    /// Returns what the backup says of itself.
    pub(crate) fn checkpoint(&self) -> SignedCheckpoint {
        let note = std::fs::read_to_string(self.backup().join("checkpoint")).unwrap();
        SignedCheckpoint::from_note(&note).unwrap()
    }

    /// Runs `airut` on this machine, as a person would.
    pub(crate) fn airut(&self, arguments: &[&str]) -> Output {
        let home = self.home.path();
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
}

/// Everything that a program said.
pub(crate) fn words(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    String::from_utf8_lossy(&[out.as_slice(), err].concat()).into_owned()
}

/// Changes one byte of a file, counted from its end.
pub(crate) fn change_byte(path: &Path, from_end: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    let index = bytes.len() - from_end;
    bytes[index] ^= 1;
    std::fs::write(path, bytes).unwrap();
}

/// Changes the length of a file.
pub(crate) fn cut(path: &Path, bytes: u64) {
    let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    file.set_len(bytes).unwrap();
}

/// Copies a directory.
pub(crate) fn copy_all(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_all(&path, &target);
        } else {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}
