//! [`Tied`]: which mailbox has which script, looked up once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use mailcore::account::AccountId;
use mailcore::mailbox::MailboxName;
use mailcore::seams::{Metadata, StoreError};

/// The annotation that names a script (RFC 6785 section 2.3.1).
const ENTRY: &str = "/shared/imapsieve/script";
/// Mailboxes that are remembered; more, and all are looked up anew.
const MAX_HELD: usize = 100_000;

type Scripts = HashMap<MailboxName, Option<Arc<str>>>;

/// Names of scripts by mailbox, most of which have none.
#[derive(Debug, Default)]
pub(super) struct Tied {
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    accounts: HashMap<AccountId, Scripts>,
    mailboxes: usize,
    /// Counts what was forgotten, so that what was read before is not held after.
    version: u64,
}

impl Tied {
    /// The name that a mailbox's annotation has, or the server's where it has none.
    pub(super) async fn of(
        &self,
        metadata: &dyn Metadata,
        account: &AccountId,
        mailbox: &MailboxName,
    ) -> Result<Option<Arc<str>>, StoreError> {
        let version = {
            let held = self.held();
            if let Some(known) = held.accounts.get(account).and_then(|it| it.get(mailbox)) {
                return Ok(known.clone());
            }
            held.version
        };
        let mut found = None;
        for place in [Some(mailbox), None] {
            let kept = metadata.annotations(account, place).await?;
            let entry = kept.into_iter().find(|it| {
                let entry = it.entry.to_string();
                entry.eq_ignore_ascii_case(ENTRY)
            });
            if let Some(entry) = entry {
                found = Some(String::from_utf8_lossy(&entry.value).as_ref().into());
                break;
            }
        }
        self.hold((account, mailbox), &found, version);
        Ok(found)
    }

    /// Looks an account's mailboxes up anew.
    pub(super) fn forget(&self, account: &AccountId) {
        let mut held = self.held();
        held.version += 1;
        if let Some(gone) = held.accounts.remove(account) {
            held.mailboxes = held.mailboxes.saturating_sub(gone.len());
        }
    }

    fn hold(
        &self,
        (account, mailbox): (&AccountId, &MailboxName),
        found: &Option<Arc<str>>,
        version: u64,
    ) {
        let mut held = self.held();
        if held.version != version {
            return;
        }
        if held.mailboxes >= MAX_HELD {
            held.accounts.clear();
            held.mailboxes = 0;
        }
        let scripts = held.accounts.entry(account.clone()).or_default();
        if scripts.insert(mailbox.clone(), found.clone()).is_none() {
            held.mailboxes += 1;
        }
    }

    fn held(&self) -> std::sync::MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
