//! A service that cannot go on says so, whatever ended its worker: it is no daemon that takes mail
//! in and does nothing with it.

use std::sync::Arc;
use std::time::Duration;

use airut::clock::Stopwatch;
use airut::events::codec::StoredRecord;
use airut::events::id::{InboundId, Position};
use airut::events::log::Log;
use airut::events::log::sled::SledStore;
use airut::events::log::store::{Group, Store as _};
use airut::events::tree::leaf_hash;
use airut::handlers::channels::Channel;
use airut::handlers::intake::Intake;
use airut::handlers::memory::Memory;
use airut::handlers::operator::Operator;
use airut::handlers::ports::Channels;
use airut::handlers::snapshots::Snapshots;
use airut::service::{Parts, Service, ServicePlan, look};
use tokio_util::sync::CancellationToken;

use crate::parts::{config, repo};
use crate::world::{Disk, World};

const PATIENCE: Duration = Duration::from_secs(20);

async fn service(world: &World, disk: Arc<Disk>) -> Service {
    let log = Log::open(disk).unwrap();
    let ports = world.ports(&log);
    let (operator, questions) = Operator::new();
    let parts = Parts {
        intake: Intake::new(log.clone(), ports.bodies.clone()),
        memory: Memory::open(&log, Snapshots::below(world.state_dir())).unwrap(),
        channels: Channels::new().with(repo(), Arc::clone(&world.channel) as Arc<dyn Channel>),
        ports,
        operator,
        questions,
        failed: vec![],
        closing: Default::default(),
    };
    Service::run(parts, &Stopwatch::start(), false)
        .await
        .unwrap()
}

async fn fails(failure: CancellationToken) {
    let failed = tokio::time::timeout(PATIENCE, failure.cancelled()).await;
    failed.expect("the service says that it cannot go on");
}

#[tokio::test]
async fn a_service_whose_disk_is_full_fails_visibly() {
    let world = World::new(&[]);
    let service = service(&world, world.disk(u64::MAX)).await;
    world.kept.fail_commits("no space left on device");
    let refused = service.intake().source_acknowledged(InboundId([1; 16]));
    refused.await.unwrap_err();
    fails(service.failure()).await;
    assert!(!service.stop("test").await, "that was no good order");
}

#[tokio::test]
async fn a_service_whose_worker_panics_fails_visibly() {
    let world = World::new(&[]);
    let disk = world.disk(u64::MAX);
    let service = service(&world, Arc::clone(&disk)).await;
    disk.leave_a_gap();
    let known = InboundId([1; 16]);
    service.intake().source_acknowledged(known).await.unwrap();
    fails(service.failure()).await;
    assert!(!service.stop("test").await, "that was no good order");
}

#[tokio::test]
async fn a_service_that_is_stopped_has_not_failed() {
    let world = World::new(&[]);
    let service = service(&world, world.disk(u64::MAX)).await;
    let failure = service.failure();
    assert!(service.stop("test").await);
    assert!(!failure.is_cancelled());
    assert_eq!(world.count("ServiceStopped"), 1);
}

/// A start that fails leaves no trace in a log that nobody could read to its end.
#[tokio::test]
async fn only_a_log_that_was_read_to_its_end_is_written_to() {
    let world = World::new(&[]);
    let directory = look::log_directory(world.state_dir());
    let record = StoredRecord {
        position: Position(1),
        bytes: b"no record at all".to_vec(),
    };
    let mut group = Group::default();
    group.range.push(leaf_hash(&record.bytes));
    group.records.push(record);
    let store = SledStore::open(&directory).unwrap();
    store.commit(&group).unwrap();
    store.close().unwrap();
    drop(store);
    let plan = ServicePlan {
        config: config(&world.repo_url),
        config_sha256: None,
        state_dir: world.state_dir().to_owned(),
        runtime_dir: world.state_dir().join("run"),
        proxy_binary: "airut-proxy".into(),
        resilient: true,
        crash_at: None,
        crash_after: None,
    };
    let Err(error) = Service::start(plan).await else {
        panic!("the log does not read");
    };
    assert!(
        error.to_string().contains("position 1 is damaged"),
        "{error}"
    );
    let store = SledStore::open(&directory).unwrap();
    assert_eq!(store.read(Position(0), 10).unwrap(), group.records);
}
