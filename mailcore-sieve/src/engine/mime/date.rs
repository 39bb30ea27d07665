//! Dates of header fields and their parts: [`Moment`] (RFC 5322 section 3.3).

/// Seconds of a day.
const DAY: i64 = 86_400;

/// A point in time, and how many minutes the clock that showed it was ahead of UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment {
    /// Seconds since 1970, UTC.
    pub(crate) at: i64,
    pub(crate) offset: i32,
}

/// A day and a time of day on some clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Clock {
    /// Days since 1970.
    pub(crate) days: i64,
    pub(crate) year: i64,
    pub(crate) month: u32,
    pub(crate) day: u32,
    pub(crate) hour: i64,
    pub(crate) minute: i64,
    pub(crate) second: i64,
}

impl Moment {
    /// The date that a field's value ends with: all of it, or what follows the last
    /// semicolon (RFC 5260 section 4).
    pub(crate) fn parse(value: &str) -> Option<Self> {
        let date = value.rsplit(';').next()?;
        let words = without_comments(date);
        let mut words = words
            .split(|c: char| c.is_ascii_whitespace() || c == ',')
            .filter(|word| !word.is_empty())
            .peekable();
        // A weekday is not believed: it follows from the date.
        words.next_if(|word| {
            word.len() >= 3 && word.bytes().all(|octet| octet.is_ascii_alphabetic())
        });
        let day = number(words.next()?, 2)?;
        let month = month(words.next()?)?;
        let year = year(words.next()?)?;
        let (hour, minute, second) = time(words.next()?)?;
        let offset = words.next().map_or(Some(0), zone)?;
        if words.next().is_some() || day == 0 || day > i64::from(month_length(year, month)) {
            return None;
        }
        let days = days_of(year, month, u32::try_from(day).ok()?);
        let local = days * DAY + hour * 3600 + minute * 60 + second;
        Some(Self {
            at: local - i64::from(offset) * 60,
            offset,
        })
    }

    /// What a clock shows that is as far ahead of UTC as this one.
    pub(crate) fn clock(self) -> Clock {
        let local = self.at.saturating_add(i64::from(self.offset) * 60);
        let (days, seconds) = (local.div_euclid(DAY), local.rem_euclid(DAY));
        let (year, month, day) = date_of(days);
        Clock {
            days,
            year,
            month,
            day,
            hour: seconds / 3600,
            minute: seconds / 60 % 60,
            second: seconds % 60,
        }
    }

    /// As a Date field has it.
    pub(crate) fn std11(self) -> String {
        let clock = self.clock();
        let of = |names: &str, index: i64| {
            let start = usize::try_from(index * 3).unwrap_or(0);
            names.get(start..start + 3).unwrap_or_default().to_owned()
        };
        format!(
            "{}, {:02} {} {:04} {:02}:{:02}:{:02} {}",
            of("SunMonTueWedThuFriSat", clock.weekday()),
            clock.day,
            of(MONTHS, i64::from(clock.month) - 1),
            clock.year,
            clock.hour,
            clock.minute,
            clock.second,
            self.zone()
        )
    }

    /// `+0100`.
    pub(crate) fn zone(self) -> String {
        let sign = if self.offset < 0 { '-' } else { '+' };
        let minutes = self.offset.unsigned_abs();
        format!("{sign}{:02}{:02}", minutes / 60, minutes % 60)
    }
}

impl Clock {
    /// Sunday is 0.
    pub(crate) fn weekday(self) -> i64 {
        (self.days + 4).rem_euclid(7)
    }
}

const MONTHS: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";

/// `+hhmm` or `-hhmm` in minutes.
pub(crate) fn offset(zone: &str) -> Option<i32> {
    let (sign, digits) = match zone.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    if digits.len() != 4 || !digits.bytes().all(|octet| octet.is_ascii_digit()) {
        return None;
    }
    let number: i32 = digits.parse().ok()?;
    (number % 100 < 60).then_some(sign * (number / 100 * 60 + number % 100))
}

/// Names of zones are obsolete and mean little (RFC 5322 section 4.3).
fn zone(word: &str) -> Option<i32> {
    let hours = match word.to_ascii_uppercase().as_str() {
        "EDT" => -4,
        "EST" | "CDT" => -5,
        "CST" | "MDT" => -6,
        "MST" | "PDT" => -7,
        "PST" => -8,
        name if name.bytes().all(|octet| octet.is_ascii_alphabetic()) => 0,
        _ => return offset(word),
    };
    Some(hours * 60)
}

