//! `extracttext` (RFC 5703 section 7).

use std::sync::Arc;

use super::Extension;
use super::variables::Modifier;
use crate::engine::ast::Command;
use crate::engine::compile::{Args, Compile, Variable};
use crate::engine::program::Instruction;
use crate::engine::run::{Context, Fault, Flow};
use crate::engine::{CompileError, PartKind};

pub(super) static EXTRACTTEXT: Extension =
    Extension::new("extracttext").commands(&[("extracttext", compile)]);

#[derive(Debug)]
struct ExtractText {
    first: usize,
    variable: Variable,
    modifiers: Box<[Modifier]>,
}

fn compile(cx: &mut Compile<'_>, command: &Command) -> Result<(), CompileError> {
    let mut args = Args::command(command)?;
    cx.demand("variables", "extracttext", command.at)?;
    let modifiers = Modifier::take(cx, &mut args)?;
    let first = args.tag_number(cx, "first")?.unwrap_or(u64::MAX);
    let (name, at) = args.fixed("the name of a variable")?;
    args.end()?;
    let variable = cx.settable(name, at)?;
    if cx.loops.is_empty() {
        cx.warn(
            command.at,
            "outside of `foreverypart` there is no text to extract: the variable will be empty",
        );
    }
    cx.needs.body = true;
    cx.needs.parts = true;
    cx.emit(ExtractText {
        first: usize::try_from(first).unwrap_or(usize::MAX),
        variable,
        modifiers,
    });
    Ok(())
}

impl Instruction for ExtractText {
    fn run(&self, cx: &mut Context<'_>) -> Result<Flow, Fault> {
        let text = self.text(cx)?;
        let text = Modifier::modify(&self.modifiers, cx, text)?;
        cx.set_variable(&self.variable, &text)?;
        Ok(Flow::Next)
    }
}

impl ExtractText {
    fn text(&self, cx: &mut Context<'_>) -> Result<Arc<str>, Fault> {
        let in_loop = cx
            .frames
            .last()
            .is_some_and(|frame| !frame.loops.is_empty());
        let part = cx.part();
        let parts = cx.message().parts();
        let is_text = parts
            .get(part)
            .is_some_and(|info| info.kind == PartKind::Leaf && info.media_type == "text");
        if !in_loop || !is_text {
            return Ok(Arc::default());
        }
        // A character is of four octets at most; a variable holds no more than it may,
        // and modifiers only make more of it.
        let most = self.first.saturating_mul(4).min(cx.limits.variable.max(4));
        let octets = cx.content(part, most)?;
        let text = String::from_utf8_lossy(&octets);
        let end = text.char_indices().nth(self.first).map(|(end, _)| end);
        Ok(text
            .get(..end.unwrap_or(text.len()))
            .unwrap_or_default()
            .into())
    }
}
