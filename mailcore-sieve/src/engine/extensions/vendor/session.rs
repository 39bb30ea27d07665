//! `vnd.mailcore.session`: what a session's scripts decide. Each action ends its
//! script: `accept`, `error "why"`, `defer "why"`, `disconnect "why"`; once there
//! is a message, `quarantine "why"` as well.

use super::super::{Extension, IN_SESSION};
use crate::engine::ast::Command;
use crate::engine::compile::{Args, Compile, Text};
use crate::engine::program::{Instruction, Op};
use crate::engine::run::{Context, Fault, Flow, Keep};
use crate::engine::{Action, CompileError, Event, Reject, RejectKind};

pub(in super::super) static SESSION: Extension = Extension::new("vnd.mailcore.session")
    .commands(&[
        ("accept", accept),
        ("error", error),
        ("defer", defer),
        ("disconnect", disconnect),
        ("quarantine", quarantine),
    ])
    .at(IN_SESSION);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Decision {
    Accept,
    Refuse(RejectKind),
    Disconnect,
    Quarantine,
}

fn accept(cx: &mut Compile<'_>, command: &Command) -> Result<(), CompileError> {
    Args::command(command)?.end()?;
    let reason = cx.text("", command.at)?;
    decide(cx, Decision::Accept, reason);
    Ok(())
}

fn error(cx: &mut Compile<'_>, command: &Command) -> Result<(), CompileError> {
    with_reason(cx, command, Decision::Refuse(RejectKind::Ereject))
}

fn defer(cx: &mut Compile<'_>, command: &Command) -> Result<(), CompileError> {
    with_reason(cx, command, Decision::Refuse(RejectKind::Defer))
}

fn disconnect(cx: &mut Compile<'_>, command: &Command) -> Result<(), CompileError> {
    with_reason(cx, command, Decision::Disconnect)
}

fn quarantine(cx: &mut Compile<'_>, command: &Command) -> Result<(), CompileError> {
    if cx.event() != Event::Data {
        let event = cx.event().as_str();
        let words = format!("there is no message yet at `{event}`: `quarantine` is for `data`");
        return Err(CompileError::new(command.at, words));
    }
    with_reason(cx, command, Decision::Quarantine)
}

fn with_reason(
    cx: &mut Compile<'_>,
    command: &Command,
    decision: Decision,
) -> Result<(), CompileError> {
    let mut args = Args::command(command)?;
    let reason = args.text(cx, "the reason, as a string")?;
    args.end()?;
    decide(cx, decision, reason);
    Ok(())
}

fn decide(cx: &mut Compile<'_>, decision: Decision, reason: Text) {
    cx.emit(Decide { decision, reason });
    cx.op(Op::Stop);
}

#[derive(Debug)]
struct Decide {
    decision: Decision,
    reason: Text,
}

impl Instruction for Decide {
    fn run(&self, cx: &mut Context<'_>) -> Result<Flow, Fault> {
        let reason = self.reason.value(cx)?.to_string();
        let action = match self.decision {
            Decision::Accept => Action::Accept,
            Decision::Refuse(kind) => Action::Reject(Reject { reason, kind }),
            Decision::Disconnect => Action::Disconnect { reason },
            Decision::Quarantine => Action::Quarantine { reason },
        };
        cx.act(action, Keep::Cancelled)?;
        Ok(Flow::Next)
    }
}
