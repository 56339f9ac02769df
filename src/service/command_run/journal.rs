//! The network log of one command as its journal: what the proxy decides is on the disk before the
//! proxy gets its receipt. A request that may leave is first written as a `FORWARD` line; the line of
//! the original's format (spec row NET-27) follows when its response is complete. It knows no daemon
//! and no other log.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::clock;
use crate::events::Event;
use crate::events::event::ProxyEvent;
use crate::events::id::{ConversationId, RunId};
use crate::projections::network_log::{NetworkLog, url};
use crate::sandbox::recorder::{PortFuture, RecordError, Recorder};
use crate::service::command_run::CommandError;
use crate::tasks;

/// Network logs kept of commands that named no file for it; the oldest give way.
pub const NETWORK_LOGS_MAX: usize = 100;

/// The lines of one command stand under one number, whichever.
const ALL: ConversationId = ConversationId(0);

/// Who is told each line, once it is on the disk.
pub type Listener = Box<dyn Fn(&str) + Send + Sync>;

/// The journal of one command.
pub(super) struct Journal {
    inner: Arc<Mutex<Inner>>,
    listener: Option<Listener>,
}

/// Locked for one append, on a thread that may wait for the disk.
struct Inner {
    file: File,
    view: NetworkLog,
    /// Whether the last append may have ended within a line.
    torn: bool,
}

impl Journal {
    /// Opens it at a path, or where the newest [`NETWORK_LOGS_MAX`] are kept.
    pub(super) async fn open(
        named: Option<PathBuf>,
        state_dir: &Path,
        run: RunId,
        listener: Option<Listener>,
    ) -> Result<Self, CommandError> {
        let path = named.unwrap_or_else(|| kept_path(state_dir, run));
        let failed = |error| CommandError::Disk {
            path: path.clone(),
            error,
        };
        let file = open(&path).map_err(failed)?;
        tracing::info!(path = %path.display(), "the network log");
        let mut view = NetworkLog::default();
        view.begin(run, ALL, clock::now());
        let torn = false;
        let inner = Arc::new(Mutex::new(Inner { file, view, torn }));
        let journal = Self { inner, listener };
        // The first line shows that there can be others.
        let begun = journal.record(vec![]).await;
        begun.map_err(|error| failed(std::io::Error::other(error.0)))?;
        Ok(journal)
    }
}

fn open(path: &Path) -> std::io::Result<File> {
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory)?;
    }
    let mut options = OpenOptions::new();
    options.create(true).append(true).mode(0o600).open(path)
}

/// Returns where the log of a run is kept, after making room for it.
fn kept_path(state_dir: &Path, run: RunId) -> PathBuf {
    let directory = state_dir.join("sandbox/network");
    let entries = std::fs::read_dir(&directory);
    let entries = entries.into_iter().flatten().flatten();
    let mut kept: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    // Their names begin with their moment.
    kept.sort();
    let surplus = (kept.len() + 1).saturating_sub(NETWORK_LOGS_MAX);
    for oldest in kept.iter().take(surplus) {
        // Another process may have been faster.
        let _not_there = std::fs::remove_file(oldest);
    }
    directory.join(format!("{:015}-{}.log", clock::now_ms(), run.task))
}

impl Recorder for Journal {
    fn record(&self, events: Vec<Event>) -> PortFuture<'_, Result<(), RecordError>> {
        Box::pin(async move {
            let inner = Arc::clone(&self.inner);
            let append = move || {
                let mut inner = inner.lock().unwrap_or_else(PoisonError::into_inner);
                inner.append(&events)
            };
            let written = tasks::apart(append).await;
            let written = written.map_err(|error| RecordError(error.to_string()))?;
            let lines =
                written.map_err(|error| RecordError(format!("the network log: {error}")))?;
            if let Some(listener) = &self.listener {
                lines.iter().for_each(|line| listener(line));
            }
            Ok(())
        })
    }
}

impl Inner {
    /// Writes what events say and returns the lines of the original's format.
    fn append(&mut self, events: &[Event]) -> std::io::Result<Vec<String>> {
        let mut told: Vec<String> = self.view.take_lines(ALL).into();
        let mut written = told.clone();
        for event in events {
            tracing::debug!(event = event.name());
            let Event::Proxy(event) = event else { continue };
            written.extend(forward_line(event));
            self.view.apply_proxy(event);
            let lines = self.view.take_lines(ALL);
            written.extend(lines.iter().cloned());
            told.extend(lines);
        }
        if written.is_empty() {
            return Ok(told);
        }
        let mut text = written.join("\n") + "\n";
        if self.torn {
            text.insert(0, '\n');
        }
        self.torn = true;
        self.file.write_all(text.as_bytes())?;
        self.file.sync_data()?;
        self.torn = false;
        Ok(told)
    }
}

