//! [`Observer`]: counts each message that a domain wants to hear of, and offers
//! failures for reports of their own.
//!
//! It is a filter, to be asked after all others: what became of a message is in
//! the plan then, and so is what other filters made of it. What a user's own rules
//! do later is not the domain's business. A message that the store can't take
//! after that comes again and is counted twice, which is rare and does no harm.

use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use mailcore::address::Address;
use mailcore::intake::SessionKind;
use mailcore::plan::{Disposition, Plan};
use mailcore::seams::{Filter, FilterSession, IncomingMail};

use super::aggregate::{Proof, Reason, Row, SignatureResult, SpfRow};
use super::failure::{Failure, FailureReports};
use super::tally::Tally;
use crate::sender_auth::dmarc::{AlignedBy, DmarcPolicy, DmarcRecord, DmarcResult};
use crate::sender_auth::outcome::{DmarcOutcome, Override, SenderAuthentication};

/// Signatures counted of one message: those that pass first.
const MOST_SIGNATURES: usize = 10;

/// Counts messages.
#[derive(Debug, Default)]
pub struct Observer {
    tally: Option<Arc<Tally>>,
    failures: Option<Arc<FailureReports>>,
    passed_over: Vec<Address>,
}

impl Observer {
    /// Counts nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts for aggregate reports.
    #[must_use]
    pub fn tally(mut self, tally: Arc<Tally>) -> Self {
        self.tally = Some(tally);
        self
    }

    /// Reports failures one by one.
    #[must_use]
    pub fn failures(mut self, failures: Arc<FailureReports>) -> Self {
        self.failures = Some(failures);
        self
    }

    /// Mail to these addresses is not told of: reports come there, and reports
    /// about reports would never end.
    #[must_use]
    pub fn pass_over(mut self, addresses: impl IntoIterator<Item = Address>) -> Self {
        let addresses = addresses.into_iter();
        self.passed_over.extend(addresses.map(|it| it.folded()));
        self
    }
}

#[async_trait]
impl Filter for Observer {
    fn name(&self) -> &str {
        "dmarc-observer"
    }

    async fn message(&self, session: &FilterSession, mail: &IncomingMail<'_>, plan: &mut Plan) {
        let Some(peer) = session.peer.filter(|_| session.door == SessionKind::Mx) else {
            return;
        };
        let found = SenderAuthentication::of(&session.memory);
        let Some(dmarc) = &found.dmarc else {
            return;
        };
        let report = &dmarc.report;
        let (Some(record), Some(at)) = (&report.record, &report.published_at) else {
            return;
        };
        let to = mail.envelope.recipients.iter();
        let is_report = |to: &Address| self.passed_over.contains(&to.folded());
        if to.clone().any(|to| is_report(&to.address)) {
            return;
        }
        // What is to come again is counted then.
        let Some(applied) = applied(plan) else {
            return;
        };
        let Some(row) = row(peer.ip(), &found, (record, applied)) else {
            return;
        };
        if let Some(tally) = &self.tally
            && !record.aggregate_reports.is_empty()
        {
            tally.count(at, record, &row);
        }
        if let Some(failures) = &self.failures
            && report.result == DmarcResult::Fail
        {
            failures.offer(Failure::new(at, &found, &row), mail).await;
        }
    }
}

/// The mildest that is done with any copy; `None` when all are put off.
fn applied(plan: &Plan) -> Option<DmarcPolicy> {
    let done = plan
        .recipients
        .iter()
        .filter_map(|copy| match copy.disposition {
            Disposition::Accept | Disposition::Discard => Some(DmarcPolicy::None),
            Disposition::Quarantine(_) => Some(DmarcPolicy::Quarantine),
            Disposition::Reject(_) => Some(DmarcPolicy::Reject),
            _ => None,
        });
    done.min()
}

/// What a report tells of a message; `None` of one that no report is about.
fn row(
    client: IpAddr,
    found: &SenderAuthentication,
    (record, applied): (&DmarcRecord, DmarcPolicy),
) -> Option<Row> {
    let dmarc = found.dmarc.as_deref()?;
    let report = &dmarc.report;
    if !matches!(
        report.result,
        DmarcResult::Pass | DmarcResult::Fail | DmarcResult::TempError
    ) {
        return None;
    }
    let mut row = Row::new(client, report.domain.as_ref()?.as_str());
    let proof = |by| match report.proofs.contains(&by) {
        true => Proof::Pass,
        false => Proof::Fail,
    };
    (row.dkim, row.spf) = (proof(AlignedBy::Dkim), proof(AlignedBy::Spf));
    // What other tests did is not done for the domain.
    row.disposition = report.policy.min(applied);
    row.reasons = reasons(dmarc, record, applied);
    if let Some(spf) = &found.spf {
        let sender = spf.reverse_path.address();
        let domain = sender.map(|address| address.domain().to_string());
        let scope = if sender.is_some() { "mfrom" } else { "helo" };
        row.envelope_from = domain.unwrap_or_default();
        let result = spf.report.result.as_str();
        row.hosts = vec![SpfRow::new(spf.report.domain.as_str(), scope, result)];
    }
    let verdicts = found.dkim.iter().flat_map(|dkim| &dkim.verdicts);
    let mut signatures: Vec<_> = verdicts
        .filter_map(|verdict| {
            let signature = verdict.signature.as_ref()?;
            let (domain, selector) = (signature.domain.as_str(), signature.selector.as_str());
            let result = verdict.result.as_str();
            Some(SignatureResult::new(domain, selector, result))
        })
        .collect();
    signatures.sort_by_key(|signature| signature.result != "pass");
    signatures.truncate(MOST_SIGNATURES);
    row.signatures = signatures;
    Some(row)
}

/// Why less was done than the domain asks for.
fn reasons(dmarc: &DmarcOutcome, record: &DmarcRecord, applied: DmarcPolicy) -> Vec<Reason> {
    let report = &dmarc.report;
    match (&dmarc.overridden, report.result) {
        (_, DmarcResult::TempError) => vec![Reason::new("other", "DNS did not answer")],
        (Some(Override::Sealed(by)), _) => {
            vec![Reason::new("local_policy", format!("arc=pass as.d={by}"))]
        }
        (Some(Override::SealUnanswered(by)), _) => {
            vec![Reason::new(
                "local_policy",
                format!("arc=temperror as.d={by}"),
            )]
        }
        (_, DmarcResult::Fail) if applied < report.policy => {
            vec![Reason::new("local_policy", "")]
        }
        (_, DmarcResult::Fail) if record.is_testing => {
            vec![Reason::new("policy_test_mode", "")]
        }
        _ => Vec::new(),
    }
}
