//! Files that other tools of the Python Airut read: `conversation.json`, `events.jsonl` and
//! `network-sandbox.log` (spec rows CNV-02, CNV-03, CNV-06, CNV-07). They are written from the
//! log after every task and are never read: nothing depends on them. The lines, which may be many,
//! are only added to.

mod lines;

use serde_json::{Value, json};

use crate::events::Event;
use crate::events::Recorded;
use crate::events::conversation::ReplyRecorded;
use crate::events::event::{ConversationEvent, RunEvent};
use crate::events::id::{AtMs, BlobRef, ConversationId, RunId, StreamId, StreamVersion};
use crate::events::log::ReadError;
use crate::events::run::LineBody;
use crate::handlers::bodies::BodyError;
use crate::handlers::ports::Ports;
use crate::handlers::tasks::directories::Directories;
use crate::handlers::tasks::export::lines::LinesFile;
use crate::projections::Projection as _;
use crate::projections::civil::iso_seconds;
use crate::projections::network_log::NetworkLog;
use crate::sandbox::cut::first_bytes;
use crate::tasks;

/// Events of a stream read at once.
const READ_MAX: usize = 1024;

/// Replies in `conversation.json`; the oldest give way.
const REPLIES_MAX: usize = 1000;

/// Bytes of a request's or reply's text there; the rest is in the log alone.
const TEXT_BYTES_MAX: usize = 256 * 1024;

/// Why the exports were not written; the next task writes them again.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The log does not read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A body does not read.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// The disk failed.
    #[error(transparent)]
    Disk(#[from] std::io::Error),
    /// The thread that wrote them panicked, or the service ends.
    #[error("the thread that wrote them ended early")]
    Thread,
}

/// Writes a conversation's exports, on a thread that may wait for the disk.
///
/// # Errors
/// [`ExportError`]; nothing else is lost.
pub async fn export(
    ports: &Ports,
    conversation: ConversationId,
    directories: &Directories,
) -> Result<(), ExportError> {
    let (ports, directories) = (ports.clone(), directories.clone());
    let written =
        tasks::apart_waiting(async move { write_all(&ports, conversation, &directories).await });
    written.await.map_err(|_| ExportError::Thread)?
}

async fn write_all(
    ports: &Ports,
    conversation: ConversationId,
    directories: &Directories,
) -> Result<(), ExportError> {
    let mut export = Export {
        ports,
        conversation: json!({ "conversation_id": conversation.to_string(), "replies": [] }),
        prompt: None,
        network: NetworkLog::default(),
        lines: LinesFile::open(directories)?,
    };
    let mut events = StreamReader::of(ports, StreamId::conversation(conversation));
    while let Some(part) = events.next_part()? {
        for recorded in &part {
            export.take_in(recorded).await?;
        }
    }
    let conversation_json = serde_json::to_vec_pretty(&export.conversation)
        .map_err(|error| ExportError::Disk(error.into()))?;
    let network = export.network.lines(conversation);
    let line = |line: &String| format!("{line}\n");
    let network = network.map_or_else(String::new, |log| log.lines.iter().map(line).collect());
    export.lines.finish(directories, events.read)?;
    directories.replace("conversation.json", &conversation_json)?;
    directories.replace("network-sandbox.log", network.as_bytes())?;
    Ok(())
}

struct Export<'a> {
    ports: &'a Ports,
    conversation: Value,
    prompt: Option<BlobRef>,
    network: NetworkLog,
    lines: LinesFile,
}

