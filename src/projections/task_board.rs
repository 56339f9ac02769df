//! The board: every task as a person sees it, the finished ones up to a limit. It decides nothing.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::events::container::RunFrozen;
use crate::events::delivery::DeliveryKind;
use crate::events::event::{ContainerEvent, ConversationEvent, DeliveryEvent, TaskEvent};
use crate::events::id::{AtMs, ConversationId, RepoId, RunId, TaskId};
use crate::events::seal::ERASED;
use crate::events::task::{CompletionReason, TaskPhase, TodoItem};
use crate::events::{Event, Recorded};
use crate::projections::Projection;

/// Finished tasks that stay on the board; older ones are only in the log.
pub const FINISHED_TASKS_MAX: usize = 1000;

/// In which column a task stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    /// It waits.
    Queued,
    /// It waits until the model's API takes work again.
    Parked {
        /// Which limit was met.
        cause: String,
        /// Not before this time.
        until: AtMs,
    },
    /// It is answered together with another task.
    Coalesced {
        /// The other.
        into: TaskId,
    },
    /// It executes.
    Executing {
        /// How far it is.
        phase: Option<TaskPhase>,
    },
    /// It is over.
    Completed {
        /// How it ended.
        reason: CompletionReason,
        /// In words; empty for a success.
        detail: String,
    },
}

/// Whether the answer reached its channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// There is none yet.
    None,
    /// It is being sent.
    Sending,
    /// It was sent; whether a label says that it may be a duplicate.
    Sent {
        /// Whether it is labelled.
        labelled_duplicate: bool,
    },
    /// It was given up.
    Abandoned {
        /// Why.
        error: String,
    },
}

/// A frozen run of a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrozenCard {
    /// The run.
    pub run: RunId,
    /// Name of its agent's container.
    pub container: String,
    /// Until when it is kept.
    pub kept_until: AtMs,
}

impl FrozenCard {
    fn of(frozen: &RunFrozen) -> Self {
        Self {
            run: frozen.run,
            container: frozen.container.clone(),
            kept_until: frozen.kept_until,
        }
    }
}

/// One task on the board.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Card {
    /// The task.
    pub task: TaskId,
    /// Its conversation.
    pub conversation: ConversationId,
    /// Its repository.
    pub repo: RepoId,
    /// Verified sender.
    pub sender: String,
    /// Subject or first words.
    pub title: String,
    /// When it was queued.
    pub queued_at: AtMs,
    /// When it was begun last.
    pub started_at: Option<AtMs>,
    /// When it ended.
    pub completed_at: Option<AtMs>,
    /// How often it was begun.
    pub attempts: u16,
    /// Its column.
    pub status: Status,
    /// The agent's plan.
    pub todos: Vec<TodoItem>,
    /// What became of its answer.
    pub answer: Answer,
    /// Its runs that are frozen, by the names of their containers.
    pub frozen: Vec<FrozenCard>,
    /// Whether its conversation is forgotten: what it was about is not known any more.
    pub forgotten: bool,
    labelled_duplicate: bool,
}

/// All tasks that are not over, and the newest that are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskBoard {
    cards: BTreeMap<TaskId, Card>,
    finished: VecDeque<TaskId>,
    /// Which task a reply's delivery answers, as long as it has no end.
    replies: BTreeMap<String, TaskId>,
}

impl TaskBoard {
    /// Returns the cards, oldest first.
    pub fn cards(&self) -> Vec<&Card> {
        let mut cards: Vec<_> = self.cards.values().collect();
        cards.sort_by_key(|card| (card.queued_at, card.task));
        cards
    }

    /// Returns one card.
    pub fn get(&self, task: TaskId) -> Option<&Card> {
        self.cards.get(&task)
    }

    fn change(&mut self, task: TaskId, change: impl FnOnce(&mut Card)) {
        if let Some(card) = self.cards.get_mut(&task) {
            change(card);
        }
    }

    fn finish(&mut self, task: TaskId) {
        self.finished.push_back(task);
        if self.finished.len() > FINISHED_TASKS_MAX
            && let Some(oldest) = self.finished.pop_front()
        {
            self.cards.remove(&oldest);
        }
    }

    /// Drops what the cards of a conversation say of its content.
    fn forget(&mut self, conversation: ConversationId) {
        let cards = self.cards.values_mut();
        for card in cards.filter(|card| card.conversation == conversation) {
            card.forgotten = true;
            ERASED.clone_into(&mut card.title);
            card.todos.clear();
            if let Status::Completed { detail, .. } = &mut card.status {
                detail.clear();
            }
        }
    }

