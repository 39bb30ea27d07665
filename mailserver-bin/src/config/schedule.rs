//! `[schedule]` and `[retention]`: when the server's own work is done, and what
//! it removes.

use std::sync::Arc;
use std::time::Duration;

use mailcore::schedule::{Crontab, Utc};

use super::Retention;
use super::file::{At, Section};
use super::problems::nearest;
use crate::housekeeping::{CHORES, Chore, NEVER, Schedule};
use crate::zone;

/// The times without a file.
#[expect(clippy::expect_used, reason = "constants that a test reads")]
pub(super) fn defaults() -> Schedule {
    let time = |chore: &'static Chore| {
        let crontab = crontab(chore.default).expect("the default times are schedules");
        (chore, crontab)
    };
    Schedule {
        zone: Arc::new(Utc),
        times: CHORES.iter().map(time).collect(),
    }
}

/// A schedule; `None` for never.
fn crontab(text: &str) -> Result<Option<Crontab>, String> {
    match text {
        NEVER => Ok(None),
        _ => match text.parse() {
            Ok(crontab) => Ok(Some(crontab)),
            Err(error) => Err(format!("{error}, or \"{NEVER}\"")),
        },
    }
}

pub(super) fn schedule(root: &Section<'_, '_>, schedule: &mut Schedule) {
    let section = root.section("schedule", "[schedule]");
    if let Some(name) = section.string("time_zone") {
        match zone::find(name.value) {
            Ok(zone) => schedule.zone = zone,
            Err(reason) => section.problem(name.line, zone_problem(name, &reason)),
        }
    }
    for (chore, time) in &mut schedule.times {
        let Some(text) = section.string(chore.name) else {
            continue;
        };
        match crontab(text.value) {
            Ok(crontab) => *time = crontab,
            Err(reason) => section.problem(text.line, format!("{}: {reason}", chore.name)),
        }
    }
    section.finish();
}

fn zone_problem(name: At<&str>, reason: &str) -> String {
    let names = zone::names();
    let known: Vec<&str> = names.iter().map(String::as_str).collect();
    let hint = match nearest(name.value, &known) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None => reason.to_owned(),
    };
    format!("time_zone can't be \"{}\"; {hint}", name.value)
}

pub(super) fn retention(root: &Section<'_, '_>, retention: &mut Retention) {
    let section = root.section("retention", "[retention]");
    retention.junk = keep_for(&section, "junk");
    retention.trash = keep_for(&section, "trash");
    section.finish();
}

/// How long something is kept, "never" being no time at all.
pub(in crate::config) fn keep_or_never(
    section: &Section<'_, '_>,
    key: &'static str,
) -> Option<Duration> {
    let text = section.string(key)?;
    if text.value == NEVER {
        return Some(Duration::ZERO);
    }
    Some(section.parse_duration(key, text)?.value)
}

fn keep_for(section: &Section<'_, '_>, key: &'static str) -> Option<Duration> {
    let text = section.string(key)?;
    if text.value == NEVER {
        return None;
    }
    let duration = section.parse_duration(key, text)?;
    if duration.value.is_zero() {
        section.problem(duration.line, format!("{key} must be more than nothing"));
    }
    Some(duration.value)
}
