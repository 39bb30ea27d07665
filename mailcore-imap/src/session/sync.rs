//! [`Sync`]: brings the view up to date and tells the client what changed, at a
//! moment when that is allowed.

use std::vec;

use mailcore::mailbox::{MessageInfo, ModSeq, UidSet};

use super::context::Context;
use super::question::{Access, Answer, News, Question};
use super::revision::Revision;
use super::state::Selected;
use crate::codec::Encoder;
use crate::render::message::{write_flags_list, write_row};

/// Whether sequence numbers may change now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expunges {
    /// EXPUNGE responses may be sent.
    Allowed,
    /// A command by sequence number is in progress, or its client may have
    /// sent another one already (RFC 3501 section 5.5).
    Forbidden,
}

/// What [`Sync::resume`] wants.
#[derive(Debug)]
pub(crate) enum SyncStep {
    /// Ask, then resume with the answer.
    Ask(Question),
    /// Send what was written, then resume.
    Flush,
    /// All was told.
    Done,
    /// The mailbox is gone.
    Gone,
}

/// One round of telling changes.
#[derive(Debug)]
pub(crate) struct Sync {
    expunges: Expunges,
    asks: bool,
    /// The greatest ModSeq asked about; see [`News`].
    until: Option<ModSeq>,
    /// Places to tell, from the last one on.
    places: Vec<(u32, u32)>,
    exists: bool,
    changed: vec::IntoIter<MessageInfo>,
}

impl Sync {
    /// Tells what the store says is new, when `ask`ed or noticed, and losses
    /// that were not allowed to be told before.
    pub(crate) fn new(expunges: Expunges, ask: bool) -> Self {
        Self {
            expunges,
            asks: ask,
            until: None,
            places: Vec::new(),
            exists: false,
            changed: Vec::new().into_iter(),
        }
    }

    /// Goes on.
    pub(crate) fn resume(&mut self, cx: &mut Context, answer: Option<Answer>) -> SyncStep {
        let revision = cx.revision();
        let Some(selected) = cx.state.selected() else {
            return SyncStep::Done;
        };
        match answer {
            Some(Answer::News(news)) => {
                if let Some(question) = self.take_news(selected, *news, revision) {
                    return SyncStep::Ask(question);
                }
            }
            Some(Answer::Failed(mailcore::seams::StoreError::NoSuchMailbox)) => {
                return SyncStep::Gone;
            }
            // Asked for again with the next notice or poll.
            Some(_) => selected.noticed = selected.since,
            None => {
                let settled = selected.settle_own();
                if std::mem::take(&mut self.asks) && !settled || selected.has_news() {
                    return SyncStep::Ask(changes_since(selected, selected.since));
                }
            }
        }
        self.tell(cx)
    }

    /// Takes changes into the view. Returns a question when the store no longer
    /// knows what went away, and everything must be compared.
    fn take_news(
        &mut self,
        selected: &mut Selected,
        news: News,
        revision: Revision,
    ) -> Option<Question> {
        let changes = news.changes;
        if !changes.complete && self.until.is_none() {
            self.until = Some(selected.since);
            return Some(changes_since(selected, ModSeq::MIN));
        }
        let told_until = self.until.take().unwrap_or(selected.since);
        if changes.complete {
            selected.view.lose(&changes.vanished);
        } else {
            let present: UidSet = changes.changed.iter().map(|row| row.uid).collect();
            selected.view.lose_others(&present);
        }
        let last = selected.view.last_uid();
        let is_new = |row: &MessageInfo| last.is_none_or(|last| row.uid > last);
        let new = changes
            .changed
            .iter()
            .filter(|row| is_new(row))
            .map(|row| row.uid);
        self.exists |= selected.view.extend(new).is_some();
        if let Some(from) = news.recent_from.filter(|_| revision.tells_recent()) {
            selected.view.claim_recent(from);
        }
        let mut changed = changes.changed;
        changed.retain(|row| !is_new(row) && row.modseq > told_until && !selected.was_told(row));
        self.changed = changed.into_iter();
        selected.caught_up(changes.status.highest_modseq);
        selected.forget_own();
        None
    }

    fn tell(&mut self, cx: &mut Context) -> SyncStep {
        let Some(selected) = cx.state.selected() else {
            return SyncStep::Done;
        };
        if self.expunges == Expunges::Allowed && selected.view.has_lost() {
            self.places = selected.view.expunge();
        }
        while let Some((first, last)) = self.places.pop() {
            if cx.out.is_full() {
                self.places.push((first, last));
                return SyncStep::Flush;
            }
            // In pieces, so that 100,000 losses don't gather in memory.
            let from = first.max(last.saturating_sub(999));
            let mut out = cx.out.encoder();
            for number in (from..=last).rev() {
                out.raw("* ").number(u64::from(number)).raw(" EXPUNGE\r\n");
            }
            if from > first {
                self.places.push((first, from - 1));
            }
        }
        let revision = cx.revision();
        let Some(selected) = cx.state.selected() else {
            return SyncStep::Done;
        };
        if std::mem::take(&mut self.exists) {
            write_counts(&mut cx.out.encoder(), selected, revision);
        }
        let items = cx.change_items();
        let Some(selected) = cx.state.selected() else {
            return SyncStep::Done;
        };
        for row in self.changed.by_ref() {
            let mut out = cx.out.encoder();
            if selected.learn_keywords(&row.flags) {
                write_flags_list(&mut out, selected);
            }
            write_row(&mut out, selected, &row, items);
            if cx.out.is_full() {
                return SyncStep::Flush;
            }
        }
        SyncStep::Done
    }
}

/// `number SP "EXISTS"` and, where it is told, `number SP "RECENT"`.
pub(crate) fn write_counts(out: &mut Encoder<'_>, selected: &Selected, revision: Revision) {
    out.raw("* ")
        .number(u64::from(selected.view.exists()))
        .raw(" EXISTS\r\n");
    if revision.tells_recent() {
        out.raw("* ")
            .number(u64::from(selected.view.recent()))
            .raw(" RECENT\r\n");
    }
}

fn changes_since(selected: &Selected, since: ModSeq) -> Question {
    let access: Access = selected.access;
    Question::Changes {
        since,
        last: selected.view.last_uid(),
        access,
    }
}
