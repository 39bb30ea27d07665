//! STORE (RFC 3501 section 6.4.6).

use mailcore::mailbox::{FlagChange, UidSet};
use mailcore::seams::StoreReceipt;

use super::messages::Batches;
use super::{Addressing, Progress, Run, Started, Targets, failure};
use crate::codec::{Cursor, ParseError};
use crate::render::message::{write_flags_list, write_row};
use crate::session::{Access, Answer, Context, Question};
use crate::types::{FetchItem, ResponseCode};
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
/// store           = "STORE" SP sequence-set SP store-att-flags
/// store-att-flags = (["+" / "-"] "FLAGS" [".SILENT"]) SP
///                   (flag-list / (flag *(SP flag)))
/// ```
fn begin(
    cursor: &mut Cursor<'_>,
    cx: &mut Context,
    addressing: Addressing,
) -> Result<Started, ParseError> {
    let targets = Targets::parse(cursor, cx, addressing)?;
    cursor.space()?;
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
    cursor.end()?;
    let change = match sign {
        Some(b'+') => FlagChange::Add(flags),
        Some(_) => FlagChange::Remove(flags),
        None => FlagChange::Replace(flags),
    };
    if cx
        .state
        .selected()
        .is_none_or(|selected| selected.access == Access::ReadOnly)
    {
        return Started::done(wording::read_only());
    }
    match targets {
        Targets::Messages(uids) => {
            let batches = Batches::new(&uids);
            Started::run(Store {
                change,
                report,
                addressing,
                batches,
                asked: 0,
                rows: Vec::new().into_iter(),
                missing: false,
            })
        }
        Targets::OutOfRange => Started::done(wording::no_such_message()),
    }
}

/// Whether the new flags are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Report {
    Flags,
    Silent,
}

#[derive(Debug)]
struct Store {
    change: FlagChange,
    report: Report,
    addressing: Addressing,
    batches: Batches,
    /// Messages asked for in the open question.
    asked: u64,
    rows: std::vec::IntoIter<mailcore::mailbox::MessageInfo>,
    missing: bool,
}

impl Store {
    fn take(&mut self, cx: &mut Context, receipt: StoreReceipt) {
        self.missing |= (receipt.messages.len() as u64) < self.asked;
        if let Some(selected) = cx.state.selected() {
            selected.told(&receipt.messages);
        }
        if self.report == Report::Flags {
            self.rows = receipt.messages.into_iter();
        }
    }

    /// Writes responses until there is enough to send; true when all are out.
    fn report(&mut self, cx: &mut Context) -> bool {
        let items: &[FetchItem] = match self.addressing {
            Addressing::Uid => &[FetchItem::Uid, FetchItem::Flags],
            Addressing::Sequence => &[FetchItem::Flags],
        };
        let Some(selected) = cx.state.selected() else {
            return true;
        };
        for row in self.rows.by_ref() {
            let mut out = cx.out.encoder();
            if selected.learn_keywords(&row.flags) {
                write_flags_list(&mut out, selected);
            }
            write_row(&mut out, selected, &row, items);
            if cx.out.is_full() {
                return false;
            }
        }
        true
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
            self.asked = UidSet::len(&uids);
            return Progress::Ask(Question::Store {
                uids,
                change: self.change.clone(),
            });
        }
        let status = Status::ok("STORE completed");
        Progress::Done(
            if self.missing {
                status.with(ResponseCode::ExpungeIssued)
            } else {
                status
            }
            .into(),
        )
    }
}
