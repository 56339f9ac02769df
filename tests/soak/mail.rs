//! Letters as mails, through real servers: what dies on their way is Dovecot, its sessions, and the
//! connections to it and to Postfix.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use lettre::address::Envelope;
use lettre::{SmtpTransport, Transport as _};
use tokio::runtime::Runtime;

use crate::common::mail::{ALICE, BOT, MailServers, answer_to, message};
use crate::common::mailbox::Mail;
use crate::dovecot::Dovecot;
use crate::engine::Channel;
use crate::ledger::{Arrival, ArrivalKind};
use crate::letter::{acknowledges, name, named};
use crate::relay::Relay;

/// How often the mailbox is looked into.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How long nothing may be on its way before nothing counts as being on its way.
const QUIET_FOR: Duration = Duration::from_secs(3);

/// Alice, her mail program, and the servers.
pub(crate) struct MailChannel {
    servers: MailServers,
    dovecot: Dovecot,
    imap: Relay,
    smtp: Relay,
    outgoing: SmtpTransport,
    maildirs: PathBuf,
    written: BTreeMap<u32, Vec<u8>>,
    looked_at: Instant,
    busy_at: Instant,
    // The relays run on it.
    _runtime: Runtime,
}

impl MailChannel {
    /// Starts the servers with their files under `dir`.
    pub(crate) fn start(dir: &Path, base_port: u16) -> Self {
        let servers = MailServers::start(dir, base_port);
        let runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = { runtime }.worker_threads(1).enable_all().build().unwrap();
        let ports = ["IMAPS_PORT", "IMAP_PORT", "LMTP_PORT"].map(|name| servers.port(name));
        let outgoing = SmtpTransport::builder_dangerous("127.0.0.1")
            .port(servers.port("MX_DMARC_PASS_PORT"))
            .build();
        Self {
            dovecot: Dovecot::of(&dir.join("mail"), &ports),
            imap: Relay::start(&runtime, servers.port("IMAPS_PORT")),
            smtp: Relay::start(&runtime, servers.port("SUBMISSION_PORT")),
            outgoing,
            maildirs: dir.join("mail/mail"),
            written: BTreeMap::new(),
            looked_at: Instant::now(),
            busy_at: Instant::now(),
            servers,
            _runtime: runtime,
        }
    }

    /// The lines of the configuration that name this mailbox.
    pub(crate) fn config_lines(&self) -> Vec<String> {
        vec![
            "    email:".to_owned(),
            format!("      tls_ca_file: {}", self.servers.ca_file().display()),
            format!(
                "      account: {{username: {BOT}, from: \"Airut <{BOT}>\", password: secret}}"
            ),
            format!(
                "      imap: {{server: localhost, port: {}, tls: implicit}}",
                self.imap.port
            ),
            format!(
                "      smtp: {{server: localhost, port: {}, tls: starttls}}",
                self.smtp.port
            ),
            "      auth:".to_owned(),
            format!("        authorized_senders: [{ALICE}]"),
            "        trusted_authserv_id: mail.example.test".to_owned(),
        ]
    }

    /// Hands a mail to the public port.
    pub(crate) fn post(&self, raw: &[u8]) {
        let to = vec![BOT.parse().unwrap()];
        let envelope = Envelope::new(Some(ALICE.parse().unwrap()), to).unwrap();
        self.outgoing.send_raw(&envelope, raw).unwrap();
    }

    /// The files of a person's mailbox.
    fn files(&self, person: &str) -> Vec<PathBuf> {
        let mailbox = self.maildirs.join(person).join("Maildir");
        let listed = |part| {
            fs::read_dir(mailbox.join(part))
                .into_iter()
                .flatten()
                .flatten()
        };
        let files = ["new", "cur"].into_iter().flat_map(listed);
        files.map(|entry| entry.path()).collect()
    }
}

impl Channel for MailChannel {
    type Thread = Mail;

    const TROUBLES: &'static [&'static str] = &[
        "Dovecot was restarted",
        "Dovecot's sessions were killed",
        "IMAP connections were reset",
        "SMTP connections were reset",
    ];

    fn send(&mut self, number: u32, thread: Option<&Mail>) {
        let id = format!("{number}@soak.example.test");
        let text = format!("Please echo {}.", name(number));
        let raw = match thread {
            Some(mail) => answer_to(mail, ALICE, &id, &text),
            None => message(ALICE, &id, &format!("Letter {number}"), &text),
        };
        self.post(&raw);
        self.written.insert(number, raw);
    }

    fn send_again(&mut self, number: u32) {
        self.post(&self.written[&number]);
    }

    /// Reads the mailbox as its server keeps it, and removes what was read: a connection would die
    /// with those of the daemon.
    fn arrived(&mut self) -> Vec<Arrival<Mail>> {
        if self.looked_at.elapsed() < LOOK_EVERY {
            return Vec::new();
        }
        self.looked_at = Instant::now();
        let mut arrivals = Vec::new();
        for path in self.files(ALICE) {
            let raw = fs::read(&path).unwrap();
            fs::remove_file(path).unwrap();
            arrivals.push(arrival(Mail { raw }));
        }
        arrivals
    }

    fn make_trouble(&mut self, index: usize) {
        match index {
            0 => self.dovecot.restart(),
            1 => self.dovecot.kill_sessions(),
            2 => self.imap.cut(),
            _ => self.smtp.cut(),
        }
    }

    fn is_quiet(&mut self) -> bool {
        if !self.servers.queue_is_empty() || !self.files(BOT).is_empty() {
            self.busy_at = Instant::now();
        }
        self.busy_at.elapsed() > QUIET_FOR
    }
}

fn arrival(mail: Mail) -> Arrival<Mail> {
    let text = mail.text();
    let kind = match named(&text) {
        Some(letters) => ArrivalKind::Answer(letters),
        None if acknowledges(&text) => ArrivalKind::Acknowledgement,
        None => ArrivalKind::Other(text),
    };
    Arrival {
        kind,
        id: mail.header("Message-ID").unwrap_or_default(),
        handover: queue_id(&mail.raw),
        is_labelled: mail.header("X-Airut-Duplicate").is_some(),
        thread: mail,
    }
}

/// Returns what Postfix called a mail when the daemon handed it over.
#[track_caller]
fn queue_id(raw: &[u8]) -> String {
    let text = String::from_utf8_lossy(raw);
    let named = text.split_once("(Postfix) with ESMTPSA id ");
    let (_, rest) = named.unwrap_or_else(|| panic!("the daemon did not hand this over: {text}"));
    let id: String = rest
        .chars()
        .take_while(char::is_ascii_alphanumeric)
        .collect();
    assert!(!id.is_empty(), "{text}");
    id
}
