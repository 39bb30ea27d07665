//! [`AggregateReport`]: how much mail claimed to be from a domain in some time,
//! where it came from and what it came to (RFC 7489 appendix C, RFC 9990).

mod read;
#[cfg(test)]
mod tests;
mod write;

use std::fmt;
use std::net::IpAddr;

pub use super::xml::XmlError;
use crate::sender_auth::dmarc::{Alignment, DmarcPolicy};
pub use read::{ReportError, SIZE};

/// One report: about one domain, by one organization.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AggregateReport {
    /// Who reports.
    pub organization: String,
    /// How to reach it.
    pub email: String,
    /// More about that.
    pub contact: String,
    /// Unique among its reports about the domain.
    pub id: String,
    /// The first second it is about, since 1970.
    pub begin: i64,
    /// The last.
    pub end: i64,
    /// What was wrong with the policy, or is with the report.
    pub errors: Vec<String>,
    /// The program that made it.
    pub generator: String,
    /// What the domain published.
    pub policy: PublishedPolicy,
    /// The mail, by where it came from and what became of it.
    pub rows: Vec<Row>,
}

/// What a domain published, as a report tells it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct PublishedPolicy {
    /// Where: the domain whose record held.
    pub domain: String,
    /// For its mail.
    pub policy: DmarcPolicy,
    /// For mail of names below it.
    pub subdomains: DmarcPolicy,
    /// For mail of names below it that don't exist.
    pub nonexistent: DmarcPolicy,
    /// How near a signature's domain must be.
    pub dkim_alignment: Alignment,
    /// How near the domain that SPF checked must be.
    pub spf_alignment: Alignment,
    /// It was only being tried (`t=y`).
    pub is_testing: bool,
    /// What failures it wants to hear of one by one (`fo`).
    pub failure_options: String,
}

/// Mail of one kind from one host.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Row {
    /// The host.
    pub source: IpAddr,
    /// How many messages.
    pub count: u64,
    /// What was done for the domain.
    pub disposition: DmarcPolicy,
    /// Whether a signature proved them to be the domain's.
    pub dkim: Proof,
    /// Whether the host did.
    pub spf: Proof,
    /// Why not all was done that the domain asked for.
    pub reasons: Vec<Reason>,
    /// The domain in From.
    pub header_from: String,
    /// That of the sender; empty where it was null, or is not told.
    pub envelope_from: String,
    /// That of the recipient; empty where it is not told.
    pub envelope_to: String,
    /// The signatures.
    pub signatures: Vec<SignatureResult>,
    /// What SPF came to.
    pub hosts: Vec<SpfRow>,
}

/// Whether something proved mail to be of the domain in From.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Proof {
    /// It did.
    Pass,
    /// It did not.
    #[default]
    Fail,
}

/// Why mail was not handled as its domain asks.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Reason {
    /// A word of the schema: `local_policy`.
    pub kind: String,
    /// More in words.
    pub comment: String,
}

impl Reason {
    /// A word of the schema, and more in words.
    pub fn new(kind: impl Into<String>, comment: impl Into<String>) -> Self {
        Self {
            kind: kind.into(),
            comment: comment.into(),
        }
    }
}

/// What one signature came to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub struct SignatureResult {
    /// Whose (`d=`).
    pub domain: String,
    /// By which key (`s=`).
    pub selector: String,
    /// As in Authentication-Results.
    pub result: String,
}

impl SignatureResult {
    /// Whose, by which key, and what it came to.
    pub fn new(
        domain: impl Into<String>,
        selector: impl Into<String>,
        result: impl Into<String>,
    ) -> Self {
        Self {
            domain: domain.into(),
            selector: selector.into(),
            result: result.into(),
        }
    }
}

/// What SPF came to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub struct SpfRow {
    /// For which domain.
    pub domain: String,
    /// `mfrom` or `helo`; empty where it is not told.
    pub scope: String,
    /// As in Authentication-Results.
    pub result: String,
}

impl SpfRow {
    /// For a domain, in a scope, and what it came to.
    pub fn new(
        domain: impl Into<String>,
        scope: impl Into<String>,
        result: impl Into<String>,
    ) -> Self {
        Self {
            domain: domain.into(),
            scope: scope.into(),
            result: result.into(),
        }
    }
}

impl AggregateReport {
    /// A report without rows yet.
    pub fn new(
        organization: impl Into<String>,
        id: impl Into<String>,
        policy: PublishedPolicy,
    ) -> Self {
        Self {
            organization: organization.into(),
            email: String::new(),
            contact: String::new(),
            id: id.into(),
            begin: 0,
            end: 0,
            errors: Vec::new(),
            generator: String::new(),
            policy,
            rows: Vec::new(),
        }
    }

    /// All messages that it tells of.
    pub fn messages(&self) -> u64 {
        let counts = self.rows.iter().map(|row| row.count);
        counts.fold(0, u64::saturating_add)
    }
}

impl Row {
    /// One message from a host, of a domain, that nothing proved.
    pub fn new(source: IpAddr, header_from: impl Into<String>) -> Self {
        Self {
            source: source.to_canonical(),
            count: 1,
            disposition: DmarcPolicy::None,
            dkim: Proof::Fail,
            spf: Proof::Fail,
            reasons: Vec::new(),
            header_from: header_from.into(),
            envelope_from: String::new(),
            envelope_to: String::new(),
            signatures: Vec::new(),
            hosts: Vec::new(),
        }
    }

    /// Whether the mail was proven to be the domain's.
    pub fn passed(&self) -> bool {
        self.dkim == Proof::Pass || self.spf == Proof::Pass
    }
}

impl Proof {
    /// `pass` or `fail`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
        }
    }
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
