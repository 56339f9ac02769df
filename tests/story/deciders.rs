//! Decisions by themselves: given what is true, this is decided, and that is refused. What is given
//! goes through the real projections.

use airut::config::types::QueueLimits;
use airut::events::conversation::{ConversationCreated, PromptComposed, WorkspaceCloned};
use airut::events::delivery::{
    DeliveryAttempted, DeliveryFailed, DeliveryKind, DeliveryNotFound, DeliveryOutcomeUnknown,
    DeliveryRequested, DeliveryTarget,
};
use airut::events::event::{DeliveryEvent, TaskEvent};
use airut::events::id::{
    Actor, AtMs, BlobRef, ChannelKind, ConversationId, DeliveryId, InboundId, Position, RepoId,
    SessionId, Sha256, StreamId, StreamVersion, TaskId,
};
use airut::events::message::{
    MessageParsed, MessageReceived, MessageRevised, MessageRouted, MessageSource, ReplyAddress,
};
use airut::events::run::AgentEventObserved;
use airut::events::run::LineBody;
use airut::events::service::ServiceStarted;
use airut::events::task::{
    CompletionReason, InterruptionDecision, TaskCoalesced, TaskCompleted, TaskInterrupted,
    TaskQueued, TaskRevised, TaskStarted, TaskStopRequested,
};
use airut::events::{Event, Recorded};
use airut::handlers::channels::{SendOutcome, Trace};
use airut::handlers::effect::{Effect, Start, Subject};
use airut::handlers::operator::{StopRefusal, StopTarget, decide_stop};
use airut::handlers::react::{Airborne, BUNDLE_MESSAGES_MAX, TRIAGES_MAX, react};
use airut::handlers::replies::decide::{
    DELIVERY_AGE_MAX_MS, RETRY_FIRST_MS, RETRY_MAX_MS, SEARCH_AGE_MAX_MS, WAIT_MAX_MS,
    decide_after_search, decide_after_sending, decide_before_sending, due_at,
};
use airut::handlers::setback::{
    Failure, PAUSE_MAX_MS, TASK_RETRIES_MAX, TRIAGE_FAILURES_MAX, decide_retry, pause_ms,
    react_to_failure,
};
use airut::handlers::tasks::interrupt::{INTERRUPTIONS_MAX, decide_interruption};
use airut::handlers::turns::Capacity;
use airut::projections::Projection as _;
use airut::projections::outbox::Outgoing;
use airut::projections::state::State;

const NOW: AtMs = AtMs(1_000_000);
const ALL: Capacity = Capacity {
    tasks_max: 2,
    queue: QueueLimits {
        per_repo_max: None,
        per_sender_max: None,
        waiting_max: 100,
        waiting_per_sender_max: 100,
    },
    begins: true,
};

/// What was, as a story tells it.
struct Given {
    state: State,
    position: u64,
}

fn given(events: Vec<Event>) -> Given {
    let given = Given {
        state: State::default(),
        position: 0,
    };
    given.and(events)
}

impl Given {
    fn and(mut self, events: Vec<Event>) -> Self {
        for event in events {
            self.position += 1;
            self.state.apply(&Recorded {
                position: Position(self.position),
                stream: StreamId::service(),
                stream_version: StreamVersion(self.position),
                at: AtMs(self.position * 1000),
                actor: Actor::System,
                causation: None,
                correlation: String::new(),
                event,
            });
        }
        self
    }

    #[track_caller]
    fn then_effects(&self, capacity: Capacity, expected: &[&str]) -> &Self {
        let effects = react(&self.state, NOW, capacity, &Airborne::default());
        let told: Vec<String> = effects.iter().map(tell).collect();
        assert_eq!(told, expected);
        self
    }
}

