//! Schedules from the due time to the mail, its answer and what is told of failures: prompts and
//! commands, through the real worker.

use airut::config::types::schedule::{Schedule, Work};
use airut::events::Event;
use airut::events::delivery::{DeliveryKind, DeliveryTarget};
use airut::events::event::ConversationEvent;
use airut::events::id::{Actor, ConversationId};
use airut::events::message::ReplyAddress;
use airut::events::task::CompletionReason;
use airut::handlers::channels::{OutboundMessage, SendOutcome, Triaged};
use airut::projections::schedules::{Outcome, ScheduleState};
use airut::sandbox::port::Entrypoint;
use airut::service::scheduling::Standing;

use crate::daylight::schedule;
use crate::fakes::Act;
use crate::parts::repo;
use crate::world::World;

/// Due at every full minute, so that a story need not wait longer than one.
const EVERY_MINUTE: &str = "* * * * *";

fn command(argv: &[&str]) -> Schedule {
    Schedule {
        work: Work::Command {
            text: argv.join(" "),
            argv: argv.iter().map(|word| (*word).to_owned()).collect(),
            timeout_s: Some(90),
            output_bytes_max: 20,
        },
        model: Some("haiku".to_owned()),
        effort: Some("low".to_owned()),
        ..schedule(EVERY_MINUTE, "UTC")
    }
}

fn world(script: &[Act], scheduled: Schedule) -> World {
    let mut world = World::new(script);
    world.schedules.insert("dawn-brief".to_owned(), scheduled);
    world
}

/// Lets the schedule fire once: it is due a minute before the daemon begins anew.
fn fire_once(world: &World) {
    crate::daylight::live_to_fire_once(world);
}

fn state(world: &World) -> ScheduleState {
    let views = world.views();
    let schedules = &views.view().state.schedules;
    schedules.get(&repo(), "dawn-brief").unwrap().clone()
}

fn outcome(world: &World) -> Outcome {
    state(world).last.unwrap().outcome
}

fn mail(message: &OutboundMessage) -> (String, String, String) {
    match &message.target {
        DeliveryTarget::Email {
            to,
            subject,
            message_id,
            in_reply_to,
            references,
        } => {
            assert!(in_reply_to.is_empty() && references.is_empty());
            (to.clone(), subject.clone(), message_id.clone())
        }
        other => panic!("{other:?} is no mail"),
    }
}

/// Lets a mail's text say which mail it answers.
fn answer_by_reference(triaged: &mut Triaged) {
    let answered = triaged
        .body
        .split_whitespace()
        .find(|word| word.starts_with("<airut."));
    if let (Some(answered), ReplyAddress::Email { references, .. }) =
        (answered.map(str::to_owned), &mut triaged.reply_to)
    {
        references.push(answered);
    }
}

#[test]
fn a_schedules_prompt_is_answered_by_a_new_mail() {
    let scheduled = Schedule {
        subject: Some("Dawn briefing".to_owned()),
        ..schedule(EVERY_MINUTE, "UTC")
    };
    let world = world(&[Act::Answer("All is well.")], scheduled);
    fire_once(&world);
    let arrived = world.channel.arrived.lock().unwrap().clone();
    assert_eq!(arrived.len(), 1, "no acknowledgement: nobody wrote");
    assert_eq!(arrived[0].kind, DeliveryKind::Reply);
    assert!(arrived[0].body.starts_with("All is well."));
    let conversation = arrived[0].conversation;
    let (to, subject, _) = mail(&arrived[0]);
    assert_eq!(to, "captain@harbor.test");
    assert_eq!(subject, format!("[ID:{conversation}] Dawn briefing"));
    let prompt = &world.sandbox.ran.lock().unwrap()[0].prompt;
    assert!(
        prompt.contains("the scheduled task \"dawn-brief\""),
        "{prompt}"
    );
    assert!(prompt.ends_with("\n\nList what changed."), "{prompt}");
    let views = world.views();
    let card = views.view().board.cards()[0].clone();
    assert_eq!(
        (card.title.as_str(), card.sender.as_str()),
        ("scheduled: dawn-brief", "scheduler")
    );
    assert!(outcome(&world).is_success());
    let by_scheduler = world
        .events()
        .into_iter()
        .filter(|r| r.actor == Actor::Scheduler);
    let names: Vec<_> = by_scheduler.map(|recorded| recorded.event.name()).collect();
    let expected = [
        "ScheduleInForce",
        "ConversationCreated",
        "ScheduleFired",
        "MessageParsed",
        "MessageRouted",
        "TaskQueued",
    ];
    assert_eq!(names, expected);
}

