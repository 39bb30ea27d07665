//! [`Notify`]: what a client wants to hear of unasked (RFC 5465), and what it
//! heard already.
//!
//! Nothing is polled: the store says that something in the account changed, and
//! only then is looked what.

mod names;
mod own;
mod round;

use std::collections::{BTreeMap, BTreeSet};

use mailcore::mailbox::{HIERARCHY_DELIMITER, MailboxEntry, MailboxName, MailboxStatus};

use super::Expunges;
use crate::types::FetchItems;
use own::Own;

pub(crate) use round::{First, Telling, while_idle};

/// What NOTIFY SET asked for.
#[derive(Debug, Default)]
pub(crate) struct Notify {
    /// Of the selected mailbox.
    pub(crate) selected: Option<OfSelected>,
    /// Of all others.
    pub(crate) groups: Vec<Group>,
    /// Something in the account may have changed.
    pub(crate) noticed: bool,
    /// What was told, or was so when the client began to listen.
    known: BTreeMap<MailboxName, Known>,
    /// The first look is done.
    begun: bool,
    /// What it did itself since the last look.
    own: Own,
    /// Mailboxes that it made before this look.
    made: BTreeSet<MailboxName>,
}

/// Message events of the selected mailbox (RFC 5465 section 6.1).
#[derive(Debug, Clone)]
pub(crate) struct OfSelected {
    /// SELECTED lets messages lose their numbers at any time, SELECTED-DELAYED
    /// does not.
    pub(crate) expunges: Expunges,
    /// What is told of new messages.
    pub(crate) items: Option<FetchItems>,
    /// Changes of flags are told.
    pub(crate) flags: bool,
}

/// `event-group`, of mailboxes that are not selected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Group {
    pub(crate) filter: Filter,
    pub(crate) events: Events,
}

/// `filter-mailboxes-other`. Mail can be delivered to every mailbox, so INBOXES
/// are all of them, as PERSONAL is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Filter {
    Personal,
    Subscribed,
    Subtree(Vec<MailboxName>),
    Mailboxes(Vec<MailboxName>),
}

/// What is told of a mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Events {
    /// MessageNew and MessageExpunge, which only come together.
    pub(crate) messages: bool,
    pub(crate) flags: bool,
    pub(crate) names: bool,
    pub(crate) subscriptions: bool,
}

impl Events {
    fn or(self, other: Self) -> Self {
        Self {
            messages: self.messages || other.messages,
            flags: self.flags || other.flags,
            names: self.names || other.names,
            subscriptions: self.subscriptions || other.subscriptions,
        }
    }
}

/// A mailbox as the client knows it.
#[derive(Debug, Clone)]
struct Known {
    entry: MailboxEntry,
    status: Option<MailboxStatus>,
}

impl Notify {
    /// What is told of a mailbox: all that any group says (RFC 5465 section 6).
    fn events(&self, name: &MailboxName, subscribed: bool) -> Events {
        let matching = self
            .groups
            .iter()
            .filter(|it| it.filter.takes(name, subscribed));
        matching.fold(Events::default(), |events, it| events.or(it.events))
    }

    /// True when it matters what happens in the account.
    pub(crate) fn watches_account(&self) -> bool {
        self.groups.iter().any(|it| it.events != Events::default())
    }
}

impl Filter {
    fn takes(&self, name: &MailboxName, subscribed: bool) -> bool {
        match self {
            Self::Personal => true,
            Self::Subscribed => subscribed,
            Self::Mailboxes(names) => names.contains(name),
            Self::Subtree(names) => names.iter().any(|root| {
                name.as_str()
                    .strip_prefix(root.as_str())
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with(HIERARCHY_DELIMITER))
            }),
        }
    }
}
