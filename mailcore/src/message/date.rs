//! Dates in mail: [`DateTime`] and [`Date`], in the forms of RFC 5322 section
//! 3.3 and of IMAP (RFC 9051 section 9, `date-time` and `date`).
//!
//! The Gregorian calendar, for years 1 to 9999, without leap seconds. Nothing
//! here reads a clock or knows of time zones' names beyond RFC 5322's.

use std::fmt;

use crate::time::Timestamp;

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];
const WEEKDAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const DAY: i64 = 86_400;
/// Days from 0001-01-01 to 1970-01-01.
const EPOCH_DAY: i64 = 719_162;
/// Seconds from the epoch to 0001-01-01 and to the last of 9999-12-31.
const FIRST_SECOND: i64 = -EPOCH_DAY * DAY;
const LAST_SECOND: i64 = (3_652_059 - EPOCH_DAY) * DAY - 1;

/// A moment and the zone it was written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DateTime {
    at: Timestamp,
    offset: i16,
}

/// A day of the calendar, in no zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Date {
    year: u16,
    month: u8,
    day: u8,
}

impl DateTime {
    /// `at` as a clock shows it that is `offset` minutes ahead of UTC. What
    /// lies out of range is moved to the nearest that does not: offsets under
    /// a day, local times in the years 1 to 9999.
    pub fn new(at: Timestamp, offset: i16) -> Self {
        let offset = offset.clamp(-1_439, 1_439);
        let shift = i64::from(offset) * 60;
        let millis = at.millis().clamp(
            (FIRST_SECOND - shift) * 1_000,
            (LAST_SECOND - shift) * 1_000 + 999,
        );
        Self {
            at: Timestamp::from_millis(millis),
            offset,
        }
    }

    /// `at` in UTC.
    pub fn utc(at: Timestamp) -> Self {
        Self::new(at, 0)
    }

    /// The moment.
    pub fn timestamp(self) -> Timestamp {
        self.at
    }

    /// Minutes ahead of UTC.
    pub fn offset(self) -> i16 {
        self.offset
    }

    /// The day it was where it was written, as IMAP's searches for dates
    /// compare it: "disregarding time and timezone".
    pub fn date(self) -> Date {
        Date::from_days(self.local_seconds().div_euclid(DAY))
    }

