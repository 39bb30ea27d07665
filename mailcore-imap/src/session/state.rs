//! The states of RFC 9051 section 3, each with what is valid only in it.

use std::collections::BTreeSet;

use mailcore::account::Identity;
use mailcore::mailbox::{Flags, Keyword, MailboxId, MessageInfo, ModSeq, Uid, UidSet};

use super::question::Access;
use crate::view::View;

/// Keywords a session remembers to have announced.
const MAX_KNOWN_KEYWORDS: usize = 1_000;
/// Own changes a session remembers to keep from echoing.
const MAX_OWN: usize = 64;

/// Where a session stands.
#[derive(Debug)]
pub(crate) enum State {
    /// Before login.
    NotAuthenticated,
    /// Logged in, no mailbox selected.
    Authenticated(Identity),
    /// A mailbox is selected.
    Selected(Identity, Box<Selected>),
    /// Saying good-bye.
    Logout,
}

impl State {
    /// The selected mailbox.
    pub(crate) fn selected(&mut self) -> Option<&mut Selected> {
        match self {
            Self::Selected(_, selected) => Some(selected),
            _ => None,
        }
    }

    /// Selects a mailbox, or with `None` leaves the one selected. Does nothing
    /// before login.
    pub(crate) fn select(&mut self, mailbox: Option<Box<Selected>>) {
        let identity = match self {
            Self::Authenticated(identity) | Self::Selected(identity, _) => identity.clone(),
            Self::NotAuthenticated | Self::Logout => return,
        };
        *self = match mailbox {
            Some(selected) => Self::Selected(identity, selected),
            None => Self::Authenticated(identity),
        };
    }
}

/// How responses name a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Naming {
    /// `n FETCH`.
    Numbers,
    /// `uid UIDFETCH` (RFC 9586 section 3.3).
    Uids,
}

/// The selected mailbox as this session knows it.
#[derive(Debug)]
pub(crate) struct Selected {
    /// SELECT or EXAMINE.
    pub(crate) access: Access,
    /// How messages are named in responses.
    pub(crate) naming: Naming,
    /// What the client was told.
    pub(crate) view: View,
    /// Everything up to here is in the view.
    pub(crate) since: ModSeq,
    /// Something up to here happened.
    pub(crate) noticed: ModSeq,
    /// What `since` was when the first loss that is not told yet was taken in.
    before_loss: ModSeq,
    /// The greatest ModSeq the client was told with a message.
    shown: ModSeq,
    /// The client was told a HIGHESTMODSEQ below what it was shown.
    lowered: bool,
    /// What happened after `since` and up to here this session did itself, and
    /// the client knows it.
    own_until: ModSeq,
    /// The command in progress removed messages.
    pub(crate) expunged: bool,
    /// It was deleted.
    pub(crate) gone: bool,
    /// What `$` stands for (RFC 5182); may name messages that are gone.
    pub(crate) saved: UidSet,
    /// Messages that came and that NOTIFY did not tell of.
    pub(crate) untold: UidSet,
    /// Its identity, once it is known.
    pub(crate) id: Option<MailboxId>,
    /// This session's own DELETE removes this mailbox perhaps while it runs, and
    /// for certain when it has ended.
    pub(crate) deletes: bool,
    /// Changes after that which the client was told in its own command.
    own: Vec<(ModSeq, UidSet)>,
    known_keywords: BTreeSet<Keyword>,
}

impl Selected {
    /// A mailbox just opened.
    pub(crate) fn new(access: Access, view: View, since: ModSeq) -> Self {
        Self {
            access,
            naming: Naming::Numbers,
            view,
            since,
            noticed: since,
            before_loss: since,
            shown: since,
            lowered: false,
            own_until: since,
            expunged: false,
            gone: false,
            saved: UidSet::EMPTY,
            untold: UidSet::EMPTY,
            id: None,
            deletes: false,
            own: Vec::new(),
            known_keywords: BTreeSet::new(),
        }
    }

    /// True when the store has news for the view.
    pub(crate) fn has_news(&self) -> bool {
        self.noticed > self.since
    }

