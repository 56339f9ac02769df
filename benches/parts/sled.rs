//! Raw sled with the same bytes and the same number of flushes, as the measure of the log.

use std::fs::File;
use std::path::Path;

use airut::clock::Stopwatch;

use super::log::{Done, MILLION, RECORD_BYTES};
use super::{directory, print_rate};

/// The cache that the log gives its sled as well.
const CACHE_BYTES: u64 = 32 * 1024 * 1024;

fn open(path: &Path) -> sled::Db {
    let config = sled::Config::new().path(path);
    config.cache_capacity(CACHE_BYTES).open().unwrap()
}

/// Measures sled twice: with its own flush, which is no fsync, and with `fdatasync` behind it, which
/// is what the log promises.
pub(crate) fn append(writers: u64, done: &Done) {
    append_with(&format!("sled.append.w{writers}"), done, false);
    append_with(&format!("sled.append_synced.w{writers}"), done, true);
}

fn append_with(name: &str, done: &Done, synced: bool) {
    let directory = directory();
    let database = open(directory.path());
    let file = File::open(directory.path().join("db")).unwrap();
    let value = vec![b'x'; RECORD_BYTES];
    let watch = Stopwatch::start();
    for flush in 0..done.flushes {
        let (first, end) = (
            flush * done.events / done.flushes,
            (flush + 1) * done.events / done.flushes,
        );
        let mut batch = sled::Batch::default();
        for position in first..end {
            batch.insert(&position.to_be_bytes(), value.as_slice());
        }
        database.apply_batch(batch).unwrap();
        database.flush().unwrap();
        if synced {
            file.sync_data().unwrap();
        }
    }
    print_rate(name, done.events, watch.elapsed());
}

/// Measures sled's own iteration over a million values, in a database just opened.
pub(crate) fn scan() {
    let directory = directory();
    let value = vec![b'x'; RECORD_BYTES];
    let database = open(directory.path());
    for first in (0..MILLION).step_by(1000) {
        let mut batch = sled::Batch::default();
        for position in first..first + 1000 {
            batch.insert(&position.to_be_bytes(), value.as_slice());
        }
        database.apply_batch(batch).unwrap();
    }
    database.flush().unwrap();
    drop(database);
    let database = open(directory.path());
    let watch = Stopwatch::start();
    let count = database.iter().filter(Result::is_ok).count();
    assert_eq!(count as u64, MILLION);
    print_rate("sled.scan", MILLION, watch.elapsed());
}
