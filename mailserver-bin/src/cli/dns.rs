//! `mailserver dns`: the records to publish for the domains served, as lines of
//! a zone file.

use std::path::Path;

use mailcore::address::Domain;

use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;
use sha2::{Digest, Sha256};

use super::{CliError, Place};
use crate::config::{Config, Protocol, TlsMode};
use crate::control::{Request, Response};
use crate::data::DataDir;
use crate::{out, tls};

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
    lines.extend(host_records(&config, args)?);
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

/// What the host publishes: the keys that its certificates may have (RFC 6698,
/// RFC 7672 section 3.1.1).
fn host_records(config: &Config, args: &Args) -> Result<Vec<String>, CliError> {
    let host = zone_name(&config.hostname);
    let owner = format!("_25._tcp.{host}");
    let mut lines = vec![format!(
        "; {}; TLSA only where the zone is signed",
        config.hostname
    )];
    let current = current_key(config);
    if current.exists() {
        lines.push(record(&owner, "TLSA", &tlsa(&current)?));
    } else {
        let path = current.display();
        lines.push(format!(
            "; no TLSA yet: {path} is made when the server starts"
        ));
    }
    if let Some(next) = &args.next_key {
        lines.push(record(&owner, "TLSA", &tlsa(next)?));
    }
    Ok(lines)
}

fn current_key(config: &Config) -> std::path::PathBuf {
    match &config.tls.default {
        Some(files) => files.key.clone(),
        None => DataDir::new(&config.data).key(),
    }
}

/// `3 1 1` and the hash of the key: it holds for every certificate of the key,
/// whoever signed it.
fn tlsa(key: &Path) -> Result<String, CliError> {
    let failed =
        |error: &dyn std::fmt::Display| CliError::Failed(format!("{}: {error}", key.display()));
    let der = PrivateKeyDer::from_pem_file(key).map_err(|error| failed(&error))?;
    let signing = tls::provider().key_provider.load_private_key(der);
    let signing = signing.map_err(|error| failed(&error))?;
    let public = signing.public_key();
    let public = public.ok_or_else(|| failed(&"the key does not tell its public half"))?;
    let hash = Sha256::digest(public.as_ref());
    let hex: String = hash.iter().map(|octet| format!("{octet:02x}")).collect();
    Ok(format!("3 1 1 {hex}"))
}
