//! SEARCH (RFC 3501 section 6.4.4): judges messages batch by batch, reading of
//! each only what the program needs.

use std::ops::Range;
use std::sync::Arc;

use mailcore::mailbox::{MessageInfo, ModSeq, Uid};
use mailcore::message::decode::TextDecoder;
use mailcore::message::{Part, PartKind, READ_CHUNK, Summary};

use super::messages::Batches;
use super::{Addressing, Progress, Run, Started, failure};
use crate::codec::{Cursor, ParseError};
use crate::search::{HeaderText, Judge, Known, Needle, Reads, fold};
use crate::session::{Answer, Context, Question};
use crate::wording::Status;

/// Messages read at a time when their rows decide.
const ROWS: u32 = 2_000;
/// Messages read at a time when more is needed.
const MESSAGES: u32 = 32;
/// Octets of a header that are searched.
const MAX_HEADER: u64 = 64 * 1024;

pub(super) fn start(cursor: &mut Cursor<'_>, cx: &mut Context) -> Result<Started, ParseError> {
    begin(cursor, cx, Addressing::Sequence)
}

pub(super) fn start_uid(cursor: &mut Cursor<'_>, cx: &mut Context) -> Result<Started, ParseError> {
    begin(cursor, cx, Addressing::Uid)
}

fn begin(
    cursor: &mut Cursor<'_>,
    cx: &mut Context,
    addressing: Addressing,
) -> Result<Started, ParseError> {
    cursor.space()?;
    let program = cursor.search_program()?;
    cursor.end()?;
    let Some(selected) = cx.state.selected() else {
        return Started::done(crate::wording::wrong_state());
    };
    let judge = Judge::new(program, &selected.view);
    let batches = Batches::new(&judge.candidates(&selected.view));
    if judge.uses_modseq() {
        cx.enable_condstore();
    }
    Started::run(Search {
        judge,
        addressing,
        batches,
        phase: Phase::Next,
        open: Vec::new(),
        content: None,
        found: Vec::new(),
    })
}

#[derive(Debug)]
enum Phase {
    Next,
    Rows,
    Summaries,
    Headers,
    Content,
}

/// A message that is not decided yet.
#[derive(Debug)]
struct Open {
    row: MessageInfo,
    recent: bool,
    summary: Option<Arc<Summary>>,
    header: Option<HeaderText>,
}

#[derive(Debug)]
struct Search {
    judge: Judge,
    addressing: Addressing,
    batches: Batches,
    phase: Phase,
    /// Messages of the batch that need more reading, last one first once their
    /// content is read.
    open: Vec<Open>,
    content: Option<Content>,
    found: Vec<(Uid, ModSeq)>,
}

impl Search {
    /// Decides what can be decided; keeps the rest.
    fn decide(&mut self) {
        let mut open = std::mem::take(&mut self.open);
        open.retain(|message| {
            let verdict = self.judge.judge(&message.known(None));
            if verdict == Some(true) {
                self.found.push((message.row.uid, message.row.modseq));
            }
            verdict.is_none()
        });
        self.open = open;
    }

    /// What to read next of the messages still open.
    fn next_question(&mut self) -> Option<Question> {
        if self.open.is_empty() {
            return self.next_batch();
        }
        match self.phase {
            Phase::Next | Phase::Rows => {
                self.phase = Phase::Summaries;
                Some(Question::Summaries(
                    self.open.iter().map(|it| it.row.uid).collect(),
                ))
            }
            Phase::Summaries => {
                self.phase = Phase::Headers;
                let headers = self.open.iter().map(|it| (it.row.uid, 0..it.header_len()));
                Some(Question::Fronts(headers.collect()))
            }
            Phase::Headers => {
                self.phase = Phase::Content;
                self.open.reverse();
                self.next_content()
            }
            Phase::Content => self.next_content(),
        }
    }

