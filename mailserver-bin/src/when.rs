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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_moments() {
        let at = |secs| shown(Timestamp::from_secs(secs));
        assert_eq!(at(951_782_400), "2000-02-29 00:00:00");
        assert_eq!(at(1_767_225_599), "2025-12-31 23:59:59");
        assert_eq!(at(-1), "1969-12-31 23:59:59");
    }
}
