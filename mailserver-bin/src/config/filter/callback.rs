//! `[filter.callback]`: asking the hosts of senders for them.

use std::time::Duration;

use mailcore_filter::sender::CallbackConfig;

use crate::config::file::Section;

/// Reads the table; `None` unless it says `on = true`.
pub(super) fn callback(filter: &Section<'_, '_>) -> Option<CallbackConfig> {
    let section = filter.section("callback", "[filter.callback]");
    let on = section.flag("on") == Some(true);
    let mut config = CallbackConfig::default();
    let calls = &mut config.calls;
    let times: [(&'static str, &mut Duration); 3] = [
        ("known", &mut calls.known_for),
        ("unknown", &mut calls.unknown_for),
        ("deadline", &mut calls.deadline),
    ];
    for (key, time) in times {
        let Some(wanted) = section.duration(key) else {
            continue;
        };
        if wanted.value.is_zero() {
            section.problem(wanted.line, format!("{key} can't be 0"));
        }
        *time = wanted.value;
    }
    calls.at_once = section.count("at_once").unwrap_or(calls.at_once);
    if let Some(most) = section.count("per_domain") {
        config.per_domain = u32::try_from(most).unwrap_or(u32::MAX);
    }
    section.finish();
    on.then_some(config)
}
