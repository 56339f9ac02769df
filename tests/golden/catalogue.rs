//! `doc/events.md`, made from the catalogue and the doc comments of the payloads.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use airut::events::Event;
use airut::events::codec;

const HEAD: &str = "# Events\n\n\
    Every kind of event that Airut records, made from the code (`make bless`). A kind's number is\n\
    given once and for ever; a payload never changes: a change is a new version, and older ones are\n\
    brought up to date when they are read.\n";

/// A struct's doc comment and its fields with theirs.
#[derive(Debug, Default)]
struct Described {
    words: String,
    fields: Vec<(String, String, String)>,
}

/// Returns the document.
pub(crate) fn document() -> String {
    let mut text = HEAD.to_owned();
    let mut family = "";
    let mut described = BTreeMap::new();
    for (kind, name, module) in Event::kinds() {
        if *module != family {
            family = module;
            described = describe(module);
            write!(text, "\n## {module}\n\n{}\n", module_words(module)).unwrap();
        }
        let version = codec::current_version(*kind).unwrap();
        let payload = &described[*name];
        write!(
            text,
            "\n### {name} (kind {kind}, version {version})\n\n{}\n",
            payload.words
        )
        .unwrap();
        if payload.fields.is_empty() {
            continue;
        }
        text.push_str("\n| field | type | meaning |\n|---|---|---|\n");
        for (field, field_type, words) in &payload.fields {
            let field_type = field_type.replace('|', "\\|");
            writeln!(text, "| `{field}` | `{field_type}` | {words} |").unwrap();
        }
    }
    text
}

fn source(module: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(root.join(format!("src/events/{module}.rs"))).unwrap()
}

fn module_words(module: &str) -> String {
    let source = source(module);
    let words = source.lines().map_while(|line| line.strip_prefix("//!"));
    words.map(str::trim).collect::<Vec<_>>().join(" ")
}

/// Reads the structs of a family's file, line by line: the formatter keeps their form.
fn describe(module: &str) -> BTreeMap<String, Described> {
    let mut all = BTreeMap::new();
    let mut current: Option<(String, Described)> = None;
    let mut words: Vec<String> = Vec::new();
    for line in source(module).lines() {
        let line = line.trim();
        if let Some(comment) = line.strip_prefix("///") {
            words.push(comment.trim().to_owned());
        } else if let Some(name) = line.strip_prefix("pub struct ") {
            let name = name.split([' ', '{']).next().unwrap().to_owned();
            let described = Described {
                words: words.join(" "),
                fields: Vec::new(),
            };
            current = Some((name, described));
            words.clear();
        } else if let (Some((_, described)), Some(field)) =
            (&mut current, line.strip_prefix("pub "))
            && let Some((name, field_type)) = field.trim_end_matches(',').split_once(": ")
        {
            let (name, field_type) = (name.to_owned(), field_type.to_owned());
            described.fields.push((name, field_type, words.join(" ")));
            words.clear();
        } else if line == "}" {
            all.extend(current.take());
            words.clear();
        } else if !line.starts_with('#') {
            words.clear();
        }
    }
    all
}
