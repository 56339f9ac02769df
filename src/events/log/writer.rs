//! The one writer: it takes the appends that wait, decides which may happen, and makes all of them
//! durable with one flush (group commit). It runs on a thread of its own because it waits for the
//! disk.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::events::codec::{self, Payload, RECORD_BYTES_MAX};
use crate::events::id::{AtMs, Position, StreamId, StreamVersion};
use crate::events::log::store::{Group, KeyEntry, Store, StoreError, StreamEntry};
use crate::events::log::{Append, AppendError, Appended, Head, ReadError};
use crate::events::tree::CompactRange;

mod prepared;
mod rules;

pub(super) use prepared::Prepared;
use rules::{add, envelope, holds, repeated};

/// Appends that may wait for the writer; further callers wait for a place.
pub const APPENDS_WAITING_MAX: usize = 1024;

/// Appends that share one flush; the rest waits for the next.
pub const GROUP_APPENDS_MAX: usize = 512;

/// Bytes of records from which on a group is closed and the rest of the appends begins the next: a
/// reader takes a whole group in at once.
pub const GROUP_BYTES_MAX: usize = 1 << 20;

/// Events of one append; a longer one is refused.
pub const APPEND_EVENTS_MAX: usize = 1024;

/// Longest idempotency key in bytes; a longer one is refused.
pub const KEY_BYTES_MAX: usize = 1024;

/// Streams whose version is remembered; beyond that all are forgotten and asked for again.
const VERSIONS_CACHED_MAX: usize = 16_384;

/// An append and where its answer goes.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) prepared: Prepared,
    pub(super) answer: oneshot::Sender<Result<Appended, AppendError>>,
}

/// Where appends go.
#[derive(Debug)]
enum Door {
    /// To the writer's thread.
    Thread(mpsc::Sender<Request>),
    /// To the writer itself.
    Inline(Box<Writer>),
}

/// That nothing can be written any more, and why.
#[derive(Debug, Clone, Default)]
pub(super) struct Failure {
    pub(super) happened: CancellationToken,
    cause: Arc<OnceLock<String>>,
}

impl Failure {
    /// Notes a failure; the first one is the cause of the others.
    fn happen(&self, cause: &str) {
        self.cause.get_or_init(|| cause.to_owned());
        self.happened.cancel();
    }

    /// Returns why nothing can be written; nothing while it can.
    pub(super) fn cause(&self) -> Option<String> {
        let panicked = || {
            "the log's writer panicked, which a damaged index can cause: airut log rebuild makes it \
             again"
                .to_owned()
        };
        self.happened
            .is_cancelled()
            .then(|| self.cause.get().cloned().unwrap_or_else(panicked))
    }
}

/// The other end of the writer's thread, or the writer itself.
#[derive(Debug)]
pub(super) struct WriterHandle {
    requests: Mutex<Option<Door>>,
    ended: Mutex<Option<oneshot::Receiver<()>>>,
    failure: Failure,
}

impl WriterHandle {
    /// Starts the writer's thread.
    pub(super) fn start(store: Arc<dyn Store>) -> Result<(Self, watch::Receiver<Head>), ReadError> {
        let (writer, head) = Writer::open(store)?;
        let (requests, waiting) = mpsc::channel(APPENDS_WAITING_MAX);
        let (end_sender, ended) = oneshot::channel();
        let failure = writer.failure.clone();
        // Cancelled also when the thread panics.
        let alarm = failure.happened.clone().drop_guard();
        std::thread::Builder::new()
            .name("airut-log".to_owned())
            .spawn(move || {
                writer.run(waiting);
                alarm.disarm();
                // Nobody waits for the end when the handle was dropped without `close`.
                let _nobody_waits = end_sender.send(());
            })
            .map_err(|error| ReadError::Unreadable(error.to_string()))?;
        let handle = Self {
            requests: Mutex::new(Some(Door::Thread(requests))),
            ended: Mutex::new(Some(ended)),
            failure,
        };
        Ok((handle, head))
    }

