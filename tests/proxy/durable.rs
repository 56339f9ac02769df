//! Nothing leaves unrecorded.

use airut::config::types::Audit;
use airut::events::event::ProxyEvent;
use airut::sandbox::proxy::ca::make_authority;
use airut::sandbox::proxy::link::{encode, read_message};
use airut::sandbox::proxy::server::serve;
use airut::sandbox::proxy::wire::{FromProxy, Outcome, ToProxy};
use airut::tasks::TaskSet;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpStream, UnixListener};

use crate::client::{Client, read_until, status};
use crate::origin::Origin;
use crate::world::{Gate, Journal, World, at, setup};

const GET: &str = "GET / HTTP/1.1\r\nhost: two.test\r\nconnection: close\r\n\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn nothing_leaves_before_its_decision_is_durable() {
    let world = World::start().await;
    world.recording.gate.send_replace(Gate::Closed);
    let (client, tasks) = (world.client.clone(), TaskSet::new());
    let asking = tasks.spawn(async move { client.say("two.test", GET).await });
    world.asked(1).await;
    // Time enough for a proxy that does not wait: others connect and are served meanwhile.
    for _ in 0..20 {
        drop(world.client.tls("two.test", "h2", true).await.unwrap());
    }
    assert_eq!(world.journal.lines(), [""; 0], "no name, no connection");
    assert!(!asking.is_finished());

    world.recording.gate.send_replace(Gate::Open);
    assert_eq!(status(&asking.await.unwrap()), 200);
    let lines = world.journal.lines();
    assert_eq!(lines[0], "durable RequestAllowed");
    assert!(lines[1].starts_with("asked for two.test"), "{lines:?}");
    assert!(lines.contains(&"requested /".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relaxed_request_leaves_ahead_of_the_disk_but_only_until_the_disk_fails() {
    let world = World::audited(Audit::Relaxed).await;
    let told =
        |event: &ProxyEvent| matches!(event, ProxyEvent::RelaxedAuditInForce(_)).then_some(());
    world.event(told).await;
    world.recording.gate.send_replace(Gate::Closed);
    assert_eq!(status(&world.client.say("two.test", GET).await), 200);
    let lines = world.journal.lines();
    assert!(
        !lines.contains(&"durable RequestAllowed".to_owned()),
        "{lines:?}"
    );

    world.recording.gate.send_replace(Gate::Failing);
    world.proxy.await.unwrap().unwrap();
    let refused = TcpStream::connect(at(&world.setup, world.setup.ports.https)).await;
    assert!(refused.is_err(), "the proxy has ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_recorded_is_denied() {
    let world = World::start().await;
    world.recording.gate.send_replace(Gate::Failing);
    let answer = world.client.say("two.test", GET).await;
    assert_eq!(status(&answer), 503);
    assert!(answer.contains("decision_not_recorded"), "{answer}");
    let denied = GET.replace("two.test", "evil.test");
    assert_eq!(status(&world.client.say("evil.test", &denied).await), 503);
    assert_eq!(world.journal.lines(), [""; 0]);

    world.recording.gate.send_replace(Gate::Open);
    assert_eq!(status(&world.client.say("two.test", GET).await), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_link_the_proxy_denies_everything() {
    let world = World::start().await;
    let mut kept = world.client.plain().await;
    let get = "GET / HTTP/1.1\r\nhost: one.test\r\n\r\n";
    kept.write_all(get.as_bytes()).await.unwrap();
    assert_eq!(status(&read_until(&mut kept, "\r\n\r\n").await), 200);
    let ended =
        |event: &ProxyEvent| matches!(event, ProxyEvent::ResponseCompleted(_)).then_some(());
    world.event(ended).await;
    world.recording.gate.send_replace(Gate::Closed);
    let (client, tasks) = (world.client.clone(), TaskSet::new());
    let asking = tasks.spawn(async move { client.say("two.test", GET).await });
    world.asked(3).await;

    world.stop.cancel();
    let waiting = asking.await.unwrap();
    assert!([0, 503].contains(&status(&waiting)), "{waiting}");
    let on_kept = crate::client::say(kept, get).await;
    assert!([0, 503].contains(&status(&on_kept)), "{on_kept}");
    world.proxy.await.unwrap().unwrap();
    for port in [world.setup.ports.http, world.setup.ports.https] {
        let refused = TcpStream::connect(at(&world.setup, port)).await;
        assert!(refused.is_err(), "the proxy has ended");
    }
    assert_eq!(world.origin.seen().len(), 1, "the one before");
}

#[tokio::test(flavor = "multi_thread")]
async fn beyond_the_limit_of_decisions_everything_is_denied() {
    drop(rustls::crypto::ring::default_provider().install_default());
    let journal = Journal::default();
    let origin = Origin::start(journal.clone()).await;
    let authority = make_authority("test").unwrap();
    let setup = setup(&origin, authority.key);
    let client = Client::new(setup.address, setup.ports, &authority.certificate);
    let (directory, tasks) = (TempDir::new().unwrap(), TaskSet::new());
    let socket = directory.path().join("link.sock");
    let daemon = UnixListener::bind(&socket).unwrap();
    let _proxy = tasks.spawn(async move { serve(&socket).await });
    let (mut reader, mut writer) = daemon.accept().await.unwrap().0.into_split();
    let setup = encode(&ToProxy::Setup(Box::new(setup)));
    writer.write_all(&setup).await.unwrap();
    let ready: FromProxy = read_message(&mut reader).await.unwrap().unwrap();
    assert_eq!(ready, FromProxy::Ready);
    let asking = tasks.spawn(async move { client.say("two.test", GET).await });
    let asked: FromProxy = read_message(&mut reader).await.unwrap().unwrap();
    let FromProxy::Decision { number, .. } = asked else {
        panic!("no decision: {asked:?}")
    };
    let outcome = Outcome::BeyondLimit;
    let receipt = encode(&ToProxy::Receipt { number, outcome });
    writer.write_all(&receipt).await.unwrap();
    let answer = asking.await.unwrap();
    assert_eq!(status(&answer), 429);
    assert!(answer.contains("too_many_requests"), "{answer}");
    assert_eq!(journal.lines(), [""; 0]);
}
