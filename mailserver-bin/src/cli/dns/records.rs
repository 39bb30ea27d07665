//! What a domain publishes: each record as a line of a zone file, and what it is
//! for, so that what is published can be compared.

use std::net::IpAddr;

use mailcore::address::Domain;
use mailcore_filter::sender_auth::signing::zone_text;

use super::{record, zone_name};
use crate::config::{Config, Protocol, TlsMode};
use crate::control::dkim::Key;

/// A record to publish.
#[derive(Debug, Clone)]
pub(super) struct Record {
    /// Its name, without the dot at the end.
    pub(super) name: String,
    /// The line of a zone file.
    pub(super) line: String,
    pub(super) wanted: Wanted,
}

/// What a record is to say.
#[derive(Debug, Clone)]
pub(super) enum Wanted {
    /// Mail comes here.
    Mx,
    /// These addresses send for the domain, beside those of its MX hosts.
    Spf,
    /// A key that signs, is about to, or did.
    Dkim { record: String, stage: String },
    /// What is to become of mail that is not the domain's.
    Dmarc,
    /// Where reports on TLS go.
    TlsReports,
    /// The version of the policy on TLS.
    MtaSts { id: String },
    /// Where that policy is.
    MtaStsHost,
    /// A service for clients.
    Service { port: u16 },
}

/// What a domain publishes.
pub(super) fn of_domain(config: &Config, domain: &Domain, keys: &[Key]) -> Vec<Record> {
    let (host, name) = (zone_name(&config.hostname), zone_name(domain));
    let reports = format!("mailto:postmaster@{}", name.trim_end_matches('.'));
    let mut records = Vec::new();
    let mut add = |owner: &str, kind: &str, data: &str, wanted: Wanted| {
        records.push(Record {
            name: owner.trim_end_matches('.').to_owned(),
            line: record(owner, kind, data),
            wanted,
        });
    };
    add(&name, "MX", &format!("10 {host}"), Wanted::Mx);
    add(&name, "TXT", &zone_text(&spf(config)), Wanted::Spf);
    for key in keys {
        let wanted = Wanted::Dkim {
            record: key.record.clone(),
            stage: key.stage.clone(),
        };
        let owner = format!("{}.", key.name);
        add(&owner, "TXT", &zone_text(&key.record), wanted);
    }
    let dmarc = zone_text(&format!("v=DMARC1; p=none; rua={reports}"));
    add(&format!("_dmarc.{name}"), "TXT", &dmarc, Wanted::Dmarc);
    let tls = zone_text(&format!("v=TLSRPTv1; rua={reports}"));
    add(
        &format!("_smtp._tls.{name}"),
        "TXT",
        &tls,
        Wanted::TlsReports,
    );
    if let Some((_, policy)) = config.web.policies.iter().find(|(it, _)| it == domain) {
        let id = policy.id().to_string();
        let text = zone_text(&format!("v=STSv1; id={id};"));
        add(
            &format!("_mta-sts.{name}"),
            "TXT",
            &text,
            Wanted::MtaSts { id },
        );
        add(
            &format!("mta-sts.{name}"),
            "CNAME",
            &host,
            Wanted::MtaStsHost,
        );
    }
    for service in services(config, &name, &host) {
        if !records.iter().any(|it| it.line == service.line) {
            records.push(service);
        }
    }
    records
}

/// Mail of the domain comes from its MX hosts, from the addresses that routes
/// call from, and from nobody else (RFC 7208 section 5).
fn spf(config: &Config) -> String {
    let mut text = "v=spf1 mx".to_owned();
    let routes = config.outgoing.routes.iter().flat_map(|it| &it.sources);
    let mut told: Vec<IpAddr> = Vec::new();
    for source in config.outgoing.sources.iter().chain(routes) {
        if told.contains(&source.ip) {
            continue;
        }
        told.push(source.ip);
        text.push_str(&match source.ip {
            IpAddr::V4(ip) => format!(" ip4:{ip}"),
            IpAddr::V6(ip) => format!(" ip6:{ip}"),
        });
    }
    text.push_str(" -all");
    text
}

/// Where clients find the services (RFC 6186, RFC 8314 section 5.1).
fn services(config: &Config, name: &str, host: &str) -> Vec<Record> {
    let mut records = Vec::new();
    for listener in &config.listeners {
        let service = match (listener.protocol, listener.tls) {
            (Protocol::Submission, TlsMode::Implicit) => "submissions",
            (Protocol::Submission, TlsMode::Starttls) => "submission",
            (Protocol::Imap, TlsMode::Implicit) => "imaps",
            (Protocol::Imap, TlsMode::Starttls) => "imap",
            (Protocol::Pop3, TlsMode::Implicit) => "pop3s",
            (Protocol::Pop3, TlsMode::Starttls) => "pop3",
            // RFC 5804 section 1.8: one name, and TLS by STARTTLS.
            (Protocol::ManageSieve, TlsMode::Starttls) => "sieve",
            _ => continue,
        };
        // What is within TLS from the start is to be preferred.
        let priority = if listener.tls == TlsMode::Implicit {
            0
        } else {
            10
        };
        let port = listener.address.port();
        let owner = format!("_{service}._tcp.{name}");
        records.push(Record {
            name: owner.trim_end_matches('.').to_owned(),
            line: record(&owner, "SRV", &format!("{priority} 1 {port} {host}")),
            wanted: Wanted::Service { port },
        });
    }
    records
}
