//! The daemon as a process of its own, and what is asked of it through its command line.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use crate::common::log::Event;
use crate::common::{PATIENCE, until};

/// How a gateway process is started in a world: which binary, with which environment.
#[derive(Debug, Clone)]
pub(crate) struct Launch {
    /// The gateway's binary.
    pub(crate) airut: PathBuf,
    /// The whole environment.
    pub(crate) environment: Vec<(String, String)>,
    /// The configuration file.
    pub(crate) config: PathBuf,
    /// The world's directory.
    pub(crate) dir: PathBuf,
}

impl Launch {
    /// A subcommand in the world's environment.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.airut);
        command
            .args(arguments)
            .env_clear()
            .envs(self.environment.iter().cloned());
        command
    }

    /// Runs a subcommand to its end.
    pub(crate) fn output(&self, arguments: &[&str]) -> Output {
        self.command(arguments)
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// The last position of the log; 0 before there is one.
    #[track_caller]
    pub(crate) fn last_position(&self) -> u64 {
        let has_log = self.dir.join("state/airut/log").exists();
        let events = if has_log { self.events() } else { Vec::new() };
        events.last().map_or(0, Event::position)
    }

    /// The whole log, through the daemon or, when none runs, from disk.
    #[track_caller]
    pub(crate) fn events(&self) -> Vec<Event> {
        let output = self.output(&["events", "--json"]);
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout)
            .lines()
            .map(Event::from_line)
            .collect()
    }
}

/// A running daemon, followed event by event.
#[derive(Debug)]
pub(crate) struct Daemon {
    launch: Launch,
    child: Child,
    follower: Option<Child>,
    lines: Option<Receiver<String>>,
    seen: Vec<Event>,
    before: u64,
}

impl Daemon {
    /// Starts the daemon without waiting for it; `extra` is added to its environment.
    pub(crate) fn spawn(launch: &Launch, extra: &[(&str, &str)]) -> Self {
        let before = launch.last_position();
        let log = File::options()
            .create(true)
            .append(true)
            .open(stderr_of(&launch.dir))
            .unwrap();
        let config = launch.config.to_string_lossy().into_owned();
        // What a killed daemon left would be taken for the new one's.
        drop(fs::remove_file(socket_of(&launch.dir)));
        let mut command = launch.command(&["run-gateway", "--config", &config]);
        command.envs(extra.iter().copied());
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        let child = command.spawn().unwrap();
        fs::write(launch.dir.join("daemon.pid"), child.id().to_string()).unwrap();
        let launch = launch.clone();
        Self {
            launch,
            child,
            follower: None,
            lines: None,
            seen: Vec::new(),
            before,
        }
    }

    /// Starts the daemon and waits until it answers.
    pub(crate) fn start(launch: &Launch) -> Self {
        let mut daemon = Self::spawn(launch, &[]);
        daemon.await_event("a daemon that is up", |event| {
            event.kind() == "BootCompleted"
        });
        daemon
    }

    /// Waits for an event of this process's life, also one that has already been.
    #[track_caller]
    pub(crate) fn await_event(&mut self, what: &str, wanted: impl Fn(&Event) -> bool) -> Event {
        self.await_seen(what, |seen| {
            seen.iter().find(|event| wanted(event)).cloned()
        })
    }

    /// Waits until what this process has recorded so far answers a question.
    #[track_caller]
    pub(crate) fn await_seen<T>(&mut self, what: &str, ask: impl Fn(&[Event]) -> Option<T>) -> T {
        self.follow();
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(answer) = ask(&self.seen) {
                return answer;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if !self.read_one(left) {
                panic!("waited in vain for {what}; saw {}", self.summary());
            }
        }
    }

    /// Like [`Self::await_seen`], but of everything after a position, by whichever process.
    #[track_caller]
    pub(crate) fn await_log<T>(
        &mut self,
        what: &str,
        after: u64,
        ask: impl Fn(&[Event]) -> Option<T>,
    ) -> T {
        self.before = after;
        self.await_seen(what, ask)
    }

