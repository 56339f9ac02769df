use std::sync::Arc;

use tempfile::TempDir;

use super::*;
use crate::events::Event;
use crate::events::codec;
use crate::events::id::AtMs;
use crate::events::log::{Append, Context, Log};
use crate::events::service::DrainStarted;

fn append(stream: &str, number: u32) -> Append {
    let event: Event = DrainStarted {
        cause: "x".repeat(400),
        executing: number,
        waiting: 0,
    }
    .into();
    let stream = StreamId::from_stored(stream.to_owned());
    Append::to(
        &stream,
        vec![event.clone(), event],
        Context::system(AtMs(1)),
    )
}

fn open(directory: &TempDir) -> Log {
    Log::open(Arc::new(SledStore::open(directory.path()).unwrap())).unwrap()
}

fn refusal(directory: &TempDir) -> String {
    SledStore::open(directory.path())
        .expect_err("the log must be refused")
        .to_string()
}

/// Writes `count` appends of two events, then closes in good order.
async fn filled(count: u32) -> (TempDir, Vec<StoredRecord>) {
    let directory = TempDir::new().unwrap();
    let log = open(&directory);
    for number in 0..count {
        log.append(append("a", number).once(format!("key {number}")))
            .await
            .unwrap();
    }
    let records = log.read_stored(Position(0), 1_000_000).unwrap();
    log.close().await;
    drop(log);
    (directory, records)
}

fn journal_of(directory: &TempDir) -> PathBuf {
    directory.path().join("journal")
}

#[tokio::test]
async fn everything_is_there_after_a_restart() {
    let (directory, records) = filled(300).await;
    let log = open(&directory);
    assert_eq!(log.head().position, Position(600));
    assert_eq!(log.read_stored(Position(0), 1000).unwrap(), records);
    assert_eq!(
        log.read_stored(Position(123), 5).unwrap(),
        records[123..128]
    );
    let stream = StreamId::from_stored("a".to_owned());
    assert_eq!(log.stream_version(&stream).unwrap(), StreamVersion(600));
    let repeated = log.append(append("a", 7).once("key 7")).await.unwrap();
    assert_eq!(
        (repeated.first, repeated.last, repeated.repeated),
        (Position(15), Position(16), true)
    );
    log.close().await;
}

#[tokio::test]
async fn a_second_daemon_is_refused() {
    let (directory, _) = filled(1).await;
    let first = SledStore::open(directory.path()).unwrap();
    assert!(refusal(&directory).contains("another Airut process"));
    drop(first);
    SledStore::open(directory.path()).unwrap();
}

#[tokio::test]
async fn a_torn_end_of_the_journal_is_cut_off() {
    let (directory, records) = filled(3).await;
    let mut journal = std::fs::read(journal_of(&directory)).unwrap();
    journal.extend([9, 0, 0, 0, 1, 2, 3, 4, 5]);
    std::fs::write(journal_of(&directory), &journal).unwrap();
    let log = open(&directory);
    assert_eq!(log.read_stored(Position(0), 100).unwrap(), records);
    log.append(append("a", 99)).await.unwrap();
    log.close().await;
    drop(log);
    assert_eq!(open(&directory).head().position, Position(8));
}

#[tokio::test]
async fn a_journal_that_lost_promised_events_is_refused() {
    let (directory, _) = filled(10).await;
    let journal = std::fs::read(journal_of(&directory)).unwrap();
    std::fs::write(journal_of(&directory), &journal[..journal.len() - 1]).unwrap();
    assert!(refusal(&directory).contains("went backwards"));
}

