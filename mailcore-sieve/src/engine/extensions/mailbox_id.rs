//! `mailboxid` (RFC 9042): mailboxes by an id that renaming leaves alone.
//! `:mailboxid` is [`PlaceTags`](crate::engine::place::PlaceTags)'s.

use super::mailbox::strings;
use super::{Extension, WITH_MAILBOXES};
use crate::engine::ast::Test;
use crate::engine::compile::{Args, Compile, Known, Texts};
use crate::engine::program::Instruction;
use crate::engine::run::{Context, Fault, Flow};
use crate::engine::{CompileError, Question};

pub(super) static MAILBOX_ID: Extension = Extension::new("mailboxid")
    .tests(&[("mailboxidexists", mailboxidexists)])
    .at(WITH_MAILBOXES);

fn mailboxidexists(cx: &mut Compile<'_>, test: &Test) -> Result<Known, CompileError> {
    let mut args = Args::test(test)?;
    let ids = args.texts(cx, "a list of mailbox ids")?;
    args.end()?;
    Ok(cx.emit_test(MailboxIdExists(ids)))
}

#[derive(Debug)]
struct MailboxIdExists(Texts);

impl Instruction for MailboxIdExists {
    fn run(&self, cx: &mut Context<'_>) -> Result<Flow, Fault> {
        if let Some(yes) = cx.yes()? {
            return Ok(Flow::Result(yes));
        }
        Ok(Flow::Ask(Question::MailboxIdsExist(strings(&self.0, cx)?)))
    }
}