/// Tells an effect in a few words.
fn tell(effect: &Effect) -> String {
    match effect {
        Effect::Triage(_) => "triage".to_owned(),
        Effect::Hold(holding) => format!("tell {} that it waits", holding.task.title),
        Effect::Begin(beginning) => {
            let others = beginning.coalesced.iter().map(|other| other.title.clone());
            let titles: Vec<String> = std::iter::once(beginning.task.title.clone())
                .chain(others)
                .collect();
            format!("begin {}", titles.join("+"))
        }
        Effect::Execute(assignment) => {
            let how = match assignment.start {
                Start::Run => "run",
                Start::Conclude => "conclude",
                Start::GiveUp => "give up",
                Start::Stopped => "answer stopped",
            };
            format!("{how} {}", assignment.task.title)
        }
        Effect::Interrupt(task) => format!("interrupt {}", task.title),
        Effect::Revise(task) => format!("revise {}", task.title),
        Effect::Deliver(outgoing) if outgoing.maybe_sent => "deliver labelled".to_owned(),
        Effect::Deliver(_) => "deliver".to_owned(),
        Effect::ForgetAttempt(_) => "forget".to_owned(),
        Effect::Reconcile(_) => "reconcile".to_owned(),
        Effect::Reject(_) => "reject".to_owned(),
        Effect::Retry(task, _) => format!("retry {}", task.title),
        Effect::GiveUp(assignment, _) => format!("answer failed {}", assignment.task.title),
        Effect::Abandon(..) => "abandon".to_owned(),
        Effect::Forget(_) => "erase".to_owned(),
        Effect::Release(_) => "release".to_owned(),
    }
}

fn blob() -> BlobRef {
    BlobRef {
        sha256: Sha256::of(b""),
        bytes: 0,
        media_type: "text/markdown".to_owned(),
    }
}

fn task(title: &str) -> TaskId {
    InboundId::from_dedupe_key(title).task()
}

fn conversation(id: u32) -> Event {
    ConversationCreated {
        conversation: ConversationId(id),
        repo: RepoId("r".to_owned()),
        channel: ChannelKind::Local,
        owner: "alice".to_owned(),
        model: "opus".to_owned(),
        effort: None,
    }
    .into()
}

fn queued(title: &str, conversation: u32) -> Vec<Event> {
    let inbound = InboundId::from_dedupe_key(title);
    let parsed = MessageParsed {
        inbound,
        body: blob(),
        subject: title.to_owned(),
        conversation_hint: None,
        hint_source: None,
        model_hint: None,
        attachments: vec![],
        reply_to: ReplyAddress::Local,
    };
    let queued = TaskQueued {
        sender_name: String::new(),
        task: inbound.task(),
        inbound,
        repo: RepoId("r".to_owned()),
        conversation: ConversationId(conversation),
        sender: "alice".to_owned(),
        title: title.to_owned(),
    };
    vec![parsed.into(), queued.into()]
}

fn started(title: &str, attempt: u16) -> Event {
    TaskStarted {
        task: task(title),
        attempt,
        coalesced: vec![],
    }
    .into()
}

fn planned(title: &str, attempt: u16) -> Event {
    PromptComposed {
        conversation: ConversationId(1),
        run: task(title).run(attempt),
        prompt: blob(),
        resumes: None,
    }
    .into()
}

fn result_line(title: &str, attempt: u16) -> Event {
    AgentEventObserved {
        run: task(title).run(attempt),
        index: 1,
        event_type: "result".to_owned(),
        subtype: "success".to_owned(),
        session: Some(SessionId("s".to_owned())),
        line: LineBody::Inline("{}".to_owned()),
    }
    .into()
}

fn restarted() -> Event {
    ServiceStarted {
        version: "0".to_owned(),
        pid: 1,
        host: "h".to_owned(),
        previous_stop_clean: false,
    }
    .into()
}

fn stop(title: &str) -> Event {
    TaskStopRequested {
        task: task(title),
        by: "eve".to_owned(),
    }
    .into()
}

fn two_conversations() -> Given {
    let given = given(vec![conversation(1), conversation(2), conversation(3)]);
    let given = given.and(queued("a", 1)).and(queued("b", 1));
    given.and(queued("c", 2)).and(queued("d", 3))
}

#[test]
fn the_oldest_conversations_begin_first_with_all_that_waits_in_them() {
    two_conversations().then_effects(ALL, &["begin a+b", "begin c"]);
}

#[test]
fn a_busy_conversation_and_a_full_house_make_others_wait() {
    let given = two_conversations().and(vec![started("a", 1)]);
    given.then_effects(ALL, &["run a", "begin c"]);
    let given = given.and(vec![started("c", 1)]);
    given.then_effects(ALL, &["run a", "run c"]);
}

