//! The copies that wait: entries of the queue made from what is left to it.

use std::sync::Arc;

use bytes::Bytes;

use super::{Apart, Entry, Leg, Settlement};
use crate::batch::SpoolChange;
use crate::envelope::Recipient;
use crate::event::EventName;
use crate::intake::SessionKind;
use crate::intake::recipients::Target;
use crate::intake::tell::named;
use crate::queue::{EntryState, Origin, QueueEntry, QueueId, QueueProgress};
use crate::seams::Trust;

/// Recipients of one queue entry: its progress is written anew each time.
const RECIPIENTS_PER_ENTRY: usize = 500;

impl Settlement<'_> {
    /// Queues a recipient under its own address: what an alias does to the
    /// notices asked for is the runner's to decide (RFC 3461 section 5.2.7).
    pub(super) fn queue_whole(&mut self, index: usize, targets: &[Target], prefix: Bytes) {
        let Some(recipient) = self.envelope.recipients.get(index) else {
            return;
        };
        self.queue_copies(index, targets, &prefix);
        let entry = Entry {
            prefix,
            version: self.version_of(index),
            apart: None,
            sender: None,
            ret: None,
        };
        let queued = self.queued.entry(entry).or_default();
        queued.push(recipient.clone());
        self.take(index);
        if let Some(share) = self.shares.get_mut(index) {
            let addresses = targets.iter().map(|target| target.address().clone());
            share.pending.extend(addresses);
        }
    }

    /// Queues what goes to others beside a recipient that is no alias: an alias
    /// never stands for itself, so that these are copies, and the runner makes
    /// none for an address that it is given.
    fn queue_copies(&mut self, index: usize, targets: &[Target], prefix: &Bytes) {
        let Some(recipient) = self.envelope.recipients.get(index) else {
            return;
        };
        let own = recipient.address.folded();
        let is_own = |target: &&Target| target.address().folded() == own;
        if !targets.iter().any(|target| is_own(&target)) {
            return;
        }
        let mut notify = recipient.notify;
        notify.success = false;
        for target in targets.iter().filter(|target| !is_own(target)) {
            let sender = match target {
                Target::Queue { sender, .. } => sender.clone(),
                _ => None,
            };
            let entry = Entry {
                prefix: prefix.clone(),
                version: self.version_of(index),
                apart: None,
                sender,
                ret: None,
            };
            let copy = Recipient {
                address: target.address().clone(),
                notify,
                original: recipient.original.clone(),
            };
            self.queued.entry(entry).or_default().push(copy);
        }
    }

    /// Puts a copy in the queue, once [`Settlement::enqueue`] is called.
    pub(super) fn queue(&mut self, leg: &Leg) {
        let Some(recipient) = self.envelope.recipients.get(leg.index) else {
            return;
        };
        let recipient = Recipient {
            address: leg.address.clone(),
            ..recipient.clone()
        };
        let entry = Entry {
            prefix: leg.prefix.clone(),
            version: self.version_of(leg.index),
            apart: leg.apart.clone(),
            sender: leg.sender.clone(),
            ret: None,
        };
        self.queued.entry(entry).or_default().push(recipient);
        if let Some(share) = self.shares.get_mut(leg.index) {
            share.taken = true;
            share.pending.push(leg.address.clone());
        }
    }

    /// Makes queue entries of what is queued.
    pub(super) fn enqueue(&mut self) {
        for (common, recipients) in std::mem::take(&mut self.queued) {
            for recipients in recipients.chunks(RECIPIENTS_PER_ENTRY) {
                let entry = self.entry((common.version, common.prefix.clone()), recipients);
                let sender = common.sender.clone();
                let mut entry = QueueEntry {
                    reverse_path: sender.unwrap_or_else(|| entry.reverse_path.clone()),
                    ..entry
                };
                entry.params.ret = common.ret.or(entry.params.ret);
                match &common.apart {
                    Some(Apart::Quarantined(apart)) => self.quarantine(entry, apart),
                    apart => self.wait(entry, recipients, apart.as_ref()),
                }
            }
        }
    }

    fn wait(&mut self, mut entry: QueueEntry, recipients: &[Recipient], apart: Option<&Apart>) {
        let mut event = self
            .event(EventName::MessageQueued)
            .with("queue", entry.id)
            .with("to", named(recipients))
            .with("recipients", recipients.len());
        if apart.is_some() {
            entry.progress = entry.progress.in_state(EntryState::Held);
            event = event.with("held", "yes");
        }
        self.batch.events.push(event);
        self.batch.spool.push(SpoolChange::Enqueue(Arc::new(entry)));
    }

    pub(super) fn entry(
        &self,
        (version, prefix): (usize, Bytes),
        recipients: &[Recipient],
    ) -> QueueEntry {
        let parts = &self.intake.parts;
        let now = parts.clock.now();
        // The time of a message begins when it may be sent (RFC 4865).
        let hold_until = self.envelope.params.hold_until;
        let begins = hold_until.map_or(self.mail.received_at, |at| at.max(self.mail.received_at));
        QueueEntry {
            id: QueueId(parts.entropy.id(now)),
            trace: self.mail.trace,
            reverse_path: self.mail.reverse_path.clone(),
            params: self.envelope.params.clone(),
            origin: self.origin(),
            received_at: self.mail.received_at,
            message: self.version(version).message.with_prefix(prefix),
            findings: Arc::clone(&self.kept_findings),
            progress: QueueProgress::new(
                recipients.iter().cloned(),
                begins.max(now),
                parts.schedule.expires_at(begins),
            ),
        }
    }

    /// Where the message came from.
    pub(super) fn origin(&self) -> Origin {
        match self.session.filter.door {
            SessionKind::Local => Origin::Host,
            SessionKind::Submission => Origin::Submitted,
            // Who logs in at this door is not asked whose From it is: what it sends
            // is vouched for by none.
            SessionKind::Mx if self.session.filter.trust == Trust::Trusted => Origin::Submitted,
            _ => Origin::Received,
        }
    }
}
