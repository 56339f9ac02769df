//! The catalogue: every event there is, with the number and version of its kind. It knows no bytes.
//!
//! A kind's number is given once and never again, also not after the kind is gone. A change to a
//! payload is a new version, an upcast in `codec/upcast.rs` and a golden file.

use crate::events::id::{Actor, AtMs, Position, StreamId, StreamVersion};
use crate::events::{
    channel, container, conversation, delivery, message, proxy, repository, run, schedule, service,
    task,
};

/// Calls `$with` with the catalogue: family, family enum, module, and per kind its number, current
/// version, variant and payload.
macro_rules! catalogue {
    ($with:ident) => {
        $with! {
            Service(ServiceEvent) in service {
                1 v1 Started(ServiceStarted),
                2 v1 ConfigLoaded(ConfigLoaded),
                3 v1 BootCompleted(BootCompleted),
                4 v1 DrainStarted(DrainStarted),
                5 v1 Stopped(ServiceStopped),
                10 v1 LogKeyRotated(LogKeyRotated),
                11 v1 RestoreDrillCompleted(RestoreDrillCompleted),
                12 v1 PentestCompleted(PentestCompleted),
                16 v1 BackupTaken(BackupTaken),
                17 v1 BackupFailed(BackupFailed),
                18 v1 ClockWentBack(ClockWentBack),
                24 v1 StorageLow(StorageLow),
                25 v1 StorageRecovered(StorageRecovered),
            }
            Channel(ChannelEvent) in channel {
                20 v1 Connected(ChannelConnected),
                21 v1 Degraded(ChannelDegraded),
                22 v1 Stopped(ChannelStopped),
                23 v1 MailPassedOver(ChannelMailPassedOver),
                13 v1 SlackThreadGreeted(SlackThreadGreeted),
                14 v1 CaughtUp(ChannelCaughtUp),
            }
            Repository(RepositoryEvent) in repository {
                40 v1 MirrorFetched(MirrorFetched),
                41 v1 MirrorFetchFailed(MirrorFetchFailed),
            }
            Message(MessageEvent) in message {
                60 v1 Received(MessageReceived),
                61 v1 DuplicateIgnored(MessageDuplicateIgnored),
                62 v1 SourceAcknowledged(MessageSourceAcknowledged),
                63 v1 SenderAuthorized(SenderAuthorized),
                64 v1 Rejected(MessageRejected),
                65 v1 Parsed(MessageParsed),
                66 v1 Routed(MessageRouted),
                67 v1 JoinRefused(ConversationJoinRefused),
            }
            Task(TaskEvent) in task {
                80 v1 Queued(TaskQueued),
                81 v1 Coalesced(TaskCoalesced),
                82 v1 Started(TaskStarted),
                83 v1 PhaseEntered(TaskPhaseEntered),
                84 v1 TodoListUpdated(TodoListUpdated),
                85 v1 StopRequested(TaskStopRequested),
                86 v1 Interrupted(TaskInterrupted),
                87 v1 RetryScheduled(TaskRetryScheduled),
                88 v1 Completed(TaskCompleted),
                89 v1 CommandGiven(TaskCommandGiven),
                90 v1 Held(TaskHeld),
                91 v1 TurnedAway(TaskTurnedAway),
                92 v1 Parked(TaskParked),
            }
            Conversation(ConversationEvent) in conversation {
                100 v1 Created(ConversationCreated),
                101 v1 ParticipantJoined(ConversationParticipantJoined),
                102 v1 ThreadLinked(ThreadLinked),
                103 v1 WorkspaceCloned(WorkspaceCloned),
                104 v1 WorkspaceCloneFailed(WorkspaceCloneFailed),
                105 v1 PromptComposed(PromptComposed),
                106 v1 SessionAbandoned(SessionAbandoned),
                107 v1 ReplyRecorded(ReplyRecorded),
                108 v1 ForgetRequested(ConversationForgetRequested),
                109 v1 Forgotten(ConversationForgotten),
                110 v1 ParticipantInvited(ConversationParticipantInvited),
                111 v1 ModelChosen(ConversationModelChosen),
            }
            Run(RunEvent) in run {
                120 v1 Planned(RunPlanned),
                121 v1 ImageBuildStarted(ImageBuildStarted),
                122 v1 ImageBuilt(ImageBuilt),
                123 v1 ImageBuildFailed(ImageBuildFailed),
                124 v1 AgentEventObserved(AgentEventObserved),
                125 v1 AgentErrorOutput(AgentErrorOutput),
                126 v1 OutcomeClassified(RunOutcomeClassified),
                127 v1 PolicyInForce(PolicyInForce),
                128 v1 CutOff(RunCutOff),
            }
            Schedule(ScheduleEvent) in schedule {
                130 v1 InForce(ScheduleInForce),
                131 v1 Withdrawn(ScheduleWithdrawn),
                132 v1 Fired(ScheduleFired),
                133 v1 SlotsMissed(ScheduleSlotsMissed),
                134 v1 CommandEnded(ScheduleCommandEnded),
                135 v1 CameToNothing(ScheduleCameToNothing),
            }
            Container(ContainerEvent) in container {
                140 v1 NetworkCreated(NetworkCreated),
                141 v1 NetworkRemoved(NetworkRemoved),
                142 v1 Created(ContainerCreated),
                143 v1 Started(ContainerStarted),
                144 v1 ProxyReady(ProxyReady),
                145 v1 ProxyFailed(ProxyFailed),
                146 v1 PromptWritten(PromptWritten),
                147 v1 StopSignalSent(StopSignalSent),
                148 v1 Exited(ContainerExited),
                149 v1 Removed(ContainerRemoved),
                150 v1 OrphanRemoved(OrphanRemoved),
                151 v1 OrphanRemovalFailed(OrphanRemovalFailed),
                171 v1 RunFrozen(RunFrozen),
                172 v1 FrozenRunReleased(FrozenRunReleased),
                173 v1 FrozenRunReleaseRequested(FrozenRunReleaseRequested),
            }
            Proxy(ProxyEvent) in proxy {
                160 v1 DnsQueryAnswered(DnsQueryAnswered),
                161 v1 RequestAllowed(RequestAllowed),
                162 v1 RequestBlocked(RequestBlocked),
                163 v1 ConnectionRefused(ConnectionRefused),
                164 v1 UpstreamFailed(UpstreamFailed),
                165 v1 ResponseCompleted(ResponseCompleted),
                166 v1 DnsQueriesSuppressed(DnsQueriesSuppressed),
                167 v1 DecisionLimitReached(DecisionLimitReached),
                168 v1 RequestInspected(RequestInspected),
                169 v1 SignatureRefused(SignatureRefused),
                170 v1 HoneySurrogateSeen(HoneySurrogateSeen),
                175 v1 RelaxedAuditInForce(RelaxedAuditInForce),
            }
            Delivery(DeliveryEvent) in delivery {
                180 v1 Requested(DeliveryRequested),
                181 v1 Attempted(DeliveryAttempted),
                182 v1 Succeeded(DeliverySucceeded),
                183 v1 Failed(DeliveryFailed),
                184 v1 OutcomeUnknown(DeliveryOutcomeUnknown),
                185 v1 NotFound(DeliveryNotFound),
                186 v1 Abandoned(DeliveryAbandoned),
                190 v1 CheckpointSent(CheckpointSent),
            }
        }
    };
}
pub(in crate::events) use catalogue;