#[test]
fn a_drain_begins_nothing() {
    let drain = Capacity {
        begins: false,
        ..ALL
    };
    two_conversations().then_effects(drain, &[]);
}

#[test]
fn a_task_that_was_stopped_while_it_waited_is_answered_and_not_begun() {
    let given = given(vec![conversation(1)]).and(queued("a", 1));
    let given = given.and(vec![stop("a")]);
    given.then_effects(ALL, &["answer stopped a"]);
}

fn revision(title: &str, raw: Option<BlobRef>) -> Event {
    let inbound = InboundId::from_dedupe_key(title);
    MessageRevised { inbound, raw }.into()
}

fn goes_by(title: &str, revision: u64, now: &str) -> Event {
    TaskRevised {
        task: task(title),
        inbound: InboundId::from_dedupe_key(title),
        revision: Position(revision),
        body: blob(),
        title: now.to_owned(),
        attachments: vec![],
    }
    .into()
}

#[test]
fn a_waiting_task_begins_only_once_it_goes_by_the_newest_revision_of_its_message() {
    let edited = || revision("a", Some(blob()));
    let given = given(vec![conversation(1)]).and(queued("a", 1));
    let given = given.and(vec![edited()]);
    given.then_effects(ALL, &["revise a"]);
    let behind = given.and(vec![edited(), goes_by("a", 4, "b")]);
    behind.then_effects(ALL, &["revise b"]);
    let given = behind.and(vec![goes_by("a", 5, "c")]);
    given.then_effects(ALL, &["begin c"]);
    let begun = given.and(vec![started("a", 1), edited(), revision("a", None)]);
    begun.then_effects(ALL, &["run c"]);
}

#[test]
fn what_is_taken_back_while_it_waits_is_answered_and_not_begun() {
    let given = given(vec![conversation(1)]).and(queued("a", 1));
    let given = given.and(queued("b", 1));
    let given = given.and(vec![revision("a", Some(blob())), revision("a", None)]);
    given.then_effects(ALL, &["answer stopped a"]);
}

#[test]
fn a_revision_that_comes_before_the_verdict_counts_like_one_after_it() {
    for (raw, expected) in [(Some(blob()), "revise a"), (None, "answer stopped a")] {
        let routed = MessageRouted {
            inbound: InboundId::from_dedupe_key("a"),
            conversation: ConversationId(1),
            new: false,
            task: task("a"),
        };
        let given = given(vec![conversation(1), received("a"), revision("a", raw)]);
        let given = given.and(vec![routed.into()]).and(queued("a", 1));
        given.then_effects(ALL, &[expected]);
    }
}

#[test]
fn what_a_task_does_follows_from_what_happened_to_it() {
    let begin = || given(vec![conversation(1)]).and(queued("a", 1));
    let check = |events: Vec<Event>, expected: &[&str]| {
        begin().and(events).then_effects(ALL, expected);
    };
    let cloned = WorkspaceCloned {
        conversation: ConversationId(1),
        branch: "main".to_owned(),
        commit: "c".to_owned(),
        duration_ms: 1,
    };
    let interrupted = |decision| TaskInterrupted {
        task: task("a"),
        run: task("a").run(1),
        decision,
    };
    let (requeue, conclude, abandon) = (
        interrupted(InterruptionDecision::Requeue),
        interrupted(InterruptionDecision::Conclude),
        interrupted(InterruptionDecision::Abandon),
    );
    let run = || vec![started("a", 1), planned("a", 1)];
    let and = |mut events: Vec<Event>, event: Event| {
        events.push(event);
        events
    };
    check(vec![], &["begin a"]);
    check(vec![started("a", 1)], &["run a"]);
    check(vec![started("a", 1), cloned.into()], &["run a"]);
    check(vec![started("a", 1), restarted()], &["interrupt a"]);
    // The worker leaves it out while the execution goes on; without one it was lost.
    check(run(), &["interrupt a"]);
    check(and(run(), requeue.into()), &["begin a"]);
    check(and(run(), conclude.clone().into()), &["conclude a"]);
    check(and(run(), abandon.into()), &["give up a"]);
    // A conclusion that ran the agent once more, and was cut off in that.
    let second = and(and(run(), conclude.into()), planned("a", 2));
    check(and(second, restarted()), &["interrupt a"]);
    let completed = TaskCompleted {
        task: task("a"),
        reason: CompletionReason::Success,
        detail: String::new(),
        duration_ms: 1,
    };
    check(and(run(), completed.into()), &[]);
}

