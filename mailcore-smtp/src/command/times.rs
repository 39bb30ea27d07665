//! Parameters of MAIL that ask for a time: `HOLDFOR=` and `HOLDUNTIL=` (RFC
//! 4865), `BY=` (RFC 2852).
//!
//! On the wire they count from now or name a moment; what stays with the
//! message is the moment. Whoever knows the time turns one into the other.

use std::fmt;
use std::time::Duration;

use mailcore::envelope::{ByMode, DeliverBy};
use mailcore::message::date::{Date, DateTime};
use mailcore::time::Timestamp;

/// Digits of a number of seconds in either extension.
const MAX_DIGITS: usize = 9;

/// Not before then: RFC 4865.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// `HOLDFOR=` seconds from now.
    For(Duration),
    /// `HOLDUNTIL=` a moment.
    Until(Timestamp),
}

impl Hold {
    /// The moment that is meant by one who says it now.
    pub fn until(self, now: Timestamp) -> Timestamp {
        match self {
            Self::For(time) => now.after(time),
            Self::Until(moment) => moment,
        }
    }

    /// `future-release-interval = 1*9DIGIT`.
    pub(super) fn parse_for(value: &str) -> Option<Self> {
        seconds(value).map(Duration::from_secs).map(Self::For)
    }

    /// A `date-time` of RFC 3339.
    pub(super) fn parse_until(value: &str) -> Option<Self> {
        parse_moment(value).map(Self::Until)
    }
}

/// Not after then: `BY=` by-time ";" by-mode [by-trace] (RFC 2852 section 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct By {
    /// From now; zero or less when the time is over, which mode `N` may say.
    pub seconds: i64,
    /// What happens then.
    pub mode: ByMode,
    /// `T`: each relay is to be told of.
    pub trace: bool,
}

impl By {
    /// What to write at `now` for a message with this deadline.
    pub fn remaining(deliver_by: DeliverBy, now: Timestamp) -> Self {
        Self {
            seconds: deliver_by.deadline.secs().saturating_sub(now.secs()),
            mode: deliver_by.mode,
            trace: deliver_by.trace,
        }
    }

    /// What stays with the message when this is said at `now`.
    pub fn deliver_by(self, now: Timestamp) -> DeliverBy {
        let millis = self.seconds.saturating_mul(1_000);
        DeliverBy {
            deadline: Timestamp::from_millis(now.millis().saturating_add(millis)),
            mode: self.mode,
            trace: self.trace,
        }
    }

    /// `by-time = ["-" / "+"] 1*9DIGIT`. To return a message whose time is
    /// over can't be asked for.
    pub(super) fn parse(value: &str) -> Option<Self> {
        let (time, mode) = value.split_once(';')?;
        let count = |digits: &str| seconds(digits).and_then(|count| i64::try_from(count).ok());
        let seconds = match time.strip_prefix('-') {
            Some(digits) => -count(digits)?,
            None => count(time.strip_prefix('+').unwrap_or(time))?,
        };
        let (mode, trace) = match mode.to_ascii_uppercase().as_str() {
            "R" => (ByMode::Return, false),
            "RT" => (ByMode::Return, true),
            "N" => (ByMode::Notify, false),
            "NT" => (ByMode::Notify, true),
            _ => return None,
        };
        let possible = seconds > 0 || mode == ByMode::Notify;
        possible.then_some(Self {
            seconds,
            mode,
            trace,
        })
    }
}

/// The parameter's value.
impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MOST: i64 = 999_999_999;
        let mode = if self.mode == ByMode::Return {
            "R"
        } else {
            "N"
        };
        let trace = if self.trace { "T" } else { "" };
        write!(f, "{};{mode}{trace}", self.seconds.clamp(-MOST, MOST))
    }
}

fn seconds(digits: &str) -> Option<u64> {
    let fits = (1..=MAX_DIGITS).contains(&digits.len());
    let plain = digits.bytes().all(|octet| octet.is_ascii_digit());
    (fits && plain).then(|| digits.parse().ok()).flatten()
}

