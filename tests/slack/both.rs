//! Both channels on one repository at the same time: mails through real servers, and Slack. Whoever
//! writes is answered once, in the thread they wrote in, and each thread is one conversation.

use std::collections::BTreeMap;
use std::path::Path;

use airut::events::event::MessageEvent;
use airut::events::id::{ChannelKind, Position};
use airut::events::{Event, Recorded};

use crate::agent::EchoSandbox;
use crate::common::mail::{self, MailServers, answer_to, message};
use crate::common::mailbox::Mail;
use crate::common::{PATIENCE, until};
use crate::ground::Ground;
use crate::hand::Hand;
use crate::rig::serve;
use crate::rules::{ALICE, APP_TOKEN, BOT_TOKEN, GENERAL};
use crate::standin::{Options, Standin};
use crate::whole;

/// Threads in each channel, and messages in each thread.
const THREADS: usize = 3;
const MESSAGES: usize = 2;

fn mail_servers_are_there() -> bool {
    let places = ["/usr/sbin", "/usr/bin"].map(Path::new);
    let is_there = |program: &str| places.iter().any(|place| place.join(program).exists());
    let missing: Vec<&str> = ["postfix", "dovecot"]
        .into_iter()
        .filter(|program| !is_there(program))
        .collect();
    if !missing.is_empty() {
        let required = std::env::var_os("AIRUT_REQUIRE_REAL").is_some();
        assert!(!required, "a real part is missing: {missing:?}");
        eprintln!("SKIPPED: {missing:?} is missing (make setup)");
    }
    missing.is_empty()
}

fn config_lines(servers: &MailServers, standin: &Standin) -> Vec<String> {
    vec![
        "    email:".to_owned(),
        format!("      tls_ca_file: {}", servers.ca_file().display()),
        format!(
            "      account: {{username: {0}, from: \"Airut <{0}>\", password: secret}}",
            mail::BOT
        ),
        format!(
            "      imap: {{server: localhost, port: {}, tls: implicit}}",
            servers.port("IMAPS_PORT")
        ),
        format!(
            "      smtp: {{server: localhost, port: {}, tls: starttls}}",
            servers.port("SUBMISSION_PORT")
        ),
        format!(
            "      auth: {{authorized_senders: [{}], trusted_authserv_id: mail.example.test}}",
            mail::ALICE
        ),
        "    slack:".to_owned(),
        format!("      bot_token: {BOT_TOKEN}"),
        format!("      app_token: {APP_TOKEN}"),
        "      authorized: [{workspace_members: true}]".to_owned(),
        format!("      api_url: {}", standin.api_url()),
    ]
}

/// A word that is in one message only, and that the agent says again.
fn word(channel: &str, thread: usize, round: usize) -> String {
    format!("word-{channel}-{thread}-{round}")
}

/// Whoever writes, and what became of it.
struct Writer {
    servers: MailServers,
    slack: whole::Workspace,
    /// The first message of each thread in Slack.
    roots: Vec<String>,
    /// The newest answer in each thread of mails.
    answers: BTreeMap<usize, Mail>,
}

impl Writer {
    /// Writes into each thread: a mail, then in Slack, and so on.
    fn write(&mut self, round: usize) {
        for thread in 0..THREADS {
            let text = format!("Please echo {}.", word("mail", thread, round));
            let id = id(thread, round);
            let mail = match self.answers.get(&thread) {
                Some(answer) => answer_to(answer, mail::ALICE, &id, &text),
                None => message(mail::ALICE, &id, &format!("Letter {thread}"), &text),
            };
            self.servers.send(mail::ALICE, &mail);
            let asked = word("slack", thread, round);
            let ts = self.slack.says(whole::Said {
                user: ALICE,
                channel: GENERAL,
                thread: self.roots.get(thread).map(String::as_str),
                text: &format!("<@U0HERALD01> please echo {asked}."),
            });
            if round == 0 {
                self.roots.push(ts);
            }
        }
    }