    /// Goes through the open messages' content, one after the other.
    fn next_content(&mut self) -> Option<Question> {
        while let Some(message) = self.open.last() {
            let content = self
                .content
                .get_or_insert_with(|| Content::new(message, self.judge.needles()));
            if let Some(range) = content.next_range(self.judge.needles()) {
                return Some(Question::Read {
                    uid: message.row.uid,
                    range,
                });
            }
            if self.judge.judge(&message.known(Some(&content.found))) == Some(true) {
                self.found.push((message.row.uid, message.row.modseq));
            }
            self.content = None;
            self.open.pop();
        }
        self.next_batch()
    }

    fn next_batch(&mut self) -> Option<Question> {
        self.phase = Phase::Rows;
        let size = if self.judge.reads() == Reads::Row {
            ROWS
        } else {
            MESSAGES
        };
        self.batches.next(size).map(Question::Rows)
    }

    /// Takes an answer; `Err` with one that ends the command.
    fn take(&mut self, cx: &mut Context, answer: Answer) -> Result<(), Answer> {
        match (&self.phase, answer) {
            (Phase::Rows, Answer::Rows(rows)) => {
                let Some(selected) = cx.state.selected() else {
                    return Ok(());
                };
                let open = rows.into_iter().map(|row| Open {
                    recent: selected.view.is_recent(row.uid),
                    row,
                    summary: None,
                    header: None,
                });
                self.open = open.collect();
                self.decide();
            }
            (Phase::Summaries, Answer::Summaries(summaries)) => {
                for (uid, summary) in summaries {
                    if let Some(message) = self.open.iter_mut().find(|it| it.row.uid == uid) {
                        message.summary = Some(summary);
                    }
                }
                self.open.retain(|message| message.summary.is_some());
            }
            (Phase::Headers, Answer::Fronts(headers)) => {
                for (message, header) in self.open.iter_mut().zip(headers) {
                    message.header = Some(HeaderText::new(&header.unwrap_or_default()));
                }
                self.decide();
            }
            (Phase::Content, Answer::Octets(octets)) => {
                if let (Some(content), Some(message)) = (&mut self.content, self.open.last()) {
                    content.take(&octets, message, self.judge.needles());
                }
            }
            // A message that went away, or is damaged, is not found.
            (Phase::Content, Answer::Failed(_)) => {
                self.content = None;
                self.open.pop();
            }
            (_, other) => return Err(other),
        }
        Ok(())
    }

    /// `"SEARCH" *(SP nz-number) [SP "(" "MODSEQ" SP mod-sequence-value ")"]`
    fn respond(&mut self, cx: &mut Context) {
        self.found.sort_unstable();
        let Some(selected) = cx.state.selected() else {
            return;
        };
        let mut out = cx.out.encoder();
        out.raw("* SEARCH");
        for (uid, _) in &self.found {
            let number = match self.addressing {
                Addressing::Uid => Some(uid.value()),
                Addressing::Sequence => selected.view.seq(*uid).map(crate::types::SeqNum::value),
            };
            if let Some(number) = number {
                out.raw(" ").number(u64::from(number));
            }
        }
        let highest = self.found.iter().map(|(_, modseq)| *modseq).max();
        if let Some(highest) = highest.filter(|_| self.judge.uses_modseq()) {
            out.raw(" (MODSEQ ").number(highest.value()).raw(")");
        }
        out.crlf();
    }
}

impl Run for Search {
    fn resume(&mut self, cx: &mut Context, answer: Option<Answer>) -> Progress {
        if let Some(answer) = answer
            && let Err(other) = self.take(cx, answer)
        {
            return Progress::Done(failure(&other).into());
        }
        if let Some(question) = self.next_question() {
            return Progress::Ask(question);
        }
        self.respond(cx);
        Progress::Done(Status::ok("SEARCH completed").into())
    }
}

