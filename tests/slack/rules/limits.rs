//! Rate limits.

use serde_json::json;

use super::{BOT_TOKEN, GENERAL, Ground};
use crate::standin::Options;

#[test]
fn a_channel_takes_a_burst_and_then_one_message_at_a_time() {
    let ground = Ground::with(Options {
        post_burst: 3,
        post_every_ms: 60_000,
        ..Options::default()
    });
    let post = |channel: &str| {
        let args = json!({ "channel": channel, "text": "a" });
        ground.raw("chat.postMessage", BOT_TOKEN, &args).0
    };
    for _ in 0..3 {
        assert!(post(GENERAL).starts_with("HTTP/1.1 200"));
    }
    let refused = post(GENERAL);
    assert!(refused.starts_with("HTTP/1.1 429"), "{refused}");
    assert!(refused.contains("retry-after: 60"), "{refused}");
    assert!(post("C0PRIVATE1").starts_with("HTTP/1.1 200"));
}

#[test]
fn a_method_may_be_called_so_often_a_minute_as_its_tier_says() {
    let ground = Ground::with(Options::default());
    let list = || ground.raw("usergroups.list", BOT_TOKEN, &json!({})).0;
    for _ in 0..20 {
        assert!(list().starts_with("HTTP/1.1 200"));
    }
    assert!(list().starts_with("HTTP/1.1 429"));
}
