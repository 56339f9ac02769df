//! Mails that other projects keep to test their readers with: each is read without a panic, and a
//! plain one with the words that Python's own reader finds in it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use airut::handlers::channels::email::parse;

use crate::email::golden::files;

/// Prints of every mail that has a plain text and no HTML the text, as one JSON object.
const READER: &str = r"
import email, email.policy, json, sys
texts = {}
for name in sys.argv[1:]:
    try:
        mail = email.message_from_binary_file(open(name, 'rb'), policy=email.policy.default)
        plain, html = mail.get_body(('plain',)), mail.get_body(('html',))
        if plain is not None and html is None:
            texts[name] = plain.get_content()
    except Exception:
        pass
print(json.dumps(texts))
";

/// Mails that a fuzzer garbled, where the readers differ on what is still text: of the first nothing
/// but a delimiter is left, of the second the HTML part says more than the plain one.
const GARBLED: [&str; 2] = ["malformed/001.eml", "malformed/019.eml"];

/// Returns where a crate's source lies, as cargo fetched it.
fn crate_source(name: &str) -> Option<PathBuf> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let user = std::env::var_os("HOME").map(|home| Path::new(&home).join(".cargo"));
    let registries = fs::read_dir(home.or(user)?.join("registry/src")).ok()?;
    let sources = registries
        .flatten()
        .flat_map(|entry| fs::read_dir(entry.path()));
    let mut sources = sources.flatten().flatten().map(|entry| entry.path());
    sources.find(|path| {
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        file.starts_with(name) && path.join("resources").is_dir()
    })
}

fn words(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !c.is_alphanumeric());
    words
        .filter(|word| !word.is_empty())
        .map(ToOwned::to_owned)
        .collect()
}

/// Returns how many of the expected words a text lacks.
fn lacking(expected: &str, text: &str) -> usize {
    let mut left: BTreeMap<String, usize> = BTreeMap::new();
    for word in words(text) {
        *left.entry(word).or_default() += 1;
    }
    let mut lacks = |word: &&String| match left.get_mut(*word) {
        Some(count) if *count > 0 => {
            *count -= 1;
            false
        }
        Some(_) | None => true,
    };
    let expected = words(expected);
    let lacking = expected.iter().filter(|word| lacks(word));
    lacking.count()
}

#[test]
fn the_mails_of_the_parser_s_own_tests_are_read_as_another_reader_reads_them() {
    let Some(source) = crate_source("mail-parser-0.11") else {
        let required = std::env::var_os("AIRUT_REQUIRE_REAL").is_some();
        assert!(
            !required,
            "a real part is missing: the source of mail-parser"
        );
        eprintln!("SKIPPED: the source of mail-parser is not in cargo's registry");
        return;
    };
    let is_mail = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "eml");
    let mails: Vec<PathBuf> = files(&source.join("resources/eml"))
        .into_iter()
        .filter(is_mail)
        .collect();
    assert!(mails.len() >= 100, "{} mails", mails.len());
    let read = Command::new("python3")
        .args(["-c", READER])
        .args(&mails)
        .output()
        .unwrap();
    let texts: BTreeMap<PathBuf, String> = serde_json::from_slice(&read.stdout).unwrap();
    let mut differ = Vec::new();
    for mail in &mails {
        let content = parse::content(&fs::read(mail).unwrap());
        if let Some(expected) = texts.get(mail) {
            let lacks = lacking(expected, &content.body);
            if lacks > 0 && !GARBLED.iter().any(|name| mail.ends_with(name)) {
                differ.push(format!("{} lacks {lacks} words", mail.display()));
            }
        }
    }
    println!("{} mails were read, {} compared", mails.len(), texts.len());
    assert!(texts.len() >= 40, "{} compared", texts.len());
    assert_eq!(differ, [""; 0]);
}
