//! `copy` (RFC 3894): `:copy` of `fileinto` and `redirect` leaves the implicit keep.
//!
//! # How an extension is written
//!
//! - One file here, one [`Extension`] in it, and a line for it in the table of
//!   `mod.rs`. `Extension::new("name")` says what scripts `require`; `.commands(..)`
//!   and `.tests(..)` name the words it brings and the functions that compile them;
//!   `.at(..)` says at which events it is there.
//! - A function that compiles a word takes its arguments from [`Args`]: tags first
//!   (`args.flag`, `args.tag_text`, ...), then the others in order, then
//!   `args.end()`, which refuses what is left. Match types and comparators come from
//!   `matching::Options`, header names from `fields`. A tag that one extension brings
//!   to another's word is named with its extension, `("copy", "copy")`: it is an
//!   error where that is not required.
//! - The function ends with `cx.emit(Instruction)`, for tests with
//!   `Ok(cx.emit_test(Instruction))`. The instruction is a struct of its own with
//!   what [`Instruction::run`](crate::engine::program::Instruction) needs: strings
//!   are `Text`s, whose `value(cx)` puts variables in. Heap memory beside texts is
//!   counted by `cx.holds`. What of the message is looked at goes to `cx.needs`.
//! - `run` does its work on the [`Context`](crate::engine::run::Context): it reads
//!   header fields by `cx.fields_named`, `cx.field_text`; adds actions by `cx.act`;
//!   counts what it looks at by `cx.look` and what it keeps by `cx.hold`. It returns
//!   `Flow::Next`, a test `Flow::Result(true or false)`. To ask the host it returns
//!   `Flow::Ask(question)`, and is called again with the answer in `cx.answer()`:
//!
//! ```text
//! match cx.yes()? {
//!     Some(result) => Ok(Flow::Result(result)),
//!     None => Ok(Flow::Ask(Question::MailboxesExist(names))),
//! }
//! ```
//!
//! - Blocks: `Args::control(command)` leaves tests and block to the function, which
//!   calls `cx.block`, and jumps by `cx.label`, `cx.place`, `cx.jump_unless`.
//! - The examples of its RFC are tests in `tests/`, see `tests/support/`.

use super::Extension;
use crate::engine::CompileError;
use crate::engine::compile::{Args, Compile};
use crate::engine::run::Keep;

pub(super) static COPY: Extension = Extension::new("copy");

/// Takes `:copy`: what the action does to the implicit keep.
pub(super) fn copy(cx: &Compile<'_>, args: &mut Args<'_>) -> Result<Keep, CompileError> {
    Ok(match args.flag(cx, ("copy", "copy"))? {
        Some(_) => Keep::Left,
        None => Keep::Cancelled,
    })
}