    /// Waits until this many answers (acknowledgements do not count) are delivered, and returns
    /// the delivery of the last.
    #[track_caller]
    pub(crate) fn await_replies(&mut self, number: usize) -> Event {
        self.await_seen("a delivered reply", |seen| {
            delivered_replies(seen).nth(number - 1).cloned()
        })
    }

    /// Returns every event seen so far.
    pub(crate) fn seen(&self) -> &[Event] {
        &self.seen
    }

    /// Takes the next event in; says whether there was one in time.
    fn read_one(&mut self, patience: Duration) -> bool {
        let line = self
            .lines
            .as_ref()
            .and_then(|lines| lines.recv_timeout(patience).ok());
        let event = line.as_deref().map(Event::from_line);
        let read = event.is_some();
        self.seen
            .extend(event.filter(|event| event.position() > self.before));
        read
    }

    /// Starts to follow the log; what previous daemons wrote is left out.
    fn follow(&mut self) {
        if self.follower.is_some() {
            return;
        }
        let socket = socket_of(&self.launch.dir);
        let pid = self.child.id();
        until("the daemon's socket", PATIENCE, || {
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none(), "the daemon {pid} ended: {ended:?}");
            socket.exists().then_some(())
        });
        let mut command = self.launch.command(&["events", "--follow", "--json"]);
        let errors = File::options()
            .create(true)
            .append(true)
            .open(stderr_of(&self.launch.dir));
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(errors.unwrap());
        let mut follower = command.spawn().unwrap();
        let output = BufReader::new(follower.stdout.take().unwrap());
        let (sender, receiver) = channel();
        std::thread::spawn(move || {
            output
                .lines()
                .map_while(Result::ok)
                .try_for_each(|line| sender.send(line))
        });
        self.follower = Some(follower);
        self.lines = Some(receiver);
    }

    /// Waits until the process has ended, and says how.
    #[track_caller]
    pub(crate) fn await_end(&mut self, patience: Duration) -> ExitStatus {
        let child = &mut self.child;
        until("the daemon's end", patience, || child.try_wait().unwrap())
    }

    /// Sends a signal by name.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        // The shell's own command: a small machine has no program of that name.
        let kill = ["-c", "kill -s \"$1\" \"$2\"", "kill", name, &pid];
        crate::common::run(Command::new("sh").args(kill));
    }

    /// Stops it as an operator would, and waits.
    #[track_caller]
    pub(crate) fn stop(&mut self) -> ExitStatus {
        self.signal("TERM");
        self.await_end(PATIENCE)
    }

    fn summary(&self) -> String {
        let last = self.seen.iter().rev().take(25).rev();
        let lines: Vec<_> = last.map(|event| format!("\n  {}", event.0)).collect();
        let errors = fs::read_to_string(stderr_of(&self.launch.dir)).unwrap_or_default();
        let errors: Vec<_> = errors.lines().rev().take(40).collect();
        let errors: Vec<_> = errors.into_iter().rev().collect();
        format!("{}\ndaemon said:\n{}", lines.concat(), errors.join("\n"))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Some(mut follower) = self.follower.take() {
            drop(follower.kill());
            drop(follower.wait());
        }
        if matches!(self.child.try_wait(), Ok(None)) {
            drop(self.child.kill());
            drop(self.child.wait());
        }
        drop(fs::remove_file(self.launch.dir.join("daemon.pid")));
    }
}

/// The deliveries of answers among what has been seen; acknowledgements do not count.
pub(crate) fn delivered_replies(seen: &[Event]) -> impl Iterator<Item = &Event> {
    let replies: Vec<_> = seen.iter().filter(|event| is_reply(event)).collect();
    seen.iter().filter(move |event| {
        let of = |reply: &&&Event| reply.text("delivery") == event.text("delivery");
        event.kind() == "DeliverySucceeded" && replies.iter().any(|reply| of(&reply))
    })
}

fn is_reply(event: &Event) -> bool {
    event.kind() == "DeliveryRequested" && event.text("kind") == "reply"
}

fn stderr_of(dir: &Path) -> PathBuf {
    dir.join("daemon.stderr")
}

fn socket_of(dir: &Path) -> PathBuf {
    dir.join("runtime/airut/airut.sock")
}
