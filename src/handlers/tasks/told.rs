//! A task's answer as its sender reads it: the words of its end, with what they need to know around
//! them. Pure.

use crate::config::types::Repo;
use crate::events::run::RunOutcomeClassified;
use crate::handlers::effect::Assignment;
use crate::handlers::tasks::answer::{Answer, footer};
use crate::handlers::tasks::notes::{
    OF_OTHERS, RESTARTED, begins_anew, could_not_attach, scheduled_failed,
};
use crate::projections::civil::iso_seconds;
use crate::projections::usage::Spent;

/// What an answer is worded from.
pub(super) struct Told<'a> {
    /// The task.
    pub(super) assignment: &'a Assignment,
    /// Its repository, as it is configured; nothing when it no longer is.
    pub(super) repo: Option<&'a Repo>,
    /// What is answered.
    pub(super) answer: &'a Answer,
    /// The judgement of its last run, if one ran.
    pub(super) judgement: Option<&'a RunOutcomeClassified>,
    /// What all its runs took.
    pub(super) spent: Spent,
    /// Names of the files that could not be attached.
    pub(super) refused: &'a [String],
}

/// Returns the text, Markdown.
pub(super) fn text_of(told: &Told<'_>) -> String {
    let mut text = told.answer.text.trim_end().to_owned();
    if let Some(forgotten) = told.assignment.forgotten {
        text = format!("{}\n\n{text}", begins_anew(forgotten));
    }
    let schedule = told.assignment.task.schedule.as_ref();
    if let Some(schedule) = schedule.filter(|_| told.answer.is_error()) {
        let due = iso_seconds(schedule.fired.slot);
        text = format!("{}\n\n{text}", scheduled_failed(&schedule.fired.name, &due));
    }
    if told.assignment.foreign.is_some() {
        text = format!("{OF_OTHERS}\n\n{text}");
    }
    if was_run_again(told) {
        text = format!("{text}\n\n{RESTARTED}");
    }
    if !told.refused.is_empty() {
        text = format!("{text}\n\n{}", could_not_attach(told.refused));
    }
    let shows_cost = told.repo.is_none_or(shows_cost);
    match footer(told.spent.cost_microusd, told.spent.usage, shows_cost) {
        Some(footer) => format!("{text}\n\n{footer}"),
        None => text,
    }
}

/// A restart that found the answer in the log already ran nothing again.
fn was_run_again(told: &Told<'_>) -> bool {
    let interrupted = told.assignment.task.interruptions > 0;
    interrupted
        && told
            .judgement
            .is_some_and(|judgement| judgement.run.attempt > 1)
}

/// A subscription's token without a key beside it means that nobody pays by use.
fn shows_cost(repo: &Repo) -> bool {
    let has = |name: &str| {
        let masked = repo.masked_secrets.keys().any(|masked| masked.0 == name);
        masked || repo.secrets.contains_key(name)
    };
    !has("CLAUDE_CODE_OAUTH_TOKEN") || has("ANTHROPIC_API_KEY")
}
