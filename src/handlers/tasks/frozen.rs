//! The judgement on a run that was frozen: its agent's words and session are not used any more. Pure.

use crate::events::container::{FrozenState, RunFrozen};
use crate::events::run::RunOutcome;
use crate::handlers::tasks::answer::Said;
use crate::handlers::tasks::run::Judged;

/// Returns the judgement on a run as it is when the run was frozen.
pub(super) fn judge_frozen(judged: Judged, frozen: &RunFrozen) -> Judged {
    let RunFrozen {
        container,
        state,
        why,
        ..
    } = frozen;
    let state = match state {
        FrozenState::Paused => "paused",
        FrozenState::Killed => "killed",
    };
    let release = format!("released by: airut stop {}", frozen.run.task);
    judge_honey(
        judged,
        format!("found in {why}\ncontainer {container} ({state})\n{release}"),
    )
}

/// Returns the judgement on a run that would have been frozen, if the service had not ended first:
/// its next start removed the container, and nothing of it can be looked at.
pub(super) fn judge_not_kept(judged: Judged, place: &str) -> Judged {
    let words = "its container is not kept, since the service ended before it could be frozen";
    judge_honey(judged, format!("found in {place}\n{words}"))
}

fn judge_honey(mut judged: Judged, reply: String) -> Judged {
    judged.judgement.outcome = RunOutcome::Frozen;
    judged.judgement.rule = "honey surrogate seen".to_owned();
    judged.said = Said {
        reply,
        last_lines: vec![],
        ..judged.said
    };
    // Whoever led the agent to this may have done it through what it has read in the session.
    judged.session = None;
    judged
}
