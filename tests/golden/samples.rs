//! A sample of every kind of event. A sample of a released version never changes.

use airut::events::Event;
use airut::events::channel::{
    ChannelCaughtUp, ChannelConnected, ChannelDegraded, ChannelMailPassedOver, ChannelStopped,
    SlackThreadGreeted,
};
use airut::events::container::{
    ContainerCreated, ContainerExited, ContainerRemoved, ContainerRole, ContainerStarted,
    FrozenRunReleaseRequested, FrozenRunReleased, FrozenState, NetworkCreated, NetworkRemoved,
    OrphanKind, OrphanRemovalFailed, OrphanRemoved, PromptWritten, ProxyFailed, ProxyReady,
    ReleaseCause, RunFrozen, StopCause, StopSignalSent,
};
use airut::events::conversation::{
    ConversationCreated, ConversationForgetRequested, ConversationForgotten,
    ConversationModelChosen, ConversationParticipantInvited, ConversationParticipantJoined,
    ForgetReason, PromptComposed, ReplyRecorded, SessionAbandoned, ThreadLinked, TokenUsage,
    WorkspaceCloneFailed, WorkspaceCloned,
};
use airut::events::delivery::{
    CheckpointSent, DeliveryAbandoned, DeliveryAttempted, DeliveryFailed, DeliveryKind,
    DeliveryNotFound, DeliveryOutcomeUnknown, DeliveryRequested, DeliverySucceeded, DeliveryTarget,
};
use airut::events::id::{
    AtMs, BlobRef, ChannelKind, ConversationId, CredentialName, DeliveryId, InboundId, Position,
    RepoId, RequestId, RunId, SessionId, Sha256, StoredFile, TaskId,
};
use airut::events::message::{
    AuthenticationMethod, ConversationJoinRefused, HintSource, MessageDuplicateIgnored,
    MessageParsed, MessageReceived, MessageRejected, MessageRouted, MessageSource,
    MessageSourceAcknowledged, RejectionReason, ReplyAddress, SenderAuthorized,
};
use airut::events::proxy::{
    BlockCause, ConnectionRefused, CredentialUse, DecisionLimitReached, DnsQueriesSuppressed,
    DnsQueryAnswered, HoneySurrogateSeen, RelaxedAuditInForce, RequestAllowed, RequestBlocked,
    RequestInspected, RequestLine, ResponseCompleted, SignatureRefused, UpstreamFailed,
};
use airut::events::repository::{MirrorFetchFailed, MirrorFetched};
use airut::events::run::{
    AgentErrorOutput, AgentEventObserved, CredentialGrant, CredentialScope, FileChange,
    ImageBuildFailed, ImageBuildStarted, ImageBuilt, LineBody, Mount, PolicyInForce, RunCutOff,
    RunLimits, RunOutcome, RunOutcomeClassified, RunPlanned,
};
use airut::events::schedule::{
    MissedCause, ScheduleCameToNothing, ScheduleCommandEnded, ScheduleFired, ScheduleInForce,
    ScheduleSlotsMissed, ScheduleWithdrawn, ScheduledWork,
};
use airut::events::service::{
    BackupFailed, BackupTaken, BootCompleted, ClockWentBack, ConfigLoaded, DrainStarted,
    FailedRepo, LogKeyRotated, PentestCompleted, RestoreDrillCompleted, ServiceStarted,
    ServiceStopped, StorageLow, StorageRecovered,
};
use airut::events::task::{
    CompletionReason, InterruptionDecision, TaskCoalesced, TaskCommandGiven, TaskCompleted,
    TaskHeld, TaskInterrupted, TaskParked, TaskPhase, TaskPhaseEntered, TaskQueued,
    TaskRetryScheduled, TaskStarted, TaskStopRequested, TaskTurnedAway, TodoItem, TodoListUpdated,
    TodoStatus,
};

