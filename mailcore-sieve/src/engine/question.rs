//! What a run asks its host.

use std::sync::Arc;

use super::Program;

/// A question of a run. The host answers each with the variant of [`Answer`] that
/// is named; any other answer ends the run with an error.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Question {
    /// Whether all of these mailboxes are there and take mail (RFC 5490 section
    /// 3.1). [`Answer::Yes`].
    MailboxesExist(Vec<String>),
    /// Whether a mailbox of each of these ids is there (RFC 9042 section 4).
    /// [`Answer::Yes`].
    MailboxIdsExist(Vec<String>),
    /// Whether a mailbox has these special uses, or where none is named, whether
    /// some mailbox has each (RFC 8579 section 3). [`Answer::Yes`].
    SpecialUsesExist {
        /// Which mailbox.
        mailbox: Option<String>,
        /// `\Junk`, ...
        uses: Vec<String>,
    },
    /// An annotation's value (RFC 5490 sections 4 and 5). [`Answer::Text`].
    Annotation {
        /// Of which mailbox; `None` for the server's.
        mailbox: Option<String>,
        /// Which entry.
        entry: String,
    },
    /// Whether one of these is on the list (RFC 6134). [`Answer::Yes`].
    OnList {
        /// The list's name, an URI.
        list: String,
        /// What is looked for.
        values: Vec<String>,
    },
    /// Whether all of these lists can be asked (RFC 6134 section 2.4).
    /// [`Answer::Yes`].
    ListsValid(Vec<String>),
    /// Whether this was seen before (RFC 7352): the host looks it up now, and
    /// writes it down once the run was a success. [`Answer::Yes`] when it was.
    Duplicate(Duplicate),
    /// A script to include (RFC 6609). [`Answer::Program`]; [`Answer::No`] where
    /// it is missing or does not compile.
    Include {
        /// Its name.
        name: String,
        /// Where it lies.
        location: Location,
    },
    /// Whether notices can be sent by this method (RFC 5435 section 4).
    /// [`Answer::Yes`].
    NotifyMethodValid(String),
    /// What DNS says of an address or a name. [`Answer::Texts`]; [`Answer::No`]
    /// where it can't be asked now.
    LookUp {
        /// What for.
        kind: LookUp,
        /// Of what.
        name: String,
    },
    /// Whether this peer, sender and recipient are new to the greylist and must
    /// come again. [`Answer::Yes`] when they must.
    Greylist,
}

/// What was seen before, and for how long that is remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Duplicate {
    /// Names it, beside other handles' (RFC 7352 section 3.2).
    pub handle: String,
    /// What makes it the same.
    pub unique_id: String,
    /// For how long it is remembered.
    pub seconds: u64,
    /// Whether being seen again counts as the last time.
    pub from: DuplicateFrom,
}

/// From when a duplicate's time counts (RFC 7352 section 3.3, `:last`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DuplicateFrom {
    /// From the first one.
    First,
    /// From the last one.
    Last,
}

/// Where an included script lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Location {
    /// Among the account's own.
    Personal,
    /// Among the site's.
    Global,
}

/// What is looked up in DNS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LookUp {
    /// The names of an address, each leading back to it.
    Names,
    /// The names of an address, whether or not they lead back to it.
    Pointers,
    /// The addresses of a name.
    Addresses,
    /// The hosts that take mail for a domain.
    MailHosts,
    /// The addresses of those hosts.
    MailAddresses,
}

/// A host's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answer {
    /// Yes.
    Yes,
    /// No; also where the host can't tell.
    No,
    /// A value, or that there is none.
    Text(Option<String>),
    /// Values, none or more.
    Texts(Vec<String>),
    /// A compiled script.
    Program(Arc<Program>),
}
