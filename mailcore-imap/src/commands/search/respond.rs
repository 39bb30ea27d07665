//! What a SEARCH tells and keeps: SEARCH, or ESEARCH (RFC 4731), and the result
//! that `$` stands for (RFC 5182).

use mailcore::mailbox::{ModSeq, Uid, UidSet};

use super::Search;
use crate::codec::Encoder;
use crate::commands::Addressing;
use crate::session::{Context, Selected};
use crate::types::search::SearchReturn;
use crate::types::sequence::display_ranges;
use crate::types::{PartialRange, ResponseCode};
use crate::wording::Status;

impl Search {
    /// Tells what was found; the tagged response.
    pub(super) fn respond(&mut self, cx: &mut Context) -> Status {
        self.found.sort_unstable();
        let Some(returns) = self.returns else {
            self.tell_search(cx);
            return Status::ok("SEARCH completed");
        };
        let kept: UidSet = match returns.save {
            true => self.result(returns).iter().map(|(uid, _)| *uid).collect(),
            false => UidSet::EMPTY,
        };
        if returns.tells() {
            self.tell_esearch(cx, returns);
        }
        if !returns.save {
            return Status::ok("SEARCH completed");
        }
        let refused = kept.ranges().count() > cx.config.max_saved_ranges;
        if let Some(selected) = cx.state.selected() {
            selected.saved = if refused { UidSet::EMPTY } else { kept };
        }
        match refused {
            true => Status::no(ResponseCode::NotSaved, "The result is too large to be kept"),
            false => Status::ok("SEARCH completed, result saved"),
        }
    }

    /// A SAVE that fails keeps nothing (RFC 9051 section 6.4.4.1).
    pub(super) fn forget_saved(&self, cx: &mut Context) {
        if let (Some(SearchReturn { save: true, .. }), Some(selected)) =
            (self.returns, cx.state.selected())
        {
            selected.saved = UidSet::EMPTY;
        }
    }

    /// The messages that the response is about and `$` will stand for: all that
    /// were found when COUNT or ALL is asked for, else the ends and the page
    /// alone (RFC 9051 section 6.4.4.1, table 4; RFC 9394 section 3.2).
    fn result(&self, returns: SearchReturn) -> Vec<(Uid, ModSeq)> {
        let parts_only = returns.min || returns.max || returns.partial.is_some();
        if !parts_only || returns.all || returns.count {
            return self.found.clone();
        }
        let min = self.found.first().filter(|_| returns.min);
        let max = self.found.last().filter(|_| returns.max);
        let page = returns.partial.map(|range| self.page(range));
        let page = page.unwrap_or_default().iter();
        min.into_iter().chain(page).chain(max).copied().collect()
    }

    fn page(&self, range: PartialRange) -> &[(Uid, ModSeq)] {
        self.found
            .get(range.within(self.found.len()))
            .unwrap_or_default()
    }

    /// `"SEARCH" *(SP nz-number) [SP "(" "MODSEQ" SP mod-sequence-value ")"]`
    fn tell_search(&self, cx: &mut Context) {
        let Some(selected) = cx.state.selected() else {
            return;
        };
        let mut out = cx.out.encoder();
        out.raw("* SEARCH");
        for (uid, _) in &self.found {
            if let Some(number) = self.number(selected, *uid) {
                out.raw(" ").number(u64::from(number));
            }
        }
        let highest = self.found.iter().map(|(_, modseq)| *modseq).max();
        if let Some(highest) = highest.filter(|_| self.judge.uses_modseq()) {
            out.raw(" (MODSEQ ").number(highest.value()).raw(")");
        }
        out.crlf();
    }

    /// ```text
    /// esearch-response = "ESEARCH" [SP "(" "TAG" SP string ")"] [SP "UID"]
    ///                    *(SP search-return-data)
    /// ```
    fn tell_esearch(&self, cx: &mut Context, returns: SearchReturn) {
        let tag = cx.tag.clone();
        let Some(selected) = cx.state.selected() else {
            return;
        };
        let mut out = cx.out.encoder();
        out.raw("* ESEARCH");
        if let Some(tag) = tag {
            out.raw(" (TAG ").string(tag.as_str().as_bytes()).raw(")");
        }
        if self.addressing == Addressing::Uid {
            out.raw(" UID");
        }
        let number = |end: Option<&(Uid, ModSeq)>| self.number(selected, end?.0);
        if let Some(min) = number(self.found.first()).filter(|_| returns.min) {
            out.raw(" MIN ").number(u64::from(min));
        }
        if let Some(max) = number(self.found.last()).filter(|_| returns.max) {
            out.raw(" MAX ").number(u64::from(max));
        }
        if returns.all && !self.found.is_empty() {
            out.raw(" ALL ");
            self.write_set(&mut out, selected, &self.found);
        }
        if let Some(range) = returns.partial {
            out.raw(" PARTIAL (").display(range).raw(" ");
            match self.page(range) {
                [] => {
                    out.raw("NIL");
                }
                page => self.write_set(&mut out, selected, page),
            }
            out.raw(")");
        }
        if returns.count {
            out.raw(" COUNT ").number(self.found.len() as u64);
        }
        // Of the messages that are told (RFC 4731 section 3.2).
        let told = self.result(returns).into_iter().map(|(_, modseq)| modseq);
        if let Some(highest) = told.max().filter(|_| self.judge.uses_modseq()) {
            out.raw(" MODSEQ ").number(highest.value());
        }
        out.crlf();
    }

    fn write_set(&self, out: &mut Encoder<'_>, selected: &Selected, found: &[(Uid, ModSeq)]) {
        let uids: UidSet = found.iter().map(|(uid, _)| *uid).collect();
        match self.addressing {
            Addressing::Uid => out.display(&uids),
            Addressing::Sequence => out.display(display_ranges(&selected.view.seqs(&uids))),
        };
    }

    fn number(&self, selected: &Selected, uid: Uid) -> Option<u32> {
        match self.addressing {
            Addressing::Uid => Some(uid.value()),
            Addressing::Sequence => selected.view.seq(uid).map(crate::types::SeqNum::value),
        }
    }
}
