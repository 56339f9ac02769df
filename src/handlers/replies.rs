//! How answers go out: an attempt is durable before it is made, and its outcome afterwards. What
//! nobody knows is found out by searching; only what is certainly not there is sent again, and then
//! it says that it may be a duplicate.

use crate::clock;
use crate::events::Event;
use crate::events::delivery::{
    CheckpointSent, DeliveryAttempted, DeliveryOutcomeUnknown, DeliveryRequested,
};
use crate::events::id::{StoredFile, StreamId};
use crate::events::log::{Append, Context};
use crate::events::seal::Owner;
use crate::handlers::barrier;
use crate::handlers::bodies::Purpose;
use crate::handlers::channels::{OutboundMessage, SendOutcome, Trace};
use crate::handlers::ports::{EffectError, Ports};
use crate::projections::outbox::Outgoing;

pub mod address;
pub mod decide;

use decide::{
    decide_after_search, decide_after_sending, decide_before_sending, decide_without_files,
    is_worth_without_files, text_without_files,
};

/// Attempts a delivery and records how it ended.
///
/// # Errors
/// [`EffectError`] when nothing was attempted, or its outcome could not be recorded; it counts as
/// unknown then.
pub async fn deliver(ports: &Ports, outgoing: &Outgoing) -> Result<(), EffectError> {
    let request = &outgoing.request;
    if let Some(end) = decide_before_sending(outgoing, clock::now()) {
        return record(
            ports,
            request,
            end,
            format!("abandoned:{}", request.delivery),
        )
        .await;
    }
    let Some(channel) = ports.channels.get(&request.repo, request.channel) else {
        let refused = SendOutcome::Refused {
            error: format!("repository {} has no such channel now", request.repo),
            permanent: false,
        };
        let end = decide_after_sending(outgoing, refused, clock::now());
        return record(
            ports,
            request,
            end,
            format!("refused:{}.{}", request.delivery, outgoing.failures),
        )
        .await;
    };
    let files_bytes = request.files.iter().map(|file| file.blob.bytes).sum();
    let _room = ports.bodies.room(Purpose::Sending, files_bytes).await?;
    let message = message(ports, outgoing, &request.files).await?;
    let attempted = DeliveryAttempted {
        delivery: request.delivery,
        attempt: outgoing.attempts + 1,
        labelled_duplicate: outgoing.maybe_sent,
    };
    let stream = StreamId::delivery(request.delivery);
    let mut announced = vec![(stream.clone(), attempted.into())];
    announced.extend(checkpoint_sent(outgoing, &message).map(|sent| (stream, sent)));
    record_all(ports, request, announced, attempt_key("attempt", outgoing)).await?;
    let outcome = channel.send(message).await;
    barrier::barrier("smtp-accepted");
    if let SendOutcome::Refused {
        error,
        permanent: true,
    } = outcome
    {
        return abandon(ports, outgoing, error).await;
    }
    let end = decide_after_sending(outgoing, outcome, clock::now());
    record(ports, request, end, attempt_key("outcome", outgoing)).await
}

/// Gives up a delivery that cannot be made; an answer with files is sent once more without them,
/// since they may be what is in the way.
///
/// # Errors
/// [`EffectError`] when it could not be recorded.
pub async fn abandon(ports: &Ports, outgoing: &Outgoing, error: String) -> Result<(), EffectError> {
    let request = &outgoing.request;
    let stream = StreamId::delivery(request.delivery);
    let events = if is_worth_without_files(outgoing) {
        match ports.bodies.get_text(&request.body).await {
            Ok(answer) => {
                let text = text_without_files(outgoing, &answer, &error);
                let body = ports
                    .bodies
                    .put_markdown(Owner::Task(request.task), &text)
                    .await?;
                decide_without_files(outgoing, body, error)
            }
            // Without its text there is nothing left to send.
            Err(_) => vec![(stream, decide::abandon(outgoing, error))],
        }
    } else {
        vec![(stream, decide::abandon(outgoing, error))]
    };
    let key = format!("abandoned:{}", request.delivery);
    record_all(ports, request, events, key).await
}

/// Records that nobody knows how the newest attempt ended: whoever made it is gone.
///
/// # Errors
/// [`EffectError`] when it could not be recorded.
pub async fn forget_attempt(ports: &Ports, outgoing: &Outgoing) -> Result<(), EffectError> {
    let unknown = DeliveryOutcomeUnknown {
        delivery: outgoing.request.delivery,
        attempt: outgoing.attempts,
        detail: "the service ended during the attempt".to_owned(),
    };
    let key = format!(
        "forgotten:{}.{}",
        outgoing.request.delivery, outgoing.attempts
    );
    record(ports, &outgoing.request, unknown.into(), key).await
}

/// Searches for traces of the newest attempt, and records what was found.
///
/// # Errors
/// [`EffectError`] when the search failed; it is done again then.
pub async fn reconcile(ports: &Ports, outgoing: &Outgoing) -> Result<(), EffectError> {
    let request = &outgoing.request;
    let trace = match ports.channels.get(&request.repo, request.channel) {
        // What is looked for is its address.
        Some(channel) => channel.search(message(ports, outgoing, &[]).await?).await,
        None => Trace::Unsearchable {
            error: format!("repository {} has no such channel now", request.repo),
        },
    };
    match decide_after_search(outgoing, trace, clock::now()) {
        Ok(event) => {
            let key = format!("searched:{}.{}", request.delivery, outgoing.attempts);
            record(ports, request, event, key).await
        }
        Err(error) => Err(EffectError::Later(error)),
    }
}

fn attempt_key(what: &str, outgoing: &Outgoing) -> String {
    let (delivery, attempt) = (outgoing.request.delivery, outgoing.attempts + 1);
    format!("{what}:{delivery}.{attempt}")
}

async fn message(
    ports: &Ports,
    outgoing: &Outgoing,
    stored: &[StoredFile],
) -> Result<OutboundMessage, EffectError> {
    let request = &outgoing.request;
    let mut files = Vec::with_capacity(stored.len());
    for file in stored {
        files.push(ports.bodies.get_file(file).await?);
    }
    Ok(OutboundMessage {
        delivery: request.delivery,
        kind: request.kind,
        repo: request.repo.clone(),
        conversation: request.conversation,
        task: request.task,
        target: request.target.clone(),
        body: ports.bodies.get_text(&request.body).await?,
        files,
        labelled_duplicate: outgoing.maybe_sent,
        checkpoint: ports.log.checkpoint().map(|signed| signed.to_line()),
        attempt: outgoing.attempts + 1,
    })
}

/// Returns the record of the checkpoint that leaves with a message.
fn checkpoint_sent(outgoing: &Outgoing, message: &OutboundMessage) -> Option<Event> {
    let checkpoint = message.checkpoint.clone()?;
    let sent = CheckpointSent {
        delivery: message.delivery,
        attempt: outgoing.attempts + 1,
        checkpoint,
    };
    Some(sent.into())
}

async fn record(
    ports: &Ports,
    request: &DeliveryRequested,
    event: Event,
    key: String,
) -> Result<(), EffectError> {
    let stream = StreamId::delivery(request.delivery);
    record_all(ports, request, vec![(stream, event)], key).await
}

async fn record_all(
    ports: &Ports,
    request: &DeliveryRequested,
    events: Vec<(StreamId, Event)>,
    key: String,
) -> Result<(), EffectError> {
    let context = Context {
        correlation: request.conversation.to_string(),
        ..Context::system(clock::now())
    };
    let append = Append {
        expected: vec![],
        events,
        key: Some(key),
        context,
    };
    ports.append(append).await
}
