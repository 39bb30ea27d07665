//! `keep`, `discard` and `redirect`.

use super::super::copy::copy;
use super::super::redirect_dsn::Dsn;
use crate::engine::ast::Command;
use crate::engine::compile::{Args, Compile, Text, Texts};
use crate::engine::program::Instruction;
use crate::engine::run::{Context, Fault, Flow, Keep};
use crate::engine::{Action, CompileError, Redirect, address_syntax, place};

#[derive(Debug)]
struct KeepHere {
    flags: Option<Texts>,
}

/// RFC 5228 section 4.3.
pub(super) fn keep(cx: &mut Compile<'_>, command: &Command) -> Result<(), CompileError> {
    let mut args = Args::command(command)?;
    let flags = args.tag_texts(cx, ("flags", "imap4flags"))?;
    args.end()?;
    cx.emit(KeepHere { flags });
    Ok(())
}

impl Instruction for KeepHere {
    fn run(&self, cx: &mut Context<'_>) -> Result<Flow, Fault> {
        let flags = place::flags(self.flags.as_deref(), cx)?;
        let form = cx.form();
        cx.act(Action::Keep { flags, form }, Keep::Cancelled)?;
        Ok(Flow::Next)
    }
}

#[derive(Debug)]
struct Discard;

/// RFC 5228 section 4.4.
pub(super) fn discard(cx: &mut Compile<'_>, command: &Command) -> Result<(), CompileError> {
    Args::command(command)?.end()?;
    cx.emit(Discard);
    Ok(())
}

impl Instruction for Discard {
    fn run(&self, cx: &mut Context<'_>) -> Result<Flow, Fault> {
        cx.act(Action::Discard, Keep::Cancelled)?;
        Ok(Flow::Next)
    }
}

#[derive(Debug)]
struct SendOn {
    to: Text,
    list: bool,
    keep: Keep,
    dsn: Dsn,
}

/// RFC 5228 section 4.2.
pub(super) fn redirect(cx: &mut Compile<'_>, command: &Command) -> Result<(), CompileError> {
    let mut args = Args::command(command)?;
    let keep = copy(cx, &mut args)?;
    let list = args.flag(cx, ("list", "extlists"))?.is_some();
    let dsn = Dsn::take(cx, &mut args)?;
    let at = args.peek().map_or(command.at, |argument| argument.at);
    let to = args.text(cx, "an address")?;
    args.end()?;
    if let Some(fixed) = to.fixed()
        && !list
        && address_syntax::address(fixed).is_none()
    {
        return Err(CompileError::new(at, not_an_address(fixed)));
    }
    cx.emit(SendOn {
        to,
        list,
        keep,
        dsn,
    });
    Ok(())
}

fn not_an_address(text: &str) -> String {
    let shown: String = text.chars().take(80).collect();
    format!(
        "\"{}\" is no address: write one as user@example.org",
        shown.escape_debug()
    )
}

impl Instruction for SendOn {
    fn run(&self, cx: &mut Context<'_>) -> Result<Flow, Fault> {
        let text = self.to.value(cx)?;
        cx.look(text.len())?;
        let to = if self.list {
            text.to_string()
        } else {
            address_syntax::address(&text).ok_or_else(|| Fault::new(not_an_address(&text)))?
        };
        let redirect = Redirect {
            to,
            list: self.list,
            notify: self.dsn.notify(cx)?,
            ret: self.dsn.ret(cx)?,
            form: cx.sent_form(),
        };
        cx.act(Action::Redirect(redirect), self.keep)?;
        Ok(Flow::Next)
    }
}
