//! FETCH (RFC 3501 section 6.4.5): reads messages in batches and writes them as
//! they come; octets of messages stream through.

mod batch;
mod binary;
mod emit;
mod modifiers;
mod octets;

use bytes::Bytes;
use mailcore::mailbox::{Changes, FlagChange, MessageInfo, ModSeq, SystemFlag, Uid, UidSet};
use mailcore::seams::StoreError;

use self::batch::{Batch, Fetched, Reads};
use self::emit::Source;
use self::modifiers::{Modifiers, Vanished};
pub(crate) use self::octets::MAX_HEADER;
use super::messages::Batches;
use super::{Addressing, Progress, Run, Started, Targets, failure};
use crate::codec::{Cursor, ParseError};
use crate::render::body;
use crate::session::{Access, Answer, Context, Naming, Question, is_announced, vanished_parts};
use crate::types::{Extension as Enabling, FetchItem, FetchItems, ResponseCode};
use crate::view::View;
use crate::wording::{self, Status};

pub(super) fn start(cursor: &mut Cursor<'_>, cx: &mut Context) -> Result<Started, ParseError> {
    begin(cursor, cx, Addressing::Sequence)
}

pub(super) fn start_uid(cursor: &mut Cursor<'_>, cx: &mut Context) -> Result<Started, ParseError> {
    begin(cursor, cx, Addressing::Uid)
}

/// `fetch = "FETCH" SP sequence-set SP (...) [fetch-modifiers]` (RFC 4466
/// section 2.4)
fn begin(
    cursor: &mut Cursor<'_>,
    cx: &mut Context,
    addressing: Addressing,
) -> Result<Started, ParseError> {
    let (targets, named) = Targets::parse_as_named(cursor, cx, addressing)?;
    cursor.space()?;
    let mut items = cursor.fetch_items()?;
    let modifiers = Modifiers::parse(cursor)?;
    cursor.end()?;
    if let Some(refusal) = modifiers.refusal(cx, addressing) {
        return Started::done(refusal);
    }
    let needed = items.iter().filter_map(FetchItem::capability);
    if needed.into_iter().any(|it| !is_announced(it, cx)) {
        return Err(ParseError::Expected("a FETCH item"));
    }
    if modifiers.changed_since.is_some() {
        items.push(FetchItem::ModSeq);
    }
    let uses_modseq = items.iter().any(|item| *item == FetchItem::ModSeq);
    if uses_modseq && !cx.enable_condstore() {
        return Started::done(wording::no_modseq());
    }
    if addressing == Addressing::Uid {
        items = match cx.naming() {
            Naming::Numbers => items.with_uid(),
            Naming::Uids => items.without_uid(),
        };
    }
    let Targets::Messages(uids) = targets else {
        return Started::done(wording::no_such_message());
    };
    // The page is one of all messages named, whichever of them changed
    // (RFC 9394 section 3.4).
    let uids = match modifiers.partial.map(|range| range.of(&uids)) {
        Some(page) => match cx.over_limit(&page) {
            Some(refusal) => return Started::done(refusal),
            None => page,
        },
        None => cx.limit(uids),
    };
    let mut fetch = Fetch::new(items, &uids);
    if let Some(since) = modifiers.changed_since {
        fetch.phase = Phase::Since(since, uids);
        fetch.named = (modifiers.vanished == Vanished::Told).then_some(named);
    }
    Started::run(fetch)
}

/// Tells of messages that came (RFC 5465 section 5.2).
pub(crate) fn fetch_new(cx: &Context, items: FetchItems, uids: &UidSet) -> Box<dyn Run> {
    let items = match cx.naming() {
        Naming::Numbers => items,
        Naming::Uids => items.without_uid(),
    };
    Box::new(Fetch::new(items, uids))
}

/// What an answer is awaited for.
#[derive(Debug)]
enum Phase {
    /// What changed after this, of these messages.
    Since(ModSeq, UidSet),
    /// Nothing: what vanished is told first.
    Earlier,
    /// Nothing: the next batch is due.
    Next,
    Rows,
    Starts,
    Seen,
    Summaries,
    Fronts,
    /// Which of these messages are still there.
    There(UidSet),
    /// Writing the batch.
    Emit,
}