    /// Returns a writer that works on the threads of its callers.
    pub(super) fn inline(
        store: Arc<dyn Store>,
    ) -> Result<(Self, watch::Receiver<Head>), ReadError> {
        let (writer, head) = Writer::open(store)?;
        let handle = Self {
            failure: writer.failure.clone(),
            requests: Mutex::new(Some(Door::Inline(Box::new(writer)))),
            ended: Mutex::new(None),
        };
        Ok((handle, head))
    }

    pub(super) async fn send(&self, request: Request) -> Result<(), AppendError> {
        let requests = match &mut *self.requests.lock().unwrap_or_else(PoisonError::into_inner) {
            None => return Err(AppendError::Closed),
            Some(Door::Thread(requests)) => requests.clone(),
            Some(Door::Inline(writer)) => {
                writer.commit(&mut std::iter::once(request));
                return Ok(());
            }
        };
        requests
            .send(request)
            .await
            .map_err(|_| AppendError::Closed)
    }

    pub(super) fn failure(&self) -> &Failure {
        &self.failure
    }

    pub(super) async fn close(&self) {
        let door = self
            .requests
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        match door {
            Some(Door::Inline(writer)) => writer.end(),
            // The thread ends by itself once nobody can send to it.
            Some(Door::Thread(requests)) => drop(requests),
            None => {}
        }
        let ended = self
            .ended
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(ended) = ended {
            // An error only says that the thread is gone already.
            let _already_gone = ended.await;
        }
    }
}

fn head_of(range: &CompactRange) -> Head {
    Head {
        position: Position(range.size()),
        root: range.root(),
    }
}

/// An append that will be in the next group.
struct Accepted {
    answer: oneshot::Sender<Result<Appended, AppendError>>,
    appended: Appended,
}

#[derive(Debug)]
struct Writer {
    store: Arc<dyn Store>,
    range: CompactRange,
    /// Versions of streams as they will be after the group that is being put together.
    versions: HashMap<StreamId, StreamVersion>,
    head: watch::Sender<Head>,
    /// The newest time in the log: those behind it are never earlier.
    at: AtMs,
    failure: Failure,
}

impl Writer {
    fn open(store: Arc<dyn Store>) -> Result<(Self, watch::Receiver<Head>), ReadError> {
        let range = store.range()?;
        let (head_sender, head) = watch::channel(head_of(&range));
        let at = newest_time(store.as_ref(), range.size())?;
        let writer = Self {
            at,
            store,
            range,
            versions: HashMap::new(),
            head: head_sender,
            failure: Failure::default(),
        };
        Ok((writer, head))
    }

    fn run(mut self, mut waiting: mpsc::Receiver<Request>) {
        let mut requests = Vec::with_capacity(GROUP_APPENDS_MAX);
        while waiting.blocking_recv_many(&mut requests, GROUP_APPENDS_MAX) > 0 {
            let mut requests = requests.drain(..);
            while requests.len() > 0 {
                self.commit(&mut requests);
            }
        }
        self.end();
    }

    fn end(&self) {
        if let Err(error) = self.store.close() {
            tracing::error!(%error, "the log could not be closed in good order");
        }
    }

    /// Commits as many of the appends as make one group.
    fn commit(&mut self, requests: &mut impl Iterator<Item = Request>) {
        if self.versions.len() > VERSIONS_CACHED_MAX {
            self.versions.clear();
        }
        let mut group = Group {
            range: self.range.clone(),
            ..Group::default()
        };
        let (mut accepted, mut bytes) = (Vec::new(), 0);
        while bytes < GROUP_BYTES_MAX
            && let Some(Request { prepared, answer }) = requests.next()
        {
            let before = group.records.len();
            match self.accept(&prepared, &mut group) {
                Ok(appended) => {
                    let added = &group.records[before..];
                    bytes += added.iter().map(|record| record.bytes.len()).sum::<usize>();
                    accepted.push(Accepted { answer, appended });
                }
                Err(error) => {
                    if let AppendError::Unwritable(cause) = &error {
                        self.failure.happen(cause);
                    }
                    reply(answer, Err(error));
                }
            }
        }
        if !group.records.is_empty()
            && let Err(error) = self.store.commit(&group)
        {
            return self.refuse(accepted, &error);
        }
        self.range = group.range;
        self.head.send_replace(head_of(&self.range));
        for Accepted { answer, appended } in accepted {
            reply(answer, Ok(appended));
        }
    }

