//! One proxy with everything around it, and the journal in which all of it writes in order.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};

use airut::config::types::{Audit, GithubAppSecret};
use airut::events::Event;
use airut::events::event::ProxyEvent;
use airut::events::id::TaskId;
use airut::sandbox::github::{GithubTokens, RunApps};
use airut::sandbox::link_server::{LinkServer, LinkState, SOCKET_NAME};
use airut::sandbox::proxy::allowlist::{Allowlist, Operations, UrlPrefix};
use airut::sandbox::proxy::ca::make_authority;
use airut::sandbox::proxy::honey::{Honey, ModelCall};
use airut::sandbox::proxy::server::{ServeError, serve};
use airut::sandbox::proxy::wire::{
    AppCredential, InternalRange, MaskedCredential, Ports, Secret, Setup, SigningCredential,
};
use airut::sandbox::recorder::{PortFuture, RecordError, Recorder};
use airut::tasks::TaskSet;
use secrecy::SecretString;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::client::Client;
use crate::origin::Origin;

/// What the agent has, and what upstream gets.
pub(crate) const SURROGATE: &str = "sk-ant-surrogate";
pub(crate) const REAL: &str = "sk-ant-real";

/// What nobody may send anywhere.
pub(crate) const HONEY: &str = "ghp_Aa0Bb1Cc2Dd3Ee4Ff5Gg6Hh7Ii8Jj9Kk0Ll1";

/// The same of a key for AWS.
pub(crate) const AWS_SURROGATE_ID: &str = "AKIASURROGATEEXAMPLE";
pub(crate) const AWS_KEY_ID: &str = "AKIAREALEXAMPLEREALX";

/// What the agent has of two apps; the second one's installation does not exist.
pub(crate) const APP_SURROGATE: &str = "ghs_ASurrogateOfTheAppForTheAgentToUse00";
pub(crate) const LOST_APP_SURROGATE: &str = "ghs_ASurrogateOfAnAppThatIsNotThere00000";

/// What happened, in order, whoever saw it.
#[derive(Clone, Default)]
pub(crate) struct Journal(Arc<Mutex<Vec<String>>>);

impl Journal {
    pub(crate) fn write(&self, line: impl Into<String>) {
        self.0.lock().unwrap().push(line.into());
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

/// How recording goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gate {
    Open,
    Closed,
    Failing,
}

/// Keeps events, as its gate lets it.
pub(crate) struct Recording {
    pub(crate) gate: watch::Sender<Gate>,
    asked: watch::Sender<usize>,
    events: watch::Sender<Vec<Event>>,
    journal: Journal,
}

impl Recorder for Recording {
    fn record(&self, events: Vec<Event>) -> PortFuture<'_, Result<(), RecordError>> {
        let mut gate = self.gate.subscribe();
        Box::pin(async move {
            self.asked.send_modify(|asked| *asked += 1);
            let gate = *gate.wait_for(|gate| *gate != Gate::Closed).await.unwrap();
            if gate == Gate::Failing {
                return Err(RecordError("no space left".to_owned()));
            }
            for event in &events {
                self.journal.write(format!("durable {}", event.name()));
            }
            self.events.send_modify(|kept| kept.extend(events));
            Ok(())
        })
    }
}

/// The proxy and its world.
pub(crate) struct World {
    pub(crate) origin: Origin,
    pub(crate) recording: Arc<Recording>,
    pub(crate) journal: Journal,
    pub(crate) client: Client,
    pub(crate) setup: Setup,
    pub(crate) apps: RunApps,
    pub(crate) stop: CancellationToken,
    pub(crate) proxy: JoinHandle<Result<(), ServeError>>,
    _directory: TempDir,
}

impl World {
    /// Starts everything; returns once the proxy listens.
    pub(crate) async fn start() -> Self {
        Self::audited(Audit::Strict).await
    }

    /// As [`Self::start`], with the audit that an operator chose.
    pub(crate) async fn audited(audit: Audit) -> Self {
        Self::start_with(audit, |socket| async move { serve(&socket).await }).await
    }

    /// As [`Self::start`], with the proxy as a process of its own; returns its id too.
    #[expect(
        clippy::disallowed_methods,
        reason = "the part under test is a process"
    )]
    pub(crate) async fn start_process(binary: &Path) -> (Self, u32) {
        let (id, started) = watch::channel(None);
        let binary = binary.to_owned();
        let run = move |socket: PathBuf| async move {
            let mut command = tokio::process::Command::new(binary);
            let command = command.arg("--link").arg(socket).kill_on_drop(true);
            let command = command.envs(airut::sandbox::proxy::ENVIRONMENT);
            let mut process = command.spawn().unwrap();
            id.send_replace(process.id());
            process.wait().await.unwrap();
            Ok(())
        };
        let world = Self::start_with(Audit::Strict, run).await;
        let id = started.borrow().unwrap();
        (world, id)
    }

    async fn start_with<F>(audit: Audit, proxy: impl FnOnce(PathBuf) -> F) -> Self
    where
        F: Future<Output = Result<(), ServeError>> + Send + 'static,
    {
        // Another test of this process may have been first.
        drop(rustls::crypto::ring::default_provider().install_default());
        let journal = Journal::default();
        let origin = Origin::start(journal.clone()).await;
        let directory = TempDir::new().unwrap();
        let authority = make_authority("test").unwrap();
        let setup = setup(&origin, authority.key);
        let recording = Arc::new(Recording {
            gate: watch::channel(Gate::Open).0,
            asked: watch::channel(0).0,
            events: watch::channel(Vec::new()).0,
            journal: journal.clone(),
        });
        let (stop, tasks) = (CancellationToken::new(), TaskSet::new());
        let apps = apps(&origin);
        let server = LinkServer::bind(directory.path()).unwrap();
        let server = server.with_apps(apps.clone());
        let mut state = server.state();
        let (run, recorder) = (TaskId(1).run(1), Arc::clone(&recording));
        tasks.spawn(server.serve(run, setup.clone(), audit, recorder, stop.clone()));
        let socket = directory.path().join(SOCKET_NAME);
        let proxy = tasks.spawn(proxy(socket));
        let state = state.wait_for(|state| *state != LinkState::Waiting).await;
        assert_eq!(*state.unwrap(), LinkState::Ready);
        let client = Client::new(setup.address, setup.ports, &authority.certificate);
        Self {
            origin,
            recording,
            journal,
            client,
            setup,
            apps,
            stop,
            proxy,
            _directory: directory,
        }
    }

    /// Returns once the recorder was asked `count` times.
    pub(crate) async fn asked(&self, count: usize) {
        let mut asked = self.recording.asked.subscribe();
        drop(asked.wait_for(|asked| *asked >= count).await.unwrap());
    }

    /// Returns the first recorded event that `found` makes something of; waits for it.
    pub(crate) async fn event<T>(&self, found: impl Fn(&ProxyEvent) -> Option<T>) -> T {
        let mut events = self.recording.events.subscribe();
        let first = |events: &Vec<Event>| {
            events.iter().find_map(|event| match event {
                Event::Proxy(event) => found(event),
                _ => None,
            })
        };
        let events = events.wait_for(|events| first(events).is_some()).await;
        first(&events.unwrap()).unwrap()
    }
}

