//! Mails that other projects keep to test their readers with: each is read without a panic and with the
//! text that a person reads in it. `corpora.txt` says of each mail how many words that text has, how many
//! files there are and how it begins; `AIRUT_BLESS=1` writes it anew, for somebody to look at.

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
/// but a delimiter is left, of the second the HTML part says more than the plain one. The third has no
/// header at all, which no server delivers.
const GARBLED: [&str; 3] = [
    "malformed/001.eml",
    "malformed/019.eml",
    "cpython/msg_19.txt",
];

/// The mails of one project: its name, and each mail with its name below that.
pub(crate) struct Corpus {
    pub(crate) name: &'static str,
    pub(crate) mails: Vec<(String, PathBuf)>,
}

/// Returns the mails of all projects that are here; says aloud which are missing.
pub(crate) fn corpora() -> Vec<Corpus> {
    let fetched = Path::new(env!("CARGO_MANIFEST_DIR")).join(".airut-dev/corpora");
    let parser = crate_source("mail-parser-0.11").map(|source| source.join("resources/eml"));
    let places = [
        ("cpython", Some(fetched.join("cpython")), 47),
        ("spamassassin", Some(fetched.join("spamassassin")), 2),
        ("mail-parser", parser, 107),
    ];
    let mut corpora = Vec::new();
    for (name, place, count) in places {
        let Some(place) = place.filter(|place| place.is_dir()) else {
            let required = std::env::var_os("AIRUT_REQUIRE_REAL").is_some();
            assert!(!required, "a real part is missing: the mails of {name}");
            eprintln!("SKIPPED: the mails of {name} are missing (make setup)");
            continue;
        };
        let is_mail = |path: &PathBuf| {
            let ending = path.extension().unwrap_or_default();
            ending == "eml" || ending == "txt"
        };
        let paths = files(&place).into_iter().filter(is_mail);
        let named = |path: PathBuf| {
            let name = path.strip_prefix(&place).unwrap();
            (name.to_string_lossy().into_owned(), path)
        };
        let mails: Vec<_> = paths.map(named).collect();
        assert_eq!(mails.len(), count, "mails of {name}");
        corpora.push(Corpus { name, mails });
    }
    corpora
}

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

/// Returns the words of a text, without marks between them.
pub(crate) fn words(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !c.is_alphanumeric());
    words
        .filter(|word| !word.is_empty())
        .map(ToOwned::to_owned)
        .collect()
}

/// Returns how many of the expected words a text lacks.
pub(crate) fn lacking(expected: &str, text: &str) -> usize {
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

/// Words of a text's beginning that are told.
const FIRST_WORDS: usize = 8;

/// Says in one line what a mail is read as.
fn told(name: &str, raw: &[u8]) -> String {
    let content = parse::content(raw);
    let words = words(&content.body);
    let begins = words[..words.len().min(FIRST_WORDS)].join(" ");
    let (count, files) = (words.len(), content.attachments.len());
    format!("{name} | {count} words | {files} files | {begins}")
        .trim_end()
        .to_owned()
}

#[test]
fn the_mails_of_other_projects_are_read_with_the_text_that_a_person_reads() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/email/corpora.txt");
    let mut lines = Vec::new();
    let corpora = corpora();
    for corpus in &corpora {
        for (name, path) in &corpus.mails {
            let name = format!("{}/{name}", corpus.name);
            lines.push(told(&name, &fs::read(path).unwrap()));
        }
    }
    if std::env::var_os("AIRUT_BLESS").is_some() {
        fs::write(&path, lines.join("\n") + "\n").unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap();
    let is_here = |line: &&str| {
        let mut names = corpora.iter().map(|corpus| corpus.name);
        names.any(|name| line.starts_with(&format!("{name}/")))
    };
    let expected: Vec<&str> = expected.lines().filter(is_here).collect();
    for (line, expected) in lines.iter().zip(&expected) {
        assert_eq!(line, expected);
    }
    assert_eq!(lines.len(), expected.len());
    println!("{} mails were read", lines.len());
}

#[test]
fn plain_mails_of_other_projects_are_read_as_another_reader_reads_them() {
    let corpora = corpora();
    let mails = corpora.iter().flat_map(|corpus| &corpus.mails);
    let mails: Vec<&PathBuf> = mails.map(|(_, path)| path).collect();
    let read = Command::new("python3")
        .args(["-c", READER])
        .args(&mails)
        .output()
        .unwrap();
    let texts: BTreeMap<PathBuf, String> = serde_json::from_slice(&read.stdout).unwrap();
    let mut differ = Vec::new();
    for mail in mails {
        let content = parse::content(&fs::read(mail).unwrap());
        if let Some(expected) = texts.get(mail) {
            let lacks = lacking(expected, &content.body);
            if lacks > 0 && !GARBLED.iter().any(|name| mail.ends_with(name)) {
                differ.push(format!("{} lacks {lacks} words", mail.display()));
            }
        }
    }
    println!("{} mails were compared", texts.len());
    let fewest = 30 * corpora.len().saturating_sub(1);
    assert!(texts.len() >= fewest, "{} compared", texts.len());
    assert_eq!(differ, [""; 0]);
}
