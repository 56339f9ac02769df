//! Frames and payloads as Slack's documentation shows them.

use super::*;

#[test]
fn an_envelope_keeps_its_payload_byte_for_byte() {
    let payload = r#"{ "b":1,  "a":{"type":"x"} }"#;
    let text = format!(
        r#"{{"type":"events_api","envelope_id":"e1","payload":{payload},"retry_attempt":1}}"#
    );
    let expected = Frame::Envelope {
        id: "e1".to_owned(),
        payload: payload.to_owned(),
    };
    assert_eq!(frame(&text), expected);
}

#[test]
fn every_frame_is_something() {
    let hello = r#"{"type":"hello","num_connections":1,"connection_info":{"app_id":"A1"}}"#;
    assert_eq!(frame(hello), Frame::Hello);
    let refresh = r#"{"type":"disconnect","reason":"refresh_requested","debug_info":{}}"#;
    let reason = "refresh_requested".to_owned();
    assert_eq!(frame(refresh), Frame::Disconnect { reason });
    let command = r#"{"type":"slash_commands","envelope_id":"e2","payload":{}}"#;
    let id = Some("e2".to_owned());
    assert_eq!(frame(command), Frame::Other { id });
    for text in ["", "[]", "{}", "\u{0}", r#"{"type":3}"#] {
        assert_eq!(frame(text), Frame::Other { id: None }, "{text}");
    }
}

fn event(event: &str) -> Told {
    let (id, told) = payload(&format!(
        r#"{{"type":"event_callback","event_id":"Ev1","team_id":"T1","event":{event}}}"#
    ));
    assert_eq!(id, "Ev1");
    told
}

#[test]
fn a_message_and_a_mention_read_alike() {
    for kind in ["message", "app_mention"] {
        let told = event(&format!(
            r#"{{"type":"{kind}","channel":"C1","user":"U1","text":"Hi","ts":"2.1","thread_ts":"1.1"}}"#
        ));
        let Told::Said(message) = told else {
            panic!("{told:?}");
        };
        assert_eq!((message.ts.as_str(), message.thread()), ("2.1", "1.1"));
        assert!(message.is_of_a_person());
    }
}

#[test]
fn an_edit_is_told_from_a_preview_of_a_link() {
    let changed = |now: &str| {
        event(&format!(
            r#"{{"type":"message","subtype":"message_changed","channel":"C1","ts":"9.1",
            "message":{{"type":"message","user":"U1","ts":"2.1",{now}}},
            "previous_message":{{"type":"message","user":"U1","ts":"2.1","text":"a"}}}}"#
        ))
    };
    let Told::Changed(message) = changed(r#""text":"b","edited":{"user":"U1","ts":"3.1"}"#) else {
        panic!("an edit is a change");
    };
    assert_eq!(
        (message.channel.as_str(), message.ts.as_str()),
        ("C1", "2.1")
    );
    assert_eq!(changed(r#""text":"a","attachments":[{}]"#), Told::Other);
}

#[test]
fn a_deletion_names_the_message_also_when_its_thread_stays() {
    let gone = Told::Deleted {
        channel: "C1".to_owned(),
        ts: "2.1".to_owned(),
    };
    let deleted = r#"{"type":"message","subtype":"message_deleted","channel":"C1","ts":"9.1","deleted_ts":"2.1"}"#;
    assert_eq!(event(deleted), gone);
    let tombstone = r#"{"type":"message","subtype":"message_changed","channel":"C1","ts":"9.1",
        "message":{"subtype":"tombstone","user":"USLACKBOT","ts":"2.1","text":"This message was deleted."}}"#;
    assert_eq!(event(tombstone), gone);
}

#[test]
fn slk_03_an_opened_thread_names_its_place() {
    let opened = r#"{"type":"assistant_thread_started","assistant_thread":
        {"user_id":"U1","context":{},"channel_id":"D1","thread_ts":"1.1"},"event_ts":"1.2"}"#;
    let expected = Told::Opened {
        channel: "D1".to_owned(),
        thread: "1.1".to_owned(),
    };
    assert_eq!(event(opened), expected);
}

#[test]
fn a_pressed_button_stands_in_the_thread_of_its_message() {
    let text = r#"{"type":"block_actions","user":{"id":"U1","team_id":"T1"},"team":{"id":"T1"},
        "container":{"type":"message","message_ts":"5.1","channel_id":"C1","thread_ts":"1.1"},
        "channel":{"id":"C1","name":"pier"},"message":{"ts":"5.1","thread_ts":"1.1","text":"x"},
        "actions":[{"action_id":"airut_stop","value":"deadbeef","type":"button","action_ts":"6.1"}]}"#;
    let (_, Told::Pressed(press)) = payload(text) else {
        panic!("no press");
    };
    assert_eq!(
        (press.action.as_str(), press.thread.as_str()),
        ("airut_stop", "1.1")
    );
    assert_eq!((press.user.as_str(), press.at.as_str()), ("U1", "6.1"));
}

#[test]
fn unknown_events_and_shapes_are_nothing() {
    assert_eq!(event(r#"{"type":"reaction_added"}"#), Told::Other);
    assert_eq!(event(r#"{"type":"message","ts":5}"#), Told::Other);
    assert_eq!(event("null"), Told::Other);
    assert_eq!(payload("{"), (String::new(), Told::Other));
}
