//! The schedules that the configuration wants, each with the zone whose clocks count. It reads this
//! machine's zone database, and no clock.

use std::sync::Arc;

use jiff::tz::TimeZone;

use crate::config::types::Config;
use crate::config::types::schedule::Schedule;
use crate::config::zone;
use crate::events::id::{AtMs, RepoId};
use crate::projections::schedules::Schedules;

/// The name of the machine's own zone where it has none that others would know.
const NAMELESS: &str = "local";

/// A schedule that is switched on.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its repository.
    pub repo: RepoId,
    /// Its name.
    pub name: String,
    /// As configured.
    pub schedule: Schedule,
    /// Its zone.
    pub zone: TimeZone,
    /// The model of its conversations.
    pub model: String,
    /// Their effort.
    pub effort: Option<String>,
}

impl Entry {
    /// Returns the IANA name of its zone.
    pub fn zone_name(&self) -> &str {
        self.zone.iana_name().unwrap_or(NAMELESS)
    }
}

/// The schedules that are switched on, and when each is due next: that is reckoned once, and not with
/// every event.
#[derive(Debug)]
pub struct Timetable {
    entries: Arc<[Entry]>,
    /// Up to when each was dealt with, and when it is due next after that.
    next: Vec<Option<(AtMs, Option<AtMs>)>>,
}

impl Timetable {
    /// Returns the timetable of a configuration.
    pub fn of(config: &Config) -> Self {
        let entries = entries(config);
        Self {
            next: vec![None; entries.len()],
            entries: entries.into(),
        }
    }

    /// Returns the schedules, by repository and name.
    pub fn entries(&self) -> Arc<[Entry]> {
        Arc::clone(&self.entries)
    }

    /// Returns the schedules that are due and not dealt with when the machine's clock shows a time.
    pub fn due(&mut self, schedules: &Schedules, machine: AtMs) -> Vec<Entry> {
        self.reckon(schedules);
        let is_due = |next: &Option<(AtMs, Option<AtMs>)>| {
            let next = next.and_then(|(_, next)| next);
            next.is_some_and(|next| next <= machine)
        };
        let entries = self.entries.iter().zip(&self.next);
        let due = entries.filter(|(_, next)| is_due(next));
        due.map(|(entry, _)| entry.clone()).collect()
    }

    /// Returns when the next schedule is due after a time; those that are due and wait count not.
    pub fn next_after(&mut self, schedules: &Schedules, machine: AtMs) -> Option<AtMs> {
        self.reckon(schedules);
        let next = self
            .next
            .iter()
            .filter_map(|next| next.and_then(|(_, next)| next));
        next.filter(|next| *next > machine).min()
    }

    fn reckon(&mut self, schedules: &Schedules) {
        for (entry, next) in self.entries.iter().zip(&mut self.next) {
            let Some(known) = schedules.get(&entry.repo, &entry.name) else {
                *next = None;
                continue;
            };
            if next.is_none_or(|(considered, _)| considered != known.considered) {
                let due = entry.schedule.cron.next(known.considered, &entry.zone);
                *next = Some((known.considered, due));
            }
        }
    }
}

/// Returns the schedules of a configuration that are switched on, by repository and name. One whose
/// zone this machine does not know any more is left out, and the operator is told.
fn entries(config: &Config) -> Vec<Entry> {
    let machine = zone::of_machine();
    let mut entries = vec![];
    for (repo, settings) in &config.repos {
        for (name, schedule) in &settings.schedules {
            if !schedule.enabled {
                continue;
            }
            let named = schedule.timezone.as_deref().map(zone::named).transpose();
            let zone = match named {
                Ok(named) => named.unwrap_or_else(|| machine.clone()),
                Err(error) => {
                    tracing::error!(%repo, name, %error, "a schedule is not kept");
                    continue;
                }
            };
            let model = schedule.model.clone();
            let effort = schedule.effort.clone();
            entries.push(Entry {
                repo: repo.clone(),
                name: name.clone(),
                schedule: schedule.clone(),
                zone,
                model: model.unwrap_or_else(|| settings.model.clone()),
                effort: effort.or_else(|| settings.effort.clone()),
            });
        }
    }
    entries
}
