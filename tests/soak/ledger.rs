//! Who was answered, and how often, as the person who wrote sees it. Pure; it knows no channel, and
//! believes nothing that the daemon says of itself.

use std::collections::{BTreeMap, BTreeSet};

/// Something that came for the person.
#[derive(Debug, Clone)]
pub(crate) struct Arrival<T> {
    /// What it is.
    pub(crate) kind: ArrivalKind,
    /// What tells it from others: the same for every attempt to send it.
    pub(crate) id: String,
    /// What the first server called it when the daemon handed it over: a second copy with the same one
    /// is the servers', which had it already.
    pub(crate) handover: String,
    /// Whether it says that it may be a duplicate.
    pub(crate) is_labelled: bool,
    /// What is answered to stay in its conversation.
    pub(crate) thread: T,
}

/// What came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ArrivalKind {
    /// An answer that names these letters.
    Answer(BTreeSet<u32>),
    /// Word that the work has begun.
    Acknowledgement,
    /// Anything else, with its text.
    Other(String),
}

/// Everything that was sent and that arrived.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    sent: u32,
    copies: u32,
    answers: BTreeMap<u32, BTreeSet<String>>,
    arrived: BTreeMap<String, Copies>,
    others: Vec<String>,
    acknowledgements: BTreeMap<String, Copies>,
    by_servers: u32,
}

/// How often one answer was handed over, by what the server called it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Copies {
    plain: BTreeSet<String>,
    labelled: BTreeSet<String>,
}

impl Copies {
    /// Says whether a copy is one that the servers made.
    fn take<T>(&mut self, arrival: &Arrival<T>) -> bool {
        let copies = match arrival.is_labelled {
            true => &mut self.labelled,
            false => &mut self.plain,
        };
        !copies.insert(arrival.handover.clone())
    }
}

/// What became of everything.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Letters without an answer.
    pub(crate) lost: BTreeSet<u32>,
    /// Letters that two different answers name.
    pub(crate) answered_twice: BTreeSet<u32>,
    /// Answers of which a copy came that does not say so.
    pub(crate) doubled: BTreeSet<String>,
    /// Answers with a label although nothing about them was unknown.
    pub(crate) labelled_for_nothing: BTreeSet<String>,
    /// Copies that say that they may be one.
    pub(crate) labelled: usize,
    /// Of these, those whose first copy never came.
    pub(crate) labelled_alone: u32,
    /// What else came.
    pub(crate) others: Vec<String>,
    /// Acknowledgements that came twice.
    pub(crate) acknowledged_twice: u32,
}

impl Ledger {
    /// Takes down that the next letter was sent, and returns its number.
    pub(crate) fn send(&mut self) -> u32 {
        self.sent += 1;
        self.sent
    }

    /// Takes down that a letter was sent once more.
    pub(crate) fn send_again(&mut self) {
        self.copies += 1;
    }

    /// Takes down what arrived; returns how many letters have their first answer with it.
    pub(crate) fn arrive<T>(&mut self, arrival: &Arrival<T>) -> usize {
        let id = &arrival.id;
        match &arrival.kind {
            ArrivalKind::Acknowledgement => {
                let copies = self.acknowledgements.entry(id.clone()).or_default();
                self.by_servers += u32::from(copies.take(arrival));
                0
            }
            ArrivalKind::Other(text) => {
                self.others.push(text.clone());
                0
            }
            ArrivalKind::Answer(letters) => {
                let before = self.answers.len();
                for letter in letters {
                    self.answers.entry(*letter).or_default().insert(id.clone());
                }
                let copies = self.arrived.entry(id.clone()).or_default();
                self.by_servers += u32::from(copies.take(arrival));
                self.answers.len() - before
            }
        }
    }

    pub(crate) fn sent(&self) -> u32 {
        self.sent
    }

    pub(crate) fn copies(&self) -> u32 {
        self.copies
    }

    pub(crate) fn answered(&self) -> u32 {
        u32::try_from(self.answers.len()).unwrap_or(u32::MAX)
    }

    /// Answers that came, copies not counted.
    pub(crate) fn answers(&self) -> usize {
        self.arrived.len()
    }

    /// Copies that the servers made: they had the answer, and delivered it once more.
    pub(crate) fn copies_by_servers(&self) -> u32 {
        self.by_servers
    }

    pub(crate) fn acknowledgements(&self) -> usize {
        self.acknowledgements.len()
    }

    /// Letters without an answer so far.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = u32> {
        (1..=self.sent).filter(|letter| !self.answers.contains_key(letter))
    }

    /// Judges all of it. `unknown` are the answers of which the log says that their fate was not
    /// known at some time: only they may come a second time.
    pub(crate) fn judge(&self, unknown: &BTreeSet<String>) -> Verdict {
        let arrived = || self.arrived.iter();
        let ids = |those: &dyn Fn(&String, &Copies) -> bool| {
            arrived()
                .filter(|(id, copies)| those(id, copies))
                .map(|(id, _)| id.clone())
                .collect()
        };
        let alone = arrived()
            .filter(|(_, copies)| copies.plain.is_empty())
            .count();
        let twice = self
            .acknowledgements
            .values()
            .filter(|times| times.plain.len() > 1)
            .count();
        Verdict {
            lost: self.waiting().collect(),
            answered_twice: self
                .answers
                .iter()
                .filter(|(_, answers)| answers.len() > 1)
                .map(|(letter, _)| *letter)
                .collect(),
            doubled: ids(&|_, copies| copies.plain.len() > 1),
            labelled_for_nothing: ids(&|id, copies| {
                !copies.labelled.is_empty() && !unknown.contains(id)
            }),
            labelled: arrived().map(|(_, copies)| copies.labelled.len()).sum(),
            labelled_alone: u32::try_from(alone).unwrap_or(u32::MAX),
            others: self.others.clone(),
            acknowledged_twice: u32::try_from(twice).unwrap_or(u32::MAX),
        }
    }
}

#[test]
fn a_lost_letter_a_second_answer_and_a_copy_without_its_label_are_seen() {
    let mut ledger = Ledger::default();
    let mut handovers = 0;
    let mut answer = |letters: &[u32], id: &str, is_labelled| {
        handovers += 1;
        Arrival {
            kind: ArrivalKind::Answer(letters.iter().copied().collect()),
            id: id.to_owned(),
            handover: handovers.to_string(),
            is_labelled,
            thread: (),
        }
    };
    let numbers: Vec<u32> = (0..5).map(|_| ledger.send()).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5]);
    let first = answer(&[1, 2], "a", false);
    assert_eq!((ledger.arrive(&first), ledger.arrive(&first)), (2, 0));
    assert_eq!(ledger.copies_by_servers(), 1);
    assert_eq!(ledger.arrive(&answer(&[2], "b", false)), 0);
    assert_eq!(ledger.arrive(&answer(&[3], "c", false)), 1);
    assert_eq!(ledger.arrive(&answer(&[3], "c", false)), 0);
    assert_eq!(ledger.arrive(&answer(&[4], "d", true)), 1);
    assert_eq!(ledger.arrive(&answer(&[4], "e", true)), 0);
    let verdict = ledger.judge(&BTreeSet::from(["d".to_owned()]));
    assert_eq!(verdict.lost, BTreeSet::from([5]));
    assert_eq!(verdict.answered_twice, BTreeSet::from([2, 4]));
    assert_eq!(verdict.doubled, BTreeSet::from(["c".to_owned()]));
    assert_eq!(
        verdict.labelled_for_nothing,
        BTreeSet::from(["e".to_owned()])
    );
    assert_eq!((verdict.labelled, verdict.labelled_alone), (2, 2));
}