/// An address of its own for each test, so that no two want the same port.
fn own_address() -> Ipv4Addr {
    static WORLDS: AtomicU8 = AtomicU8::new(64);
    let [.., high, low] = std::process::id().to_be_bytes();
    Ipv4Addr::new(127, WORLDS.fetch_add(1, Ordering::Relaxed), high, low)
}

pub(crate) fn setup(origin: &Origin, ca_key: Secret) -> Setup {
    let get_only = UrlPrefix {
        host: "get.test".to_owned(),
        path: String::new(),
        methods: vec!["GET".to_owned()],
        graphql: None,
    };
    let operations = Operations {
        queries: vec!["viewer".to_owned()],
        ..Operations::default()
    };
    let graph = UrlPrefix {
        host: "graph.test".to_owned(),
        path: "/graphql".to_owned(),
        methods: vec!["POST".to_owned()],
        graphql: Some(operations),
    };
    let domains = [
        "one.test",
        "two.test",
        "private.test",
        "gone.test",
        "mute.test",
        "api.anthropic.com",
    ];
    Setup {
        allowlist: Allowlist {
            domains: domains.map(str::to_owned).to_vec(),
            url_prefixes: vec![get_only, graph],
        },
        credentials: vec![MaskedCredential {
            name: "ANTHROPIC_API_KEY".to_owned(),
            surrogate: Secret::new(SURROGATE.to_owned()),
            value: Secret::new(REAL.to_owned()),
            scopes: vec!["*.test".to_owned()],
            headers: vec!["x-api-key".to_owned()],
            allow_foreign: false,
        }],
        signing: vec![SigningCredential {
            name: "store".to_owned(),
            surrogate_key_id: Secret::new(AWS_SURROGATE_ID.to_owned()),
            key_id: Secret::new(AWS_KEY_ID.to_owned()),
            secret: Secret::new("a-real-signing-secret".to_owned()),
            token: None,
            scopes: vec!["*.test".to_owned()],
        }],
        apps: vec![
            app("GH_TOKEN", APP_SURROGATE),
            app("LOST", LOST_APP_SURROGATE),
        ],
        honey: Some(honey()),
        ca_name: "test".to_owned(),
        ca_key,
        address: own_address(),
        upstream_dns: origin.dns,
        internal_ranges: vec![InternalRange {
            range: "127.0.0.1/32".parse().unwrap(),
            hosts: vec![],
        }],
        upstream_ca: Some(origin.authority.clone()),
        ports: Ports {
            dns: 5353,
            http: 8080,
            https: 8443,
            upstream_http: origin.http.port(),
            upstream_https: origin.https.port(),
        },
    }
}

fn honey() -> Honey {
    Honey {
        value: Secret::new(HONEY.to_owned()),
        model_calls: vec![ModelCall {
            host: "one.test".to_owned(),
            path: "/v1/messages".to_owned(),
        }],
    }
}

fn app(name: &str, surrogate: &str) -> AppCredential {
    AppCredential {
        name: name.to_owned(),
        surrogate: Secret::new(surrogate.to_owned()),
        scopes: vec!["two.test".to_owned(), "one.test".to_owned()],
        allow_foreign: false,
    }
}

/// The apps' keys, as the daemon has them.
fn apps(origin: &Origin) -> RunApps {
    let key = include_str!("../golden/github/app.pem");
    let app = |installation_id| GithubAppSecret {
        app_id: SecretString::from("12"),
        private_key: SecretString::from(key),
        installation_id,
        scopes: vec![],
        allow_foreign_credentials: false,
        base_url: format!("https://localhost:{}", origin.https.port()),
        permissions: BTreeMap::from([("contents".to_owned(), "write".to_owned())]),
        repositories: vec!["ferry".to_owned()],
    };
    let apps = [("GH_TOKEN", app(7)), ("LOST", app(8))];
    let apps = apps.map(|(name, app)| (name.to_owned(), app));
    let tokens = GithubTokens::new(Some(&origin.authority)).unwrap();
    RunApps::new(Arc::new(tokens), BTreeMap::from(apps))
}

/// Returns where a port of the proxy is.
pub(crate) fn at(setup: &Setup, port: u16) -> SocketAddr {
    SocketAddr::from((setup.address, port))
}
