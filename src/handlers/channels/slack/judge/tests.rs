//! Messages and buttons, judged with what Slack would say of their sender.

use super::*;

fn findings(change: impl FnOnce(&mut Findings)) -> Findings {
    let user = User {
        id: "U1".to_owned(),
        team_id: "T1".to_owned(),
        name: "alice".to_owned(),
        ..User::default()
    };
    let mut findings = Findings {
        own: Own {
            team_id: "T1".to_owned(),
            user_id: "UBOT".to_owned(),
            bot_id: None,
        },
        sender: Sender::Known(Box::new(user)),
        groups: Groups::new(),
        names: Names::default(),
        history: None,
        files: vec![],
    };
    change(&mut findings);
    findings
}

fn said(text: &str) -> Vec<u8> {
    format!(
        r#"{{"type":"event_callback","event":{{"type":"message","channel":"C1","user":"U1",
        "ts":"2.1","thread_ts":"1.1","text":"{text}"}}}}"#
    )
    .into_bytes()
}

fn judged(raw: &[u8], findings: &Findings) -> Triage {
    judge(raw, &[SlackRule::WorkspaceMembers(true)], findings)
}

#[track_caller]
fn accepted(raw: &[u8], findings: &Findings) -> Triaged {
    match judged(raw, findings) {
        Triage::Accepted(triaged) => *triaged,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn refused(raw: &[u8], findings: &Findings, expected: &str) {
    let Triage::Rejected { detail, .. } = judged(raw, findings) else {
        panic!("accepted");
    };
    assert!(detail.contains(expected), "{detail}");
}

#[test]
fn slk_27_the_identity_is_the_bare_id_and_the_answer_goes_to_the_thread() {
    let triaged = accepted(&said("<@UBOT> Do it"), &findings(|_| {}));
    assert_eq!(
        (triaged.identity.as_str(), triaged.sender_name.as_str()),
        ("U1", "alice")
    );
    assert_eq!(triaged.body, "Do it");
    assert_eq!(triaged.model_hint, None);
    let expected = ReplyAddress::Slack {
        channel: "C1".to_owned(),
        thread: "1.1".to_owned(),
        message: "2.1".to_owned(),
    };
    assert_eq!(triaged.reply_to, expected);
}

#[test]
fn m4_whom_slack_does_not_vouch_for_is_refused_and_the_operator_reads_why() {
    let raw = said("<@UBOT> Do it");
    refused(
        &raw,
        &findings(|it| it.sender = Sender::NoUser),
        "a bot wrote it",
    );
    let unknown = Sender::Unknown {
        id: "U1".to_owned(),
        code: "user_not_found".to_owned(),
    };
    refused(
        &raw,
        &findings(|it| it.sender = unknown),
        "does not know U1: user_not_found",
    );
    refused(
        &raw,
        &findings(|it| it.own.team_id = "T2".to_owned()),
        "another workspace",
    );
    refused(b"{}", &findings(|_| {}), "no message of Slack's");
}

#[test]
fn slk_26_a_mention_without_words_is_work_all_the_same() {
    assert_eq!(accepted(&said("<@UBOT>"), &findings(|_| {})).body, WORDLESS);
}

#[test]
fn slk_23_a_file_that_is_missing_is_told_and_the_others_come() {
    let fetched = Brought::Fetched(Attachment {
        name: "../a.txt".to_owned(),
        media_type: "text/plain".to_owned(),
        bytes: vec![1],
    });
    let missing = Brought::Missing {
        name: "b.bin".to_owned(),
        why: "it is too large".to_owned(),
    };
    let triaged = accepted(
        &said("See"),
        &findings(|it| it.files = vec![fetched, missing]),
    );
    assert_eq!(triaged.attachments[0].name, "a.txt");
    assert!(
        triaged.body.contains("* b.bin: it is too large"),
        "{}",
        triaged.body
    );
}

#[test]
fn a_pressed_button_is_its_command_and_an_unknown_one_is_nothing() {
    let press = |action: &str| {
        format!(
            r#"{{"type":"block_actions","user":{{"id":"U1"}},"channel":{{"id":"C1"}},
            "message":{{"ts":"5.1","thread_ts":"1.1"}},
            "actions":[{{"action_id":"{action}","action_ts":"6.1"}}]}}"#
        )
        .into_bytes()
    };
    let findings = findings(|_| {});
    assert_eq!(accepted(&press(blocks::STOP), &findings).body, "/stop");
    assert_eq!(accepted(&press(blocks::STATUS), &findings).body, "/status");
    refused(&press("other"), &findings, "other is no button");
}