    /// Answers a group that could not be written, and forgets what it would have made true.
    fn refuse(&mut self, accepted: Vec<Accepted>, error: &StoreError) {
        tracing::error!(%error, "the log cannot be written; nothing is accepted any more");
        self.versions.clear();
        self.failure.happen(&error.to_string());
        for Accepted { answer, .. } in accepted {
            reply(answer, Err(AppendError::Unwritable(error.to_string())));
        }
    }

    /// Checks an append against the log and the group so far, and adds it to the group.
    fn accept(&mut self, prepared: &Prepared, group: &mut Group) -> Result<Appended, AppendError> {
        let Prepared {
            append,
            payloads,
            digest,
        } = prepared;
        if let (Some(key), Some(digest)) = (&append.key, *digest)
            && let Some(known) = self.find_key(key, group)?
        {
            return repeated(known, digest);
        }
        for (stream, expected) in &append.expected {
            let actual = self.version(stream)?;
            if !holds(*expected, actual) {
                return Err(AppendError::WrongVersion {
                    stream: stream.clone(),
                    actual,
                });
            }
        }
        let records = self.lay_out(append, payloads, group.range.size())?;
        Ok(add(group, records, append.key.as_ref().zip(*digest)))
    }

    fn find_key(&self, key: &str, group: &Group) -> Result<Option<KeyEntry>, AppendError> {
        let in_group = group.keys.iter().find(|(known, _)| known == key);
        match in_group {
            Some((_, entry)) => Ok(Some(*entry)),
            None => self.store.find_key(key).map_err(|error| unwritable(&error)),
        }
    }

    fn version(&mut self, stream: &StreamId) -> Result<StreamVersion, AppendError> {
        if let Some(version) = self.versions.get(stream) {
            return Ok(*version);
        }
        let version = self
            .store
            .stream_version(stream)
            .map_err(|error| unwritable(&error))?;
        self.versions.insert(stream.clone(), version);
        Ok(version)
    }

    /// Gives each event its place; the versions are only remembered when all of them fit.
    fn lay_out(
        &mut self,
        append: &Append,
        payloads: &[Payload],
        size: u64,
    ) -> Result<Vec<(StreamEntry, codec::StoredRecord)>, AppendError> {
        let at = append.context.at.max(self.at);
        let mut next = HashMap::new();
        let mut records = Vec::with_capacity(payloads.len());
        for (index, ((stream, event), payload)) in append.events.iter().zip(payloads).enumerate() {
            let before = match next.get(stream) {
                Some(version) => *version,
                None => self.version(stream)?,
            };
            let version = StreamVersion(before.0 + 1);
            let position = Position(size + index as u64 + 1);
            let envelope = envelope(append, index, stream, version, (position, at));
            let record = codec::encode(&envelope, payload);
            if record.bytes.len() > RECORD_BYTES_MAX {
                let (name, bytes) = (event.name(), record.bytes.len());
                return Err(AppendError::TooLarge {
                    name,
                    bytes,
                    max: RECORD_BYTES_MAX,
                });
            }
            next.insert(stream.clone(), version);
            records.push((
                StreamEntry {
                    stream: stream.clone(),
                    version,
                    position,
                },
                record,
            ));
        }
        self.versions.extend(next);
        self.at = at;
        Ok(records)
    }
}

/// Returns when the last record was recorded; the beginning of time for an empty log, and for a record
/// that does not read, which whoever reads the log is told of.
fn newest_time(store: &dyn Store, size: u64) -> Result<AtMs, ReadError> {
    let last = store.read(Position(size.saturating_sub(1)), 1)?.pop();
    let split = last.as_ref().map(codec::split);
    Ok(split
        .and_then(Result::ok)
        .map_or(AtMs(0), |(envelope, _)| envelope.at))
}

fn reply(
    answer: oneshot::Sender<Result<Appended, AppendError>>,
    result: Result<Appended, AppendError>,
) {
    // A caller that stopped waiting will find the outcome in the log.
    let _caller_gone = answer.send(result);
}

fn unwritable(error: &StoreError) -> AppendError {
    AppendError::Unwritable(error.to_string())
}
