//! A machine whose clock was put back.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use airut::events::id::{AtMs, StreamId};
use airut::events::log::sled::SledStore;
use airut::events::log::{Append, Context, Log};
use airut::events::service::DrainStarted;

use crate::ground::{Ground, until};

const HOUR_MS: u64 = 3_600_000;

#[test]
fn a_clock_that_was_put_back_is_told_once_and_times_go_on() {
    let ground = Ground::new();
    let machine = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let ahead = u64::try_from(machine.as_millis()).unwrap() + HOUR_MS;
    write_at(&ground, AtMs(ahead));
    let mut daemon = ground.daemon();
    ground.send("after the jump").unwrap();
    let told = until("the jump in the log", || {
        ground.events("ClockWentBack").pop()
    });
    let by_ms = told["event"]["by_ms"].as_u64().unwrap();
    assert!((HOUR_MS - 60_000..=HOUR_MS).contains(&by_ms), "{by_ms}");
    assert!(daemon.said().contains("the machine's clock went back"));
    daemon.stop();
    let times: Vec<u64> = ground
        .all_events()
        .iter()
        .map(|event| event["at"].as_u64().unwrap())
        .collect();
    assert!(times.is_sorted(), "{times:?}");
    assert!(
        *times.last().unwrap() > ahead,
        "the log's time stands still"
    );
    assert_eq!(ground.events("ClockWentBack").len(), 1);
}

fn write_at(ground: &Ground, at: AtMs) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        let log = Log::open(Arc::new(SledStore::open(&ground.log()).unwrap())).unwrap();
        let event = DrainStarted {
            cause: "written by a clock that was an hour ahead".to_owned(),
            executing: 0,
            waiting: 0,
        };
        let append = Append::to(&StreamId::log(), vec![event.into()], Context::system(at));
        log.append(append).await.unwrap();
        log.close().await;
    });
}
