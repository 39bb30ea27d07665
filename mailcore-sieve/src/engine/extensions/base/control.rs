//! `require`, `stop`, and the tests that join tests.

use crate::engine::CompileError;
use crate::engine::ast::{Command, Test};
use crate::engine::compile::{Args, Compile, Known, hint};
use crate::engine::program::Op;

/// RFC 5228 section 3.2.
pub(super) fn require(cx: &mut Compile<'_>, command: &Command) -> Result<(), CompileError> {
    let mut args = Args::command(command)?;
    let (names, at) = args.fixed_list("the names of extensions")?;
    args.end()?;
    if cx.begun() {
        return Err(CompileError::new(
            command.at,
            "`require` stands before all other commands: move it to the beginning",
        ));
    }
    for name in names {
        let Some(extension) = cx.available(name) else {
            let near = hint(name, cx.all_available(), "");
            let words = format!(
                "there is no extension \"{}\" here{near}",
                name.escape_debug()
            );
            return Err(CompileError::new(at, words));
        };
        cx.require(extension);
    }
    Ok(())
}

/// RFC 5228 section 3.3.
pub(super) fn stop(cx: &mut Compile<'_>, command: &Command) -> Result<(), CompileError> {
    Args::command(command)?.end()?;
    cx.op(Op::Stop);
    Ok(())
}

/// RFC 5228 section 5.2.
pub(super) fn allof(cx: &mut Compile<'_>, test: &Test) -> Result<Known, CompileError> {
    within(test)?;
    cx.tests(&test.tests, Known::False)
}

/// RFC 5228 section 5.3.
pub(super) fn anyof(cx: &mut Compile<'_>, test: &Test) -> Result<Known, CompileError> {
    within(test)?;
    cx.tests(&test.tests, Known::True)
}

fn within(test: &Test) -> Result<(), CompileError> {
    let name = &test.name;
    if let Some(argument) = test.arguments.first() {
        let words = format!("`{name}` takes nothing but tests in parentheses");
        return Err(CompileError::new(argument.at, words));
    }
    if test.tests.is_empty() {
        let words = format!("`{name}` needs tests in parentheses after it");
        return Err(CompileError::new(test.at, words));
    }
    Ok(())
}

/// RFC 5228 section 5.8.
pub(super) fn not(cx: &mut Compile<'_>, test: &Test) -> Result<Known, CompileError> {
    let ([], [inner]) = (test.arguments.as_slice(), test.tests.as_slice()) else {
        return Err(CompileError::new(
            test.at,
            "`not` needs one test after it, and nothing else",
        ));
    };
    Ok(match cx.test(inner)? {
        Known::True => Known::False,
        Known::False => Known::True,
        Known::Depends => {
            cx.op(Op::Not);
            Known::Depends
        }
    })
}

/// RFC 5228 sections 5.6 and 5.10. What no branch of theirs reaches is compiled all
/// the same, so that its errors are found.
pub(super) fn constant(cx: &mut Compile<'_>, test: &Test) -> Result<Known, CompileError> {
    Args::test(test)?.end()?;
    cx.op(Op::Set(test.name == "true"));
    Ok(Known::Depends)
}