/// `date-time` (RFC 3339 section 5.6). A leap second counts as the next one;
/// fractions are dropped.
fn parse_moment(text: &str) -> Option<Timestamp> {
    let (date, time) = text.split_once(['T', 't'])?;
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let (clock, zone) = time.split_at_checked(8)?;
    let [hour, minute, second] = numbers(clock, ':', [2, 2, 2])?;
    let zone = match zone.strip_prefix('.') {
        Some(rest) => {
            let zone = rest.trim_start_matches(|c: char| c.is_ascii_digit());
            (zone.len() < rest.len()).then_some(zone)?
        }
        None => zone,
    };
    let ahead = if zone.eq_ignore_ascii_case("z") {
        0
    } else {
        let (sign, digits) = zone.split_at_checked(1)?;
        let [hours, minutes] = numbers(digits, ':', [2, 2])?;
        let within = hours < 24 && minutes < 60;
        let ahead = within.then_some(i64::from(hours * 60 + minutes))?;
        match sign {
            "+" => ahead,
            "-" => -ahead,
            _ => return None,
        }
    };
    let month = u8::try_from(month).ok()?;
    let date = Date::new(year, month, u8::try_from(day).ok()?)?;
    let within = hour < 24 && minute < 60 && second <= 60;
    let seconds = i64::from(hour) * 3_600 + i64::from(minute) * 60 + i64::from(second);
    within.then(|| Timestamp::from_secs(date.days() * 86_400 + seconds - ahead * 60))
}

fn numbers<const N: usize>(text: &str, separator: char, widths: [usize; N]) -> Option<[u16; N]> {
    let mut words = text.split(separator);
    let mut found = [0; N];
    for (number, width) in found.iter_mut().zip(widths) {
        let word = words.next()?;
        let plain = word.len() == width && word.bytes().all(|octet| octet.is_ascii_digit());
        *number = plain.then(|| word.parse().ok()).flatten()?;
    }
    words.next().is_none().then_some(found)
}

/// `date-time` of RFC 3339 in UTC.
pub(crate) fn moment(at: Timestamp) -> String {
    let date = DateTime::utc(at).date();
    let second = at.secs().rem_euclid(86_400);
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
        date.year(),
        date.month(),
        date.day(),
        second / 3_600,
        second / 60 % 60,
        second % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_in_every_zone_and_written_in_utc() {
        for text in [
            "2026-12-24T18:30:00Z",
            "2026-12-24t19:30:00.25+01:00",
            "2026-12-24T13:00:00-05:30",
        ] {
            let at = parse_moment(text).unwrap();
            assert_eq!(moment(at), "2026-12-24T18:30:00Z", "{text}");
        }
        for bad in [
            "2026-12-24",
            "2026-13-24T00:00:00Z",
            "2026-12-24T24:00:00Z",
            "2026-12-24T00:00:00",
            "2026-12-24T00:00:00.Z",
            "2026-12-24T00:00:00+1:00",
            "2026-12-24T00:00:00+01:00x",
            "2026-12-24 00:00:00Z",
        ] {
            assert_eq!(parse_moment(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_deadline_keeps_its_moment_over_a_hop() {
        let now = Timestamp::from_secs(1_000);
        let asked = By::parse("+120;nt").unwrap();
        let kept = asked.deliver_by(now);
        assert_eq!(kept.deadline, Timestamp::from_secs(1_120));
        let later = Timestamp::from_secs(1_150);
        assert_eq!(By::remaining(kept, later).to_string(), "-30;NT");
        assert_eq!(By::parse("-30;N").map(|by| by.seconds), Some(-30));
        for bad in ["0;R", "-1;R", "1;T", "1", "1234567890;N", ";N", "1;NTT"] {
            assert_eq!(By::parse(bad), None, "{bad}");
        }
    }
}
