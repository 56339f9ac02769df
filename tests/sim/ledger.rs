//! The laws, checked on every event as it becomes durable and on every effect as it begins. Written
//! independently of the projections, so that a mistake there is not repeated here.

use std::collections::{BTreeMap, BTreeSet};

use airut::config::types::QueueLimits;
use airut::events::delivery::{DeliveryKind, DeliveryRequested, DeliveryTarget};
use airut::events::event::{ConversationEvent, DeliveryEvent, MessageEvent, RunEvent, TaskEvent};
use airut::events::id::{ConversationId, DeliveryId, InboundId, RunId, TaskId};
use airut::events::task::InterruptionDecision;
use airut::events::{Event, Recorded};

/// Tasks that may run at once; there is one repository.
const PLACES: usize = 2;

/// A broken law, in words.
pub(crate) type Broken = String;

#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) conversation: ConversationId,
    pub(crate) sender: String,
    is_running: bool,
    /// Whether it takes a place among those that may run at once.
    has_place: bool,
    ends: u32,
    replies: u32,
    into: Option<TaskId>,
}

#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) request: DeliveryRequested,
    attempts: u32,
    /// The label of the attempt that has no outcome yet.
    under_way: Option<bool>,
    is_unknown: bool,
    maybe_sent: bool,
    ends: u32,
    is_abandoned: bool,
    unlabelled: u32,
    arrived: u32,
}

/// What the durable events say.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) events: Vec<Recorded>,
    limits: QueueLimits,
    received: BTreeSet<InboundId>,
    judged: BTreeMap<InboundId, Option<TaskId>>,
    pub(crate) tasks: BTreeMap<TaskId, Task>,
    planned: BTreeSet<RunId>,
    ran: BTreeSet<RunId>,
    deliveries: BTreeMap<DeliveryId, Delivery>,
    /// Conversations that are to be forgotten, and whether they are.
    forgotten: BTreeMap<ConversationId, bool>,
}

fn law(holds: bool, broken: impl FnOnce() -> Broken) -> Result<(), Broken> {
    if holds { Ok(()) } else { Err(broken()) }
}

impl Ledger {
    /// Returns an empty one for a queue with these limits.
    pub(crate) fn with(limits: QueueLimits) -> Self {
        Self {
            limits,
            ..Self::default()
        }
    }

    /// Takes a durable event in.
    pub(crate) fn take_in(&mut self, recorded: Recorded) -> Result<(), Broken> {
        let position = recorded.position.0;
        let next = self.events.len() as u64 + 1;
        law(position == next, || {
            format!("position {position} after {}", next - 1)
        })?;
        let checked = self.check(&recorded.event);
        self.events.push(recorded);
        checked.map_err(|broken| format!("{broken} (position {position})"))
    }

    fn check(&mut self, event: &Event) -> Result<(), Broken> {
        match event {
            Event::Message(event) => self.check_message(event),
            Event::Task(event) => self.check_task(event),
            Event::Run(RunEvent::Planned(planned)) => {
                let run = planned.run;
                let running = self
                    .tasks
                    .get(&run.task)
                    .is_some_and(|task| task.is_running);
                law(running, || format!("run {run} of a task that does not run"))?;
                law(self.planned.insert(run), || {
                    format!("run {run} is planned twice")
                })
            }
            Event::Conversation(ConversationEvent::ReplyRecorded(reply)) => {
                let task = self.task(reply.task)?;
                task.replies += 1;
                law(task.replies == 1, || {
                    format!("two answers to {}", reply.task)
                })
            }
            Event::Conversation(ConversationEvent::ForgetRequested(asked)) => {
                self.check_forgetting(asked.conversation)
            }
            Event::Conversation(ConversationEvent::Forgotten(forgotten)) => {
                let id = forgotten.conversation;
                let before = self.forgotten.insert(id, true);
                law(before == Some(false), || {
                    format!("conversation {id} is forgotten unasked, or twice")
                })
            }
            Event::Delivery(event) => self.check_delivery(event),
            _ => Ok(()),
        }
    }

