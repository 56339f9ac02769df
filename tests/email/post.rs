//! One test's mail servers, and a mail channel that listens to them with a log of its own.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use airut::config::types::{Email, EmailAuth, Imap, MailTls, Smtp, Verify};
use airut::events::blobs::Blobs;
use airut::events::id::{Position, RepoId};
use airut::events::log::memory::MemoryStore;
use airut::events::log::{Log, Subscription};
use airut::events::message::MessageReceived;
use airut::events::{Event, event::MessageEvent};
use airut::handlers::bodies::Bodies;
use airut::handlers::channels::Channel as _;
use airut::handlers::channels::email::EmailChannel;
use airut::handlers::intake::Intake;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::common::PATIENCE;
use crate::common::mail::{ALICE, BOT, MailServers, PASSWORD, message, script};
use crate::common::world::take_slot;

/// Mail servers with their files.
pub(crate) struct Post {
    pub(crate) servers: MailServers,
    directory: TempDir,
    _slot: File,
}

impl Post {
    /// Starts the servers; says aloud what is missing.
    pub(crate) fn start() -> Option<Self> {
        for program in ["postfix", "dovecot"] {
            let mut places = ["/usr/sbin", "/usr/bin"].iter();
            if !places.any(|place| PathBuf::from(place).join(program).exists()) {
                let required = std::env::var_os("AIRUT_REQUIRE_REAL").is_some();
                assert!(!required, "a real part is missing: {program}");
                eprintln!("SKIPPED: {program} is missing (make setup)");
                return None;
            }
        }
        let (slot, number) = take_slot();
        let directory = tempfile::Builder::new().prefix("airut-mail").tempdir();
        let directory = directory.unwrap();
        Some(Self {
            servers: MailServers::start(directory.path(), 11_000 + 1_000 * number),
            directory,
            _slot: slot,
        })
    }

    /// The settings of Airut's account.
    pub(crate) fn account(&self, imap_tls: MailTls, smtp_tls: MailTls) -> Email {
        let imap_port = match imap_tls {
            MailTls::Implicit => "IMAPS_PORT",
            MailTls::StartTls => "IMAP_PORT",
        };
        let smtp_port = match smtp_tls {
            MailTls::Implicit => "SMTPS_PORT",
            MailTls::StartTls => "SUBMISSION_PORT",
        };
        Email {
            imap: Imap {
                server: "localhost".to_owned(),
                port: self.servers.port(imap_port),
                tls: imap_tls,
                ..account().imap
            },
            smtp: Smtp {
                server: "localhost".to_owned(),
                port: self.servers.port(smtp_port),
                tls: smtp_tls,
                require_auth: true,
            },
            tls_ca_file: Some(self.servers.ca_file()),
            ..account()
        }
    }

    /// Puts mails into the bot's empty mailbox as its server does, without the way through Postfix.
    pub(crate) fn put(&self, count: usize) {
        // The first mail makes the server create the mailbox.
        let first = message(ALICE, "first@example.test", "first", "x");
        self.servers.send(ALICE, &first);
        assert_eq!(self.servers.inbox(BOT).len(), 1);
        let inbox = self.directory().join("mail/mail").join(BOT).join("Maildir");
        let facts = fs::metadata(&inbox).unwrap();
        for number in 1..count {
            let id = format!("{number}@example.test");
            let raw = message(ALICE, &id, &number.to_string(), "Please.");
            let path = inbox.join(format!("new/17000{number:05}.M{number}.test"));
            fs::write(&path, raw).unwrap();
            chown(&path, Some(facts.uid()), Some(facts.gid())).unwrap();
        }
    }

    /// The directory of everything that this test keeps.
    pub(crate) fn directory(&self) -> &std::path::Path {
        self.directory.path()
    }
}

impl Drop for Post {
    fn drop(&mut self) {
        let mut stop = Command::new(script());
        stop.arg("stop").arg(self.directory.path().join("mail"));
        assert!(stop.status().is_ok(), "the mail servers cannot be stopped");
    }
}

