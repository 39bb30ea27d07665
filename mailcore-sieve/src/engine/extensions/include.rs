//! `include`, `return` and `global` (RFC 6609).

use std::sync::Arc;

use super::Extension;
use crate::engine::ast::Command;
use crate::engine::compile::{Args, Compile};
use crate::engine::program::{Instruction, Op};
use crate::engine::run::{Context, Fault, Flow, Frame, mistaken};
use crate::engine::{Answer, CompileError, Event, Location, Question};

pub(super) static INCLUDE: Extension = Extension::new("include")
    .commands(&[
        ("include", compile_include),
        ("return", compile_return),
        ("global", compile_global),
    ])
    .at(&Event::ALL);

/// Octets of a script's name (RFC 5804 section 1.6 asks for 512 at least).
const NAME: usize = 512;

#[derive(Debug)]
struct Include {
    name: Arc<str>,
    location: Location,
    repeat: Repeat,
    missing: Missing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Repeat {
    Always,
    Once,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Missing {
    Fails,
    Ignored,
}

fn compile_include(cx: &mut Compile<'_>, command: &Command) -> Result<(), CompileError> {
    let mut args = Args::command(command)?;
    let personal = args.flag(cx, "personal")?;
    let location = match (personal, args.flag(cx, "global")?) {
        (Some(_), Some(at)) => {
            return Err(CompileError::new(
                at,
                "`:personal` and `:global` can't go together: choose one",
            ));
        }
        (None, Some(_)) => Location::Global,
        (_, None) => Location::Personal,
    };
    let repeat = match args.flag(cx, "once")? {
        Some(_) => Repeat::Once,
        None => Repeat::Always,
    };
    let missing = match args.flag(cx, "optional")? {
        Some(_) => Missing::Ignored,
        None => Missing::Fails,
    };
    let (name, at) = args.fixed("the name of a script")?;
    args.end()?;
    cx.constant(name, at)?;
    if name.is_empty() || name.len() > NAME || name.contains(char::is_control) {
        return Err(CompileError::new(
            at,
            "this can't be the name of a script: write one without control characters",
        ));
    }
    cx.needs.include = true;
    let name = cx.intern(name);
    cx.emit(Include {
        name,
        location,
        repeat,
        missing,
    });
    Ok(())
}

impl Instruction for Include {
    fn run(&self, cx: &mut Context<'_>) -> Result<Flow, Fault> {
        let this = (self.location, Arc::clone(&self.name));
        match cx.answer() {
            None => {
                cx.look(cx.included.len() * 16)?;
                if self.repeat == Repeat::Once && cx.included.contains(&this) {
                    return Ok(Flow::Next);
                }
                if cx
                    .frames
                    .iter()
                    .any(|frame| frame.included.as_ref() == Some(&this))
                {
                    return Err(Fault::new(format!(
                        "the script `{}` includes itself",
                        self.name
                    )));
                }
                let most = cx.limits.includes;
                if cx.included.len() >= most {
                    return Err(Fault::new(format!("more than {most} scripts are included")));
                }
                Ok(Flow::Ask(Question::Include {
                    name: self.name.to_string(),
                    location: self.location,
                }))
            }
            Some(Answer::Program(program)) => {
                cx.included.push(this.clone());
                Ok(Flow::Call(Frame::new(program, Some(this))))
            }
            Some(Answer::No) if self.missing == Missing::Ignored => Ok(Flow::Next),
            Some(Answer::No) => Err(Fault::new(format!(
                "the script `{}` is missing or does not compile",
                self.name
            ))),
            Some(_) => Err(mistaken()),
        }
    }
}

/// RFC 6609 section 3.3.
fn compile_return(cx: &mut Compile<'_>, command: &Command) -> Result<(), CompileError> {
    Args::command(command)?.end()?;
    cx.op(Op::Return);
    Ok(())
}

/// RFC 6609 section 3.4.1.
fn compile_global(cx: &mut Compile<'_>, command: &Command) -> Result<(), CompileError> {
    let mut args = Args::command(command)?;
    let (names, at) = args.fixed_list("the names of variables")?;
    args.end()?;
    cx.demand("variables", "global", command.at)?;
    for name in names {
        cx.declare_global(name, at)?;
    }
    Ok(())
}
