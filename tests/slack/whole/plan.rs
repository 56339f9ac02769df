//! The agent's plan in its thread (spec row SLK-19): one message, edited at most once a second, whose
//! last state is shown; found again after a restart.

use serde_json::{Value, json};

use super::{Ground, Said, until};
use crate::fakes::Act;
use crate::rules::{ALICE, GENERAL};
use crate::tools::{plan_in_pieces, tool_used};

const FIX: Said<'_> = Said {
    user: ALICE,
    channel: GENERAL,
    thread: None,
    text: "<@U0HERALD01> fix it",
};

/// Returns the messages with a plan of a thread.
fn plans(ground: &Ground, thread: &str) -> Vec<Value> {
    let answers = ground.answers(GENERAL, thread).into_iter();
    let is_plan = |message: &Value| message["metadata"]["event_type"] == "airut_plan";
    answers.filter(is_plan).collect()
}

/// Waits until the only plan of a thread says this.
#[track_caller]
fn until_shown(ground: &Ground, thread: &str, lines: &[&str]) -> Value {
    let expected = lines.join("\n");
    ground.hand.until(&format!("channel?id={GENERAL}"), |_| {
        let mut plans = plans(ground, thread);
        assert!(plans.len() <= 1, "{plans:?}");
        let plan = plans.pop()?;
        (plan["blocks"][0]["text"]["text"] == expected).then_some(plan)
    })
}

