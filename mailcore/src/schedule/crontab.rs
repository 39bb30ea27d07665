//! [`Crontab`]: when something is to be done again and again, as five fields
//! or a preset. Pure: reads no clock.

mod field;
#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use super::zone::{self, Zone};
use crate::message::date::Date;
use crate::time::Timestamp;

pub use field::Field;
use field::{FIELDS, Values, next_bit};

/// Octets of a schedule's text.
const MAX_TEXT: usize = 256;

const MINUTES_A_DAY: i64 = 24 * 60;

/// Months searched for a day: after 400 years the calendar repeats, weekdays
/// included.
const SEARCH: usize = 400 * 12 + 1;

/// Local times tried that clocks have shown before: those of a day.
const REPEATED: i64 = MINUTES_A_DAY + 1;

const PRESETS: [(&str, &str); 7] = [
    ("@hourly", "0 * * * *"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@weekly", "0 0 * * 0"),
    ("@monthly", "0 0 1 * *"),
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
];

/// A schedule: minute, hour, day of month, month, day of week.
///
/// ```text
/// field = "*" ["/" step] / item *("," item)
/// item  = value / value "-" value ["/" step]
/// ```
///
/// Months and weekdays have names (`jan`, `mon`), Sunday is 0 and 7. When both
/// day fields are restricted a day that either names is meant; one that begins
/// with `*` restricts nothing by itself (as in Vixie cron, so `*/2` and `mon`
/// are Mondays of odd dates). The presets are `@hourly`, `@daily` or
/// `@midnight`, `@weekly`, `@monthly`, `@yearly` or `@annually`.
///
/// Times are local ones. One that is skipped when clocks go forward is meant
/// for the moment of the skip; one that comes twice when they go back is meant
/// the first time only.
///
/// ```
/// use mailcore::schedule::{Crontab, Utc};
/// use mailcore::time::Timestamp;
///
/// let weekdays: Crontab = "30 3 * * mon-fri".parse()?;
/// // 2026-01-02, a Friday, 12:00.
/// let next = weekdays.next_after(Timestamp::from_secs(1_767_355_200), &Utc);
/// assert_eq!(next, Some(Timestamp::from_secs(1_767_583_800))); // Monday 03:30
/// # Ok::<(), mailcore::schedule::CrontabError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Crontab {
    /// As it was written, with single spaces.
    text: Box<str>,
    minutes: Values,
    hours: Values,
    days: Values,
    months: Values,
    weekdays: Values,
}

/// What is wrong with a schedule's text.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CrontabError {
    /// Not five fields.
    #[error(
        "a schedule has five fields (minute hour day-of-month month day-of-week), not {0}{hint}",
        hint = if *.0 == 6 { "; there is none for seconds or years" } else { "" }
    )]
    Fields(usize),
    /// Begins with `@` and is no preset.
    #[error(
        "there is no preset {0:?}; there are @hourly, @daily, @midnight, @weekly, @monthly, \
         @yearly and @annually"
    )]
    Preset(Box<str>),
    /// A value that the field does not take.
    #[error("the {0} can't be {1:?}; it is *, or of {allowed}: lists (a,b), ranges (a-b), steps (*/n, a-b/n)", allowed = .0.allowed())]
    Value(Field, Box<str>),
    /// A range whose end comes before its beginning.
    #[error("the {0} can't be {1:?}: the range ends before it begins; write two ranges, a-b,c-d")]
    Backwards(Field, Box<str>),
    /// A step on a single value.
    #[error("the {0} can't be {1:?}: a step needs a range or *; write a-b/n or */n")]
    StepOnValue(Field, Box<str>),
    /// A step that is no number, 0, or longer than its range.
    #[error("the {0} can't be {1:?}: the step here is 1 to {2}")]
    Step(Field, Box<str>, u8),
    /// No such day in any year.
    #[error("{0:?} never comes: no year has such a day")]
    Never(Box<str>),
    /// Longer than 256 octets.
    #[error("a schedule has at most {MAX_TEXT} octets")]
    TooLong,
}

impl FromStr for Crontab {
    type Err = CrontabError;

