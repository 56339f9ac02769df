//! The lives of a daemon in one seed: each ends in a crash, on a full disk or in good order, and is
//! followed by the next; the last one is calm, and everything that was begun comes to its end in it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use airut::clock;
use airut::events::blobs::Blobs;
use airut::events::id::{Position, Sha256, StreamId};
use airut::events::keys::KeyRing;
use airut::events::log::store::Store as _;
use airut::events::log::{Append, Context, Log};
use airut::events::service::ServiceStarted;
use airut::handlers::bodies::Bodies;
use airut::handlers::channels::Channel;
use airut::handlers::intake::Intake;
use airut::handlers::memory::Memory;
use airut::handlers::operator::{Operator, StopTarget};
use airut::handlers::ports::{Channels, Ports};
use airut::handlers::snapshots::Snapshots;
use airut::handlers::worker::{Signals, Worker};
use airut::projections::state::State;
use airut::projections::views::Views;
use airut::projections::{Checkpoint, Feed, Projection};
use airut::sandbox::port::Sandbox;
use airut::service::standby::StandbySandbox;
use airut::tasks::TaskSet;
use tokio_util::sync::CancellationToken;

use crate::ledger::Broken;
use crate::outside::{Disk, Letter, Life, Outside};
use crate::parts::{config, incoming, repo};
use crate::ports::SimPorts;

/// Lives with faults before the calm one.
const LIVES_MAX: u64 = 4;

/// Simulated time in which the calm life settles everything.
const SETTLES_WITHIN: Duration = Duration::from_secs(4 * 24 * 3600);

/// Runs a seed; returns the root of its log, or the broken law with it.
pub(crate) fn run_seed(seed: u64, is_traced: bool) -> Result<(Sha256, u64), Broken> {
    let directory = PathBuf::from(format!("seed-{seed}"));
    let outside = Arc::new(Outside::new(seed, directory.clone(), is_traced));
    let lived = live_all(&outside);
    // There is none when the seed failed before its first body.
    std::fs::remove_dir_all(&directory).ok();
    lived?;
    let range = outside.kept.range().unwrap();
    Ok((range.root(), range.size()))
}

fn live_all(outside: &Arc<Outside>) -> Result<(), Broken> {
    let lives = outside.below(LIVES_MAX + 1);
    for number in 1..=lives {
        live(outside, number, false)?;
    }
    outside.calm();
    live(outside, lives + 1, true)?;
    let ledger = outside.ledger.lock().unwrap();
    ledger.check_rest(outside.may_abandon)?;
    let alive = outside.alive.lock().unwrap();
    let orphans = alive.is_empty().then_some(());
    orphans.ok_or_else(|| format!("{alive:?} outlived their tasks"))
}

fn live(outside: &Arc<Outside>, number: u64, is_calm: bool) -> Result<(), Broken> {
    let (steps, commits) = match outside.below(10) {
        _ if is_calm => (None, None),
        0 => (None, Some(1 + outside.below(30))),
        1 | 2 => (None, None),
        _ => (Some(1 + outside.below(120)), None),
    };
    let life = outside.begin(number, steps, commits);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let lived = runtime.block_on(async {
        clock::tell(*outside.wall_ms.lock().unwrap());
        let lived = Daemon::live(outside, &life, is_calm).await;
        *outside.wall_ms.lock().unwrap() = clock::now_ms();
        lived
    });
    // Whatever is in the air is gone with it.
    drop(runtime);
    let broken = outside.broken.lock().unwrap().clone();
    broken.map_or(lived, Err)
}

struct Daemon<'a> {
    outside: &'a Arc<Outside>,
    life: &'a Life,
    log: Log,
    signals: Signals,
    cut_off: CancellationToken,
    views: Feed<Views>,
}

