//! The model's API refuses for now: the task waits, and goes on by itself in its session. A story
//! tells the clock of its thread, so that nobody waits for real.

use airut::clock;
use airut::events::Event;
use airut::events::event::TaskEvent;
use airut::events::id::{AtMs, ConversationId, Position, RepoId, StreamVersion, TaskId};
use airut::events::run::RunOutcome;
use airut::handlers::operator::StopTarget;
use airut::handlers::tasks::patience::{
    PARK_MAX_MS, PARK_MIN_MS, PARK_UNKNOWN_MS, PARKS_MAX, PAUSE_FIRST_MS, PUT_OFF_MAX, Patience,
    patience,
};
use airut::projections::usage::Spent;
use airut::projections::work_queue::{QueuedTask, TaskState};
use airut::sandbox::agent::UsageLimit;

use crate::fakes::Act;
use crate::world::{World, conversation_of};

const HOUR_MS: u64 = 3_600_000;

fn in_seconds(at: AtMs) -> u64 {
    at.0 / 1000
}

#[tokio::test]
async fn gap_18_an_overloaded_api_is_asked_again_in_the_same_session() {
    let world = World::new(&[Act::Overloaded, Act::Answer("Done.")]);
    let daemon = world.daemon().await;
    daemon.receive("m1", "alice", "", "Hello.").await.unwrap();
    let put_off = daemon.until("TaskRetryScheduled", 1).await;
    daemon.drain().await;
    assert!(world.channel.replies().is_empty(), "nothing has failed yet");
    clock::tell(put_off.at.0 + PAUSE_FIRST_MS + 1);
    let daemon = world.daemon().await;
    daemon.until("DeliverySucceeded", 2).await;
    daemon.drain().await;
    let ran = world.sandbox.ran.lock().unwrap().clone();
    let session = format!("session-{}", ran[0].run);
    assert_eq!(ran[1].argv[..2], ["--resume".to_owned(), session]);
    assert!(
        ran[1].prompt.contains("took no more requests"),
        "{}",
        ran[1].prompt
    );
    assert_eq!(
        world.count("SessionAbandoned"),
        0,
        "no context is thrown away"
    );
    // Gap 19: what each attempt cost is counted.
    assert_eq!(world.channel.replies()[0].body, "Done.\n\n*Cost: $0.0150*");
}

#[tokio::test]
async fn a_usage_limit_parks_the_task_and_it_resumes_by_itself_across_restarts() {
    let ends = AtMs(clock::now().0 + 5 * HOUR_MS);
    let acts = [
        Act::Limited(in_seconds(ends)),
        Act::Answer("Other."),
        Act::Answer("Done."),
    ];
    let world = World::new(&acts);
    let daemon = world.daemon().await;
    daemon
        .receive("m1", "alice", "cc bob", "Hello.")
        .await
        .unwrap();
    let parked = daemon.until("TaskParked", 1).await;
    let Event::Task(TaskEvent::Parked(parked)) = parked.event else {
        panic!("another event");
    };
    assert_eq!(
        (parked.until.0, parked.cause.as_str()),
        (in_seconds(ends) * 1000, "usage limit five_hour")
    );
    // That it began, and until when it waits.
    daemon.until("DeliverySucceeded", 2).await;
    let notice = world.channel.arrived.lock().unwrap()[1].body.clone();
    assert!(
        notice.contains("usage limit five_hour is reached"),
        "{notice}"
    );
    assert!(notice.contains("goes on by itself"), "{notice}");
    daemon.crash().await;
    let daemon = world.daemon().await;
    // The worker is free, and what is written to the conversation waits with its task.
    let conversation = conversation_of(&world.events(), "m1");
    daemon
        .receive("m2", "bob", &conversation, "And this.")
        .await
        .unwrap();
    daemon
        .receive("m3", "carol", "", "Something else.")
        .await
        .unwrap();
    daemon.until("TaskCompleted", 1).await;
    daemon.drain().await;
    assert_eq!(world.count("TaskStarted"), 2);
    clock::tell(ends.0 + 1);
    let daemon = world.daemon().await;
    daemon.until("TaskCompleted", 2).await;
    daemon.until("DeliverySucceeded", 6).await;
    daemon.drain().await;
    let ran = world.sandbox.ran.lock().unwrap().clone();
    assert_eq!(ran[2].argv[0], "--resume");
    assert!(ran[2].prompt.ends_with("And this."), "{}", ran[2].prompt);
    assert_eq!(world.count("SessionAbandoned"), 0);
    let answers = world.channel.replies();
    let of_it = answers
        .iter()
        .filter(|reply| reply.body.starts_with("Done."));
    assert_eq!(of_it.count(), 2, "alice and bob are answered once");
}