/// An account without its servers.
pub(crate) fn account() -> Email {
    Email {
        username: BOT.to_owned(),
        from: format!("Airut <{BOT}>"),
        password: Some(PASSWORD.to_owned().into()),
        microsoft_oauth2: None,
        imap: Imap {
            server: String::new(),
            port: 993,
            tls: MailTls::Implicit,
            connect_retries: 3,
            poll_interval_s: 0.2,
            use_idle: true,
            idle_reconnect_interval_s: 1740.0,
            folder: "INBOX".to_owned(),
        },
        smtp: Smtp {
            server: String::new(),
            port: 587,
            tls: MailTls::StartTls,
            require_auth: true,
        },
        auth: EmailAuth {
            authorized_senders: vec![ALICE.to_owned(), "*@partner.test".to_owned()],
            trusted_authserv_id: "mail.example.test".to_owned(),
            microsoft_internal_fallback: false,
            verify: Verify::Header,
        },
        tls_ca_file: None,
    }
}

/// The channel of an account.
pub(crate) fn channel(email: Email) -> Arc<EmailChannel> {
    Arc::new(EmailChannel::new(RepoId("work".to_owned()), email).unwrap())
}

/// A channel that listens.
pub(crate) struct Listening {
    pub(crate) channel: Arc<EmailChannel>,
    pub(crate) blobs: PathBuf,
    pub(crate) intake: Intake,
    pub(crate) log: Log,
    events: Subscription,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Listening {
    pub(crate) fn start(post: &Post, email: Email) -> Self {
        let log = Log::open(Arc::new(MemoryStore::new())).unwrap();
        Self::start_with(post, email, log)
    }

    /// Starts over a log that was listened into before.
    pub(crate) fn start_with(post: &Post, email: Email, log: Log) -> Self {
        let blobs = post.directory().join("blobs");
        let bodies = Bodies::new(Arc::new(Blobs::open(&blobs).unwrap()));
        let (channel, stop) = (channel(email), CancellationToken::new());
        let intake = Intake::new(log.clone(), bodies);
        let events = log.subscribe(log.head().position);
        let task = tokio::spawn(Arc::clone(&channel).listen(intake.clone(), stop.clone()));
        Self {
            channel,
            blobs,
            intake,
            log,
            events,
            stop,
            task,
        }
    }

    /// Waits for the next event that `choose` takes.
    pub(crate) async fn until<T>(&mut self, choose: impl Fn(Event) -> Option<T>) -> T {
        let found = async {
            loop {
                let recorded = self.events.next().await.unwrap().unwrap();
                if let Some(found) = choose(recorded.event) {
                    return found;
                }
            }
        };
        let found = tokio::time::timeout(PATIENCE, found).await;
        found.unwrap_or_else(|_| panic!("the event does not come: {}", self.said()))
    }

    /// The last events of the log, for whoever reads of a failure.
    fn said(&self) -> String {
        let last = self.log.head().position.0.saturating_sub(20);
        let events = self.log.read(Position(last), 20).unwrap();
        let lines = events.iter().map(|event| format!("\n  {:?}", event.event));
        lines.collect()
    }

    /// Waits for the next message, and returns it with its bytes.
    pub(crate) async fn message(&mut self) -> (MessageReceived, Vec<u8>) {
        let received = |event| match event {
            Event::Message(MessageEvent::Received(received)) => Some(received),
            _ => None,
        };
        let received = self.until(received).await;
        let raw = Blobs::open(&self.blobs)
            .unwrap()
            .get(&received.raw)
            .unwrap();
        (received, raw)
    }

    /// Waits until the next message's source was told.
    pub(crate) async fn acknowledged(&mut self) {
        let told = |event| match event {
            Event::Message(MessageEvent::SourceAcknowledged(_)) => Some(()),
            _ => None,
        };
        self.until(told).await;
    }

    /// Stops listening; that takes at most a second.
    pub(crate) async fn stop(self) {
        self.pause().await.close().await;
    }

    /// Stops listening and returns the log, to be listened into again.
    pub(crate) async fn pause(self) -> Log {
        let start = Instant::now();
        self.stop.cancel();
        self.task.await.unwrap();
        assert!(start.elapsed() < Duration::from_secs(1));
        self.log
    }
}
