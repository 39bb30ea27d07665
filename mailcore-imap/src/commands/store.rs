//! STORE (RFC 3501 section 6.4.6), conditional with UNCHANGEDSINCE (RFC 7162
//! section 3.1.3).

use mailcore::mailbox::{FlagChange, MessageInfo, ModSeq, UidSet};
use mailcore::seams::StoreReceipt;

use super::messages::Batches;
use super::{Addressing, Done, Progress, Run, Started, Targets, failure};
use crate::codec::{Cursor, ParseError};
use crate::render::message::{write_flags_list, write_row};
use crate::session::{Access, Answer, Context, Naming, Question};
use crate::types::{Extension, FetchItem, ResponseCode};
use crate::wording::{self, Status};

/// Messages changed by one question: each is one durable write.
const BATCH: u32 = 10_000;

pub(super) fn start(cursor: &mut Cursor<'_>, cx: &mut Context) -> Result<Started, ParseError> {
    begin(cursor, cx, Addressing::Sequence)
}

pub(super) fn start_uid(cursor: &mut Cursor<'_>, cx: &mut Context) -> Result<Started, ParseError> {
    begin(cursor, cx, Addressing::Uid)
}

/// ```text
/// store = "STORE" SP sequence-set [SP "(" "UNCHANGEDSINCE" SP n ")"] SP
///         store-att-flags
/// ```
fn begin(
    cursor: &mut Cursor<'_>,
    cx: &mut Context,
    addressing: Addressing,
) -> Result<Started, ParseError> {
    let targets = Targets::parse(cursor, cx, addressing)?;
    cursor.space()?;
    let unchanged_since = unchanged_since(cursor)?;
    let (change, report) = flag_change(cursor)?;
    cursor.end()?;
    if unchanged_since.is_some() && !cx.enable_condstore() {
        return Started::done(wording::no_modseq());
    }
    let read_only = |access| access == Access::ReadOnly;
    if cx
        .state
        .selected()
        .is_none_or(|selected| read_only(selected.access))
    {
        return Started::done(wording::read_only());
    }
    let Targets::Messages(uids) = targets else {
        return Started::done(wording::no_such_message());
    };
    let uids = cx.limit(uids);
    let mut store = Store {
        change,
        items: reported(report, addressing, cx),
        addressing,
        unchanged_since: None,
        batches: Batches::new(&uids),
        asked: 0,
        rows: Vec::new().into_iter(),
        modified: UidSet::EMPTY,
        missing: false,
    };
    match unchanged_since.map(ModSeq::new) {
        None => {}
        Some(Some(modseq)) => store.unchanged_since = Some(modseq),
        // Every message changed after 0, when it came.
        Some(None) => {
            store.modified = uids;
            store.batches = Batches::new(&UidSet::EMPTY);
        }
    }
    Started::run(store)
}

/// `["(" "UNCHANGEDSINCE" SP mod-sequence-valzer ")" SP]`
fn unchanged_since(cursor: &mut Cursor<'_>) -> Result<Option<u64>, ParseError> {
    if !cursor.eat(b'(') {
        return Ok(None);
    }
    if !cursor.eat_word("UNCHANGEDSINCE") {
        return Err(ParseError::Expected("UNCHANGEDSINCE"));
    }
    cursor.space()?;
    let modseq = cursor.number64()?;
    cursor.expect(b')', "the end of the modifiers")?;
    cursor.space()?;
    Ok(Some(modseq))
}

/// ```text
/// store-att-flags = (["+" / "-"] "FLAGS" [".SILENT"]) SP
///                   (flag-list / (flag *(SP flag)))
/// ```
fn flag_change(cursor: &mut Cursor<'_>) -> Result<(FlagChange, Report), ParseError> {
    let sign = [b'+', b'-'].into_iter().find(|sign| cursor.eat(*sign));
    let name = cursor
        .take_while(|b| b.is_ascii_alphabetic() || b == b'.')
        .to_ascii_uppercase();
    let report = match name.as_slice() {
        b"FLAGS" => Report::Flags,
        b"FLAGS.SILENT" => Report::Silent,
        _ => return Err(ParseError::Expected("FLAGS or FLAGS.SILENT")),
    };
    cursor.space()?;
    let flags = if cursor.peek() == Some(b'(') {
        cursor.flag_list()?
    } else {
        cursor.flags()?
    };
    let change = match sign {
        Some(b'+') => FlagChange::Add(flags),
        Some(_) => FlagChange::Remove(flags),
        None => FlagChange::Replace(flags),
    };
    Ok((change, report))
}