fn todos(items: &[(&str, &str, &str)]) -> String {
    let todos = items.iter().map(|(content, active_form, status)| {
        json!({"content": content, "activeForm": active_form, "status": status})
    });
    let todos: Vec<Value> = todos.collect();
    tool_used("t", "TodoWrite", &json!({ "todos": todos }).to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_one_message_that_is_edited_at_most_once_a_second_and_ends_as_it_is() {
    let states = ["pending", "in_progress", "completed"];
    let lines: Vec<String> = (0..30)
        .map(|n| {
            todos(&[
                ("Read", "Reading", "completed"),
                ("Fix *it*", "", states[n % 3]),
            ])
        })
        .collect();
    let ground = Ground::new(&[Act::WriteWhenReleased(lines, "Done.")]);
    let service = ground.service().await;
    let ts = ground.says(FIX);
    ground.world.sandbox.release.add_permits(1);
    let first = until_shown(
        &ground,
        &ts,
        &["✅ Reading", &format!("⚪ Fix {0}it{0}", sign("*"))],
    );
    assert_eq!(first["text"], "Plan: 1 of 2 done");
    assert_eq!(
        first["blocks"][1]["elements"][1]["action_id"],
        "airut_status"
    );
    // All others come at once: most of them are never shown.
    ground.world.sandbox.release.add_permits(29);
    let last = until_shown(
        &ground,
        &ts,
        &["✅ Reading", &format!("✅ Fix {0}it{0}", sign("*"))],
    );
    assert_eq!(last["ts"], first["ts"]);
    ground.world.sandbox.release.add_permits(1);
    ground.until_marked(GENERAL, &ts, &["white_check_mark"]);
    // The end takes the buttons away.
    ground.hand.until(&format!("channel?id={GENERAL}"), |_| {
        let plan = plans(&ground, &ts).remove(0);
        (plan["blocks"].as_array()?.len() == 1).then_some(())
    });
    assert!(service.stop("test").await);
    let mut shown = times(&ground, "chat.postMessage", |args| {
        args["metadata"]["event_type"] == "airut_plan"
    });
    assert_eq!(shown.len(), 1);
    shown.extend(times(&ground, "chat.update", |_| true));
    assert!((2..=5).contains(&shown.len()), "{shown:?}");
    for pair in shown.windows(2) {
        assert!(pair[1] - pair[0] >= 950, "{shown:?}");
    }
}

/// A sign of Slack's markup as plain text.
fn sign(sign: &str) -> String {
    format!("<!date^00000000^{{_}}|{sign}>")
}

/// Returns when calls of a method arrived, in milliseconds.
fn times(ground: &Ground, method: &str, wanted: impl Fn(&Value) -> bool) -> Vec<u64> {
    let calls = ground.hand.look(&format!("calls?method={method}"));
    let calls = calls["calls"].as_array().unwrap().iter();
    let wanted = calls.filter(|call| wanted(&call["args"]));
    wanted.map(|call| call["at_ms"].as_u64().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_that_comes_piece_by_piece_is_shown_and_its_end_is_not_lost() {
    let lines = plan_in_pieces(r#"{"taskId":"2","status":"in_progress"}"#);
    let count = lines.len();
    let ground = Ground::new(&[Act::WriteWhenReleased(lines, "Done.")]);
    let service = ground.service().await;
    // Everything at once: the task is over before a second has passed.
    ground.world.sandbox.release.add_permits(count + 1);
    let ts = ground.says(FIX);
    until(service.log(), "TaskCompleted", 1).await;
    let plan = until_shown(&ground, &ts, &["✅ Reading", "🔄 Fix"]);
    assert_eq!(plan["text"], "Plan: 1 of 2 done");
    assert!(service.stop("test").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_restart_the_same_message_goes_on() {
    let begun = vec![todos(&[("Read", "", "in_progress")])];
    let gone_on = vec![todos(&[
        ("Read", "", "completed"),
        ("Fix", "", "in_progress"),
    ])];
    let ground = Ground::new(&[
        Act::WriteWhenReleased(begun, "Never said."),
        Act::WriteWhenReleased(gone_on, "Done."),
    ]);
    let service = ground.service().await;
    let ts = ground.says(FIX);
    ground.world.sandbox.release.add_permits(1);
    let first = until_shown(&ground, &ts, &["🔄 Read"]);
    service.urgency().cancel();
    service.stop("the machine is needed").await;
    let service = ground.service().await;
    ground.world.sandbox.release.add_permits(2);
    let again = until_shown(&ground, &ts, &["✅ Read", "🔄 Fix"]);
    assert_eq!(again["ts"], first["ts"], "there is no second plan");
    ground.until_marked(GENERAL, &ts, &["white_check_mark"]);
    assert!(service.stop("test").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_that_slack_does_not_show_holds_no_answer_up() {
    let ground = Ground::new(&[Act::WriteWhenReleased(
        vec![todos(&[("Read", "", "in_progress")])],
        "Done.",
    )]);
    // The acknowledgement is taken, the plan is not.
    let fault =
        json!({"method": "chat.postMessage", "skip": 1, "kind": "error", "error": "no_permission"});
    let service = ground.service().await;
    ground.hand.act("faults", &fault);
    let ts = ground.says(FIX);
    until(service.log(), "DeliverySucceeded", 1).await;
    ground.world.sandbox.release.add_permits(1);
    ground.hand.until("calls?method=chat.postMessage", |seen| {
        (seen["calls"].as_array()?.len() == 2).then_some(())
    });
    ground.world.sandbox.release.add_permits(1);
    ground.until_marked(GENERAL, &ts, &["white_check_mark"]);
    assert!(service.stop("test").await);
    assert_eq!(ground.replies(GENERAL, &ts).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_of_a_hundred_long_items_is_taken_by_slack_and_counts_what_it_leaves_out() {
    let title = |n: usize| format!("{n} *{}", "& ".repeat(90));
    let titles: Vec<String> = (1..=100).map(title).collect();
    let items: Vec<_> = titles
        .iter()
        .map(|title| (title.as_str(), "", "pending"))
        .collect();
    let ground = Ground::new(&[Act::WriteWhenReleased(vec![todos(&items)], "Done.")]);
    ground.world.sandbox.release.add_permits(1);
    let service = ground.service().await;
    let ts = ground.says(FIX);
    let plan = ground.hand.until(&format!("channel?id={GENERAL}"), |_| {
        plans(&ground, &ts).pop()
    });
    let blocks = plan["blocks"].as_array().unwrap();
    let sections: Vec<&str> = blocks
        .iter()
        .filter_map(|block| block["text"]["text"].as_str())
        .collect();
    let shown: usize = sections.iter().map(|text| text.matches('⚪').count()).sum();
    let rest = format!("\n… and {} more", 100 - shown);
    assert!(sections.last().unwrap().ends_with(&rest), "{sections:?}");
    ground.world.sandbox.release.add_permits(1);
    ground.until_marked(GENERAL, &ts, &["white_check_mark"]);
    assert!(service.stop("test").await);
}