#[test]
fn whoever_has_a_schedules_mail_may_answer_and_goes_on_in_its_conversation() {
    let scheduled = Schedule {
        model: Some("haiku".to_owned()),
        ..schedule(EVERY_MINUTE, "UTC")
    };
    let mut world = world(&[], scheduled);
    // Not so long ago that it would be forgotten by now.
    crate::daylight::live_to_fire_just_now(&world);
    let sent = world.channel.replies().remove(0);
    let (id, message_id) = (sent.conversation.to_string(), mail(&sent).2);
    // The schedule itself is not due again in this story.
    world.schedules.clear();
    *world.channel.change.lock().unwrap() = Some(answer_by_reference);
    // Simulated time belongs to the thread that it was told.
    let answered = || {
        tokio::runtime::Runtime::new()
            .unwrap()
            .block_on(answers(&world, &id, &message_id));
    };
    std::thread::scope(|scope| scope.spawn(answered).join().unwrap());
    let routed = |key: &str| crate::world::conversation_of(&world.events(), key);
    assert_eq!((routed("m1"), routed("m2")), (id.clone(), id.clone()));
    assert_ne!(routed("m3"), id);
    let ran = world.sandbox.ran.lock().unwrap().clone();
    let session = format!("session-{}", ran[0].run);
    assert_eq!(ran[1].argv[..2], ["--resume".to_owned(), session]);
    assert!(
        ran[1].argv.contains(&"haiku".to_owned()),
        "{:?}",
        ran[1].argv
    );
    assert!(
        !ran[1].prompt.contains("scheduled task"),
        "{}",
        ran[1].prompt
    );
}

async fn answers(world: &World, id: &str, message_id: &str) {
    let daemon = world.daemon().await;
    // The recipient by the tag, one who has the mail by its Message-ID, and one who guesses.
    let has_it = format!("And now? {message_id}");
    for (key, sender, hint, text) in [
        ("m1", "captain@harbor.test", id, "Thank you."),
        ("m2", "mate@harbor.test", "", has_it.as_str()),
        ("m3", "stranger@harbor.test", id, "Let me in."),
    ] {
        daemon.receive(key, sender, hint, text).await.unwrap();
        let done = world.count("TaskCompleted") + 1;
        daemon.until("TaskCompleted", done).await;
    }
    daemon.drain().await;
}

#[test]
fn what_a_command_writes_is_what_the_agent_is_given() {
    let output = "disk at 91 percent full now";
    let script = [Act::Command(0, output, "noise"), Act::Answer("Cleaned up.")];
    let world = world(&script, command(&["ops/watch", "--since", "20 m"]));
    fire_once(&world);
    let ran = world.sandbox.ran.lock().unwrap().clone();
    assert_eq!(ran[0].argv, ["ops/watch", "--since", "20 m"]);
    assert_eq!(
        ran[0].targets,
        ["/workspace", "/inbox", "/outbox", "/storage"]
    );
    assert_eq!((ran[0].timeout_ms, ran[1].timeout_ms), (Some(90_000), None));
    assert_eq!((ran[0].run.attempt, ran[1].run.attempt), (1, 2));
    let images = world.sandbox.images.lock().unwrap().clone();
    assert_eq!(images, [Entrypoint::Passthrough, Entrypoint::Agent]);
    let cut = format!(
        "{}\n\n[cut after 20 bytes; the command wrote 27 bytes]",
        &output[..20]
    );
    let prompt = &ran[1].prompt;
    assert!(prompt.ends_with(&format!("\n\n{cut}")), "{prompt}");
    assert!(
        !prompt.contains("cut off") && !prompt.contains("noise"),
        "{prompt}"
    );
    assert_eq!(world.channel.replies().len(), 1);
    assert!(outcome(&world).is_success());
    assert_eq!(state(&world).last.unwrap().exit_code, Some(0));
}