    /// Parses a Date field or the date of a trace field, obsolete and common
    /// wrong forms included. Without a zone UTC is meant.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let mut parts = Parts::default();
        let text = plain(value);
        for word in text
            .split(|&octet| is_separator(octet))
            .filter(|word| !word.is_empty())
        {
            parts.take(word)?;
            if parts.complete() {
                break;
            }
        }
        parts.assemble()
    }

    /// Parses IMAP's `date-time`, without the quotes: ` 7-Jul-1996 02:44:25
    /// -0700`. A two-digit day may replace the space and one digit.
    pub fn parse_imap(text: &[u8]) -> Option<Self> {
        let (date, rest) = text.split_at_checked(11)?;
        let date = Date::parse_imap(date.strip_prefix(b" ").unwrap_or(date))?;
        let [b' ', time @ .., b' ', sign, h1, h2, m1, m2] = rest else {
            return None;
        };
        let [_, _, b':', _, _, b':', _, _] = time else {
            return None;
        };
        Self::assemble(date, clock(time)?, zone(&[*sign, *h1, *h2, *m1, *m2])?)
    }

    /// IMAP's `date-time`, without the quotes.
    pub fn to_imap(self) -> String {
        String::from_utf8_lossy(&self.to_imap_octets()).into_owned()
    }

    /// As [`DateTime::to_imap`], without the formatting machinery: FETCH writes
    /// millions.
    pub fn to_imap_octets(self) -> [u8; 26] {
        let date = self.date();
        let name = date.month_name().as_bytes();
        let [m1, m2, m3] = name.first_chunk().copied().unwrap_or(*b"Jan");
        let [d1, d2] = digits(date.day.into());
        let d1 = if d1 == b'0' { b' ' } else { d1 };
        let [y1, y2] = digits(date.year / 100);
        let [y3, y4] = digits(date.year % 100);
        let seconds = self.local_seconds().rem_euclid(DAY);
        let minutes = u16::try_from(seconds / 60).unwrap_or(0);
        let [h1, h2] = digits(minutes / 60);
        let [n1, n2] = digits(minutes % 60);
        let [s1, s2] = digits(u16::try_from(seconds % 60).unwrap_or(0));
        let sign = if self.offset < 0 { b'-' } else { b'+' };
        let ahead = self.offset.unsigned_abs();
        let [a1, a2] = digits(ahead / 60);
        let [a3, a4] = digits(ahead % 60);
        [
            d1, d2, b'-', m1, m2, m3, b'-', y1, y2, y3, y4, b' ', h1, h2, b':', n1, n2, b':', s1,
            s2, b' ', sign, a1, a2, a3, a4,
        ]
    }

    fn assemble(date: Date, seconds: i64, offset: i16) -> Option<Self> {
        let local = date.days() * DAY + seconds;
        let at = Timestamp::from_secs(local - i64::from(offset) * 60);
        Some(Self::new(at, offset)).filter(|moment| moment.at == at)
    }

    fn local_seconds(self) -> i64 {
        self.at.secs() + i64::from(self.offset) * 60
    }

    fn clock_and_zone(self) -> String {
        let seconds = self.local_seconds().rem_euclid(DAY);
        let sign = if self.offset < 0 { '-' } else { '+' };
        let ahead = self.offset.unsigned_abs();
        format!(
            "{:02}:{:02}:{:02} {sign}{:02}{:02}",
            seconds / 3_600,
            seconds / 60 % 60,
            seconds % 60,
            ahead / 60,
            ahead % 60
        )
    }
}

/// The form of RFC 5322 section 3.3: `Sun, 22 Nov 2026 01:44:00 +0000`.
impl fmt::Display for DateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let date = self.date();
        let weekday = date.weekday_name();
        let (day, month, year) = (date.day, date.month_name(), date.year);
        write!(
            f,
            "{weekday}, {day:02} {month} {year:04} {}",
            self.clock_and_zone()
        )
    }
}

impl Date {
    /// A day that exists.
    pub fn new(year: u16, month: u8, day: u8) -> Option<Self> {
        let valid = (1..=9999).contains(&year)
            && (1..=12).contains(&month)
            && (1..=month_length(year, month)).contains(&day);
        valid.then_some(Self { year, month, day })
    }

    /// The year, 1 to 9999.
    pub fn year(self) -> u16 {
        self.year
    }

    /// The month, 1 to 12.
    pub fn month(self) -> u8 {
        self.month
    }

    /// The day of the month, from 1.
    pub fn day(self) -> u8 {
        self.day
    }

    /// Days since 1970-01-01.
    pub fn days(self) -> i64 {
        let before = (1..self.month).map(|month| i64::from(month_length(self.year, month)));
        days_before(i64::from(self.year)) - EPOCH_DAY + before.sum::<i64>() + i64::from(self.day)
            - 1
    }

    /// The day that is `days` after 1970-01-01, or the nearest within the
    /// years 1 to 9999.
    pub fn from_days(days: i64) -> Self {
        let days = days.clamp(-EPOCH_DAY, LAST_SECOND / DAY) + EPOCH_DAY;
        // 400 years have 146,097 days: the estimate is at most one year off.
        let mut year = days * 400 / 146_097 + 1;
        if days_before(year) > days {
            year -= 1;
        } else if days_before(year + 1) <= days {
            year += 1;
        }
        let mut left = days - days_before(year);
        let year = u16::try_from(year).unwrap_or(9999);
        let mut month = 1;
        while left >= i64::from(month_length(year, month)) {
            left -= i64::from(month_length(year, month));
            month += 1;
        }
        Self {
            year,
            month,
            day: u8::try_from(left + 1).unwrap_or(1),
        }
    }

