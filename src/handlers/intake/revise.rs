//! Reading what a message says since it was received, for a task that has not begun: whoever corrects
//! a message is answered to what they meant. A revision that may not be acted on changes nothing.

use crate::clock;
use crate::events::id::{ChannelKind, StreamId};
use crate::events::log::{Append, Expected};
use crate::events::message::ReplyAddress;
use crate::events::task::TaskRevised;
use crate::handlers::intake::CLAIM_CHARS_MAX;
use crate::handlers::intake::triage::{Verdict, judge};
use crate::handlers::ports::{EffectError, Ports};
use crate::handlers::tasks::begin::context_of;
use crate::projections::work_queue::QueuedTask;

/// Lets a task go by the revision of its message.
///
/// # Errors
/// [`EffectError`] when its bodies cannot be read or kept, or the task is not what it was; it is tried
/// again then, if it still has to be.
pub async fn revise(ports: &Ports, task: &QueuedTask) -> Result<(), EffectError> {
    let (Some(message), Some(revision)) = (task.newest_message(), &task.revision) else {
        return Ok(());
    };
    let Some(raw) = &revision.raw else {
        return Ok(());
    };
    let kind = match &message.parsed.reply_to {
        ReplyAddress::Email { .. } => ChannelKind::Email,
        ReplyAddress::Local => ChannelKind::Local,
        ReplyAddress::Slack { .. } => ChannelKind::Slack,
    };
    let verdict = judge(ports, (&task.repo, kind), message.inbound, raw).await?;
    let mut revised = TaskRevised {
        task: task.task,
        inbound: message.inbound,
        revision: revision.position,
        body: message.parsed.body.clone(),
        title: task.title.clone(),
        attachments: message.parsed.attachments.clone(),
    };
    if let Verdict::Accepted(accepted, _) = verdict {
        let text = String::from_utf8_lossy(&ports.bodies.get(&accepted.body).await?).into_owned();
        let first_line = text.lines().next().unwrap_or_default();
        revised.title = first_line.chars().take(CLAIM_CHARS_MAX).collect();
        revised.body = accepted.body;
        revised.attachments = accepted.attachments;
    }
    let stream = StreamId::task(task.task);
    let context = context_of(task, clock::now());
    let append = Append::to(&stream, vec![revised.into()], context);
    ports
        .append(append.expecting(stream, Expected::Version(task.version)))
        .await
}
