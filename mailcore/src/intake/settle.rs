//! One message's share-out: each recipient's copy is filed, handed over or
//! queued, all in one batch.
//!
//! A copy that is refused after others were taken can no longer be refused to
//! the sender: it goes to the queue, whose runner tries once more and tells the
//! sender in a notice. That costs a second batch, before the reply like the
//! first.

mod apart;
mod forward;
mod kept;
mod rewrite;
mod waiting;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::Bytes;

use super::recipients::Target;
use super::tell::{NAMED_RECIPIENTS, named};
use super::transaction::{refusal, status};
use super::{Accepted, Filing, Intake, Mail, MailboxTarget, Refusal, SessionInfo, SessionKind};
use crate::account::AccountId;
use crate::address::{Address, ReversePath};
use crate::batch::{Batch, StateChange};
use crate::envelope::{Envelope, Recipient};
use crate::event::{Event, EventId, EventName};
use crate::plan::{Action, Disposition, Finding, Plan, Quarantine, QuarantinePlace, RecipientPlan};
use crate::queue::QueueEntry;
use crate::seams::{Appended, CommitError, DeliveryJob, NextHop, StoreError};
use crate::status::{EnhancedStatusCode, Failure, Status};
use crate::time::Monotonic;
use crate::transcript::Transcript;

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
    refused: Vec<(Leg, Status)>,
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
    /// What the tests found.
    findings: Vec<Finding>,
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

/// Copies that go on: which version, what stands before it, and to whom.
type Onward = (usize, Bytes, Vec<Address>);

/// A copy that is filed by the batch.
#[derive(Debug)]
struct ToFile {
    leg: Leg,
    appends: usize,
    /// Sent on once it is filed.
    redirects: Vec<Address>,
    forwarded: Bytes,
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
            copy: None,
            handed_over: HashMap::new(),
            shares: vec![Share::default(); envelope.recipients.len()],
            asides: Vec::new(),
            state: Vec::new(),
            versions: Vec::new(),
            version_of: Vec::new(),
            findings: Vec::new(),
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

    /// Decides one recipient's share of the batch.
    async fn charge(&mut self, index: usize, targets: &[Target], plan: &RecipientPlan) {
        match &plan.disposition {
            Disposition::Reject(status) | Disposition::Defer(status) => {
                return self.refuse(index, status.clone());
            }
            Disposition::Discard => {
                self.aside("discarded", index, &[]);
                return self.take(index);
            }
            Disposition::Accept | Disposition::Quarantine(_) => {}
        }
        let prefix = self.version(self.version_of(index)).edited(&plan.edits);
        let apart = self.apart(&plan.disposition);
        let in_folder =
            |it: &Quarantine| matches!(it.place, QuarantinePlace::Folder | QuarantinePlace::Usual);
        let leg = |address: &Address| Leg {
            index,
            address: address.clone(),
            prefix: prefix.clone(),
            apart: apart.clone().map(Apart::Quarantined),
            sender: None,
        };
        if self.is_for_the_runner(index, plan) {
            return self.queue_whole(index, targets, prefix.clone());
        }
        self.aside("expanded", index, targets);
        for target in targets {
            let leg = leg(target.address());
            match target {
                Target::Mailbox(mailbox) if apart.is_some() => {
                    self.note_owner(&mailbox.address, &mailbox.account);
                    match apart.as_ref().is_some_and(in_folder) {
                        true => self.file(leg, mailbox, plan),
                        false => self.queue(&leg),
                    }
                }
                Target::Mailbox(mailbox) if self.files_at_once => {
                    self.file(leg, mailbox, plan);
                }
                Target::Mailbox(_) if plan.actions.is_empty() => self.queue(&leg),
                Target::Mailbox(mailbox) => self.file(leg, mailbox, plan),
                Target::Queue { sender, .. } => {
                    let sender = sender.clone();
                    let leg = Leg { sender, ..leg };
                    if self.goes_on(&leg, plan).await {
                        self.queue(&leg);
                    }
                }
                Target::Nowhere(_) => self.take(index),
                Target::Hook { agent, .. } => {
                    if self.goes_on(&leg, plan).await {
                        self.hand_over(agent, leg).await;
                    }
                }
            }
        }
    }