impl Daemon<'_> {
    async fn live(outside: &Arc<Outside>, life: &Life, is_calm: bool) -> Result<(), Broken> {
        let disk = Disk {
            outside: Arc::clone(outside),
            life: life.clone(),
        };
        let log = Log::open_inline(Arc::new(disk)).map_err(|error| error.to_string())?;
        let (ports, standby) = ports(outside, life, &log);
        check_memory(outside, &log)?;
        let started = ServiceStarted {
            version: "0".to_owned(),
            pid: 1,
            host: "sim".to_owned(),
            previous_stop_clean: false,
        };
        let context = Context::system(clock::now());
        let append = Append::to(&StreamId::service(), vec![started.into()], context);
        if log.append(append).await.is_err() {
            return Ok(());
        }
        // What an earlier life left is swept before anything else, as the service does.
        tokio::select! {
            biased;
            () = life.dead.cancelled() => return Ok(()),
            started = standby.start(ports.service_recorder()) => drop(started),
        }
        let (operator, questions) = Operator::new();
        let mut daemon = Daemon {
            outside,
            life,
            signals: Signals::default(),
            cut_off: ports.cut_off.clone(),
            views: Feed::new(),
            log: log.clone(),
        };
        let intake = Intake::new(log, ports.bodies.clone());
        let opened = Worker::open(ports, daemon.signals.clone(), questions);
        let mut worker = opened.map_err(|error| error.to_string())?;
        let world = TaskSet::new();
        world.spawn(empty_mailbox(Arc::clone(outside), life.clone(), intake));
        world.spawn(disturb(Arc::clone(outside), life.clone(), operator));
        daemon.watch(&mut worker, is_calm).await?;
        daemon.check_views(&worker)
    }

    /// Runs the worker and reads along, until the life ends.
    async fn watch(&mut self, worker: &mut Worker, is_calm: bool) -> Result<(), Broken> {
        let mut events = self.log.subscribe(Position(0));
        let mut running = std::pin::pin!(worker.run());
        let patience = if is_calm {
            SETTLES_WITHIN
        } else {
            Duration::from_secs(1 + self.outside.below(3600))
        };
        let mut patience = std::pin::pin!(tokio::time::sleep(patience));
        let mut is_draining = false;
        loop {
            tokio::select! {
                biased;
                () = self.life.dead.cancelled() => return Ok(()),
                recorded = events.next() => {
                    let recorded = recorded.map_err(|error| error.to_string())?;
                    let recorded = recorded.ok_or("the log closed by itself")?;
                    let next = Position(self.views.position().0 + 1);
                    if recorded.position != next {
                        return Err(format!("{} was read instead of {next}", recorded.position));
                    }
                    self.views.apply(&recorded);
                }
                ended = &mut running => {
                    let expected = is_draining || self.log.failure().is_cancelled();
                    return match ended {
                        Ok(_) | Err(_) if expected => Ok(()),
                        Ok(_) => Err("the worker ended by itself".to_owned()),
                        Err(error) => Err(format!("the worker ended: {error}")),
                    };
                }
                () = &mut patience, if !is_draining => {
                    if is_calm {
                        let unsettled = self.outside.ledger.lock().unwrap().unsettled();
                        return Err(format!("it does not settle: {unsettled}"));
                    }
                    is_draining = true;
                    self.end_in_good_order();
                }
            }
            if is_calm && !is_draining && self.is_at_rest() {
                is_draining = true;
                self.end_in_good_order();
            }
        }
    }

    fn is_at_rest(&self) -> bool {
        let empty = self.outside.mailbox.lock().unwrap().is_empty();
        empty && self.outside.ledger.lock().unwrap().is_settled()
    }

    /// Stops as the service does: with patience first, then running tasks are cut off.
    fn end_in_good_order(&self) {
        self.outside.trace(self.life.number, || "drain".to_owned());
        self.signals.drain.cancel();
        let cut_off = self.cut_off.clone();
        TaskSet::new().spawn(async move {
            tokio::time::sleep(Duration::from_secs(5)).await;
            cut_off.cancel();
        });
    }

    /// Law 3: what worker and views know is what a rebuild gives, byte for byte.
    fn check_views(&self, worker: &Worker) -> Result<(), Broken> {
        check_rebuilt::<State>(self.outside, &worker.checkpoint())?;
        check_rebuilt::<Views>(self.outside, &self.views.checkpoint())
    }
}

fn check_rebuilt<P: Projection>(outside: &Outside, live: &Checkpoint) -> Result<(), Broken> {
    let mut rebuilt = Feed::<P>::new();
    let ledger = outside.ledger.lock().unwrap();
    for recorded in &ledger.events {
        if recorded.position <= live.position {
            rebuilt.apply(recorded);
        }
    }
    let same = rebuilt.checkpoint() == *live;
    same.then_some(())
        .ok_or_else(|| format!("{} is not what a rebuild gives", P::NAME))
}

/// What the checkpoint's file and the rest of the log give is what the whole log gives.
fn check_memory(outside: &Outside, log: &Log) -> Result<(), Broken> {
    let memory = Memory::open(log, Snapshots::below(&outside.directory));
    let memory = memory.map_err(|error| error.to_string())?;
    check_rebuilt::<State>(outside, &memory.checkpoint())
}

