//! How much of what a proxy says goes into the log: a run must not fill the disk that all runs
//! share. Pure; time is an argument.

use std::collections::BTreeMap;

use crate::sandbox::proxy::wire::Fact;

/// Decisions recorded for a run; every further request is denied with 429, told once in the log.
pub(super) const DECISIONS_MAX: u64 = 200_000;

/// Name queries recorded at once; further ones are counted until the next moment for one is there.
const DNS_BURST_MAX: u64 = 100;

/// Time after which one more name query may be recorded.
const DNS_INTERVAL_MS: u64 = 200;

/// Name queries recorded for a run; further ones are only counted.
const DNS_RECORDED_MAX: u64 = 20_000;

/// Time within which the same query again is only counted.
const DNS_REPEAT_MS: u64 = 1000;

/// What happens with a fact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ruling {
    /// It is recorded.
    Record,
    /// It is left out of the log; queries are counted.
    Suppress,
    /// It is a decision beyond the limit: denied, not recorded.
    Beyond,
}

/// What a run has used up.
#[derive(Debug, Default)]
pub(super) struct Quota {
    /// Whether the log says that the limit is reached.
    pub(super) limit_told: bool,
    decisions: u64,
    /// Allowed requests whose end is not recorded yet: each has one end.
    open: u64,
    /// Allowed requests of which it is not told that upstream refused their signature.
    signed: u64,
    queries: Queries,
}

#[derive(Debug, Default)]
struct Queries {
    recorded: u64,
    suppressed: u64,
    /// Burst that is used up, in milliseconds until it is there again.
    debt_ms: u64,
    at_ms: u64,
    /// When each query of the last moments was recorded.
    recent: BTreeMap<(String, String), u64>,
}

impl Quota {
    /// Rules on a fact that is told at `now_ms`, which never goes back.
    pub(super) fn rule(&mut self, fact: &Fact, now_ms: u64) -> Ruling {
        match fact {
            Fact::Dns {
                name, query_type, ..
            } => self.queries.rule(name, query_type, now_ms),
            Fact::Allowed { .. } => {
                let ruling = self.rule_decision();
                let is_recorded = u64::from(ruling == Ruling::Record);
                self.open += is_recorded;
                self.signed += is_recorded;
                ruling
            }
            Fact::Blocked { .. } | Fact::Refused { .. } => self.rule_decision(),
            // It is said once, and nothing may keep it from being said.
            Fact::HoneySeen { .. } => Ruling::Record,
            Fact::UpstreamFailed { .. } | Fact::Completed { .. } if self.open > 0 => {
                self.open -= 1;
                Ruling::Record
            }
            Fact::SignatureRefused { .. } if self.signed > 0 => {
                self.signed -= 1;
                Ruling::Record
            }
            Fact::UpstreamFailed { .. }
            | Fact::Completed { .. }
            | Fact::SignatureRefused { .. } => Ruling::Suppress,
        }
    }

    /// Returns how many queries are not in the log.
    pub(super) fn suppressed(&self) -> u64 {
        self.queries.suppressed
    }

    /// Returns a quota of which so many decisions are used up.
    #[cfg(test)]
    pub(super) fn used(decisions: u64) -> Self {
        Self {
            decisions,
            ..Self::default()
        }
    }

    fn rule_decision(&mut self) -> Ruling {
        if self.decisions >= DECISIONS_MAX {
            return Ruling::Beyond;
        }
        self.decisions += 1;
        Ruling::Record
    }
}