#[test]
fn a_command_that_has_nothing_to_say_leaves_no_mail_and_no_conversation() {
    let world = world(&[Act::Command(0, " \n", "noise")], command(&["ops/watch"]));
    fire_once(&world);
    assert_eq!(world.sandbox.ran.lock().unwrap().len(), 1);
    assert_eq!(world.channel.arrived.lock().unwrap().len(), 0);
    assert_eq!(outcome(&world), Outcome::Silent);
    let last = state(&world).last.unwrap();
    assert!(
        world
            .views()
            .view()
            .state
            .conversations
            .is_forgotten(last.conversation)
    );
    assert_eq!(world.count("ConversationForgotten"), 1);
    let place = world
        .state_dir()
        .join(format!("work/conversations/{}", last.conversation));
    assert!(!place.exists());
}

#[test]
fn a_command_that_fails_is_looked_into_by_the_agent() {
    let script = [
        Act::Command(3, "half done", "no such host"),
        Act::Answer("The host is gone."),
    ];
    let world = world(&script, command(&["ops/watch"]));
    fire_once(&world);
    let prompt = world.sandbox.ran.lock().unwrap()[1].prompt.clone();
    for part in [
        "exit code 3",
        "Command: ops/watch",
        "half done",
        "no such host",
    ] {
        assert!(prompt.contains(part), "{part} in {prompt}");
    }
    assert_eq!(world.channel.replies().len(), 1);
    assert_eq!(state(&world).last.unwrap().exit_code, Some(3));
}

/// Gap 20: the model of a schedule with a command is the conversation's too, so that an answer does
/// not change it.
#[test]
fn gap_20_a_command_keeps_its_schedules_model_and_effort() {
    let script = [Act::Command(0, "output", ""), Act::Answer("Done.")];
    let world = world(&script, command(&["ops/watch"]));
    fire_once(&world);
    let created = world
        .events()
        .into_iter()
        .find_map(|recorded| match recorded.event {
            Event::Conversation(ConversationEvent::Created(created)) => Some(created),
            _ => None,
        });
    let created = created.unwrap();
    assert_eq!(
        (created.model.as_str(), created.effort.as_deref()),
        ("haiku", Some("low"))
    );
    let argv = world.sandbox.ran.lock().unwrap()[1].argv.clone();
    assert!(
        argv.contains(&"haiku".to_owned()) && argv.contains(&"low".to_owned()),
        "{argv:?}"
    );
}

/// Gap 20: a schedule whose agent failed has failed, and its mail says so.
#[test]
fn gap_20_a_failed_agent_is_a_failed_schedule() {
    let world = world(&[Act::Flood], schedule(EVERY_MINUTE, "UTC"));
    fire_once(&world);
    let reason = CompletionReason::ExecutionFailed;
    assert_eq!(outcome(&world), Outcome::Sent { reason });
    assert!(!outcome(&world).is_success());
    let body = world.channel.replies().remove(0).body;
    assert!(
        body.starts_with(
            "*The scheduled task \"dawn-brief\", due at 2026-06-01T00:00:00 UTC, failed"
        ),
        "{body}"
    );
}

/// Gap 20: a schedule whose answer cannot be delivered has failed, whatever its agent did.
#[test]
fn gap_20_an_answer_that_cannot_be_delivered_is_a_failed_schedule() {
    let world = world(&[Act::Answer("Done.")], schedule(EVERY_MINUTE, "UTC"));
    world
        .channel
        .outcomes
        .lock()
        .unwrap()
        .push_back(SendOutcome::Refused {
            error: "550 no such user".to_owned(),
            permanent: true,
        });
    fire_once(&world);
    let reason = CompletionReason::Success;
    assert_eq!(outcome(&world), Outcome::NotSent { reason });
    assert!(!outcome(&world).is_success());
}

