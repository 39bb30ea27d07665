//! LIST (RFC 9051 section 6.3.9, RFC 5258) and LSUB (RFC 3501 section 6.3.9),
//! with CHILDREN (RFC 3348) and SPECIAL-USE (RFC 6154) attributes, STATUS
//! (RFC 5819) and MYRIGHTS (RFC 8440).

mod options;
pub(super) mod renamed;
mod select;

use std::vec;

use mailcore::mailbox::MailboxName;

use self::options::Options;
use super::{Progress, Run, Started, failure, my_rights, status};
use crate::codec::{Cursor, ParseError};
use crate::session::{Answer, Context, Question, is_announced};
use crate::types::{Capability, ListPattern, StatusItem};
use crate::wording::Status;

pub(super) fn start(cursor: &mut Cursor<'_>, cx: &mut Context) -> Result<Started, ParseError> {
    let mut options = options::parse(cursor)?;
    if options.returns.my_rights && !is_announced(Capability::ListMyRights, cx) {
        return Err(ParseError::Expected("a return option"));
    }
    // To a client of the base protocol \NonExistent is no word.
    options.extended |= cx.revision().knows_nonexistent();
    if options.root {
        // The delimiter and the root of the reference are asked for.
        cx.out.untagged("LIST (\\Noselect) \"/\" \"\"");
        return Started::done(Status::ok("LIST completed"));
    }
    if options.returns.status.contains(&StatusItem::HighestModSeq) {
        cx.enable_condstore();
    }
    Started::run(List::new(Kind::List(options)))
}

/// `lsub = "LSUB" SP mailbox SP list-mailbox`
pub(super) fn start_lsub(
    cursor: &mut Cursor<'_>,
    _cx: &mut Context,
) -> Result<Started, ParseError> {
    cursor.space()?;
    let reference = cursor.mailbox_text()?;
    cursor.space()?;
    let mailbox = cursor.list_mailbox()?;
    cursor.end()?;
    let pattern =
        ListPattern::new(&reference, &mailbox).ok_or(ParseError::TooMuch("octets in a pattern"))?;
    Started::run(List::new(Kind::Lsub(pattern)))
}

/// Which of the two.
#[derive(Debug)]
enum Kind {
    List(Options),
    Lsub(ListPattern),
}

#[derive(Debug)]
struct List {
    kind: Kind,
    asked: bool,
    lines: vec::IntoIter<Listed>,
    /// The mailbox told last, and what else is to be told of it.
    asking: Option<(MailboxName, vec::IntoIter<Ask>)>,
}

/// One response.
#[derive(Debug)]
struct Listed {
    name: MailboxName,
    attributes: Vec<&'static str>,
    /// It can be selected, so it has counters.
    selectable: bool,
    /// It is what was asked for, not only above it.
    selected: bool,
    /// Names below it are subscribed to and not listed themselves.
    child_info: bool,
}

impl List {
    fn new(kind: Kind) -> Self {
        Self {
            kind,
            asked: false,
            lines: Vec::new().into_iter(),
            asking: None,
        }
    }

    /// Takes an answer; `Err` with one that ends the command.
    fn take(&mut self, cx: &mut Context, answer: Answer) -> Result<(), Answer> {
        match (answer, &self.asking, &self.kind) {
            (Answer::Mailboxes(entries), None, Kind::List(options)) => {
                self.lines = select::list(&entries, options).into_iter();
            }
            (Answer::Mailboxes(entries), None, Kind::Lsub(pattern)) => {
                self.lines = select::lsub(&entries, pattern).into_iter();
            }
            (Answer::Status(counters), Some((name, _)), Kind::List(options)) => {
                status::respond(cx, name, &options.returns.status, &counters);
            }
            (Answer::Rights(rights), Some((name, _)), _) => {
                my_rights::respond(&mut cx.out.encoder(), name, rights);
            }
            // A mailbox that went away meanwhile has neither.
            (Answer::Failed(_), Some(_), _) => {}
            (other, ..) => return Err(other),
        }
        Ok(())
    }

    /// What is told of a mailbox behind its line.
    fn asks(&self, line: &Listed) -> Vec<Ask> {
        let Kind::List(options) = &self.kind else {
            return Vec::new();
        };
        let told = line.selectable && line.selected;
        let status = (told && !options.returns.status.is_empty()).then_some(Ask::Status);
        let rights = (told && options.returns.my_rights).then_some(Ask::MyRights);
        status.into_iter().chain(rights).collect()
    }

    /// The next question about the mailbox told last.
    fn next_question(&mut self) -> Option<Question> {
        let (name, asks) = self.asking.as_mut()?;
        match asks.next() {
            Some(Ask::Status) => Some(Question::Status(name.clone())),
            Some(Ask::MyRights) => Some(Question::MyRights(name.clone())),
            None => {
                self.asking = None;
                None
            }
        }
    }
}

/// What a return option asks of each mailbox.
#[derive(Debug, Clone, Copy)]
enum Ask {
    Status,
    MyRights,
}

impl Run for List {
    fn resume(&mut self, cx: &mut Context, answer: Option<Answer>) -> Progress {
        if !std::mem::replace(&mut self.asked, true) {
            return Progress::Ask(Question::Mailboxes);
        }
        if let Some(answer) = answer
            && let Err(other) = self.take(cx, answer)
        {
            return Progress::Done(failure(&other).into());
        }
        let word = match self.kind {
            Kind::List(_) => "LIST",
            Kind::Lsub(_) => "LSUB",
        };
        if let Some(question) = self.next_question() {
            return Progress::Ask(question);
        }
        while let Some(line) = self.lines.next() {
            let mut out = cx.out.encoder();
            out.raw("* ").raw(word).raw(" (");
            out.raw(&line.attributes.join(" ")).raw(") \"/\" ");
            out.mailbox(&line.name);
            if line.child_info {
                out.raw(" (\"CHILDINFO\" (\"SUBSCRIBED\"))");
            }
            out.crlf();
            let asks = self.asks(&line);
            if !asks.is_empty() {
                self.asking = Some((line.name, asks.into_iter()));
                if let Some(question) = self.next_question() {
                    return Progress::Ask(question);
                }
            }
            if cx.out.is_full() {
                return Progress::Flush;
            }
        }
        Progress::Done(Status::ok("Completed").into())
    }
}