/// FETCH at work.
#[derive(Debug)]
pub(super) struct Fetch {
    items: FetchItems,
    /// What the response calls the octets of each.
    names: Vec<Bytes>,
    /// The UIDs of which those that went away are told.
    named: Option<UidSet>,
    /// What went away, told before anything else.
    vanished: std::vec::IntoIter<UidSet>,
    batches: Batches,
    phase: Phase,
    batch: Batch,
    /// The next batch's headers are found by its messages' structure.
    careful: bool,
    /// What was marked as seen, and at which ModSeq. The client only knows of it
    /// once the batch is written; when that fails before, it is told as any change.
    marked: Option<(Option<ModSeq>, Vec<MessageInfo>)>,
    /// Message of the batch and item of the message to write next.
    at: (usize, usize),
    /// The message's response is begun.
    open: bool,
    /// Octets on their way to the client.
    stream: Option<Source>,
    missing: bool,
    /// A part's transfer encoding is not known.
    unknown_encoding: bool,
    failed: Option<StoreError>,
}

impl Fetch {
    fn new(items: FetchItems, uids: &UidSet) -> Self {
        let names = items.iter().map(|item| match item {
            FetchItem::Body(item) => body::name(item),
            _ => Bytes::new(),
        });
        Self {
            names: names.collect(),
            items,
            named: None,
            vanished: Vec::new().into_iter(),
            batches: Batches::new(uids),
            phase: Phase::Next,
            batch: Batch::default(),
            careful: false,
            marked: None,
            at: (0, 0),
            open: false,
            stream: None,
            missing: false,
            unknown_encoding: false,
            failed: None,
        }
    }

    /// Tells a client what it missed (RFC 7162 section 3.2.5.1).
    pub(super) fn resync(cx: &Context, vanished: &UidSet, changed: &UidSet) -> Self {
        let mut items = FetchItems::default();
        for item in cx.change_items() {
            items.push(item.clone());
        }
        Self {
            phase: Phase::Earlier,
            vanished: vanished_parts(vanished),
            ..Self::new(items, changed)
        }
    }

    /// What of the UIDs named went away after the ModSeq that the client knows.
    /// Messages still in the view are told by the VANISHED that takes them out.
    fn earlier(&self, changes: &Changes, view: &View) -> UidSet {
        let Some(named) = &self.named else {
            return UidSet::EMPTY;
        };
        let gone = match (changes.complete, view.last_uid()) {
            (true, _) => changes.vanished.intersection(named),
            (false, Some(last)) => named.intersection(&UidSet::range(Uid::MIN, last)),
            (false, None) => UidSet::EMPTY,
        };
        gone.difference(&view.all())
    }

    /// Takes an answer; `Err` when it ends the command.
    fn take(&mut self, cx: &mut Context, answer: Answer) -> Result<(), Progress> {
        match (&self.phase, answer) {
            (Phase::Since(_, uids), Answer::News(news)) => {
                // The view learns of these changes after the command.
                if let Some(selected) = cx.state.selected() {
                    let highest = news.changes.status.highest_modseq;
                    selected.noticed = selected.noticed.max(highest);
                    self.vanished = vanished_parts(&self.earlier(&news.changes, &selected.view));
                }
                let changed = news.changes.changed.iter().map(|row| row.uid);
                let changed: UidSet = changed.filter(|uid| uids.contains(*uid)).collect();
                self.batches = Batches::new(&changed);
                self.phase = Phase::Earlier;
            }
            (Phase::Rows, Answer::Rows(rows)) => {
                self.missing |= (rows.len() as u64) < self.batch.asked;
                self.batch.messages = rows.into_iter().map(Fetched::new).collect();
                let later = self.batch.shorten(&self.items);
                self.batches.put_back(&later);
                self.show(cx, self.batch.messages.iter().map(|it| &it.row));
            }
            (Phase::Starts, Answer::Fronts(starts)) => {
                let later = self.batch.merge_starts(starts, &self.items);
                self.careful = self.batch.messages.is_empty();
                self.batches.put_back(&later);
            }
            (Phase::Seen, Answer::Stored(receipt)) => {
                self.marked = Some((receipt.modseq, receipt.messages.clone()));
                self.batch.merge_rows(receipt.messages);
            }
            // Not marking as seen is no reason not to show.
            (Phase::Seen, Answer::Failed(_)) => {}
            (Phase::Summaries, Answer::Summaries(summaries)) => {
                self.batch.merge_summaries(summaries)
            }
            (Phase::Fronts, Answer::Fronts(fronts)) => self.batch.merge_fronts(fronts),
            (Phase::There(asked), Answer::Rows(rows)) => {
                self.missing |= self.batch.leave_out_gone(asked, &rows);
            }
            (_, other) => return Err(Progress::Done(failure(&other).into())),
        }
        Ok(())
    }