#[test]
fn an_interruption_is_decided_by_what_the_agent_left() {
    let begin = || given(vec![conversation(1)]).and(queued("a", 1));
    let check = |given: Given, expected: InterruptionDecision| {
        let decided = decide_interruption(&given.state.queue.tasks[&task("a")]);
        assert_eq!(decided, expected);
    };
    let cut_off = vec![started("a", 1), planned("a", 1)];
    check(begin().and(cut_off.clone()), InterruptionDecision::Requeue);
    let answered = begin().and(cut_off).and(vec![result_line("a", 1)]);
    check(answered, InterruptionDecision::Conclude);
    let mut often = begin();
    for attempt in (1..).take(INTERRUPTIONS_MAX as usize) {
        let interrupted = TaskInterrupted {
            task: task("a"),
            run: task("a").run(attempt),
            decision: InterruptionDecision::Requeue,
        };
        let events = vec![
            started("a", attempt),
            planned("a", attempt),
            interrupted.into(),
        ];
        often = often.and(events);
    }
    check(often, InterruptionDecision::Abandon);
    // A result of an earlier run is not the answer of the one that was cut off.
    let again = begin().and(vec![started("a", 1), planned("a", 1), result_line("a", 1)]);
    let again = again.and(vec![started("a", 2), planned("a", 2)]);
    check(again, InterruptionDecision::Requeue);
}

#[test]
fn only_what_runs_or_waits_can_be_stopped() {
    let given = two_conversations().and(vec![
        started("a", 1),
        TaskCoalesced {
            task: task("b"),
            into: task("a"),
        }
        .into(),
    ]);
    let stop = |target| {
        let decided = decide_stop(&given.state, target, "eve", NOW);
        decided.map(|(stopped, _)| stopped.tasks)
    };
    assert_eq!(stop(StopTarget::Task(task("a"))), Ok(vec![task("a")]));
    assert_eq!(stop(StopTarget::Task(task("c"))), Ok(vec![task("c")]));
    let coalesced = StopTarget::Task(task("b"));
    assert_eq!(stop(coalesced), Err(StopRefusal::NoSuchTask(task("b"))));
    let by_conversation = StopTarget::Conversation(ConversationId(1));
    assert_eq!(stop(by_conversation), Ok(vec![task("a")]));
    let idle = ConversationId(9);
    let refused = stop(StopTarget::Conversation(idle));
    assert_eq!(refused, Err(StopRefusal::Idle(idle)));
}

const DELIVERY: DeliveryId = DeliveryId(1);

fn requested(kind: DeliveryKind) -> Event {
    DeliveryRequested {
        delivery: DELIVERY,
        kind,
        repo: RepoId("r".to_owned()),
        channel: ChannelKind::Local,
        conversation: ConversationId(1),
        task: task("a"),
        target: DeliveryTarget::Local,
        body: blob(),
        files: vec![],
    }
    .into()
}

fn attempted(attempt: u32) -> Event {
    DeliveryAttempted {
        delivery: DELIVERY,
        attempt,
        labelled_duplicate: false,
    }
    .into()
}

fn failed(attempt: u32, retry_at: AtMs) -> Event {
    DeliveryFailed {
        delivery: DELIVERY,
        attempt,
        error: "451".to_owned(),
        retry_at,
    }
    .into()
}

fn unknown() -> Event {
    DeliveryOutcomeUnknown {
        delivery: DELIVERY,
        attempt: 1,
        detail: "lost".to_owned(),
    }
    .into()
}

fn not_found() -> Event {
    DeliveryNotFound {
        delivery: DELIVERY,
        attempt: 1,
        searched: "INBOX".to_owned(),
    }
    .into()
}

