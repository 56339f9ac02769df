use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::*;
use crate::events::run::RunLimits;
use crate::sandbox::podman_sandbox::testing::{Answer, FakePodman, Kept};
use crate::sandbox::port::{NetworkRequest, OutputKind, RunRequest};

#[tokio::test]
async fn a_part_that_stays_keeps_no_other_and_is_removed_before_the_next_run() {
    let podman = FakePodman::start();
    let sandbox = podman.sandbox();
    let run: RunId = "00000000000a.1".parse().unwrap();
    podman.answers(
        "DELETE /v4.0.0/libpod/containers/airut-run",
        Answer::Status(500),
    );
    let kept = Kept::default();
    sandbox.remove_all_of(run, &kept).await.unwrap_err();
    let first = ["OrphanRemovalFailed", "ContainerRemoved", "NetworkRemoved"];
    assert_eq!(kept.names(), first);
    podman.answers("/airut-proxy", Answer::Status(404));
    podman.answers("/airut-conv", Answer::Status(404));
    podman.answers("/airut-run", Answer::Status(200));
    let kept = Kept::default();
    sandbox.remove_left_overs(&kept).await;
    assert_eq!(kept.names(), ["OrphanRemoved"]);
    let kept = Kept::default();
    sandbox.remove_left_overs(&kept).await;
    assert_eq!(kept.names(), [""; 0]);
}

#[tokio::test]
async fn an_end_stays_an_end_when_something_of_the_run_cannot_be_removed() {
    let podman = FakePodman::start();
    let sandbox = podman.sandbox();
    podman.answers("DELETE", Answer::Status(500));
    let request = RunRequest {
        run: "00000000000a.1".parse().unwrap(),
        image: "i".to_owned(),
        argv: vec![],
        env: vec![],
        mounts: vec![],
        limits: RunLimits::default(),
        stdin: vec![],
        output: OutputKind::AgentStream,
        network: NetworkRequest::Open,
        service_ends: CancellationToken::new(),
    };
    let (kept, stop) = (Arc::new(Kept::default()), CancellationToken::new());
    stop.cancel();
    let ended = sandbox.execute(request, Arc::<Kept>::clone(&kept) as _, stop);
    assert!(ended.await.unwrap().stopped);
    assert_eq!(kept.names(), ["OrphanRemovalFailed"; 3]);
}

#[tokio::test]
async fn a_sweep_goes_on_when_something_cannot_be_listed() {
    let podman = FakePodman::start();
    let sandbox = podman.sandbox();
    podman.answers("/containers/json", Answer::Status(500));
    let networks = r#"[{"name":"n1","labels":{}}]"#.to_owned();
    podman.answers("/networks/json", Answer::Body(networks));
    let kept = Kept::default();
    sandbox.sweep_all(&kept).await.unwrap_err();
    assert_eq!(kept.names(), ["OrphanRemoved"]);
}
