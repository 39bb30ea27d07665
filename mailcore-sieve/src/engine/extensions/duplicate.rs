//! `duplicate` (RFC 7352): whether a message, or what a script takes for one, was
//! seen before.

use super::{AT_DELIVERY, Extension};
use crate::engine::ast::Test;
use crate::engine::compile::{Args, Compile, Known, Text};
use crate::engine::program::Instruction;
use crate::engine::run::{Context, Fault, Flow};
use crate::engine::{CompileError, Duplicate, DuplicateFrom, Question};

/// For how long a message is remembered unless the script says (RFC 7352 section
/// 3.3).
const USUAL: u64 = 7 * 86_400;

// RFC 7352 section 3.4: not for IMAP.
pub(super) static DUPLICATE: Extension = Extension::new("duplicate")
    .tests(&[("duplicate", duplicate)])
    .at(AT_DELIVERY);

fn duplicate(cx: &mut Compile<'_>, test: &Test) -> Result<Known, CompileError> {
    let mut args = Args::test(test)?;
    let handle = args.tag_text(cx, "handle")?;
    let header = args.tag_text(cx, "header")?;
    let unique_id = args.tag_text(cx, "uniqueid")?;
    let seconds = args.tag_number(cx, "seconds")?;
    let last = args.flag(cx, "last")?;
    let id = match (header, unique_id) {
        (Some(_), Some(_)) => {
            let words = "`:header` and `:uniqueid` both name the message: write one of them";
            return Err(args.error(words));
        }
        (_, Some(id)) => Id::Text(id),
        (Some(header), None) => Id::Header(header),
        (None, None) => Id::Header(cx.text("Message-ID", args.at())?),
    };
    args.end()?;
    let most = cx.limits().duplicate_most;
    Ok(cx.emit_test(IsDuplicate {
        handle,
        id,
        seconds: seconds.unwrap_or(USUAL).min(most),
        from: match last {
            Some(_) => DuplicateFrom::Last,
            None => DuplicateFrom::First,
        },
    }))
}

#[derive(Debug)]
enum Id {
    Header(Text),
    Text(Text),
}

#[derive(Debug)]
struct IsDuplicate {
    handle: Option<Text>,
    id: Id,
    seconds: u64,
    from: DuplicateFrom,
}

impl Instruction for IsDuplicate {
    fn run(&self, cx: &mut Context<'_>) -> Result<Flow, Fault> {
        let answer = cx.yes()?;
        let Some(duplicate) = self.named(cx)? else {
            return Ok(Flow::Result(false));
        };
        let Some(yes) = answer else {
            return Ok(Flow::Ask(Question::Duplicate(duplicate)));
        };
        let same =
            |it: &Duplicate| it.handle == duplicate.handle && it.unique_id == duplicate.unique_id;
        // Undefined by RFC 7352 section 3.3, where the last one may count.
        match cx.seen.iter().position(same) {
            Some(at) => {
                if let Some(seen) = cx.seen.get_mut(at) {
                    *seen = duplicate;
                }
            }
            None if cx.seen.len() < cx.limits.actions => {
                cx.hold(duplicate.handle.len() + duplicate.unique_id.len())?;
                cx.seen.push(duplicate);
            }
            None => {
                let words = format!(
                    "`duplicate` is asked for more than {} messages",
                    cx.limits.actions
                );
                return Err(Fault::new(words));
            }
        }
        Ok(Flow::Result(yes))
    }
}

impl IsDuplicate {
    /// What is asked for; `None` where the message has no such field, or nothing
    /// is remembered.
    fn named(&self, cx: &mut Context<'_>) -> Result<Option<Duplicate>, Fault> {
        if self.seconds == 0 {
            return Ok(None);
        }
        let unique_id = match &self.id {
            Id::Text(text) => text.value(cx)?,
            Id::Header(name) => {
                let name = name.value(cx)?;
                match cx.fields_named(0, &name)?.first() {
                    Some(index) => cx.field_text(0, *index)?,
                    None => return Ok(None),
                }
            }
        };
        let handle = match &self.handle {
            Some(handle) => handle.value(cx)?.to_string(),
            None => String::new(),
        };
        Ok(Some(Duplicate {
            handle,
            unique_id: unique_id.to_string(),
            seconds: self.seconds,
            from: self.from,
        }))
    }
}
