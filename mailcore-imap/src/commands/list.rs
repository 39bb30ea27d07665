//! LIST and LSUB (RFC 3501 sections 6.3.8 and 6.3.9) with CHILDREN (RFC 3348)
//! and SPECIAL-USE (RFC 6154) attributes.

use std::collections::BTreeSet;
use std::vec;

use mailcore::mailbox::{HIERARCHY_DELIMITER, MailboxEntry, MailboxName};

use super::{Progress, Run, Started, failure};
use crate::codec::{Cursor, ParseError};
use crate::session::{Answer, Context, Question};
use crate::types::ListPattern;
use crate::wording::Status;

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    List,
    Lsub,
}

pub(super) fn start(cursor: &mut Cursor<'_>, cx: &mut Context) -> Result<Started, ParseError> {
    begin(cursor, cx, Kind::List)
}

pub(super) fn start_lsub(cursor: &mut Cursor<'_>, cx: &mut Context) -> Result<Started, ParseError> {
    begin(cursor, cx, Kind::Lsub)
}

/// `list = "LIST" SP mailbox SP list-mailbox`
fn begin(cursor: &mut Cursor<'_>, cx: &mut Context, kind: Kind) -> Result<Started, ParseError> {
    cursor.space()?;
    let reference = cursor.mailbox_text()?;
    cursor.space()?;
    let mailbox = cursor.list_mailbox()?;
    cursor.end()?;
    if mailbox.is_empty() && kind == Kind::List {
        // The delimiter and the root of the reference are asked for.
        cx.out.untagged("LIST (\\Noselect) \"/\" \"\"");
        return Started::done(Status::ok("LIST completed"));
    }
    let pattern =
        ListPattern::new(&reference, &mailbox).ok_or(ParseError::TooMuch("octets in a pattern"))?;
    Started::run(List {
        kind,
        pattern,
        asked: false,
        lines: Vec::new().into_iter(),
    })
}

#[derive(Debug)]
struct List {
    kind: Kind,
    pattern: ListPattern,
    asked: bool,
    lines: vec::IntoIter<Listed>,
}

/// One response.
#[derive(Debug)]
struct Listed {
    name: MailboxName,
    attributes: Vec<&'static str>,
}

impl Run for List {
    fn resume(&mut self, cx: &mut Context, answer: Option<Answer>) -> Progress {
        match answer {
            None if !self.asked => {
                self.asked = true;
                return Progress::Ask(Question::Mailboxes);
            }
            Some(Answer::Mailboxes(entries)) => {
                self.lines = match self.kind {
                    Kind::List => list(&entries, &self.pattern),
                    Kind::Lsub => lsub(&entries, &self.pattern),
                }
                .into_iter();
            }
            Some(other) => return Progress::Done(failure(&other).into()),
            None => {}
        }
        let word = match self.kind {
            Kind::List => "LIST",
            Kind::Lsub => "LSUB",
        };
        for line in self.lines.by_ref() {
            let mut out = cx.out.encoder();
            out.raw("* ")
                .raw(word)
                .raw(" (")
                .raw(&line.attributes.join(" "))
                .raw(") \"/\" ");
            out.mailbox(&line.name).crlf();
            if cx.out.is_full() {
                return Progress::Flush;
            }
        }
        Progress::Done(Status::ok("Completed").into())
    }
}

/// Mailboxes, and names that are there only for the mailboxes below them.
fn list(entries: &[MailboxEntry], pattern: &ListPattern) -> Vec<Listed> {
    let mut parents: BTreeSet<&str> = BTreeSet::new();
    for entry in entries.iter().filter(|entry| entry.id.is_some()) {
        parents.extend(ancestors(entry.name.as_str()));
    }
    let mut listed = Vec::new();
    for entry in entries
        .iter()
        .filter(|entry| pattern.matches(entry.name.as_str()))
    {
        let has_children = parents.contains(entry.name.as_str());
        let mut attributes = Vec::new();
        if entry.id.is_none() {
            // A subscription to nothing is LSUB's alone.
            if !has_children {
                continue;
            }
            attributes.push("\\Noselect");
        }
        attributes.push(if has_children {
            "\\HasChildren"
        } else {
            "\\HasNoChildren"
        });
        attributes.extend(entry.special_use.map(mailcore::mailbox::SpecialUse::as_str));
        listed.push(Listed {
            name: entry.name.clone(),
            attributes,
        });
    }
    listed
}

/// Subscribed names; a parent that is not subscribed stands in for names below
/// it that `%` does not reach (RFC 3501 section 6.3.9).
fn lsub(entries: &[MailboxEntry], pattern: &ListPattern) -> Vec<Listed> {
    let subscribed: BTreeSet<&str> = entries
        .iter()
        .filter(|entry| entry.subscribed)
        .map(|entry| entry.name.as_str())
        .collect();
    let mut names: BTreeSet<(&str, bool)> = BTreeSet::new();
    for name in &subscribed {
        if pattern.matches(name) {
            names.insert((name, true));
            continue;
        }
        let parents = ancestors(name)
            .filter(|parent| pattern.matches(parent) && !subscribed.contains(parent));
        names.extend(parents.map(|parent| (parent, false)));
    }
    let listed = names.into_iter().filter_map(|(name, itself)| {
        let attributes = if itself {
            Vec::new()
        } else {
            vec!["\\Noselect"]
        };
        MailboxName::parse(name)
            .ok()
            .map(|name| Listed { name, attributes })
    });
    listed.collect()
}

/// `a`, `a/b` of `a/b/c`.
fn ancestors(name: &str) -> impl Iterator<Item = &str> {
    name.match_indices(HIERARCHY_DELIMITER)
        .filter_map(|(at, _)| name.get(..at))
}
