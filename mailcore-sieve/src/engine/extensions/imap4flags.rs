//! `imap4flags` (RFC 5232): the flags that copies are filed with. Actions without
//! `:flags` take those of the internal variable.

use std::sync::Arc;

use super::{Extension, WITH_MESSAGE};
use crate::engine::CompileError;
use crate::engine::ast::{Command, Test};
use crate::engine::compile::{Args, Compile, Known, Texts, Variable, values};
use crate::engine::flag_set::{FlagSet, words};
use crate::engine::matching::{Matching, Options};
use crate::engine::program::Instruction;
use crate::engine::run::{Context, Fault, Flow};

pub(super) static IMAP4FLAGS: Extension = Extension::new("imap4flags")
    .commands(&[
        ("setflag", setflag),
        ("addflag", addflag),
        ("removeflag", removeflag),
    ])
    .tests(&[("hasflag", hasflag)])
    .at(WITH_MESSAGE);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Set,
    Add,
    Remove,
}

fn setflag(cx: &mut Compile<'_>, command: &Command) -> Result<(), CompileError> {
    change(cx, command, Change::Set)
}

fn addflag(cx: &mut Compile<'_>, command: &Command) -> Result<(), CompileError> {
    change(cx, command, Change::Add)
}

fn removeflag(cx: &mut Compile<'_>, command: &Command) -> Result<(), CompileError> {
    change(cx, command, Change::Remove)
}

fn change(cx: &mut Compile<'_>, command: &Command, how: Change) -> Result<(), CompileError> {
    let mut args = Args::command(command)?;
    let variable = match args.left() {
        2.. => {
            let (name, at) = args.fixed("the name of a variable")?;
            cx.demand("variables", "a variable's name", at)?;
            Some(cx.variable(name, at)?)
        }
        _ => None,
    };
    let flags = args.texts(cx, "a list of flags, such as \"\\\\Seen\"")?;
    args.end()?;
    cx.emit(ChangeFlags {
        variable,
        how,
        flags,
    });
    Ok(())
}

#[derive(Debug)]
struct ChangeFlags {
    variable: Option<Variable>,
    how: Change,
    flags: Texts,
}

impl Instruction for ChangeFlags {
    fn run(&self, cx: &mut Context<'_>) -> Result<Flow, Fault> {
        let limit = cx.limits.variable;
        let mut set = match (self.how, &self.variable) {
            (Change::Set, _) => FlagSet::default(),
            (_, Some(variable)) => FlagSet::of([cx.variable(variable)], limit),
            (_, None) => FlagSet::of(&cx.flags, limit),
        };
        let texts = values(&self.flags, cx)?;
        for text in &texts {
            // Each flag is compared with each other one.
            cx.look(text.len().saturating_mul(set.len().max(1)))?;
            match self.how {
                Change::Remove => set.remove([text]),
                Change::Set | Change::Add => set.add([text], limit),
            }
        }
        match &self.variable {
            Some(variable) => cx.set_variable(variable, &set.to_string())?,
            None => cx.flags = set.into_vec(),
        }
        Ok(Flow::Next)
    }
}

fn hasflag(cx: &mut Compile<'_>, test: &Test) -> Result<Known, CompileError> {
    let mut args = Args::test(test)?;
    let options = Options::take(cx, &mut args)?;
    let variables = match args.left() {
        2.. => {
            let (names, at) = args.fixed_list("the names of variables")?;
            cx.demand("variables", "a variable's name", at)?;
            let named = names.iter().map(|name| cx.variable(name, at));
            Some(named.collect::<Result<Box<[_]>, _>>()?)
        }
        _ => None,
    };
    let at = args.at();
    let keys = args.texts(cx, "a list of flags")?;
    args.end()?;
    // A string may name several (RFC 5232 section 4); what variables bring is
    // split where it is used.
    let mut single = Vec::with_capacity(keys.len());
    for key in keys {
        match key.fixed().map(Arc::clone) {
            Some(fixed) if !options.counts() => {
                for word in words(&fixed) {
                    single.push(cx.text(word, at)?);
                }
            }
            _ => single.push(key),
        }
    }
    let matching = options.with(cx, single.into(), at)?;
    Ok(cx.emit_test(HasFlag {
        variables,
        matching,
    }))
}

#[derive(Debug)]
struct HasFlag {
    variables: Option<Box<[Variable]>>,
    matching: Matching,
}

impl Instruction for HasFlag {
    fn run(&self, cx: &mut Context<'_>) -> Result<Flow, Fault> {
        let limit = cx.limits.variable;
        let mut flags: Vec<Arc<str>> = Vec::new();
        match &self.variables {
            None => flags.extend(cx.flags.iter().map(|flag| flag.as_str().into())),
            Some(variables) => {
                for variable in variables {
                    let set = FlagSet::of([cx.variable(variable)], limit);
                    cx.look(set.len().saturating_mul(16))?;
                    flags.extend(set.iter().map(Arc::from));
                }
            }
        }
        self.matching.test(cx, &flags)
    }
}