const CONVERSATION: ConversationId = ConversationId(0x0bad_cafe);
const DELIVERY: DeliveryId = DeliveryId(0x1122_3344_5566_7788);
const INBOUND: InboundId = InboundId([7; 16]);
const TASK: TaskId = TaskId(0x0012_3456_789a_bcde & 0xffff_ffff_ffff);
const RUN: RunId = RunId {
    task: TASK,
    attempt: 2,
};

fn text(words: &str) -> String {
    words.to_owned()
}

fn repo() -> RepoId {
    RepoId(text("ferry"))
}

fn blob() -> BlobRef {
    BlobRef {
        sha256: Sha256([9; 32]),
        bytes: 1234,
        media_type: text("text/markdown"),
    }
}

fn file() -> StoredFile {
    StoredFile {
        name: text("report.pdf"),
        blob: blob(),
    }
}

fn session() -> SessionId {
    SessionId(text("0f758c9c-7635-4ca2-b18c-3013f7a366f5"))
}

fn usage() -> TokenUsage {
    TokenUsage {
        input: 10,
        output: 20,
        cache_creation: 30,
        cache_read: 40,
        web_searches: 5,
        web_fetches: 6,
    }
}

fn line() -> RequestLine {
    RequestLine {
        method: text("POST"),
        scheme: text("https"),
        host: text("api.anthropic.com"),
        port: 443,
        path: text("/v1/messages"),
        query_sha256: Some(Sha256([4; 32])),
        http_version: text("HTTP/2"),
    }
}

fn mailbox() -> MessageSource {
    MessageSource::Mailbox {
        folder: text("INBOX"),
        uid_validity: 17,
        uid: 4711,
    }
}

/// Returns a sample of every kind, in the order of the catalogue.
pub(crate) fn samples() -> Vec<Event> {
    [
        service(),
        pentests(),
        channels(),
        messages(),
        tasks(),
        waiting_tasks(),
        conversations(),
        people(),
        forgetting(),
        runs(),
        schedules(),
        storage(),
        containers(),
        frozen(),
        proxy(),
        proxy_notes(),
        deliveries(),
    ]
    .concat()
}

fn storage() -> Vec<Event> {
    let directory = || text("/home/airut/.local/state/airut");
    vec![
        StorageLow {
            directory: directory(),
            free_bytes: 900_000_000,
            limit_bytes: 1_073_741_824,
        }
        .into(),
        StorageRecovered {
            directory: directory(),
            free_bytes: 2_000_000_000,
        }
        .into(),
    ]
}

fn schedules() -> Vec<Event> {
    let name = || text("leak-watch");
    vec![
        ScheduleInForce {
            repo: repo(),
            name: name(),
            cron: text("*/20 * * * *"),
            zone: text("Europe/Oslo"),
            from: AtMs(1_790_000_000_000),
        }
        .into(),
        ScheduleWithdrawn {
            repo: repo(),
            name: name(),
        }
        .into(),
        ScheduleFired {
            repo: repo(),
            name: name(),
            slot: AtMs(1_790_000_400_000),
            late_ms: 3,
            inbound: INBOUND,
            task: TASK,
            conversation: CONVERSATION,
            work: ScheduledWork::Command {
                argv: vec![text("ops/leak-watch"), text("--since"), text("20m")],
                timeout_ms: Some(90_000),
                output_bytes_max: 32_768,
            },
            to: text("crew@crew.harbor.test"),
        }
        .into(),
        ScheduleSlotsMissed {
            repo: repo(),
            name: name(),
            first: AtMs(1_790_001_600_000),
            last: AtMs(1_790_004_000_000),
            count: 3,
            cause: MissedCause::Overlap,
        }
        .into(),
        ScheduleCommandEnded {
            task: TASK,
            conversation: CONVERSATION,
            run: RUN,
            exit_code: 3,
            timed_out: false,
            out_of_memory: false,
            too_much_output: false,
            output: blob(),
            output_bytes: 4321,
            errors: blob(),
        }
        .into(),
        ScheduleCameToNothing {
            repo: repo(),
            name: name(),
            slot: AtMs(1_790_000_400_000),
            task: TASK,
        }
        .into(),
    ]
}

