//! `backup:`. Pure.

use std::path::PathBuf;

use crate::config::section::{Scalar, Section};
use crate::config::types::{Backup, TimeOfDay};
use crate::config::yaml::Problem;

/// When a backup is taken unless the file says otherwise.
const AT: TimeOfDay = TimeOfDay { hour: 4, minute: 0 };

pub(super) fn backup(section: Option<Section>) -> Result<Option<Backup>, Problem> {
    let Some(mut section) = section else {
        return Ok(None);
    };
    let directory = section.required("directory")?;
    let mut backup = Backup {
        directory: PathBuf::from(&directory.text),
        at: AT,
        drill: true,
    };
    if !backup.directory.is_absolute() {
        return Err(directory.problem("must be an absolute path, for example /backup/airut"));
    }
    if let Some(scalar) = section.scalar("at")? {
        backup.at = time_of_day(&scalar)?;
    }
    if let Some(scalar) = section.scalar("drill")? {
        backup.drill = scalar.boolean()?;
    }
    section.end()?;
    Ok(Some(backup))
}

fn time_of_day(scalar: &Scalar) -> Result<TimeOfDay, Problem> {
    let number = |text: &str, end: i8| {
        let is_written_so = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse().ok().filter(|number| *number < end);
        number.filter(|_| is_written_so)
    };
    let read = || {
        let (hour, minute) = scalar.text.split_once(':')?;
        Some(TimeOfDay {
            hour: number(hour, 24)?,
            minute: number(minute, 60)?,
        })
    };
    read().ok_or_else(|| scalar.problem("must be a time of day, for example 04:00"))
}
