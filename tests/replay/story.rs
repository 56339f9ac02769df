//! A log on disk: one message, one run with its decisions, one answer, an event each second.

use std::path::Path;
use std::sync::Arc;

use airut::events::Event;
use airut::events::blobs::Blobs;
use airut::events::conversation::{ConversationCreated, PromptComposed, ReplyRecorded, TokenUsage};
use airut::events::delivery::{
    DeliveryAttempted, DeliveryKind, DeliveryRequested, DeliverySucceeded, DeliveryTarget,
};
use airut::events::id::{
    Actor, AtMs, BlobRef, ChannelKind, ConversationId, CredentialName, DeliveryId, InboundId,
    RepoId, RequestId, RunId, Sha256, StreamId, TaskId,
};
use airut::events::keys::KeyRing;
use airut::events::log::sled::SledStore;
use airut::events::log::{Append, Context, Log};
use airut::events::message::{
    AuthenticationMethod, MessageParsed, MessageReceived, MessageRouted, MessageSource,
    ReplyAddress, SenderAuthorized,
};
use airut::events::proxy::{
    BlockCause, CredentialUse, DnsQueryAnswered, RequestAllowed, RequestBlocked, RequestLine,
    ResponseCompleted,
};
use airut::events::run::{
    AgentEventObserved, CredentialGrant, FileChange, LineBody, PolicyInForce, RunLimits,
    RunOutcome, RunOutcomeClassified, RunPlanned,
};
use airut::events::seal::Owner;
use airut::events::service::{ConfigLoaded, ServiceStarted};
use airut::events::task::{CompletionReason, TaskCompleted, TaskQueued, TaskStarted};

/// 2026-11-24T14:02:50Z: when the first event was recorded.
const BEGIN: AtMs = AtMs(1_795_528_970_000);

const CONVERSATION: ConversationId = ConversationId(0x1f2e_3d4c);

const ALLOWLIST: &str = "domains: []\nurl_prefixes:\n  - host: api.anthropic.com\n    path: /v1*\n";

fn inbound() -> InboundId {
    InboundId::from_dedupe_key("m1")
}

fn task_id() -> TaskId {
    inbound().task()
}

fn run() -> RunId {
    task_id().run(1)
}

fn repo() -> RepoId {
    RepoId(text("work"))
}

fn text(words: &str) -> String {
    words.to_owned()
}

/// The task's id.
pub(crate) fn task() -> String {
    task_id().to_string()
}

/// The conversation's id.
pub(crate) fn conversation() -> String {
    CONVERSATION.to_string()
}

/// How many events there are.
pub(crate) fn end() -> u64 {
    27
}

/// Writes the log and its bodies below a state directory.
pub(crate) fn write(state: &Path) {
    // Keys that are always the same, since digests of sealed bodies are shown.
    let keys = KeyRing::of_seed(&state.join("keys"), 7);
    for owner in [Owner::Service, Owner::Task(task_id())] {
        drop(keys.get_or_make(owner).unwrap());
    }
    let blobs = Blobs::open(&state.join("blobs")).unwrap();
    let put = |words: &str| {
        blobs
            .put(Owner::Task(task_id()), words.as_bytes(), "text/markdown")
            .unwrap()
    };
    let mut events = arrival(put("Why is it slow?\nPlease look."));
    events.extend(plan(put("the prompt"), put(ALLOWLIST)));
    events.extend(work());
    events.extend(answer(put("It was the cache.\n\nFixed.")));
    assert_eq!(events.len() as u64, end());
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(append(state, events));
}

async fn append(state: &Path, events: Vec<(StreamId, Event)>) {
    let store = SledStore::open(&state.join("log")).unwrap();
    let log = Log::open(Arc::new(store)).unwrap();
    for ((stream, event), second) in events.into_iter().zip(0..) {
        let context = Context {
            at: AtMs(BEGIN.0 + second * 1000),
            actor: Actor::System,
            causation: None,
            correlation: text("1f2e3d4c"),
        };
        log.append(Append::to(&stream, vec![event], context))
            .await
            .unwrap();
    }
    log.close().await;
}