fn ports(outside: &Arc<Outside>, life: &Life, log: &Log) -> (Ports, Arc<StandbySandbox>) {
    let ports = Arc::new(SimPorts {
        outside: Arc::clone(outside),
        life: life.clone(),
    });
    let directory = Path::new(&outside.directory);
    let keys = Arc::new(KeyRing::of_seed(&directory.join("keys"), outside.seed));
    let blobs = Blobs::open_with(&directory.join("blobs"), keys).unwrap();
    let sandbox = Arc::clone(&ports) as Arc<dyn Sandbox>;
    let standby = Arc::new(StandbySandbox::new(Box::new(move || {
        Box::pin(std::future::ready(Ok(Arc::clone(&sandbox))))
    })));
    let mut config = config("https://git.example.test/work");
    config.execution.queue = outside.limits;
    let ports = Ports {
        config: Arc::new(config),
        log: log.clone(),
        bodies: Bodies::new(Arc::new(blobs)),
        channels: Channels::new().with(repo(), Arc::clone(&ports) as Arc<dyn Channel>),
        sandbox: Arc::clone(&standby) as Arc<dyn Sandbox>,
        mirrors: ports,
        fingerprint_key: [7; 32],
        state_dir: outside.directory.clone(),
        cut_off: CancellationToken::new(),
    };
    (ports, standby)
}

/// Hands the letters in, and takes each from the mailbox once that may be done.
async fn empty_mailbox(outside: Arc<Outside>, life: Life, intake: Intake) {
    loop {
        let letter = outside.mailbox.lock().unwrap().front().cloned();
        let Some(mut letter) = letter else { return };
        tokio::time::sleep(Duration::from_millis(letter.after_ms)).await;
        hand_in(&outside, &life, &intake, &mut letter).await;
    }
}

async fn hand_in(outside: &Outside, life: &Life, intake: &Intake, letter: &mut Letter) {
    if letter.hint.is_none() {
        letter.hint = Some(hint(outside, letter));
        outside.mailbox.lock().unwrap()[0] = letter.clone();
    }
    let hint = letter.hint.clone().unwrap_or_default();
    let inbound = letter.inbound();
    outside
        .step(life, || format!("hand in {inbound} of {}", letter.sender))
        .await;
    let met = || intake.receive(incoming(&letter.key, letter.sender, &hint, &letter.text));
    // Now and then two connections meet the same letter at once.
    let received = if outside.below(4) == 0 {
        tokio::join!(met(), met()).0
    } else {
        met().await
    };
    if received.is_err() {
        return;
    }
    let checked = outside.ledger.lock().unwrap().check_telling(inbound);
    outside.check(life, checked);
    outside
        .step(life, || format!("tell the source of {inbound}"))
        .await;
    if outside.percent(|rates| rates.lost_telling) {
        // It lies there still and is met again.
        return;
    }
    outside.mailbox.lock().unwrap().pop_front();
    outside
        .step(life, || format!("the source of {inbound} was told"))
        .await;
    // The daemon may be ending; then nobody needs to know.
    intake.source_acknowledged(inbound).await.ok();
}

fn hint(outside: &Outside, letter: &Letter) -> String {
    let ledger = outside.ledger.lock().unwrap();
    let continues = letter.continues.as_ref();
    let earlier = continues.map(|key| airut::events::id::InboundId::from_dedupe_key(key));
    let conversation = earlier.and_then(|inbound| ledger.conversation_of(inbound));
    conversation.map_or_else(
        || letter.lets_in.to_owned(),
        |conversation| conversation.to_string(),
    )
}

/// Lets the clock jump and people stop what runs.
async fn disturb(outside: Arc<Outside>, life: Life, operator: Operator) {
    loop {
        tokio::time::sleep(Duration::from_millis(1 + outside.below(60_000))).await;
        if outside.percent(|rates| rates.clock_jump) {
            let jump_ms = outside.below(2 * 3_600_000);
            let now = (clock::now_ms() + jump_ms).saturating_sub(3_600_000);
            clock::tell(now);
            outside.trace(life.number, || format!("the clock jumps to {now}"));
        }
        if outside.percent(|rates| rates.forget) {
            let idle = outside.ledger.lock().unwrap().some_conversation();
            if let Some(conversation) = idle {
                let asked = operator.forget(conversation, "olive".to_owned()).await;
                outside.trace(life.number, || format!("forget {conversation}: {asked:?}"));
            }
        }
        if outside.percent(|rates| rates.stop) {
            let tasks = outside.ledger.lock().unwrap().conversations();
            // Whatever it does then: it waits, is held, is parked, runs or is being answered.
            let any = outside.below(tasks.len().max(1) as u64) as usize;
            if let Some(conversation) = tasks.get(any) {
                let target = StopTarget::Conversation(*conversation);
                let stopped = operator.stop(target, "alice".to_owned()).await;
                outside.trace(life.number, || format!("stop {conversation}: {stopped:?}"));
            }
        }
    }
}