#[test]
fn a_delivery_is_attempted_searched_and_only_then_attempted_again() {
    let check = |events: Vec<Event>, expected: &[&str]| {
        let given = given(vec![requested(DeliveryKind::Reply)]).and(events);
        given.then_effects(ALL, expected);
    };
    check(vec![], &["deliver"]);
    check(vec![attempted(1)], &["forget"]);
    check(vec![attempted(1), unknown()], &["reconcile"]);
    let lost = || vec![attempted(1), unknown(), not_found()];
    check(lost(), &["deliver labelled"]);
    let later = AtMs(NOW.0 + 1);
    check(vec![attempted(1), failed(1, later)], &[]);
    check(vec![attempted(1), failed(1, NOW)], &["deliver"]);
    // The label stays, whatever happens to the attempt that carries it.
    let mut again = lost();
    again.extend([attempted(2), failed(2, NOW)]);
    check(again, &["deliver labelled"]);
}

fn outgoing(kind: DeliveryKind, events: Vec<Event>) -> Outgoing {
    let given = given(vec![requested(kind)]).and(events);
    given.state.outbox.get(DELIVERY).unwrap().clone()
}

#[test]
fn an_attempts_outcome_decides_what_becomes_of_the_delivery() {
    let reply = outgoing(DeliveryKind::Reply, vec![]);
    let name = |outcome| decide_after_sending(&reply, outcome, NOW).name();
    let accepted = SendOutcome::Accepted {
        receipt: "250".to_owned(),
    };
    let refused = |permanent| SendOutcome::Refused {
        error: "no".to_owned(),
        permanent,
    };
    let unknown = SendOutcome::Unknown {
        detail: "lost".to_owned(),
    };
    assert_eq!(name(accepted), "DeliverySucceeded");
    assert_eq!(name(refused(true)), "DeliveryAbandoned");
    assert_eq!(name(refused(false)), "DeliveryFailed");
    assert_eq!(name(unknown), "DeliveryOutcomeUnknown");
}

#[test]
fn a_channel_may_ask_for_a_longer_pause_up_to_an_hour() {
    let reply = outgoing(DeliveryKind::Reply, vec![]);
    let pause = |wait_ms| {
        let postponed = SendOutcome::Postponed {
            error: "Slack asks to wait".to_owned(),
            wait_ms,
        };
        match decide_after_sending(&reply, postponed, NOW) {
            Event::Delivery(DeliveryEvent::Failed(failure)) => failure.retry_at.0 - NOW.0,
            other => panic!("what is postponed is tried again: {other:?}"),
        }
    };
    assert_eq!(pause(1), RETRY_FIRST_MS);
    assert_eq!(pause(RETRY_MAX_MS + 1), RETRY_MAX_MS + 1);
    assert_eq!(pause(WAIT_MAX_MS), WAIT_MAX_MS);
    assert_eq!(pause(WAIT_MAX_MS + 1), WAIT_MAX_MS);
}

#[test]
fn pauses_double_up_to_a_limit_and_a_delivery_is_given_up_when_it_is_too_old() {
    let mut events = vec![];
    let mut pauses = vec![];
    for attempt in 1..=10 {
        let reply = outgoing(DeliveryKind::Reply, events.clone());
        let refused = SendOutcome::Refused {
            error: "451".to_owned(),
            permanent: false,
        };
        let Event::Delivery(DeliveryEvent::Failed(failure)) =
            decide_after_sending(&reply, refused, NOW)
        else {
            panic!("a refusal for now is a failure");
        };
        pauses.push(failure.retry_at.0 - NOW.0);
        events.extend([attempted(attempt), failed(attempt, NOW)]);
    }
    assert_eq!(pauses[..3], [1, 2, 4].map(|factor| factor * RETRY_FIRST_MS));
    assert_eq!(pauses.last(), Some(&RETRY_MAX_MS));
    let reply = outgoing(DeliveryKind::Reply, events);
    let requested_at = reply.requested_at.0;
    let end = |age| decide_before_sending(&reply, AtMs(requested_at + age));
    assert_eq!(end(DELIVERY_AGE_MAX_MS), None);
    assert_eq!(
        end(DELIVERY_AGE_MAX_MS + 1).unwrap().name(),
        "DeliveryAbandoned"
    );
}

