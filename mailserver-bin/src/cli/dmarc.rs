//! `mailserver dmarc`: reports about mail that claims to be from a domain.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use mailcore_filter::sender_auth::reports::AggregateReport;
use mailcore_filter::sender_auth::reports::aggregate::SIZE;
use mailcore_filter::sender_auth::reports::collect::reports;
use mailcore_filter::sender_auth::reports::unpack::unpack;

use super::{CliError, Place};
use crate::control::dmarc::{DmarcRequest, Source};
use crate::control::{Request, Response, aligned};
use crate::out;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Where mail that claims to be from here came from, as others report
    Reports {
        /// All domains unless given
        #[arg(long)]
        domain: Option<String>,
        /// "2026-11-22" (UTC), or "7d" ago; all that is kept unless given
        #[arg(long, value_name = "TIME")]
        since: Option<String>,
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Prints a report of others: XML, gzip, zip, or the mail that brought it
    Show { file: PathBuf },
    /// Sends our reports now: of the days before, and of today so far
    Send {
        /// Prints them instead
        #[arg(long)]
        dry_run: bool,
    },
}

/// Carries one command out.
pub(super) fn run(place: &Place, command: Command) -> Result<(), CliError> {
    let request = match command {
        Command::Show { file } => return show(&file),
        Command::Reports {
            domain,
            since,
            json,
        } => return list(place, DmarcRequest::Reports { domain, since }, json),
        Command::Send { dry_run } => DmarcRequest::Send { dry_run },
    };
    place.ask(Request::Dmarc { request })
}

fn list(place: &Place, request: DmarcRequest, json: bool) -> Result<(), CliError> {
    let answer = place.answer(&place.config()?, &Request::Dmarc { request })?;
    let Response::Done(lines) = answer else {
        return Ok(());
    };
    if json {
        out::lines(&lines);
        return Ok(());
    }
    let sources = lines.iter().map(|line| serde_json::from_str(line));
    let sources: Vec<Source> = sources
        .collect::<Result<_, _>>()
        .map_err(CliError::failed)?;
    if sources.is_empty() {
        out::lines(&["no reports"]);
        return Ok(());
    }
    let head = [
        "domain",
        "source",
        "messages",
        "passed",
        "failed",
        "dkim",
        "spf",
        "quarantined",
        "rejected",
    ];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(sources.into_iter().map(|it| {
        let failed = it.messages.saturating_sub(it.passed);
        let mut row = vec![it.domain, it.source];
        let counts = [
            it.messages,
            it.passed,
            failed,
            it.dkim,
            it.spf,
            it.quarantined,
            it.rejected,
        ];
        row.extend(counts.map(|count| count.to_string()));
        row
    }));
    out::lines(&aligned(&rows));
    Ok(())
}

fn show(path: &Path) -> Result<(), CliError> {
    let wrong =
        |error: &dyn std::fmt::Display| CliError::Failed(format!("{}: {error}", path.display()));
    let length = std::fs::metadata(path)
        .map_err(|error| wrong(&error))?
        .len();
    if length > 2 * SIZE as u64 {
        return Err(wrong(&"too long for a report"));
    }
    let octets = std::fs::read(path).map_err(|error| wrong(&error))?;
    let files = unpack(&octets).map_err(|error| wrong(&error))?;
    let mut found: Vec<Result<AggregateReport, String>> = Vec::new();
    for file in &files {
        match AggregateReport::parse(file) {
            Ok(report) => found.push(Ok(report)),
            Err(error) => {
                // A mail, perhaps.
                let within = reports(file);
                match within.is_empty() {
                    true => found.push(Err(error.to_string())),
                    false => found.extend(within),
                }
            }
        }
    }
    for report in found {
        out::lines(&told(&report.map_err(|error| wrong(&error))?));
    }
    Ok(())
}

fn told(report: &AggregateReport) -> Vec<String> {
    let policy = &report.policy;
    let day = |secs| crate::when::shown(mailcore::time::Timestamp::from_secs(secs));
    let mut lines = vec![
        format!("{} about {}", report.organization, policy.domain),
        format!("from {} to {}", day(report.begin), day(report.end)),
        format!(
            "policy {}, subdomains {}; report {}",
            policy.policy.as_str(),
            policy.subdomains.as_str(),
            report.id
        ),
    ];
    lines.extend(report.errors.iter().map(|error| format!("error: {error}")));
    let head = [
        "source",
        "count",
        "disposition",
        "dkim",
        "spf",
        "from",
        "sender",
        "results",
    ];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for row in &report.rows {
        let mut results: Vec<String> = Vec::new();
        for it in &row.signatures {
            results.push(format!("dkim={} {}/{}", it.result, it.domain, it.selector));
        }
        for it in &row.hosts {
            results.push(format!("spf={} {}", it.result, it.domain));
        }
        for it in &row.reasons {
            results.push(format!("{} {}", it.kind, it.comment).trim_end().to_owned());
        }
        rows.push(vec![
            row.source.to_string(),
            row.count.to_string(),
            row.disposition.as_str().to_owned(),
            row.dkim.to_string(),
            row.spf.to_string(),
            row.header_from.clone(),
            row.envelope_from.clone(),
            results.join("; "),
        ]);
    }
    lines.extend(aligned(&rows));
    lines
}