    fn from_str(text: &str) -> Result<Self, CrontabError> {
        if text.len() > MAX_TEXT {
            return Err(CrontabError::TooLong);
        }
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        let written = words.join(" ").into_boxed_str();
        let words = match words.as_slice() {
            [preset] if preset.starts_with('@') => expand(preset)?.split(' ').collect(),
            _ => words,
        };
        let &[minutes, hours, days, months, weekdays] = words.as_slice() else {
            return Err(CrontabError::Fields(words.len()));
        };
        let values = |field: Field, text| field.parse(text);
        let [minute, hour, day, month, weekday] = FIELDS;
        let crontab = Self {
            minutes: values(minute, minutes)?,
            hours: values(hour, hours)?,
            days: values(day, days)?,
            months: values(month, months)?,
            weekdays: values(weekday, weekdays)?,
            text: written,
        };
        match crontab.next_day(0) {
            Some(_) => Ok(crontab),
            None => Err(CrontabError::Never(crontab.text)),
        }
    }
}

fn expand(preset: &str) -> Result<&'static str, CrontabError> {
    PRESETS
        .iter()
        .find(|(name, _)| preset.eq_ignore_ascii_case(name))
        .map(|(_, fields)| *fields)
        .ok_or_else(|| CrontabError::Preset(preset.into()))
}

/// As it was written, with single spaces.
impl fmt::Display for Crontab {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Crontab {
    /// The first moment after `after` that is meant; `None` after the year
    /// 9999.
    pub fn next_after(&self, after: Timestamp, zone: &dyn Zone) -> Option<Timestamp> {
        let mut local = zone::local(after, zone).div_euclid(60);
        for _ in 0..=REPEATED {
            local = self.next_local(local)?;
            let at = zone::first_at(local * 60, zone);
            // Clocks that went back show times again that had their turn.
            if at > after {
                return Some(at);
            }
        }
        None
    }

    /// The first minute of local time after this one; both counted since 1970.
    fn next_local(&self, after: i64) -> Option<i64> {
        let from = after + 1;
        let (day, minute) = (
            from.div_euclid(MINUTES_A_DAY),
            from.rem_euclid(MINUTES_A_DAY),
        );
        let found = self.next_day(day)?;
        if found == day
            && let Some(minute) = self.next_minute(u32::try_from(minute).ok()?)
        {
            return Some(day * MINUTES_A_DAY + i64::from(minute));
        }
        let found = if found == day {
            self.next_day(day + 1)?
        } else {
            found
        };
        Some(found * MINUTES_A_DAY + i64::from(self.next_minute(0)?))
    }

    /// The first minute of the day that is `from` or later.
    fn next_minute(&self, from: u32) -> Option<u32> {
        let (hour, minute) = (from / 60, from % 60);
        if self.hours.has(hour)
            && let Some(minute) = self.minutes.next(minute)
        {
            return Some(hour * 60 + minute);
        }
        Some(self.hours.next(hour + 1)? * 60 + self.minutes.next(0)?)
    }

    /// The first day that is `from` or later; both counted since 1970.
    fn next_day(&self, from: i64) -> Option<i64> {
        let date = Date::from_days(from);
        if date.days() < from {
            return None;
        }
        let (mut year, mut month, mut first) = (date.year(), date.month(), date.day());
        for _ in 0..SEARCH {
            let begin = Date::new(year, month, 1)?;
            if self.months.has(u32::from(month))
                && let Some(day) = next_bit(self.days_of(begin), u32::from(first))
                && let Some(date) = Date::new(year, month, u8::try_from(day).ok()?)
            {
                return Some(date.days());
            }
            (year, month) = match month {
                12 => (year + 1, 1),
                _ => (year, month + 1),
            };
            first = 1;
        }
        None
    }

    /// A bit for each day meant of the month that begins then. Days beyond its
    /// end are the last bits.
    fn days_of(&self, begin: Date) -> u64 {
        // 1970-01-01 was a Thursday.
        let weekday = u32::try_from((begin.days() + 4).rem_euclid(7)).unwrap_or_default();
        let by_weekday = (1..=31)
            .filter(|day| self.weekdays.has((weekday + day - 1) % 7))
            .fold(0, |set, day| set | 1 << day);
        if self.days.starred || self.weekdays.starred {
            self.days.set & by_weekday
        } else {
            self.days.set | by_weekday
        }
    }
}
