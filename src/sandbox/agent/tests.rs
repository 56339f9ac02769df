use super::*;
use crate::events::run::RunOutcome;
use crate::events::task::TodoStatus;

const INIT: &str = r#"{"type":"system","subtype":"init","session_id":"s-1","model":"m"}"#;

fn result(fields: &str) -> String {
    format!(
        r#"{{"type":"result","subtype":"success","session_id":"s-1","num_turns":2,"duration_ms":70,"total_cost_usd":0.0123456,"usage":{{"input_tokens":10,"output_tokens":20,"cache_creation_input_tokens":5,"cache_read_input_tokens":7,"server_tool_use":{{"web_search_requests":1,"web_fetch_requests":2}}}},{fields}}}"#
    )
}

fn text(words: &str) -> String {
    format!(
        r#"{{"type":"assistant","message":{{"content":[{{"type":"text","text":"{words}"}}]}},"parent_tool_use_id":null,"session_id":"s-1"}}"#
    )
}

fn transcript(lines: &[&str]) -> Transcript {
    let mut transcript = Transcript::default();
    for line in lines {
        transcript.observe(line);
    }
    transcript
}

#[track_caller]
fn check(fields: &str, exit_code: i32, expected: RunOutcome) {
    let transcript = transcript(&[INIT, &result(fields)]);
    let exit = ExitFacts {
        exit_code,
        ..ExitFacts::default()
    };
    assert_eq!(classify(&transcript, exit).0, expected, "{fields}");
}

