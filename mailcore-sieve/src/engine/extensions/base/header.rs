//! `header`, `address`, `exists` and `size`.

use crate::engine::CompileError;
use crate::engine::address_part::AddressPart;
use crate::engine::ast::Test;
use crate::engine::compile::{Args, Compile, Known};
use crate::engine::fields::Fields;
use crate::engine::matching::{Matching, Options};
use crate::engine::program::Instruction;
use crate::engine::run::{Context, Fault, Flow, What};

#[derive(Debug)]
struct TestHeader {
    fields: Fields,
    matching: Matching,
}

/// RFC 5228 section 5.7.
pub(super) fn header(cx: &mut Compile<'_>, test: &Test) -> Result<Known, CompileError> {
    let mut args = Args::test(test)?;
    let options = Options::take(cx, &mut args)?;
    let selection = Fields::tags(cx, &mut args)?;
    let names = args.texts(cx, "names of header fields")?;
    let matching = options.keys(cx, &mut args)?;
    args.end()?;
    Ok(cx.emit_test(TestHeader {
        fields: selection.names(names),
        matching,
    }))
}

impl Instruction for TestHeader {
    fn run(&self, cx: &mut Context<'_>) -> Result<Flow, Fault> {
        self.fields.test(cx, What::Text, &self.matching)
    }
}

#[derive(Debug)]
struct TestAddress {
    fields: Fields,
    part: AddressPart,
    matching: Matching,
}

/// Fields that hold no addresses; RFC 5228 section 5.1 has tests of them refused.
const NO_ADDRESSES: &[&str] = &[
    "subject",
    "date",
    "received",
    "message-id",
    "mime-version",
    "content-type",
    "comments",
    "keywords",
];

/// RFC 5228 section 5.1.
pub(super) fn address(cx: &mut Compile<'_>, test: &Test) -> Result<Known, CompileError> {
    let mut args = Args::test(test)?;
    let options = Options::take(cx, &mut args)?;
    let part = AddressPart::take(cx, &mut args)?;
    let selection = Fields::tags(cx, &mut args)?;
    let at = args.peek().map_or(test.at, |argument| argument.at);
    let names = args.texts(cx, "names of header fields")?;
    let wrong = names
        .iter()
        .filter_map(|name| name.fixed())
        .find(|name| NO_ADDRESSES.iter().any(|no| name.eq_ignore_ascii_case(no)));
    if let Some(name) = wrong {
        let words = format!("the field \"{name}\" holds no addresses: use the test `header`");
        return Err(CompileError::new(at, words));
    }
    let matching = options.keys(cx, &mut args)?;
    args.end()?;
    Ok(cx.emit_test(TestAddress {
        fields: selection.names(names),
        part,
        matching,
    }))
}

impl Instruction for TestAddress {
    fn run(&self, cx: &mut Context<'_>) -> Result<Flow, Fault> {
        let what = What::Addresses(self.part);
        self.fields.test(cx, what, &self.matching)
    }
}

#[derive(Debug)]
struct Exists {
    fields: Fields,
}

/// RFC 5228 section 5.5.
pub(super) fn exists(cx: &mut Compile<'_>, test: &Test) -> Result<Known, CompileError> {
    let mut args = Args::test(test)?;
    let selection = Fields::tags(cx, &mut args)?;
    let names = args.texts(cx, "names of header fields")?;
    args.end()?;
    Ok(cx.emit_test(Exists {
        fields: selection.names(names),
    }))
}

impl Instruction for Exists {
    fn run(&self, cx: &mut Context<'_>) -> Result<Flow, Fault> {
        self.fields.all_exist(cx).map(Flow::Result)
    }
}

#[derive(Debug)]
struct Size {
    over: bool,
    limit: u64,
}

/// RFC 5228 section 5.9.
pub(super) fn size(cx: &mut Compile<'_>, test: &Test) -> Result<Known, CompileError> {
    let mut args = Args::test(test)?;
    let over = args.tag_number(cx, "over")?;
    let under = args.tag_number(cx, "under")?;
    let (over, limit) = match (over, under) {
        (Some(limit), None) => (true, limit),
        (None, Some(limit)) => (false, limit),
        _ => {
            return Err(
                args.error("`size` needs one of `:over` and `:under`, as in `size :over 1M`")
            );
        }
    };
    args.end()?;
    Ok(cx.emit_test(Size { over, limit }))
}

impl Instruction for Size {
    fn run(&self, cx: &mut Context<'_>) -> Result<Flow, Fault> {
        let size = cx.size();
        Ok(Flow::Result(if self.over {
            size > self.limit
        } else {
            size < self.limit
        }))
    }
}
