//! What the mail path learns of domains, addresses and accounts.

use std::sync::Arc;

use crate::account::AccountId;
use crate::address::{Address, Domain};
use crate::seams::QuotaLimit;

/// A served domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DomainRecord {
    /// Its name.
    pub domain: Domain,
    /// How it is served.
    pub kind: DomainKind,
}

/// How a domain is served.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DomainKind {
    /// Its mailboxes are here.
    Local,
    /// Another name of a local domain: each of its addresses is the one of the
    /// same local part there, for mail, logins and senders.
    Alias {
        /// The domain it stands for, which may be an alias itself.
        of: Domain,
    },
    /// Its mail is taken and handed to another host.
    Relay {
        /// Name or address literal.
        host: Domain,
        /// Port.
        port: u16,
    },
}

/// What an address stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Resolution {
    /// An account here.
    Account(AccountId),
    /// Other addresses.
    Alias(Vec<Address>),
    /// A distribution list, by its own address; see
    /// [`Lists`](super::Lists).
    List(Address),
    /// A group that has an address; see [`Groups`](super::Groups).
    Group(super::GroupName),
    /// Nothing: the domain is ours, the address is not.
    Unknown,
}

/// An account as the mail path needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AccountRecord {
    /// Its key.
    pub id: AccountId,
    /// Its primary address.
    pub address: Address,
    /// Octets it may hold; `None` for no limit.
    pub quota: Option<u64>,
    /// Messages it may hold; `None` for no limit.
    pub quota_messages: Option<u64>,
    /// False when it may not log in.
    pub enabled: bool,
    /// The rest.
    pub options: AccountOptions,
}

impl AccountRecord {
    /// An account without limits that may log in, with the default options.
    pub fn new(id: AccountId, address: Address) -> Self {
        Self {
            id,
            address,
            quota: None,
            quota_messages: None,
            enabled: true,
            options: AccountOptions::default(),
        }
    }

    /// Both limits of what it may hold, as the store takes them.
    pub fn quota_limit(&self) -> QuotaLimit {
        QuotaLimit {
            octets: self.quota,
            messages: self.quota_messages,
        }
    }
}

/// What an account's owner or administrator chose for it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AccountOptions {
    /// A person's name.
    pub display_name: Option<Arc<str>>,
    /// Language of what the server writes to the account (RFC 5646), `en`.
    pub language: Option<Arc<str>>,
    /// Where it may send.
    pub sending: Sending,
    /// Where its mail goes instead of, or beside, its mailbox.
    pub redirect: Option<Redirect>,
    /// True when the contact list of its domain shows it.
    pub in_contacts: bool,
    /// True when mail that is kept apart in folders is filed to its junk folder; else
    /// it is in the quarantine, as for those whose clients know no folders.
    pub spam_to_folder: bool,
    /// True when its domain's signature is added to what it sends.
    pub domain_signature: bool,
}

impl Default for AccountOptions {
    /// Sends anywhere, shown to others, spam filed apart, mail signed.
    fn default() -> Self {
        Self {
            display_name: None,
            language: None,
            sending: Sending::Anywhere,
            redirect: None,
            in_contacts: true,
            spam_to_folder: true,
            domain_signature: true,
        }
    }
}

/// Where an account may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sending {
    /// To every address.
    #[default]
    Anywhere,
    /// To addresses of domains served here.
    LocalOnly,
}

/// Mail passed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redirect {
    /// Where to.
    pub to: Address,
    /// Whether the account keeps it, too.
    pub copy: KeepCopy,
}

/// Whether mail that is passed on is kept as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeepCopy {
    /// It is filed here, too.
    Yes,
    /// It only goes on.
    No,
}

/// A line of the account listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountSummary {
    /// The account.
    pub account: AccountRecord,
}
