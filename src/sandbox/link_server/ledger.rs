//! What is recorded of one link, and when its receipts may go out. It knows no socket.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Stopwatch;
use crate::config::types::Audit;
use crate::events::Event;
use crate::events::id::RunId;
use crate::events::proxy::{DecisionLimitReached, DnsQueriesSuppressed, RelaxedAuditInForce};
use crate::sandbox::link_server::facts;
use crate::sandbox::link_server::quota::{DECISIONS_MAX, Quota, Ruling};
use crate::sandbox::proxy::link::encode;
use crate::sandbox::proxy::wire::{FromProxy, Outcome, ToProxy};
use crate::sandbox::recorder::{PortFuture, RECORD_EVENTS_MAX, RecordError, Recorder};

/// How long notes wait for a decision to share its append; then they are appended by themselves.
const NOTES_HELD_TIME_MAX: Duration = Duration::from_millis(25);

/// Events that wait for an append of their own; with more of them nothing is taken in before it is
/// done. A batch beside them still fits into one append.
const HELD_MAX: usize = RECORD_EVENTS_MAX / 2 - 1;

/// With a relaxed audit: how long a decision may wait for the disk. From then on no further
/// request leaves until it is durable.
pub(super) const AUDIT_DELAY_MAX: Duration = Duration::from_millis(50);

/// What is recorded of one link.
pub(super) struct Ledger {
    run: RunId,
    audit: Audit,
    recorder: Arc<dyn Recorder>,
    quota: Quota,
    since: Stopwatch,
    /// Waits for the next append.
    held: Vec<Event>,
    /// Since when the first of them waits.
    held_since: Stopwatch,
    appending: Option<Appending>,
}

/// An append that is not durable yet.
struct Appending {
    since: Stopwatch,
    done: PortFuture<'static, Result<(), RecordError>>,
}

/// A decision and what the quota says of it.
type Decided = (u64, Ruling);

impl Ledger {
    /// Returns the ledger of a link that has said nothing.
    pub(super) fn new(run: RunId, audit: Audit, recorder: Arc<dyn Recorder>) -> Self {
        let mut ledger = Self {
            run,
            audit,
            recorder,
            quota: Quota::default(),
            since: Stopwatch::start(),
            held: vec![],
            held_since: Stopwatch::start(),
            appending: None,
        };
        if audit == Audit::Relaxed {
            let delay_ms_max = AUDIT_DELAY_MAX.as_millis() as u64;
            ledger.hold(RelaxedAuditInForce { run, delay_ms_max }.into());
        }
        ledger
    }

    /// Takes in what a batch says and returns the receipts that may go out now.
    ///
    /// # Errors
    /// When relaxed decisions that were acted on cannot be recorded: end the link.
    pub(super) async fn record(&mut self, batch: Vec<FromProxy>) -> std::io::Result<Vec<u8>> {
        let (decided, limit_reached) = self.take_in(batch);
        let tell_limit = limit_reached && !self.quota.limit_told;
        if tell_limit {
            let (run, decisions_max) = (self.run, DECISIONS_MAX);
            self.hold(DecisionLimitReached { run, decisions_max }.into());
        }
        let outcome = match self.audit {
            Audit::Strict if decided.is_empty() && self.held.len() <= HELD_MAX => {
                return Ok(vec![]);
            }
            Audit::Strict => match self.flush().await {
                Ok(()) => Outcome::Durable,
                Err(_) => Outcome::NotDurable,
            },
            Audit::Relaxed => {
                self.go_on().await.map_err(std::io::Error::other)?;
                Outcome::Accepted
            }
        };
        self.quota.limit_told |= tell_limit && outcome != Outcome::NotDurable;
        Ok(receipts(decided, outcome))
    }