impl Open {
    fn known<'a>(&'a self, found: Option<&'a [bool]>) -> Known<'a> {
        let header = self.summary.as_deref().zip(self.header.as_ref());
        Known {
            row: &self.row,
            recent: self.recent,
            header,
            found,
        }
    }

    fn header_len(&self) -> u64 {
        self.summary
            .as_ref()
            .map_or(0, |summary| summary.header_len().min(MAX_HEADER))
    }
}

/// One message's text, read piece by piece past the needles.
#[derive(Debug)]
struct Content {
    found: Vec<bool>,
    /// Index of the part being read, and what of its body is not read yet.
    part: usize,
    left: Range<u64>,
    decoder: Option<TextDecoder>,
    /// Decoded and folded text not searched yet, with the end of what was:
    /// a needle may lie across two pieces.
    text: String,
    parts: Vec<(usize, Range<u64>)>,
}

impl Content {
    fn new(message: &Open, needles: &[Needle]) -> Self {
        let summary = message.summary.as_deref();
        let parts = summary.map(searched_parts).unwrap_or_default();
        let header = message
            .header
            .as_ref()
            .map(HeaderText::lines)
            .unwrap_or_default();
        let found = needles
            .iter()
            .map(|needle| needle.len() == 0 || (needle.in_header() && needle.is_in(&header)));
        Self {
            found: found.collect(),
            part: 0,
            left: 0..0,
            decoder: None,
            text: String::new(),
            parts,
        }
    }

    /// What to read next; nothing when all is read or everything is found.
    fn next_range(&mut self, needles: &[Needle]) -> Option<Range<u64>> {
        if self.found.iter().all(|found| *found) {
            return None;
        }
        while self.left.is_empty() {
            self.end_part(needles);
            let (part, range) = self.parts.pop()?;
            (self.part, self.left) = (part, range);
        }
        let end = self.left.end.min(self.left.start + READ_CHUNK as u64);
        Some(self.left.start..end)
    }

    fn take(&mut self, octets: &[u8], message: &Open, needles: &[Needle]) {
        let Some(part) = message
            .summary
            .as_ref()
            .and_then(|summary| summary.parts.get(self.part))
        else {
            self.left = 0..0;
            return;
        };
        if octets.is_empty() {
            self.left = 0..0;
            return;
        }
        self.left.start = self
            .left
            .start
            .saturating_add(octets.len() as u64)
            .min(self.left.end);
        let mut text = String::new();
        self.decoder
            .get_or_insert_with(|| TextDecoder::new(&part.content))
            .push(octets, &mut text);
        self.search(&text, needles);
    }

    fn end_part(&mut self, needles: &[Needle]) {
        if let Some(decoder) = self.decoder.take() {
            let mut text = String::new();
            decoder.finish(&mut text);
            self.search(&text, needles);
        }
        self.text.clear();
    }

    fn search(&mut self, text: &str, needles: &[Needle]) {
        self.text.push_str(&fold(text));
        for (found, needle) in self.found.iter_mut().zip(needles) {
            *found = *found || needle.is_in(&self.text);
        }
        let keep = needles.iter().map(Needle::len).max().unwrap_or(0);
        let mut cut = self.text.len().saturating_sub(keep);
        while !self.text.is_char_boundary(cut) {
            cut -= 1;
        }
        self.text.drain(..cut);
    }
}

/// The parts whose text is searched: text, and what has no type of its own; the
/// last comes first.
fn searched_parts(summary: &Summary) -> Vec<(usize, Range<u64>)> {
    // Leaves of type message, such as a notice's delivery status, are text too.
    let is_text = |part: &Part| {
        part.kind == PartKind::Leaf && matches!(&*part.content.media_type, "text" | "message")
    };
    let texts = summary
        .parts
        .iter()
        .enumerate()
        .filter(|(_, part)| is_text(part));
    texts
        .map(|(index, part)| (index, part.body_range()))
        .rev()
        .collect()
}
