//! A Podman that answers what a test wants, and a recorder that keeps what it is told.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};

use crate::config::types::Audit;
use crate::events::Event;
use crate::events::blobs::Blobs;
use crate::sandbox::podman::PodmanService;
use crate::sandbox::podman_sandbox::{PodmanSandbox, SandboxSettings};
use crate::sandbox::recorder::{PortFuture, RecordError, Recorder};
use crate::tasks::TaskSet;

/// What is answered.
#[derive(Debug, Clone)]
pub(super) enum Answer {
    Status(u16),
    Body(String),
    Never,
}

type Answers = Arc<Mutex<Vec<(String, Answer)>>>;

/// The Podman; everything that has no answer of its own succeeds with an empty object.
pub(super) struct FakePodman {
    directory: tempfile::TempDir,
    answers: Answers,
    asked: Arc<Mutex<Vec<String>>>,
    tasks: TaskSet,
}

impl FakePodman {
    pub(super) fn start() -> Self {
        let fake = Self {
            directory: tempfile::TempDir::new().unwrap(),
            answers: Arc::default(),
            asked: Arc::default(),
            tasks: TaskSet::new(),
        };
        let listener = UnixListener::bind(fake.socket()).unwrap();
        let (answers, asked) = (Arc::clone(&fake.answers), Arc::clone(&fake.asked));
        let tasks = fake.tasks.clone();
        fake.tasks.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tasks.spawn(serve(stream, Arc::clone(&answers), Arc::clone(&asked)));
            }
        });
        fake
    }

    fn socket(&self) -> PathBuf {
        self.directory.path().join("podman.sock")
    }

    /// Returns a sandbox on it.
    pub(super) fn sandbox(&self) -> PodmanSandbox {
        let directory = self.directory.path();
        let settings = SandboxSettings {
            instance: "i".to_owned(),
            runtime_dir: directory.join("run"),
            binaries_dir: directory.join("binaries"),
            proxy_binary: directory.join("proxy"),
            upstream_dns: "192.0.2.53:53".parse().unwrap(),
            internal_ranges: vec![],
            audit: Audit::Strict,
            upstream_ca: None,
            container_command: "podman".to_owned(),
        };
        let blobs = Arc::new(Blobs::open(&directory.join("blobs")).unwrap());
        PodmanSandbox::on(PodmanService::at(&self.socket()), settings, blobs, None).unwrap()
    }

    /// Answers requests that contain `what`; the newest answer counts.
    pub(super) fn answers(&self, what: &str, answer: Answer) {
        self.answers
            .lock()
            .unwrap()
            .insert(0, (what.to_owned(), answer));
    }

    /// Returns once a request that contains `what` has come.
    pub(super) async fn was_asked(&self, what: &str) {
        while !self
            .asked
            .lock()
            .unwrap()
            .iter()
            .any(|asked| asked.contains(what))
        {
            tokio::task::yield_now().await;
        }
    }
}

async fn serve(stream: UnixStream, answers: Answers, asked: Arc<Mutex<Vec<String>>>) {
    let mut stream = BufReader::new(stream);
    while let Some(request) = read_request(&mut stream).await {
        let answer = {
            let answers = answers.lock().unwrap();
            let mut fitting = answers.iter().filter(|(what, _)| request.contains(what));
            fitting.next().map(|(_, answer)| answer.clone())
        };
        asked.lock().unwrap().push(request);
        let (status, body) = match answer {
            Some(Answer::Status(status)) => (status, r#"{"message":"as told"}"#.to_owned()),
            Some(Answer::Body(body)) => (200, body),
            Some(Answer::Never) => std::future::pending().await,
            None => (200, "{}".to_owned()),
        };
        let body = if status == 204 { String::new() } else { body };
        let length = body.len();
        let text = format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\n\r\n{body}");
        if stream.get_mut().write_all(text.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// Reads a request and returns its first line.
async fn read_request(stream: &mut BufReader<UnixStream>) -> Option<String> {
    let (mut first, mut line, mut length) = (String::new(), String::new(), 0);
    loop {
        line.clear();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        let words = line.trim_end().to_ascii_lowercase();
        if let Some(value) = words.strip_prefix("content-length: ") {
            length = value.parse().ok()?;
        }
        if words.is_empty() {
            break;
        }
        if first.is_empty() {
            line.trim_end().clone_into(&mut first);
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some(first)
}

/// A recorder that keeps what it is told.
#[derive(Default)]
pub(super) struct Kept(Mutex<Vec<Event>>);

impl Kept {
    pub(super) fn events(&self) -> Vec<Event> {
        self.0.lock().unwrap().clone()
    }

    pub(super) fn names(&self) -> Vec<&'static str> {
        self.events().iter().map(Event::name).collect()
    }
}

impl Recorder for Kept {
    fn record(&self, events: Vec<Event>) -> PortFuture<'_, Result<(), RecordError>> {
        self.0.lock().unwrap().extend(events);
        Box::pin(std::future::ready(Ok(())))
    }
}
