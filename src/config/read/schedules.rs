//! `repos.<id>.schedules`. Pure: whether a zone is known is looked up where the file is loaded.

use std::collections::BTreeMap;

use crate::config::cron::Cron;
use crate::config::read::text;
use crate::config::section::{Scalar, Section};
use crate::config::types::schedule::{CatchUp, Deliver, Overlap, Schedule, Work};
use crate::config::yaml::{Place, Problem};

/// Longest name of a schedule in characters; a longer one is an error.
const NAME_CHARS_MAX: usize = 64;

/// Longest prompt or command in bytes; a longer one is an error.
const TEXT_BYTES_MAX: usize = 64 * 1024;

/// Longest time limit of a command in seconds, ten years; a longer one is an error.
const TIMEOUT_S_MAX: u64 = 315_360_000;

/// Bytes of a command's output that the agent is given unless the file says otherwise.
const OUTPUT_BYTES: u64 = 102_400;

/// Most bytes of a command's output that an agent can be given; more is an error.
const OUTPUT_BYTES_MAX: u64 = 16 * 1024 * 1024;

const OVERLAPS: [(&str, Overlap); 2] = [("skip", Overlap::Skip), ("allow", Overlap::Allow)];

const CATCH_UPS: [(&str, CatchUp); 3] = [
    ("skip", CatchUp::Skip),
    ("once", CatchUp::Once),
    ("all", CatchUp::All),
];

/// Reads a repository's schedules; `has_mail` tells whether it has a mailbox to send from.
pub(super) fn schedules(
    section: Option<Section>,
    has_mail: bool,
) -> Result<BTreeMap<String, Schedule>, Problem> {
    let mut schedules = BTreeMap::new();
    for (name, place, path, node) in section.into_iter().flat_map(Section::into_named) {
        check_name(&name, place)?;
        let schedule = schedule(Section::new(&path, node)?, has_mail)?;
        schedules.insert(name, schedule);
    }
    Ok(schedules)
}

/// A name stands in prompts, subjects and names of streams.
fn check_name(name: &str, place: Place) -> Result<(), Problem> {
    let is_plain = !name.trim().is_empty() && !name.chars().any(|c| c.is_control() || c == '/');
    if is_plain && name.chars().count() <= NAME_CHARS_MAX {
        return Ok(());
    }
    let what = format!(
        "{name:?} cannot be a schedule's name: use up to {NAME_CHARS_MAX} characters without '/' \
         and control characters"
    );
    Err(Problem::at(place, what))
}

fn schedule(mut section: Section, has_mail: bool) -> Result<Schedule, Problem> {
    let cron = section.required("cron")?;
    let cron = Cron::parse(&cron.text).map_err(|error| cron.problem(&format!("is wrong: {error}")));
    let mut schedule = Schedule {
        cron: cron?,
        timezone: text(section.scalar("timezone")?),
        enabled: true,
        subject: text(section.scalar("subject")?),
        work: work(&mut section)?,
        model: text(section.scalar("model")?),
        effort: text(section.scalar("effort")?),
        deliver: deliver(&mut section, has_mail)?,
        overlap: Overlap::default(),
        catch_up: CatchUp::default(),
    };
    if let Some(scalar) = section.scalar("enable")? {
        schedule.enabled = scalar.boolean()?;
    }
    if let Some(scalar) = section.scalar("overlap")? {
        schedule.overlap = scalar.choice(&OVERLAPS)?;
    }
    if let Some(scalar) = section.scalar("catch_up")? {
        schedule.catch_up = scalar.choice(&CATCH_UPS)?;
    }
    section.end()?;
    Ok(schedule)
}

fn work(section: &mut Section) -> Result<Work, Problem> {
    let (place, path) = (section.place(), section.path_of(""));
    let filled = |scalar: &Scalar| !scalar.text.trim().is_empty();
    let prompt = section.scalar("prompt")?.filter(filled);
    let command = section.scalar("trigger_command")?.filter(filled);
    let timeout_s = section.scalar("trigger_timeout")?;
    let timeout_s = timeout_s.map(|scalar| scalar.integer(10, TIMEOUT_S_MAX));
    let output = section.scalar("output_limit")?;
    let output = output.map_or(Ok(OUTPUT_BYTES), |scalar| {
        scalar.integer(1, OUTPUT_BYTES_MAX)
    });
    let (timeout_s, output_bytes_max) = (timeout_s.transpose()?, output?);
    match (prompt, command) {
        (Some(prompt), None) => Ok(Work::Prompt(short(prompt)?)),
        (None, Some(command)) => {
            let argv = shlex::split(&command.text).filter(|words| !words.is_empty());
            let argv =
                argv.ok_or_else(|| command.problem("has a quotation mark without an end"))?;
            Ok(Work::Command {
                text: short(command)?,
                argv,
                timeout_s,
                output_bytes_max,
            })
        }
        (Some(_), Some(_)) | (None, None) => {
            let path = path.trim_end_matches('.');
            let what = format!("{path} must have exactly one of prompt and trigger_command");
            Err(Problem::at(place, what))
        }
    }
}

fn short(scalar: Scalar) -> Result<String, Problem> {
    if scalar.text.len() > TEXT_BYTES_MAX {
        let what =
            format!("has more than {TEXT_BYTES_MAX} bytes; put it into a file of the repository");
        return Err(scalar.problem(&what));
    }
    Ok(scalar.text)
}

fn deliver(section: &mut Section, has_mail: bool) -> Result<Deliver, Problem> {
    let (place, path) = (section.place(), section.path_of("deliver"));
    let missing = || Problem::at(place, format!("{path}.to is required"));
    let mut deliver = section.section("deliver")?.ok_or_else(missing)?;
    let to = deliver.required("to")?;
    if let Some(channel) = deliver.scalar("channel")? {
        match channel.text.trim() {
            "email" => {}
            "slack" => {
                return Err(channel.problem("cannot be slack: answers of schedules go by email"));
            }
            _ => return Err(channel.problem("must be email")),
        }
    }
    deliver.end()?;
    if !has_mail {
        let what = "needs the repository's email section, from which its answers are sent";
        return Err(to.problem(what));
    }
    let address = to.text.trim();
    let is_address = address.split_once('@').is_some_and(|(local, domain)| {
        !local.is_empty() && !domain.is_empty() && !domain.contains('@')
    });
    let is_plain = |c: char| !c.is_whitespace() && !c.is_control() && !"<>,;\"".contains(c);
    if !is_address || !address.chars().all(is_plain) {
        return Err(to.problem("must be one plain address, for example captain@harbor.test"));
    }
    Ok(Deliver::Email {
        to: address.to_owned(),
    })
}

#[cfg(test)]
mod tests;
