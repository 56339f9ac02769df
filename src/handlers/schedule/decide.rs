//! What is due of the schedules, and what becomes of it. Pure: the time that the machine's clock shows
//! and the newest state come in; events go out. The log remembers up to which time a schedule was
//! dealt with, so that each time is dealt with once, whatever restarts come in between.

use crate::config::types::schedule::{CatchUp, Deliver, Overlap, Work};
use crate::events::Event;
use crate::events::conversation::ConversationCreated;
use crate::events::id::{
    Actor, AtMs, BlobRef, ChannelKind, ConversationId, InboundId, Position, StreamId,
};
use crate::events::log::{Append, Context, Expected};
use crate::events::message::{MessageParsed, MessageRouted, ReplyAddress};
use crate::events::schedule::{
    MissedCause, ScheduleFired, ScheduleInForce, ScheduleSlotsMissed, ScheduleWithdrawn,
    ScheduledWork,
};
use crate::events::task::TaskQueued;
use crate::handlers::intake::decide::unused_id;
use crate::handlers::schedule::timetable::Entry;
use crate::projections::conversations::Conversations;
use crate::projections::schedules::ScheduleState;
use crate::projections::state::State;

/// How late a due time may be met and still count as met in time, in milliseconds; later it has to be
/// made up for, if the schedule says so.
pub const GRACE_MS: u64 = 60_000;

/// Due times of one schedule that are made up for; of more, the oldest are passed over.
pub const CATCH_UP_MAX: usize = 24;

/// Due times of one schedule that are looked at together; of more, the newest are looked at next.
pub const SLOTS_LOOKED_AT_MAX: usize = 10_000;

/// The sender of messages that stand for schedules (spec row SCH-10). No channel gives such an identity.
pub const SENDER: &str = "scheduler";

/// What there is to do about one schedule now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Record that due times are passed over.
    Miss {
        /// The first of them.
        first: AtMs,
        /// The last of them.
        last: AtMs,
        /// How many.
        count: u32,
        /// Why.
        cause: MissedCause,
    },
    /// Make a due time a task.
    Fire(AtMs),
}

/// Returns the append that brings what is in force in line with the timetable; nothing when it is.
/// `machine` is what the machine's clock shows.
pub fn decide_in_force(
    state: &State,
    timetable: &[Entry],
    machine: AtMs,
    now: AtMs,
) -> Option<Append> {
    let mut events: Vec<(StreamId, Event)> = vec![];
    for entry in timetable {
        let (repo, name) = (entry.repo.clone(), entry.name.clone());
        let (cron, zone) = (entry.schedule.cron.to_string(), entry.zone_name());
        let known = state.schedules.get(&repo, &name);
        if known.is_some_and(|known| known.cron == cron && known.zone == zone) {
            continue;
        }
        let stream = StreamId::schedule(&repo, &name);
        let in_force = ScheduleInForce {
            repo,
            name,
            cron,
            zone: zone.to_owned(),
            from: machine,
        };
        events.push((stream, in_force.into()));
    }
    for (repo, name, _) in state.schedules.iter() {
        let is_it = |entry: &Entry| entry.repo == *repo && entry.name == name;
        if !timetable.iter().any(is_it) {
            let withdrawn = ScheduleWithdrawn {
                repo: repo.clone(),
                name: name.to_owned(),
            };
            events.push((StreamId::schedule(repo, name), withdrawn.into()));
        }
    }
    (!events.is_empty()).then(|| Append {
        expected: vec![],
        events,
        key: None,
        context: context(None, now),
    })
}

/// Returns what there is to do next about a schedule; nothing when nothing is due, or the next one has
/// to wait for the end of the last one.
pub fn decide_step(entry: &Entry, known: &ScheduleState, machine: AtMs) -> Option<Step> {
    let (slots, has_more) = due(entry, known, machine);
    let (first, last) = (*slots.first()?, *slots.last()?);
    let miss = |through: usize, cause| Step::Miss {
        first,
        last: slots[through - 1],
        count: u32::try_from(through).unwrap_or(u32::MAX),
        cause,
    };
    if has_more {
        // Whatever is made up for is newer than these, but for the last few of them.
        return Some(miss(slots.len() - CATCH_UP_MAX, MissedCause::Late));
    }
    let is_busy = entry.schedule.overlap == Overlap::Skip && !known.open.is_empty();
    if is_busy && entry.schedule.catch_up == CatchUp::All {
        return None;
    }
    if is_busy {
        return Some(miss(slots.len(), MissedCause::Overlap));
    }
    let kept = match entry.schedule.catch_up {
        CatchUp::Skip if machine.0 - last.0 > GRACE_MS => 0,
        CatchUp::Skip | CatchUp::Once => 1,
        CatchUp::All => CATCH_UP_MAX.min(slots.len()),
    };
    match slots.len() - kept {
        0 => Some(Step::Fire(first)),
        passed_over => Some(miss(passed_over, MissedCause::Late)),
    }
}

