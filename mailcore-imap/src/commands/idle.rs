//! IDLE (RFC 2177).

use mailcore::wire::Line;

use super::{Progress, Run, Started};
use crate::codec::{Cursor, ParseError};
use crate::session::{Answer, Context, Expunges, Sync, SyncStep, Telling, while_idle};
use crate::wording::{self, Status};

/// Octets of the line that ends it, with room for white space.
const MAX_LINE: usize = 64;

/// `idle = "IDLE" CRLF "DONE"`
pub(super) fn start(cursor: &mut Cursor<'_>, cx: &mut Context) -> Result<Started, ParseError> {
    cursor.end()?;
    cx.out.continuation(wording::IDLING);
    let first = match cx.notify {
        None => Some(Telling::selected(Sync::new(Expunges::Allowed, true))),
        Some(_) => while_idle(cx),
    };
    Started::run(Idle { telling: first })
}

/// Waits for DONE and tells what changes meanwhile.
#[derive(Debug)]
struct Idle {
    telling: Option<Telling>,
}

impl Run for Idle {
    fn resume(&mut self, cx: &mut Context, answer: Option<Answer>) -> Progress {
        let mut answer = answer;
        loop {
            if let Some(telling) = &mut self.telling {
                match telling.resume(cx, answer.take()) {
                    SyncStep::Ask(question) => return Progress::Ask(question),
                    SyncStep::Flush => return Progress::Flush,
                    SyncStep::Done => {}
                    SyncStep::Gone => {
                        if let Some(selected) = cx.state.selected() {
                            selected.gone = true;
                        }
                    }
                }
                self.telling = None;
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
            self.telling = while_idle(cx);
            if self.telling.is_none() {
                return Progress::Read(None);
            }
        }
    }
}