    /// Notes for the message's event what a recipient became, unless that is
    /// only itself.
    fn aside(&mut self, what: &'static str, index: usize, targets: &[Target]) {
        let Some(recipient) = self.envelope.recipients.get(index) else {
            return;
        };
        let is_itself = |target: &Target| target.address().folded() == recipient.address.folded();
        if self.asides.len() >= NAMED_RECIPIENTS || matches!(targets, [one] if is_itself(one)) {
            return;
        }
        let mut text = recipient.address.to_string();
        for target in targets.iter().take(NAMED_RECIPIENTS) {
            text.push(' ');
            text.push_str(&target.address().to_string());
        }
        self.asides.push((what, text));
    }

    /// A sender who asked to be told of success is told by the queue's runner
    /// (RFC 3461 section 4.1), so that everything for this recipient goes
    /// through it.
    fn is_for_the_runner(&self, index: usize, plan: &RecipientPlan) -> bool {
        let asked = self
            .envelope
            .recipients
            .get(index)
            .is_some_and(|recipient| recipient.notify.success);
        let asked = asked && !self.envelope.reverse_path.is_null();
        // RFC 4865 section 4: held mail is not delivered before, here either.
        let hold_until = self.envelope.params.hold_until;
        let held_back = hold_until.is_some_and(|at| at > self.intake.parts.clock.now());
        (asked || held_back)
            && self.has_store()
            && plan.disposition == Disposition::Accept
            && plan.actions.is_empty()
    }

    fn file(&mut self, leg: Leg, mailbox: &MailboxTarget, plan: &RecipientPlan) {
        let filing = Filing {
            rules: self.intake.parts.rules.as_deref(),
        };
        let filed = filing.file(self.version(self.version_of(leg.index)), mailbox, plan);
        if let Some(status) = filed.refused {
            // The recipient's rules are asked again by the queue, the filters
            // are not: what they refused must not slip in that way.
            let apart = match plan.actions.is_empty() {
                true => leg.apart.clone(),
                false => Self::held_unless_quarantined(leg.apart.clone()),
            };
            self.refused.push((Leg { apart, ..leg }, status));
            return;
        }
        let forwarded = filed
            .forwarded
            .map(|message| message.prefix().clone())
            .unwrap_or_default();
        self.filing.push(ToFile {
            leg,
            appends: filed.appends.len(),
            redirects: filed.redirects,
            forwarded,
        });
        self.batch.appends.extend(filed.appends);
    }

    /// Does what the plan says of a copy that leaves this server: true when it
    /// goes to its address at all. There are no folders over there, so that
    /// filing it means sending it.
    async fn goes_on(&mut self, leg: &Leg, plan: &RecipientPlan) -> bool {
        let rejected = plan.actions.iter().find_map(|action| match action {
            Action::Reject { reason } => Some(Status::permanent(7, 1, reason.as_str())),
            _ => None,
        });
        if let Some(status) = rejected {
            let held = Leg {
                apart: Self::held_unless_quarantined(leg.apart.clone()),
                ..leg.clone()
            };
            self.refused.push((held, status));
            return false;
        }
        let mut goes_on = plan.actions.is_empty();
        for action in &plan.actions {
            match action {
                Action::Redirect { to } => {
                    let leg = Leg {
                        address: to.clone(),
                        sender: self.sender_to(to).await,
                        ..leg.clone()
                    };
                    self.queue(&leg);
                }
                Action::File { .. } => goes_on = true,
                Action::Discard | Action::Reject { .. } => self.take(leg.index),
            }
        }
        goes_on
    }

