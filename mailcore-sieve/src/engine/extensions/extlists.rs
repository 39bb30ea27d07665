//! `extlists` (RFC 6134): lists that are kept elsewhere, such as an address book.
//! `:list` of tests is [`Options`](crate::engine::matching::Options)'s, that of
//! `redirect` its own.

use super::mailbox::strings;
use super::{Extension, WITH_MESSAGE};
use crate::engine::ast::Test;
use crate::engine::compile::{Args, Compile, Known, Texts};
use crate::engine::program::Instruction;
use crate::engine::run::{Context, Fault, Flow};
use crate::engine::{CompileError, Question};

pub(super) static EXTLISTS: Extension = Extension::new("extlists")
    .tests(&[("valid_ext_list", valid_ext_list)])
    .at(WITH_MESSAGE);

/// RFC 6134 section 2.8.
fn valid_ext_list(cx: &mut Compile<'_>, test: &Test) -> Result<Known, CompileError> {
    let mut args = Args::test(test)?;
    let lists = args.texts(cx, "the names of lists")?;
    args.end()?;
    Ok(cx.emit_test(ValidLists(lists)))
}

#[derive(Debug)]
struct ValidLists(Texts);

impl Instruction for ValidLists {
    fn run(&self, cx: &mut Context<'_>) -> Result<Flow, Fault> {
        if let Some(yes) = cx.yes()? {
            return Ok(Flow::Result(yes));
        }
        Ok(Flow::Ask(Question::ListsValid(strings(&self.0, cx)?)))
    }
}