#[tokio::test]
async fn a_missing_anchor_is_refused_and_a_forged_one_too() {
    let (directory, _) = filled(2).await;
    let path = directory.path().join("anchor");
    let anchor = std::fs::read_to_string(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert!(refusal(&directory).contains("anchor is missing"));
    std::fs::write(&path, anchor.replace("size 4", "size 2")).unwrap();
    assert!(refusal(&directory).contains("not signed by this log's key"));
}

#[tokio::test]
async fn a_lost_index_is_made_again_from_the_journal() {
    let (directory, records) = filled(300).await;
    std::fs::remove_dir_all(directory.path().join("index")).unwrap();
    let log = open(&directory);
    assert_eq!(log.read_stored(Position(0), 1000).unwrap(), records);
    let repeated = log.append(append("a", 7).once("key 7")).await.unwrap();
    assert!(repeated.repeated);
    log.close().await;
}

#[tokio::test]
async fn an_index_that_lags_is_caught_up() {
    let (directory, _) = filled(2).await;
    let aside = TempDir::new().unwrap();
    copy(directory.path(), aside.path());
    let log = open(&directory);
    for number in 10..20 {
        log.append(append("b", number)).await.unwrap();
    }
    let records = log.read_stored(Position(0), 1000).unwrap();
    log.close().await;
    drop(log);
    // The old index and anchor beside the new journal: what a power cut may leave.
    std::fs::copy(journal_of(&directory), journal_of(&aside)).unwrap();
    let log = open(&aside);
    assert_eq!(log.read_stored(Position(0), 1000).unwrap(), records);
    log.close().await;
}

#[tokio::test]
async fn an_index_ahead_of_the_journal_is_refused() {
    let (directory, _) = filled(2).await;
    let aside = TempDir::new().unwrap();
    copy(directory.path(), aside.path());
    let log = open(&directory);
    log.append(append("b", 1)).await.unwrap();
    log.close().await;
    drop(log);
    for file in ["journal", "anchor"] {
        std::fs::copy(aside.path().join(file), directory.path().join(file)).unwrap();
    }
    assert!(refusal(&directory).contains("the index holds events up to 6"));
}

#[tokio::test]
async fn events_of_a_newer_version_are_refused() {
    let (directory, _) = filled(1).await;
    let index = Index::open(&directory.path().join("index")).unwrap();
    index.note_kind((9999, 1)).unwrap();
    drop(index);
    assert!(refusal(&directory).contains("update Airut"));
}

#[tokio::test]
async fn events_of_a_newer_version_are_refused_also_when_the_index_did_not_know_them() {
    let (directory, records) = filled(1).await;
    let mut newer = records;
    for record in &mut newer {
        let (envelope, mut payload) = codec::split(record).unwrap();
        payload.kind = 9999;
        *record = codec::encode(&envelope, &payload);
    }
    for name in ["journal", "index", "anchor"] {
        let path = directory.path().join(name);
        let removed = std::fs::remove_file(&path);
        removed.or_else(|_| std::fs::remove_dir_all(&path)).unwrap();
    }
    let mut journal = Journal::open(&journal_of(&directory)).unwrap();
    let anchor = AnchorFile::open(directory.path()).unwrap();
    anchor.write(&Anchor::empty()).unwrap();
    journal.append(&newer).unwrap();
    assert!(refusal(&directory).contains("update Airut"));
    let rebuilt = SledStore::rebuild(directory.path(), false);
    let error = rebuilt.expect_err("the events are newer").to_string();
    assert!(error.contains("update Airut"), "{error}");
}

/// Returns the offset of the last group in a journal of equal ones.
fn last_group(directory: &TempDir, groups: u64) -> u64 {
    let length = std::fs::metadata(journal_of(directory)).unwrap().len();
    let start = Journal::start();
    length - (length - start) / groups
}

fn cut(directory: &TempDir, length: u64) {
    let mut options = std::fs::OpenOptions::new();
    let journal = options.write(true).open(journal_of(directory)).unwrap();
    journal.set_len(length).unwrap();
}

#[tokio::test]
async fn a_journal_cut_at_the_boundary_of_a_group_is_rebuilt_only_when_its_loss_is_accepted() {
    let (directory, _) = filled(9).await;
    cut(&directory, last_group(&directory, 9));
    assert!(refusal(&directory).contains("went backwards"));
    let anchor = std::fs::read(directory.path().join("anchor")).unwrap();
    let error = SledStore::rebuild(directory.path(), false).expect_err("promised events are lost");
    assert!(error.to_string().contains("--accept-loss"), "{error}");
    let after = std::fs::read(directory.path().join("anchor")).unwrap();
    assert_eq!(after, anchor, "the promise stands");
    assert_eq!(SledStore::rebuild(directory.path(), true).unwrap(), 16);
    assert_eq!(open(&directory).head().position, Position(16));
}

#[tokio::test]
async fn another_journal_of_the_same_length_is_not_taken_for_the_promised_one() {
    let (directory, _) = filled(9).await;
    let other = TempDir::new().unwrap();
    let log = open(&other);
    for number in 0..9 {
        let append = append("b", number).once(format!("key {number}"));
        log.append(append).await.unwrap();
    }
    log.close().await;
    drop(log);
    std::fs::copy(journal_of(&other), journal_of(&directory)).unwrap();
    for index_is_there in [true, false] {
        if !index_is_there {
            std::fs::remove_dir_all(directory.path().join("index")).unwrap();
            assert!(refusal(&directory).contains("are not those with root"));
        }
        let rebuilt = SledStore::rebuild(directory.path(), false);
        let error = rebuilt.expect_err("it is another journal").to_string();
        assert!(error.contains("are not those with root"), "{error}");
    }
}

#[tokio::test]
async fn an_index_that_cannot_be_used_is_moved_aside_and_made_again() {
    let (directory, records) = filled(50).await;
    let database = directory.path().join("index").join("db");
    let length = std::fs::metadata(&database).unwrap().len();
    std::fs::write(&database, vec![0x5a; usize::try_from(length).unwrap()]).unwrap();
    let log = open(&directory);
    assert_eq!(log.read_stored(Position(0), 1000).unwrap(), records);
    log.close().await;
    assert!(directory.path().join("index.before-rebuild-1").is_dir());
}

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            std::fs::create_dir_all(&target).unwrap();
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn flip(path: &Path, offset: u64) -> Vec<u8> {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[usize::try_from(offset).unwrap()] ^= 1;
    std::fs::write(path, &bytes).unwrap();
    bytes
}

#[tokio::test]
async fn a_rebuild_cuts_nothing_off_a_journal_that_is_broken_in_the_middle() {
    let (directory, _) = filled(20).await;
    let journal = journal_of(&directory);
    let broken = flip(&journal, 2000);
    let error = SledStore::rebuild(directory.path(), false).expect_err("the journal is broken");
    assert!(error.to_string().contains("is damaged at byte"), "{error}");
    assert_eq!(std::fs::read(&journal).unwrap(), broken);
}

#[tokio::test]
async fn a_rebuild_cuts_nothing_off_that_was_promised() {
    let (directory, _) = filled(20).await;
    let journal = journal_of(&directory);
    let length = std::fs::metadata(&journal).unwrap().len();
    let broken = flip(&journal, length - 1);
    let error = SledStore::rebuild(directory.path(), false).expect_err("the last group is broken");
    assert!(error.to_string().contains("were promised"), "{error}");
    assert_eq!(std::fs::read(&journal).unwrap(), broken);
}

#[tokio::test]
async fn a_broken_group_behind_the_anchor_with_whole_ones_after_it_is_no_torn_end() {
    let (directory, _) = filled(5).await;
    let anchor = directory.path().join("anchor");
    let anchored = std::fs::read(&anchor).unwrap();
    let journal = journal_of(&directory);
    let length = std::fs::metadata(&journal).unwrap().len();
    let log = open(&directory);
    for number in 5..10 {
        log.append(append("a", number)).await.unwrap();
    }
    log.close().await;
    drop(log);
    // As after a kill: the anchor is the older one.
    std::fs::write(&anchor, anchored).unwrap();
    let broken = flip(&journal, length + 100);
    let refusal = refusal(&directory);
    assert!(refusal.contains("is damaged at byte"), "{refusal}");
    assert_eq!(std::fs::read(&journal).unwrap(), broken);
}
