//! The copies that are kept apart: in the recipient's junk folder, in quarantine,
//! or on hold in the queue.

use std::sync::Arc;

use super::{Apart, Settlement};
use crate::account::AccountId;
use crate::address::Address;
use crate::batch::SpoolChange;
use crate::event::EventName;
use crate::intake::SessionKind;
use crate::intake::tell::named;
use crate::plan::{Disposition, Quarantine, QuarantinePlace};
use crate::quarantine::{Circumstances, QuarantinedMail, changes};
use crate::queue::{EntryState, QueueEntry};

impl Settlement<'_> {
    /// Why and where a copy is kept apart, the usual place being resolved.
    pub(super) fn apart(&self, disposition: &Disposition) -> Option<Quarantine> {
        let Disposition::Quarantine(apart) = disposition else {
            return None;
        };
        let usual = match self.session.filter.door {
            // What our own users send: they would release it themselves.
            SessionKind::Submission | SessionKind::Local => QuarantinePlace::Admin,
            _ => self.intake.policy.quarantine,
        };
        let place = match apart.place {
            QuarantinePlace::Usual => usual,
            place => place,
        };
        Some(apart.clone().kept_in(place))
    }

    /// True for an account that has in a folder of its own what is kept apart. One
    /// whose clients know no folders would never find it there.
    pub(super) async fn wants_folder(&self, account: &AccountId) -> bool {
        let Some(directory) = &self.intake.parts.directory else {
            return true;
        };
        match directory.account(account).await {
            Ok(account) => account.is_none_or(|account| account.options.spam_to_folder),
            Err(error) => {
                tracing::warn!(%error, %account, "can't tell where an account has its spam");
                true
            }
        }
    }

    /// Puts an entry in quarantine, within the batch.
    pub(super) fn quarantine(&mut self, entry: QueueEntry, apart: &Quarantine) {
        let place = match apart.place {
            QuarantinePlace::Admin => QuarantinePlace::Admin,
            // Where there is no folder the recipient sees it all the same.
            _ => QuarantinePlace::User,
        };
        let progress = entry.progress.in_state(EntryState::Quarantined);
        let entry = QueueEntry { progress, ..entry };
        let mut findings = self.session.filter.memory.findings();
        let others = self.findings.iter();
        let others: Vec<_> = others
            .filter(|it| !findings.contains(it))
            .cloned()
            .collect();
        findings.extend(others);
        let about = Circumstances {
            apart,
            place,
            findings: &findings,
            summary: &self.mail.summary,
            session: self.session,
        };
        let owner = |address: &Address| self.owners.get(address).cloned();
        let mail = QuarantinedMail::of(&entry, about, owner);
        let recipients: Vec<_> = (entry.progress.recipients.iter())
            .map(|queued| queued.recipient.clone())
            .collect();
        let event = self
            .event(EventName::MessageQuarantined)
            .with("queue", entry.id)
            .with("to", named(&recipients))
            .with("recipients", recipients.len())
            .with(
                "place",
                match place {
                    QuarantinePlace::Admin => "admin",
                    _ => "user",
                },
            )
            .with("reason", &mail.reason)
            .with("score", mail.score);
        self.batch.events.push(event);
        self.batch.state.extend(changes(None, &mail));
        self.batch.spool.push(SpoolChange::Enqueue(Arc::new(entry)));
    }

    /// Notes whose mailbox an address is, for the record of what is kept apart.
    pub(super) fn note_owner(&mut self, address: &Address, account: &AccountId) {
        self.owners.insert(address.clone(), account.clone());
    }

    /// How a copy of which the sender heard nothing yet waits once others are
    /// taken: on hold, where its recipient's rules would take what was refused.
    pub(super) fn held_unless_quarantined(apart: Option<Apart>) -> Option<Apart> {
        apart.or(Some(Apart::Held))
    }
}
