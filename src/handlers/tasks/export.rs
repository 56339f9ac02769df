//! Files that other tools of the Python Airut read: `conversation.json`, `events.jsonl` and
//! `network-sandbox.log` (spec rows CNV-02, CNV-03, CNV-06, CNV-07). They are written anew from the
//! log after every task and are never read: nothing depends on them.

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
use crate::projections::Projection as _;
use crate::projections::civil::iso_seconds;
use crate::projections::network_log::NetworkLog;

/// Events of a stream read at once.
const READ_MAX: usize = 1024;

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
}

/// Writes a conversation's exports.
///
/// # Errors
/// [`ExportError`]; nothing else is lost.
pub async fn export(
    ports: &Ports,
    conversation: ConversationId,
    directories: &Directories,
) -> Result<(), ExportError> {
    let stream = StreamId::conversation(conversation);
    let mut export = Export {
        ports,
        conversation: json!({ "conversation_id": conversation.to_string(), "replies": [] }),
        prompt: None,
        network: NetworkLog::default(),
        lines: String::new(),
    };
    for recorded in read_all(ports, &stream)? {
        export.take_in(&recorded).await?;
    }
    let conversation_json = serde_json::to_vec_pretty(&export.conversation)
        .map_err(|error| ExportError::Disk(error.into()))?;
    let network = export.network.lines(conversation);
    let line = |line: &String| format!("{line}\n");
    let network = network.map_or_else(String::new, |log| log.lines.iter().map(line).collect());
    directories.replace("conversation.json", &conversation_json)?;
    directories.replace("events.jsonl", export.lines.as_bytes())?;
    directories.replace("network-sandbox.log", network.as_bytes())?;
    Ok(())
}

struct Export<'a> {
    ports: &'a Ports,
    conversation: Value,
    prompt: Option<BlobRef>,
    network: NetworkLog,
    lines: String,
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
                self.take_in_run(composed.run).await?;
            }
            ConversationEvent::ReplyRecorded(reply) => {
                let reply = self.reply(recorded.at, reply).await?;
                if let Some(replies) = self.conversation["replies"].as_array_mut() {
                    replies.push(reply);
                }
            }
            ConversationEvent::ParticipantJoined(_)
            | ConversationEvent::ThreadLinked(_)
            | ConversationEvent::WorkspaceCloned(_)
            | ConversationEvent::WorkspaceCloneFailed(_)
            | ConversationEvent::SessionAbandoned(_) => {}
        }
        Ok(())
    }

    async fn take_in_run(&mut self, run: RunId) -> Result<(), ExportError> {
        if !self.lines.is_empty() {
            self.lines.push('\n');
        }
        for recorded in read_all(self.ports, &StreamId::run(run))? {
            if let Event::Run(RunEvent::AgentEventObserved(observed)) = &recorded.event {
                match &observed.line {
                    LineBody::Inline(line) => self.lines.push_str(line),
                    LineBody::Blob(blob) => {
                        self.lines
                            .push_str(&self.ports.bodies.get_text(blob).await?);
                    }
                }
                self.lines.push('\n');
            }
        }
        for recorded in read_all(self.ports, &StreamId::proxy(run))? {
            self.network.apply(&recorded);
        }
        Ok(())
    }

    async fn reply(&mut self, at: AtMs, reply: &ReplyRecorded) -> Result<Value, ExportError> {
        let request = match self.prompt.take() {
            Some(prompt) => self.ports.bodies.get_text(&prompt).await?,
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
            "response_text": self.ports.bodies.get_text(&reply.body).await?,
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

fn read_all(ports: &Ports, stream: &StreamId) -> Result<Vec<Recorded>, ReadError> {
    let mut all = vec![];
    let mut read = StreamVersion(0);
    loop {
        let events = ports.log.read_stream(stream, read, READ_MAX)?;
        let Some(last) = events.last() else {
            return Ok(all);
        };
        read = last.stream_version;
        all.extend(events);
    }
}
