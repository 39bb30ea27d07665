//! `editheader` (RFC 5293): `addheader` and `deleteheader`.

use super::{Extension, Index};
use crate::engine::ast::Command;
use crate::engine::compile::{Args, Compile, Text};
use crate::engine::matching::{Matching, Options};
use crate::engine::program::Instruction;
use crate::engine::run::{Context, End, Fault, Flow};
use crate::engine::{CompileError, Event};

pub(super) static EDITHEADER: Extension = Extension::new("editheader")
    .commands(&[("addheader", add), ("deleteheader", delete)])
    .at(&[Event::Data, Event::Delivery]);

/// Fields that scripts neither add nor remove, silently (RFC 5293 section 6). Loops
/// are found by some, and what RFC 5703 section 5 has kept must stay.
const PROTECTED: &[&str] = &[
    "Received",
    "Auto-Submitted",
    "Return-Path",
    "Original-Subject",
    "Original-From",
];

#[derive(Debug)]
struct Add {
    end: End,
    name: Text,
    value: Text,
}

fn add(cx: &mut Compile<'_>, command: &Command) -> Result<(), CompileError> {
    let mut args = Args::command(command)?;
    let end = match args.flag(cx, "last")? {
        Some(_) => End::Last,
        None => End::First,
    };
    let name = field_name(cx, &mut args)?;
    let value = args.text(cx, "the field's value")?;
    args.end()?;
    cx.emit(Add { end, name, value });
    Ok(())
}

impl Instruction for Add {
    fn run(&self, cx: &mut Context<'_>) -> Result<Flow, Fault> {
        let name = self.name.value(cx)?;
        let value = self.value.value(cx)?;
        check_name(&name).map_err(Fault::new)?;
        cx.look(value.len())?;
        if !is_protected(&name) {
            cx.add_field(self.end, &name, value.trim())?;
        }
        Ok(Flow::Next)
    }
}

#[derive(Debug)]
struct Delete {
    index: Option<Index>,
    name: Text,
    /// None for fields of any value.
    matching: Option<Matching>,
}

fn delete(cx: &mut Compile<'_>, command: &Command) -> Result<(), CompileError> {
    let mut args = Args::command(command)?;
    let index = Index::take(cx, &mut args)?;
    let options = Options::take(cx, &mut args)?;
    let name = field_name(cx, &mut args)?;
    let matching = match args.left() {
        0 => None,
        _ => Some(options.keys(cx, &mut args)?),
    };
    args.end()?;
    cx.emit(Delete {
        index,
        name,
        matching,
    });
    Ok(())
}

impl Instruction for Delete {
    fn run(&self, cx: &mut Context<'_>) -> Result<Flow, Fault> {
        let name = self.name.value(cx)?;
        check_name(&name).map_err(Fault::new)?;
        if is_protected(&name) {
            return Ok(Flow::Next);
        }
        let mut found = cx.fields_named(0, &name)?;
        if let Some(index) = self.index {
            found = index.choose(&found).into_iter().collect();
        }
        let gone = match &self.matching {
            None => found,
            Some(matching) => matched(cx, matching, found)?,
        };
        cx.remove_fields(gone)?;
        Ok(Flow::Next)
    }
}

/// Those of the fields whose values match. Actions set no match variables (RFC 5229
/// section 3.2 has tests do that).
fn matched(
    cx: &mut Context<'_>,
    matching: &Matching,
    found: Vec<usize>,
) -> Result<Vec<usize>, Fault> {
    let captures = cx.captures().0.map(std::mem::take);
    let mut gone = Vec::new();
    for index in found {
        let text = cx.field_text(0, index)?;
        match matching.test(cx, &[text])? {
            Flow::Result(true) => gone.push(index),
            Flow::Result(false) => {}
            _ => {
                return Err(Fault::new(
                    "`deleteheader` can't ask lists: test the field with `header` before",
                ));
            }
        }
    }
    if let (Some(place), Some(captures)) = (cx.captures().0, captures) {
        *place = captures;
    }
    Ok(gone)
}

/// Takes the name of a field.
fn field_name(cx: &mut Compile<'_>, args: &mut Args<'_>) -> Result<Text, CompileError> {
    let at = args.peek().map_or(args.at(), |argument| argument.at);
    let name = args.text(cx, "the name of a header field")?;
    if let Some(fixed) = name.fixed() {
        check_name(fixed).map_err(|words| CompileError::new(at, words))?;
        if is_protected(fixed) {
            cx.warn(
                at,
                format!("the field \"{fixed}\" can't be changed: this does nothing"),
            );
        }
    }
    Ok(name)
}

/// RFC 5322 section 3.6.8 `field-name`.
fn check_name(name: &str) -> Result<(), String> {
    let sound = !name.is_empty()
        && name.len() <= 256
        && name
            .bytes()
            .all(|octet| octet.is_ascii_graphic() && octet != b':');
    if sound {
        return Ok(());
    }
    let shown: String = name.chars().take(80).collect();
    Err(format!(
        "\"{}\" is no name of a header field: use letters, digits and hyphens",
        shown.escape_debug()
    ))
}

fn is_protected(name: &str) -> bool {
    PROTECTED
        .iter()
        .any(|field| name.eq_ignore_ascii_case(field))
}
