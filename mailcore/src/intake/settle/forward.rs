//! Copies that go on: those that rules send on, and those that are kept here as
//! well.

use super::{Entry, Settlement};
use crate::address::{Address, ReversePath};
use crate::envelope::Recipient;
use crate::intake::Mail;
use crate::message::Message;
use crate::route::onward;

impl Settlement<'_> {
    /// Queues the copies that waited for another to be filed.
    pub(super) async fn forward(&mut self) {
        for (version, copy) in std::mem::take(&mut self.onward) {
            let version = self.version_with(version, &copy.message);
            for to in copy.to {
                let entry = Entry {
                    prefix: copy.message.prefix().clone(),
                    version,
                    apart: None,
                    sender: self.sender_to(&to).await,
                    ret: copy.notices.ret,
                };
                let queued = self.queued.entry(entry).or_default();
                queued.push(Recipient {
                    notify: copy.notices.notify.unwrap_or_default(),
                    ..Recipient::new(to)
                });
            }
        }
    }

    /// The version with the content of `message`: mostly the one it was made of.
    fn version_with(&mut self, made_of: usize, message: &Message) -> usize {
        let content = message.content();
        let is_same = |mail: &Mail| mail.message.content().is_same(content);
        if is_same(self.version(made_of)) {
            return made_of;
        }
        let known = self.versions.iter().position(is_same);
        if known.is_none() {
            self.versions.push(Mail {
                message: message.clone(),
                ..self.mail.clone()
            });
        }
        known.map_or(self.versions.len(), |known| known + 1)
    }

    /// The sender under whom a copy goes on to `to`, where that is another than
    /// the message's.
    pub(super) async fn sender_to(&self, to: &Address) -> Option<ReversePath> {
        let from = &self.mail.reverse_path;
        let sender = onward(self.intake.parts.router.as_ref(), from, to).await;
        (sender != *from).then_some(sender)
    }
}
