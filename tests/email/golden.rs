//! Kept mails and what Airut makes of them: `tests/golden/eml/*/NAME.eml` beside `NAME.txt`.
//! `AIRUT_BLESS=1` writes the texts anew; `AIRUT_MAILS=DIR` reads every file of a directory too.

use std::fs;
use std::path::{Path, PathBuf};

use airut::handlers::channels::Triage;
use airut::handlers::channels::email::triage;

use crate::email::post::account;

pub(crate) fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn described(raw: &[u8]) -> String {
    let (verdict, triaged) = match triage(raw, &account(), None) {
        Triage::Rejected { reason, detail } => return format!("rejected {reason:?}: {detail}\n"),
        Triage::Declined(triaged) => (Some("declined".to_owned()), triaged),
        Triage::Accepted(triaged) => (None, triaged),
    };
    let mut lines = Vec::from_iter(verdict);
    lines.extend([
        format!("from {} by rule {}", triaged.identity, triaged.rule),
        format!("evidence {}", triaged.evidence),
        format!("subject {:?}", triaged.subject),
        format!("conversation {:?}", triaged.conversation_hint),
        format!("model {:?}", triaged.model_hint),
        format!("lets in {:?}", triaged.invites),
        format!("reply to {:?}", triaged.reply_to),
    ]);
    lines.extend(triaged.attachments.iter().map(|file| {
        let (name, kind, bytes) = (&file.name, &file.media_type, file.bytes.len());
        format!("file {name:?} {kind} {bytes} bytes")
    }));
    lines.push(format!("\n{}\n", triaged.body));
    lines.join("\n")
}

#[test]
fn kept_mails_are_judged_as_they_were() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/eml");
    let is_mail = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "eml");
    let mails: Vec<PathBuf> = files(&directory).into_iter().filter(is_mail).collect();
    assert!(mails.len() >= 20, "{} mails", mails.len());
    for mail in mails {
        let (described, expected) = (
            described(&fs::read(&mail).unwrap()),
            mail.with_extension("txt"),
        );
        if std::env::var_os("AIRUT_BLESS").is_some() {
            fs::write(&expected, &described).unwrap();
        }
        let expected = fs::read_to_string(&expected).unwrap();
        assert_eq!(described, expected, "{}", mail.display());
    }
}

#[test]
fn a_header_of_any_length_fits_into_an_event() {
    let pass = "Authentication-Results: mail.example.test; dmarc=pass";
    let long = "x ".repeat(200_000);
    let ids = "<a@b> ".repeat(20_000);
    for head in [
        format!("{pass} ({long})\r\nFrom: alice@example.test\r\n"),
        format!("{pass}\r\nFrom: alice@example.test\r\nSubject: {long}\r\nReferences: {ids}\r\n"),
        format!("{pass}\r\nFrom: {long}\r\n"),
        format!("{pass}\r\nFrom: {}@partner.test\r\n", "x".repeat(100_000)),
        format!(
            "{pass}\r\nFrom: alice@example.test\r\nTo: bot+{}@x\r\n",
            "x".repeat(100_000)
        ),
        format!("Auto-Submitted: {long}\r\n"),
    ] {
        let described = described(format!("{head}\r\nHello.\r\n").as_bytes());
        assert!(described.len() < 20_000, "{}", described.len());
    }
}

#[test]
fn every_mail_of_a_directory_is_read() {
    let Some(directory) = std::env::var_os("AIRUT_MAILS") else {
        println!("SKIPPED: AIRUT_MAILS names no directory of mails");
        return;
    };
    let pass = b"Authentication-Results: mail.example.test; dmarc=pass\r\n";
    let mails = files(Path::new(&directory));
    for mail in &mails {
        let raw = fs::read(mail).unwrap();
        triage(&raw, &account(), None);
        airut::handlers::channels::email::parse::content(&[&pass[..], &raw].concat());
    }
    println!("{} mails were read", mails.len());
}
