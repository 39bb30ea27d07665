//! CLOSE (RFC 3501 section 6.4.2) and UNSELECT (RFC 3691).

use super::{Progress, Run, Started};
use crate::codec::{Cursor, ParseError};
use crate::session::{Access, Answer, Context, Question};
use crate::wording::Status;

pub(super) fn start(cursor: &mut Cursor<'_>, _cx: &mut Context) -> Result<Started, ParseError> {
    cursor.end()?;
    Started::run(Close {
        next: Next::Expunge,
    })
}

pub(super) fn start_unselect(
    cursor: &mut Cursor<'_>,
    _cx: &mut Context,
) -> Result<Started, ParseError> {
    cursor.end()?;
    Started::run(Close { next: Next::Leave })
}

#[derive(Debug)]
enum Next {
    /// Remove deleted messages without a word, unless open read-only.
    Expunge,
    Leave,
    Left,
}

#[derive(Debug)]
struct Close {
    next: Next,
}

impl Run for Close {
    fn resume(&mut self, cx: &mut Context, _answer: Option<Answer>) -> Progress {
        // Whatever the answer is, the mailbox is left: the client can't stay.
        if let (Next::Expunge, Some(selected)) = (&self.next, cx.state.selected()) {
            self.next = Next::Leave;
            if selected.access == Access::ReadWrite {
                return Progress::Ask(Question::Expunge(selected.view.all()));
            }
        }
        if let Next::Left = self.next {
            return Progress::Done(Status::ok("Completed").into());
        }
        self.next = Next::Left;
        cx.state.select(None);
        Progress::Ask(Question::Close)
    }
}
