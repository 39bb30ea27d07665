//! `mailserver dns`: the records to publish for the domains served, as lines of
//! a zone file, and whether those that are published are right.

mod check;
mod records;
mod tlsa;

use mailcore::address::Domain;

use self::check::{Checker, Finding};
use self::records::Record;
use super::{CliError, Place, dkim};
use crate::config::Config;
use crate::control::dkim::{DkimRequest, Key};
use crate::control::{Request, Response, aligned};
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
    /// Compare with what DNS has, and say what is to be done; the exit status is
    /// 0 when nothing is
    #[arg(long)]
    check: bool,
    /// With --check: one JSON object a line
    #[arg(long, requires = "check")]
    json: bool,
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
    let mut domains = Vec::new();
    for name in names {
        let domain = Domain::parse(&name)
            .map_err(|error| CliError::Usage(format!("{name:?} is no domain: {error}")))?;
        let records = records::of_domain(&config, &domain, &keys(place, &config, &domain)?);
        domains.push((domain, records));
    }
    let tlsa = tlsa::records(&config, args.next_key.as_deref())?;
    if args.check {
        return compare(&config, args, &domains, &tlsa);
    }
    let mut lines = Vec::new();
    for (domain, records) in &domains {
        lines.push(format!("; {domain}"));
        lines.extend(records.iter().map(|record| record.line.clone()));
        lines.push(String::new());
    }
    if config.acme.is_some() {
        lines.push("; CAA, where there is one, must allow the authority of [acme]".to_owned());
    }
    lines.extend(tlsa);
    out::lines(&lines);
    Ok(())
}

/// The keys of a domain; none where no server's data is.
fn keys(place: &Place, config: &Config, domain: &Domain) -> Result<Vec<Key>, CliError> {
    if !crate::data::DataDir::new(&config.data).exists() {
        return Ok(Vec::new());
    }
    let request = DkimRequest::List {
        domain: Some(domain.to_string()),
    };
    dkim::keys(place, config, request)
}

fn compare(
    config: &Config,
    args: &Args,
    domains: &[(Domain, Vec<Record>)],
    tlsa: &[String],
) -> Result<(), CliError> {
    let findings: Vec<Finding> = super::with_resolver(config, async |resolver| {
        let (mut checker, mut findings) = Checker::new(config, resolver).await;
        for (domain, records) in domains {
            findings.extend(checker.domain(domain, records).await);
        }
        findings.extend(checker.keys(tlsa).await);
        findings
    })?;
    let lines = match args.json {
        true => findings.iter().map(Finding::json).collect(),
        false => aligned(&findings.iter().map(Finding::row).collect::<Vec<_>>()),
    };
    out::lines(&lines);
    let wrong = findings.iter().filter(|finding| !finding.is_ok()).count();
    match wrong {
        0 => Ok(()),
        _ => Err(CliError::Failed(format!(
            "{wrong} of {} are not as they should be",
            findings.len()
        ))),
    }
}

/// A name as a zone file has it.
fn zone_name(name: &Domain) -> String {
    let ascii = name.to_ascii().unwrap_or_else(|_| name.clone());
    format!("{ascii}.")
}

fn record(owner: &str, kind: &str, data: &str) -> String {
    format!("{owner} {TTL} IN {kind} {data}")
}