fn service() -> Vec<Event> {
    let failed = vec![FailedRepo {
        repo: text("punt"),
        error: text("no such file"),
    }];
    vec![
        ServiceStarted {
            version: text("0.1.0"),
            pid: 42,
            host: text("herald"),
            previous_stop_clean: false,
        }
        .into(),
        ConfigLoaded {
            sha256: Some(Sha256([1; 32])),
            generation: 1,
            repos: vec![text("ferry")],
        }
        .into(),
        BootCompleted {
            live: vec![text("ferry")],
            failed,
            duration_ms: 120,
        }
        .into(),
        DrainStarted {
            cause: text("SIGTERM"),
            executing: 1,
            waiting: 2,
        }
        .into(),
        ServiceStopped {
            drain_ms: 900,
            unfinished: 1,
        }
        .into(),
        LogKeyRotated {
            old_key: text("airut-log/0123456789abcdef+00000001+AQID"),
            new_key: text("airut-log/0123456789abcdef+00000002+AQMC"),
            signature: text("0f1e2d"),
        }
        .into(),
        RestoreDrillCompleted {
            events: 1200,
            root: Some(Sha256([7; 32])),
            ok: true,
            detail: text("/backup/airut"),
        }
        .into(),
        BackupTaken {
            directory: text("/backup/airut"),
            events: 1200,
            root: Sha256([7; 32]),
            new_bytes: 65_536,
            lacking: 1,
        }
        .into(),
        BackupFailed {
            directory: text("/backup/airut"),
            error: text("No space left on device (os error 28)"),
        }
        .into(),
        ClockWentBack {
            by_ms: 3_600_000,
            machine: AtMs(1_795_442_646_000),
        }
        .into(),
    ]
}

fn pentests() -> Vec<Event> {
    let completed = PentestCompleted {
        passed: 310,
        failed: 0,
        not_run: 14,
        denied_queries: 0,
        report: blob(),
        signature: text("0f1e2d"),
    };
    vec![completed.into()]
}

fn channels() -> Vec<Event> {
    let channel = ChannelKind::Email;
    vec![
        ChannelConnected {
            repo: repo(),
            channel,
            endpoint: text("mail.test:993"),
            mode: text("idle"),
        }
        .into(),
        ChannelDegraded {
            repo: repo(),
            channel,
            error: text("reset"),
            failures: 3,
            retry_at: AtMs(99),
        }
        .into(),
        ChannelMailPassedOver {
            repo: repo(),
            channel,
            source: MessageSource::Mailbox {
                folder: text("INBOX"),
                uid_validity: 7,
                uid: 9,
            },
            error: text("no response"),
            failures: 3,
            retry_at: AtMs(99),
        }
        .into(),
        ChannelStopped {
            repo: repo(),
            channel,
        }
        .into(),
        ChannelCaughtUp {
            repo: repo(),
            channel: ChannelKind::Slack,
            since: AtMs(90),
            until: AtMs(99),
            found: 2,
            beyond: vec![text("C0PIER001")],
        }
        .into(),
        SlackThreadGreeted {
            repo: repo(),
            channel: text("D0ALICE01"),
            thread: text("1795442646.000200"),
        }
        .into(),
        MirrorFetched {
            repo: repo(),
            branch: text("main"),
            commit: text("c0ffee"),
            created: true,
            duration_ms: 8,
        }
        .into(),
        MirrorFetchFailed {
            repo: repo(),
            error: text("could not resolve host"),
        }
        .into(),
    ]
}