/// Defines the family enums, [`Event`], and what can be said of a kind without its bytes.
macro_rules! define_events {
    ($($family:ident($family_event:ident) in $module:ident {
        $($kind:literal $version:ident $variant:ident($payload:ident),)*
    })*) => {
        $(
            #[doc = concat!("The events of the `", stringify!($module), "` family.")]
            #[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
            #[serde(untagged)]
            pub enum $family_event {
                $(
                    #[doc = concat!("See [`", stringify!($module), "::", stringify!($payload), "`].")]
                    $variant($module::$payload),
                )*
            }

            impl From<$family_event> for Event {
                fn from(event: $family_event) -> Self {
                    Self::$family(event)
                }
            }

            $(
                impl From<$module::$payload> for Event {
                    fn from(payload: $module::$payload) -> Self {
                        Self::$family($family_event::$variant(payload))
                    }
                }
            )*
        )*

        /// Something that happened.
        #[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
        #[serde(untagged)]
        pub enum Event {
            $(
                #[doc = concat!("An event of the `", stringify!($module), "` family.")]
                $family($family_event),
            )*
        }

        impl Event {
            /// Returns the name of this event's kind, for example `MessageReceived`.
            pub fn name(&self) -> &'static str {
                match self {
                    $($(Self::$family($family_event::$variant(_)) => stringify!($payload),)*)*
                }
            }

            /// Returns the number of this event's kind.
            pub fn kind(&self) -> u16 {
                match self {
                    $($(Self::$family($family_event::$variant(_)) => $kind,)*)*
                }
            }

            /// Returns every kind: number, name, and the name of its family's module.
            pub fn kinds() -> &'static [(u16, &'static str, &'static str)] {
                &[$($(($kind, stringify!($payload), stringify!($module)),)*)*]
            }
        }
    };
}
catalogue!(define_events);

/// An event with its place in the log and the circumstances of its recording.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Recorded {
    /// Its place in the log.
    pub position: Position,
    /// Its stream.
    pub stream: StreamId,
    /// Its place in the stream, from 1.
    pub stream_version: StreamVersion,
    /// When it was recorded, by the clock of the machine.
    pub at: AtMs,
    /// Who caused it.
    pub actor: Actor,
    /// The event that led to it.
    pub causation: Option<Position>,
    /// What belongs together: a conversation's id, or empty.
    pub correlation: String,
    /// What happened.
    pub event: Event,
}