    /// Parses IMAP's `date`, without the quotes: `1-Feb-1994`.
    pub fn parse_imap(text: &[u8]) -> Option<Self> {
        let mut fields = text.split(|&octet| octet == b'-');
        let (day, month, year) = (fields.next()?, fields.next()?, fields.next()?);
        let sized = matches!(day.len(), 1 | 2) && year.len() == 4 && fields.next().is_none();
        if !sized || month.len() != 3 {
            return None;
        }
        Self::new(
            u16::try_from(number(year)?).ok()?,
            month_number(month)?,
            u8::try_from(number(day)?).ok()?,
        )
    }

    fn month_name(self) -> &'static str {
        MONTHS
            .get(usize::from(self.month) - 1)
            .copied()
            .unwrap_or_default()
    }

    fn weekday_name(self) -> &'static str {
        // 0001-01-01 was a Monday.
        let index = (self.days() + EPOCH_DAY).rem_euclid(7);
        usize::try_from(index)
            .ok()
            .and_then(|index| WEEKDAYS.get(index))
            .copied()
            .unwrap_or("Mon")
    }
}

/// IMAP's `date`: `1-Feb-1994`.
impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{:04}", self.day, self.month_name(), self.year)
    }
}

/// What the words of a date have said so far.
#[derive(Default)]
struct Parts {
    day: Option<u8>,
    month: Option<u8>,
    year: Option<u16>,
    seconds: Option<i64>,
    offset: Option<i16>,
}

impl Parts {
    fn complete(&self) -> bool {
        self.seconds.is_some() && self.year.is_some() && self.offset.is_some()
    }

    fn take(&mut self, word: &[u8]) -> Option<()> {
        match word.first()? {
            b'+' | b'-' => self.offset = self.offset.or(Some(zone(word)?)),
            b'0'..=b'9' if word.contains(&b':') => self.seconds = Some(clock(word)?),
            b'0'..=b'9' if word.contains(&b'-') => {
                // `22-Nov-2026`, `22-Nov-98`.
                let mut fields = word.split(|&octet| octet == b'-');
                let (day, month, year) = (fields.next()?, fields.next()?, fields.next()?);
                self.day = Some(u8::try_from(number(day)?).ok()?);
                self.month = Some(month_number(month)?);
                self.year = Some(full_year(year)?);
            }
            b'0'..=b'9' if self.day.is_none() => self.day = Some(u8::try_from(number(word)?).ok()?),
            b'0'..=b'9' if self.year.is_none() => self.year = Some(full_year(word)?),
            b'0'..=b'9' => {}
            _ => self.take_name(word),
        }
        Some(())
    }

    /// A month, a weekday or a zone. Unknown names say nothing.
    fn take_name(&mut self, word: &[u8]) {
        if self.month.is_none()
            && let Some(month) = month_number(word)
        {
            self.month = Some(month);
        } else if self.seconds.is_some() {
            self.offset = self.offset.or_else(|| zone_name(word));
        }
    }

    fn assemble(&self) -> Option<DateTime> {
        let date = Date::new(self.year?, self.month?, self.day?)?;
        DateTime::assemble(date, self.seconds?, self.offset.unwrap_or(0))
    }
}

/// Octets of a date that are looked at, comments not counted.
const MAX_LENGTH: usize = 128;

/// `value` without comments and without white space around colons, so that
/// each of its words means one thing.
fn plain(value: &[u8]) -> Vec<u8> {
    let mut text: Vec<u8> = Vec::new();
    let mut rest = value;
    while let Some((&octet, after)) = rest.split_first() {
        rest = after;
        match octet {
            b'(' => {
                rest = after_comment(after);
                text.push(b' ');
            }
            b':' => {
                while text.last().copied().is_some_and(is_separator) {
                    text.pop();
                }
                text.push(octet);
            }
            _ if is_separator(octet) && text.last() == Some(&b':') => {}
            _ => text.push(octet),
        }
        if text.len() >= MAX_LENGTH {
            break;
        }
    }
    text
}

