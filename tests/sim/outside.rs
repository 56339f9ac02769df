//! What outlives a daemon: the disk, the mailbox and its letters, recipients, containers. Every use of
//! it is a step; a life may end at any of them.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use airut::clock;
use airut::config::types::QueueLimits;
use airut::events::codec::{self, StoredRecord};
use airut::events::id::{InboundId, Position, RunId, StreamId, StreamVersion};
use airut::events::log::memory::MemoryStore;
use airut::events::log::store::{Group, KeyEntry, Store, StoreError};
use airut::events::tree::CompactRange;
use tokio_util::sync::CancellationToken;

use crate::dice::Dice;
use crate::ledger::{Broken, Ledger};

/// Time in the simulated world, in milliseconds since 1970.
const BEGINNING_MS: u64 = 1_800_000_000_000;

/// How often what goes wrong, in percent; each seed draws its own.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rates {
    pub(crate) slow: u64,
    pub(crate) refused: u64,
    pub(crate) refused_for_good: u64,
    pub(crate) unknown: u64,
    pub(crate) unsearchable: u64,
    pub(crate) blind_search: u64,
    pub(crate) engine: u64,
    pub(crate) mirror: u64,
    pub(crate) bad_run: u64,
    pub(crate) lost_telling: u64,
    pub(crate) clock_jump: u64,
    pub(crate) stop: u64,
    pub(crate) forget: u64,
}

impl Rates {
    fn draw(dice: &mut Dice) -> Self {
        Self {
            slow: dice.rate(60),
            refused: dice.rate(40),
            refused_for_good: dice.rate(10),
            unknown: dice.rate(40),
            unsearchable: dice.rate(40),
            blind_search: dice.rate(100),
            engine: dice.rate(20),
            mirror: dice.rate(20),
            bad_run: dice.rate(60),
            lost_telling: dice.rate(50),
            clock_jump: dice.rate(60),
            stop: dice.rate(30),
            forget: dice.rate(30),
        }
    }
}

/// A message in the mailbox.
#[derive(Debug, Clone)]
pub(crate) struct Letter {
    pub(crate) key: String,
    pub(crate) sender: &'static str,
    /// The earlier letter whose conversation it continues.
    pub(crate) continues: Option<String>,
    /// `cc ` and whom it lets in, if it begins a conversation.
    pub(crate) lets_in: &'static str,
    pub(crate) text: String,
    pub(crate) after_ms: u64,
    /// The conversation it names, once it was handed in.
    pub(crate) hint: Option<String>,
}

impl Letter {
    pub(crate) fn inbound(&self) -> InboundId {
        InboundId::from_dedupe_key(&self.key)
    }
}

/// A life of the daemon, and after how many steps it ends.
#[derive(Debug, Clone)]
pub(crate) struct Life {
    pub(crate) number: u64,
    pub(crate) dead: CancellationToken,
}

/// Everything outside the daemon.
#[derive(Debug)]
pub(crate) struct Outside {
    pub(crate) dice: Mutex<Dice>,
    pub(crate) rates: Mutex<Rates>,
    pub(crate) may_abandon: bool,
    pub(crate) limits: QueueLimits,
    pub(crate) kept: MemoryStore,
    pub(crate) ledger: Mutex<Ledger>,
    pub(crate) mailbox: Mutex<VecDeque<Letter>>,
    pub(crate) alive: Mutex<Vec<RunId>>,
    pub(crate) broken: Mutex<Option<Broken>>,
    pub(crate) wall_ms: Mutex<u64>,
    pub(crate) directory: PathBuf,
    pub(crate) seed: u64,
    steps_left: Mutex<Option<u64>>,
    commits_left: Mutex<Option<u64>>,
    is_traced: bool,
}

impl Outside {
    pub(crate) fn new(seed: u64, directory: PathBuf, is_traced: bool) -> Self {
        let mut dice = Dice::new(seed);
        let rates = Rates::draw(&mut dice);
        let mailbox = letters(&mut dice);
        let limits = limits(&mut dice);
        Self {
            limits,
            may_abandon: rates.refused_for_good + rates.clock_jump > 0,
            rates: Mutex::new(rates),
            mailbox: Mutex::new(mailbox),
            dice: Mutex::new(dice),
            kept: MemoryStore::new(),
            ledger: Mutex::new(Ledger::with(limits)),
            alive: Mutex::default(),
            broken: Mutex::default(),
            wall_ms: Mutex::new(BEGINNING_MS),
            directory,
            seed,
            steps_left: Mutex::default(),
            commits_left: Mutex::default(),
            is_traced,
        }
    }

    pub(crate) fn percent(&self, rate: impl Fn(&Rates) -> u64) -> bool {
        let rate = rate(&self.rates.lock().unwrap());
        rate > 0 && self.dice.lock().unwrap().percent(rate)
    }

    pub(crate) fn below(&self, end: u64) -> u64 {
        self.dice.lock().unwrap().below(end)
    }

    /// Lets a life begin; it ends after so many steps, or its disk is full after so many commits.
    pub(crate) fn begin(&self, number: u64, steps: Option<u64>, commits: Option<u64>) -> Life {
        *self.steps_left.lock().unwrap() = steps;
        *self.commits_left.lock().unwrap() = commits;
        Life {
            number,
            dead: CancellationToken::new(),
        }
    }

