//! The soak itself: letters go in, answers are counted, and in between whatever can die dies, at moments
//! that a seed draws. It knows no mail and no Slack; a channel says what a letter is and what can go
//! wrong on its way.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::dice::Dice;
use crate::ledger::{Arrival, ArrivalKind, Ledger};
use crate::process::Daemon;

/// Letters that are on their way at once.
const UNDER_WAY_MAX: usize = 40;
/// How long nothing may be answered before the soak counts as stuck; the longest pause of the daemon
/// before it goes back to a mailbox is five minutes.
const STUCK_AFTER: Duration = Duration::from_secs(600);
/// How often everything is looked at.
const TICK: Duration = Duration::from_millis(20);
/// How often a line is printed.
const WORD_EVERY: Duration = Duration::from_secs(15);
/// Conversations that are gone on with; the oldest is left alone then.
const THREADS_MAX: usize = 200;

/// What the soak needs of a channel.
pub(crate) trait Channel {
    /// What is answered to stay in a conversation.
    type Thread: Clone;

    /// What can go wrong on the way, in words.
    const TROUBLES: &'static [&'static str];

    /// Sends a letter, in a conversation or in a new one; its text names its number as
    /// [`crate::letter::name`] does.
    fn send(&mut self, number: u32, thread: Option<&Self::Thread>);

    /// Sends a letter that was sent before once more, just as it was.
    fn send_again(&mut self, number: u32);

    /// Returns what came since this was asked last.
    fn arrived(&mut self) -> Vec<Arrival<Self::Thread>>;

    /// Makes one of [`Self::TROUBLES`]; what died is alive again on return.
    fn make_trouble(&mut self, index: usize);

    /// Says whether nothing is on its way any more.
    fn is_quiet(&mut self) -> bool;
}

/// What is drawn and how much of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) letters: u32,
    pub(crate) seed: u64,
}

/// What happened.
#[derive(Debug)]
pub(crate) struct Soaked {
    pub(crate) ledger: Ledger,
    pub(crate) troubles: BTreeMap<&'static str, u32>,
    pub(crate) elapsed: Duration,
}

/// Sends every letter and waits until each is answered and nothing is on its way any more.
pub(crate) fn soak<C: Channel>(plan: Plan, channel: &mut C, daemon: &mut Daemon) -> Soaked {
    let mut soak = Soak {
        dice: Dice::new(plan.seed),
        plan,
        channel,
        daemon,
        ledger: Ledger::default(),
        threads: Vec::new(),
        troubles: BTreeMap::new(),
        started: Instant::now(),
        answered_at: Instant::now(),
        next_trouble: 0,
    };
    soak.draw_next_trouble();
    soak.run();
    Soaked {
        ledger: soak.ledger,
        troubles: soak.troubles,
        elapsed: soak.started.elapsed(),
    }
}

struct Soak<'a, C: Channel> {
    plan: Plan,
    dice: Dice,
    channel: &'a mut C,
    daemon: &'a mut Daemon,
    ledger: Ledger,
    threads: Vec<C::Thread>,
    troubles: BTreeMap<&'static str, u32>,
    started: Instant,
    answered_at: Instant,
    next_trouble: u32,
}

impl<C: Channel> Soak<'_, C> {
    fn run(&mut self) {
        let mut last_word = Instant::now();
        while self.ledger.answered() < self.plan.letters {
            self.take();
            self.send();
            let has_more = self.ledger.answered() < self.plan.letters;
            if has_more && self.ledger.answered() >= self.next_trouble {
                self.make_trouble();
                self.draw_next_trouble();
            }
            self.check();
            if last_word.elapsed() > WORD_EVERY {
                last_word = Instant::now();
                self.say();
            }
            std::thread::sleep(TICK);
        }
        // What may still come is a copy that nobody wants.
        self.answered_at = Instant::now();
        while !self.channel.is_quiet() {
            self.take();
            self.check();
            std::thread::sleep(TICK);
        }
        self.take();
    }

    fn take(&mut self) {
        for arrival in self.channel.arrived() {
            if self.ledger.arrive(&arrival) > 0 {
                self.answered_at = Instant::now();
            }
            if matches!(arrival.kind, ArrivalKind::Answer(_)) {
                self.threads.push(arrival.thread);
            }
            if self.threads.len() > THREADS_MAX {
                self.threads.remove(0);
            }
        }
    }

    /// Six of ten letters go on with a conversation; one of ten comes once more, then or later.
    fn send(&mut self) {
        let under_way = |soak: &Self| (soak.ledger.sent() - soak.ledger.answered()) as usize;
        while self.ledger.sent() < self.plan.letters && under_way(self) < UNDER_WAY_MAX {
            let goes_on = self.dice.percent(60) && !self.threads.is_empty();
            let thread = goes_on.then(|| {
                let index = self.dice.below(self.threads.len() as u64) as usize;
                self.threads[index].clone()
            });
            let number = self.ledger.send();
            self.channel.send(number, thread.as_ref());
            if self.dice.percent(10) {
                let again = 1 + self.dice.below(u64::from(number)) as u32;
                self.ledger.send_again();
                self.channel.send_again(again);
            }
        }
    }

    fn draw_next_trouble(&mut self) {
        self.next_trouble = self.ledger.answered() + 5 + self.dice.below(45) as u32;
    }

    /// The daemon dies as often as everything else together, now and then while it starts again.
    fn make_trouble(&mut self) {
        if self.dice.percent(50) {
            self.kill();
            while self.dice.percent(25) {
                std::thread::sleep(Duration::from_millis(self.dice.below(1_500)));
                self.kill();
            }
            return;
        }
        let index = self.dice.below(C::TROUBLES.len() as u64) as usize;
        *self.troubles.entry(C::TROUBLES[index]).or_default() += 1;
        self.channel.make_trouble(index);
    }

    fn kill(&mut self) {
        *self.troubles.entry("the daemon was killed").or_default() += 1;
        self.daemon.kill();
        self.daemon.start();
    }

    #[track_caller]
    fn check(&mut self) {
        self.daemon.check_alive();
        if self.answered_at.elapsed() > STUCK_AFTER {
            let waiting: Vec<u32> = self.ledger.waiting().collect();
            panic!(
                "seed {}: nothing was answered for long; {waiting:?} wait",
                self.plan.seed
            );
        }
    }

    fn say(&self) {
        let (sent, answered) = (self.ledger.sent(), self.ledger.answered());
        let seconds = self.started.elapsed().as_secs();
        let troubles: u32 = self.troubles.values().sum();
        let peak = self.daemon.peak_kib() / 1024;
        println!(
            "{seconds:>5} s: {sent} sent, {answered} answered, {troubles} troubles, daemon at most \
             {peak} MiB"
        );
    }
}