fn messages() -> Vec<Event> {
    vec![
        MessageReceived {
            inbound: INBOUND,
            repo: repo(),
            channel: ChannelKind::Email,
            source: mailbox(),
            dedupe_key: text("mail:bot@mail.test:<1@x>#ab"),
            raw: blob(),
            claimed_sender: text("Alice <alice@example.test>"),
            title: text("Please"),
        }
        .into(),
        MessageDuplicateIgnored {
            inbound: INBOUND,
            first: Position(3),
            source: MessageSource::Slack {
                event_id: text("Ev0PV52K21"),
                channel: text("C0PIER001"),
                ts: text("1795442646.000200"),
                thread: text("1795442646.000200"),
            },
        }
        .into(),
        MessageSourceAcknowledged { inbound: INBOUND }.into(),
        SenderAuthorized {
            inbound: INBOUND,
            method: AuthenticationMethod::Dmarc,
            identity: text("alice@example.test"),
            evidence: text("mail.example.test; dmarc=pass"),
            rule: text("*@example.test"),
        }
        .into(),
        MessageRejected {
            inbound: INBOUND,
            reason: RejectionReason::NotAuthorized,
            detail: text("no rule permits mallory@elsewhere.test"),
            claimed_sender: text("mallory@elsewhere.test"),
        }
        .into(),
        MessageParsed {
            inbound: INBOUND,
            body: blob(),
            subject: text("Please"),
            conversation_hint: Some(CONVERSATION),
            hint_source: Some(HintSource::InReplyTo),
            model_hint: Some(text("haiku")),
            attachments: vec![file()],
            reply_to: ReplyAddress::Email {
                to: text("alice@example.test"),
                message_id: text("<1@x>"),
                references: vec![text("<0@x>")],
            },
        }
        .into(),
        MessageRouted {
            inbound: INBOUND,
            conversation: CONVERSATION,
            new: true,
            task: TASK,
        }
        .into(),
        ConversationJoinRefused {
            inbound: INBOUND,
            named: CONVERSATION,
            identity: text("bob@example.test"),
        }
        .into(),
    ]
}

fn tasks() -> Vec<Event> {
    let todo = TodoItem {
        content: text("Write the file"),
        active_form: text("Writing the file"),
        status: TodoStatus::InProgress,
    };
    vec![
        TaskQueued {
            sender_name: text("Alice"),
            task: TASK,
            inbound: INBOUND,
            repo: repo(),
            conversation: CONVERSATION,
            sender: text("alice@example.test"),
            title: text("Please"),
        }
        .into(),
        TaskCoalesced {
            task: TaskId(1),
            into: TASK,
        }
        .into(),
        TaskStarted {
            task: TASK,
            attempt: 2,
            coalesced: vec![TaskId(1)],
        }
        .into(),
        TaskPhaseEntered {
            task: TASK,
            phase: TaskPhase::Running,
        }
        .into(),
        TodoListUpdated {
            task: TASK,
            items: vec![todo],
        }
        .into(),
        TaskCommandGiven {
            task: TASK,
            command: text("/model opus"),
            by: text("alice@example.test"),
        }
        .into(),
        TaskStopRequested {
            task: TASK,
            by: text("local:root"),
        }
        .into(),
        TaskInterrupted {
            task: TASK,
            run: RUN,
            decision: InterruptionDecision::Conclude,
        }
        .into(),
        TaskRetryScheduled {
            task: TASK,
            cause: text("interrupted"),
            not_before: AtMs(1000),
        }
        .into(),
        TaskCompleted {
            task: TASK,
            reason: CompletionReason::ExecutionFailed,
            detail: text("exit 1"),
            duration_ms: 5000,
        }
        .into(),
    ]
}

fn waiting_tasks() -> Vec<Event> {
    vec![
        TaskHeld {
            task: TASK,
            reasons: vec![text("workers"), text("sender")],
            others: 3,
        }
        .into(),
        TaskTurnedAway {
            task: TASK,
            limit: text("sender"),
            waiting: 100,
        }
        .into(),
        TaskParked {
            task: TASK,
            run: RUN,
            cause: text("usage limit (five_hour)"),
            until: AtMs(1_778_565_600_000),
        }
        .into(),
    ]
}