#[test]
fn an_attempt_that_is_lost_again_and_again_pauses_as_one_that_fails() {
    let mut events = vec![];
    let mut pauses = vec![];
    for attempt in 1..=9 {
        events.extend([attempted(attempt), unknown(), not_found()]);
        let reply = outgoing(DeliveryKind::Reply, events.clone());
        // Each event of a story is a second after the one before.
        let lost_at = (1 + events.len() as u64) * 1000;
        pauses.push(due_at(&reply).unwrap().0 - lost_at);
    }
    let expected = [0, 1, 2, 4].map(|factor| factor * RETRY_FIRST_MS);
    assert_eq!(pauses[..4], expected);
    assert_eq!(pauses.last(), Some(&RETRY_MAX_MS));
    events.extend([attempted(10), failed(10, NOW)]);
    assert_eq!(due_at(&outgoing(DeliveryKind::Reply, events)), Some(NOW));
}

#[test]
fn a_search_that_fails_for_long_counts_as_not_found_and_an_acknowledgement_is_not_doubled() {
    let searched = |kind, trace, age| {
        let outgoing = outgoing(kind, vec![attempted(1), unknown()]);
        let event = decide_after_search(&outgoing, trace, AtMs(3000 + age));
        event.map(|event| event.name())
    };
    let absent = || Trace::Absent {
        searched: "INBOX".to_owned(),
    };
    let fails = || Trace::Unsearchable {
        error: "connection refused".to_owned(),
    };
    let found = Trace::Found {
        receipt: "INBOX".to_owned(),
    };
    let reply = DeliveryKind::Reply;
    assert_eq!(searched(reply, found, 0), Ok("DeliverySucceeded"));
    assert_eq!(searched(reply, absent(), 0), Ok("DeliveryNotFound"));
    assert!(searched(reply, fails(), SEARCH_AGE_MAX_MS).is_err());
    assert_eq!(
        searched(reply, fails(), SEARCH_AGE_MAX_MS + 1),
        Ok("DeliveryNotFound")
    );
    let acknowledgement = DeliveryKind::Acknowledgement;
    assert_eq!(
        searched(acknowledgement, absent(), 0),
        Ok("DeliveryAbandoned")
    );
}

#[test]
fn a_task_is_in_the_log_before_it_is_anywhere_else() {
    let empty = given(vec![]).then_effects(ALL, &[]).state.queue.tasks.len();
    assert_eq!(empty, 0);
    let events = queued("a", 1);
    let is_queued = matches!(events[1], Event::Task(TaskEvent::Queued(_)));
    assert!(is_queued);
    // Without its conversation a task is not begun: nothing would know its model.
    given(events).then_effects(ALL, &[]);
}

fn failure(is_permanent: bool, times: u32) -> Failure {
    Failure {
        cause: "why".repeat(1000),
        is_permanent,
        times,
    }
}

fn follow(given: &Given, failure: &Failure) -> Option<Effect> {
    let effects = react(&given.state, NOW, ALL, &Airborne::default());
    react_to_failure(&given.state, &effects[0], failure)
}

#[test]
fn a_failing_execution_is_put_off_with_doubling_pauses_and_given_up_in_the_end() {
    let mut given = given(vec![conversation(1)]).and(queued("a", 1));
    let mut pauses = vec![];
    for attempt in (1..).take(TASK_RETRIES_MAX as usize) {
        given = given.and(vec![started("a", attempt)]);
        let Some(Effect::Retry(task, cause)) = follow(&given, &failure(false, 1)) else {
            panic!("it is put off");
        };
        assert!(cause.len() < 1000);
        let append = decide_retry(&task, cause, NOW);
        let (_, event) = append.events.into_iter().next().unwrap();
        let Event::Task(TaskEvent::RetryScheduled(retry)) = &event else {
            panic!("another event");
        };
        pauses.push(retry.not_before.0 - NOW.0);
        given = given.and(vec![event]);
        given.then_effects(ALL, &[]);
        let later = AtMs(NOW.0 + PAUSE_MAX_MS);
        let effects = react(&given.state, later, ALL, &Airborne::default());
        assert_eq!(effects.iter().map(tell).collect::<Vec<_>>(), ["begin a"]);
    }
    assert!(
        pauses.windows(2).all(|two| two[1] == 2 * two[0]),
        "{pauses:?}"
    );
    let given = given.and(vec![started("a", 99)]);
    let end = follow(&given, &failure(false, 1)).unwrap();
    assert_eq!(tell(&end), "answer failed a");
    assert_eq!(pause_ms(u32::MAX), PAUSE_MAX_MS);
}

