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
use crate::types::{Extension, ResponseCode};
use crate::wording::Status;

/// Ranges of UIDs told in one VANISHED response.
const RANGES_PER_LINE: usize = 1_000;

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

/// Whether more than their number is told of new messages (RFC 5465 section 5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Items {
    Wanted,
    Unwanted,
}

/// One round of telling changes.
#[derive(Debug)]
pub(crate) struct Sync {
    expunges: Expunges,
    asks: bool,
    /// Changes of flags are told.
    flags: bool,
    /// The greatest ModSeq asked about; see [`News`].
    until: Option<ModSeq>,
    /// Places to tell, from the last one on.
    places: Vec<(u32, u32)>,
    /// UIDs to tell, for clients that are told these instead.
    vanished: vec::IntoIter<UidSet>,
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
            flags: true,
            until: None,
            places: Vec::new(),
            vanished: Vec::new().into_iter(),
            exists: false,
            changed: Vec::new().into_iter(),
        }
    }

    /// Telling changes of flags, or not.
    pub(crate) fn flags(self, flags: bool) -> Self {
        Self { flags, ..self }
    }

    /// Goes on.
    pub(crate) fn resume(&mut self, cx: &mut Context, answer: Option<Answer>) -> SyncStep {
        let revision = cx.revision();
        let notify = cx
            .notify
            .as_ref()
            .and_then(|notify| notify.selected.as_ref());
        let items = match notify.is_some_and(|of| of.items.is_some()) {
            true => Items::Wanted,
            false => Items::Unwanted,
        };
        let Some(selected) = cx.state.selected() else {
            return SyncStep::Done;
        };
        match answer {
            Some(Answer::News(news)) => {
                if let Some(question) = self.take_news(selected, *news, revision, items) {
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
        items: Items,
    ) -> Option<Question> {
        let changes = news.changes;
        if !changes.complete && self.until.is_none() {
            self.until = Some(selected.since);
            return Some(changes_since(selected, ModSeq::MIN));
        }
        let told_until = self.until.take().unwrap_or(selected.since);
        if changes.complete {
            selected.lose(&changes.vanished);
        } else {
            let present: UidSet = changes.changed.iter().map(|row| row.uid).collect();
            selected.lose(&selected.view.all().difference(&present));
        }
        let last = selected.view.last_uid();
        let is_new = |row: &MessageInfo| last.is_none_or(|last| row.uid > last);
        let new = changes
            .changed
            .iter()
            .filter(|row| is_new(row))
            .map(|row| row.uid);
        let new: UidSet = new.collect();
        self.exists |= selected.view.extend(new.iter()).is_some();
        if items == Items::Wanted {
            selected.untold = selected.untold.iter().chain(new.iter()).collect();
        }
        if let Some(from) = news.recent_from.filter(|_| revision.tells_recent()) {
            selected.view.claim_recent(from);
        }
        let mut changed = changes.changed;
        changed.retain(|row| !is_new(row) && row.modseq > told_until && !selected.was_told(row));
        changed.retain(|_| self.flags);
        self.changed = changed.into_iter();
        selected.caught_up(changes.status.highest_modseq);
        selected.forget_own();
        None
    }

    fn tell(&mut self, cx: &mut Context) -> SyncStep {
        if !self.tell_losses(cx) {
            return SyncStep::Flush;
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
            selected.shows(row.modseq);
            if cx.out.is_full() {
                return SyncStep::Flush;
            }
        }
        SyncStep::Done
    }

    /// EXPUNGE, or VANISHED in its place; false when what is written must be
    /// sent first.
    fn tell_losses(&mut self, cx: &mut Context) -> bool {
        let tells_uids = cx.tells_vanished();
        let Some(selected) = cx.state.selected() else {
            return true;
        };
        if self.expunges == Expunges::Allowed && selected.view.has_lost() {
            if tells_uids {
                self.vanished = vanished_parts(&selected.view.vanish());
            } else {
                self.places = selected.view.expunge();
            }
        }
        for uids in self.vanished.by_ref() {
            cx.out.encoder().raw("* VANISHED ").display(uids).crlf();
            if cx.out.is_full() {
                return false;
            }
        }
        while let Some((first, last)) = self.places.pop() {
            if cx.out.is_full() {
                self.places.push((first, last));
                return false;
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
        true
    }
}

/// Tells a client that resynchronises by ModSeq how far it knows the mailbox:
/// with the response to a command that expunged (RFC 7162 sections 3.2.7 and
/// 3.2.9), and when it would think itself further than it is.
pub(crate) fn tell_modseq(cx: &mut Context, status: &mut Status) {
    if !cx.enabled.has(Extension::QResync) {
        return;
    }
    let Some(selected) = cx.state.selected() else {
        return;
    };
    let corrected = selected.corrected_modseq();
    let known = selected.known_until();
    if std::mem::take(&mut selected.expunged) && status.code.is_none() {
        status.code = Some(ResponseCode::HighestModSeq(known));
    } else if let Some(modseq) = corrected {
        let code = ResponseCode::HighestModSeq(modseq);
        cx.out.untagged_ok(&code, "All up to here is told");
    }
}

/// A set in pieces that a line can hold.
pub(crate) fn vanished_parts(uids: &UidSet) -> vec::IntoIter<UidSet> {
    let parts: Vec<UidSet> = uids.parts(RANGES_PER_LINE).collect();
    parts.into_iter()
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