#[test]
fn a_run_is_judged_by_the_fields_of_its_result() {
    check(r#""is_error":false,"result":"ok""#, 0, RunOutcome::Success);
    check(
        r#""is_error":false,"result":"API Error: 429""#,
        0,
        RunOutcome::Success,
    );
    check(
        r#""is_error":true,"api_error_status":401,"result":"Invalid API key""#,
        1,
        RunOutcome::ApiRefused,
    );
    check(
        r#""is_error":true,"api_error_status":403,"result":"Request not allowed""#,
        1,
        RunOutcome::ApiRefused,
    );
    check(
        r#""is_error":true,"api_error_status":429,"result":"x""#,
        1,
        RunOutcome::ApiBusy,
    );
    check(
        r#""is_error":true,"api_error_status":529,"result":"x""#,
        1,
        RunOutcome::ApiBusy,
    );
    check(
        r#""is_error":true,"api_error_status":500,"result":"x""#,
        1,
        RunOutcome::ApiFailed,
    );
    check(
        r#""is_error":true,"api_error_status":400,"result":"Credit balance is too low""#,
        1,
        RunOutcome::ApiRefused,
    );
    check(
        r#""is_error":true,"api_error_status":400,"result":"API Error: 400 messages.3: `tool_use` ids were found without `tool_result` blocks""#,
        1,
        RunOutcome::SessionUnusable,
    );
    check(
        r#""is_error":true,"api_error_status":400,"terminal_reason":"prompt_too_long","result":"Prompt is too long""#,
        1,
        RunOutcome::PromptTooLong,
    );
    check(
        r#""is_error":true,"api_error_status":400,"result":"Prompt is too long""#,
        1,
        RunOutcome::PromptTooLong,
    );
    check(
        r#""is_error":true,"errors":["No conversation found with session ID: s-9"]"#,
        1,
        RunOutcome::SessionUnusable,
    );
    check(
        r#""is_error":true,"subtype":"error_max_turns""#,
        1,
        RunOutcome::AgentFailed,
    );
}

#[test]
fn the_way_a_container_ended_counts_when_there_is_no_good_result() {
    let silent = transcript(&[INIT]);
    let judge = |exit: ExitFacts| classify(&silent, exit).0;
    let killed = ExitFacts {
        exit_code: 137,
        ..ExitFacts::default()
    };
    assert_eq!(judge(killed), RunOutcome::ContainerFailed);
    assert_eq!(
        judge(ExitFacts {
            timed_out: true,
            ..killed
        }),
        RunOutcome::Timeout
    );
    assert_eq!(
        judge(ExitFacts {
            stopped: true,
            ..killed
        }),
        RunOutcome::Stopped
    );
    assert_eq!(
        judge(ExitFacts {
            out_of_memory: true,
            ..killed
        }),
        RunOutcome::OutOfMemory
    );
}

#[test]
fn usage_and_session_come_from_the_result() {
    let transcript = transcript(&[INIT, &result(r#""is_error":false"#)]);
    let (usage, cost) = transcript.usage();
    assert_eq!((usage.input, usage.output, usage.cache_read), (10, 20, 7));
    assert_eq!((usage.web_searches, usage.web_fetches, cost), (1, 2, 12346));
    assert_eq!(transcript.turns_and_duration_ms(), (2, 70));
    assert_eq!(transcript.session(), Some(&SessionId("s-1".to_owned())));
}

#[test]
fn unknown_and_broken_lines_are_kept_and_never_fatal() {
    let mut transcript = Transcript::default();
    assert_eq!(
        transcript
            .observe(r#"{"type":"brand_new","x":1}"#)
            .event_type,
        "_unknown"
    );
    assert_eq!(transcript.observe("not json").event_type, "_text");
    assert_eq!(transcript.observe("[1,2]").event_type, "_text");
    assert_eq!(transcript.observe(r#"{"type":7}"#).event_type, "_unknown");
    assert_eq!(transcript.text_lines(), ["not json", "[1,2]"]);
    assert_eq!(transcript.lines(), 4);
}

#[test]
fn the_reply_is_the_last_text_with_a_much_longer_one_before_it() {
    let long = "l".repeat(100);
    let reply = |lines: &[&str]| reply_text(&transcript(lines));
    assert_eq!(reply(&[&text("first"), &text("second")]), "second");
    assert_eq!(
        reply(&[&text(&long), &text("done")]),
        format!("{long}\n\ndone")
    );
    assert_eq!(
        reply(&[&text(&long), &text("a"), &text("b")]),
        format!("{long}\n\na\n\nb")
    );
    assert_eq!(
        reply(&[&result(r#""is_error":false,"result":"only here""#)]),
        "only here"
    );
    assert_eq!(reply(&[]), NO_OUTPUT);
    let two = [result(r#""result":"one""#), result(r#""result":"two""#)];
    assert_eq!(reply(&[&two[0], &two[1]]), "one\n\ntwo");
    let aside = text("to its parent").replace("null", "\"tool-1\"");
    assert_eq!(reply(&[&text("mine"), &aside]), "mine");
}

#[test]
fn the_plan_is_read_from_either_tool() {
    let mut transcript = Transcript::default();
    let wrote = transcript.observe(r#"{"type":"assistant","message":{"content":[{"type":"tool_use","id":"t","name":"TodoWrite","input":{"todos":[{"content":"A","status":"completed","activeForm":"Doing A"},{"content":"B","status":"in_progress"}]}}]}}"#);
    assert!(wrote.plan_changed);
    assert_eq!(transcript.todos()[1].status, TodoStatus::InProgress);
    let mut transcript = Transcript::default();
    transcript.observe(r#"{"type":"assistant","message":{"content":[{"type":"tool_use","id":"t1","name":"TaskCreate","input":{"subject":"A","activeForm":"Doing A"}}]}}"#);
    let created = transcript.observe(r#"{"type":"user","message":{"content":[{"type":"tool_result","tool_use_id":"t1","content":"ok"}]},"tool_use_result":{"task":{"id":"1","subject":"A"}}}"#);
    assert!(created.plan_changed);
    transcript.observe(r#"{"type":"assistant","message":{"content":[{"type":"tool_use","id":"t2","name":"TaskUpdate","input":{"taskId":"1","status":"completed"}}]}}"#);
    assert_eq!(transcript.todos()[0].status, TodoStatus::Completed);
    assert_eq!(transcript.todos()[0].active_form, "Doing A");
}

#[test]
fn the_arguments_are_those_of_the_original() {
    let session = SessionId("s-1".to_owned());
    assert_eq!(
        arguments("opus", Some("high"), Some(&session)).join(" "),
        "--resume s-1 --model opus --effort high -p - --dangerously-skip-permissions \
         --output-format stream-json --verbose"
    );
    assert!(!arguments("opus", None, None).contains(&"--resume".to_owned()));
}

#[test]
fn a_transcript_stays_small_whatever_is_written() {
    let mut transcript = Transcript::default();
    let long = "é".repeat(LINE_READ_BYTES_MAX / 4);
    for _ in 0..40 {
        transcript.observe(&text(&long));
        transcript.observe(&result(&format!(r#""is_error":false,"result":"{long}""#)));
        transcript.observe(&long);
    }
    assert_eq!(transcript.results().len(), RESULTS_MAX);
    assert_eq!(transcript.turns_and_duration_ms(), (80, 2800));
    let bytes: usize = transcript.texts.iter().map(String::len).sum();
    assert!(bytes <= TEXTS_BYTES_MAX && bytes > TEXTS_BYTES_MAX / 2);
    assert!(
        transcript
            .text_lines()
            .iter()
            .all(|line| line.len() == 2 * TEXT_LINE_CHARS_MAX)
    );
    let reply = reply_text(&transcript);
    assert!(reply.len() <= REPLY_BYTES_MAX && reply.ends_with("left out)"));
}

#[test]
fn a_line_too_long_to_be_read_is_known_by_its_head_and_a_result_keeps_its_fields() {
    let deep = "[".repeat(100) + &"]".repeat(100);
    let bulk = vec![deep; LINE_READ_BYTES_MAX / 200 + 1].join(",");
    let mut transcript = Transcript::default();
    let user = format!(r#"{{"bulk":[{bulk}],"type":"user","subtype":7,"session_id":"s-2"}}"#);
    let facts = transcript.observe(&user);
    assert_eq!(
        (facts.event_type.as_str(), facts.subtype.as_str()),
        ("user", "")
    );
    assert_eq!(facts.session, Some(SessionId("s-2".to_owned())));
    let words = "w".repeat(2 * LINE_READ_BYTES_MAX);
    let fields = format!(r#""is_error":true,"result":"{words}","api_error_status":529"#);
    assert_eq!(transcript.observe(&result(&fields)).event_type, "result");
    let kept = transcript.results().last().unwrap();
    assert_eq!((kept.is_error, kept.api_error_status), (true, Some(529)));
    assert_eq!(kept.text.as_ref().map(String::len), Some(REPLY_BYTES_MAX));
    assert_eq!(transcript.observe(&words).event_type, "_text");
}

#[test]
fn attack_no_line_makes_an_event_that_the_log_would_refuse() {
    let long = "\u{10348}".repeat(LINE_READ_BYTES_MAX / 8);
    let todo = format!(
        r#"{{"content":"{}","activeForm":"{}"}}"#,
        &long[..4000],
        &long[..4000]
    );
    let todos = vec![todo; 120].join(",");
    let plan = format!(
        r#"{{"type":"assistant","session_id":"{}","message":{{"content":[{{"type":"tool_use","name":"TodoWrite","input":{{"todos":[{todos}]}}}}]}}}}"#,
        &long[..400]
    );
    let fields = format!(r#""is_error":true,"errors":["{long}"],"terminal_reason":"{long}""#);
    let failed = result(&fields).replace("success", &long);
    let named = format!(r#"{{"type":"{long}","subtype":"{long}","session_id":"../x"}}"#);
    let mut transcript = Transcript::default();
    for line in [&plan, &failed, &named] {
        let facts = transcript.observe(line);
        let bytes = facts.event_type.len() + facts.subtype.len();
        assert!(bytes < 1024, "{bytes}");
        assert!(facts.session.is_none_or(|session| session.0 == "s-1"));
    }
    let exit = ExitFacts::default();
    let judged = crate::events::run::RunOutcomeClassified {
        run: "00000000000a.1".parse().unwrap(),
        outcome: classify(&transcript, exit).0,
        rule: classify(&transcript, exit).1,
        usage: TokenUsage::default(),
        cost_microusd: 0,
        turns: 0,
    };
    assert!(judged.rule.chars().count() <= RULE_CHARS_MAX);
    let items = transcript.todos();
    assert!(!items.is_empty() && items.len() <= 100);
    let plan = crate::events::task::TodoListUpdated {
        task: judged.run.task,
        items,
    };
    for event in [crate::events::Event::from(judged), plan.into()] {
        let bytes = crate::events::codec::encode_payload(&event).bytes.len();
        assert!(
            bytes < crate::events::codec::RECORD_BYTES_MAX - 1024,
            "{bytes}"
        );
    }
}

#[test]
fn gap_18_a_usage_limit_is_read_with_its_time_and_is_no_broken_session() {
    let event =
        |fields: &str| format!(r#"{{"type":"rate_limit_event","rate_limit_info":{{{fields}}}}}"#);
    let rejected =
        event(r#""status":"rejected","resetsAt":1778565600,"rateLimitType":"five_hour""#);
    let failed = |text: &str| {
        result(&format!(
            r#""is_error":true,"api_error_status":429,"result":"{text}""#
        ))
    };
    let met = |lines: &[&str]| {
        let transcript = transcript(lines);
        let exit = ExitFacts {
            exit_code: 1,
            ..ExitFacts::default()
        };
        let limit = transcript.usage_limit();
        if limit.is_some() {
            assert_eq!(classify(&transcript, exit).0, RunOutcome::ApiBusy);
        }
        limit.map(|limit| (limit.name, limit.resets_at.map(|at| at.0)))
    };
    let words = "You've hit your session limit · resets 2pm (Europe/Paris)";
    let five_hours = Some(("five_hour".to_owned(), Some(1_778_565_600_000)));
    assert_eq!(met(&[INIT, &rejected, &failed(words)]), five_hours);
    assert_eq!(met(&[INIT, &failed(words)]), Some((String::new(), None)));
    let old = "Claude AI usage limit reached|1762952400";
    assert_eq!(
        met(&[INIT, &failed(old)]),
        Some((String::new(), Some(1_762_952_400_000)))
    );
    // A warning is no refusal, and neither is a limit that was lifted, or another failure after it.
    let warned = event(r#""status":"allowed_warning","resetsAt":1778565600"#);
    assert_eq!(met(&[INIT, &warned, &failed("slow down")]), None);
    assert_eq!(met(&[INIT, &rejected, &warned, &failed("slow down")]), None);
    let other = result(r#""is_error":true,"api_error_status":400,"result":"Prompt is too long""#);
    assert_eq!(met(&[INIT, &rejected, &other]), None);
    assert_eq!(
        met(&[
            INIT,
            &rejected,
            &result(r#""is_error":false,"result":"ok""#)
        ]),
        None
    );
    assert_eq!(met(&[INIT, &text(old), &failed("slow down")]), None);
}