    /// Does what is due without a batch: waits for an append, or begins one for what is held.
    ///
    /// # Errors
    /// As [`Self::record`].
    pub(super) async fn tend(&mut self) -> std::io::Result<()> {
        if self.appending.is_none() {
            if self.held.is_empty() {
                std::future::pending::<()>().await;
            }
            let wait = match self.audit {
                Audit::Strict => NOTES_HELD_TIME_MAX,
                Audit::Relaxed => Duration::ZERO,
            };
            tokio::time::sleep(wait.saturating_sub(self.held_since.elapsed())).await;
            self.begin();
        }
        match self.finish().await {
            Err(error) if self.audit == Audit::Relaxed => Err(std::io::Error::other(error)),
            // What was not recorded are notes: they let nothing out.
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Records what is left, once nothing more can come.
    pub(super) async fn close(mut self) {
        let (run, count) = (self.run, self.quota.suppressed());
        if count > 0 {
            self.hold(DnsQueriesSuppressed { run, count }.into());
        }
        // It is told in the daemon's own log; there is no request left to deny.
        let _told = self.flush().await;
    }

    /// Holds what is to be recorded; returns the decisions, and whether one is beyond the limit.
    fn take_in(&mut self, batch: Vec<FromProxy>) -> (Vec<Decided>, bool) {
        let (run, now_ms) = (self.run, self.since.elapsed_ms());
        let (mut decided, mut limit_reached) = (Vec::new(), false);
        for message in batch {
            let (number, fact) = match message {
                FromProxy::Ready | FromProxy::TokenWanted { .. } => continue,
                FromProxy::Decision { number, fact } => (Some(number), fact),
                FromProxy::Note { fact } => (None, fact),
            };
            let ruling = self.quota.rule(&fact, now_ms);
            decided.extend(number.map(|number| (number, ruling)));
            match ruling {
                Ruling::Record => facts::events(run, fact).for_each(|event| self.hold(event)),
                Ruling::Beyond => limit_reached = true,
                Ruling::Suppress => {}
            }
        }
        (decided, limit_reached)
    }

    fn hold(&mut self, event: Event) {
        if self.held.is_empty() {
            self.held_since = Stopwatch::start();
        }
        self.held.push(event);
    }

    /// Begins an append, and waits only when decisions have waited for the disk too long already.
    async fn go_on(&mut self) -> Result<(), RecordError> {
        let waits = self.appending.as_ref();
        let late = waits.is_some_and(|appending| appending.since.elapsed() > AUDIT_DELAY_MAX);
        if late || self.held.len() > HELD_MAX {
            return self.flush().await;
        }
        if self.appending.is_none() {
            self.begin();
        }
        Ok(())
    }

    /// Makes everything durable.
    async fn flush(&mut self) -> Result<(), RecordError> {
        let before = self.finish().await;
        self.begin();
        before.and(self.finish().await)
    }

    /// Begins an append of what is held; it goes on whoever stops waiting for it.
    fn begin(&mut self) {
        if self.held.is_empty() {
            return;
        }
        let (recorder, events) = (Arc::clone(&self.recorder), std::mem::take(&mut self.held));
        self.appending = Some(Appending {
            since: Stopwatch::start(),
            done: Box::pin(async move { recorder.record(events).await }),
        });
    }

    /// Waits for the append that was begun, if any.
    async fn finish(&mut self) -> Result<(), RecordError> {
        let Some(appending) = &mut self.appending else {
            return Ok(());
        };
        let recorded = appending.done.as_mut().await;
        self.appending = None;
        if let Err(error) = &recorded {
            let run = self.run;
            tracing::error!(%run, %error, "network decisions cannot be recorded; they are denied");
        }
        recorded
    }
}

fn receipts(decided: Vec<Decided>, recorded: Outcome) -> Vec<u8> {
    let receipts = decided.into_iter().map(|(number, ruling)| {
        let outcome = match ruling {
            Ruling::Beyond => Outcome::BeyondLimit,
            Ruling::Record => recorded,
            Ruling::Suppress => Outcome::NotDurable,
        };
        ToProxy::Receipt { number, outcome }
    });
    receipts.flat_map(|receipt| encode(&receipt)).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicBool, Ordering};

    use tokio::sync::Semaphore;

    use super::*;
    use crate::events::id::TaskId;
    use crate::sandbox::proxy::wire::Fact;

    struct Kept {
        names: Mutex<Vec<&'static str>>,
        failing: AtomicBool,
        /// A permit for each append that may become durable.
        gate: Semaphore,
    }

    impl Recorder for Kept {
        fn record(&self, events: Vec<Event>) -> PortFuture<'_, Result<(), RecordError>> {
            Box::pin(async move {
                self.gate.acquire().await.unwrap().forget();
                if self.failing.load(Ordering::Relaxed) {
                    return Err(RecordError("no space left".to_owned()));
                }
                let names = events.iter().map(Event::name);
                self.names.lock().unwrap().extend(names);
                Ok(())
            })
        }
    }

    fn gated(audit: Audit, gate: usize) -> (Ledger, Arc<Kept>) {
        let kept = Arc::new(Kept {
            names: Mutex::default(),
            failing: AtomicBool::default(),
            gate: Semaphore::new(gate),
        });
        let recorder = Arc::<Kept>::clone(&kept);
        (Ledger::new(TaskId(1).run(1), audit, recorder), kept)
    }

    fn ledger(decisions: u64) -> (Ledger, Arc<Kept>) {
        let (mut ledger, kept) = gated(Audit::Strict, Semaphore::MAX_PERMITS);
        ledger.quota = Quota::used(decisions);
        (ledger, kept)
    }

    fn refused(number: u64) -> FromProxy {
        let (port, name, reason) = (443, String::new(), "no server name".to_owned());
        let fact = Fact::Refused { port, name, reason };
        FromProxy::Decision { number, fact }
    }

    fn told_as(outcomes: &[(u64, Outcome)]) -> Vec<u8> {
        let receipt = |(number, outcome): &(u64, Outcome)| {
            let (number, outcome) = (*number, *outcome);
            encode(&ToProxy::Receipt { number, outcome })
        };
        outcomes.iter().flat_map(receipt).collect()
    }