fn conversations() -> Vec<Event> {
    let conversation = CONVERSATION;
    vec![
        ConversationCreated {
            conversation,
            repo: repo(),
            channel: ChannelKind::Local,
            owner: text("local:root"),
            model: text("opus"),
            effort: Some(text("high")),
        }
        .into(),
        ThreadLinked {
            conversation,
            channel: ChannelKind::Email,
            key: text("<1@x>"),
        }
        .into(),
        WorkspaceCloned {
            conversation,
            branch: text("main"),
            commit: text("c0ffee"),
            duration_ms: 70,
        }
        .into(),
        WorkspaceCloneFailed {
            conversation,
            error: text("no space left"),
        }
        .into(),
        PromptComposed {
            conversation,
            run: RUN,
            prompt: blob(),
            resumes: Some(session()),
        }
        .into(),
        SessionAbandoned {
            conversation,
            session: session(),
            cause: text("prompt too long"),
        }
        .into(),
        ReplyRecorded {
            conversation,
            task: TASK,
            index: 3,
            session: Some(session()),
            body: blob(),
            files: vec![file()],
            usage: usage(),
            cost_microusd: 42_300,
            turns: 4,
            duration_ms: 65_000,
            is_error: false,
        }
        .into(),
    ]
}

fn people() -> Vec<Event> {
    let conversation = CONVERSATION;
    vec![
        ConversationParticipantJoined {
            conversation,
            identity: text("bob@example.test"),
        }
        .into(),
        ConversationParticipantInvited {
            conversation,
            identity: text("bob@example.test"),
            by: text("alice@example.test"),
            inbound: INBOUND,
        }
        .into(),
        ConversationModelChosen {
            conversation,
            model: text("opus"),
            by: text("alice@example.test"),
        }
        .into(),
    ]
}

fn forgetting() -> Vec<Event> {
    let conversation = CONVERSATION;
    vec![
        ConversationForgetRequested {
            conversation,
            reason: ForgetReason::Operator,
            by: text("ada (uid 1000)"),
            last_activity: AtMs(1_795_529_046_007),
        }
        .into(),
        ConversationForgotten {
            conversation,
            keys: 2,
            bodies: 9,
            bytes_freed: 1_234_567,
        }
        .into(),
    ]
}

const LIMITS: RunLimits = RunLimits {
    timeout_ms: Some(60_000),
    memory_bytes: Some(1 << 30),
    cpu_millis: Some(1500),
    pids_max: None,
};

fn runs() -> Vec<Event> {
    let (run, limits) = (RUN, LIMITS);
    let credential = CredentialScope {
        name: CredentialName(text("ANTHROPIC_API_KEY")),
        kind: text("masked"),
        scopes: vec![text("api.anthropic.com")],
        surrogate_fingerprint: Sha256([5; 32]),
    };
    vec![
        RunPlanned {
            run,
            image: text("localhost/airut-overlay:ab"),
            argv: vec![text("-p"), text("-")],
            env_names: vec![text("ANTHROPIC_API_KEY")],
            mounts: vec![Mount {
                source: text("/s"),
                target: text("/workspace"),
                read_only: false,
            }],
            limits,
            allowlist: Some(blob()),
            allowlist_commit: text("c0ffee"),
            credentials: vec![credential],
        }
        .into(),
        ImageBuildStarted {
            run,
            tag: text("localhost/airut-repo:ab"),
        }
        .into(),
        ImageBuilt {
            run,
            tag: text("localhost/airut-repo:ab"),
            duration_ms: 4000,
        }
        .into(),
        ImageBuildFailed {
            run,
            tag: text("localhost/airut-repo:ab"),
            error: text("exit status 9"),
            log: blob(),
        }
        .into(),
        AgentEventObserved {
            run,
            index: 1,
            event_type: text("system"),
            subtype: text("init"),
            session: Some(session()),
            line: LineBody::Inline(text("{}")),
        }
        .into(),
        AgentErrorOutput {
            run,
            text: LineBody::Blob(blob()),
        }
        .into(),
        RunOutcomeClassified {
            run,
            outcome: RunOutcome::PromptTooLong,
            rule: text("terminal_reason=prompt_too_long"),
            usage: usage(),
            cost_microusd: 1,
            turns: 1,
        }
        .into(),
        cut_off(),
        policy(),
    ]
}

