//! Where the quarantine's records lie in the state: the record itself, a key for
//! each list that it stands in, and the sums of who has how much.
//!
//! Keys of lists end with the id turned round, so that reading on in the order of
//! keys is reading from the newest to the oldest.

use std::collections::{BTreeMap, BTreeSet};

use super::mail::QuarantinedMail;
use crate::account::AccountId;
use crate::address::Domain;
use crate::batch::StateChange;
use crate::plan::QuarantinePlace;
use crate::queue::QueueId;
use crate::seams::StateKey;

pub(super) const NAMESPACE: &str = "quarantine";
/// Between the parts of a key: no address holds it, and no list is so the
/// beginning of another.
const BETWEEN: char = '\u{1f}';
/// Octets that a key may have.
const MAX_KEY: usize = 512;

/// Which list, as keys begin.
#[derive(Debug, Clone, Copy)]
pub(super) enum List<'a> {
    /// The records themselves.
    Records,
    Admin,
    Account(&'a AccountId),
    Domain(&'a Domain),
}

impl List<'_> {
    pub(super) fn prefix(self) -> String {
        match self {
            Self::Records => format!("e{BETWEEN}"),
            Self::Admin => format!("a{BETWEEN}"),
            Self::Account(account) => format!("u{BETWEEN}{account}{BETWEEN}"),
            Self::Domain(domain) => format!("d{BETWEEN}{domain}{BETWEEN}"),
        }
    }

    /// The key of an entry in it.
    pub(super) fn key(self, id: QueueId) -> String {
        format!("{}{:032x}", self.prefix(), !id.0)
    }
}

/// Whose entry a key of a list is.
pub(super) fn id_of(key: &str) -> Option<QueueId> {
    let (_, turned) = key.rsplit_once(BETWEEN)?;
    let turned = u128::from_str_radix(turned, 16).ok()?;
    Some(QueueId(!turned))
}

pub(super) fn record_key(id: QueueId) -> StateKey {
    StateKey::new(NAMESPACE, &List::Records.key(id))
}

/// What is counted.
#[derive(Debug, Clone, Copy)]
pub(super) enum Sum<'a> {
    /// Messages of an account.
    Count(&'a AccountId),
    /// Their octets.
    Octets(&'a AccountId),
    /// The octets of all messages.
    AllOctets,
}

impl Sum<'_> {
    pub(super) fn key(self) -> StateKey {
        let key = match self {
            Self::Count(account) => format!("{}{account}", Self::counts()),
            Self::Octets(account) => format!("o{BETWEEN}{account}"),
            Self::AllOctets => "t".to_owned(),
        };
        StateKey::new(NAMESPACE, &key)
    }

    /// What the keys of all accounts' counts begin with.
    pub(super) fn counts() -> String {
        format!("c{BETWEEN}")
    }

    /// Whose count has this key.
    pub(super) fn account_of(key: &str) -> Option<AccountId> {
        key.strip_prefix(&Self::counts()).map(AccountId::new)
    }
}

/// The lists that a record stands in.
fn lists(mail: &QuarantinedMail) -> BTreeSet<String> {
    let accounts = mail.accounts().into_iter().map(List::Account);
    let domains = mail.domains().into_iter().map(List::Domain);
    let admin = match (mail.place, mail.recipients.as_slice()) {
        (_, []) => None,
        (QuarantinePlace::Admin, _) => Some(List::Admin),
        _ => None,
    };
    let keys = accounts.chain(domains).chain(admin);
    // A host's account may have any name: one too long is found by the other lists.
    let keys = keys.map(|list| list.key(mail.id));
    keys.filter(|key| key.len() <= MAX_KEY).collect()
}

fn sums(mail: &QuarantinedMail) -> BTreeMap<StateKey, i64> {
    let size = i64::try_from(mail.size).unwrap_or(i64::MAX);
    let mut sums = BTreeMap::new();
    for account in mail.accounts() {
        sums.insert(Sum::Count(account).key(), 1);
        sums.insert(Sum::Octets(account).key(), size);
    }
    if !mail.recipients.is_empty() {
        sums.insert(Sum::AllOctets.key(), size);
    }
    sums.retain(|key, _| key.key.len() <= MAX_KEY);
    sums
}

/// What has to change for a record to be `after` where it was `before`. One
/// without recipients is gone.
pub(crate) fn changes(
    before: Option<&QuarantinedMail>,
    after: &QuarantinedMail,
) -> Vec<StateChange> {
    let key = record_key(after.id);
    let mut changes = vec![match after.recipients.is_empty() {
        true => StateChange::Remove { key },
        false => StateChange::Put {
            key,
            value: after.encode(),
            expires: None,
        },
    }];
    let (was, is) = (before.map(lists).unwrap_or_default(), lists(after));
    let key = |text: &String| StateKey::new(NAMESPACE, text);
    changes.extend(
        was.difference(&is)
            .map(|it| StateChange::Remove { key: key(it) }),
    );
    changes.extend(is.difference(&was).map(|it| StateChange::Put {
        key: key(it),
        value: Vec::new(),
        expires: None,
    }));
    let mut difference = sums(after);
    for (key, amount) in before.map(sums).unwrap_or_default() {
        *difference.entry(key).or_default() -= amount;
    }
    let changed = difference.into_iter().filter(|(_, amount)| *amount != 0);
    changes.extend(changed.map(|(key, amount)| StateChange::Add {
        key,
        amount,
        expires: None,
    }));
    changes
}
