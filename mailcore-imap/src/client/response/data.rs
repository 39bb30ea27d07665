//! [`Data`]: what a server tells without being a status.

use mailcore::mailbox::{Flags, ModSeq, SpecialUse, Uid, UidSet, UidValidity};

use super::fetch::Fetched;
use crate::client::{Capabilities, RemoteName};

/// What a server tells, asked or not (RFC 9051 sections 7.2 to 7.5).
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Data {
    /// `CAPABILITY`.
    Capability(Capabilities),
    /// `ENABLED` (RFC 5161): extensions now in use, in upper case.
    Enabled(Vec<String>),
    /// `LIST`, or Gmail's and others' `XLIST`.
    List(ListedMailbox),
    /// `LSUB`.
    Lsub(ListedMailbox),
    /// `STATUS`.
    Status(RemoteName, Counters),
    /// `SEARCH`, `ESEARCH` and `SORT`.
    Search(Found),
    /// `FLAGS`: what may be set in the mailbox.
    Flags(Flags),
    /// `EXISTS`: how many messages there are.
    Exists(u32),
    /// `RECENT`.
    Recent(u32),
    /// `EXPUNGE`: the message of this number went.
    Expunge(u32),
    /// `VANISHED` (RFC 7162): these went.
    Vanished {
        /// Which.
        uids: UidSet,
        /// When.
        when: Vanished,
    },
    /// `FETCH`: attributes, asked for or changed.
    Fetch(Box<Fetched>),
    /// `NAMESPACE` (RFC 2342).
    Namespace(Namespaces),
    /// `ID` (RFC 2971), in the order sent.
    Id(Vec<(String, Option<String>)>),
    /// `QUOTA` (RFC 9208): a root and its resources.
    Quota(QuotaRoot),
    /// `QUOTAROOT`: the roots that hold for a mailbox.
    QuotaRoots(RemoteName, Vec<String>),
    /// Something else, or something that could not be read; cut short.
    Other(String),
}

/// When messages vanished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vanished {
    /// Now: sequence numbers change by it.
    Now,
    /// Before the mailbox was opened: `(EARLIER)`.
    Earlier,
}

/// A mailbox as LIST tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListedMailbox {
    /// Its name.
    pub name: RemoteName,
    /// What separates the levels of its name; none when there is one level.
    pub delimiter: Option<char>,
    /// Its attributes, as sent: `\HasChildren`, `\Noselect`.
    pub attributes: Vec<String>,
    /// What it was called before, where the server tells (RFC 9051 section
    /// 6.3.9.7).
    pub old_name: Option<RemoteName>,
}

impl ListedMailbox {
    /// True when the attribute is there, in any case.
    pub fn has(&self, attribute: &str) -> bool {
        let mut attributes = self.attributes.iter();
        attributes.any(|it| it.eq_ignore_ascii_case(attribute))
    }

    /// True when it can be opened.
    pub fn is_selectable(&self) -> bool {
        !self.has("\\Noselect") && !self.has("\\NonExistent")
    }

    /// What it is for (RFC 6154), also by the names Gmail had before that RFC.
    pub fn special_use(&self) -> Option<SpecialUse> {
        let old = |attribute: &str| match attribute.to_ascii_lowercase().as_str() {
            "\\allmail" => Some(SpecialUse::All),
            "\\spam" => Some(SpecialUse::Junk),
            "\\starred" => Some(SpecialUse::Flagged),
            _ => SpecialUse::parse(attribute),
        };
        self.attributes.iter().find_map(|attribute| old(attribute))
    }
}

/// What STATUS and LIST-STATUS tell; absent what was not told.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Counters {
    /// `MESSAGES`.
    pub messages: Option<u32>,
    /// `RECENT`.
    pub recent: Option<u32>,
    /// `UIDNEXT`.
    pub uid_next: Option<Uid>,
    /// `UIDVALIDITY`.
    pub uid_validity: Option<UidValidity>,
    /// `UNSEEN`.
    pub unseen: Option<u32>,
    /// `DELETED`.
    pub deleted: Option<u32>,
    /// `SIZE`.
    pub size: Option<u64>,
    /// `HIGHESTMODSEQ`.
    pub highest_modseq: Option<ModSeq>,
    /// `MAILBOXID`.
    pub mailbox_id: Option<String>,
    /// `APPENDLIMIT` (RFC 7889).
    pub append_limit: Option<u64>,
}

/// What a search found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Found {
    /// UIDs or sequence numbers, as was asked; ascending whatever the order
    /// they came in.
    pub numbers: UidSet,
    /// `COUNT` (RFC 4731).
    pub count: Option<u64>,
    /// The greatest ModSeq among them (RFC 7162 section 3.1.5).
    pub modseq: Option<ModSeq>,
}

/// Where a server's mailboxes are (RFC 2342): prefix and delimiter of each.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Namespaces {
    /// The user's own.
    pub personal: Vec<(RemoteName, Option<char>)>,
    /// Those of other users.
    pub others: Vec<(RemoteName, Option<char>)>,
    /// Those of nobody.
    pub shared: Vec<(RemoteName, Option<char>)>,
}

/// A quota root (RFC 9208).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct QuotaRoot {
    /// Its name; often empty.
    pub name: String,
    /// Resource, use, limit: `STORAGE` in units of 1,024 octets, `MESSAGE`.
    pub resources: Vec<(String, u64, u64)>,
}
