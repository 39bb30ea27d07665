//! `variables` (RFC 5229): `set` and `string`. What variables put into strings is
//! `compile/text.rs`.

use std::sync::Arc;

use super::Extension;
use crate::engine::ast::{Command, Test};
use crate::engine::compile::{Args, Compile, Known, Text, Texts, Variable};
use crate::engine::matching::{Matching, Options};
use crate::engine::program::Instruction;
use crate::engine::run::{Context, Fault, Flow};
use crate::engine::{CompileError, Event};

pub(super) static VARIABLES: Extension = Extension::new("variables")
    .commands(&[("set", compile_set)])
    .tests(&[("string", compile_string)])
    .at(&Event::ALL);

/// What is done to a value before it is stored, those of a higher precedence first
/// (RFC 5229 section 4.1).
#[derive(Debug, Clone, Copy)]
pub(super) enum Modifier {
    Lower,
    Upper,
    LowerFirst,
    UpperFirst,
    QuoteWildcard,
    QuoteRegex,
    EncodeUrl,
    Length,
}

/// Name, extension where it is another, precedence.
const MODIFIERS: &[(&str, Option<&str>, u8, Modifier)] = &[
    ("lower", None, 40, Modifier::Lower),
    ("upper", None, 40, Modifier::Upper),
    ("lowerfirst", None, 30, Modifier::LowerFirst),
    ("upperfirst", None, 30, Modifier::UpperFirst),
    ("quotewildcard", None, 20, Modifier::QuoteWildcard),
    ("quoteregex", Some("regex"), 20, Modifier::QuoteRegex),
    // RFC 5435 section 6.
    ("encodeurl", Some("enotify"), 15, Modifier::EncodeUrl),
    ("length", None, 10, Modifier::Length),
];

#[derive(Debug)]
struct Set {
    variable: Variable,
    value: Text,
    modifiers: Box<[Modifier]>,
}

fn compile_set(cx: &mut Compile<'_>, command: &Command) -> Result<(), CompileError> {
    let mut args = Args::command(command)?;
    let modifiers = Modifier::take(cx, &mut args)?;
    let (name, at) = args.fixed("the name of a variable")?;
    let value = args.text(cx, "a value")?;
    args.end()?;
    let variable = cx.settable(name, at)?;
    cx.emit(Set {
        variable,
        value,
        modifiers,
    });
    Ok(())
}

impl Instruction for Set {
    fn run(&self, cx: &mut Context<'_>) -> Result<Flow, Fault> {
        let value = self.value.value(cx)?;
        let value = Modifier::modify(&self.modifiers, cx, value)?;
        cx.set_variable(&self.variable, &value)?;
        Ok(Flow::Next)
    }
}

impl Modifier {
    /// Takes those of an action that sets a variable.
    pub(super) fn take(
        cx: &mut Compile<'_>,
        args: &mut Args<'_>,
    ) -> Result<Box<[Self]>, CompileError> {
        let mut modifiers = Vec::new();
        let mut last = None;
        for (name, extension, precedence, modifier) in MODIFIERS {
            let at = match extension {
                None => args.flag(cx, *name)?,
                Some(extension) => args.flag(cx, (*name, *extension))?,
            };
            let Some(at) = at else { continue };
            if last.replace(precedence) == Some(precedence) {
                let words = format!("`:{name}` can't go with the modifier before it: choose one");
                return Err(CompileError::new(at, words));
            }
            modifiers.push(*modifier);
        }
        cx.holds(modifiers.len());
        Ok(modifiers.into())
    }

    /// What they make of a value.
    pub(super) fn modify(
        modifiers: &[Self],
        cx: &mut Context<'_>,
        mut value: Arc<str>,
    ) -> Result<Arc<str>, Fault> {
        for modifier in modifiers {
            cx.look(value.len())?;
            value = modifier.apply(&value).into();
        }
        Ok(value)
    }

    fn apply(self, value: &str) -> String {
        match self {
            Self::Lower => value.to_ascii_lowercase(),
            Self::Upper => value.to_ascii_uppercase(),
            Self::LowerFirst => first(value, str::make_ascii_lowercase),
            Self::UpperFirst => first(value, str::make_ascii_uppercase),
            Self::QuoteWildcard => quoted(value, "*?\\"),
            Self::QuoteRegex => quoted(value, ".*+?^$|()[]{}\\"),
            Self::EncodeUrl => encoded(value),
            Self::Length => value.chars().count().to_string(),
        }
    }
}

fn first(value: &str, change: fn(&mut str)) -> String {
    let mut value = value.to_owned();
    if let Some(first) = value.get_mut(..1) {
        change(first);
    }
    value
}

fn quoted(value: &str, special: &str) -> String {
    let mut quoted = String::with_capacity(value.len());
    for next in value.chars() {
        if special.contains(next) {
            quoted.push('\\');
        }
        quoted.push(next);
    }
    quoted
}

/// All but the unreserved characters of RFC 3986 section 2.3.
fn encoded(value: &str) -> String {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut encoded = String::with_capacity(value.len());
    for octet in value.bytes() {
        if octet.is_ascii_alphanumeric() || b"-_.~".contains(&octet) {
            encoded.push(char::from(octet));
        } else {
            encoded.push('%');
            for half in [octet >> 4, octet & 15] {
                encoded.extend(HEX.get(usize::from(half)).copied().map(char::from));
            }
        }
    }
    encoded
}

#[derive(Debug)]
struct TestString {
    sources: Texts,
    matching: Matching,
}

/// RFC 5229 section 5.
fn compile_string(cx: &mut Compile<'_>, test: &Test) -> Result<Known, CompileError> {
    let mut args = Args::test(test)?;
    let options = Options::take(cx, &mut args)?;
    let sources = args.texts(cx, "a list of strings")?;
    let matching = options.keys(cx, &mut args)?;
    args.end()?;
    Ok(cx.emit_test(TestString { sources, matching }))
}

impl Instruction for TestString {
    fn run(&self, cx: &mut Context<'_>) -> Result<Flow, Fault> {
        let mut values = Vec::with_capacity(self.sources.len());
        for source in &self.sources {
            let value: Arc<str> = source.value(cx)?;
            // The empty string counts for nothing.
            if !value.is_empty() || !self.matching.counts() {
                values.push(value);
            }
        }
        self.matching.test(cx, &values)
    }
}
