//! An explanation as an operator reads it: the verdict first, then what it rests on, then the text.

use crate::cli::output::Output;
use crate::service::mail_explain::{Continued, Explanation, Identity};

/// Prints an explanation; `unknown` says why no conversation was looked up.
pub(super) fn explanation(explained: &Explanation, unknown: Option<&str>, output: Output) {
    let rows = [
        ("Verdict", verdict(explained)),
        ("Repository", explained.repo.clone().unwrap_or_default()),
        ("Sender", sender(explained)),
        ("Evidence", identity(explained, |it| &it.evidence)),
        ("Rule", identity(explained, |it| &it.rule)),
        ("Subject", explained.subject.clone()),
        ("Conversation", conversation(explained, unknown)),
        ("Model", explained.model_hint.clone().unwrap_or_default()),
        ("Command", explained.command.clone().unwrap_or_default()),
        (
            "Message-ID",
            explained.message_id.clone().unwrap_or_default(),
        ),
    ];
    for (name, value) in rows.iter().filter(|(_, value)| !value.is_empty()) {
        output.foreign(&format!("{name:<13} {value}"));
    }
    for file in &explained.attachments {
        let (name, kind, bytes) = (&file.name, &file.media_type, file.bytes);
        output.foreign(&format!("{:<13} {name} ({kind}, {bytes} bytes)", "File"));
    }
    output.heading(if explained.verdict == "declined" {
        "\nAnswer"
    } else {
        "\nText"
    });
    output.foreign(if explained.body.is_empty() {
        "(none)"
    } else {
        &explained.body
    });
}

fn verdict(explained: &Explanation) -> String {
    let detail = explained.detail.clone().unwrap_or_default();
    match (explained.verdict, &explained.reason) {
        ("accepted", _) if explained.command.is_some() => {
            "accepted: it gives a command, and becomes a task when it says more".to_owned()
        }
        ("accepted", _) => "accepted: it becomes a task".to_owned(),
        ("declined", _) => "declined: its sender is told why, and nothing is worked on".to_owned(),
        ("rejected", Some(reason)) => format!(
            "rejected ({}), its sender gets no answer: {detail}",
            reason.replace('_', " ")
        ),
        _ => format!("not judged: {detail}"),
    }
}

fn sender(explained: &Explanation) -> String {
    match &explained.identity {
        Some(identity) => {
            let method = identity.method.replace('_', " ");
            format!("{}, proven by {method}", identity.address)
        }
        None => format!("{} (claimed, not proven)", explained.claimed_sender),
    }
}

fn identity(explained: &Explanation, field: impl Fn(&Identity) -> &String) -> String {
    let known = explained.identity.as_ref();
    known.map(field).cloned().unwrap_or_default()
}

fn conversation(explained: &Explanation, unknown: Option<&str>) -> String {
    let Some(Continued {
        id,
        found_in,
        state,
    }) = &explained.conversation
    else {
        return "none named: it begins a new one".to_owned();
    };
    let place = match found_in.as_str() {
        "in_reply_to" => "In-Reply-To",
        "references" => "References",
        "subject_tag" => "the subject's tag",
        _ => "the thread it stands in",
    };
    let state = match *state {
        "continued" => "it is there and goes on".to_owned(),
        "new" => "it is not there: the mail begins a new one".to_owned(),
        "forgotten" => "it is forgotten: the mail begins a new one, and is told so".to_owned(),
        _ => match unknown {
            Some(why) => format!("whether it is there was not looked up: {why}"),
            None => "whether it is there was not looked up".to_owned(),
        },
    };
    format!("{id}, from {place}; {state}")
}
