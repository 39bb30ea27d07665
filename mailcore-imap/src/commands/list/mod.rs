//! LIST (RFC 3501 section 6.3.8, RFC 5258) and LSUB (RFC 3501 section 6.3.9),
//! with CHILDREN (RFC 3348) and SPECIAL-USE (RFC 6154) attributes and STATUS
//! (RFC 5819).

mod options;
mod select;

use std::vec;

use mailcore::mailbox::MailboxName;

use self::options::Options;
use super::{Progress, Run, Started, failure, status};
use crate::codec::{Cursor, ParseError};
use crate::session::{Answer, Context, Question};
use crate::types::{ListPattern, StatusItem};
use crate::wording::Status;

pub(super) fn start(cursor: &mut Cursor<'_>, cx: &mut Context) -> Result<Started, ParseError> {
    let options = options::parse(cursor)?;
    if options.root && !options.extended {
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
    /// The mailbox whose counters are awaited.
    counting: Option<MailboxName>,
}

/// One response.
#[derive(Debug)]
struct Listed {
    name: MailboxName,
    attributes: Vec<&'static str>,
    /// It can be selected, so it has counters.
    selectable: bool,
    /// Names below it are subscribed to and not listed themselves.
    child_info: bool,
}

impl List {
    fn new(kind: Kind) -> Self {
        Self {
            kind,
            asked: false,
            lines: Vec::new().into_iter(),
            counting: None,
        }
    }

    /// Takes an answer; `Err` with one that ends the command.
    fn take(&mut self, cx: &mut Context, answer: Answer) -> Result<(), Answer> {
        match (answer, self.counting.take(), &self.kind) {
            (Answer::Mailboxes(entries), None, Kind::List(options)) => {
                self.lines = select::list(&entries, options).into_iter();
            }
            (Answer::Mailboxes(entries), None, Kind::Lsub(pattern)) => {
                self.lines = select::lsub(&entries, pattern).into_iter();
            }
            (Answer::Status(counters), Some(name), Kind::List(options)) => {
                let items = &options.returns.status;
                status::respond(&mut cx.out.encoder(), &name, items, &counters);
            }
            // A mailbox that went away meanwhile has no counters.
            (Answer::Failed(_), Some(_), _) => {}
            (other, ..) => return Err(other),
        }
        Ok(())
    }

    /// True when the mailbox's counters are asked for, too.
    fn counts(&self, line: &Listed) -> bool {
        matches!(&self.kind, Kind::List(options) if !options.returns.status.is_empty())
            && line.selectable
    }
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
        while let Some(line) = self.lines.next() {
            let mut out = cx.out.encoder();
            out.raw("* ").raw(word).raw(" (");
            out.raw(&line.attributes.join(" ")).raw(") \"/\" ");
            out.mailbox(&line.name);
            if line.child_info {
                out.raw(" (\"CHILDINFO\" (\"SUBSCRIBED\"))");
            }
            out.crlf();
            if self.counts(&line) {
                self.counting = Some(line.name.clone());
                return Progress::Ask(Question::Status(line.name));
            }
            if cx.out.is_full() {
                return Progress::Flush;
            }
        }
        Progress::Done(Status::ok("Completed").into())
    }
}