/// Returns the due times that are not dealt with, oldest first, and whether there are more of them.
fn due(entry: &Entry, known: &ScheduleState, machine: AtMs) -> (Vec<AtMs>, bool) {
    let next = |after: &AtMs| entry.schedule.cron.next(*after, &entry.zone);
    let slots = std::iter::successors(next(&known.considered), next);
    let mut slots = slots.take_while(|slot| *slot <= machine);
    let looked_at: Vec<AtMs> = slots.by_ref().take(SLOTS_LOOKED_AT_MAX).collect();
    let has_more = slots.next().is_some();
    (looked_at, has_more)
}

/// Returns the record that due times are passed over.
pub fn decide_missing(entry: &Entry, step: &Step, now: AtMs) -> Option<Append> {
    let Step::Miss {
        first,
        last,
        count,
        cause,
    } = step
    else {
        return None;
    };
    let missed = ScheduleSlotsMissed {
        repo: entry.repo.clone(),
        name: entry.name.clone(),
        first: *first,
        last: *last,
        count: *count,
        cause: *cause,
    };
    let stream = StreamId::schedule(&entry.repo, &entry.name);
    Some(Append::to(&stream, vec![missed.into()], context(None, now)))
}

/// A due time on its way to its task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// When it was due.
    pub at: AtMs,
    /// The message that stands for it.
    pub inbound: InboundId,
    key: String,
}

/// Names the message that stands for a due time: the same time has the same in each turn of the clock.
pub fn slot(entry: &Entry, at: AtMs, turn: u32) -> Slot {
    let key = format!("schedule:{}/{}@{}#{turn}", entry.repo, entry.name, at.0);
    Slot {
        at,
        inbound: InboundId::from_dedupe_key(&key),
        key,
    }
}

/// Returns the text that the log keeps of what is to be done: the prompt, or the command.
pub fn text(entry: &Entry) -> &str {
    match &entry.schedule.work {
        Work::Prompt(text) | Work::Command { text, .. } => text,
    }
}

/// Makes a due time a task of a new conversation. `body` is the kept [`text`].
pub fn decide_firing(
    conversations: &Conversations,
    entry: &Entry,
    slot: &Slot,
    body: BlobRef,
    (machine, now): (AtMs, AtMs),
) -> Append {
    let conversation = unused_id(conversations, slot.inbound);
    let (inbound, task) = (slot.inbound, slot.inbound.task());
    let Deliver::Email { to } = &entry.schedule.deliver;
    let created = ConversationCreated {
        conversation,
        repo: entry.repo.clone(),
        channel: ChannelKind::Email,
        owner: to.to_lowercase(),
        model: entry.model.clone(),
        effort: entry.effort.clone(),
    };
    let fired = ScheduleFired {
        repo: entry.repo.clone(),
        name: entry.name.clone(),
        slot: slot.at,
        late_ms: machine.0.saturating_sub(slot.at.0),
        inbound,
        task,
        conversation,
        work: work(entry),
        to: to.clone(),
    };
    let parsed = parsed(entry, inbound, body);
    let routed = MessageRouted {
        inbound,
        conversation,
        new: true,
        task,
    };
    let queued = TaskQueued {
        task,
        inbound,
        repo: entry.repo.clone(),
        conversation,
        sender: SENDER.to_owned(),
        title: format!("scheduled: {}", entry.name),
        sender_name: String::new(),
    };
    let (message, began) = (
        StreamId::inbound(inbound),
        StreamId::conversation(conversation),
    );
    let (stream, of_task) = (
        StreamId::schedule(&entry.repo, &entry.name),
        StreamId::task(task),
    );
    Append {
        expected: vec![
            (began.clone(), Expected::NoStream),
            (of_task.clone(), Expected::NoStream),
        ],
        events: vec![
            (began, created.into()),
            (stream, fired.into()),
            (message.clone(), parsed.into()),
            (message, routed.into()),
            (of_task, queued.into()),
        ],
        key: Some(slot.key.clone()),
        context: context(Some(conversation), now),
    }
}

/// Returns what the message says that stands for a due time.
fn parsed(entry: &Entry, inbound: InboundId, body: BlobRef) -> MessageParsed {
    let Deliver::Email { to } = &entry.schedule.deliver;
    MessageParsed {
        inbound,
        body,
        subject: subject(entry),
        conversation_hint: None,
        hint_source: None,
        model_hint: None,
        attachments: vec![],
        reply_to: ReplyAddress::Email {
            to: to.clone(),
            message_id: String::new(),
            references: vec![],
        },
    }
}

fn subject(entry: &Entry) -> String {
    let subject = entry.schedule.subject.as_ref();
    subject.unwrap_or(&entry.name).clone()
}

fn work(entry: &Entry) -> ScheduledWork {
    match &entry.schedule.work {
        Work::Prompt(_) => ScheduledWork::Prompt,
        Work::Command {
            argv,
            timeout_s,
            output_bytes_max,
            ..
        } => ScheduledWork::Command {
            argv: argv.clone(),
            timeout_ms: timeout_s.map(|seconds| seconds.saturating_mul(1000)),
            output_bytes_max: *output_bytes_max,
        },
    }
}

fn context(conversation: Option<ConversationId>, now: AtMs) -> Context {
    let conversation = conversation.map(|conversation| conversation.to_string());
    Context {
        actor: Actor::Scheduler,
        causation: None::<Position>,
        correlation: conversation.unwrap_or_default(),
        ..Context::system(now)
    }
}

#[cfg(test)]
mod tests;
