//! Which mailbox a name means, held in memory: opening a mailbox that was opened
//! before asks neither the index nor the writer.
//!
//! The writer has the names of an account forgotten, before it answers whoever
//! changed one of them. What a reader found in the index meanwhile may be of
//! before, so it is held only when nothing was forgotten since the reader began.
//! Names are never held as missing.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, Weak};

use mailcore::account::AccountId;
use mailcore::mailbox::MailboxName;

use super::live::Live;
use super::shared::lock;

/// Names held before all are forgotten.
const MAX_NAMES: usize = 1 << 14;

/// See the file's description.
#[derive(Debug, Default)]
pub(crate) struct Names(Mutex<Held>);

#[derive(Debug, Default)]
struct Held {
    accounts: HashMap<Arc<str>, HashMap<String, Weak<Live>>>,
    count: usize,
    /// Counts how often something was forgotten.
    epoch: u64,
}

/// A moment; what is read of the index after it was taken may be held while
/// nothing is forgotten.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment(u64);

impl Names {
    /// Now.
    pub(crate) fn moment(&self) -> Moment {
        Moment(lock(&self.0).epoch)
    }

    /// The mailbox of this name, if that is known and its counters are held.
    pub(crate) fn get(&self, account: &AccountId, name: &MailboxName) -> Option<Arc<Live>> {
        let held = lock(&self.0);
        let live = held.accounts.get(account.as_str())?.get(name.as_str())?;
        let live = live.upgrade();
        drop(held);
        live.filter(|it| it.status().is_ok())
    }

    /// Holds what was found in the index after `since`.
    pub(crate) fn hold(
        &self,
        since: Moment,
        (account, name): (&AccountId, &MailboxName),
        live: &Arc<Live>,
    ) {
        let mut held = lock(&self.0);
        if held.epoch != since.0 {
            return;
        }
        if held.count >= MAX_NAMES {
            held.accounts.clear();
            held.count = 0;
        }
        let names = match held.accounts.get_mut(account.as_str()) {
            Some(names) => names,
            None => held.accounts.entry(account.as_str().into()).or_default(),
        };
        let before = names.insert(name.as_str().to_owned(), Arc::downgrade(live));
        held.count += usize::from(before.is_none());
    }

    /// Forgets the names of accounts in which one was changed.
    pub(crate) fn forget(&self, accounts: &BTreeSet<Arc<str>>) {
        if accounts.is_empty() {
            return;
        }
        let mut held = lock(&self.0);
        held.epoch += 1;
        for account in accounts {
            let gone = held.accounts.remove(account).map_or(0, |it| it.len());
            held.count -= gone;
        }
    }

    /// Forgets every name.
    pub(crate) fn forget_all(&self) {
        let mut held = lock(&self.0);
        held.epoch += 1;
        held.count = 0;
        held.accounts.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embedded::recent::Kept;

    fn ends() -> (AccountId, MailboxName) {
        let name = MailboxName::parse("a").unwrap();
        (AccountId::new("user@x.test"), name)
    }

    fn live() -> Arc<Live> {
        let live = Live::new(1, Kept::default());
        let state = crate::embedded::index::MailboxState::empty(1, "user@x.test", "a", 1);
        live.update(1, state.unwrap().status());
        Arc::new(live)
    }

    #[test]
    fn what_was_found_before_a_name_changed_is_not_held() {
        let (names, live, (account, name)) = (Names::default(), live(), ends());
        let before = names.moment();
        names.forget(&BTreeSet::from([Arc::from("another@x.test")]));
        names.hold(before, (&account, &name), &live);
        assert!(names.get(&account, &name).is_none());
        names.hold(names.moment(), (&account, &name), &live);
        assert!(names.get(&account, &name).is_some());
        names.forget(&BTreeSet::from([Arc::from(account.as_str())]));
        assert!(names.get(&account, &name).is_none());
    }

    #[test]
    fn a_deleted_mailbox_is_not_found() {
        let (names, live, (account, name)) = (Names::default(), live(), ends());
        names.hold(names.moment(), (&account, &name), &live);
        live.close();
        assert!(names.get(&account, &name).is_none());
    }

    #[test]
    fn no_more_names_are_held_than_the_limit() {
        let (names, live, (account, _)) = (Names::default(), live(), ends());
        for number in 0..=MAX_NAMES {
            let name = MailboxName::parse(&number.to_string()).unwrap();
            names.hold(names.moment(), (&account, &name), &live);
        }
        assert_eq!(lock(&names.0).count, 1);
    }
}