#[test]
fn an_answer_that_is_sent_without_its_files_is_sent_all_the_same() {
    let world = world(
        &[Act::AnswerWithFile("Done.", "a.txt")],
        schedule(EVERY_MINUTE, "UTC"),
    );
    world
        .channel
        .outcomes
        .lock()
        .unwrap()
        .push_back(SendOutcome::Refused {
            error: "552 too large".to_owned(),
            permanent: true,
        });
    fire_once(&world);
    assert!(outcome(&world).is_success(), "{:?}", outcome(&world));
}

/// The daemon dies after every single commit of the way of a command and its answer.
#[test]
fn a_crash_anywhere_fires_a_due_time_once_and_answers_it_once() {
    let mut commits = 1;
    loop {
        let acts = (Act::Command(0, "output", ""), Act::Answer("Done."));
        let world = world(&[], command(&["ops/watch"]));
        *world.sandbox.by_kind.lock().unwrap() = Some(acts);
        let has_died = crate::daylight::live_and_die_after(&world, commits);
        assert_eq!(world.count("ScheduleFired"), 1, "{commits}");
        assert_eq!(world.count("TaskCompleted"), 1, "{commits}");
        assert_eq!(world.count("ScheduleCommandEnded"), 1, "{commits}");
        let replies = world.channel.replies();
        let unlabelled = replies
            .iter()
            .filter(|reply| !reply.labelled_duplicate)
            .count();
        assert_eq!(unlabelled, 1, "{commits}");
        assert!(outcome(&world).is_success(), "{commits}");
        if !has_died {
            break;
        }
        commits += 1;
    }
    assert!(commits > 15, "{commits} commits only");
}

#[test]
fn a_command_that_is_stopped_ends_its_task_as_stopped() {
    let world = world(&[Act::CommandHangs], command(&["ops/watch"]));
    let stopped = crate::daylight::live_and_stop(&world);
    assert!(stopped);
    let reason = CompletionReason::Stopped;
    assert_eq!(outcome(&world), Outcome::Sent { reason });
    assert_eq!(world.sandbox.ran.lock().unwrap().len(), 1, "no agent ran");
}

#[test]
fn two_schedules_never_share_a_conversation() {
    let mut world = world(&[], schedule(EVERY_MINUTE, "UTC"));
    let other = schedule(EVERY_MINUTE, "UTC");
    world.schedules.insert("dusk-brief".to_owned(), other);
    fire_once(&world);
    let replies = world.channel.replies();
    let ids: Vec<ConversationId> = replies.iter().map(|reply| reply.conversation).collect();
    assert_eq!(ids.len(), 2);
    assert_ne!(ids[0], ids[1]);
}

#[test]
fn schedules_are_listed_with_when_they_are_due_next_and_what_came_of_them_last() {
    let world = world(&[Act::Flood], schedule(EVERY_MINUTE, "Europe/Oslo"));
    fire_once(&world);
    let mut standing = Standing::default();
    world
        .events()
        .iter()
        .for_each(|recorded| standing.take_in(recorded));
    let last_slot = state(&world).last.unwrap().slot;
    let listed = standing.list(last_slot);
    assert_eq!(listed.len(), 1);
    let told = serde_json::to_value(&listed[0]).unwrap();
    assert_eq!(
        (&told["repo"], &told["name"]),
        (&"work".into(), &"dawn-brief".into())
    );
    assert_eq!(told["cron"], EVERY_MINUTE);
    assert_eq!(told["next"]["local"], "2026-06-01T02:01:00+02:00");
    assert_eq!(told["next"]["zone"], "Europe/Oslo");
    assert_eq!(told["last"]["utc"], "2026-06-01T00:00:00.000Z");
    assert_eq!(told["outcome"], "failed (execution failed), and told so");
}
