//! One message's share-out: each recipient's copy is filed, handed over or
//! queued, all in one batch.
//!
//! A copy that is refused after others were taken can no longer be refused to
//! the sender: it goes to the queue, whose runner tries once more and tells the
//! sender in a notice. That costs a second batch, before the reply like the
//! first.

mod apart;
mod carry_out;
mod forward;
mod hand_over;
mod kept;
mod rewrite;
mod share;
mod waiting;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;

use super::recipients::Target;
use super::tell::named;
use super::{Accepted, After, Forwarded, Intake, Mail, Refusal, SessionInfo, SessionKind};
use crate::account::AccountId;
use crate::address::{Address, ReversePath};
use crate::batch::{Batch, StateChange};
use crate::envelope::{Envelope, Recipient, Ret};
use crate::event::{Event, EventId, EventName};
use crate::plan::{Disposition, Finding, Plan, Quarantine, QuarantinePlace, RecipientPlan};
use crate::queue::{QueueEntry, kept_findings};
use crate::status::{EnhancedStatusCode, Failure, Status};
use crate::time::Monotonic;

/// Copies that are filed before the reply; more go through the queue, so that
/// no batch grows with the size of a list.
const FILED_AT_ONCE: usize = 500;
/// A message being shared out.
#[derive(Debug)]
pub(super) struct Settlement<'a> {
    intake: &'a Intake,
    session: &'a SessionInfo,
    envelope: &'a Envelope,
    mail: &'a Mail,
    /// When the host's closures must be done.
    hand_over_until: Monotonic,
    /// False when there are too many copies to file before the reply.
    files_at_once: bool,
    batch: Batch,
    /// Whose the appends of the batch are, in their order.
    filing: Vec<ToFile>,
    /// For the queue.
    queued: BTreeMap<Entry, Vec<Recipient>>,
    /// Copies that go on once others are filed.
    onward: Vec<Onward>,
    refused: Vec<Refused>,
    /// What rules want done once others are filed, and whose that was done.
    after: Vec<After>,
    seen_to: HashSet<Address>,
    /// Copies of the batch with content of their own.
    rewritten: usize,
    /// The copy kept of what the batch files.
    copy: Option<Arc<QueueEntry>>,
    /// What the host's closures said, by address: named twice, called once.
    handed_over: HashMap<Address, Result<(), Failure>>,
    shares: Vec<Share>,
    /// Fields of the message's event: whose copies went another way.
    asides: Vec<(&'static str, String)>,
    /// Changed with the first batch.
    state: Vec<StateChange>,
    /// The message as edits made it, and which each recipient gets: 0 is the
    /// message as it came.
    versions: Vec<Mail>,
    version_of: Vec<usize>,
    /// What the tests found, and what of it the queue keeps.
    findings: Vec<Finding>,
    kept_findings: Arc<[Finding]>,
    /// Whose mailboxes addresses are, of which copies are kept apart.
    owners: HashMap<Address, AccountId>,
}

/// What the copies of one queue entry have in common.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    /// What stands before the message.
    prefix: Bytes,
    /// Which version of it.
    version: usize,
    /// Whether somebody is to look at it first.
    apart: Option<Apart>,
    /// From whom, where that is not the message's sender.
    sender: Option<ReversePath>,
    /// What of it notices return, where that is not as for the message.
    ret: Option<Ret>,
}

/// How a copy is kept from being delivered.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Apart {
    /// An operator is to look at it.
    Held,
    /// As the filters want it.
    Quarantined(Quarantine),
}

/// One recipient's copy on one of its ways.
#[derive(Debug, Clone)]
struct Leg {
    /// Which recipient of the envelope.
    index: usize,
    address: Address,
    /// What stands before the message in this copy.
    prefix: Bytes,
    /// Whether it is kept apart.
    apart: Option<Apart>,
    /// From whom, where an address of ours sends it on to another host.
    sender: Option<ReversePath>,
}

/// A copy that goes on, and the version that it was made of.
type Onward = (usize, Forwarded);

/// A copy that is refused.
#[derive(Debug)]
struct Refused {
    leg: Leg,
    status: Status,
    /// What says so where the reply can't.
    instead: Option<After>,
}

impl Refused {
    fn new(leg: Leg, status: Status) -> Self {
        Self {
            leg,
            status,
            instead: None,
        }
    }
}

/// A copy that is filed by the batch.
#[derive(Debug)]
struct ToFile {
    leg: Leg,
    appends: usize,
    /// Sent on once it is filed.
    onward: Vec<Forwarded>,
    /// What comes of it then.
    after: After,
}

/// What has become of one recipient's copies.
#[derive(Debug, Clone, Default)]
struct Share {
    /// One of them is in safe hands, or was dropped as asked.
    taken: bool,
    /// Why another is not.
    refused: Option<Status>,
    /// Where others wait in the queue.
    pending: Vec<Address>,
}

