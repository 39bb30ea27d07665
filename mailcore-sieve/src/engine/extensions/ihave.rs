//! `ihave` (RFC 5463): the test for extensions, and `error`.
//!
//! What is there is known when a script is compiled, so that a branch which needs
//! what is not there is never compiled.

use super::Extension;
use crate::engine::ast::{Command, Test};
use crate::engine::compile::{Args, Compile, Known, Text};
use crate::engine::program::Instruction;
use crate::engine::run::{Context, Fault, Flow};
use crate::engine::{CompileError, Event};

pub(super) static IHAVE: Extension = Extension::new("ihave")
    .commands(&[("error", compile_error)])
    .tests(&[("ihave", compile_ihave)])
    .at(&Event::ALL);

/// These change how scripts are read, and can't be turned on within one.
const NEVER: &[&str] = &["encoded-character", "variables"];

fn compile_ihave(cx: &mut Compile<'_>, test: &Test) -> Result<Known, CompileError> {
    let mut args = Args::test(test)?;
    let (names, at) = args.fixed_list("the names of extensions")?;
    args.end()?;
    let mut found = Vec::new();
    for name in names {
        cx.constant(name, at)?;
        let there = cx
            .available(name)
            .filter(|entry| !NEVER.contains(&entry.name) || cx.requires(entry.name));
        match there {
            Some(extension) => found.push(extension),
            None => return Ok(Known::False),
        }
    }
    for extension in found {
        cx.require(extension);
    }
    Ok(Known::True)
}

#[derive(Debug)]
struct Error {
    words: Text,
}

/// RFC 5463 section 5.
fn compile_error(cx: &mut Compile<'_>, command: &Command) -> Result<(), CompileError> {
    let mut args = Args::command(command)?;
    let words = args.text(cx, "words for the error")?;
    args.end()?;
    cx.emit(Error { words });
    Ok(())
}

impl Instruction for Error {
    fn run(&self, cx: &mut Context<'_>) -> Result<Flow, Fault> {
        Err(Fault::new(&*self.words.value(cx)?))
    }
}
