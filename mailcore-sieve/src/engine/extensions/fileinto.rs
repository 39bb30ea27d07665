//! `fileinto` (RFC 5228 section 4.1), with what extensions add to it.

use super::{Extension, copy::copy};
use crate::engine::ast::Command;
use crate::engine::compile::{Args, Compile};
use crate::engine::place::PlaceText;
use crate::engine::program::Instruction;
use crate::engine::run::{Context, Fault, Flow, Keep};
use crate::engine::{Action, CompileError, Filed};

pub(super) static FILEINTO: Extension =
    Extension::new("fileinto").commands(&[("fileinto", compile)]);

#[derive(Debug)]
struct FileInto {
    place: PlaceText,
    keep: Keep,
}

fn compile(cx: &mut Compile<'_>, command: &Command) -> Result<(), CompileError> {
    let mut args = Args::command(command)?;
    let keep = copy(cx, &mut args)?;
    let tags = PlaceText::tags(cx, &mut args)?;
    let mailbox = args.text(cx, "the name of a mailbox")?;
    args.end()?;
    cx.emit(FileInto {
        place: tags.mailbox(mailbox),
        keep,
    });
    Ok(())
}

impl Instruction for FileInto {
    fn run(&self, cx: &mut Context<'_>) -> Result<Flow, Fault> {
        let place = self.place.value(cx)?;
        if place.mailbox.is_empty() {
            return Err(Fault::new("`fileinto` has an empty mailbox name: name one"));
        }
        let form = cx.form();
        cx.act(Action::FileInto(Filed { place, form }), self.keep)?;
        Ok(Flow::Next)
    }
}
