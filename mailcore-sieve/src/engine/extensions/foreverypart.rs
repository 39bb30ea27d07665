//! `foreverypart` (RFC 5703 section 3): loops over a message's parts, and `break`.

use super::Extension;
use crate::engine::CompileError;
use crate::engine::ast::Command;
use crate::engine::compile::{Args, Compile};
use crate::engine::program::Instruction;
use crate::engine::run::{Context, Fault, Flow, Loop};

pub(super) static FOREVERYPART: Extension = Extension::new("foreverypart")
    .commands(&[("foreverypart", compile_loop), ("break", compile_break)]);

/// Loops within loops.
const MAX_LOOPS: usize = 4;

fn compile_loop(cx: &mut Compile<'_>, command: &Command) -> Result<(), CompileError> {
    let mut args = Args::control(command);
    let name = args.tag_fixed(cx, "name")?.map(|(name, _)| name.to_owned());
    args.end()?;
    if let Some(test) = command.tests.first() {
        let words = "`foreverypart` takes no test: write an `if` within its block";
        return Err(CompileError::new(test.at, words));
    }
    let Some(block) = &command.block else {
        let words = "`foreverypart` needs a block: write `{ ... }` instead of `;`";
        return Err(CompileError::new(command.at, words));
    };
    if cx.loops.len() >= MAX_LOOPS {
        let words = format!("more than {MAX_LOOPS} loops within loops: use fewer");
        return Err(CompileError::new(command.at, words));
    }
    cx.needs.parts = true;
    let (top, end) = (cx.label(), cx.label());
    cx.emit(Begin);
    cx.place(top);
    cx.emit(Next);
    cx.jump_unless(end);
    cx.loops.push((name, end));
    let compiled = cx.block(block);
    cx.loops.pop();
    compiled?;
    cx.jump(top);
    cx.place(end);
    cx.emit(End);
    Ok(())
}

fn compile_break(cx: &mut Compile<'_>, command: &Command) -> Result<(), CompileError> {
    let mut args = Args::command(command)?;
    let name = args.tag_fixed(cx, "name")?.map(|(name, _)| name);
    args.end()?;
    let is_it = |(own, _): &(Option<String>, _)| name.is_none() || own.as_deref() == name;
    let Some(depth) = cx.loops.iter().rposition(is_it) else {
        let words = match name {
            None => "`break` stands within the block of a `foreverypart` alone".to_owned(),
            Some(name) => format!(
                "no loop of the name \"{}\" is open here",
                name.escape_debug()
            ),
        };
        return Err(CompileError::new(command.at, words));
    };
    if let Some((_, end)) = cx.loops.get(depth) {
        let end = *end;
        cx.emit(Break { left: depth + 1 });
        cx.jump(end);
    }
    Ok(())
}

#[derive(Debug)]
struct Begin;

impl Instruction for Begin {
    fn run(&self, cx: &mut Context<'_>) -> Result<Flow, Fault> {
        let parts = cx.message().parts();
        let around = cx.frames.last().and_then(|frame| frame.loops.last());
        // The parts of a part are those within it, those of a message all there are.
        let new = match around {
            None => Loop {
                part: 0,
                next: 0,
                end: parts.len(),
            },
            Some(around) => Loop {
                part: around.part,
                next: around.part + 1,
                end: parts.get(around.part).map_or(0, |part| part.end),
            },
        };
        if let Some(frame) = cx.frames.last_mut() {
            frame.loops.push(new);
        }
        Ok(Flow::Next)
    }
}

#[derive(Debug)]
struct Next;

impl Instruction for Next {
    fn run(&self, cx: &mut Context<'_>) -> Result<Flow, Fault> {
        let innermost = cx
            .frames
            .last_mut()
            .and_then(|frame| frame.loops.last_mut());
        let Some(innermost) = innermost.filter(|inner| inner.next < inner.end) else {
            return Ok(Flow::Result(false));
        };
        innermost.part = innermost.next;
        innermost.next += 1;
        Ok(Flow::Result(true))
    }
}

#[derive(Debug)]
struct End;

impl Instruction for End {
    fn run(&self, cx: &mut Context<'_>) -> Result<Flow, Fault> {
        if let Some(frame) = cx.frames.last_mut() {
            frame.loops.pop();
        }
        Ok(Flow::Next)
    }
}

/// Leaves the loops within the one that ends.
#[derive(Debug)]
struct Break {
    left: usize,
}

impl Instruction for Break {
    fn run(&self, cx: &mut Context<'_>) -> Result<Flow, Fault> {
        if let Some(frame) = cx.frames.last_mut() {
            frame.loops.truncate(self.left);
        }
        Ok(Flow::Next)
    }
}
