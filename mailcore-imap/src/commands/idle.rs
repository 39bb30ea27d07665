//! IDLE (RFC 2177).

use mailcore::wire::Line;

use super::{Progress, Run, Started};
use crate::codec::{Cursor, ParseError};
use crate::session::{Answer, Context, Expunges, Sync, SyncStep};
use crate::wording::{self, Status};

/// Octets of the line that ends it, with room for white space.
const MAX_LINE: usize = 64;

/// `idle = "IDLE" CRLF "DONE"`
pub(super) fn start(cursor: &mut Cursor<'_>, cx: &mut Context) -> Result<Started, ParseError> {
    cursor.end()?;
    cx.out.continuation(wording::IDLING);
    Started::run(Idle {
        sync: Some(Sync::new(Expunges::Allowed, true)),
    })
}

/// Waits for DONE and tells what changes meanwhile.
#[derive(Debug)]
struct Idle {
    sync: Option<Sync>,
}

impl Run for Idle {
    fn resume(&mut self, cx: &mut Context, answer: Option<Answer>) -> Progress {
        let mut answer = answer;
        loop {
            if let Some(sync) = &mut self.sync {
                match sync.resume(cx, answer.take()) {
                    SyncStep::Ask(question) => return Progress::Ask(question),
                    SyncStep::Flush => return Progress::Flush,
                    SyncStep::Done => {}
                    SyncStep::Gone => {
                        if let Some(selected) = cx.state.selected() {
                            selected.gone = true;
                        }
                    }
                }
                self.sync = None;
            }
            match cx.input.line(MAX_LINE) {
                Line::Complete(line) if line.trim_ascii().eq_ignore_ascii_case(b"DONE") => {
                    return Progress::Done(Status::ok("IDLE completed").into());
                }
                Line::Complete(_) | Line::BareLf(_) => {
                    return Progress::Done(Status::bad("Only DONE ends IDLE").into());
                }
                Line::TooLong => {
                    cx.out.bye(wording::BYE_TOO_LONG);
                    return Progress::Drop;
                }
                Line::Incomplete => {}
            }
            if !cx
                .state
                .selected()
                .is_some_and(|selected| selected.has_news() && !selected.gone)
            {
                return Progress::Read(None);
            }
            self.sync = Some(Sync::new(Expunges::Allowed, false));
        }
    }
}
