//! `[filter.quarantine]`: where mail is kept apart, for how long, and how much.

use std::time::Duration;

use mailcore::plan::QuarantinePlace;
use mailcore::quarantine::QuarantineLimits;

use crate::config::file::Section;
use crate::config::schedule::keep_or_never;

const DAY: u64 = 24 * 3_600;

/// The quarantine.
#[derive(Debug, Clone, Copy)]
pub(crate) struct QuarantineConfig {
    /// The usual place for mail that comes in.
    pub(crate) place: QuarantinePlace,
    /// How long mail stays there; zero for as long as there is room.
    pub(crate) keep: Duration,
    /// How much there may be.
    pub(crate) limits: QuarantineLimits,
}

impl Default for QuarantineConfig {
    fn default() -> Self {
        Self {
            place: QuarantinePlace::Folder,
            keep: Duration::from_secs(30 * DAY),
            limits: QuarantineLimits::default(),
        }
    }
}

/// Reads the table.
pub(super) fn quarantine(parent: &Section<'_, '_>, config: &mut QuarantineConfig) {
    let section = parent.section("quarantine", "[filter.quarantine]");
    let places = [
        ("folder", QuarantinePlace::Folder),
        ("user", QuarantinePlace::User),
        ("admin", QuarantinePlace::Admin),
    ];
    if let Some(text) = section.string("place")
        && let Some(place) = section.word("place", text, &places)
    {
        config.place = place;
    }
    config.keep = keep_or_never(&section, "keep").unwrap_or(config.keep);
    let limits = &mut config.limits;
    let counts = [
        ("account_messages", &mut limits.account_messages),
        ("messages", &mut limits.messages),
    ];
    for (key, limit) in counts {
        *limit = section.count(key).map_or(*limit, |count| count as u64);
    }
    let sizes = [
        ("account_size", &mut limits.account_octets),
        ("size", &mut limits.octets),
    ];
    for (key, limit) in sizes {
        *limit = section.size(key).unwrap_or(*limit);
    }
    section.finish();
}