fn is_separator(octet: u8) -> bool {
    octet <= b' ' || octet == b','
}

fn after_comment(text: &[u8]) -> &[u8] {
    let mut rest = text;
    let mut depth = 1usize;
    while let Some((&octet, after)) = rest.split_first() {
        rest = after;
        match octet {
            b'\\' => rest = after.get(1..).unwrap_or_default(),
            b'(' => depth += 1,
            b')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    rest
}

/// `hh:mm` or `hh:mm:ss`, in seconds. Second 60 is the next minute's first.
fn clock(word: &[u8]) -> Option<i64> {
    let mut fields = word.split(|&octet| octet == b':');
    let (hour, minute) = (number(fields.next()?)?, number(fields.next()?)?);
    // Some write fractions: `01:44:00.123`.
    let second = fields
        .next()
        .map_or(Some(0), |field| number(field.split(|&o| o == b'.').next()?))?;
    (hour < 24 && minute < 60 && second <= 60 && fields.next().is_none())
        .then_some(i64::from(hour * 3_600 + minute * 60 + second))
}

/// `+hhmm`, `-hh:mm`, in minutes.
fn zone(word: &[u8]) -> Option<i16> {
    let (sign, digits) = match word {
        [b'+', digits @ ..] => (1, digits),
        [b'-', digits @ ..] => (-1, digits),
        _ => return None,
    };
    let (hours, minutes) = match digits {
        [_, _, b':', _, _] => (number(digits.get(..2)?)?, number(digits.get(3..)?)?),
        [_, _, _, _] => (number(digits.get(..2)?)?, number(digits.get(2..)?)?),
        _ => return None,
    };
    let ahead = i16::try_from(hours * 60 + minutes).ok()?;
    (hours < 24 && minutes < 60).then_some(sign * ahead)
}

/// Zones by name (RFC 5322 section 4.3). Single letters were used with both
/// signs, so they mean nothing and are UTC, as are all others.
fn zone_name(word: &[u8]) -> Option<i16> {
    let name = word.get(..3).unwrap_or(word);
    let hours = match name.to_ascii_uppercase().as_slice() {
        b"EDT" => -4,
        b"EST" | b"CDT" => -5,
        b"CST" | b"MDT" => -6,
        b"MST" | b"PDT" => -7,
        b"PST" => -8,
        // `GMT+0100` states an offset after all.
        b"GMT" | b"UTC" => return word.get(3..).and_then(zone).or(Some(0)),
        _ => 0,
    };
    word.first()
        .is_some_and(u8::is_ascii_alphabetic)
        .then_some(hours * 60)
}

/// Years of two and three digits (RFC 5322 section 4.3).
fn full_year(digits: &[u8]) -> Option<u16> {
    let year = u16::try_from(number(digits)?).ok()?;
    match digits.len() {
        1 | 2 if year < 50 => Some(2000 + year),
        1..=3 => Some(1900 + year),
        _ => Some(year),
    }
}

/// A month by the first three letters of its name.
fn month_number(name: &[u8]) -> Option<u8> {
    let name = name.get(..3)?;
    let index = MONTHS
        .iter()
        .position(|month| month.as_bytes().eq_ignore_ascii_case(name))?;
    u8::try_from(index + 1).ok()
}

/// Up to six decimal digits.
fn number(digits: &[u8]) -> Option<u32> {
    if digits.is_empty() || digits.len() > 6 {
        return None;
    }
    digits.iter().try_fold(0, |value, digit| {
        digit
            .is_ascii_digit()
            .then(|| value * 10 + u32::from(digit - b'0'))
    })
}

fn month_length(year: u16, month: u8) -> u8 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => {
            29
        }
        2 => 28,
        _ => 31,
    }
}

/// Days from 0001-01-01 to the first day of `year`.
fn days_before(year: i64) -> i64 {
    let past = year - 1;
    past * 365 + past / 4 - past / 100 + past / 400
}

