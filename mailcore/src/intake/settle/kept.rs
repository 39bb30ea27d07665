//! The copy of what is filed before the reply, for those who look it up: such
//! mail never was in the queue, so it is put there as done with.

use std::sync::Arc;

use super::Settlement;
use crate::batch::{AfterUpdate, SpoolChange};
use crate::envelope::Recipient;
use crate::queue::{DoneRecipient, EntryState, QueueEntry, QueueProgress};
use crate::status::Outcome;

impl Settlement<'_> {
    /// Adds the copy to the batch that files the others; the store keeps their
    /// content once.
    pub(super) fn keep_copy(&mut self) {
        let parts = &self.intake.parts;
        // Rules that file nothing deliver nothing: what somebody had thrown away
        // is not kept behind their back.
        let mut filing = self.filing.iter().filter(|copy| copy.appends > 0);
        let (Some(keep_for), Some(first)) = (parts.keep_delivered, filing.next()) else {
            return;
        };
        let now = parts.clock.now();
        let served = std::iter::once(first).chain(filing).filter_map(|copy| {
            let asked = self.envelope.recipients.get(copy.leg.index)?;
            let recipient = Recipient {
                address: copy.leg.address.clone(),
                ..asked.clone()
            };
            DoneRecipient::of(recipient, &Outcome::Delivered, now)
        });
        let served = served.collect();
        let mut entry = self.entry(
            (self.version_of(first.leg.index), first.leg.prefix.clone()),
            &[],
        );
        let until = now.after(keep_for);
        entry.progress.done = served;
        entry.progress.state = EntryState::Kept { until };
        self.copy = Some(Arc::new(entry));
        let copy = self.copy.iter().cloned().map(SpoolChange::Enqueue);
        self.batch.spool.extend(copy);
    }

    /// Takes back what the copy said of recipients that were `refused` after
    /// all.
    pub(super) fn correct_copy(&mut self) {
        let Some(copy) = self.copy.take().filter(|_| !self.refused.is_empty()) else {
            return;
        };
        let QueueEntry { id, progress, .. } = &*copy;
        let mut progress = QueueProgress::clone(progress);
        progress.done.retain(|done| {
            let mut refused = self.refused.iter().map(|it| &it.leg.address);
            !refused.any(|address| *address == done.recipient.address)
        });
        if progress.done.len() == copy.progress.done.len() {
            return;
        }
        self.batch.spool.push(match progress.done.is_empty() {
            true => SpoolChange::Remove { id: *id },
            false => SpoolChange::Update {
                id: *id,
                progress,
                lease: AfterUpdate::EndLease,
            },
        });
    }
}
