//! The judgement on a run that was frozen: its agent's words and session are not used any more. Pure.

use crate::events::container::{FrozenState, RunFrozen};
use crate::events::run::RunOutcome;
use crate::handlers::tasks::answer::Said;
use crate::handlers::tasks::run::Judged;

/// Returns the judgement on a run as it is when the run was frozen.
pub(super) fn judge_frozen(mut judged: Judged, frozen: &RunFrozen) -> Judged {
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
    judged.judgement.outcome = RunOutcome::Frozen;
    judged.judgement.rule = "honey surrogate seen".to_owned();
    judged.said = Said {
        reply: format!(
            "found in {why}\ncontainer {container} ({state})\nlet go by: airut stop {}",
            frozen.run.task
        ),
        last_lines: vec![],
        ..judged.said
    };
    // Whoever led the agent to this may have done it through what it has read in the session.
    judged.session = None;
    judged
}
