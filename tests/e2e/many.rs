//! As many sandboxes at once as the issue asks of this machine, each with its proxy, network and
//! authority: each lets through what is allowed and refuses the rest, and nothing of them stays.

use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use airut::events::Event;
use airut::events::event::ProxyEvent;
use airut::sandbox::port::Sandbox as _;
use airut::sandbox::recorder::{PortFuture, RecordError, Recorder};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::common::parts::{BASE_IMAGE, Parts};
use crate::e2e::ground::{self, Ground};

const SANDBOXES: u64 = 64;

/// Most resident memory of a proxy that has nothing to do.
const PROXY_KIB_MAX: u64 = 10 * 1024;

/// Time for all of them to begin and to ask, on two cores that others use too.
const BEGIN_TIME_MAX: Duration = Duration::from_secs(500);

/// One asks, then waits for a byte that the test writes.
const SCRIPT: &str = "
ask() { curl -sS -o /dev/null -w '%{http_code}' https://$1.example.test/many; }
allowed=$(ask origin) denied=$(ask other)
head -c 1 /shared/gate >/dev/null
[ \"$allowed $denied\" = '200 403' ]";

/// How many requests were allowed and denied so far.
struct Counted(watch::Sender<(u64, u64)>);

impl Recorder for Counted {
    fn record(&self, events: Vec<Event>) -> PortFuture<'_, Result<(), RecordError>> {
        self.0.send_modify(|(allowed, denied)| {
            for event in &events {
                *allowed += u64::from(matches!(event, Event::Proxy(ProxyEvent::RequestAllowed(_))));
                *denied += u64::from(matches!(event, Event::Proxy(ProxyEvent::RequestBlocked(_))));
            }
        });
        Box::pin(async { Ok(()) })
    }
}

/// Returns the resident memory of each proxy of this test, in KiB.
fn proxies(name: &str) -> Vec<u64> {
    let filter = format!("label=airut.instance={name}");
    let format = "{{.Pid}} {{.Names}}";
    let arguments = ["ps", "--filter", &filter, "--format", format];
    let told = ground::call("podman", &arguments, "/".as_ref());
    let proxies = told.lines().filter(|line| line.contains("airut-proxy-"));
    let resident = |line: &str| {
        let process = line.split(' ').next().unwrap();
        let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        line.unwrap()
            .split_whitespace()
            .nth(1)
            .unwrap()
            .parse()
            .unwrap()
    };
    proxies.map(resident).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_sandboxes_live_at_once_and_nothing_of_them_stays() {
    let Some(parts) = Parts::find() else { return };
    if !ground::has_image(BASE_IMAGE) {
        return;
    }
    let ground = Ground::start(&parts, Ground::directory()).await;
    let gate = ground.shared().join("gate");
    ground::call("mkfifo", &["-m", "666", "gate"], &ground.shared());
    // Open for both, so that whoever comes late still reads what was written.
    let mut gate = std::fs::File::options()
        .read(true)
        .write(true)
        .open(gate)
        .unwrap();
    let (sender, mut counted) = watch::channel((0, 0));
    let recorder: Arc<dyn Recorder> = Arc::new(Counted(sender));
    let image = ground.image(BASE_IMAGE, Arc::clone(&recorder)).await;
    let begun = Instant::now();
    let mut running = tokio::task::JoinSet::new();
    for number in 1..=SANDBOXES {
        let domains = ["origin.example.test"];
        let (run, script) = (ground::run(number), SCRIPT.to_owned());
        let request = ground.request(run, image.clone(), script, &domains);
        let (sandbox, recorder) = (Arc::clone(&ground.sandbox), Arc::clone(&recorder));
        running.spawn(async move {
            let stop = CancellationToken::new();
            sandbox.run(request, recorder, stop).await
        });
    }
    let all = counted.wait_for(|(_, denied)| *denied >= SANDBOXES);
    let all = tokio::time::timeout(BEGIN_TIME_MAX, all).await;
    let all = all.map(|all| *all.unwrap());
    let asked = begun.elapsed();
    let memory = proxies(&ground.name);
    gate.write_all(&[b'\n'; SANDBOXES as usize]).unwrap();
    while let Some(end) = running.join_next().await {
        let end = end.unwrap().unwrap();
        assert_eq!(end.exit_code, 0, "{}", end.stderr_tail);
    }
    assert_eq!(all.unwrap(), (SANDBOXES, SANDBOXES));
    assert_eq!(memory.len() as u64, SANDBOXES, "all of them live at once");
    let most = memory.iter().max().unwrap();
    eprintln!(
        "{SANDBOXES} sandboxes: all asked after {:.1} s, all gone after {:.1} s; a proxy has at most \
         {most} KiB, all have {} MiB",
        asked.as_secs_f64(),
        begun.elapsed().as_secs_f64(),
        memory.iter().sum::<u64>() / 1024
    );
    assert!(*most <= PROXY_KIB_MAX, "{most} KiB");
    let podman = ground.sandbox.podman();
    let mine = |all: Vec<(String, serde_json::Value)>| {
        let label = |labels: &serde_json::Value| labels["airut.instance"] == *ground.name;
        all.into_iter().filter(|(_, labels)| label(labels)).count()
    };
    assert_eq!(mine(podman.containers("airut.instance").await.unwrap()), 0);
    assert_eq!(mine(podman.networks("airut.instance").await.unwrap()), 0);
    ground.stop().await;
}