    /// Takes note that this session's own change took `modseq`. When nothing
    /// else came before it, the client knows the mailbox up to there.
    pub(crate) fn changed(&mut self, modseq: Option<ModSeq>) {
        if modseq.is_some_and(|modseq| modseq == self.own_until.next()) {
            self.own_until = self.own_until.next();
        }
    }

    /// Takes own changes into the view when nothing else is known to have
    /// happened; false when the store must be asked.
    pub(crate) fn settle_own(&mut self) -> bool {
        let settles = self.own_until > self.since && self.noticed <= self.own_until;
        if settles {
            self.caught_up(self.own_until);
            self.forget_own();
        }
        settles
    }

    /// Remembers that the client was told these rows, so that the changes that
    /// made them are not told again.
    pub(crate) fn told(&mut self, rows: &[MessageInfo]) {
        let mut changed: Vec<(ModSeq, Vec<Uid>)> = Vec::new();
        for row in rows.iter().filter(|row| row.modseq > self.own_until) {
            let room = changed.len() < MAX_OWN;
            match changed
                .iter_mut()
                .rev()
                .find(|(modseq, _)| *modseq == row.modseq)
            {
                Some((_, uids)) => uids.push(row.uid),
                None if room => changed.push((row.modseq, vec![row.uid])),
                // Told twice is harmless; remembering without end is not.
                None => {}
            }
        }
        for (modseq, uids) in changed {
            if self.own.len() < MAX_OWN {
                self.own.push((modseq, uids.into_iter().collect()));
            }
        }
    }

    /// True when the client knows `row` from its own command.
    pub(crate) fn was_told(&self, row: &MessageInfo) -> bool {
        row.modseq <= self.own_until
            || self
                .own
                .iter()
                .any(|(modseq, uids)| *modseq == row.modseq && uids.contains(row.uid))
    }

    /// The view now holds everything up to `modseq`. When that is no further
    /// than before, notices of more were wrong and are forgotten, lest the
    /// store be asked for ever.
    pub(crate) fn caught_up(&mut self, modseq: ModSeq) {
        if modseq <= self.since {
            self.noticed = self.since;
        } else {
            self.since = modseq;
            self.noticed = self.noticed.max(modseq);
            self.own_until = self.own_until.max(modseq);
        }
    }

    /// Notes that messages are gone, before the changes up to their ModSeq are
    /// taken in.
    pub(crate) fn lose(&mut self, uids: &UidSet) {
        if !self.view.has_lost() {
            self.before_loss = self.since;
        }
        self.view.lose(uids);
    }

    /// The client was told a message's ModSeq.
    pub(crate) fn shows(&mut self, modseq: ModSeq) {
        self.shown = self.shown.max(modseq);
    }

    /// All that happened up to here the client was told.
    pub(crate) fn known_until(&self) -> ModSeq {
        if self.view.has_lost() {
            self.before_loss
        } else {
            self.since
        }
    }

    /// The HIGHESTMODSEQ to tell a client that remembers ModSeqs: it was shown
    /// a greater one than all it was told of, and would miss what lies in
    /// between if the connection broke (RFC 7162 section 3.2); or that is over.
    pub(crate) fn corrected_modseq(&mut self) -> Option<ModSeq> {
        let known = self.known_until();
        if self.shown > known {
            (self.shown, self.lowered) = (known, true);
            return Some(known);
        }
        let is_over = self.lowered && !self.view.has_lost();
        self.lowered &= !is_over;
        is_over.then_some(known)
    }

    /// Forgets own changes that are in the view by now.
    pub(crate) fn forget_own(&mut self) {
        self.own = Vec::new();
    }

    /// True when `flags` holds a keyword the client was not told of: a FLAGS
    /// response comes first then.
    pub(crate) fn learn_keywords(&mut self, flags: &Flags) -> bool {
        let mut is_new = false;
        for keyword in flags.keywords() {
            if self.known_keywords.len() < MAX_KNOWN_KEYWORDS
                && !self.known_keywords.contains(keyword)
            {
                is_new |= self.known_keywords.insert(keyword.clone());
            }
        }
        is_new
    }

    /// The keywords the client was told of.
    pub(crate) fn known_keywords(&self) -> impl Iterator<Item = &Keyword> {
        self.known_keywords.iter()
    }
}