/// What is on the disk before the first byte of a request leaves.
fn forward_line(event: &ProxyEvent) -> Option<String> {
    let ProxyEvent::RequestAllowed(allowed) = event else {
        return None;
    };
    let (method, url, rule) = (&allowed.line.method, url(&allowed.line), &allowed.rule);
    Some(format!("FORWARD {method} {url} ({rule})"))
}

/// A recorder for what has no network log: a command without a proxy, and sweeps.
#[derive(Debug)]
pub(super) struct Unwatched;

impl Recorder for Unwatched {
    fn record(&self, events: Vec<Event>) -> PortFuture<'_, Result<(), RecordError>> {
        for event in events {
            tracing::debug!(event = event.name());
        }
        Box::pin(std::future::ready(Ok(())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::id::{RequestId, TaskId};
    use crate::events::proxy::{RequestAllowed, RequestLine, ResponseCompleted};

    fn allowed(run: RunId) -> Event {
        let line = RequestLine {
            method: "GET".to_owned(),
            scheme: "https".to_owned(),
            host: "a.test".to_owned(),
            port: 443,
            path: "/x".to_owned(),
            query_sha256: None,
            http_version: "HTTP/1.1".to_owned(),
        };
        RequestAllowed {
            run,
            request: RequestId(1),
            line,
            rule: "domains[0]".to_owned(),
            credentials: vec![],
            stripped: vec![],
        }
        .into()
    }

    fn completed(run: RunId) -> Event {
        ResponseCompleted {
            run,
            request: RequestId(1),
            status: 200,
            bytes_up: 0,
            bytes_down: 0,
            first_byte_ms: 1,
            duration_ms: 1,
            complete: true,
        }
        .into()
    }

    #[tokio::test]
    async fn a_request_is_in_the_log_before_its_receipt_and_again_with_its_status() {
        let home = tempfile::tempdir().unwrap();
        let (path, run) = (home.path().join("new/net.log"), TaskId(1).run(1));
        let heard = Arc::new(Mutex::new(Vec::new()));
        let ear = Arc::clone(&heard);
        let listener: Listener = Box::new(move |line| ear.lock().unwrap().push(line.to_owned()));
        let journal = Journal::open(Some(path.clone()), home.path(), run, Some(listener));
        let journal = journal.await.unwrap();
        journal.record(vec![allowed(run)]).await.unwrap();
        let forward = "FORWARD GET https://a.test/x (domains[0])\n";
        assert!(std::fs::read_to_string(&path).unwrap().ends_with(forward));
        journal.record(vec![completed(run)]).await.unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("=== TASK START "), "{text}");
        assert!(text.ends_with(&format!("{forward}ALLOWED GET https://a.test/x -> 200\n")));
        let heard = heard.lock().unwrap();
        assert_eq!(heard[1..], ["ALLOWED GET https://a.test/x -> 200"]);
    }

    #[tokio::test]
    async fn what_cannot_be_written_is_not_durable_and_the_run_does_not_begin() {
        let full = Some(PathBuf::from("/dev/full"));
        let run = TaskId(1).run(1);
        let opened = Journal::open(full, Path::new("/nowhere"), run, None).await;
        let error = opened.err().unwrap().to_string();
        assert!(error.starts_with("/dev/full: "), "{error}");
    }

    #[test]
    fn the_oldest_logs_give_way() {
        let home = tempfile::tempdir().unwrap();
        let directory = home.path().join("sandbox/network");
        std::fs::create_dir_all(&directory).unwrap();
        let add = |number: usize| {
            std::fs::write(directory.join(format!("{number:015}-a.log")), b"").unwrap();
        };
        let count = || std::fs::read_dir(&directory).unwrap().count();
        (0..NETWORK_LOGS_MAX - 1).for_each(add);
        kept_path(home.path(), TaskId(1).run(1));
        assert_eq!(count(), NETWORK_LOGS_MAX - 1);
        (NETWORK_LOGS_MAX - 1..NETWORK_LOGS_MAX + 2).for_each(add);
        let path = kept_path(home.path(), TaskId(1).run(1));
        assert_eq!(count(), NETWORK_LOGS_MAX - 1);
        assert!(path.starts_with(&directory) && !directory.join("000000000000002-a.log").exists());
    }
}
