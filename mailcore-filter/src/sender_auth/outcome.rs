//! [`SenderAuthentication`]: all that is known of who sent a message, for what is
//! written on it and for reports.

use std::net::IpAddr;
use std::sync::Arc;

use mailcore::address::{Domain, ReversePath};
use mailcore::seams::SessionMemory;

use super::arc::ArcReport;
use super::bimi::BimiReport;
use super::dkim::DkimVerdict;
use super::dmarc::{DmarcPolicy, DmarcReport};
use super::spf::SpfReport;
use crate::sender::reverse::ReverseNames;

/// What the checks of a message's sender came to, each `None` where it was not
/// asked.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct SenderAuthentication {
    /// Whether the host may send for the domain.
    pub spf: Option<Arc<SpfOutcome>>,
    /// The signatures.
    pub dkim: Option<Arc<DkimOutcome>>,
    /// Whether the message is from the domain in From, and what that one asks for.
    pub dmarc: Option<Arc<DmarcOutcome>>,
    /// What hosts on the way sealed.
    pub arc: Option<Arc<ArcReport>>,
    /// The client's names.
    pub iprev: Option<Arc<ReverseNames>>,
    /// Where the domain's picture is.
    pub bimi: Option<Arc<BimiReport>>,
}

impl SenderAuthentication {
    /// What the tests left of the message at hand.
    pub fn of(memory: &SessionMemory) -> Self {
        Self {
            spf: memory.get(),
            dkim: memory.get(),
            dmarc: memory.get(),
            arc: memory.get(),
            iprev: memory.get(),
            bimi: memory.get(),
        }
    }

    /// True when the message itself was asked nothing: the client's names alone
    /// say nothing of it.
    pub fn is_empty(&self) -> bool {
        self.spf.is_none() && self.dkim.is_none() && self.dmarc.is_none() && self.arc.is_none()
    }
}

/// What SPF came to, and for whom.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SpfOutcome {
    /// The host.
    pub client: IpAddr,
    /// The name it gave; empty when it gave none.
    pub helo: String,
    /// The sender. Where it is null, HELO was checked (RFC 7208 section 2.4).
    pub reverse_path: ReversePath,
    /// The result.
    pub report: SpfReport,
}

/// What DKIM came to: one verdict for each signature looked at, from the top.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DkimOutcome {
    /// The verdicts.
    pub verdicts: Vec<DkimVerdict>,
}

/// What DMARC came to, and what is done.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DmarcOutcome {
    /// The domains of the addresses in From, each once.
    pub from: Vec<Domain>,
    /// The result, and what the domain asks for.
    pub report: DmarcReport,
    /// What the domain asks for is not done, and why.
    pub overridden: Option<Override>,
}

impl DmarcOutcome {
    /// What is done for the domain.
    pub fn handling(&self) -> DmarcPolicy {
        match self.overridden {
            Some(_) => DmarcPolicy::None,
            None => self.report.policy,
        }
    }
}

/// Why mail is not handled as its domain asks (RFC 7489 section 7.2, `local_policy`).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Override {
    /// A host that is trusted sealed that the message passed when it came there.
    Sealed(Domain),
    /// Such a host may have sealed it, but DNS does not answer now.
    SealUnanswered(Domain),
}