impl Export<'_> {
    async fn take_in(&mut self, recorded: &Recorded) -> Result<(), ExportError> {
        let Event::Conversation(event) = &recorded.event else {
            return Ok(());
        };
        match event {
            ConversationEvent::Created(created) => {
                self.conversation["model"] = json!(created.model);
                if let Some(effort) = &created.effort {
                    self.conversation["effort"] = json!(effort);
                }
            }
            ConversationEvent::PromptComposed(composed) => {
                self.prompt = Some(composed.prompt.clone());
                self.network.apply(recorded);
                self.take_in_network(composed.run)?;
                if !self.lines.has(recorded.stream_version) {
                    self.take_in_lines(composed.run).await?;
                }
            }
            ConversationEvent::ReplyRecorded(reply) => {
                let reply = self.reply(recorded.at, reply).await?;
                if let Some(replies) = self.conversation["replies"].as_array_mut() {
                    if replies.len() == REPLIES_MAX {
                        replies.remove(0);
                    }
                    replies.push(reply);
                }
            }
            ConversationEvent::ParticipantJoined(_)
            | ConversationEvent::ParticipantInvited(_)
            | ConversationEvent::ModelChosen(_)
            | ConversationEvent::ThreadLinked(_)
            | ConversationEvent::WorkspaceCloned(_)
            | ConversationEvent::WorkspaceCloneFailed(_)
            | ConversationEvent::SessionAbandoned(_)
            | ConversationEvent::ForgetRequested(_)
            | ConversationEvent::Forgotten(_) => {}
        }
        Ok(())
    }

    async fn take_in_lines(&mut self, run: RunId) -> Result<(), ExportError> {
        self.lines.begin_run()?;
        let mut events = StreamReader::of(self.ports, StreamId::run(run));
        while let Some(part) = events.next_part()? {
            for recorded in part {
                let Event::Run(RunEvent::AgentEventObserved(observed)) = recorded.event else {
                    continue;
                };
                match observed.line {
                    LineBody::Inline(line) => self.lines.add(&line)?,
                    LineBody::Blob(blob) => {
                        self.lines.add(&self.ports.bodies.get_text(&blob).await?)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn take_in_network(&mut self, run: RunId) -> Result<(), ExportError> {
        let mut events = StreamReader::of(self.ports, StreamId::proxy(run));
        while let Some(part) = events.next_part()? {
            for recorded in &part {
                self.network.apply(recorded);
            }
        }
        Ok(())
    }

    async fn text(&self, blob: &BlobRef) -> Result<String, ExportError> {
        let text = self.ports.bodies.get_text(blob).await?;
        Ok(first_bytes(&text, TEXT_BYTES_MAX).to_owned())
    }

    async fn reply(&mut self, at: AtMs, reply: &ReplyRecorded) -> Result<Value, ExportError> {
        let request = match self.prompt.take() {
            Some(prompt) => self.text(&prompt).await?,
            None => String::new(),
        };
        let dollars = Dollars(reply.cost_microusd);
        Ok(json!({
            "session_id": reply.session.as_ref().map_or("", |session| session.0.as_str()),
            "timestamp": format!("{}+00:00", iso_seconds(at)),
            "duration_ms": reply.duration_ms,
            "total_cost_usd": dollars.value(),
            "num_turns": reply.turns,
            "is_error": reply.is_error,
            "usage": {
                "input_tokens": reply.usage.input,
                "output_tokens": reply.usage.output,
                "cache_creation_input_tokens": reply.usage.cache_creation,
                "cache_read_input_tokens": reply.usage.cache_read,
            },
            "request_text": request,
            "response_text": self.text(&reply.body).await?,
        }))
    }
}

/// Millionths of a US dollar, which JSON shows as dollars.
struct Dollars(u64);

impl Dollars {
    fn value(&self) -> Value {
        let text = format!("{}.{:06}", self.0 / 1_000_000, self.0 % 1_000_000);
        text.parse::<f64>().map_or(Value::Null, Value::from)
    }
}

/// A stream read in parts.
struct StreamReader<'a> {
    ports: &'a Ports,
    stream: StreamId,
    read: StreamVersion,
}

impl<'a> StreamReader<'a> {
    fn of(ports: &'a Ports, stream: StreamId) -> Self {
        let read = StreamVersion(0);
        Self {
            ports,
            stream,
            read,
        }
    }

    fn next_part(&mut self) -> Result<Option<Vec<Recorded>>, ReadError> {
        let log = &self.ports.log;
        let events = log.read_stream(&self.stream, self.read, READ_MAX)?;
        let Some(last) = events.last() else {
            return Ok(None);
        };
        self.read = last.stream_version;
        Ok(Some(events))
    }
}