    /// Only what is at rest is forgotten, and once.
    fn check_forgetting(&mut self, id: ConversationId) -> Result<(), Broken> {
        let mut tasks = self.tasks.values();
        let busy = tasks.any(|task| task.conversation == id && task.ends == 0);
        law(!busy, || {
            format!("conversation {id} is active and to be forgotten")
        })?;
        let mut deliveries = self.deliveries.values();
        let open =
            deliveries.any(|delivery| delivery.request.conversation == id && delivery.ends == 0);
        law(!open, || {
            format!("conversation {id} is to be forgotten before its answer has an end")
        })?;
        let before = self.forgotten.insert(id, false);
        law(before.is_none(), || {
            format!("conversation {id} is to be forgotten twice")
        })
    }

    fn check_message(&mut self, event: &MessageEvent) -> Result<(), Broken> {
        let (inbound, task) = match event {
            MessageEvent::Received(received) => {
                let inbound = received.inbound;
                let new = self.received.insert(inbound);
                return law(new, || format!("{inbound} is received twice"));
            }
            MessageEvent::Rejected(rejected) => (rejected.inbound, None),
            MessageEvent::Routed(routed) => (routed.inbound, Some(routed.inbound.task())),
            _ => return Ok(()),
        };
        law(self.received.contains(&inbound), || {
            format!("{inbound} was never received")
        })?;
        let known = self.judged.insert(inbound, task);
        law(known.is_none(), || format!("{inbound} is judged twice"))
    }

    fn task(&mut self, task: TaskId) -> Result<&mut Task, Broken> {
        let known = self.tasks.get_mut(&task);
        known.ok_or_else(|| format!("task {task} was never queued"))
    }

    fn check_task(&mut self, event: &TaskEvent) -> Result<(), Broken> {
        match event {
            TaskEvent::Queued(queued) => {
                let task = Task {
                    conversation: queued.conversation,
                    sender: queued.sender.clone(),
                    is_running: false,
                    has_place: false,
                    ends: 0,
                    replies: 0,
                    into: None,
                };
                let forgotten = self.forgotten.contains_key(&queued.conversation);
                law(!forgotten, || {
                    format!("{} continues a forgotten conversation", queued.task)
                })?;
                let known = self.tasks.insert(queued.task, task);
                law(known.is_none(), || {
                    format!("{} is queued twice", queued.task)
                })
            }
            TaskEvent::Started(started) => {
                let conversation = self.task(started.task)?.conversation;
                let busy = self.tasks.iter().any(|(task, other)| {
                    *task != started.task && other.is_running && other.conversation == conversation
                });
                law(!busy, || {
                    format!("two tasks run in conversation {conversation}")
                })?;
                let task = self.task(started.task)?;
                task.is_running = true;
                task.has_place = true;
                law(task.ends == 0, || {
                    format!("{} begins after its end", started.task)
                })?;
                self.check_places()
            }
            TaskEvent::Coalesced(coalesced) => {
                let task = self.task(coalesced.task)?;
                task.ends += 1;
                task.into = Some(coalesced.into);
                law(task.ends == 1, || format!("{} ends twice", coalesced.task))
            }
            TaskEvent::Completed(completed) => {
                let task = self.task(completed.task)?;
                task.ends += 1;
                task.is_running = false;
                task.has_place = false;
                law(task.ends == 1, || format!("{} ends twice", completed.task))?;
                let answers = task.replies;
                let mut deliveries = self.deliveries.values();
                let is_answered = answers == 1
                    || deliveries.any(|delivery| {
                        let request = &delivery.request;
                        request.task == completed.task && request.kind == DeliveryKind::Reply
                    });
                law(is_answered, || {
                    format!("{} ends without an answer", completed.task)
                })
            }
            event => self.check_waiting(event),
        }
    }

    /// What waits, whatever for, takes no place; and is turned away only where there is no room.
    fn check_waiting(&mut self, event: &TaskEvent) -> Result<(), Broken> {
        match event {
            TaskEvent::Parked(parked) => {
                let task = self.task(parked.task)?;
                let had_place = std::mem::take(&mut task.has_place);
                task.is_running = false;
                law(had_place, || {
                    format!("{} is parked and did not run", parked.task)
                })
            }
            TaskEvent::RetryScheduled(retry) => {
                self.task(retry.task)?.has_place = false;
                Ok(())
            }
            TaskEvent::Interrupted(interrupted) => {
                let requeued = interrupted.decision == InterruptionDecision::Requeue;
                self.task(interrupted.task)?.has_place &= !requeued;
                Ok(())
            }
            TaskEvent::TurnedAway(away) => {
                let limits = self.limits;
                let waiting = away.waiting as usize;
                let is_full = waiting >= limits.waiting_max.min(limits.waiting_per_sender_max);
                law(is_full, || {
                    format!("{} is turned away and there was room", away.task)
                })
            }
            _ => Ok(()),
        }
    }

