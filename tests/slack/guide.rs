//! The guide for newcomers, walked: its configuration is loaded and checked against the stand-in, its
//! commands are commands, and what it names is there.

use std::process::Command;

use serde_json::Value;

use crate::rig::{Rig, message, quick};
use crate::rules::{ALICE, APP_TOKEN, BOT_TOKEN, GENERAL, Ground};

const GUIDE: &str = include_str!("../../doc/slack-setup.md");

fn block(language: &str) -> impl Iterator<Item = &'static str> {
    let fence = format!("```{language}\n");
    let blocks: Vec<&str> = GUIDE.split(fence.as_str()).skip(1).collect();
    let blocks = blocks.into_iter();
    blocks.map(|rest| rest.split("\n```").next().unwrap_or_default())
}

fn airut(home: &std::path::Path, arguments: &[&str]) -> std::process::Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_airut"));
    let command = command.args(arguments).env_clear().current_dir(home);
    let command = command.env("HOME", home);
    let command = command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.output().unwrap()
}

#[test]
fn the_guides_configuration_with_tokens_beside_it_passes_the_check() {
    let ground = Ground::quick();
    let home = tempfile::tempdir().unwrap();
    let directory = home.path().join(".config/airut");
    std::fs::create_dir_all(&directory).unwrap();
    let config = block("yaml").next().unwrap();
    let api = format!("    slack:\n      api_url: {}\n", ground.hand.api_url());
    let here = config.replace("    slack:\n", &api);
    std::fs::write(directory.join("airut.yaml"), here).unwrap();
    // The guide's own commands write the tokens.
    let tokens = block("sh").next().unwrap();
    let tokens = tokens.replace("xoxb-…", BOT_TOKEN);
    let tokens = tokens.replace("xapp-…", APP_TOKEN);
    let wrote = Command::new("sh")
        .args(["-ec", &tokens])
        .env("HOME", home.path())
        .status();
    assert!(wrote.unwrap().success());
    let checked = airut(home.path(), &["check"]);
    let words = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(words.contains("reachable by Slack"), "{words}");
    assert!(words.contains("Slack: app_token opens sockets"), "{words}");
    assert!(!words.contains("bad   repository"), "{words}");
}

#[test]
fn the_first_answer_comes_as_the_guide_says_alone_and_in_a_channel() {
    let config = block("yaml").next().unwrap();
    let rules = config.split_once("      authorized:\n").unwrap().1;
    let rules = rules.replace("        - ", "- ");
    let rig = Rig::with(quick(), &format!("authorized:\n{rules}"));
    let running = rig.start();
    let mention = "@airut what do the tests need?";
    assert!(GUIDE.contains(mention));
    let mention = mention.replace("@airut", "<@U0HERALD01>");
    for (channel, words) in [(Some(GENERAL), mention.as_str()), (None, "and the nets?")] {
        let (channel, ts) = rig.says(&message(ALICE, channel, words));
        let answers = rig.answered(&channel, &ts, 1);
        let asked = words.rsplit("> ").next().unwrap();
        assert!(answers[0].contains(asked), "{answers:?}");
    }
    // With the scopes of the manifest nothing was refused.
    let calls = rig.hand.look("calls");
    let refused = |call: &&Value| call["outcome"] == "missing_scope";
    let refused: Vec<&Value> = calls["calls"]
        .as_array()
        .unwrap()
        .iter()
        .filter(refused)
        .collect();
    assert!(refused.is_empty(), "{refused:?}");
    running.stop();
}

#[test]
fn the_guides_commands_are_there_and_what_it_says_of_check_is_what_is_said() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("reply.md"), "*Done*").unwrap();
    let shown = airut(home.path(), &["render", "--channel", "slack", "reply.md"]);
    assert!(shown.status.success(), "{shown:?}");
    for command in ["run-gateway", "replay", "events", "check"] {
        assert!(airut(home.path(), &[command, "--help"]).status.success());
        assert!(GUIDE.contains(&format!("airut {command}")), "{command}");
    }
    let views = airut(home.path(), &["replay", "--help"]);
    assert!(String::from_utf8_lossy(&views.stdout).contains("rejected"));
    for (limit, number) in [
        (
            "FILES_MAX",
            airut::handlers::channels::slack::find_out::FILES_MAX,
        ),
        (
            "MESSAGES_MAX",
            airut::handlers::channels::slack::outgoing::MESSAGES_MAX,
        ),
        (
            "THREADS_MAX",
            airut::handlers::channels::slack::backfill::THREADS_MAX,
        ),
        (
            "REPLAYED_MAX",
            airut::handlers::channels::slack::history::REPLAYED_MAX,
        ),
    ] {
        let row = GUIDE
            .lines()
            .find(|line| line.starts_with(&format!("| `{limit}`")));
        assert!(row.unwrap().contains(&format!("| {number} ")), "{limit}");
    }
    let manifest = "config/slack-app-manifest.json";
    assert!(GUIDE.contains(manifest));
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    assert!(root.join(manifest).is_file());
}
