//! Who reads events as long as the server runs.

use super::Builder;
use crate::event::send_mail::MailRule;
#[cfg(feature = "http")]
use crate::event::webhook::Webhook;

impl Builder {
    /// Sends mail about events. Needs stores, which keep what was sent.
    pub fn send_mail(mut self, rule: MailRule) -> Self {
        self.readers.rules.push(rule);
        self
    }

    /// Tells a web server of events. Needs stores, which keep what it was told.
    #[cfg(feature = "http")]
    pub fn webhook(mut self, webhook: Webhook) -> Self {
        self.readers.webhooks.push(webhook);
        self
    }
}