#[tokio::test]
async fn gap_21_a_parked_task_that_is_stopped_is_answered_as_that() {
    let ends = AtMs(clock::now().0 + HOUR_MS);
    let world = World::new(&[Act::Limited(in_seconds(ends))]);
    let daemon = world.daemon().await;
    let receipt = daemon.receive("m1", "alice", "", "Hello.").await.unwrap();
    daemon.until("TaskParked", 1).await;
    let target = StopTarget::Task(receipt.task);
    daemon
        .operator
        .stop(target, "olive".to_owned())
        .await
        .unwrap();
    daemon.until("DeliverySucceeded", 3).await;
    daemon.drain().await;
    let reply = world.channel.replies().remove(0).body;
    let words = "The task was stopped on request by olive while it waited to go on.";
    assert!(reply.starts_with(words), "{reply}");
    assert!(reply.ends_with("*Cost: $0.0050*"), "{reply}");
}

fn task(retries: u32, parks: u32) -> QueuedTask {
    QueuedTask {
        task: TaskId(1),
        repo: RepoId("r".to_owned()),
        conversation: ConversationId(1),
        sender: "alice".to_owned(),
        queued_at: AtMs(0),
        title: String::new(),
        position: Position(1),
        version: StreamVersion(1),
        state: TaskState::Running { cut_off: false },
        messages: vec![],
        attempt: 1,
        started: 1,
        run: None,
        prompted: true,
        result_seen: false,
        honey_seen: None,
        session: None,
        interruptions: 0,
        retries,
        retry_at: AtMs(0),
        stop_requested_by: None,
        was_told: false,
        parked: None,
        parks,
        spent: Spent::default(),
        schedule: None,
    }
}

#[test]
fn gap_18_pauses_grow_and_end_and_only_a_refusal_for_now_is_waited_for() {
    let now = AtMs(1_000_000_000);
    let pause = |outcome, retries| match patience(outcome, None, &task(retries, 0), now) {
        Some(Patience::Retry { not_before }) => Some(not_before.0 - now.0),
        Some(Patience::Park { .. }) => panic!("there is no limit"),
        None => None,
    };
    let pauses: Vec<_> = (0..PUT_OFF_MAX)
        .filter_map(|n| pause(RunOutcome::ApiBusy, n))
        .collect();
    assert_eq!(pauses, [5_000, 20_000, 80_000, 320_000, 1_280_000]);
    assert_eq!(pause(RunOutcome::ApiFailed, 0), Some(PAUSE_FIRST_MS));
    assert_eq!(pause(RunOutcome::ApiBusy, PUT_OFF_MAX), None);
    assert_eq!(pause(RunOutcome::ApiBusy, u32::MAX), None);
    for outcome in [
        RunOutcome::Success,
        RunOutcome::Timeout,
        RunOutcome::Stopped,
        RunOutcome::ApiRefused,
        RunOutcome::SessionUnusable,
        RunOutcome::PromptTooLong,
        RunOutcome::AgentFailed,
    ] {
        assert_eq!(pause(outcome, 0), None, "{outcome:?}");
    }
}

#[test]
fn a_usage_limit_is_waited_for_within_limits() {
    let now = AtMs(1_000_000_000);
    let wait = |resets_at: Option<u64>, parks| {
        let limit = UsageLimit {
            name: "five_hour".to_owned(),
            resets_at: resets_at.map(AtMs),
        };
        match patience(RunOutcome::ApiBusy, Some(&limit), &task(9, parks), now) {
            Some(Patience::Park { until, .. }) => Some(until.0 - now.0),
            Some(Patience::Retry { .. }) => panic!("it is a limit"),
            None => None,
        }
    };
    assert_eq!(wait(None, 0), Some(PARK_UNKNOWN_MS));
    assert_eq!(wait(Some(now.0 + HOUR_MS), 0), Some(HOUR_MS));
    assert_eq!(wait(Some(0), 0), Some(PARK_MIN_MS));
    assert_eq!(wait(Some(now.0 + PARK_MIN_MS - 1), 0), Some(PARK_MIN_MS));
    assert_eq!(wait(Some(now.0 + PARK_MAX_MS), 0), Some(PARK_MAX_MS));
    assert_eq!(wait(Some(u64::MAX), 0), Some(PARK_MAX_MS));
    assert_eq!(wait(None, PARKS_MAX - 1), Some(PARK_UNKNOWN_MS));
    assert_eq!(wait(None, PARKS_MAX), None);
}
