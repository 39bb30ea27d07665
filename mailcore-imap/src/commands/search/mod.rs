//! SEARCH (RFC 9051 section 6.4.4, RFC 3501 section 6.4.4): judges messages batch
//! by batch, reading of each only what the program needs.

mod content;
mod respond;

use std::sync::Arc;

use mailcore::mailbox::{MessageInfo, ModSeq, Uid, UidSet};
use mailcore::message::Summary;
use mailcore::seams::Excerpt;

use self::content::Content;

use super::messages::Batches;
use super::{Addressing, Progress, Run, Started, failure};
use crate::codec::{Cursor, ParseError};
use crate::search::{HeaderText, Judge, Known, Reads};
use crate::session::{Answer, Context, Naming, Question};
use crate::types::Extension;
use crate::types::search::SearchReturn;
use crate::wording;

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
    let returns = cursor.search_returns()?;
    cursor.space()?;
    if cx.enabled.has(Extension::Utf8Accept) && cursor.clone().eat_word("CHARSET") {
        // RFC 6855 section 3: two charsets could contradict each other.
        return Err(ParseError::Expected("no CHARSET after ENABLE UTF8=ACCEPT"));
    }
    let program = cursor.search_program();
    let Some(selected) = cx.state.selected() else {
        return Started::done(wording::wrong_state());
    };
    if program == Err(ParseError::BadCharset) && returns.is_some_and(|it| it.save) {
        // A SAVE that is answered NO saves nothing (RFC 9051 section 6.4.4.1).
        selected.saved = UidSet::EMPTY;
    }
    let program = program?;
    cursor.end()?;
    let judge = Judge::new(program, &selected.view, &selected.saved);
    let candidates = judge.candidates(&selected.view);
    if judge.uses_numbers() && cx.naming() == Naming::Uids {
        return Started::done(wording::uid_required());
    }
    if judge.uses_modseq() && !cx.enable_condstore() {
        return Started::done(crate::wording::no_modseq());
    }
    let batches = Batches::new(&cx.limit(candidates));
    Started::run(Search {
        judge,
        addressing,
        returns: returns.or_else(|| cx.revision().search_returns()),
        total: batches.left(),
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
    /// What is told; the older response when nothing says.
    returns: Option<SearchReturn>,
    batches: Batches,
    /// Messages to look at.
    total: u64,
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
                let headers = self.open.iter().map(|it| {
                    let header = Excerpt::Range(0..it.header_len());
                    (it.row.uid, header)
                });
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
            (Phase::Next, Answer::Now(now)) => self.judge.at(now),
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
}

impl Run for Search {
    fn resume(&mut self, cx: &mut Context, answer: Option<Answer>) -> Progress {
        if let Some(answer) = answer
            && let Err(other) = self.take(cx, answer)
        {
            self.forget_saved(cx);
            return Progress::Done(failure(&other).into());
        }
        if self.judge.needs_now() {
            return Progress::Ask(Question::Now);
        }
        if let Some(question) = self.next_question() {
            return Progress::Ask(question);
        }
        Progress::Done(self.respond(cx).into())
    }

    fn done_of(&self) -> Option<(u64, u64)> {
        let left = self.batches.left().saturating_add(self.open.len() as u64);
        Some((self.total.saturating_sub(left), self.total))
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
