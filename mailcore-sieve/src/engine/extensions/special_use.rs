//! `special-use` (RFC 8579): mailboxes by what they are for, whatever they are
//! called. `:specialuse` is [`PlaceTags`](crate::engine::place::PlaceTags)'s.

use super::mailbox::strings;
use super::{Extension, WITH_MAILBOXES};
use crate::engine::ast::Test;
use crate::engine::compile::{Args, Compile, Known, Text, Texts};
use crate::engine::program::Instruction;
use crate::engine::run::{Context, Fault, Flow};
use crate::engine::{CompileError, Question};

pub(super) static SPECIAL_USE: Extension = Extension::new("special-use")
    .tests(&[("specialuse_exists", specialuse_exists)])
    .at(WITH_MAILBOXES);

fn specialuse_exists(cx: &mut Compile<'_>, test: &Test) -> Result<Known, CompileError> {
    let mut args = Args::test(test)?;
    let mailbox = match args.left() {
        2.. => Some(args.text(cx, "a mailbox")?),
        _ => None,
    };
    let uses = args.texts(cx, "a list of special uses, such as \"\\\\Junk\"")?;
    args.end()?;
    Ok(cx.emit_test(SpecialUseExists { mailbox, uses }))
}

#[derive(Debug)]
struct SpecialUseExists {
    mailbox: Option<Text>,
    uses: Texts,
}

impl Instruction for SpecialUseExists {
    fn run(&self, cx: &mut Context<'_>) -> Result<Flow, Fault> {
        if let Some(yes) = cx.yes()? {
            return Ok(Flow::Result(yes));
        }
        let mailbox = match &self.mailbox {
            Some(mailbox) => Some(mailbox.value(cx)?.to_string()),
            None => None,
        };
        let uses = strings(&self.uses, cx)?;
        Ok(Flow::Ask(Question::SpecialUsesExist { mailbox, uses }))
    }
}