    /// No more tasks run at once than may, in all and of each sender.
    fn check_places(&self) -> Result<(), Broken> {
        let running: Vec<&Task> = self.tasks.values().filter(|task| task.has_place).collect();
        let max = self.limits.per_repo_max.unwrap_or(PLACES).min(PLACES);
        law(running.len() <= max, || {
            format!("{} tasks run at once", running.len())
        })?;
        let of_sender = |task: &&Task| {
            let same = running.iter().filter(|other| other.sender == task.sender);
            same.count()
        };
        let most = running.iter().map(of_sender).max().unwrap_or_default();
        let max = self.limits.per_sender_max.unwrap_or(PLACES);
        law(most <= max, || {
            format!("{most} tasks of one sender run at once")
        })
    }

    fn delivery(&mut self, delivery: DeliveryId) -> Result<&mut Delivery, Broken> {
        let known = self.deliveries.get_mut(&delivery);
        known.ok_or_else(|| format!("delivery {delivery} was never requested"))
    }

    fn check_delivery(&mut self, event: &DeliveryEvent) -> Result<(), Broken> {
        match event {
            DeliveryEvent::Requested(request) => {
                let delivery = Delivery {
                    request: request.clone(),
                    attempts: 0,
                    under_way: None,
                    is_unknown: false,
                    maybe_sent: false,
                    ends: 0,
                    is_abandoned: false,
                    unlabelled: 0,
                    arrived: 0,
                };
                let known = self.deliveries.insert(request.delivery, delivery);
                return law(known.is_none(), || {
                    format!("{} is requested twice", request.delivery)
                });
            }
            DeliveryEvent::Attempted(attempted) => {
                let id = attempted.delivery;
                let delivery = self.delivery(id)?;
                law(delivery.under_way.is_none(), || {
                    format!("{id} is attempted twice at once")
                })?;
                law(!delivery.is_unknown, || {
                    format!("{id} is sent again before a search")
                })?;
                let labelled = attempted.labelled_duplicate == delivery.maybe_sent;
                law(labelled, || format!("{id} is sent again without its label"))?;
                delivery.attempts += 1;
                delivery.under_way = Some(attempted.labelled_duplicate);
            }
            DeliveryEvent::CheckpointSent(sent) => {
                let under_way = self.delivery(sent.delivery)?.under_way.is_some();
                law(under_way, || {
                    format!("{} carries a checkpoint and is not sent", sent.delivery)
                })?;
            }
            DeliveryEvent::Failed(failed) => self.delivery(failed.delivery)?.under_way = None,
            DeliveryEvent::OutcomeUnknown(unknown) => {
                let delivery = self.delivery(unknown.delivery)?;
                delivery.under_way = None;
                delivery.is_unknown = true;
            }
            DeliveryEvent::NotFound(missing) => {
                let delivery = self.delivery(missing.delivery)?;
                delivery.is_unknown = false;
                delivery.maybe_sent = true;
            }
            DeliveryEvent::Succeeded(succeeded) => {
                let delivery = self.delivery(succeeded.delivery)?;
                let arrived = delivery.arrived > 0;
                law(arrived, || {
                    format!("{} succeeded and never arrived", succeeded.delivery)
                })?;
                return self.end(succeeded.delivery);
            }
            DeliveryEvent::Abandoned(abandoned) => {
                self.delivery(abandoned.delivery)?.is_abandoned = true;
                return self.end(abandoned.delivery);
            }
        }
        Ok(())
    }

    fn end(&mut self, id: DeliveryId) -> Result<(), Broken> {
        let delivery = self.delivery(id)?;
        delivery.under_way = None;
        delivery.ends += 1;
        law(delivery.ends == 1, || format!("{id} ends twice"))
    }

    /// Law 1: a source is told only of what is durable.
    pub(crate) fn check_telling(&self, inbound: InboundId) -> Result<(), Broken> {
        let durable = self.received.contains(&inbound);
        law(durable, || {
            format!("the source of {inbound} was told before it was durable")
        })
    }