    fn apply_task(&mut self, recorded: &Recorded, event: &TaskEvent) {
        match event {
            TaskEvent::Queued(queued) => {
                let card = Card {
                    task: queued.task,
                    conversation: queued.conversation,
                    repo: queued.repo.clone(),
                    sender: queued.sender.clone(),
                    title: queued.title.clone(),
                    queued_at: recorded.at,
                    started_at: None,
                    completed_at: None,
                    attempts: 0,
                    status: Status::Queued,
                    todos: Vec::new(),
                    answer: Answer::None,
                    frozen: Vec::new(),
                    forgotten: false,
                    labelled_duplicate: false,
                };
                self.cards.insert(queued.task, card);
            }
            TaskEvent::Coalesced(coalesced) => {
                let into = coalesced.into;
                self.change(coalesced.task, |card| {
                    card.status = Status::Coalesced { into }
                });
                self.finish(coalesced.task);
            }
            TaskEvent::Started(started) => self.change(started.task, |card| {
                card.status = Status::Executing { phase: None };
                card.started_at = Some(recorded.at);
                card.attempts = started.attempt;
            }),
            TaskEvent::PhaseEntered(entered) => self.change(entered.task, |card| {
                card.status = Status::Executing {
                    phase: Some(entered.phase.clone()),
                };
            }),
            TaskEvent::TodoListUpdated(updated) => {
                self.change(updated.task, |card| card.todos.clone_from(&updated.items));
            }
            TaskEvent::RetryScheduled(retry) => {
                self.change(retry.task, |card| card.status = Status::Queued);
            }
            TaskEvent::Parked(parked) => self.change(parked.task, |card| {
                card.status = Status::Parked {
                    cause: parked.cause.clone(),
                    until: parked.until,
                };
            }),
            TaskEvent::Completed(completed) => {
                self.change(completed.task, |card| {
                    let (reason, detail) = (completed.reason.clone(), completed.detail.clone());
                    card.status = Status::Completed { reason, detail };
                    card.completed_at = Some(recorded.at);
                    card.todos.clear();
                });
                self.finish(completed.task);
            }
            TaskEvent::StopRequested(_)
            | TaskEvent::Held(_)
            | TaskEvent::TurnedAway(_)
            | TaskEvent::Interrupted(_)
            | TaskEvent::CommandGiven(_) => {}
        }
    }

    fn apply_delivery(&mut self, event: &DeliveryEvent) {
        match event {
            DeliveryEvent::Requested(request) => {
                if matches!(request.kind, DeliveryKind::Reply) {
                    self.replies
                        .insert(request.delivery.to_string(), request.task);
                    self.change(request.task, |card| card.answer = Answer::Sending);
                }
            }
            DeliveryEvent::Attempted(attempted) => {
                if let Some(task) = self.replies.get(&attempted.delivery.to_string()).copied() {
                    let labelled = attempted.labelled_duplicate;
                    self.change(task, |card| card.labelled_duplicate = labelled);
                }
            }
            DeliveryEvent::Succeeded(succeeded) => {
                if let Some(task) = self.replies.remove(&succeeded.delivery.to_string()) {
                    self.change(task, |card| {
                        let labelled_duplicate = card.labelled_duplicate;
                        card.answer = Answer::Sent { labelled_duplicate };
                    });
                }
            }
            DeliveryEvent::Abandoned(abandoned) => {
                if let Some(task) = self.replies.remove(&abandoned.delivery.to_string()) {
                    let error = abandoned.error.clone();
                    self.change(task, |card| card.answer = Answer::Abandoned { error });
                }
            }
            DeliveryEvent::Failed(_)
            | DeliveryEvent::OutcomeUnknown(_)
            | DeliveryEvent::NotFound(_)
            | DeliveryEvent::CheckpointSent(_) => {}
        }
    }
}

impl Projection for TaskBoard {
    const NAME: &'static str = "task_board";
    const CODE_VERSION: u32 = 4;

    fn apply(&mut self, recorded: &Recorded) {
        match &recorded.event {
            Event::Task(event) => self.apply_task(recorded, event),
            Event::Delivery(event) => self.apply_delivery(event),
            Event::Container(ContainerEvent::RunFrozen(frozen)) => {
                self.change(frozen.run.task, |card| {
                    card.frozen.push(FrozenCard::of(frozen));
                });
            }
            Event::Container(ContainerEvent::FrozenRunReleased(released)) => {
                self.change(released.run.task, |card| {
                    card.frozen.retain(|frozen| frozen.run != released.run);
                });
            }
            Event::Conversation(ConversationEvent::ForgetRequested(asked)) => {
                self.forget(asked.conversation);
            }
            Event::Service(_)
            | Event::Schedule(_)
            | Event::Channel(_)
            | Event::Repository(_)
            | Event::Message(_)
            | Event::Conversation(_)
            | Event::Run(_)
            | Event::Container(_)
            | Event::Proxy(_) => {}
        }
    }
}
