//! [`Own`]: what this client did itself since the last look at the account. It
//! is not told of that (RFC 5465 section 5); what others did meanwhile it is.

use std::collections::BTreeSet;

use mailcore::mailbox::{MailboxName, Uid};

use super::Notify;
use crate::session::{Answer, Question};

/// What a question does once its answer is yes.
#[derive(Debug)]
enum Doing {
    Create(MailboxName),
    Delete(MailboxName),
    Rename(MailboxName, MailboxName),
    Subscription(MailboxName),
    /// Messages come to a mailbox.
    Add(MailboxName),
}

impl Doing {
    fn of(question: &Question) -> Option<Self> {
        Some(match question {
            Question::Create { name, .. } => Self::Create(name.clone()),
            Question::Delete(name) => Self::Delete(name.clone()),
            Question::Rename { from, to } => Self::Rename(from.clone(), to.clone()),
            Question::Subscribe(name) | Question::Unsubscribe(name) => {
                Self::Subscription(name.clone())
            }
            Question::AppendBegin { to, .. }
            | Question::Replace { to, .. }
            | Question::Copy { to, .. }
            | Question::Move { to, .. } => Self::Add(to.clone()),
            _ => return None,
        })
    }
}

/// See the file's description.
#[derive(Debug, Default)]
pub(super) struct Own {
    asked: Option<Doing>,
    /// Names that came or went.
    pub(super) names: BTreeSet<MailboxName>,
    renames: Vec<(MailboxName, MailboxName)>,
    subscriptions: BTreeSet<MailboxName>,
}

impl Own {
    /// True when this mailbox came or went by the client's own command.
    pub(super) fn has_named(&self, name: &MailboxName) -> bool {
        self.names.contains(name)
    }

    /// True when the client renamed this mailbox, or one above it.
    pub(super) fn has_renamed(&self, old: &MailboxName, new: &MailboxName) -> bool {
        let moves = |(from, to): &(MailboxName, MailboxName)| {
            old.moved(from, to).is_some_and(|moved| moved == *new)
        };
        self.renames.iter().any(moves)
    }

    /// True when the client changed this subscription.
    pub(super) fn has_subscribed(&self, name: &MailboxName) -> bool {
        self.subscriptions.contains(name)
    }

    /// A new mailbox brings those above it along.
    fn name_with_parents(&mut self, name: MailboxName) {
        self.names
            .extend(std::iter::successors(Some(name), MailboxName::parent));
    }
}

impl Notify {
    /// A command of the client asks this.
    pub(crate) fn asks(&mut self, question: &Question) {
        if !self.watches_account() {
            return;
        }
        if let Some(doing) = Doing::of(question) {
            self.own.asked = Some(doing);
        }
    }

    /// A command of the client is answered.
    pub(crate) fn answered(&mut self, answer: &Answer) {
        let added = match (&self.own.asked, answer) {
            (None, _) => return,
            // More of a message is to come.
            (Some(Doing::Add(_)), Answer::Done) => return,
            (_, Answer::Appended(new)) => (new.len(), new.last().map(|it| it.uid)),
            (_, Answer::Copied(new)) => (new.pairs.len(), new.pairs.last().map(|it| it.1)),
            (_, Answer::Created(_) | Answer::Done) => (0, None),
            _ => {
                self.own.asked = None;
                return;
            }
        };
        match self.own.asked.take() {
            Some(Doing::Create(name)) => self.own.name_with_parents(name),
            Some(Doing::Delete(name)) => drop(self.own.names.insert(name)),
            Some(Doing::Rename(from, to)) => {
                self.own.name_with_parents(to.clone());
                self.own.renames.push((from, to));
            }
            Some(Doing::Subscription(name)) => drop(self.own.subscriptions.insert(name)),
            Some(Doing::Add(name)) => self.added(&name, added),
            None => {}
        }
    }

    /// The client knows of the messages that it put there: the counters it
    /// knows are as if it had been told.
    fn added(&mut self, name: &MailboxName, (count, last): (usize, Option<Uid>)) {
        let status = self.known.get_mut(name).and_then(|it| it.status.as_mut());
        if let (Some(status), Some(last)) = (status, last) {
            let count = u32::try_from(count).unwrap_or(u32::MAX);
            status.messages = status.messages.saturating_add(count);
            status.uid_next = last.next();
        }
    }
}
