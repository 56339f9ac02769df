//! The mail servers, and mail sent to them from outside.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use lettre::address::Envelope;
use lettre::{SmtpTransport, Transport as _};

use crate::common::mailbox::{Mail, Mailbox};
use crate::common::{PATIENCE, run, until};

/// The address that Airut reads.
pub(crate) const BOT: &str = "bot@example.test";
/// A person who may use it.
pub(crate) const ALICE: &str = "alice@example.test";
/// A person who may not.
pub(crate) const MALLORY: &str = "mallory@elsewhere.test";
/// The password of every account.
pub(crate) const PASSWORD: &str = "secret";

/// The running servers.
#[derive(Debug)]
pub(crate) struct MailServers {
    dir: PathBuf,
    settings: BTreeMap<String, String>,
}

impl MailServers {
    /// Starts Postfix and Dovecot with their files under `dir`; ports count from `base_port`.
    pub(crate) fn start(dir: &Path, base_port: u16) -> Self {
        let dir = dir.join("mail");
        run(Command::new(script())
            .arg("start")
            .arg(&dir)
            .arg(base_port.to_string())
            .env("WATCH_PID", std::process::id().to_string()));
        let text = fs::read_to_string(dir.join("env")).unwrap();
        let pairs = text.lines().filter_map(|line| line.split_once('='));
        let unquoted = |(name, value): (&str, &str)| {
            let name = name.trim_start_matches("export ");
            (name.to_owned(), value.trim_matches(['\'', '"']).to_owned())
        };
        let settings = pairs.map(unquoted).collect();
        Self { dir, settings }
    }

    /// A port by its name in the servers' `env` file.
    pub(crate) fn port(&self, name: &str) -> u16 {
        self.settings[name].parse().unwrap()
    }

    /// The certificate of the servers' authority.
    pub(crate) fn ca_file(&self) -> PathBuf {
        PathBuf::from(&self.settings["MAIL_CA"])
    }

    /// Sends a message as the world would: to the public port, whose filter says `dmarc=pass`.
    pub(crate) fn send(&self, from: &str, message: &[u8]) {
        self.send_through("MX_DMARC_PASS_PORT", from, message);
    }

    /// Sends a message through another port.
    pub(crate) fn send_through(&self, port: &str, from: &str, message: &[u8]) {
        self.send_to(BOT, port, from, message);
    }

    /// Sends a message to somebody, through a port.
    pub(crate) fn send_to(&self, to: &str, port: &str, from: &str, message: &[u8]) {
        let server = SmtpTransport::builder_dangerous("127.0.0.1")
            .port(self.port(port))
            .build();
        let to = vec![to.parse().unwrap()];
        let envelope = Envelope::new(Some(from.parse().unwrap()), to).unwrap();
        server.send_raw(&envelope, message).unwrap();
    }

    /// Opens a person's mailbox.
    pub(crate) fn mailbox(&self, user: &str) -> Mailbox {
        Mailbox::open(self.port("IMAPS_PORT"), &self.ca_file(), user, PASSWORD)
    }

    /// Everything in a person's inbox, once nothing is under way any more: what Postfix has
    /// accepted lies in its queue for a moment, on a loaded machine for a long one.
    #[track_caller]
    pub(crate) fn inbox(&self, user: &str) -> Vec<Mail> {
        until("an empty mail queue", PATIENCE, || {
            self.queue_is_empty().then_some(())
        });
        self.mailbox(user).messages()
    }

    /// Looks in the order in which a message passes the queues, so that none slips by.
    pub(crate) fn queue_is_empty(&self) -> bool {
        let mut queues = ["maildrop", "incoming", "active", "deferred"].into_iter();
        queues.all(|queue| is_without_files(&self.dir.join("queue").join(queue)))
    }
}

/// Says whether no file lies under a directory; one that goes away meanwhile counts as none.
fn is_without_files(dir: &Path) -> bool {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut paths = entries.map(|entry| entry.path());
    paths.all(|path| (path.is_dir() && is_without_files(&path)) || !path.exists())
}

/// The script that starts and stops the servers.
pub(crate) fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/servers/mail.sh")
}

/// A plain message as a mail program writes it.
pub(crate) fn message(from: &str, id: &str, subject: &str, body: &str) -> Vec<u8> {
    let body = body.replace('\n', "\r\n");
    format!(
        "From: Alice Harbor <{from}>\r\nTo: {BOT}\r\nSubject: {subject}\r\n\
         Message-ID: <{id}>\r\nDate: Mon, 23 Nov 2026 10:00:00 +0000\r\nMIME-Version: 1.0\r\n\
         Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{body}\r\n"
    )
    .into_bytes()
}

/// A plain message that answers another.
pub(crate) fn answer_to(mail: &Mail, from: &str, id: &str, body: &str) -> Vec<u8> {
    let answered = mail.header("Message-ID").unwrap_or_default();
    let references = mail.header("References").unwrap_or_default();
    let subject = mail.header("Subject").unwrap_or_default();
    let head = format!("In-Reply-To: {answered}\r\nReferences: {references} {answered}\r\n");
    let mut message = head.into_bytes();
    message.extend(self::message(from, id, &format!("Re: {subject}"), body));
    message
}
