//! `mailserver dns`: the records to publish for the domains served, as lines of
//! a zone file.

mod tlsa;

use mailcore::address::Domain;

use super::{CliError, Place};
use crate::config::{Config, Protocol, TlsMode};
use crate::control::{Request, Response};
use crate::out;

/// How long resolvers may keep a record.
const TTL: u32 = 3600;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The domain; all that are served unless given
    domain: Option<String>,
    /// A key that the host will use next, PEM: its TLSA record must be out
    /// before its certificate is in
    #[arg(long, value_name = "FILE")]
    next_key: Option<std::path::PathBuf>,
}

pub(super) fn run(place: &Place, args: &Args) -> Result<(), CliError> {
    let config = place.config()?;
    let names = match &args.domain {
        Some(name) => vec![name.clone()],
        None => match place.answer(&config, &Request::DomainNames)? {
            Response::Done(names) => names,
            _ => Vec::new(),
        },
    };
    let mut lines = Vec::new();
    for name in names {
        let domain = Domain::parse(&name)
            .map_err(|error| CliError::Usage(format!("{name:?} is no domain: {error}")))?;
        lines.extend(domain_records(&config, &domain));
        lines.push(String::new());
    }
    lines.extend(tlsa::records(&config, args.next_key.as_deref())?);
    out::lines(&lines);
    Ok(())
}

/// A name as a zone file has it.
fn zone_name(name: &Domain) -> String {
    let ascii = name.to_ascii().unwrap_or_else(|_| name.clone());
    format!("{ascii}.")
}

fn record(owner: &str, kind: &str, data: &str) -> String {
    format!("{owner} {TTL} IN {kind} {data}")
}

/// What a domain publishes.
fn domain_records(config: &Config, domain: &Domain) -> Vec<String> {
    let (host, name) = (zone_name(&config.hostname), zone_name(domain));
    let reports = format!("mailto:postmaster@{}", name.trim_end_matches('.'));
    let text = |owner: &str, text: &str| record(owner, "TXT", &format!("\"{text}\""));
    let mut lines = vec![
        format!("; {domain}"),
        record(&name, "MX", &format!("10 {host}")),
        // Mail of the domain comes from its MX hosts and nobody else (RFC 7208
        // section 5.4).
        text(&name, "v=spf1 mx -all"),
        text(
            &format!("_dmarc.{name}"),
            &format!("v=DMARC1; p=none; rua={reports}"),
        ),
        text(
            &format!("_smtp._tls.{name}"),
            &format!("v=TLSRPTv1; rua={reports}"),
        ),
    ];
    if let Some((_, policy)) = config.web.policies.iter().find(|(it, _)| it == domain) {
        let id = policy.id();
        lines.push(text(
            &format!("_mta-sts.{name}"),
            &format!("v=STSv1; id={id};"),
        ));
        lines.push(record(&format!("mta-sts.{name}"), "CNAME", &host));
    }
    lines.extend(services(config, &name, &host));
    lines
}

/// Where clients find the services (RFC 6186, RFC 8314 section 5.1).
fn services(config: &Config, name: &str, host: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for listener in &config.listeners {
        let service = match (listener.protocol, listener.tls) {
            (Protocol::Submission, TlsMode::Implicit) => "submissions",
            (Protocol::Submission, TlsMode::Starttls) => "submission",
            (Protocol::Imap, TlsMode::Implicit) => "imaps",
            (Protocol::Imap, TlsMode::Starttls) => "imap",
            (Protocol::Pop3, TlsMode::Implicit) => "pop3s",
            (Protocol::Pop3, TlsMode::Starttls) => "pop3",
            _ => continue,
        };
        // What is within TLS from the start is to be preferred.
        let priority = if listener.tls == TlsMode::Implicit {
            0
        } else {
            10
        };
        let data = format!("{priority} 1 {} {host}", listener.address.port());
        let line = record(&format!("_{service}._tcp.{name}"), "SRV", &data);
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    lines
}
