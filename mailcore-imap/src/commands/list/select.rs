//! Which names a LIST or LSUB tells, and with which attributes.

use std::collections::{BTreeMap, BTreeSet};

use mailcore::mailbox::{HIERARCHY_DELIMITER, MailboxEntry, MailboxName, SpecialUse};

use super::Listed;
use super::options::Options;
use crate::types::ListPattern;

/// Mailboxes, and names that are there only for the mailboxes below them.
pub(super) fn list(entries: &[MailboxEntry], options: &Options) -> Vec<Listed> {
    let matches = |name: &str| options.patterns.iter().any(|it| it.matches(name));
    let families = Families::new(entries, matches);
    let known: BTreeSet<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
    let mut listed = Vec::new();
    for entry in entries.iter().filter(|entry| matches(entry.name.as_str())) {
        listed.extend(families.entry(entry, options));
    }
    if options.select.recursive && options.select.subscribed {
        let strangers = families.hidden_subscribed.iter();
        let strangers = strangers.filter(|name| !known.contains(*name) && matches(name));
        listed.extend(strangers.filter_map(|name| {
            Some(Listed {
                name: MailboxName::parse(name).ok()?,
                attributes: vec!["\\NonExistent"],
                selectable: false,
                selected: false,
                child_info: true,
            })
        }));
    }
    listed
}

/// Names that have names below them.
struct Families<'a> {
    /// ... which exist.
    existing: BTreeSet<&'a str>,
    /// ... which are subscribed to.
    subscribed: BTreeSet<&'a str>,
    /// ... which are subscribed to and not listed themselves.
    hidden_subscribed: BTreeSet<&'a str>,
    /// ... which have a use and are not listed themselves.
    hidden_special: BTreeSet<&'a str>,
}

impl<'a> Families<'a> {
    fn new(entries: &'a [MailboxEntry], listed: impl Fn(&str) -> bool) -> Self {
        let above = |take: &dyn Fn(&MailboxEntry) -> bool| {
            let entries = entries.iter().filter(|entry| take(entry));
            entries
                .flat_map(|entry| ancestors(entry.name.as_str()))
                .collect()
        };
        Self {
            existing: above(&|entry| entry.id.is_some()),
            subscribed: above(&|entry| entry.subscribed),
            hidden_subscribed: above(&|entry| entry.subscribed && !listed(entry.name.as_str())),
            hidden_special: above(&|entry| {
                entry.special_use.is_some() && !listed(entry.name.as_str())
            }),
        }
    }

    fn entry(&self, entry: &MailboxEntry, options: &Options) -> Option<Listed> {
        let name = entry.name.as_str();
        let select = options.select;
        let itself = (!select.subscribed || entry.subscribed)
            && (!select.special_use || entry.special_use.is_some());
        // One that is there only for what is below it is left out when that is
        // listed anyway (RFC 9051 section 6.3.9.6).
        let below = if itself {
            &self.subscribed
        } else {
            &self.hidden_subscribed
        };
        let child_info = select.recursive && select.subscribed && below.contains(name);
        let above_special =
            select.recursive && select.special_use && self.hidden_special.contains(name);
        if !itself && !child_info && !above_special {
            return None;
        }
        let has_children = self.existing.contains(name);
        let selectable = entry.id.is_some();
        let mut attributes = Vec::new();
        if !selectable {
            // A subscription to nothing is told only where those are asked for.
            if !has_children && !select.subscribed {
                return None;
            }
            attributes.push(if options.extended {
                "\\NonExistent"
            } else {
                "\\Noselect"
            });
        }
        attributes.push(if has_children {
            "\\HasChildren"
        } else {
            "\\HasNoChildren"
        });
        attributes.extend(entry.special_use.map(SpecialUse::as_str));
        if entry.subscribed && (select.subscribed || options.returns.subscribed) {
            attributes.push("\\Subscribed");
        }
        Some(Listed {
            name: entry.name.clone(),
            attributes,
            selectable,
            selected: itself,
            child_info,
        })
    }
}

/// Subscribed names; a parent that is not subscribed stands in for names below
/// it that `%` does not reach (RFC 3501 section 6.3.9).
pub(super) fn lsub(entries: &[MailboxEntry], pattern: &ListPattern) -> Vec<Listed> {
    let subscribed = entries.iter().filter(|entry| entry.subscribed);
    let subscribed: BTreeSet<&str> = subscribed.map(|entry| entry.name.as_str()).collect();
    let mut names: BTreeMap<&str, bool> = BTreeMap::new();
    for name in &subscribed {
        if pattern.matches(name) {
            names.insert(name, true);
            continue;
        }
        let parents = ancestors(name).filter(|parent| pattern.matches(parent));
        for parent in parents.filter(|parent| !subscribed.contains(parent)) {
            names.insert(parent, false);
        }
    }
    let listed = names.into_iter().filter_map(|(name, itself)| {
        Some(Listed {
            name: MailboxName::parse(name).ok()?,
            attributes: if itself {
                Vec::new()
            } else {
                vec!["\\Noselect"]
            },
            selectable: itself,
            selected: itself,
            child_info: false,
        })
    });
    listed.collect()
}

/// `a`, `a/b` of `a/b/c`.
fn ancestors(name: &str) -> impl Iterator<Item = &str> {
    name.match_indices(HIERARCHY_DELIMITER)
        .filter_map(|(at, _)| name.get(..at))
}
