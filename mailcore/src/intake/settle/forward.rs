//! Copies that go on: those that rules send on, and those that are kept here as
//! well.

use super::{Entry, Settlement};
use crate::address::{Address, ReversePath};
use crate::envelope::Recipient;
use crate::route::onward;

impl Settlement<'_> {
    /// Queues the copies that waited for another to be filed.
    pub(super) async fn forward(&mut self) {
        for (version, prefix, to) in std::mem::take(&mut self.onward) {
            for to in to {
                let entry = Entry {
                    prefix: prefix.clone(),
                    version,
                    apart: None,
                    sender: self.sender_to(&to).await,
                };
                let queued = self.queued.entry(entry).or_default();
                queued.push(Recipient::new(to));
            }
        }
    }

    /// The sender under whom a copy goes on to `to`, where that is another than
    /// the message's.
    pub(super) async fn sender_to(&self, to: &Address) -> Option<ReversePath> {
        let from = &self.mail.reverse_path;
        let sender = onward(self.intake.parts.router.as_ref(), from, to).await;
        (sender != *from).then_some(sender)
    }
}
