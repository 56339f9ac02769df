//! What goes wrong because a test wants it to: so many calls of a method, after so many that go well.

use serde::{Deserialize, Serialize};

/// A fault that waits for its calls.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Fault {
    /// The method that it is about; `*` is any.
    pub(crate) method: String,
    /// Calls that go well before.
    #[serde(default)]
    pub(crate) skip: u64,
    /// Calls that it strikes; then it is gone.
    #[serde(default = "once")]
    pub(crate) times: u64,
    /// What it does.
    #[serde(flatten)]
    pub(crate) kind: FaultKind,
}

/// What a fault does.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum FaultKind {
    /// Answers with Slack's error envelope.
    Error { error: String },
    /// Answers with a status and no JSON, as a broken front end does.
    Status { status: u16 },
    /// Answers 429.
    RateLimited { retry_after: u64 },
    /// Does it, but later.
    Delay { delay_ms: u64 },
    /// Does it, and breaks off before answering: the caller cannot know.
    LoseAnswer,
    /// Breaks off without having done it.
    LoseRequest,
}

fn once() -> u64 {
    1
}

/// Takes the fault that strikes this call, if one does.
pub(crate) fn strike(faults: &mut Vec<Fault>, method: &str) -> Option<FaultKind> {
    let is_about = |fault: &&mut Fault| fault.method == method || fault.method == "*";
    let fault = faults.iter_mut().find(is_about)?;
    if fault.skip > 0 {
        fault.skip -= 1;
        return None;
    }
    let kind = fault.kind.clone();
    fault.times = fault.times.saturating_sub(1);
    faults.retain(|fault| fault.times > 0);
    Some(kind)
}
