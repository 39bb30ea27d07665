//! `[abuse]`: what is too often, and what is done then; `[smtp.tarpit]` and
//! `[limits.bandwidth]`: what is slowed down.

use std::time::Duration;

use mailcore::abuse::{AbuseConfig, Consequence, Counted, Keyed, Rate, Rule, Screening, Tarpit};
use mailcore::net::Bandwidth;

use super::file::Section;
use super::smtp::networks;

/// Reads the table.
pub(super) fn abuse(root: &Section<'_, '_>, config: &mut AbuseConfig) {
    let section = root.section("abuse", "[abuse]");
    logins(&section, config);
    if let Some(time) = positive(&section, "ban_for") {
        config.ban_for = time;
    }
    if let Some(time) = section.duration("reread") {
        config.reread = time.value;
    }
    config.exempt = networks(&section, "exempt");
    if let Some(names) = section.strings("exempt_senders") {
        config.exempt_senders = names.iter().map(|at| at.value.to_owned()).collect();
    }
    if let Some(count) = section.count("remembered") {
        config.remembered = count;
    }
    for rule in section
        .sections("rule", "[[abuse.rule]]")
        .unwrap_or_default()
    {
        config.rules.extend(read(&rule));
        rule.finish();
    }
    section.finish();
}

fn logins(section: &Section<'_, '_>, config: &mut AbuseConfig) {
    let logins = &mut config.logins;
    if section.flag("screen_logins") == Some(false) {
        logins.screening = Screening::Off;
    }
    if let Some(within) = positive(section, "login_window") {
        logins.failures.within = within;
        logins.network_failures.within = within;
    }
    if let Some(most) = section.count("login_failures") {
        logins.failures.most = most as u64;
    }
    if let Some(most) = section.count("network_login_failures") {
        logins.network_failures.most = most as u64;
    }
    if let Some(time) = section.duration("login_delay") {
        logins.longest_delay = time.value;
    }
}

fn positive(section: &Section<'_, '_>, key: &'static str) -> Option<Duration> {
    let time = section.duration(key)?;
    if time.value.is_zero() {
        section.problem(time.line, format!("{key} must be more than nothing"));
        return None;
    }
    Some(time.value)
}

/// `None` when it is wrong, which is reported.
fn read(section: &Section<'_, '_>) -> Option<Rule> {
    let word = |key| section.required(key);
    let counted = word("count").and_then(|text| section.word("count", text, Counted::WORDS));
    let keyed = match section.string("by") {
        Some(text) => section.word("by", text, Keyed::WORDS),
        None => Some(Keyed::Address),
    };
    let consequence = match section.string("then") {
        Some(text) => section.word("then", text, Consequence::WORDS),
        None => Some(Consequence::Defer),
    };
    let most = match section.has("most") {
        true => section.size("most"),
        false => {
            section.problem(section.line(), "most is missing in [[abuse.rule]]");
            None
        }
    };
    let within = match section.has("within") {
        true => positive(section, "within"),
        false => Some(Duration::from_secs(3_600)),
    };
    let rule = Rule::new((counted?, keyed?), Rate::new(most?, within?), consequence?);
    rule.map_err(|error| section.problem(section.line(), error.to_string()))
        .ok()
}

/// Reads `[smtp.tarpit]`, which is there to be set up: an empty table is enough.
pub(super) fn tarpit(smtp: &Section<'_, '_>) -> Option<Tarpit> {
    let section = smtp.section("tarpit", "[smtp.tarpit]");
    let mut tarpit = Tarpit::default();
    if let Some(count) = section.number("after") {
        tarpit.free = u32::try_from(count.value).unwrap_or(u32::MAX);
    }
    if let Some(percent) = section.number("growth") {
        tarpit.growth = u32::try_from(percent.value).unwrap_or(u32::MAX);
    }
    let times: [(&'static str, &mut Duration); 3] = [
        ("delay", &mut tarpit.delay),
        ("longest", &mut tarpit.longest),
        ("greeting", &mut tarpit.greeting),
    ];
    for (key, kept) in times {
        if let Some(time) = section.duration(key) {
            *kept = time.value;
        }
    }
    let present = section.is_present();
    section.finish();
    present.then_some(tarpit)
}

/// Reads `[limits.bandwidth]`.
pub(super) fn bandwidth(limits: &Section<'_, '_>, bandwidth: &mut Bandwidth) {
    let section = limits.section("bandwidth", "[limits.bandwidth]");
    let rates: [(&'static str, &mut Option<u64>); 4] = [
        ("connection", &mut bandwidth.connection),
        ("address", &mut bandwidth.address),
        ("listener", &mut bandwidth.listener),
        ("domain", &mut bandwidth.domain),
    ];
    for (key, rate) in rates {
        let found = section.size(key);
        if found == Some(0) {
            section.problem(section.line(), format!("{key} must be more than nothing"));
        }
        *rate = found;
    }
    section.finish();
}