fn cut_off() -> Event {
    RunCutOff {
        run: RUN,
        usage: usage(),
        cost_microusd: 1500,
        turns: 2,
    }
    .into()
}

fn policy() -> Event {
    PolicyInForce {
        run: RUN,
        repo: repo(),
        allowlist: Some(blob()),
        allowlist_commit: text("c0ffee"),
        allowlist_change: Some(FileChange {
            commit: text("beef"),
            author: text("Olive <olive@example.test>"),
            committed_at: text("2026-11-20T09:00:00+00:00"),
        }),
        credentials: vec![CredentialGrant {
            name: CredentialName(text("ANTHROPIC_API_KEY")),
            kind: text("masked"),
            scopes: vec![text("api.anthropic.com")],
            headers: vec![text("x-api-key")],
            allow_foreign: false,
        }],
    }
    .into()
}

fn frozen() -> Vec<Event> {
    let run = RUN;
    vec![
        RunFrozen {
            run,
            container: text("airut-run-x"),
            state: FrozenState::Paused,
            why: text("the header authorization"),
            kept_until: AtMs(1_700_000_000_000),
        }
        .into(),
        FrozenRunReleased {
            run,
            cause: ReleaseCause::Time,
        }
        .into(),
        FrozenRunReleaseRequested {
            run,
            by: text("alice"),
        }
        .into(),
    ]
}

fn containers() -> Vec<Event> {
    let (run, role) = (RUN, ContainerRole::Agent);
    vec![
        NetworkCreated {
            run,
            name: text("airut-conv-1"),
            subnet: text("10.199.1.0/24"),
        }
        .into(),
        NetworkRemoved {
            run,
            name: text("airut-conv-1"),
        }
        .into(),
        ContainerCreated {
            run,
            role,
            name: text("airut-run-1"),
            container_id: text("abc"),
        }
        .into(),
        ContainerStarted {
            run,
            role: ContainerRole::Proxy,
        }
        .into(),
        ProxyReady { run, after_ms: 12 }.into(),
        ProxyFailed {
            run,
            error: text("no answer"),
        }
        .into(),
        PromptWritten { run, bytes: 300 }.into(),
        StopSignalSent {
            run,
            signal: text("SIGTERM"),
            cause: StopCause::Requested,
        }
        .into(),
        ContainerExited {
            run,
            role,
            exit_code: 137,
            out_of_memory: true,
            duration_ms: 10,
        }
        .into(),
        ContainerRemoved { run, role }.into(),
        OrphanRemoved {
            kind: OrphanKind::Network,
            name: text("airut-conv-1"),
            run: Some(run),
        }
        .into(),
        OrphanRemovalFailed {
            kind: OrphanKind::Container,
            name: text("x"),
            error: text("busy"),
        }
        .into(),
    ]
}

