//! What a file may say of schedules.

use super::*;
use crate::config::types::Config;
use crate::events::id::RepoId;

const MAIL: &str = "    email:
      account: {username: a, from: a@b.test, password: x}
      imap: {server: mail.test}
      smtp: {server: mail.test}
      auth: {authorized_senders: [c@b.test], trusted_authserv_id: mx}
";

fn read(mail: &str, schedule: &str) -> Result<Config, String> {
    let text = format!(
        "config_version: 5\nnetwork: {{upstream_dns: 9.9.9.9}}\nrepos:\n  ferry:\n    repo_url: x\n\
         {mail}    schedules:\n      dawn-brief: {schedule}\n"
    );
    let read = crate::config::read::read(&text, &[].into(), None);
    read.map_err(|problem| problem.to_string())
}

fn schedule(text: &str) -> Schedule {
    let mut config = read(MAIL, text).unwrap();
    let mut repo = config.repos.remove(&RepoId("ferry".to_owned())).unwrap();
    repo.schedules.remove("dawn-brief").unwrap()
}

#[track_caller]
fn check(schedule: &str, expected: &str) {
    let error = read(MAIL, schedule).unwrap_err();
    assert!(error.contains(expected), "{error}");
}

#[test]
fn every_key_of_a_schedule_reads_as_written() {
    let prompt = schedule(
        r#"{cron: "15 6 * * 1-5", timezone: Europe/Oslo, enable: false, subject: Dawn, prompt: List.,
           model: haiku, effort: low, deliver: {channel: email, to: captain@harbor.test},
           overlap: allow, catch_up: all}"#,
    );
    assert_eq!(prompt.cron.to_string(), "15 6 * * 1-5");
    assert_eq!(prompt.timezone.as_deref(), Some("Europe/Oslo"));
    assert_eq!(prompt.subject.as_deref(), Some("Dawn"));
    assert_eq!(
        (prompt.model.as_deref(), prompt.effort.as_deref()),
        (Some("haiku"), Some("low"))
    );
    assert_eq!(prompt.work, Work::Prompt("List.".to_owned()));
    let to = "captain@harbor.test".to_owned();
    assert_eq!(prompt.deliver, Deliver::Email { to });
    assert!(!prompt.enabled);
    assert_eq!(
        (prompt.overlap, prompt.catch_up),
        (Overlap::Allow, CatchUp::All)
    );
    let command = schedule(
        r#"{cron: "*/20 * * * *", trigger_command: "ops/leak-watch --since '20 m'",
           trigger_timeout: 90, output_limit: 32768, deliver: {to: crew@crew.harbor.test}}"#,
    );
    let argv = ["ops/leak-watch", "--since", "20 m"].map(str::to_owned);
    let expected = Work::Command {
        text: "ops/leak-watch --since '20 m'".to_owned(),
        argv: argv.to_vec(),
        timeout_s: Some(90),
        output_bytes_max: 32768,
    };
    assert_eq!(command.work, expected);
    assert!(command.enabled);
    assert_eq!(
        (command.overlap, command.catch_up),
        (Overlap::Skip, CatchUp::Once)
    );
    let (timezone, subject) = (command.timezone, command.subject);
    assert_eq!(
        (timezone, subject, command.model, command.effort),
        (None, None, None, None)
    );
}

#[test]
fn a_command_has_the_repositorys_time_limit_and_100_kib_of_output_by_default() {
    let command = schedule(r#"{cron: "0 0 * * *", trigger_command: x, deliver: {to: a@b.test}}"#);
    let Work::Command {
        timeout_s,
        output_bytes_max,
        ..
    } = command.work
    else {
        panic!("it is no command");
    };
    assert_eq!((timeout_s, output_bytes_max), (None, 102_400));
}

#[test]
fn what_cannot_be_acted_on_is_refused_with_its_place() {
    let to = "deliver: {to: a@b.test}";
    check(
        &format!("{{prompt: x, {to}}}"),
        "dawn-brief.cron is required",
    );
    check(
        &format!("{{cron: '60 * * * *', prompt: x, {to}}}"),
        "\"60\" is no minute",
    );
    // Gap 13: a wrong expression is an error of the configuration, and no crash.
    check(
        &format!("{{cron: '*5 * * * *', prompt: x, {to}}}"),
        "\"*5\" is no minute",
    );
    check(
        &format!("{{cron: '0 0 30 2 *', prompt: x, {to}}}"),
        "never due",
    );
    let one = "must have exactly one of prompt and trigger_command";
    check(&format!("{{cron: '0 0 * * *', {to}}}"), one);
    check(
        &format!("{{cron: '0 0 * * *', prompt: x, trigger_command: y, {to}}}"),
        one,
    );
    check(&format!("{{cron: '0 0 * * *', prompt: '', {to}}}"), one);
    check(
        "{cron: '0 0 * * *', prompt: x}",
        "dawn-brief.deliver.to is required",
    );
    check(
        "{cron: '0 0 * * *', prompt: x, deliver: {to: a}}",
        "one plain address",
    );
    check(
        "{cron: '0 0 * * *', prompt: x, deliver: {to: 'a@b.test, c@d.test'}}",
        "one plain",
    );
    check(
        "{cron: '0 0 * * *', prompt: x, deliver: {to: C1, channel: slack}}",
        "cannot be slack",
    );
    let command = |rest: &str| format!("{{cron: '0 0 * * *', {to}, {rest}}}");
    check(&command("trigger_command: \"a 'b\""), "without an end");
    check(
        &command("trigger_command: x, trigger_timeout: 9"),
        "from 10 to",
    );
    check(&command("trigger_command: x, output_limit: 0"), "from 1 to");
    check(
        &command("prompt: x, overlap: wait"),
        "must be one of: skip, allow",
    );
    check(
        &command("prompt: x, catch_up: twice"),
        "must be one of: skip, once, all",
    );
    check(&command("prompt: x, enabled: true"), "did you mean enable?");
}

#[test]
fn a_schedule_needs_a_mailbox_to_send_from() {
    let error = read(
        "",
        "{cron: '0 0 * * *', prompt: x, deliver: {to: a@b.test}}",
    )
    .unwrap_err();
    assert!(
        error.contains("needs the repository's email section"),
        "{error}"
    );
}

#[test]
fn long_names_and_prompts_are_refused_beyond_their_limits() {
    let of = |length: usize| {
        let prompt = "x".repeat(length);
        read(
            MAIL,
            &format!("{{cron: '0 0 * * *', prompt: {prompt}, deliver: {{to: a@b.test}}}}"),
        )
    };
    assert!(of(TEXT_BYTES_MAX - 1).is_ok() && of(TEXT_BYTES_MAX).is_ok());
    assert!(
        of(TEXT_BYTES_MAX + 1)
            .unwrap_err()
            .contains("has more than")
    );
    let named = |length: usize| check_name(&"n".repeat(length), Place::default());
    assert!(named(NAME_CHARS_MAX - 1).is_ok() && named(NAME_CHARS_MAX).is_ok());
    named(NAME_CHARS_MAX + 1).unwrap_err();
    check_name("a/b", Place::default()).unwrap_err();
}