    /// A run begins: it was announced, and begins once.
    pub(crate) fn check_run(&mut self, run: RunId) -> Result<(), Broken> {
        law(self.planned.contains(&run), || {
            format!("run {run} begins unannounced")
        })?;
        law(self.ran.insert(run), || format!("run {run} begins twice"))
    }

    /// A message leaves: it was announced, with the label it has.
    pub(crate) fn check_sending(&mut self, id: DeliveryId, labelled: bool) -> Result<(), Broken> {
        let delivery = self.delivery(id)?;
        let announced = delivery.under_way == Some(labelled);
        law(announced, || format!("delivery {id} is sent unannounced"))
    }

    /// Law 2: a message arrives at its recipient.
    pub(crate) fn arrive(&mut self, id: DeliveryId, labelled: bool) -> Result<(), Broken> {
        let delivery = self.delivery(id)?;
        delivery.arrived += 1;
        delivery.unlabelled += u32::from(!labelled);
        law(delivery.unlabelled <= 1, || {
            format!("{id} arrived twice without a label")
        })
    }

    pub(crate) fn has_arrived(&self, id: DeliveryId) -> bool {
        self.deliveries
            .get(&id)
            .is_some_and(|delivery| delivery.arrived > 0)
    }

    pub(crate) fn conversation_of(&self, inbound: InboundId) -> Option<ConversationId> {
        self.tasks
            .get(&inbound.task())
            .map(|task| task.conversation)
    }

    pub(crate) fn conversation_of_run(&self, run: RunId) -> Option<ConversationId> {
        self.tasks.get(&run.task).map(|task| task.conversation)
    }

    /// Returns the conversations with something to do.
    pub(crate) fn conversations(&self) -> Vec<ConversationId> {
        let open = self.tasks.values().filter(|task| task.ends == 0);
        open.map(|task| task.conversation).collect()
    }

    /// Returns a conversation, whatever is going on in it; the first that is not forgotten.
    pub(crate) fn some_conversation(&self) -> Option<ConversationId> {
        let mut known = self.tasks.values().map(|task| task.conversation);
        known.find(|id| !self.forgotten.contains_key(id))
    }

    /// Returns whether everything that was begun has its end.
    pub(crate) fn is_settled(&self) -> bool {
        let judged = self
            .received
            .iter()
            .all(|inbound| self.judged.contains_key(inbound));
        let tasks = self.tasks.values().all(|task| task.ends > 0);
        let erased = self.forgotten.values().all(|is_forgotten| *is_forgotten);
        judged && tasks && erased && self.deliveries.values().all(|delivery| delivery.ends > 0)
    }

    /// Returns what has no end.
    pub(crate) fn unsettled(&self) -> String {
        let tasks: Vec<_> = self
            .tasks
            .iter()
            .filter(|(_, task)| task.ends == 0)
            .collect();
        let open = self
            .deliveries
            .values()
            .filter(|delivery| delivery.ends == 0);
        let open: Vec<_> = open.collect();
        format!("tasks {tasks:?}, deliveries {open:?}")
    }

    /// Law 2 at rest: every accepted message has one answer; `may_abandon` when a delivery may have
    /// been given up in this seed.
    pub(crate) fn check_rest(&self, may_abandon: bool) -> Result<(), Broken> {
        for (inbound, task) in &self.judged {
            let Some(task) = task else { continue };
            let queued = self
                .tasks
                .get(task)
                .ok_or_else(|| format!("{inbound} has no task"))?;
            let answered = queued.into.unwrap_or(*task);
            let address = format!("{}@example.test", queued.sender);
            let replies = self.deliveries.values().filter(|delivery| {
                let to_sender = matches!(&delivery.request.target,
                    DeliveryTarget::Email { to, .. } if *to == address);
                let request = &delivery.request;
                to_sender && request.kind == DeliveryKind::Reply && request.task == answered
            });
            let replies: Vec<&Delivery> = replies.collect();
            let arrived = replies.iter().any(|delivery| delivery.arrived > 0);
            let abandoned = replies.iter().any(|delivery| delivery.is_abandoned);
            let unlabelled: u32 = replies.iter().map(|delivery| delivery.unlabelled).sum();
            let answered = arrived || (abandoned && may_abandon);
            law(answered, || format!("{inbound} of {address} has no answer"))?;
            law(unlabelled <= 1, || {
                format!("{inbound} has {unlabelled} answers")
            })?;
        }
        Ok(())
    }
}