    /// Notes which ModSeqs the client is about to be told.
    fn show<'r>(&self, cx: &mut Context, rows: impl Iterator<Item = &'r MessageInfo>) {
        let tells = cx.enabled.has(Enabling::CondStore);
        let modseq = rows.map(|row| row.modseq).max();
        if let (Some(modseq), Some(selected)) = (modseq.filter(|_| tells), cx.state.selected()) {
            selected.shows(modseq);
        }
    }

    /// The next question for the batch, or `None` when it can be written.
    fn next_question(&mut self, cx: &mut Context) -> Option<Question> {
        if let Phase::Rows = self.phase {
            self.phase = Phase::Starts;
            let starts = self.batch.starts(&self.items);
            if !starts.is_empty() {
                return Some(Question::Fronts(starts));
            }
        }
        if let Phase::Starts = self.phase {
            self.phase = Phase::Seen;
            if let Some(question) = self.mark_seen(cx) {
                return Some(question);
            }
        }
        if let Phase::Seen = self.phase {
            self.phase = Phase::Summaries;
            if self.batch.reads == Reads::Structure {
                return Some(Question::Summaries(self.batch.uids()));
            }
        }
        if let Phase::Summaries = self.phase {
            self.phase = Phase::Fronts;
            let fronts = self.batch.fronts(&self.items);
            if !fronts.is_empty() {
                return Some(Question::Fronts(fronts));
            }
        }
        if let Phase::Fronts = self.phase {
            let doubtful = self.batch.take_doubtful();
            if !doubtful.is_empty() {
                self.phase = Phase::There(doubtful.clone());
                return Some(Question::Rows(doubtful));
            }
        }
        if let (Some((modseq, rows)), Some(selected)) = (self.marked.take(), cx.state.selected()) {
            selected.changed(modseq);
            selected.told(&rows);
            self.show(cx, rows.iter());
        }
        self.phase = Phase::Emit;
        self.at = (0, 0);
        None
    }

    /// `BODY[...]` sets `\Seen` before the flags are told, so that the response
    /// shows it.
    fn mark_seen(&mut self, cx: &mut Context) -> Option<Question> {
        let selected = cx.state.selected()?;
        if selected.access == Access::ReadOnly || !self.items.set_seen() {
            return None;
        }
        let unseen = self
            .batch
            .messages
            .iter()
            .filter(|it| !it.row.flags.contains(SystemFlag::Seen));
        let uids: UidSet = unseen.map(|it| it.row.uid).collect();
        let change = FlagChange::Add([SystemFlag::Seen].into_iter().collect());
        (!uids.is_empty()).then_some(Question::Store {
            uids,
            change,
            unchanged_since: None,
        })
    }

    /// `"*" SP "VANISHED" SP "(EARLIER)" SP known-uids`
    fn tell_earlier(&mut self, cx: &mut Context) -> Progress {
        for uids in self.vanished.by_ref() {
            let mut out = cx.out.encoder();
            out.raw("* VANISHED (EARLIER) ").display(uids).crlf();
            if cx.out.is_full() {
                return Progress::Flush;
            }
        }
        self.phase = Phase::Next;
        self.next_batch()
    }

    fn next_batch(&mut self) -> Progress {
        let reads = match std::mem::take(&mut self.careful) {
            true => Reads::Structure,
            false => Reads::of(&self.items),
        };
        let Some(uids) = self.batches.next(reads.messages()) else {
            return Progress::Done(self.status().into());
        };
        self.batch = Batch::new(reads, uids.len());
        self.phase = Phase::Rows;
        Progress::Ask(Question::Rows(uids))
    }

    fn status(&mut self) -> Status {
        match self.failed.take() {
            Some(error) => wording::store_failed(&error),
            None if self.unknown_encoding => Status::no(
                ResponseCode::UnknownCte,
                "A part has a transfer encoding that is not known",
            ),
            None if self.missing => Status::ok("FETCH completed").with(ResponseCode::ExpungeIssued),
            None => Status::ok("FETCH completed"),
        }
    }
}

impl Run for Fetch {
    fn resume(&mut self, cx: &mut Context, answer: Option<Answer>) -> Progress {
        if let Phase::Emit = self.phase {
            if let Some(progress) = self.emit(cx, answer) {
                return progress;
            }
            return self.next_batch();
        }
        if let Phase::Earlier = self.phase {
            return self.tell_earlier(cx);
        }
        if let Some(answer) = answer {
            if let Err(progress) = self.take(cx, answer) {
                return progress;
            }
            if let Phase::Earlier = self.phase {
                return self.tell_earlier(cx);
            }
            return match self.next_question(cx) {
                Some(question) => Progress::Ask(question),
                None => Progress::Flush,
            };
        }
        if let (Phase::Since(since, _), Some(selected)) = (&self.phase, cx.state.selected()) {
            let last = selected.view.last_uid();
            // Nothing is claimed as recent: the view is not told yet.
            let access = Access::ReadOnly;
            return Progress::Ask(Question::Changes {
                since: *since,
                last,
                access,
            });
        }
        self.next_batch()
    }
}
