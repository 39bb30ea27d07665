//! `reject` and `ereject` (RFC 5429): mail is refused, and its sender is told why.
//! How that is done is the host's, who knows whether the sender still waits.

use super::{BEFORE_STORE, Extension};
use crate::engine::ast::Command;
use crate::engine::compile::{Args, Compile, Text};
use crate::engine::program::Instruction;
use crate::engine::run::{Context, Fault, Flow, Keep};
use crate::engine::{Action, CompileError, Reject, RejectKind};

// RFC 5429 section 2.1: not where nobody waits for a reply.
pub(super) static REJECT: Extension = Extension::new("reject")
    .commands(&[("reject", reject)])
    .at(BEFORE_STORE);

pub(super) static EREJECT: Extension = Extension::new("ereject")
    .commands(&[("ereject", ereject)])
    .at(BEFORE_STORE);

fn reject(cx: &mut Compile<'_>, command: &Command) -> Result<(), CompileError> {
    refuse(cx, command, RejectKind::Reject)
}

fn ereject(cx: &mut Compile<'_>, command: &Command) -> Result<(), CompileError> {
    refuse(cx, command, RejectKind::Ereject)
}

/// A command that refuses with words.
pub(super) fn refuse(
    cx: &mut Compile<'_>,
    command: &Command,
    kind: RejectKind,
) -> Result<(), CompileError> {
    let mut args = Args::command(command)?;
    let reason = args.text(cx, "the reason, as a string")?;
    args.end()?;
    cx.emit(Refuse { reason, kind });
    Ok(())
}

#[derive(Debug)]
struct Refuse {
    reason: Text,
    kind: RejectKind,
}

impl Instruction for Refuse {
    fn run(&self, cx: &mut Context<'_>) -> Result<Flow, Fault> {
        let reject = Reject {
            reason: self.reason.value(cx)?.to_string(),
            kind: self.kind,
        };
        cx.act(Action::Reject(reject), Keep::Cancelled)?;
        Ok(Flow::Next)
    }
}
