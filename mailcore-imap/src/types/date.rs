//! [`Date`] and [`DateTime`]: days and moments as IMAP writes them.
//!
//! Dates of mail headers are [`mailcore::message`]'s.

use std::fmt;

use mailcore::time::Timestamp;

/// Seconds of a day.
const DAY: i64 = 86_400;

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// `date-text = date-day "-" date-month "-" date-year`, held as days since
/// 1970-01-01.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date(i64);

impl Date {
    /// A day; `None` when there is no such day in the calendar.
    pub fn new(year: u16, month: u8, day: u8) -> Option<Self> {
        let leap =
            year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
        let days = match month {
            1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
            4 | 6 | 9 | 11 => 30,
            2 if leap => 29,
            2 => 28,
            _ => return None,
        };
        (1..=days)
            .contains(&day)
            .then(|| Self(days_from_civil(year, month, day)))
    }

    /// Reads `d-Mon-yyyy` or `dd-Mon-yyyy`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let (day, month, year) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() || day.is_empty() || day.len() > 2 || year.len() != 4 {
            return None;
        }
        let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        if !digits(day) || !digits(year) {
            return None;
        }
        Self::new(year.parse().ok()?, month_number(month)?, day.parse().ok()?)
    }

    /// The day of `moment` where the clocks are `offset_minutes` ahead of UTC.
    pub fn of(moment: Timestamp, offset_minutes: i32) -> Self {
        Self((moment.secs().saturating_add(i64::from(offset_minutes) * 60)).div_euclid(DAY))
    }
}

/// `date-time = DQUOTE date-day-fixed "-" date-month "-" date-year SP time SP
/// zone DQUOTE`, without the quotes.
///
/// The zone is read and not kept: a [`Timestamp`] is UTC, and so is what the
/// server writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DateTime(pub Timestamp);

impl DateTime {
    /// Reads ` d-Mon-yyyy hh:mm:ss +hhmm`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut words = text.trim_start_matches(' ').split(' ');
        let (date, time, zone) = (words.next()?, words.next()?, words.next()?);
        if words.next().is_some() {
            return None;
        }
        let seconds = Date::parse(date)?.0 * DAY + time_of_day(time)? - zone_seconds(zone)?;
        Some(Self(Timestamp::from_secs(seconds)))
    }
}

/// `time = 2DIGIT ":" 2DIGIT ":" 2DIGIT`; a leap second counts as the last.
fn time_of_day(text: &str) -> Option<i64> {
    let mut parts = text.split(':');
    let (hour, minute, second) = (
        two_digits(parts.next()?)?,
        two_digits(parts.next()?)?,
        two_digits(parts.next()?)?,
    );
    let valid = parts.next().is_none() && hour < 24 && minute < 60 && second < 61;
    valid.then(|| hour * 3_600 + minute * 60 + second.min(59))
}

/// `zone = ("+" / "-") 4DIGIT`
fn zone_seconds(text: &str) -> Option<i64> {
    let (sign, digits) = match (text.strip_prefix('+'), text.strip_prefix('-')) {
        (Some(digits), _) => (1, digits),
        (_, Some(digits)) => (-1, digits),
        _ => return None,
    };
    let (hours, minutes) = digits.split_at_checked(2)?;
    let minutes = two_digits(minutes)?;
    (minutes < 60).then_some(sign * (two_digits(hours)? * 3_600 + minutes * 60))
}

fn two_digits(text: &str) -> Option<i64> {
    (text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit()))
        .then(|| text.parse().ok())
        .flatten()
}

fn month_number(name: &str) -> Option<u8> {
    let index = MONTHS
        .iter()
        .position(|month| month.eq_ignore_ascii_case(name))?;
    u8::try_from(index + 1).ok()
}

/// Days since 1970-01-01 of a Gregorian day, by counting 400-year eras that
/// begin on 1 March so that the leap day comes last.
fn days_from_civil(year: u16, month: u8, day: u8) -> i64 {
    let (year, month, day) = (i64::from(year), i64::from(month), i64::from(day));
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The inverse of [`days_from_civil`].
fn civil_from_days(days: i64) -> (i64, usize, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, usize::try_from(month).unwrap_or(1), day)
}

impl fmt::Display for DateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.secs();
        // The grammar has room for four digits of year and no more.
        let days = seconds.div_euclid(DAY).clamp(-719_528, 2_932_896);
        let (year, month, day) = civil_from_days(days);
        let time = seconds.rem_euclid(DAY);
        let month = MONTHS.get(month - 1).copied().unwrap_or("Jan");
        let (hour, minute, second) = (time / 3_600, time / 60 % 60, time % 60);
        write!(
            f,
            "{day:2}-{month}-{year:04} {hour:02}:{minute:02}:{second:02} +0000"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_what_clients_send() {
        let parse = |text| DateTime::parse(text).map(|it| it.0.secs());
        assert_eq!(parse("17-Jul-1996 02:44:25 -0700"), Some(837_596_665));
        assert_eq!(parse(" 1-jan-1970 00:00:00 +0000"), Some(0));
        for bad in [
            "31-Feb-2020 00:00:00 +0000",
            "1-Jan-2020 24:00:00 +0000",
            "1-Jan-2020 00:00:00",
            "",
            "1-Jan-20 00:00:00 +0000",
        ] {
            assert_eq!(parse(bad), None, "{bad:?}");
        }
        assert_eq!(Date::parse("1-Feb-1994"), Date::new(1994, 2, 1));
        assert!(Date::parse("29-Feb-1900").is_none() && Date::parse("29-Feb-2000").is_some());
    }

    proptest! {
        #[test]
        fn a_moment_reads_back(seconds in -62_167_219_200_i64..253_402_300_800) {
            let moment = DateTime(Timestamp::from_secs(seconds));
            prop_assert_eq!(DateTime::parse(&moment.to_string()), Some(moment));
        }
    }
}
