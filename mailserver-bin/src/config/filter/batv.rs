//! `[filter.batv]`: domains whose senders are signed where their mail leaves.

use mailcore::address::Domain;
use mailcore_filter::batv::BatvConfig;

use crate::config::file::Section;

/// Reads the table; `None` unless it names domains.
pub(super) fn batv(filter: &Section<'_, '_>) -> Option<BatvConfig> {
    let section = filter.section("batv", "[filter.batv]");
    let mut config = BatvConfig::default();
    for domain in section.strings("domains").unwrap_or_default() {
        match Domain::parse(domain.value) {
            Ok(name) => {
                config.domains.insert(name);
            }
            Err(error) => section.problem(domain.line, format!("domains: {error}")),
        }
    }
    if let Some(days) = section.number("valid_days") {
        match u16::try_from(days.value) {
            // The key before the present one is known for 30 days.
            Ok(wanted @ 1..=28) => config.valid_days = wanted,
            _ => section.problem(days.line, "valid_days is a number from 1 to 28"),
        }
    }
    section.finish();
    (!config.domains.is_empty()).then_some(config)
}