fn arrival(body: BlobRef) -> Vec<(StreamId, Event)> {
    let started = ServiceStarted {
        version: text("0.1.0"),
        pid: 4711,
        host: text("ferry"),
        previous_stop_clean: true,
    };
    let loaded = ConfigLoaded {
        sha256: Some(Sha256([3; 32])),
        generation: 1,
        repos: vec![text("work")],
    };
    let service = [started.into(), loaded.into()].map(|event| (StreamId::service(), event));
    let of_message = message(body).map(|event| (StreamId::inbound(inbound()), event));
    let created = ConversationCreated {
        conversation: CONVERSATION,
        repo: repo(),
        channel: ChannelKind::Email,
        owner: text("alice@example.test"),
        model: text("opus"),
        effort: None,
    };
    let queued = TaskQueued {
        sender_name: String::new(),
        task: task_id(),
        inbound: inbound(),
        repo: repo(),
        conversation: CONVERSATION,
        sender: text("alice@example.test"),
        title: text("Why is it slow?"),
    };
    let started = TaskStarted {
        task: task_id(),
        attempt: 1,
        coalesced: vec![],
    };
    let rest = [
        (StreamId::conversation(CONVERSATION), created.into()),
        (StreamId::task(task_id()), queued.into()),
        (StreamId::task(task_id()), started.into()),
    ];
    service.into_iter().chain(of_message).chain(rest).collect()
}

fn message(body: BlobRef) -> [Event; 4] {
    let received = MessageReceived {
        inbound: inbound(),
        repo: repo(),
        channel: ChannelKind::Email,
        source: MessageSource::Socket,
        dedupe_key: text("m1"),
        raw: body.clone(),
        claimed_sender: text("alice@example.test"),
        title: text("Why is it slow?"),
    };
    let authorized = SenderAuthorized {
        inbound: inbound(),
        method: AuthenticationMethod::Dmarc,
        identity: text("alice@example.test"),
        evidence: text("mx.example.test"),
        rule: text("*@example.test"),
    };
    let parsed = MessageParsed {
        inbound: inbound(),
        body,
        subject: text("Why is it slow?"),
        conversation_hint: None,
        hint_source: None,
        model_hint: None,
        attachments: vec![],
        reply_to: ReplyAddress::Local,
    };
    let routed = MessageRouted {
        inbound: inbound(),
        conversation: CONVERSATION,
        new: true,
        task: task_id(),
    };
    [
        received.into(),
        authorized.into(),
        parsed.into(),
        routed.into(),
    ]
}

fn plan(prompt: BlobRef, allowlist: BlobRef) -> Vec<(StreamId, Event)> {
    let composed = PromptComposed {
        conversation: CONVERSATION,
        run: run(),
        prompt,
        resumes: None,
    };
    let planned = RunPlanned {
        run: run(),
        image: text("localhost/airut-overlay:ab"),
        argv: vec![text("-p")],
        env_names: vec![text("ANTHROPIC_API_KEY")],
        mounts: vec![],
        limits: RunLimits::default(),
        allowlist: Some(allowlist.clone()),
        allowlist_commit: text("c0ffee"),
        credentials: vec![],
    };
    let policy = PolicyInForce {
        run: run(),
        repo: repo(),
        allowlist: Some(allowlist),
        allowlist_commit: text("c0ffee"),
        allowlist_change: Some(FileChange {
            commit: text("beef"),
            author: text("Olive <olive@example.test>"),
            committed_at: text("2026-11-20T09:00:00+00:00"),
        }),
        credentials: vec![
            CredentialGrant {
                name: CredentialName(text("ANTHROPIC_API_KEY")),
                kind: text("masked"),
                scopes: vec![text("api.anthropic.com")],
                headers: vec![text("x-api-key")],
                allow_foreign: false,
            },
            CredentialGrant {
                name: CredentialName(text("DEPLOY_TOKEN")),
                kind: text("plain"),
                scopes: vec![],
                headers: vec![],
                allow_foreign: false,
            },
        ],
    };
    vec![
        (StreamId::conversation(CONVERSATION), composed.into()),
        (StreamId::run(run()), planned.into()),
        (StreamId::run(run()), policy.into()),
    ]
}

fn line(index: u32, event_type: &str, line: &str) -> (StreamId, Event) {
    let observed = AgentEventObserved {
        run: run(),
        index,
        event_type: text(event_type),
        subtype: String::new(),
        session: None,
        line: LineBody::Inline(text(line)),
    };
    (StreamId::run(run()), observed.into())
}

