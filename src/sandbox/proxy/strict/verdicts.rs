//! What a connection's stream and its service tell each other: which request was refused before
//! hyper saw it, and whether the connection switched to another protocol.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use crate::sandbox::proxy::strict::head::Malformed;

/// A head that is not served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedHead {
    /// Why.
    pub why: Malformed,
    /// As much of it as is reported.
    pub bytes: Vec<u8>,
}

/// Shared by the stream and the service of one connection. Requests are numbered from 1.
#[derive(Debug, Clone, Default)]
pub struct Verdicts(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    asked: u64,
    answered: u64,
    switched: bool,
    refused: Option<(u64, RefusedHead)>,
    broken: Option<Malformed>,
    waiting: Option<Waker>,
}

impl Verdicts {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The stream refused this request; it is the last of its connection.
    pub fn refuse(&self, request: u64, refused: RefusedHead) {
        self.state().refused = Some((request, refused));
    }

    /// The stream broke off in a body.
    pub fn break_off(&self, why: Malformed) {
        self.state().broken = Some(why);
    }

    /// Returns why the stream broke off, if it did.
    pub fn broken(&self) -> Option<Malformed> {
        self.state().broken.clone()
    }

    /// The service got its next request: returns what it is really, when hyper saw a stand-in.
    pub fn next_request(&self) -> Option<RefusedHead> {
        let mut state = self.state();
        state.asked += 1;
        let asked = state.asked;
        state
            .refused
            .take_if(|(number, _)| *number == asked)
            .map(|(_, refused)| refused)
    }

    /// The service answered its request, with a switch to another protocol or without.
    pub fn answered(&self, switched: bool) {
        let mut state = self.state();
        state.answered = state.asked;
        state.switched = switched;
        if let Some(waiting) = state.waiting.take() {
            waiting.wake();
        }
    }

    /// Returns whether the connection switched after this request; nothing while it is unanswered,
    /// and `waker` is woken then.
    pub fn switched(&self, request: u64, waker: &Waker) -> Option<bool> {
        let mut state = self.state();
        if state.answered < request {
            state.waiting = Some(waker.clone());
            return None;
        }
        Some(state.switched)
    }
}
