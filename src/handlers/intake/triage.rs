//! Reading a received message: the channel judges it, and what it says is kept. What becomes of it
//! is [`decide`](super::decide)d by the worker, which alone knows the newest conversations. It takes
//! no execution slot, so that nobody waits for a verdict.

use std::sync::Arc;

use crate::config::types::Repo;
use crate::events::id::{BlobRef, ChannelKind, InboundId, RepoId, StoredFile};
use crate::events::message::{MessageReceived, RejectionReason};
use crate::events::seal::Owner;
use crate::handlers::bodies::Purpose;
use crate::handlers::channels::{Channel, Evidence, Triage, Triaged};
use crate::handlers::intake::command::{self, Command, Given};
use crate::handlers::intake::decide::{Accepted, Defaults};
use crate::handlers::ports::{EffectError, Ports};
use crate::tasks;

/// Media type of the text of a message that was declined: it is the answer, and nothing to work on.
pub const DECLINED_MEDIA_TYPE: &str = "text/vnd.airut.declined+markdown";

/// A verdict with everything of it kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The message is acted on.
    Accepted(Box<Accepted>, Defaults),
    /// It is recorded, and nothing else happens.
    Rejected(RejectionReason, String),
}

/// Reads a message.
///
/// # Errors
/// [`EffectError`] when its bodies cannot be read or kept; it is read again then.
pub async fn triage(ports: &Ports, received: &MessageReceived) -> Result<Verdict, EffectError> {
    let through = (&received.repo, received.channel);
    judge(ports, through, received.inbound, &received.raw).await
}

/// Reads a message as it is kept in `raw`, which came through a channel of a repository.
///
/// # Errors
/// As [`triage`].
pub async fn judge(
    ports: &Ports,
    (repo, kind): (&RepoId, ChannelKind),
    inbound: InboundId,
    raw: &BlobRef,
) -> Result<Verdict, EffectError> {
    let settings = ports.config.repos.get(repo);
    let channel = ports.channels.get(repo, kind);
    let (Some(settings), Some(channel)) = (settings, channel) else {
        let detail = format!("repository {repo} with a channel of kind {kind} is not configured");
        return Ok(Verdict::Rejected(
            RejectionReason::UnknownRepository,
            detail,
        ));
    };
    let owner = Owner::Task(inbound.task());
    // A long message is held, read and its files kept while no other one is.
    let _room = ports.bodies.room(Purpose::Reading, raw.bytes).await?;
    let raw = ports.bodies.get(raw).await?;
    let found = channel.find_out(&raw).await;
    let evidence = found.map_err(EffectError::Later)?;
    match read(channel, raw, evidence).await {
        Triage::Rejected { reason, detail } => Ok(Verdict::Rejected(reason, detail)),
        Triage::Accepted(triaged) => {
            accepted(ports, settings, owner, *triaged, "text/markdown").await
        }
        Triage::Declined(triaged) => {
            accepted(ports, settings, owner, *triaged, DECLINED_MEDIA_TYPE).await
        }
    }
}

/// Reads the message on a thread of its own: a mail that makes the reader panic is that mail's end,
/// and not the service's.
async fn read(channel: Arc<dyn Channel>, raw: Vec<u8>, evidence: Option<Evidence>) -> Triage {
    let triage = tasks::apart(move || channel.triage(&raw, evidence.as_ref())).await;
    triage.unwrap_or_else(|_| Triage::Rejected {
        reason: RejectionReason::Unreadable,
        detail: "reading the message failed; this is a defect of Airut".to_owned(),
    })
}

async fn accepted(
    ports: &Ports,
    repo: &Repo,
    owner: Owner,
    mut triaged: Triaged,
    media_type: &str,
) -> Result<Verdict, EffectError> {
    let defaults = Defaults {
        model: repo.model.clone(),
        effort: repo.effort.clone(),
    };
    let is_work = media_type != DECLINED_MEDIA_TYPE;
    let command = is_work.then(|| take_command(&mut triaged)).flatten();
    let (body, attachments) = keep(ports, owner, &mut triaged, media_type).await?;
    let accepted = Accepted {
        triaged,
        body,
        attachments,
        command,
    };
    Ok(Verdict::Accepted(Box::new(accepted), defaults))
}

/// Takes the command off a text that is work too; a text that is only a command stays as it is.
fn take_command(triaged: &mut Triaged) -> Option<Given> {
    let (command, rest) = command::split(&triaged.body);
    let command = command?;
    if let Command::Model(model) = &command {
        triaged.model_hint = Some(model.clone());
    }
    let has_files = !triaged.attachments.is_empty();
    let is_work = command.leaves_work(rest, has_files);
    if is_work {
        triaged.body = rest.to_owned();
    }
    Some(Given { command, is_work })
}

/// Keeps the text and the files, which are taken out.
async fn keep(
    ports: &Ports,
    owner: Owner,
    triaged: &mut Triaged,
    media_type: &str,
) -> Result<(BlobRef, Vec<StoredFile>), EffectError> {
    let text = triaged.body.clone().into_bytes();
    let body = ports.bodies.put(owner, text, media_type).await?;
    let mut attachments = Vec::with_capacity(triaged.attachments.len());
    for attachment in std::mem::take(&mut triaged.attachments) {
        attachments.push(ports.bodies.put_file(owner, attachment).await?);
    }
    Ok((body, attachments))
}