impl Queries {
    fn rule(&mut self, name: &str, query_type: &str, now_ms: u64) -> Ruling {
        self.recent.retain(|_, at| now_ms < *at + DNS_REPEAT_MS);
        self.debt_ms = self.debt_ms.saturating_sub(now_ms - self.at_ms);
        self.at_ms = now_ms;
        let query = (name.to_owned(), query_type.to_owned());
        let has_place = self.debt_ms + DNS_INTERVAL_MS <= DNS_BURST_MAX * DNS_INTERVAL_MS;
        if self.recorded >= DNS_RECORDED_MAX || !has_place || self.recent.contains_key(&query) {
            self.suppressed += 1;
            return Ruling::Suppress;
        }
        self.recorded += 1;
        self.debt_ms += DNS_INTERVAL_MS;
        self.recent.insert(query, now_ms);
        Ruling::Record
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::proxy::signing::note::SigningNote;

    fn query(name: u64) -> Fact {
        Fact::Dns {
            name: format!("n{name}.test"),
            query_type: "A".to_owned(),
            answer: "10.199.1.100".to_owned(),
        }
    }

    fn refused() -> Fact {
        let (port, name, reason) = (443, String::new(), "no server name".to_owned());
        Fact::Refused { port, name, reason }
    }

    fn failed() -> Fact {
        let (request, error, status) = (1, "refused".to_owned(), 502);
        Fact::UpstreamFailed {
            request,
            error,
            status,
        }
    }

    /// Returns how many of so many different queries are recorded at one moment.
    fn recorded(quota: &mut Quota, queries: std::ops::Range<u64>, now_ms: u64) -> u64 {
        let record = |name: u64| quota.rule(&query(name), now_ms) == Ruling::Record;
        queries.map(record).map(u64::from).sum()
    }

    #[test]
    fn decisions_are_recorded_up_to_the_limit_and_denied_beyond() {
        let mut quota = Quota::used(DECISIONS_MAX - 2);
        assert_eq!(quota.rule(&refused(), 0), Ruling::Record, "below");
        assert_eq!(quota.rule(&refused(), 0), Ruling::Record, "at");
        assert_eq!(quota.rule(&refused(), 0), Ruling::Beyond, "above");
        assert_eq!(quota.rule(&refused(), u64::MAX), Ruling::Beyond);
    }

    #[test]
    fn a_request_has_one_end() {
        let mut quota = Quota {
            open: 1,
            ..Quota::default()
        };
        assert_eq!(quota.rule(&failed(), 0), Ruling::Record);
        assert_eq!(quota.rule(&failed(), 0), Ruling::Suppress);
        assert_eq!(quota.suppressed(), 0, "only queries are counted");
    }

    #[test]
    fn a_request_has_one_refused_signature() {
        let mut quota = Quota {
            signed: 1,
            ..Quota::default()
        };
        let refused = Fact::SignatureRefused {
            request: 1,
            status: 403,
            code: None,
            note: SigningNote::new(["store", "", "", "", "", ""]),
        };
        assert_eq!(quota.rule(&refused, 0), Ruling::Record);
        assert_eq!(quota.rule(&refused, 0), Ruling::Suppress);
    }

    #[test]
    fn a_burst_of_queries_is_recorded_and_the_rest_counted() {
        let mut quota = Quota::default();
        assert_eq!(recorded(&mut quota, 0..DNS_BURST_MAX - 1, 0), 99, "below");
        assert_eq!(recorded(&mut quota, 100..101, 0), 1, "at");
        assert_eq!(recorded(&mut quota, 200..1000, 0), 0, "above");
        assert_eq!(quota.suppressed(), 800);
        assert_eq!(recorded(&mut quota, 2000..3000, DNS_INTERVAL_MS - 1), 0);
        assert_eq!(recorded(&mut quota, 3000..4000, DNS_INTERVAL_MS), 1);
        assert_eq!(recorded(&mut quota, 4000..5000, 3 * DNS_INTERVAL_MS), 2);
    }

    #[test]
    fn the_same_query_within_a_second_is_counted() {
        let mut quota = Quota::default();
        assert_eq!(quota.rule(&query(1), 0), Ruling::Record);
        assert_eq!(quota.rule(&query(1), DNS_REPEAT_MS - 1), Ruling::Suppress);
        assert_eq!(quota.rule(&query(2), DNS_REPEAT_MS - 1), Ruling::Record);
        assert_eq!(quota.rule(&query(1), DNS_REPEAT_MS), Ruling::Record);
        assert_eq!(quota.suppressed(), 1);
    }

    #[test]
    fn queries_have_a_limit_for_the_whole_run() {
        let mut quota = Quota::default();
        quota.queries.recorded = DNS_RECORDED_MAX - 1;
        assert_eq!(quota.rule(&query(1), 0), Ruling::Record);
        assert_eq!(quota.rule(&query(2), 1_000_000), Ruling::Suppress);
        assert_eq!(quota.suppressed(), 1);
    }
}