    /// Gives a copy to the host's code, before the reply.
    async fn hand_over(&mut self, agent: &Arc<str>, leg: Leg) {
        if leg.apart.is_some() {
            // Kept apart means that the host does not get it before somebody
            // has looked at it.
            if self.has_store() {
                self.queue(&leg);
            } else {
                let why = "the message is not wanted here";
                self.refused.push((leg, Status::permanent(7, 1, why)));
            }
            return;
        }
        let done = match self.handed_over.get(&leg.address) {
            Some(done) => done.clone(),
            None => {
                let done = self.call(agent, &leg).await;
                self.handed_over.insert(leg.address.clone(), done.clone());
                if done.is_ok() {
                    let event = self
                        .event(EventName::RecipientDelivered)
                        .with("to", &leg.address)
                        .with("status", "2.0.0 delivered");
                    self.batch.events.push(event);
                }
                done
            }
        };
        match done {
            Ok(()) => self.take(leg.index),
            Err(failure) if failure.status.is_transient() && self.has_store() => self.queue(&leg),
            Err(failure) => self.refused.push((leg, failure.status)),
        }
    }

    async fn call(&self, agent: &Arc<str>, leg: &Leg) -> Result<(), Failure> {
        let unknown = || Failure::local(Status::transient(3, 0, "not available; try again"));
        let Some(hook) = self.intake.parts.agents.get(agent) else {
            return Err(unknown());
        };
        let job = DeliveryJob {
            trace: self.mail.trace,
            reverse_path: self.mail.reverse_path.clone(),
            params: self.envelope.params.clone(),
            origin: self.origin(),
            recipients: vec![Recipient::new(leg.address.clone())],
            next_hop: NextHop::Local,
            message: (self.version(self.version_of(leg.index)).message)
                .with_prefix(leg.prefix.clone()),
            received_at: self.mail.received_at,
            agent: Arc::clone(agent),
            transcript: Transcript::default(),
        };
        let outcomes = tokio::select! {
            biased;
            outcomes = hook.deliver(job) => outcomes,
            () = self.intake.parts.clock.sleep_until(self.hand_over_until) => Vec::new(),
        };
        match outcomes.into_iter().next() {
            Some(outcome) => match outcome.failure() {
                Some(failure) => Err(failure.clone()),
                None => Ok(()),
            },
            None => Err(unknown()),
        }
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

    /// Writes the batch; for each of its appends whether it was filed.
    async fn commit(&mut self) -> Result<Vec<Result<Appended, StoreError>>, Refusal> {
        let batch = std::mem::take(&mut self.batch);
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let Some(commit) = &self.intake.parts.commit else {
            if batch.appends.is_empty() && batch.spool.is_empty() {
                return Ok(Vec::new());
            }
            // No recipient that needs a store is let in without one.
            tracing::error!(trace = %self.mail.trace, "there is no store to keep mail in");
            return Err(Status::transient(3, 5, "this server can't keep mail").into());
        };
        let receipt = commit.commit(batch).await.map_err(|error| match error {
            CommitError::Store(error) => refusal(&error),
            other => {
                tracing::error!(error = %other, "the commit failed");
                Status::transient(3, 0, "the message can't be kept now; try again later").into()
            }
        })?;
        Ok(receipt.appends)
    }

    fn note_filed(&mut self, filed: Vec<Result<Appended, StoreError>>) {
        let mut filed = filed.into_iter();
        for copy in std::mem::take(&mut self.filing) {
            let failed = filed
                .by_ref()
                .take(copy.appends)
                .filter_map(Result::err)
                .last();
            if let Some(error) = failed {
                self.refused.push((copy.leg, status(&error)));
                continue;
            }
            self.take(copy.leg.index);
            if !copy.redirects.is_empty() {
                let version = self.version_of(copy.leg.index);
                self.onward.push((version, copy.forwarded, copy.redirects));
            }
        }
    }

    /// Queues what depended on the first batch: copies sent on, and copies
    /// refused where others were taken.
    async fn follow_up(&mut self) -> Result<(), Refusal> {
        self.correct_copy();
        let any_taken = self.shares.iter().any(|share| share.taken);
        for (leg, status) in std::mem::take(&mut self.refused) {
            let taken = match self.session.filter.door {
                SessionKind::Lmtp => self.shares.get(leg.index).is_some_and(|own| own.taken),
                _ => any_taken,
            };
            if taken && self.has_store() {
                self.queue(&leg);
            } else {
                self.refuse(leg.index, status);
            }
        }
        self.forward().await;
        self.enqueue();
        self.commit().await.map(drop)
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
