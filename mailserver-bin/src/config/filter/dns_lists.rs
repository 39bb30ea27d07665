//! `[filter.dnsbl]`, `[filter.rhsbl]`, `[filter.uribl]`, `[filter.backscatter]`
//! and `[filter.dns_lists]`: which lists in DNS are asked, and how.

use mailcore_filter::dns::shipped::Purpose;
use mailcore_filter::dns::{
    AskHelo, ClientException, ClientExceptions, DnsListLimits, NameExceptions, Zone,
};

use super::super::file::Section;
use super::zones::zones;

/// Lists in DNS. None is asked unless it is named.
#[derive(Debug, Clone, Default)]
pub(crate) struct DnsListsConfig {
    pub(crate) limits: DnsListLimits,
    pub(crate) dnsbl: ClientListsConfig,
    pub(crate) rhsbl: SenderListsConfig,
    pub(crate) uribl: UrlListsConfig,
    pub(crate) backscatter: ClientListsConfig,
}

/// Lists of clients.
#[derive(Debug, Clone, Default)]
pub(crate) struct ClientListsConfig {
    pub(crate) zones: Vec<Zone>,
    pub(crate) exceptions: ClientExceptions,
}

/// Lists of senders' domains.
#[derive(Debug, Clone, Default)]
pub(crate) struct SenderListsConfig {
    pub(crate) zones: Vec<Zone>,
    pub(crate) exceptions: NameExceptions,
    pub(crate) helo: AskHelo,
    pub(crate) from: AskFrom,
}

/// Whether the domains of From fields are asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum AskFrom {
    #[default]
    No,
    Yes,
}

/// Lists of domains in URLs.
#[derive(Debug, Clone, Default)]
pub(crate) struct UrlListsConfig {
    pub(crate) zones: Vec<Zone>,
    pub(crate) exceptions: NameExceptions,
    /// `None` for the usual number.
    pub(crate) most: Option<usize>,
}

/// Reads the tables within `[filter]`.
pub(super) fn dns_lists(filter: &Section<'_, '_>, config: &mut DnsListsConfig) {
    limits(filter, &mut config.limits);
    let section = filter.section("dnsbl", "[filter.dnsbl]");
    clients(section, Purpose::Dnsbl, &mut config.dnsbl);
    let section = filter.section("backscatter", "[filter.backscatter]");
    clients(section, Purpose::Backscatter, &mut config.backscatter);

    let section = filter.section("rhsbl", "[filter.rhsbl]");
    config.rhsbl.zones = zones(&section, Purpose::Rhsbl);
    config.rhsbl.exceptions = names(&section);
    if section.flag("helo") == Some(true) {
        config.rhsbl.helo = AskHelo::Yes;
    }
    if section.flag("from") == Some(true) {
        config.rhsbl.from = AskFrom::Yes;
    }
    section.finish();

    let section = filter.section("uribl", "[filter.uribl]");
    config.uribl.zones = zones(&section, Purpose::Uribl);
    config.uribl.exceptions = names(&section);
    config.uribl.most = section.count("domains");
    section.finish();
}

fn limits(filter: &Section<'_, '_>, limits: &mut DnsListLimits) {
    let section = filter.section("dns_lists", "[filter.dns_lists]");
    let times = [
        ("timeout", &mut limits.time),
        ("longest", &mut limits.longest),
        ("not_listed", &mut limits.not_listed),
        ("test_every", &mut limits.test_every),
        ("retest", &mut limits.retest),
    ];
    for (key, kept) in times {
        let Some(time) = section.duration(key) else {
            continue;
        };
        match time.value.is_zero() {
            true => section.problem(time.line, format!("{key} must be more than nothing")),
            false => *kept = time.value,
        }
    }
    for (key, kept) in [
        ("concurrent", &mut limits.concurrent),
        ("cached", &mut limits.cached),
    ] {
        if let Some(count) = section.count(key) {
            *kept = count;
        }
    }
    section.finish();
}

fn clients(section: Section<'_, '_>, purpose: Purpose, config: &mut ClientListsConfig) {
    config.zones = zones(&section, purpose);
    let exceptions = section.strings("exceptions").unwrap_or_default();
    let exceptions = exceptions.into_iter().filter_map(|text| {
        let exception = text.value.parse::<ClientException>();
        let problem = |error| section.problem(text.line, format!("exceptions: {error}"));
        exception.map_err(problem).ok()
    });
    config.exceptions = exceptions.collect();
    section.finish();
}

fn names(section: &Section<'_, '_>) -> NameExceptions {
    let mut names = NameExceptions::default();
    for name in section.strings("exceptions").unwrap_or_default() {
        if names.add(name.value).is_err() {
            let words = "exceptions: write example.com, or .example.com for all below it";
            section.problem(name.line, format!("{words}, not \"{}\"", name.value));
        }
    }
    names
}
