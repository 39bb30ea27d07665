//! Reports of others. They come from strangers and are not always as the schema
//! has them: elements that are not known are passed over, words in odd case are
//! taken, rows without a host are left out. XML that is none is refused.

use thiserror::Error;

use super::super::xml::{Reader, Token, XmlError};
use super::{AggregateReport, Proof, PublishedPolicy, Reason, Row, SignatureResult, SpfRow};
use crate::sender_auth::dmarc::{Alignment, DmarcPolicy};

/// Octets of a report that is read.
pub const SIZE: usize = 10 * 1024 * 1024;
/// Rows.
const MOST_ROWS: usize = 100_000;
/// Signatures of one row, results of SPF, reasons, errors.
const MOST_PARTS: usize = 100;
/// Octets of one value.
const MOST_TEXT: usize = 512;

/// Why something is no report.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ReportError {
    /// It is longer than [`SIZE`].
    #[error("it is longer than {SIZE} octets")]
    Size,
    /// It is not XML.
    #[error("it is no XML: {0}")]
    Xml(#[from] XmlError),
    /// It is XML, but no report.
    #[error("it is XML but no DMARC report: {0} is missing")]
    Missing(&'static str),
    /// It has too many rows.
    #[error("it has more than {MOST_ROWS} rows")]
    Rows,
}

impl AggregateReport {
    /// Reads a report.
    ///
    /// # Errors
    /// [`ReportError`].
    pub fn parse(octets: &[u8]) -> Result<Self, ReportError> {
        if octets.len() > SIZE {
            return Err(ReportError::Size);
        }
        // Some have a name in Latin-1 and say UTF-8.
        let text = String::from_utf8_lossy(octets);
        let report = read(&text)?;
        for (value, name) in [
            (&report.policy.domain, "policy_published/domain"),
            (&report.id, "report_metadata/report_id"),
        ] {
            if value.is_empty() {
                return Err(ReportError::Missing(name));
            }
        }
        Ok(report)
    }
}

impl Row {
    /// Reads what [`Row::to_xml`] wrote.
    pub(in crate::sender_auth::reports) fn from_xml(xml: &str) -> Option<Self> {
        read(&format!("<feedback>{xml}</feedback>"))
            .ok()?
            .rows
            .pop()
    }
}

fn read(text: &str) -> Result<AggregateReport, ReportError> {
    // Some have a schema's beginning before the report, and never its end.
    let start = text.find("<feedback").unwrap_or_default();
    let mut reader = Reader::new(text.get(start..).unwrap_or_default());
    let mut reading = Reading {
        report: AggregateReport::new("", "", PublishedPolicy::default()),
        row: None,
        has_source: false,
        subdomains: None,
        nonexistent: None,
    };
    let mut path: Vec<&str> = Vec::new();
    let mut value = String::new();
    while let Some(token) = reader.next()? {
        match token {
            Token::Open(name) => {
                if path.is_empty() && name != "feedback" {
                    return Err(ReportError::Missing("feedback"));
                }
                path.push(name);
                value.clear();
                reading.begin(&path);
            }
            Token::Text(text) => {
                let room = MOST_TEXT.saturating_sub(value.len());
                value.extend(text.chars().filter(|c| !c.is_control()).take(room));
            }
            Token::Close(_) => {
                reading.end(&path, value.trim())?;
                value.clear();
                path.pop();
                if path.is_empty() {
                    break;
                }
            }
        }
    }
    let mut report = reading.report;
    let policy = &mut report.policy;
    policy.subdomains = reading.subdomains.unwrap_or(policy.policy);
    policy.nonexistent = reading.nonexistent.unwrap_or(policy.subdomains);
    Ok(report)
}

struct Reading {
    report: AggregateReport,
    row: Option<Row>,
    has_source: bool,
    subdomains: Option<DmarcPolicy>,
    nonexistent: Option<DmarcPolicy>,
}

impl Reading {
    fn begin(&mut self, path: &[&str]) {
        match (path, &mut self.row) {
            (["feedback", "record"], row) => {
                let nowhere = std::net::IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED);
                *row = Some(Row {
                    count: 0,
                    ..Row::new(nowhere, "")
                });
                self.has_source = false;
            }
            (["feedback", "record", "auth_results", "dkim"], Some(row)) => {
                push(&mut row.signatures, SignatureResult::default());
            }
            (["feedback", "record", "auth_results", "spf"], Some(row)) => {
                push(&mut row.hosts, SpfRow::default());
            }
            (["feedback", "record", "row", "policy_evaluated", "reason"], Some(row)) => {
                push(&mut row.reasons, Reason::new("", ""));
            }
            _ => {}
        }
    }

    fn end(&mut self, path: &[&str], value: &str) -> Result<(), ReportError> {
        match path {
            ["feedback", "report_metadata", rest @ ..] => self.metadata(rest, value),
            ["feedback", "policy_published", name] => self.policy(name, value),
            ["feedback", "record"] => {
                let row = self
                    .row
                    .take()
                    .filter(|row| self.has_source && row.count > 0);
                if let Some(mut row) = row {
                    if self.report.rows.len() == MOST_ROWS {
                        return Err(ReportError::Rows);
                    }
                    row.reasons.retain(|reason| !reason.kind.is_empty());
                    self.report.rows.push(row);
                }
            }
            ["feedback", "record", rest @ ..] => self.record(rest, value),
            _ => {}
        }
        Ok(())
    }

    fn metadata(&mut self, path: &[&str], value: &str) {
        let report = &mut self.report;
        match path {
            ["org_name"] => value.clone_into(&mut report.organization),
            ["email"] => value.clone_into(&mut report.email),
            ["extra_contact_info"] => value.clone_into(&mut report.contact),
            ["report_id"] => value.clone_into(&mut report.id),
            ["generator"] => value.clone_into(&mut report.generator),
            ["error"] if !value.is_empty() => push(&mut report.errors, value.to_owned()),
            ["date_range", "begin"] => report.begin = value.parse().unwrap_or_default(),
            ["date_range", "end"] => report.end = value.parse().unwrap_or_default(),
            _ => {}
        }
    }

    fn policy(&mut self, name: &str, value: &str) {
        let policy = &mut self.report.policy;
        match name {
            "domain" => policy.domain = value.to_lowercase(),
            "p" => policy.policy = disposition(value).unwrap_or_default(),
            "sp" => self.subdomains = disposition(value),
            "np" => self.nonexistent = disposition(value),
            "adkim" => policy.dkim_alignment = alignment(value),
            "aspf" => policy.spf_alignment = alignment(value),
            "testing" => policy.is_testing = value.eq_ignore_ascii_case("y"),
            "fo" => value.clone_into(&mut policy.failure_options),
            _ => {}
        }
    }

    fn record(&mut self, path: &[&str], value: &str) {
        let Some(row) = &mut self.row else {
            return;
        };
        match path {
            ["row", "source_ip"] => {
                if let Ok(source) = value.parse::<std::net::IpAddr>() {
                    row.source = source.to_canonical();
                    self.has_source = true;
                }
            }
            ["row", "count"] => row.count = value.parse().unwrap_or_default(),
            ["row", "policy_evaluated", rest @ ..] => evaluated(row, rest, value),
            ["identifiers", "header_from"] => row.header_from = value.to_lowercase(),
            ["identifiers", "envelope_from"] => row.envelope_from = value.to_lowercase(),
            ["identifiers", "envelope_to"] => row.envelope_to = value.to_lowercase(),
            ["auth_results", "dkim", name] => {
                if let Some(signature) = row.signatures.last_mut() {
                    match *name {
                        "domain" => signature.domain = value.to_lowercase(),
                        "selector" => value.clone_into(&mut signature.selector),
                        "result" => signature.result = value.to_lowercase(),
                        _ => {}
                    }
                }
            }
            ["auth_results", "spf", name] => {
                if let Some(host) = row.hosts.last_mut() {
                    match *name {
                        "domain" => host.domain = value.to_lowercase(),
                        "scope" => host.scope = value.to_lowercase(),
                        "result" => host.result = value.to_lowercase(),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
}

fn evaluated(row: &mut Row, path: &[&str], value: &str) {
    match path {
        ["disposition"] => row.disposition = disposition(value).unwrap_or_default(),
        ["dkim"] => row.dkim = proof(value),
        ["spf"] => row.spf = proof(value),
        ["reason", name] => {
            if let Some(reason) = row.reasons.last_mut() {
                match *name {
                    "type" => reason.kind = value.to_lowercase(),
                    "comment" => value.clone_into(&mut reason.comment),
                    _ => {}
                }
            }
        }
        _ => {}
    }
}

fn push<T>(parts: &mut Vec<T>, part: T) {
    if parts.len() < MOST_PARTS {
        parts.push(part);
    }
}

/// `pass` is RFC 9990's for nothing done because nothing was wrong.
fn disposition(value: &str) -> Option<DmarcPolicy> {
    [
        DmarcPolicy::None,
        DmarcPolicy::Quarantine,
        DmarcPolicy::Reject,
    ]
    .into_iter()
    .find(|policy| value.eq_ignore_ascii_case(policy.as_str()))
}

fn alignment(value: &str) -> Alignment {
    match value {
        "s" | "S" => Alignment::Strict,
        _ => Alignment::Relaxed,
    }
}

fn proof(value: &str) -> Proof {
    if value.eq_ignore_ascii_case("pass") {
        Proof::Pass
    } else {
        Proof::Fail
    }
}
