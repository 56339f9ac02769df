//! The service dies after every single commit of a message's way, with Slack as it is: whatever had
//! been posted by then is found by its metadata, so that there is one acknowledgement at most and one
//! answer. An outage that lasts over a restart loses no answer (gap 9).

use airut::clock;
use airut::handlers::replies::decide::RETRY_MAX_MS;
use serde_json::json;

use super::{Ground, Said, until, until_any};
use crate::fakes::Act;
use crate::rules::{ALICE, GENERAL};

const FIX: Said<'_> = Said {
    user: ALICE,
    channel: GENERAL,
    thread: None,
    text: "<@U0HERALD01> fix it",
};

/// Lets a service live for so many commits; returns whether it had answered before.
async fn live_through(ground: &Ground, ts: &str, commits: u64) -> bool {
    let Some(service) = ground.service_on(ground.world.disk(commits)).await else {
        return false;
    };
    let said = super::incoming(&crate::parts::repo(), FIX, ts);
    let mut answered = false;
    if service.intake().receive(said).await.is_ok() {
        let failure = service.failure();
        answered = tokio::select! {
            () = failure.cancelled() => false,
            () = until(service.log(), "DeliverySucceeded", 2) => true,
        };
    }
    service.stop("the machine is gone").await;
    answered
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_between_any_two_commits_leaves_one_answer_in_slack() {
    for commits in 1.. {
        let ground = Ground::new(&[]);
        let ts = ground.says_unheard(FIX);
        let unharmed = live_through(&ground, &ts, commits).await;
        let service = ground.service().await;
        // Slack sends again what was not acknowledged.
        ground
            .hears(&service, &crate::parts::repo(), FIX, &ts)
            .await;
        until(service.log(), "TaskCompleted", 1).await;
        ground.until_marked(GENERAL, &ts, &["white_check_mark"]);
        assert!(service.stop("test").await);
        let replies = ground.replies(GENERAL, &ts);
        assert_eq!(replies.len(), 1, "after {commits} commits: {replies:?}");
        assert!(
            replies[0].starts_with("Done."),
            "after {commits} commits: {replies:?}"
        );
        let posted = ground.answers(GENERAL, &ts).len();
        assert!(posted <= 2, "after {commits} commits: {posted}");
        if unharmed {
            assert!(commits >= 12, "only {commits} boundaries");
            assert_eq!(posted, 2);
            return;
        }
    }
}

/// Gap 9: the old gateway lost a final answer that Slack did not take at once.
#[tokio::test(flavor = "multi_thread")]
async fn gap_9_an_answer_that_slack_does_not_take_is_posted_after_a_restart() {
    for fault in [
        json!({"kind": "error", "error": "token_revoked"}),
        json!({"kind": "status", "status": 503}),
        json!({"kind": "rate_limited", "retry_after": 600}),
    ] {
        let ground = Ground::new(&[Act::AnswerWhenReleased("Done.")]);
        let service = ground.service().await;
        let ts = ground.says(FIX);
        until(service.log(), "DeliverySucceeded", 1).await;
        let mut fault = fault;
        fault["method"] = "chat.postMessage".into();
        fault["times"] = 50.into();
        ground.hand.act("faults", &fault);
        ground.world.sandbox.release.add_permits(1);
        until_any(service.log(), &["DeliveryFailed", "DeliveryNotFound"], 1).await;
        assert!(service.stop("test").await);
        assert!(ground.replies(GENERAL, &ts).is_empty(), "{fault}");
        ground.hand.act("faults/clear", &json!({}));
        clock::not_before(clock::now().0 + RETRY_MAX_MS);
        let service = ground.service().await;
        ground.until_marked(GENERAL, &ts, &["white_check_mark"]);
        assert!(service.stop("test").await);
        assert_eq!(ground.replies(GENERAL, &ts).len(), 1, "{fault}");
        assert_eq!(ground.world.count("DeliveryAbandoned"), 0, "{fault}");
    }
}