    /// Waits until each mail of a round is answered.
    fn read_mails(&mut self, round: usize) {
        for thread in 0..THREADS {
            let id = id(thread, round);
            let answer = until("the answer to a mail", PATIENCE, || {
                let inbox = self.servers.mailbox(mail::ALICE).messages();
                let is_answer =
                    |mail: &&Mail| mail.answers(&id) && !mail.text().contains("started working");
                inbox.iter().find(is_answer).cloned()
            });
            let text = answer.text();
            assert!(text.contains(&word("mail", thread, round)), "{text}");
            self.answers.insert(thread, answer);
        }
    }

    /// Waits until each message of a round in Slack is answered.
    fn read_slack(&self, round: usize) {
        for root in &self.roots {
            self.slack
                .hand
                .until(&format!("channel?id={GENERAL}"), |_| {
                    (self.slack.replies(GENERAL, root).len() > round).then_some(())
                });
        }
    }

    /// Looks that each message in Slack is answered once, in its thread.
    fn check_slack(&self) {
        for (thread, root) in self.roots.iter().enumerate() {
            let replies = self.slack.replies(GENERAL, root);
            assert_eq!(replies.len(), MESSAGES, "{replies:?}");
            for (round, reply) in replies.iter().enumerate() {
                assert!(reply.contains(&word("slack", thread, round)), "{reply}");
            }
        }
    }
}

/// Says whether a mail is an answer of the agent, and not a word that the work begins or waits.
fn says_a_word(mail: &Mail) -> bool {
    mail.text().contains("word-")
}

/// The `Message-ID` of a mail.
fn id(thread: usize, round: usize) -> String {
    format!("{thread}.{round}@client.example.test")
}

/// Looks that each thread is one conversation, and each conversation of one channel.
fn check_conversations(events: &[Recorded]) {
    let mut conversations: BTreeMap<_, Vec<ChannelKind>> = BTreeMap::new();
    let mut channels = BTreeMap::new();
    for recorded in events {
        match &recorded.event {
            Event::Message(MessageEvent::Received(received)) => {
                channels.insert(received.inbound, received.channel);
            }
            Event::Message(MessageEvent::Routed(routed)) => {
                let of = conversations.entry(routed.conversation).or_default();
                of.push(channels[&routed.inbound]);
            }
            _ => {}
        }
    }
    assert_eq!(conversations.len(), THREADS * 2, "one for each thread");
    for of in conversations.values() {
        assert_eq!(of.len(), MESSAGES);
        assert!(of.windows(2).all(|pair| pair[0] == pair[1]), "{of:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn both_channels_of_one_repository_answer_each_thread_in_itself() {
    if !mail_servers_are_there() {
        return;
    }
    let provider = rustls::crypto::ring::default_provider();
    provider.install_default().ok();
    let ground = Ground::new();
    let standin = Standin::start(Options::default()).unwrap();
    let mut writer = Writer {
        servers: MailServers::start(&ground.dir, ground.base_port),
        slack: whole::Workspace::of(Hand::of(&standin.api_url())),
        roots: vec![],
        answers: BTreeMap::new(),
    };
    ground.configure(config_lines(&writer.servers, &standin));
    let service = serve(&ground.dir, EchoSandbox::new()).await;
    writer.slack.until_connected();
    for round in 0..MESSAGES {
        writer.write(round);
        writer.read_mails(round);
        writer.read_slack(round);
    }
    let events = service.log().read(Position(0), usize::MAX).unwrap();
    assert!(service.stop("test").await);
    writer.check_slack();
    check_conversations(&events);
    let mails = writer.servers.inbox(mail::ALICE);
    let answers = mails.iter().filter(|mail| says_a_word(mail)).count();
    assert_eq!(
        answers,
        THREADS * MESSAGES,
        "none of Slack's, and none twice"
    );
}
