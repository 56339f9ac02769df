//! What `airut replay` prints, in each form.

use serde_json::{Value, json};

use crate::cli::format::{self, Format};
use crate::cli::output::Output;
use crate::cli::paths;
use crate::service::look::item::Item;
use crate::service::look::reach::Reach;
use crate::service::look::view::{Snapshot, View};
use crate::service::look::{self, Replay, diff, transcript, when};
use crate::service::surface::{BlobRef, Subject};

/// What is shown.
pub(super) enum Shown {
    /// Views as of a moment.
    Views(Snapshot),
    /// Text under headings, one JSON document, and items.
    Told {
        sections: Vec<(String, Vec<String>)>,
        document: Value,
        items: Vec<Item>,
    },
}

impl Shown {
    /// What differs between two moments.
    pub(super) fn difference(before: &Snapshot, after: &Snapshot) -> anyhow::Result<Self> {
        let place = |snapshot: &Snapshot| json!({"position": snapshot.position, "at": when::time(snapshot.at)});
        let (mut sections, mut items, mut all) = (Vec::new(), Vec::new(), json!({}));
        for (one, other) in before.views.iter().zip(&after.views) {
            let name = other.view.name();
            let lines = diff::lines(&one.lines, &other.lines);
            if !lines.is_empty() {
                sections.push((other.view.title().to_owned(), lines));
            }
            let changes = diff::changes(&one.value, &other.value);
            for change in &changes {
                let kind = format!("airut.change.{name}");
                let data = serde_json::to_value(change)?;
                let mut item = Item::snapshot(after.position, after.at, kind, data);
                item.id = format!(
                    "{name}{}@{}-{}",
                    change.path, before.position, after.position
                );
                items.push(item);
            }
            all[name] = serde_json::to_value(changes)?;
        }
        let (from, to) = (before.position, after.position);
        let heading = format!("From position {from} to position {to}");
        let none = if sections.is_empty() {
            vec!["nothing differs".to_owned()]
        } else {
            vec![]
        };
        sections.insert(0, (heading, none));
        Ok(Self::Told {
            sections,
            document: json!({"before": place(before), "after": place(after), "changes": all}),
            items,
        })
    }

    /// The record of a conversation or task.
    pub(super) fn subject(subject: Subject, replay: &Replay, from: u64) -> anyhow::Result<Self> {
        let (position, at) = (replay.position(), when::time(replay.at()));
        let (kind, id, view) = match subject {
            Subject::Conversation(id) => ("conversation", id.to_string(), View::Conversation),
            Subject::Task(id) => ("task", id.to_string(), View::Board),
        };
        if !replay.audit().is_known() {
            let view = view.name();
            anyhow::bail!(
                "at position {position} ({at}) there was no {kind} {id}: airut replay --at \
                 {position} --view {view} shows those there were"
            );
        }
        let state = paths::directories().state;
        let is_erased = look::is_erased(&state, replay, subject);
        let read = |body: &BlobRef| match look::body(&state, body) {
            Ok(text) => text,
            Err(_) if is_erased => "[erased]".to_owned(),
            Err(error) => format!("({error})"),
        };
        let heading = match subject {
            Subject::Conversation(_) => format!("Conversation {id} at position {position} ({at})"),
            Subject::Task(_) => format!("Task {id} at position {position} ({at})"),
        };
        let name = format!("{kind}:{id}");
        let entries = replay
            .audit()
            .entries()
            .filter(|entry| entry.position.0 >= from);
        let items = entries.map(|entry| Item::entry(entry, &name, position));
        let items = items.collect::<Result<Vec<Item>, _>>()?;
        let mut document = json!({"position": position, "at": at, kind: id});
        let lines = if let Subject::Task(_) = subject {
            let reach = Reach::of(replay.audit(), &read);
            document["reach"] = serde_json::to_value(&reach)?;
            reach.lines(&read)
        } else {
            document["dropped"] = replay.audit().dropped().into();
            document["entries"] = items.iter().map(Item::line).collect();
            transcript::lines(replay.audit(), from, &read)
        };
        Ok(Self::Told {
            sections: vec![(heading, lines)],
            document,
            items,
        })
    }

    /// Prints it.
    pub(super) fn print(self, format: Format, source: &str, output: Output) -> anyhow::Result<()> {
        let (sections, document, items) = match self {
            Self::Views(snapshot) => of_views(&snapshot),
            Self::Told {
                sections,
                document,
                items,
            } => (sections, document, items),
        };
        match format {
            Format::Text => {
                for (heading, lines) in sections {
                    output.heading(&heading);
                    for line in lines {
                        output.foreign(&format!("  {line}"));
                    }
                }
            }
            Format::Json => {
                output.foreign(&serde_json::to_string_pretty(&document)?);
            }
            Format::Jsonl | Format::Cloudevents => {
                format::print(&items, format, source, output);
            }
        }
        Ok(())
    }
}

type Told = (Vec<(String, Vec<String>)>, Value, Vec<Item>);

fn of_views(snapshot: &Snapshot) -> Told {
    let (position, at) = (snapshot.position, when::time(snapshot.at));
    let (mut sections, mut items, mut views) = (Vec::new(), Vec::new(), json!({}));
    for view in &snapshot.views {
        let heading = format!("{} at position {position} ({at})", view.view.title());
        let none = vec!["none".to_owned()];
        let lines = if view.lines.is_empty() {
            none
        } else {
            view.lines.clone()
        };
        sections.push((heading, lines));
        let name = view.view.name();
        views[name] = view.value.clone();
        let kind = format!("airut.view.{name}");
        items.push(Item::snapshot(
            snapshot.position,
            snapshot.at,
            kind,
            view.value.clone(),
        ));
    }
    let document = json!({"position": position, "at": at, "views": views});
    (sections, document, items)
}
