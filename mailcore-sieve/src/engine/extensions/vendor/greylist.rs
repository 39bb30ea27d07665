//! `vnd.mailcore.greylist`: the action `greylist`. A peer, sender and recipient
//! that were not seen together before must come again later; others go on. It ends
//! the script for those who must. Before there is a recipient the host keeps in
//! mind that this session is to be greylisted.

use super::super::{Extension, IN_SESSION};
use crate::engine::ast::Command;
use crate::engine::compile::{Args, Compile};
use crate::engine::program::{Instruction, Op};
use crate::engine::run::{Context, Fault, Flow, Keep};
use crate::engine::{Action, CompileError, Question, Reject, RejectKind};

pub(in super::super) static GREYLIST: Extension = Extension::new("vnd.mailcore.greylist")
    .commands(&[("greylist", greylist)])
    .at(IN_SESSION);

fn greylist(cx: &mut Compile<'_>, command: &Command) -> Result<(), CompileError> {
    Args::command(command)?.end()?;
    cx.needs.recipient = true;
    let end = cx.label();
    cx.emit(MustWait);
    cx.jump_unless(end);
    cx.emit(PutOff);
    cx.op(Op::Stop);
    cx.place(end);
    Ok(())
}

#[derive(Debug)]
struct MustWait;

impl Instruction for MustWait {
    fn run(&self, cx: &mut Context<'_>) -> Result<Flow, Fault> {
        Ok(match cx.yes()? {
            Some(yes) => Flow::Result(yes),
            None => Flow::Ask(Question::Greylist),
        })
    }
}

#[derive(Debug)]
struct PutOff;

impl Instruction for PutOff {
    fn run(&self, cx: &mut Context<'_>) -> Result<Flow, Fault> {
        let reject = Reject {
            reason: "this sender is new here; try again later".to_owned(),
            kind: RejectKind::Defer,
        };
        cx.act(Action::Reject(reject), Keep::Cancelled)?;
        Ok(Flow::Next)
    }
}