    #[tokio::test]
    async fn the_limit_of_decisions_is_told_once_and_denies_for_ever() {
        let (mut ledger, kept) = ledger(DECISIONS_MAX - 1);
        let told = ledger.record(vec![refused(1), refused(2)]).await.unwrap();
        assert_eq!(
            told,
            told_as(&[(1, Outcome::Durable), (2, Outcome::BeyondLimit)])
        );
        let told = ledger.record(vec![refused(3)]).await.unwrap();
        assert_eq!(told, told_as(&[(3, Outcome::BeyondLimit)]));
        let names = kept.names.lock().unwrap().clone();
        assert_eq!(names, ["ConnectionRefused", "DecisionLimitReached"]);
    }

    #[tokio::test]
    async fn the_limit_is_told_again_when_it_could_not_be_recorded() {
        let (mut ledger, kept) = ledger(DECISIONS_MAX);
        kept.failing.store(true, Ordering::Relaxed);
        let told = ledger.record(vec![refused(1)]).await.unwrap();
        assert_eq!(told, told_as(&[(1, Outcome::BeyondLimit)]));
        kept.failing.store(false, Ordering::Relaxed);
        ledger.record(vec![refused(2)]).await.unwrap();
        assert_eq!(kept.names.lock().unwrap()[..], ["DecisionLimitReached"]);
    }

    #[tokio::test]
    async fn queries_beyond_the_rate_are_told_in_one_event() {
        let (mut ledger, kept) = ledger(0);
        let query = |number: u64| {
            let name = format!("n{number}.test");
            let (query_type, answer) = ("A".to_owned(), "10.199.1.100".to_owned());
            let fact = Fact::Dns {
                name,
                query_type,
                answer,
            };
            FromProxy::Note { fact }
        };
        for _ in 0..3 {
            ledger.record((0..500).map(query).collect()).await.unwrap();
        }
        ledger.close().await;
        let names = kept.names.lock().unwrap();
        let summaries = names.iter().filter(|name| **name == "DnsQueriesSuppressed");
        assert_eq!(summaries.count(), 1);
        assert_eq!(names.last(), Some(&"DnsQueriesSuppressed"));
        assert!((101..200).contains(&names.len()), "{}", names.len());
    }

    fn completed() -> FromProxy {
        let fact = Fact::Dns {
            name: "note.test".to_owned(),
            query_type: "A".to_owned(),
            answer: "10.199.1.100".to_owned(),
        };
        FromProxy::Note { fact }
    }

    #[tokio::test]
    async fn a_note_shares_the_append_of_the_next_decision() {
        let (mut ledger, kept) = gated(Audit::Strict, 1);
        assert!(ledger.record(vec![completed()]).await.unwrap().is_empty());
        assert!(kept.names.lock().unwrap().is_empty());
        ledger.record(vec![refused(1)]).await.unwrap();
        let names = kept.names.lock().unwrap().clone();
        assert_eq!(names, ["DnsQueryAnswered", "ConnectionRefused"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_note_that_no_decision_follows_is_recorded_by_itself() {
        let (mut ledger, kept) = gated(Audit::Strict, 1);
        ledger.record(vec![completed()]).await.unwrap();
        let before = Stopwatch::start();
        ledger.tend().await.unwrap();
        assert_eq!(kept.names.lock().unwrap()[..], ["DnsQueryAnswered"]);
        assert!(before.elapsed() <= NOTES_HELD_TIME_MAX + Duration::from_millis(1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_relaxed_receipt_is_ahead_of_the_disk_by_the_limit_and_no_more() {
        let (mut ledger, kept) = gated(Audit::Relaxed, 0);
        let accepted = ledger.record(vec![refused(1)]).await.unwrap();
        assert_eq!(
            accepted,
            receipts(vec![(1, Ruling::Record)], Outcome::Accepted)
        );
        assert!(kept.names.lock().unwrap().is_empty());
        tokio::time::advance(AUDIT_DELAY_MAX).await;
        ledger.record(vec![refused(2)]).await.unwrap();
        tokio::time::advance(Duration::from_millis(1)).await;
        let late = ledger.record(vec![refused(3)]);
        let late = tokio::time::timeout(Duration::from_secs(60), late).await;
        assert!(late.is_err(), "a request left while the disk was behind");
        kept.gate.add_permits(2);
        ledger.close().await;
        let names = kept.names.lock().unwrap().clone();
        let refusals = ["ConnectionRefused"; 3];
        assert_eq!(names[0], "RelaxedAuditInForce");
        assert_eq!(names[1..], refusals);
    }

    #[tokio::test]
    async fn a_relaxed_link_ends_when_what_it_let_out_cannot_be_recorded() {
        let (mut ledger, kept) = gated(Audit::Relaxed, 1);
        kept.failing.store(true, Ordering::Relaxed);
        ledger.record(vec![refused(1)]).await.unwrap();
        let error = ledger.tend().await.unwrap_err();
        assert!(error.to_string().contains("no space left"), "{error}");
    }
}