/// The last two digits of a number.
fn digits(number: u16) -> [u8; 2] {
    let digit = |it: u16| b'0' + u8::try_from(it % 10).unwrap_or(0);
    [digit(number / 10), digit(number)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parsed(text: &str) -> Option<String> {
        DateTime::parse(text.as_bytes()).map(|date| date.to_string())
    }

    #[test]
    fn rfc5322_forms() {
        let same = "Fri, 21 Nov 1997 09:55:06 -0600";
        for text in [
            same,
            "21 Nov 97 09:55:06 -0600",
            "Fri, 21 Nov 1997 09(comment):   55  :  06 -0600",
            "Friday,21-Nov-97 09:55:06 CST",
            "Fri Nov 21 09:55:06 1997 -0600",
            "Fri, 21 Nov 1997 09:55:06 -0600 (CST (really \\( so))",
            "Fri (x), 21 November 097 09:55:06 -06:00",
        ] {
            assert_eq!(parsed(text).as_deref(), Some(same), "{text}");
        }
        assert_eq!(
            parsed("1 Jan 49 00:00 Z").as_deref(),
            Some("Fri, 01 Jan 2049 00:00:00 +0000")
        );
        assert_eq!(
            DateTime::parse(b"Sun, 22 Nov 2026 01:44:00 +0000").map(|date| date.timestamp()),
            Some(Timestamp::from_secs(1_795_311_840))
        );
    }

    #[test]
    fn no_dates() {
        for text in [
            "",
            "yesterday",
            "31 Feb 2020 00:00 +0000",
            "1 Jan 2020",
            "1 Jan 0 0:0:0 -",
            "32 Jan 2020 10:00",
            "1 Jan 2020 24:00:00 +0000",
            "1 Jan 10000 10:00 +0000",
        ] {
            assert_eq!(parsed(text), None, "{text}");
        }
    }

    #[test]
    fn imap_forms() {
        let text = "17-Jul-1996 02:44:25 -0700";
        let date = DateTime::parse_imap(text.as_bytes()).unwrap();
        assert_eq!(date.to_imap(), text);
        assert_eq!(date.to_string(), "Wed, 17 Jul 1996 02:44:25 -0700");
        assert_eq!(date.date().to_string(), "17-Jul-1996");
        assert!(DateTime::parse_imap(b" 7-Jul-1996 02:44:25 -0700").is_some());
        for text in [
            "7-Jul-1996 02:44:25 -0700",
            "17-Jul-1996 02:44:25",
            "17-Jul-1996  2:44:25 +0000",
            "",
        ] {
            assert_eq!(DateTime::parse_imap(text.as_bytes()), None, "{text}");
        }
        assert_eq!(Date::parse_imap(b"01-FEB-1994"), Date::new(1994, 2, 1));
        assert_eq!(Date::parse_imap(b"29-Feb-1994"), None);
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(secs in FIRST_SECOND..=LAST_SECOND, offset in -1439i16..=1439) {
            let date = DateTime::new(Timestamp::from_secs(secs), offset);
            prop_assert_eq!(DateTime::parse_imap(date.to_imap().as_bytes()), Some(date));
            prop_assert_eq!(DateTime::parse(date.to_string().as_bytes()), Some(date));
        }

        #[test]
        fn days_count_one_by_one(days in -EPOCH_DAY..3_652_058 - EPOCH_DAY) {
            prop_assert_eq!(Date::from_days(days).days(), days);
            prop_assert!(Date::from_days(days) < Date::from_days(days + 1));
        }

        #[test]
        fn any_octets_are_read(octets: Vec<u8>) {
            let _ = DateTime::parse(&octets);
            let _ = DateTime::parse_imap(&octets);
            let _ = Date::parse_imap(&octets);
        }

        #[test]
        fn any_timestamp_is_written(millis: i64, offset: i16) {
            let date = DateTime::new(Timestamp::from_millis(millis), offset);
            prop_assert!(DateTime::parse(date.to_string().as_bytes()).is_some());
        }
    }
}