fn asked_for(method: &str, host: &str, path: &str) -> RequestLine {
    RequestLine {
        method: text(method),
        scheme: text("https"),
        host: text(host),
        port: 443,
        path: text(path),
        query_sha256: None,
        http_version: text("HTTP/2"),
    }
}

fn decided(event: impl Into<Event>) -> (StreamId, Event) {
    (StreamId::proxy(run()), event.into())
}

fn work() -> Vec<(StreamId, Event)> {
    let name = DnsQueryAnswered {
        run: run(),
        name: text("api.anthropic.com"),
        query_type: text("A"),
        answer: text("10.199.1.2"),
    };
    let allowed = RequestAllowed {
        run: run(),
        request: RequestId(1),
        line: asked_for("POST", "api.anthropic.com", "/v1/messages"),
        rule: text("url_prefixes[0]"),
        credentials: vec![CredentialUse {
            credential: CredentialName(text("ANTHROPIC_API_KEY")),
            header: text("x-api-key"),
            count: 1,
        }],
        stripped: vec![],
    };
    let blocked = RequestBlocked {
        run: run(),
        request: RequestId(2),
        line: asked_for("GET", "evil.test", "/"),
        cause: BlockCause::Host,
        detail: text("no rule names evil.test"),
        status: 403,
    };
    let completed = ResponseCompleted {
        run: run(),
        request: RequestId(1),
        status: 200,
        bytes_up: 120,
        bytes_down: 3400,
        first_byte_ms: 10,
        duration_ms: 900,
        complete: true,
    };
    let says = r#"{"type":"assistant","message":{"content":[{"type":"text","text":"I look."},{"type":"tool_use","name":"Bash","input":{"command":"curl https://evil.test/"}}]}}"#;
    let ends = r#"{"type":"result","subtype":"success","num_turns":2}"#;
    vec![
        line(
            1,
            "system",
            r#"{"type":"system","subtype":"init","model":"opus","session_id":"s1"}"#,
        ),
        decided(name),
        decided(allowed),
        line(2, "assistant", says),
        decided(blocked),
        line(
            3,
            "user",
            r#"{"type":"user","message":{"content":[{"type":"tool_result","content":"403"}]}}"#,
        ),
        line(4, "stream_event", r#"{"type":"stream_event"}"#),
        decided(completed),
        line(5, "result", ends),
    ]
}

fn answer(body: BlobRef) -> Vec<(StreamId, Event)> {
    let usage = TokenUsage {
        input: 10,
        output: 20,
        ..TokenUsage::default()
    };
    let judged = RunOutcomeClassified {
        run: run(),
        outcome: RunOutcome::Success,
        rule: text("result"),
        usage,
        cost_microusd: 1200,
        turns: 2,
    };
    let reply = ReplyRecorded {
        conversation: CONVERSATION,
        task: task_id(),
        index: 1,
        session: None,
        body: body.clone(),
        files: vec![],
        usage,
        cost_microusd: 1200,
        turns: 2,
        duration_ms: 5000,
        is_error: false,
    };
    let delivery = DeliveryId::derive(task_id(), "reply", 1);
    let to_send = DeliveryRequested {
        delivery,
        kind: DeliveryKind::Reply,
        repo: repo(),
        channel: ChannelKind::Email,
        conversation: CONVERSATION,
        task: task_id(),
        target: DeliveryTarget::Local,
        body,
        files: vec![],
    };
    let over = TaskCompleted {
        task: task_id(),
        reason: CompletionReason::Success,
        detail: String::new(),
        duration_ms: 20_000,
    };
    let attempted = DeliveryAttempted {
        delivery,
        attempt: 1,
        labelled_duplicate: false,
    };
    let sent = DeliverySucceeded {
        delivery,
        attempt: 1,
        receipt: text("250 2.0.0 Ok: queued as 4Z"),
        reconciled: false,
    };
    vec![
        (StreamId::run(run()), judged.into()),
        (StreamId::conversation(CONVERSATION), reply.into()),
        (StreamId::delivery(delivery), to_send.into()),
        (StreamId::task(task_id()), over.into()),
        (StreamId::delivery(delivery), attempted.into()),
        (StreamId::delivery(delivery), sent.into()),
    ]
}