    /// Lets nothing go wrong from now on.
    pub(crate) fn calm(&self) {
        *self.rates.lock().unwrap() = Rates::default();
    }

    pub(crate) fn trace(&self, life: u64, what: impl FnOnce() -> String) {
        if self.is_traced {
            let at = clock::now_ms() as f64 - BEGINNING_MS as f64;
            println!("life {life}  {:>12.3} s  {}", at / 1000.0, what());
        }
    }

    pub(crate) fn check(&self, life: &Life, checked: Result<(), Broken>) {
        if let Err(broken) = checked {
            self.trace(life.number, || format!("BROKEN: {broken}"));
            self.broken.lock().unwrap().get_or_insert(broken);
            life.dead.cancel();
        }
    }

    /// Takes a step; returns whether the life ended with it.
    fn ends_at(&self, life: &Life, what: impl FnOnce() -> String) -> bool {
        if life.dead.is_cancelled() {
            return true;
        }
        self.trace(life.number, what);
        let mut left = self.steps_left.lock().unwrap();
        if let Some(left) = left.as_mut() {
            *left = left.saturating_sub(1);
            if *left == 0 {
                self.trace(life.number, || "the machine is gone".to_owned());
                life.dead.cancel();
                return true;
            }
        }
        false
    }

    /// Takes a step of an effect, which may take its time; whoever dies at it never comes back.
    pub(crate) async fn step(&self, life: &Life, what: impl Fn() -> String) {
        if self.ends_at(life, &what) {
            return std::future::pending().await;
        }
        let slow = self.percent(|rates| rates.slow);
        let pause = if slow {
            self.below(90_000)
        } else {
            self.below(20)
        };
        tokio::time::sleep(Duration::from_millis(pause)).await;
        if life.dead.is_cancelled() {
            std::future::pending::<()>().await;
        }
    }
}

/// Half of the seeds have a limit of each kind, so small that it is reached.
fn limits(dice: &mut Dice) -> QueueLimits {
    let all = QueueLimits::default();
    let per_repo_max = dice.percent(50).then_some(1);
    let per_sender_max = dice.percent(50).then_some(1);
    QueueLimits {
        per_repo_max,
        per_sender_max,
        waiting_max: if dice.percent(50) { 3 } else { all.waiting_max },
        waiting_per_sender_max: if dice.percent(50) {
            2
        } else {
            all.waiting_per_sender_max
        },
    }
}

fn letters(dice: &mut Dice) -> VecDeque<Letter> {
    let count = 1 + dice.below(6);
    let mut letters = VecDeque::new();
    for number in 0..count {
        let continues = number > 0 && dice.percent(60);
        let earlier = dice.below(number.max(1));
        let text = match dice.below(10) {
            0 => "Too long: shorten it.".to_owned(),
            1 => String::new(),
            _ => format!("Do the thing number {number}."),
        };
        letters.push_back(Letter {
            key: format!("letter {number}"),
            sender: ["alice", "bob", "alice", "bob", "mallory"][dice.below(5) as usize],
            continues: continues.then(|| format!("letter {earlier}")),
            lets_in: ["cc alice bob", ""][dice.below(2) as usize],
            text,
            after_ms: dice.below(3) * dice.below(60_000),
            hint: None,
        });
    }
    letters
}

/// The disk as one life sees it.
#[derive(Debug)]
pub(crate) struct Disk {
    pub(crate) outside: Arc<Outside>,
    pub(crate) life: Life,
}

impl Disk {
    fn gone() -> StoreError {
        StoreError("the machine is gone".to_owned())
    }
}

impl Store for Disk {
    fn commit(&self, group: &Group) -> Result<(), StoreError> {
        let (outside, life) = (&self.outside, &self.life);
        let events = group
            .records
            .iter()
            .map(|record| codec::decode(record).unwrap());
        let events: Vec<_> = events.collect();
        let names = || events.iter().map(|recorded| recorded.event.name());
        let names = || names().collect::<Vec<_>>().join(", ");
        if outside.ends_at(life, || format!("append  {}", names())) {
            return Err(Self::gone());
        }
        if let Some(left) = outside.commits_left.lock().unwrap().as_mut() {
            *left = left.saturating_sub(1);
            if *left == 0 {
                outside.trace(life.number, || "the disk is full".to_owned());
                return Err(StoreError("the disk is full".to_owned()));
            }
        }
        outside.kept.commit(group)?;
        for recorded in events.iter().cloned() {
            let checked = outside.ledger.lock().unwrap().take_in(recorded);
            outside.check(life, checked);
        }
        if outside.ends_at(life, || format!("durable {}", names())) {
            return Err(Self::gone());
        }
        Ok(())
    }

    fn read(&self, after: Position, limit: usize) -> Result<Vec<StoredRecord>, StoreError> {
        self.outside.kept.read(after, limit)
    }

    fn stream_version(&self, stream: &StreamId) -> Result<StreamVersion, StoreError> {
        self.outside.kept.stream_version(stream)
    }

    fn stream_positions(
        &self,
        stream: &StreamId,
        after: StreamVersion,
        limit: usize,
    ) -> Result<Vec<Position>, StoreError> {
        self.outside.kept.stream_positions(stream, after, limit)
    }

    fn find_key(&self, key: &str) -> Result<Option<KeyEntry>, StoreError> {
        self.outside.kept.find_key(key)
    }

    fn range(&self) -> Result<CompactRange, StoreError> {
        self.outside.kept.range()
    }
}