fn number(word: &str, digits: usize) -> Option<i64> {
    let sound =
        (1..=digits).contains(&word.len()) && word.bytes().all(|octet| octet.is_ascii_digit());
    word.parse().ok().filter(|_| sound)
}

fn month(word: &str) -> Option<u32> {
    let name = word.get(..3)?;
    let place = (0u32..12).find(|index| {
        let start = usize::try_from(index * 3).unwrap_or(0);
        MONTHS
            .get(start..start + 3)
            .is_some_and(|month| month.eq_ignore_ascii_case(name))
    })?;
    (word.len() == 3).then_some(place + 1)
}

/// Two and three digits are years of the last century and of this (RFC 5322 section
/// 4.3).
fn year(word: &str) -> Option<i64> {
    let year = number(word, 4)?;
    match (word.len(), year) {
        (2, 0..=49) => Some(2000 + year),
        (2 | 3, _) => Some(1900 + year),
        (4, _) => Some(year),
        _ => None,
    }
}

fn time(word: &str) -> Option<(i64, i64, i64)> {
    let mut pieces = word.split(':');
    let hour = number(pieces.next()?, 2)?;
    let minute = number(pieces.next()?, 2)?;
    let second = pieces.next().map_or(Some(0), |second| number(second, 2))?;
    let sound = hour < 24 && minute < 60 && second <= 60 && pieces.next().is_none();
    sound.then_some((hour, minute, second))
}

fn without_comments(text: &str) -> String {
    let mut depth = 0usize;
    let mut kept = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '(' => depth += 1,
            ')' => {
                depth = depth.saturating_sub(1);
                kept.push(' ');
            }
            _ if depth == 0 => kept.push(character),
            _ => {}
        }
    }
    kept
}

fn month_length(year: i64, month: u32) -> u32 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970 of a date of the Gregorian calendar. Years are taken to begin in
/// March, so that the day that leap years add is the last one.
fn days_of(year: i64, month: u32, day: u32) -> i64 {
    let (month, day) = (i64::from(month), i64::from(day));
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn date_of(days: i64) -> (i64, u32, u32) {
    let shifted = days + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let place = (5 * of_year + 2) / 153;
    let day = of_year - (153 * place + 2) / 5 + 1;
    let month = (place + 2) % 12 + 1;
    let year = year + era * 400 + i64::from(month <= 2);
    let small = |number| u32::try_from(number).unwrap_or(0);
    (year, small(month), small(day))
}

#[cfg(test)]
mod tests {
    use super::*;
    use mailcore::message::DateTime;
    use proptest::prelude::*;

    #[test]
    fn dates_are_read_in_all_forms_that_occur() {
        let at = |text| Moment::parse(text).map(|moment| (moment.at, moment.offset));
        assert_eq!(at("Thu, 01 Jan 1970 00:00:00 +0000"), Some((0, 0)));
        assert_eq!(
            at("Fri, 21 Nov 1997 09:55:06 -0600"),
            Some((880_127_706, -360))
        );
        assert_eq!(at("21 nov 97 09:55 CST"), Some((880_127_700, -360)));
        assert_eq!(
            at("by x (a; b) id 1; Fri, 21 Nov 1997 15:55:06 GMT (UTC)"),
            Some((880_127_706, 0))
        );
        assert_eq!(at("Fri, 21 Nov 1997 09(comment):55:06 -0600"), None);
        for wrong in [
            "",
            "x",
            "32 Jan 2020 00:00:00 +0000",
            "29 Feb 2023 00:00:00 +0000",
            "1 Jan 2020",
            "1 Jan 2020 24:00 +0000",
            "1 Jan 2020 10:00 +00:00",
            "0 Jan 2020 10:00 +0000",
        ] {
            assert_eq!(at(wrong), None, "{wrong}");
        }
        assert!(at("29 Feb 2024 00:00:00 +0000").is_some());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(at in -60_000_000_000i64..240_000_000_000, offset in -900i32..900) {
            let moment = Moment { at, offset };
            prop_assert_eq!(Moment::parse(&moment.std11()), Some(moment));
        }

        #[test]
        fn dates_are_what_mailcore_says(at in 0i64..4_000_000_000, offset in -720i16..720) {
            let text = Moment { at, offset: i32::from(offset) }.std11();
            let read = DateTime::parse(text.as_bytes()).unwrap();
            prop_assert_eq!((read.timestamp().secs(), read.offset()), (at, offset));
        }

        #[test]
        fn any_text_is_some_date_or_none(text in r"\PC{0,60}") {
            let _ = Moment::parse(&text);
        }
    }
}