/// Whether the new flags are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Report {
    Flags,
    Silent,
}

/// What is told of each message. A client that knows ModSeq is always told the
/// new one and the UID (RFC 7162 section 3.2.4), or it could not tell its own
/// change from another's.
fn reported(report: Report, addressing: Addressing, cx: &Context) -> Vec<FetchItem> {
    let knows_modseq = cx.enabled.has(Extension::CondStore);
    let by_uid = addressing == Addressing::Uid || knows_modseq;
    let by_uid = by_uid && cx.naming() == Naming::Numbers;
    let uid = by_uid.then_some(FetchItem::Uid);
    let flags = (report == Report::Flags).then_some(FetchItem::Flags);
    let modseq = knows_modseq.then_some(FetchItem::ModSeq);
    if flags.is_none() && modseq.is_none() {
        return Vec::new();
    }
    uid.into_iter().chain(flags).chain(modseq).collect()
}

#[derive(Debug)]
struct Store {
    change: FlagChange,
    items: Vec<FetchItem>,
    addressing: Addressing,
    unchanged_since: Option<ModSeq>,
    batches: Batches,
    /// Messages asked for in the open question.
    asked: u64,
    rows: std::vec::IntoIter<MessageInfo>,
    /// Left alone, having changed.
    modified: UidSet,
    missing: bool,
}

impl Store {
    fn take(&mut self, cx: &mut Context, receipt: StoreReceipt) {
        let StoreReceipt {
            messages: mut rows,
            modified,
            modseq,
            ..
        } = receipt;
        self.missing |= (rows.len() as u64) < self.asked;
        if !modified.is_empty() {
            rows.retain(|row| !modified.contains(row.uid));
            self.modified = UidSet::from_ranges(self.modified.ranges().chain(modified.ranges()));
        }
        if let Some(selected) = cx.state.selected() {
            selected.changed(modseq);
            if let Some(modseq) = rows.iter().map(|row| row.modseq).max() {
                selected.shows(modseq);
            }
            // Without the flags the client knows its own change, and nobody
            // else's that came before.
            if self.items.contains(&FetchItem::Flags) {
                selected.told(&rows);
            }
        }
        if !self.items.is_empty() {
            self.rows = rows.into_iter();
        }
    }

    /// Writes responses until there is enough to send; true when all are out.
    fn report(&mut self, cx: &mut Context) -> bool {
        let Some(selected) = cx.state.selected() else {
            return true;
        };
        for row in self.rows.by_ref() {
            let mut out = cx.out.encoder();
            if selected.learn_keywords(&row.flags) {
                write_flags_list(&mut out, selected);
            }
            write_row(&mut out, selected, &row, &self.items);
            if cx.out.is_full() {
                return false;
            }
        }
        true
    }

    fn done(&self, cx: &mut Context) -> Done {
        let status = Status::ok("STORE completed");
        let Some(selected) = cx.state.selected().filter(|_| !self.modified.is_empty()) else {
            let code = self.missing.then_some(ResponseCode::ExpungeIssued);
            return Status { code, ..status }.into();
        };
        let ranges = match self.addressing {
            Addressing::Sequence => selected.view.seqs(&self.modified),
            Addressing::Uid => self
                .modified
                .ranges()
                .map(|(a, b)| (a.value(), b.value()))
                .collect(),
        };
        status.with(ResponseCode::Modified(ranges)).into()
    }
}

impl Run for Store {
    fn resume(&mut self, cx: &mut Context, answer: Option<Answer>) -> Progress {
        match answer {
            Some(Answer::Stored(receipt)) => self.take(cx, receipt),
            Some(other) => return Progress::Done(failure(&other).into()),
            None => {}
        }
        if !self.report(cx) {
            return Progress::Flush;
        }
        if let Some(uids) = self.batches.next(BATCH) {
            self.asked = uids.len();
            return Progress::Ask(Question::Store {
                uids,
                change: self.change.clone(),
                unchanged_since: self.unchanged_since,
            });
        }
        Progress::Done(self.done(cx))
    }
}