fn proxy() -> Vec<Event> {
    let (run, request) = (RUN, RequestId(5));
    let used = CredentialUse {
        credential: CredentialName(text("ANTHROPIC_API_KEY")),
        header: text("x-api-key"),
        count: 1,
    };
    vec![
        DnsQueryAnswered {
            run,
            name: text("a.test"),
            query_type: text("A"),
            answer: text("10.199.1.100"),
        }
        .into(),
        RequestAllowed {
            run,
            request,
            line: line(),
            rule: text("domains[0]"),
            credentials: vec![used],
            stripped: vec![text("authorization")],
        }
        .into(),
        RequestBlocked {
            run,
            request,
            line: line(),
            cause: BlockCause::Method,
            detail: text("only GET"),
            status: 403,
        }
        .into(),
        ConnectionRefused {
            run,
            port: 443,
            name: text(""),
            reason: text("no server name"),
        }
        .into(),
        UpstreamFailed {
            run,
            request,
            error: text("connection refused"),
            status: 502,
        }
        .into(),
        ResponseCompleted {
            run,
            request,
            status: 200,
            bytes_up: 10,
            bytes_down: 20,
            first_byte_ms: 3,
            duration_ms: 4,
            complete: true,
        }
        .into(),
    ]
}

/// What is told of a run beside its requests.
fn proxy_notes() -> Vec<Event> {
    let (run, request) = (RUN, RequestId(5));
    vec![
        DnsQueriesSuppressed { run, count: 7 }.into(),
        DecisionLimitReached {
            run,
            decisions_max: 200_000,
        }
        .into(),
        RelaxedAuditInForce {
            run,
            delay_ms_max: 50,
        }
        .into(),
        HoneySurrogateSeen {
            run,
            request: Some(request),
            line: Some(line()),
            place: text("the body"),
            bytes_up: 12,
        }
        .into(),
        RequestInspected {
            run,
            request,
            tags: vec![text("graphql-op: mutation/createIssue")],
        }
        .into(),
        SignatureRefused {
            run,
            request,
            status: 403,
            code: Some(text("SignatureDoesNotMatch")),
            credential: CredentialName(text("store")),
            algorithm: text("AWS4-HMAC-SHA256"),
            scope: text("20260101/eu-north-1/s3/aws4_request"),
            signed_headers: text("host;x-amz-date"),
            payload: text("UNSIGNED-PAYLOAD"),
            canonical_sha256: text(
                "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            ),
            skew: Some(text(
                "aws-clock-skew: signed 301 s behind this machine's clock",
            )),
        }
        .into(),
    ]
}

fn deliveries() -> Vec<Event> {
    let (delivery, attempt) = (DELIVERY, 1);
    vec![
        DeliveryRequested {
            delivery,
            kind: DeliveryKind::Reply,
            repo: repo(),
            channel: ChannelKind::Email,
            conversation: CONVERSATION,
            task: TASK,
            target: DeliveryTarget::Email {
                to: text("alice@example.test"),
                subject: text("Re: [ID:0badcafe] Please"),
                message_id: text("<airut.0badcafe.1.11223344@example.test>"),
                in_reply_to: text("<1@x>"),
                references: vec![text("<0@x>"), text("<1@x>")],
            },
            body: blob(),
            files: vec![file()],
        }
        .into(),
        DeliveryAttempted {
            delivery,
            attempt,
            labelled_duplicate: true,
        }
        .into(),
        DeliverySucceeded {
            delivery,
            attempt,
            receipt: text("250 queued"),
            reconciled: true,
        }
        .into(),
        DeliveryFailed {
            delivery,
            attempt,
            error: text("451 later"),
            retry_at: AtMs(77),
        }
        .into(),
        DeliveryOutcomeUnknown {
            delivery,
            attempt,
            detail: text("lost after DATA"),
        }
        .into(),
        DeliveryNotFound {
            delivery,
            attempt,
            searched: text("INBOX, Sent"),
        }
        .into(),
        DeliveryAbandoned {
            delivery,
            error: text("550 no such user"),
        }
        .into(),
        CheckpointSent {
            delivery,
            attempt: 1,
            checkpoint: text("airut-log/0123456789abcdef 1200 cm9vdA== c2ln"),
        }
        .into(),
    ]
}
