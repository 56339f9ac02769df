//! Why an agent is ended, or frozen, before its time.

use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::events::container::StopCause;
use crate::sandbox::link_server::LinkState;
use crate::sandbox::port::RunRequest;

/// Why an agent was ended before its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Cut {
    Stopped,
    ServiceEnds,
    TimedOut,
    ProxyLost,
    TooMuchOutput,
    /// The honey surrogate was seen; the words say where.
    HoneySeen(String),
}

/// Waits for a reason to end the agent.
pub(super) async fn await_cut(
    request: &RunRequest,
    link: Option<watch::Receiver<LinkState>>,
    stop: &CancellationToken,
    flood: &CancellationToken,
) -> Cut {
    let limit = async {
        match request.limits.timeout_ms {
            Some(milliseconds) => tokio::time::sleep(Duration::from_millis(milliseconds)).await,
            None => std::future::pending().await,
        }
    };
    let ended = async {
        match link {
            Some(mut link) => {
                // An error means that the server is gone, and with it the proxy's permission.
                let over = |state: &LinkState| {
                    matches!(state, LinkState::Lost(_) | LinkState::HoneySeen(_))
                };
                match link.wait_for(over).await.as_deref() {
                    Ok(LinkState::HoneySeen(words)) => Cut::HoneySeen(words.clone()),
                    Ok(_) | Err(_) => Cut::ProxyLost,
                }
            }
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = stop.cancelled() => {
            if request.service_ends.is_cancelled() { Cut::ServiceEnds } else { Cut::Stopped }
        }
        () = limit => Cut::TimedOut,
        cut = ended => cut,
        () = flood.cancelled() => Cut::TooMuchOutput,
    }
}

/// Returns the cause that a signal is recorded with.
pub(super) fn cause_of(cut: &Cut) -> StopCause {
    match cut {
        Cut::Stopped => StopCause::Requested,
        Cut::ServiceEnds => StopCause::Shutdown,
        Cut::TooMuchOutput => StopCause::OutputLimit,
        Cut::TimedOut => StopCause::TimeLimit,
        // It gets no signal; it is frozen.
        Cut::ProxyLost | Cut::HoneySeen(_) => StopCause::ProxyLost,
    }
}

/// Returns whether a proxy has seen the honey surrogate.
pub(super) fn has_seen_honey(link: Option<&watch::Receiver<LinkState>>) -> bool {
    link.is_some_and(|link| matches!(&*link.borrow(), LinkState::HoneySeen(_)))
}
