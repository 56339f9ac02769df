//! Several mails of fifty megabytes at once: their files arrive and come back whole, and the daemon's
//! memory stays within a bound. That they take turns is shown in `tests/story/long.rs`.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use mail_parser::{MessageParser, MimeHeaders as _};

use crate::common::mail::{ALICE, BOT};
use crate::common::mailbox::Mail;
use crate::engine::Channel as _;
use crate::ground::Ground;
use crate::has_mail_servers;
use crate::ledger::ArrivalKind;
use crate::letter::name;
use crate::mail::MailChannel;
use crate::process::Daemon;

/// Mails that come at once.
const MAILS: u32 = 3;
/// Length of the files of each, in bytes: encoded, a little less than the 50 MiB that a mail may have.
/// The first comes back; for the second there is no room in an answer.
const FILES: [usize; 2] = [24 << 20, 23 << 19];
/// The most that the daemon may hold for them, in MiB: one such mail takes about three times its length
/// while it is read, and its answer six times the length of its file.
const PEAK_MIB_MAX: u64 = 420;
/// How long all of it may take; unoptimised encryption is slow.
const PATIENCE: Duration = Duration::from_secs(600);

#[test]
fn several_mails_of_fifty_megabytes_arrive_whole_and_memory_stays_bounded() {
    if !has_mail_servers() {
        return;
    }
    let ground = Ground::new();
    let mut mails = MailChannel::start(&ground.dir, ground.base_port);
    ground.configure(mails.config_lines());
    let mut daemon = Daemon::new(&ground.dir);
    mails.send(1, None);
    await_answers(&mut mails, &mut daemon, 1);
    println!(
        "soak.peak_before_long_mails {} MiB",
        daemon.peak_kib() / 1024
    );
    for number in 2..2 + MAILS {
        let raw = long_mail(number);
        assert!(
            raw.len() > 48 << 20 && raw.len() <= 50 << 20,
            "{}",
            raw.len()
        );
        mails.post(&raw);
    }
    let answers = await_answers(&mut mails, &mut daemon, MAILS as usize);
    let peak_mib = daemon.peak_kib() / 1024;
    println!("soak.peak_of_{MAILS}_long_mails {peak_mib} MiB");
    for answer in &answers {
        let number = number_of(answer);
        let parsed = MessageParser::default().parse(&answer.raw).unwrap();
        let files: Vec<_> = parsed.attachments().collect();
        assert_eq!(files.len(), 1, "{}", answer.text());
        assert_eq!(
            files[0].attachment_name(),
            Some(file_name(number, 0).as_str())
        );
        assert!(
            files[0].contents() == content(number, 0),
            "another content came back"
        );
        assert!(
            answer.text().contains(&file_name(number, 1)),
            "{}",
            answer.text()
        );
    }
    for number in 2..2 + MAILS {
        for index in 0..FILES.len() {
            let arrived = in_an_inbox(&ground.dir, &file_name(number, index));
            assert!(
                fs::read(arrived).unwrap() == content(number, index),
                "it is another file"
            );
        }
    }
    daemon.stop();
    assert!(peak_mib < PEAK_MIB_MAX, "{peak_mib} MiB");
}

/// Waits for answers, acknowledgements left out.
#[track_caller]
fn await_answers(mails: &mut MailChannel, daemon: &mut Daemon, number: usize) -> Vec<Mail> {
    let start = Instant::now();
    let mut answers = Vec::new();
    while answers.len() < number {
        assert!(
            start.elapsed() < PATIENCE,
            "{} of {number} answers came",
            answers.len()
        );
        daemon.check_alive();
        for arrival in mails.arrived() {
            match arrival.kind {
                ArrivalKind::Answer(_) => answers.push(arrival.thread),
                ArrivalKind::Acknowledgement => {}
                ArrivalKind::Other(text) => panic!("{text}"),
            }
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    answers
}

fn number_of(answer: &Mail) -> u32 {
    let answered = answer.header("In-Reply-To").unwrap();
    let number = answered.trim_start_matches('<').split('@').next().unwrap();
    number.parse().unwrap()
}

fn file_name(number: u32, index: usize) -> String {
    format!("measurements-{number}-{index}.bin")
}

fn content(number: u32, index: usize) -> Vec<u8> {
    let place = [number as u8, index as u8, 0xa1, 0x7f, 0x00, 0xff, 0x0a];
    let mut content = place.repeat(FILES[index] / place.len());
    content.extend(number.to_be_bytes());
    content
}

fn long_mail(number: u32) -> Vec<u8> {
    let mut mail = format!(
        "From: Alice Harbor <{ALICE}>\r\nTo: {BOT}\r\nSubject: Letter {number}\r\n\
         Message-ID: <{number}@soak.example.test>\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/mixed; boundary=parts\r\n\r\n--parts\r\n\r\nPlease echo {}. Send the \
         files back.\r\n",
        name(number)
    )
    .into_bytes();
    for index in 0..FILES.len() {
        let head = format!(
            "--parts\r\nContent-Type: application/octet-stream\r\nContent-Disposition: attachment; \
             filename={}\r\nContent-Transfer-Encoding: base64\r\n\r\n",
            file_name(number, index)
        );
        mail.extend(head.bytes());
        let encoded = BASE64_STANDARD.encode(content(number, index));
        for line in encoded.as_bytes().chunks(76) {
            mail.extend_from_slice(line);
            mail.extend_from_slice(b"\r\n");
        }
    }
    mail.extend_from_slice(b"--parts--\r\n");
    mail
}

/// Finds a file in the inbox of a conversation.
#[track_caller]
fn in_an_inbox(dir: &Path, name: &str) -> PathBuf {
    let conversations = fs::read_dir(dir.join("state/airut/work/conversations")).unwrap();
    let mut inboxes = conversations.map(|entry| entry.unwrap().path().join("inbox"));
    let found = inboxes.find(|inbox| inbox.join(name).exists());
    found
        .unwrap_or_else(|| panic!("{name} is in no inbox"))
        .join(name)
}
