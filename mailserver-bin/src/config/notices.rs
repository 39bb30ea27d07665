//! `[notices]`: what the server writes to its operator about itself.

use std::time::Duration;

use mailcore::event::send_mail::MailTo;

use super::events::address;
use super::file::Section;
use crate::telling::NOTICES;

/// What is written, to whom and how often.
#[derive(Debug, Clone)]
pub(crate) struct NoticesConfig {
    pub(crate) to: MailTo,
    /// At most one mail of each kind in this time.
    pub(crate) every: Duration,
    /// The keys of those that are on.
    pub(crate) on: Vec<&'static str>,
    pub(crate) crash_reports: CrashReports,
}

/// Whether a crash leaves a report in the data directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum CrashReports {
    #[default]
    Off,
    Written,
}

impl Default for NoticesConfig {
    fn default() -> Self {
        let on = NOTICES.iter().filter(|notice| notice.on);
        Self {
            to: MailTo::Postmaster,
            every: Duration::from_secs(3_600),
            on: on.map(|notice| notice.key).collect(),
            crash_reports: CrashReports::Off,
        }
    }
}

/// Reads the table.
pub(super) fn notices(root: &Section<'_, '_>, config: &mut NoticesConfig) {
    let section = root.section("notices", "[notices]");
    let enabled = section.flag("enabled").unwrap_or(true);
    if let Some(to) = section.string("to") {
        let to = address(&section, "to", to);
        config.to = to.map_or(MailTo::Postmaster, MailTo::Address);
    }
    if let Some(every) = section.duration("every") {
        if every.value.is_zero() {
            section.problem(every.line, "every must be more than nothing");
        }
        config.every = every.value;
    }
    let on = |key: &'static str, default: bool| section.flag(key).unwrap_or(default) && enabled;
    let chosen = NOTICES.iter().filter(|notice| on(notice.key, notice.on));
    config.on = chosen.map(|notice| notice.key).collect();
    if section.flag("crash_reports") == Some(true) {
        config.crash_reports = CrashReports::Written;
    }
    section.finish();
}