impl<'a> Settlement<'a> {
    pub(super) fn new(
        intake: &'a Intake,
        session: &'a SessionInfo,
        envelope: &'a Envelope,
        mail: &'a Mail,
    ) -> Self {
        let parts = &intake.parts;
        Self {
            intake,
            session,
            envelope,
            mail,
            hand_over_until: parts.clock.monotonic().after(parts.limits.hand_over),
            files_at_once: true,
            batch: Batch::default(),
            filing: Vec::new(),
            queued: BTreeMap::new(),
            onward: Vec::new(),
            refused: Vec::new(),
            after: Vec::new(),
            seen_to: HashSet::new(),
            rewritten: 0,
            copy: None,
            handed_over: HashMap::new(),
            shares: vec![Share::default(); envelope.recipients.len()],
            asides: Vec::new(),
            state: Vec::new(),
            versions: Vec::new(),
            version_of: Vec::new(),
            findings: Vec::new(),
            kept_findings: Arc::default(),
            owners: HashMap::new(),
        }
    }

    /// Changes the state, too, in one commit with what is taken.
    pub(super) fn alongside(mut self, state: Vec<StateChange>) -> Self {
        self.state = state;
        self
    }

    /// Shares the message out as `plan` says and commits.
    pub(super) async fn settle(
        mut self,
        targets: &[Vec<Target>],
        mut plan: Plan,
    ) -> Result<Accepted, Refusal> {
        plan.recipients
            .resize_with(self.envelope.recipients.len(), RecipientPlan::default);
        if self.session.filter.door != SessionKind::Lmtp {
            soften(&mut plan);
        }
        self.rewrite(&plan).await?;
        self.findings = std::mem::take(&mut plan.findings);
        self.kept_findings = kept_findings(&self.findings);
        self.files_at_once = targets.iter().map(Vec::len).sum::<usize>() <= FILED_AT_ONCE;
        for (index, (targets, plan)) in targets.iter().zip(&plan.recipients).enumerate() {
            self.charge(index, targets, plan).await;
        }
        self.enqueue();
        self.keep_copy();
        if !self.batch.is_empty() || self.shares.iter().any(|share| share.taken) {
            // First, though it is known last: what became of the recipients is
            // told after it.
            let event = self.received();
            self.batch.events.insert(0, event);
            self.batch.state.append(&mut self.state);
        }
        let filed = self.commit().await?;
        self.note_filed(filed);
        self.follow_up().await?;
        Ok(self.accepted())
    }

    fn take(&mut self, index: usize) {
        if let Some(share) = self.shares.get_mut(index) {
            share.taken = true;
        }
    }

    fn refuse(&mut self, index: usize, status: Status) {
        if let Some(share) = self.shares.get_mut(index) {
            share.refused = Some(status);
        }
    }

    fn has_store(&self) -> bool {
        self.intake.parts.commit.is_some()
    }

    fn accepted(self) -> Accepted {
        let accepted = Status::new(
            EnhancedStatusCode::success(0, 0),
            format!("accepted as {}", self.mail.trace),
        );
        let mut outcomes = Vec::with_capacity(self.shares.len());
        let mut pending = Vec::with_capacity(self.shares.len());
        for share in self.shares {
            outcomes.push(share.refused.unwrap_or_else(|| accepted.clone()));
            pending.push(share.pending);
        }
        Accepted {
            trace: self.mail.trace,
            outcomes,
            pending,
        }
    }

    fn event(&self, name: EventName) -> Event {
        Event {
            id: EventId(self.intake.parts.entropy.id(self.mail.received_at)),
            at: self.mail.received_at,
            name,
            trace: Some(self.mail.trace),
            account: None,
            fields: Vec::new(),
        }
        .with("from", &self.mail.reverse_path)
    }

    fn received(&mut self) -> Event {
        let event = self
            .event(EventName::MessageReceived)
            .with("to", named(&self.envelope.recipients))
            .with("recipients", self.envelope.recipients.len());
        let event = self.session.describe(event);
        let mut event = self.intake.describe(self.mail, event);
        for (what, text) in std::mem::take(&mut self.asides) {
            event = event.with(what, text);
        }
        event
    }
}

/// SMTP has one reply for all. When some recipients refuse and others do not,
/// the refused copies are kept apart instead of bounced: a notice to a sender
/// that is often forged would be worse (RFC 5321 section 6.2). Kept apart means
/// in the junk folder, or in quarantine when the copy goes elsewhere.
fn soften(plan: &mut Plan) {
    let refuses = |copy: &RecipientPlan| {
        matches!(
            copy.disposition,
            Disposition::Reject(_) | Disposition::Defer(_)
        )
    };
    if plan.recipients.iter().all(refuses) {
        return;
    }
    for copy in &mut plan.recipients {
        if let Disposition::Reject(status) | Disposition::Defer(status) = &copy.disposition {
            let apart = Quarantine::new(status.to_string()).kept_in(QuarantinePlace::Folder);
            copy.disposition = Disposition::Quarantine(apart);
        }
    }
}
