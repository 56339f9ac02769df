//! What every call has in common: token, scope, form of the arguments, faults.

use serde_json::{Value, json};

use super::{APP_TOKEN, BOT_TOKEN, GENERAL, Ground};

#[test]
fn a_token_decides_whether_a_call_is_answered() {
    let ground = Ground::quick();
    let check = |token: &str, method: &str, error: &str| {
        let (_, body) = ground.raw(method, token, &json!({}));
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(body["error"], error, "{method} with {token}");
    };
    check("", "auth.test", "not_authed");
    check("xoxb-other", "auth.test", "invalid_auth");
    check(BOT_TOKEN, "apps.connections.open", "not_allowed_token_type");
    check(APP_TOKEN, "users.info", "not_allowed_token_type");
    check(BOT_TOKEN, "chat.sing", "unknown_method");
}

#[test]
fn the_scopes_stand_in_a_header_and_a_missing_one_is_named() {
    let ground = Ground::quick();
    let (head, _) = ground.raw("auth.test", BOT_TOKEN, &json!({}));
    let scopes = "x-oauth-scopes: app_mentions:read,assistant:write,channels:history,channels:read";
    assert!(head.contains(scopes), "{head}");
    ground
        .hand
        .act("scopes", &json!({ "names": ["users:read"] }));
    let refused = ground.call(
        "chat.postMessage",
        &json!({ "channel": GENERAL, "text": "a" }),
    );
    assert_eq!(refused["error"], "missing_scope");
    assert_eq!(refused["needed"], "chat:write");
    assert_eq!(refused["provided"], "users:read");
}

#[test]
fn arguments_come_as_json_or_form_and_what_reads_takes_no_json() {
    let ground = Ground::quick();
    let json = |method: &str, charset: &str, body: &Value| {
        let body = body.to_string();
        let headers = format!(
            "Authorization: Bearer {BOT_TOKEN}\r\nContent-Type: application/json{charset}\r\n\
             Content-Length: {}\r\n",
            body.len()
        );
        let path = format!("/api/{method}");
        let (_, body) = ground
            .hand
            .exchange("POST", &path, &headers, &body)
            .unwrap();
        serde_json::from_str::<Value>(&body).unwrap()
    };
    let message = json!({ "channel": GENERAL, "text": "a" });
    let charset = "; charset=utf-8";
    assert_eq!(json("chat.postMessage", charset, &message)["ok"], true);
    assert_eq!(
        json("chat.postMessage", charset, &message)["warning"],
        Value::Null
    );
    assert_eq!(
        json("chat.postMessage", "", &message)["warning"],
        "missing_charset"
    );
    let read = json("users.info", charset, &json!({ "user": "U0ALICE001" }));
    assert_eq!(read["error"], "user_not_found");
    let read = ground.call("users.info", &json!({ "user": "U0ALICE001" }));
    assert_eq!(read["user"]["profile"]["display_name"], "alice");
}

#[test]
fn a_fault_strikes_when_it_is_told_to_and_then_no_more() {
    let ground = Ground::quick();
    let fault = json!({
        "method": "auth.test", "skip": 1, "times": 2, "kind": "error", "error": "internal_error",
    });
    ground.hand.act("faults", &fault);
    let outcomes: Vec<Value> = (0..4)
        .map(|_| ground.call("auth.test", &json!({}))["ok"].clone())
        .collect();
    assert_eq!(
        outcomes,
        [json!(true), json!(false), json!(false), json!(true)]
    );
    let fault = json!({ "method": "*", "kind": "rate_limited", "retry_after": 7 });
    ground.hand.act("faults", &fault);
    let (head, body) = ground.raw("auth.test", BOT_TOKEN, &json!({}));
    assert!(
        head.starts_with("HTTP/1.1 429") && head.contains("retry-after: 7"),
        "{head}"
    );
    assert!(body.contains("ratelimited"), "{body}");
}

#[test]
fn an_answer_may_get_lost_after_the_deed_and_a_request_before_it() {
    let ground = Ground::quick();
    let said = || ground.hand.look(&format!("channel?id={GENERAL}"))["messages"].clone();
    let post = || {
        let form = "channel=C0GENERAL1&text=a";
        let headers = format!(
            "Authorization: Bearer {BOT_TOKEN}\r\nContent-Length: {}\r\n",
            form.len()
        );
        let exchanged = ground
            .hand
            .exchange("POST", "/api/chat.postMessage", &headers, form);
        exchanged.is_ok()
    };
    for (kind, count) in [("lose_request", 0), ("lose_answer", 1)] {
        let fault = json!({ "method": "chat.postMessage", "kind": kind });
        ground.hand.act("faults", &fault);
        assert!(!post(), "{kind} was answered");
        assert_eq!(said().as_array().map(Vec::len), Some(count), "{kind}");
    }
    assert!(post());
}
