//! What Airut makes of a mail's HTML beside what a text browser shows of it: the same words, none more and
//! none less, but for the addresses of links, and pictures, which a browser keeps to itself.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use airut::handlers::channels::email::html::to_markdown;
use mail_parser::{Message, MessageParser, PartType};

use crate::email::corpora::{corpora, lacking};
use crate::email::golden::files;

/// Shows HTML as a person with a text browser sees it; nothing where there is no browser.
fn shown(html: &str) -> Option<String> {
    let browser = Command::new("w3m")
        .args(["-dump", "-T", "text/html", "-I", "UTF-8", "-O", "UTF-8"])
        .args(["-cols", "1000", "-o", "display_image=0"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let Ok(mut browser) = browser else {
        let required = std::env::var_os("AIRUT_REQUIRE_REAL").is_some();
        assert!(!required, "a real part is missing: w3m");
        eprintln!("SKIPPED: w3m is missing (make setup)");
        return None;
    };
    let mut input = browser.stdin.take().unwrap();
    let html = html.to_owned();
    let writer = std::thread::spawn(move || input.write_all(html.as_bytes()));
    let output = browser.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Returns every HTML part of a mail, also those of mails within it.
fn html_parts(mail: &Message<'_>) -> Vec<String> {
    let mut found = Vec::new();
    for part in &mail.parts {
        match &part.body {
            PartType::Html(html) => found.push(html.to_string()),
            PartType::Message(inner) => found.extend(html_parts(inner)),
            PartType::Text(_)
            | PartType::Binary(_)
            | PartType::InlineBinary(_)
            | PartType::Multipart(_) => {}
        }
    }
    found
}

/// Returns HTML without its pictures: of those each shows another name.
fn without_pictures(html: &str) -> String {
    let mut parts = html.split("<img");
    let first = parts.next().unwrap_or_default().to_owned();
    let after = parts.map(|part| part.split_once('>').map_or("", |(_, after)| after));
    first + &after.collect::<String>()
}

/// Returns a Markdown text without what a browser does not show: addresses of links, and marks.
fn without_addresses(markdown: &str) -> String {
    let mut rest = markdown;
    let mut text = String::new();
    while let Some((before, after)) = rest.split_once("](") {
        text.push_str(before);
        text.push(' ');
        rest = after.split_once(')').map_or("", |(_, after)| after);
    }
    (text + rest).replace('\\', "")
}

#[test]
fn html_says_what_a_text_browser_shows_word_for_word() {
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/eml");
    let is_mail = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "eml");
    let mut mails: Vec<PathBuf> = files(&kept).into_iter().filter(is_mail).collect();
    for corpus in corpora() {
        mails.extend(corpus.mails.into_iter().map(|(_, path)| path));
    }
    let (mut compared, mut differ) = (0, Vec::new());
    for path in mails {
        let raw = std::fs::read(&path).unwrap();
        let Some(mail) = MessageParser::default().parse(&raw) else {
            continue;
        };
        for html in html_parts(&mail) {
            let html = without_pictures(&html);
            let Some(shown) = shown(&html) else { return };
            let ours = without_addresses(&to_markdown(&html, true));
            let (lacks, adds) = (lacking(&shown, &ours), lacking(&ours, &shown));
            if lacks + adds > 0 {
                let name = path.display();
                differ.push(format!(
                    "{name} lacks {lacks}, adds {adds}:\n{shown}\n---\n{ours}"
                ));
            }
            compared += 1;
        }
    }
    println!("{compared} parts were compared");
    assert!(differ.is_empty(), "{}", differ.join("\n======\n"));
}
