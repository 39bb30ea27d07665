//! [`Changes`]: LIST responses for names that came, went, changed or were
//! subscribed to (RFC 5465 sections 5.4 and 5.5).

use std::collections::{BTreeMap, BTreeSet};

use mailcore::mailbox::{MailboxEntry, MailboxName};

use super::Notify;
use super::own::Own;
use crate::session::Context;

/// The account's mailboxes as they were known and as they are.
#[derive(Debug)]
pub(super) struct Changes<'a> {
    pub(super) notify: &'a Notify,
    pub(super) entries: &'a BTreeMap<MailboxName, MailboxEntry>,
    /// Mailboxes under another name than before, with that one.
    pub(super) renamed: &'a BTreeMap<MailboxName, MailboxName>,
    pub(super) own: &'a Own,
}

/// Names to tell, each with the one it had when that is told.
type Affected = BTreeMap<MailboxName, Option<MailboxName>>;

impl Changes<'_> {
    /// Writes a response for each name that the client wants to hear of.
    pub(super) fn tell(&self, cx: &mut Context) {
        let mut affected = self.renames();
        self.add_existence(&mut affected);
        affected.retain(|name, _| {
            let subscribed = self.entries.get(name).is_some_and(|it| it.subscribed);
            self.notify.events(name, subscribed).names
        });
        self.add_subscriptions(&mut affected);
        if affected.is_empty() {
            return;
        }
        let parents = self.parents();
        for (name, old) in &affected {
            self.tell_name(cx, name, old.as_ref(), parents.contains(name.as_str()));
        }
    }

    fn renames(&self) -> Affected {
        let told = self
            .renamed
            .iter()
            .filter(|(new, old)| !self.follows_parent(new, old))
            .filter(|(new, old)| !self.own.has_renamed(old, new));
        told.map(|(new, old)| (new.clone(), Some(old.clone())))
            .collect()
    }

    /// True for a mailbox that has another name since one above it has.
    fn follows_parent(&self, new: &MailboxName, old: &MailboxName) -> bool {
        std::iter::successors(new.parent(), MailboxName::parent).any(|above| {
            let before = self.renamed.get(&above);
            before.is_some_and(|before| old.moved(before, &above).as_ref() == Some(new))
        })
    }

    /// Mailboxes that came or went affect the one above them, too.
    fn add_existence(&self, affected: &mut Affected) {
        let before: BTreeSet<&MailboxName> = self.renamed.values().collect();
        let was_renamed =
            |name: &MailboxName| self.renamed.contains_key(name) || before.contains(name);
        for name in self.entries.keys().chain(self.notify.known.keys()) {
            if self.exists(name) != self.existed(name)
                && !was_renamed(name)
                && !self.own.has_named(name)
            {
                affected.entry(name.clone()).or_default();
                if let Some(parent) = name.parent() {
                    affected.entry(parent).or_default();
                }
            }
        }
    }

    fn exists(&self, name: &MailboxName) -> bool {
        self.entries.get(name).is_some_and(|it| it.id.is_some())
    }

    fn existed(&self, name: &MailboxName) -> bool {
        let known = self.notify.known.get(name);
        known.is_some_and(|it| it.entry.id.is_some())
    }

    fn add_subscriptions(&self, affected: &mut Affected) {
        let was = |name: &MailboxName| {
            let known = self.notify.known.get(name);
            known.is_some_and(|it| it.entry.subscribed)
        };
        let is = |name: &MailboxName| self.entries.get(name).is_some_and(|it| it.subscribed);
        for name in self.entries.keys().chain(self.notify.known.keys()) {
            if is(name) != was(name)
                && !self.own.has_subscribed(name)
                && self.notify.events(name, true).subscriptions
            {
                affected.entry(name.clone()).or_default();
            }
        }
    }

    /// Names with a mailbox below them.
    fn parents(&self) -> BTreeSet<String> {
        let there = self.entries.values().filter(|it| it.id.is_some());
        let above = there.flat_map(|it| {
            std::iter::successors(it.name.parent(), MailboxName::parent)
                .map(|name| name.as_str().to_owned())
        });
        above.collect()
    }

    /// `"*" SP "LIST" SP mailbox-list`, all attributes as they are.
    fn tell_name(
        &self,
        cx: &mut Context,
        name: &MailboxName,
        old: Option<&MailboxName>,
        has_children: bool,
    ) {
        let entry = self.entries.get(name);
        let mut attributes = Vec::new();
        if entry.is_none_or(|it| it.id.is_none()) {
            attributes.push("\\NonExistent");
        }
        attributes.push(match has_children {
            true => "\\HasChildren",
            false => "\\HasNoChildren",
        });
        attributes.extend(entry.and_then(|it| it.special_use).map(|it| it.as_str()));
        if entry.is_some_and(|it| it.subscribed) {
            attributes.push("\\Subscribed");
        }
        let mut out = cx.out.encoder();
        out.raw("* LIST (")
            .raw(&attributes.join(" "))
            .raw(") \"/\" ");
        out.mailbox(name);
        if let Some(old) = old {
            out.raw(" (\"OLDNAME\" (").mailbox(old).raw("))");
        }
        out.crlf();
    }
}
