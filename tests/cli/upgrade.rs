//! `airut log upgrade`, and what every command says of a log that a newer Airut wrote.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use airut::events::codec::{Envelope, Payload, encode};
use airut::events::id::{Actor, AtMs, Position, StreamId, StreamVersion};
use airut::events::log::sled::SledStore;
use airut::events::log::store::{Group, Store as _, StreamEntry};
use airut::events::log::{Append, Context, Log};
use airut::events::service::DrainStarted;
use airut::events::tree::{CompactRange, leaf_hash};
use airut::handlers::memory::Memory;
use airut::handlers::snapshots::Snapshots;
use airut::projections::Projection as _;
use airut::projections::state::State;

use super::{Home, complained, said};

fn state_of(home: &Home) -> PathBuf {
    home.path().join(".local/state/airut")
}

fn open(state: &Path) -> Log {
    Log::open(Arc::new(SledStore::open(&state.join("log")).unwrap())).unwrap()
}

async fn add(log: &Log, count: usize) {
    let event = DrainStarted {
        cause: "SIGTERM".to_owned(),
        executing: 0,
        waiting: 0,
    };
    let events = vec![event.into(); count];
    let append = Append::to(&StreamId::service(), events, Context::system(AtMs(1)));
    log.append(append).await.unwrap();
}

/// Everything that is promised, and the snapshots, by path.
fn files(state: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let log = ["journal", "anchor"].map(|name| state.join("log").join(name));
    let snapshots = fs::read_dir(state.join("checkpoints"))
        .into_iter()
        .flatten();
    let snapshots = snapshots.map(|entry| entry.unwrap().path());
    let all = log.into_iter().chain(snapshots);
    all.map(|path| (path.clone(), fs::read(&path).unwrap_or_default()))
        .collect()
}

#[tokio::test]
async fn a_new_version_is_made_ready_while_the_old_daemon_has_the_log() {
    let home = Home::new();
    let state = state_of(&home);
    fs::create_dir_all(&state).unwrap();
    let snapshots = Snapshots::below(&state);
    let (old, new) = (State::CODE_VERSION - 1, State::CODE_VERSION);
    // The old daemon has the log open all the time, and its own snapshot.
    let log = open(&state);
    add(&log, 3).await;
    let mut memory = Memory::open(&log, snapshots.clone()).unwrap();
    memory.keep(&log).await;
    fs::rename(
        snapshots.file(State::NAME, new),
        snapshots.file(State::NAME, old),
    )
    .unwrap();
    let before = files(&state);

    let dry = home.run(&["log", "upgrade", "--dry-run"]);
    let words = said(&dry);
    assert!(dry.status.success(), "{dry:?}");
    let told = format!("state: code version {old} → {new}: it is rebuilt over 3 events, about");
    assert!(words.contains(&told), "{words}");
    assert!(words.contains("Nothing was changed."), "{words}");
    assert_eq!(files(&state), before);

    let made = home.run(&["log", "upgrade"]);
    assert!(made.status.success(), "{made:?}");
    let after = files(&state);
    for (path, bytes) in &before {
        assert_eq!(after.get(path), Some(bytes), "{}", path.display());
    }
    let kept = snapshots.read::<State>().unwrap();
    assert_eq!(kept.feed.position(), Position(3));
    assert_eq!(kept.range.root(), log.head().root);

    // The old daemon goes on; the new one folds only what came since, to the same value.
    add(&log, 2).await;
    let again = home.run(&["log", "upgrade", "--dry-run", "--json"]);
    let report: serde_json::Value = serde_json::from_str(&said(&again)).unwrap();
    let projection = &report["survey"]["projections"][0];
    assert_eq!(projection["kept"], 3);
    assert_eq!(projection["events"], 2);
    log.close().await;
    drop((log, memory));
    let log = open(&state);
    let memory = Memory::open(&log, snapshots).unwrap();
    let nowhere = Snapshots::below(&state.join("nowhere"));
    let rebuilt = Memory::open(&log, nowhere).unwrap();
    assert_eq!(memory.checkpoint(), rebuilt.checkpoint());
}

/// Leaves a log of which a newer Airut wrote the second record.
async fn written_by_a_newer(state: &Path, kind: u16, version: u16) {
    fs::create_dir_all(state).unwrap();
    let log = open(state);
    add(&log, 1).await;
    let first = log.read_stored(Position(0), 1).unwrap().remove(0);
    log.close().await;
    drop(log);
    let payload = Payload {
        kind,
        version,
        bytes: b"new".to_vec(),
    };
    let envelope = Envelope {
        position: Position(2),
        stream: StreamId::service(),
        stream_version: StreamVersion(2),
        at: AtMs(2),
        actor: Actor::System,
        causation: None,
        correlation: String::new(),
        rest: 0,
        key: String::new(),
    };
    let record = encode(&envelope, &payload);
    let mut range = CompactRange::default();
    range.push(leaf_hash(&first.bytes));
    range.push(leaf_hash(&record.bytes));
    let group = Group {
        records: vec![record],
        streams: vec![StreamEntry {
            stream: StreamId::service(),
            version: StreamVersion(2),
            position: Position(2),
        }],
        keys: Vec::new(),
        range,
    };
    let store = SledStore::open(&state.join("log")).unwrap();
    store.commit(&group).unwrap();
    store.close().unwrap();
}

#[tokio::test]
async fn a_log_of_a_newer_version_is_refused_by_position_kind_and_version() {
    for (kind, version, named) in [
        (9999, 1, "kind 9999 version 1"),
        (4, 9, "DrainStarted (kind 4) version 9"),
    ] {
        let home = Home::new();
        let state = state_of(&home);
        written_by_a_newer(&state, kind, version).await;
        let before = files(&state);
        let refused = home.run(&["log", "upgrade"]);
        let words = said(&refused);
        assert_eq!(refused.status.code(), Some(1), "{refused:?}");
        assert!(words.contains(named), "{words}");
        assert!(words.contains("the first at position 2"), "{words}");
        assert!(words.contains("update Airut"), "{words}");
        for command in [["events"].as_slice(), &["run-gateway"], &["log", "rebuild"]] {
            let refused = home.run(command);
            let words = complained(&refused);
            assert!(!refused.status.success(), "{command:?}: {words}");
            let told = format!("kind {kind} version {version}");
            assert!(words.contains(&told), "{command:?}: {words}");
            assert!(words.contains("update Airut"), "{command:?}: {words}");
        }
        assert_eq!(files(&state), before);
    }
}

#[tokio::test]
async fn a_newer_disk_format_is_refused_and_left_alone() {
    let home = Home::new();
    let state = state_of(&home);
    fs::create_dir_all(&state).unwrap();
    let log = open(&state);
    add(&log, 1).await;
    log.close().await;
    drop(log);
    let journal = state.join("log/journal");
    let mut bytes = fs::read(&journal).unwrap();
    bytes[14] = b'2';
    fs::write(&journal, bytes).unwrap();
    let before = files(&state);
    for command in [["log", "upgrade"].as_slice(), &["events"], &["run-gateway"]] {
        let refused = home.run(command);
        let words = complained(&refused);
        assert!(!refused.status.success(), "{command:?}: {words}");
        assert!(words.contains("disk format 2"), "{command:?}: {words}");
        assert!(words.contains("update Airut"), "{command:?}: {words}");
    }
    assert_eq!(files(&state), before);
}
