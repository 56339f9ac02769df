use std::sync::Arc;

use tempfile::TempDir;

use super::*;
use crate::events::Event;
use crate::events::conversation::ConversationCreated;
use crate::events::id::{AtMs, ChannelKind, ConversationId, RepoId, StreamId};
use crate::events::log::memory::MemoryStore;
use crate::events::log::{Append, Context};
use crate::projections::Projection as _;

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
async fn kept() -> (TempDir, PathBuf, Log) {
    let directory = TempDir::new().unwrap();
    let file = Memory::file(directory.path());
    let log = log_of(&[1, 2, 3]).await;
    Memory::open(&log, file.clone()).unwrap().keep(&log).await;
    add(&log, &[4, 5]).await;
    (directory, file, log)
}

/// Opens the memory; tells from where it was folded, having compared it with a fold from 0.
#[track_caller]
fn opened(log: &Log, file: &Path) -> Position {
    let memory = Memory::open(log, file.to_owned()).unwrap();
    let rebuilt = Memory::open(log, file.with_extension("none")).unwrap();
    assert_eq!(memory.checkpoint(), rebuilt.checkpoint());
    assert_eq!(rebuilt.kept_at, Position(0));
    memory.kept_at
}

fn rewrite(file: &Path, change: impl FnOnce(&mut Kept)) {
    let text = std::fs::read_to_string(file).unwrap();
    let mut kept: Kept = serde_json::from_str(text.split_once('\n').unwrap().1).unwrap();
    change(&mut kept);
    write(file, &kept).unwrap();
}

#[tokio::test]
async fn what_was_restored_equals_what_is_rebuilt() {
    let (_directory, file, log) = kept().await;
    assert_eq!(opened(&log, &file), Position(3));
}

#[tokio::test]
async fn a_checkpoint_of_another_code_version_is_rebuilt() {
    let (_directory, file, log) = kept().await;
    rewrite(&file, |kept| {
        assert_eq!(kept.checkpoint.code_version, State::CODE_VERSION);
        kept.checkpoint.code_version -= 1;
    });
    assert_eq!(opened(&log, &file), Position(0));
}

#[tokio::test]
async fn a_damaged_checkpoint_is_not_used() {
    let (_directory, file, log) = kept().await;
    let whole = std::fs::read_to_string(&file).unwrap();
    for damaged in [
        whole.replace("alice", "mallo"),
        whole[..whole.len() / 2].to_owned(),
        String::new(),
    ] {
        std::fs::write(&file, damaged).unwrap();
        assert_eq!(opened(&log, &file), Position(0));
    }
}

#[tokio::test]
async fn a_checkpoint_of_another_log_is_not_used() {
    let (_directory, file, _log) = kept().await;
    assert_eq!(opened(&log_of(&[1, 2, 9, 4, 5]).await, &file), Position(0));
    assert_eq!(opened(&log_of(&[1, 2]).await, &file), Position(0));
}
