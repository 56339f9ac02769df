use std::sync::Arc;

use tempfile::TempDir;

use super::*;
use crate::events::Event;
use crate::events::conversation::ConversationCreated;
use crate::events::id::{AtMs, ChannelKind, ConversationId, RepoId, StreamId};
use crate::events::log::memory::MemoryStore;
use crate::events::log::{Append, Context};

fn created(id: u32) -> Event {
    ConversationCreated {
        conversation: ConversationId(id),
        repo: RepoId("r".to_owned()),
        channel: ChannelKind::Local,
        owner: "alice".to_owned(),
        model: "opus".to_owned(),
        effort: None,
    }
    .into()
}

async fn log_of(ids: &[u32]) -> Log {
    let log = Log::open(Arc::new(MemoryStore::new())).unwrap();
    add(&log, ids).await;
    log
}

async fn add(log: &Log, ids: &[u32]) {
    let events = ids.iter().copied().map(created).collect();
    let append = Append::to(&StreamId::service(), events, Context::system(AtMs(1)));
    log.append(append).await.unwrap();
}

/// Keeps the memory of a log of three events, then adds two.
async fn kept() -> (TempDir, Snapshots, Log) {
    let directory = TempDir::new().unwrap();
    let snapshots = Snapshots::below(directory.path());
    let log = log_of(&[1, 2, 3]).await;
    let mut memory = Memory::open(&log, snapshots.clone()).unwrap();
    memory.keep(&log).await;
    add(&log, &[4, 5]).await;
    (directory, snapshots, log)
}

/// Opens the memory; tells from where it was folded, having compared it with a fold from 0.
#[track_caller]
fn opened(log: &Log, snapshots: &Snapshots) -> Position {
    let memory = Memory::open(log, snapshots.clone()).unwrap();
    let nowhere = TempDir::new().unwrap();
    let rebuilt = Memory::open(log, Snapshots::below(nowhere.path())).unwrap();
    assert_eq!(memory.checkpoint(), rebuilt.checkpoint());
    assert_eq!(rebuilt.kept_at, Position(0));
    memory.kept_at
}

#[tokio::test]
async fn what_was_restored_equals_what_is_rebuilt() {
    let (_directory, snapshots, log) = kept().await;
    assert_eq!(opened(&log, &snapshots), Position(3));
}

#[tokio::test]
async fn a_snapshot_of_another_code_version_is_not_used() {
    let (_directory, snapshots, log) = kept().await;
    let this = snapshots.file(State::NAME, State::CODE_VERSION);
    let older = snapshots.file(State::NAME, State::CODE_VERSION - 1);
    std::fs::rename(&this, older).unwrap();
    assert_eq!(opened(&log, &snapshots), Position(0));
    // Nor does a false name help.
    let other = Checkpoint {
        code_version: State::CODE_VERSION - 1,
        ..Feed::<State>::new().checkpoint()
    };
    snapshots.write(&log.range().unwrap(), &other).unwrap();
    std::fs::rename(snapshots.file(State::NAME, State::CODE_VERSION - 1), this).unwrap();
    assert_eq!(opened(&log, &snapshots), Position(0));
}

#[tokio::test]
async fn only_the_version_before_is_left_of_older_snapshots() {
    let (_directory, snapshots, log) = kept().await;
    let this = State::CODE_VERSION;
    for number in [this - 2, this - 1, this + 1] {
        let path = snapshots.file(State::NAME, number);
        std::fs::copy(snapshots.file(State::NAME, this), path).unwrap();
    }
    let mut memory = Memory::open(&log, snapshots.clone()).unwrap();
    memory.keep(&log).await;
    let left = snapshots.found().unwrap().into_iter();
    let left: Vec<u32> = left.map(|found| found.code_version).collect();
    assert_eq!(left, [this - 1, this, this + 1]);
}

#[tokio::test]
async fn a_damaged_checkpoint_is_not_used() {
    let (_directory, snapshots, log) = kept().await;
    let file = snapshots.file(State::NAME, State::CODE_VERSION);
    let whole = std::fs::read_to_string(&file).unwrap();
    for damaged in [
        whole.replace("alice", "mallo"),
        whole[..whole.len() / 2].to_owned(),
        String::new(),
    ] {
        std::fs::write(&file, damaged).unwrap();
        assert_eq!(opened(&log, &snapshots), Position(0));
    }
}

#[tokio::test]
async fn a_checkpoint_of_another_log_is_not_used() {
    let (_directory, snapshots, _log) = kept().await;
    assert_eq!(
        opened(&log_of(&[1, 2, 9, 4, 5]).await, &snapshots),
        Position(0)
    );
    assert_eq!(opened(&log_of(&[1, 2]).await, &snapshots), Position(0));
}
