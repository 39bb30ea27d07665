//! Time zones by their IANA names, from the system's tables, or our own copy
//! where the system has none.

use std::sync::Arc;

use jiff::tz::{TimeZone, db};
use mailcore::schedule::{Utc, Zone};
use mailcore::time::Timestamp;

/// The clocks of a place.
#[derive(Debug)]
struct Place(TimeZone);

impl Zone for Place {
    fn offset(&self, at: Timestamp) -> i32 {
        // Beyond the years that jiff knows no clock shows anything.
        jiff::Timestamp::from_second(at.secs()).map_or(0, |at| self.0.to_offset(at).seconds())
    }
}

/// `UTC`, `system`, or an IANA name; an error says what is wrong with it.
pub(crate) fn find(name: &str) -> Result<Arc<dyn Zone>, String> {
    match name {
        "UTC" => Ok(Arc::new(Utc)),
        "system" => TimeZone::try_system()
            .map(|zone| Arc::new(Place(zone)) as Arc<dyn Zone>)
            .map_err(|error| format!("the system does not say where it is: {error}")),
        _ => TimeZone::get(name)
            .map(|zone| Arc::new(Place(zone)) as Arc<dyn Zone>)
            .map_err(|_| "it is UTC, system, or an IANA name such as Europe/Berlin".to_owned()),
    }
}

/// Every name that [`find`] knows.
pub(crate) fn names() -> Vec<String> {
    db().available().map(|name| name.to_string()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use mailcore::schedule::Crontab;

    #[test]
    fn places_have_their_clocks() {
        let berlin = find("Europe/Berlin").unwrap();
        // 2026-03-29 01:00 UTC: clocks go from 02:00 to 03:00.
        let change = 1_774_746_000;
        assert_eq!(berlin.offset(Timestamp::from_secs(change - 1)), 3_600);
        assert_eq!(berlin.offset(Timestamp::from_secs(change)), 7_200);
        let crontab: Crontab = "30 2 * * *".parse().unwrap();
        let next = crontab.next_after(Timestamp::from_secs(change - 3_600), &*berlin);
        assert_eq!(next, Some(Timestamp::from_secs(change)));
        assert!(find("Europe/Berln").is_err());
        assert!(names().iter().any(|name| name == "Asia/Tashkent"));
        for edge in [i64::MIN, i64::MAX] {
            assert_eq!(berlin.offset(Timestamp::from_millis(edge)), 0);
        }
    }
}