#[test]
fn a_conclusion_that_fails_is_tried_again_without_a_second_run() {
    let given = given(vec![conversation(1)]).and(queued("a", 1));
    let answered = vec![started("a", 1), planned("a", 1), result_line("a", 1)];
    let retry = airut::events::task::TaskRetryScheduled {
        task: task("a"),
        cause: "disk".to_owned(),
        not_before: NOW,
    };
    let given = given.and(answered).and(vec![retry.into()]);
    given.then_effects(ALL, &["conclude a"]);
}

#[test]
fn what_would_fail_for_ever_ends_at_once() {
    let begun = given(vec![conversation(1)]).and(queued("a", 1));
    let told = |given: &Given, failure: &Failure| follow(given, failure).as_ref().map(tell);
    let (for_ever, once) = (failure(true, 1), failure(false, 1));
    let answered = Some("answer failed a".to_owned());
    assert_eq!(told(&begun, &for_ever), answered);
    assert_eq!(told(&begun, &once), None);
    let running = begun.and(vec![started("a", 1)]);
    assert_eq!(told(&running, &for_ever), answered);
    let delivery = given(vec![requested(DeliveryKind::Reply)]);
    assert_eq!(told(&delivery, &for_ever), Some("abandon".to_owned()));
    assert_eq!(told(&delivery, &once), None);
    let message = given(vec![received("m")]);
    assert_eq!(told(&message, &for_ever), Some("reject".to_owned()));
    assert_eq!(told(&message, &once), None);
    let often = failure(false, TRIAGE_FAILURES_MAX);
    assert_eq!(told(&message, &often), Some("reject".to_owned()));
}

fn received(key: &str) -> Event {
    MessageReceived {
        inbound: InboundId::from_dedupe_key(key),
        repo: RepoId("r".to_owned()),
        channel: ChannelKind::Local,
        source: MessageSource::Socket,
        dedupe_key: key.to_owned(),
        raw: blob(),
        claimed_sender: "alice".to_owned(),
        title: key.to_owned(),
    }
    .into()
}

#[test]
fn what_is_in_the_air_is_not_proposed_and_what_rests_takes_no_place() {
    let keys: Vec<String> = (0..12).map(|n| n.to_string()).collect();
    let given = given(keys.iter().map(|key| received(key)).collect());
    let subject = |key: &String| Subject::Message(InboundId::from_dedupe_key(key));
    let count = |airborne: &Airborne<'_>| react(&given.state, NOW, ALL, airborne).len();
    assert_eq!(count(&Airborne::default()), TRIAGES_MAX);
    let mut airborne = Airborne::default();
    airborne.paused.extend(keys[..8].iter().map(subject));
    assert_eq!(count(&airborne), 4);
    airborne.performing.extend(keys[8..10].iter().map(subject));
    assert_eq!(count(&airborne), 2);
    airborne.paused.clear();
    assert_eq!(count(&airborne), TRIAGES_MAX - 2);
}

#[test]
fn a_task_that_is_just_beginning_takes_a_place() {
    let given = two_conversations();
    let mut airborne = Airborne::default();
    airborne.performing.insert(Subject::Task(task("a")));
    let effects = react(&given.state, NOW, ALL, &airborne);
    assert_eq!(effects.iter().map(tell).collect::<Vec<_>>(), ["begin c"]);
}

#[test]
fn only_so_many_messages_are_answered_together() {
    let mut given = given(vec![conversation(1)]);
    for number in 0..100 {
        given = given.and(queued(&number.to_string(), 1));
    }
    let effects = react(&given.state, NOW, ALL, &Airborne::default());
    let [Effect::Begin(beginning)] = &effects[..] else {
        panic!("one task begins");
    };
    assert_eq!(beginning.coalesced.len() + 1, BUNDLE_MESSAGES_MAX);
}

#[test]
fn a_delivery_whose_channel_is_missing_is_given_up_in_the_end() {
    let mut missing = outgoing(DeliveryKind::Reply, vec![]);
    let old = AtMs(missing.requested_at.0 + DELIVERY_AGE_MAX_MS + 1);
    assert_eq!(decide_before_sending(&missing, old), None);
    missing.failures = 1;
    let end = decide_before_sending(&missing, old).unwrap();
    assert_eq!(end.name(), "DeliveryAbandoned");
}
