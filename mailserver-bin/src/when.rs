//! Times as people read them, in UTC: `2026-02-28 13:05:09`.

use mailcore::message::date::DateTime;
use mailcore::time::Timestamp;

const DAY: i64 = 86_400;

/// The moment in UTC, to the second.
pub(crate) fn shown(at: Timestamp) -> String {
    let date = DateTime::utc(at).date();
    let rest = at.secs().rem_euclid(DAY);
    let (hour, minute, second) = (rest / 3_600, rest / 60 % 60, rest % 60);
    format!(
        "{:04}-{:02}-{:02} {hour:02}:{minute:02}:{second:02}",
        date.year(),
        date.month(),
        date.day()
    )
}

/// A moment that a person wrote: a day, a day with a time, both in UTC, or how
/// long before `now` it was.
pub(crate) fn parse(text: &str, now: Timestamp) -> Option<Timestamp> {
    if let Some(ago) = crate::config::parse_duration(text) {
        let ago = i64::try_from(ago.as_millis()).ok()?;
        return Some(Timestamp::from_millis(now.millis().saturating_sub(ago)));
    }
    let (day, time) = match text.split_once([' ', 'T']) {
        Some((day, time)) => (day, time),
        None => (text, "00:00"),
    };
    let mut time = time.trim_end_matches('Z').split(':');
    let hour: i8 = time.next()?.parse().ok()?;
    let minute: i8 = time.next()?.parse().ok()?;
    let second: i8 = time.next().map_or(Ok(0), str::parse).ok()?;
    if time.next().is_some() {
        return None;
    }
    let date: jiff::civil::Date = day.parse().ok()?;
    let time = jiff::civil::Time::new(hour, minute, second, 0).ok()?;
    let moment = date
        .to_datetime(time)
        .to_zoned(jiff::tz::TimeZone::UTC)
        .ok()?;
    Some(Timestamp::from_millis(moment.timestamp().as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_moments() {
        let at = |secs| shown(Timestamp::from_secs(secs));
        assert_eq!(at(951_782_400), "2000-02-29 00:00:00");
        assert_eq!(at(1_767_225_599), "2025-12-31 23:59:59");
        let now = Timestamp::from_secs(1_767_225_599);
        let read = |text| parse(text, now).map(Timestamp::secs);
        assert_eq!(read("2000-02-29"), Some(951_782_400));
        assert_eq!(read("2025-12-31 23:59:59"), Some(1_767_225_599));
        assert_eq!(read("2025-12-31T23:59Z"), Some(1_767_225_540));
        assert_eq!(read("1h"), Some(1_767_221_999));
        for bad in [
            "2025-02-29",
            "yesterday",
            "2025-12-31 24:00",
            "2025-12-31 1:2:3:4",
            "",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
        assert_eq!(at(-1), "1969-12-31 23:59:59");
    }
}
