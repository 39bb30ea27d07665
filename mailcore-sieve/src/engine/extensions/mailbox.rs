//! `mailbox` (RFC 5490 section 3): which mailboxes are there, and making them.
//! `:create` is [`PlaceTags`](crate::engine::place::PlaceTags)'s.

use super::{Extension, WITH_MAILBOXES};
use crate::engine::ast::Test;
use crate::engine::compile::{Args, Compile, Known, Texts, values};
use crate::engine::program::Instruction;
use crate::engine::run::{Context, Fault, Flow};
use crate::engine::{CompileError, Question};

pub(super) static MAILBOX: Extension = Extension::new("mailbox")
    .tests(&[("mailboxexists", mailboxexists)])
    .at(WITH_MAILBOXES);

fn mailboxexists(cx: &mut Compile<'_>, test: &Test) -> Result<Known, CompileError> {
    let mut args = Args::test(test)?;
    let mailboxes = args.texts(cx, "a list of mailboxes")?;
    args.end()?;
    Ok(cx.emit_test(MailboxExists(mailboxes)))
}

#[derive(Debug)]
struct MailboxExists(Texts);

impl Instruction for MailboxExists {
    fn run(&self, cx: &mut Context<'_>) -> Result<Flow, Fault> {
        if let Some(yes) = cx.yes()? {
            return Ok(Flow::Result(yes));
        }
        Ok(Flow::Ask(Question::MailboxesExist(strings(&self.0, cx)?)))
    }
}

/// The strings of a question.
pub(super) fn strings(texts: &Texts, cx: &mut Context<'_>) -> Result<Vec<String>, Fault> {
    let texts = values(texts, cx)?;
    Ok(texts.iter().map(|text| text.to_string()).collect())
}
