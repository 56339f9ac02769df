//! What can stand in the record of a conversation or task. It decides nothing about what does.

use serde::{Deserialize, Serialize};

use crate::events::conversation::{
    ConversationCreated, ConversationForgetRequested, ConversationForgotten, PromptComposed,
    ReplyRecorded,
};
use crate::events::delivery::{
    DeliveryAbandoned, DeliveryFailed, DeliveryOutcomeUnknown, DeliveryRequested, DeliverySucceeded,
};
use crate::events::message::{MessageParsed, MessageReceived, SenderAuthorized};
use crate::events::proxy::{
    ConnectionRefused, DecisionLimitReached, DnsQueriesSuppressed, DnsQueryAnswered,
    HoneySurrogateSeen, RelaxedAuditInForce, RequestAllowed, RequestBlocked, RequestInspected,
    ResponseCompleted, SignatureRefused, UpstreamFailed,
};
use crate::events::run::{
    AgentErrorOutput, AgentEventObserved, PolicyInForce, RunCutOff, RunOutcomeClassified,
    RunPlanned,
};
use crate::events::task::{
    TaskCoalesced, TaskCommandGiven, TaskCompleted, TaskHeld, TaskInterrupted, TaskParked,
    TaskQueued, TaskRetryScheduled, TaskStarted, TaskStopRequested, TaskTurnedAway,
};

/// How an allowed request ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// Its response came, whole or in part.
    Completed(ResponseCompleted),
    /// It could not be forwarded.
    Failed(UpstreamFailed),
}

/// Something that happened, by the event that says so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Moment {
    /// A message was taken in.
    Received(MessageReceived),
    /// Its sender was let in.
    Authorized(SenderAuthorized),
    /// What it says.
    Asked(MessageParsed),
    /// The conversation begins.
    Begun(ConversationCreated),
    /// The message became a task.
    Queued(TaskQueued),
    /// It is answered with another.
    Coalesced(TaskCoalesced),
    /// It cannot begin yet, and its sender is told.
    Held(TaskHeld),
    /// Too many waited, and it is not taken in.
    TurnedAway(TaskTurnedAway),
    /// It waits until the model's API takes work again.
    Parked(TaskParked),
    /// A run ended without a judgement.
    CutOff(RunCutOff),
    /// Work on it begins.
    Started(TaskStarted),
    /// Its message gave a command to Airut itself.
    CommandGiven(TaskCommandGiven),
    /// Somebody wants it stopped.
    StopRequested(TaskStopRequested),
    /// A restart found it unfinished.
    Interrupted(TaskInterrupted),
    /// It will be tried again.
    RetryScheduled(TaskRetryScheduled),
    /// It is over.
    Completed(TaskCompleted),
    /// What the agent reads.
    Prompted(PromptComposed),
    /// What is made for a run.
    Planned(RunPlanned),
    /// What the run may reach and use.
    Policy(PolicyInForce),
    /// The agent wrote a line.
    AgentSaid(AgentEventObserved),
    /// The agent wrote to its standard error.
    AgentComplained(AgentErrorOutput),
    /// The run is judged.
    Judged(RunOutcomeClassified),
    /// A name was asked for.
    Name(DnsQueryAnswered),
    /// Names were asked for that have no entry of their own.
    NamesNotListed(DnsQueriesSuppressed),
    /// A request might leave.
    Allowed {
        /// The decision.
        allowed: RequestAllowed,
        /// How it ended, as far as that is known.
        end: Option<End>,
    },
    /// Filters read a request's body, before the decision on it.
    Inspected(RequestInspected),
    /// A request might not leave.
    Blocked(RequestBlocked),
    /// Upstream refused a signature that was made anew.
    SignatureRefused(SignatureRefused),
    /// A connection was refused.
    Refused(ConnectionRefused),
    /// The run had made as many requests as it may.
    DecisionLimit(DecisionLimitReached),
    /// Its honey surrogate was on its way out.
    Honey(HoneySurrogateSeen),
    /// Its requests may leave before their decision is durable.
    RelaxedAudit(RelaxedAuditInForce),
    /// The answer is fixed.
    Answered(ReplyRecorded),
    /// A message is to be sent.
    ToSend(DeliveryRequested),
    /// It was sent.
    Sent(DeliverySucceeded),
    /// An attempt failed.
    SendFailed(DeliveryFailed),
    /// Whether it was sent is not known.
    SentOrNot(DeliveryOutcomeUnknown),
    /// It was given up.
    GivenUp(DeliveryAbandoned),
    /// The conversation is to be forgotten.
    ToForget(ConversationForgetRequested),
    /// It is forgotten.
    Forgotten(ConversationForgotten),
}

impl Moment {
    /// Returns whether it is a line that an agent wrote.
    pub(super) fn is_line(&self) -> bool {
        matches!(self, Self::AgentSaid(_) | Self::AgentComplained(_))
    }
}
