//! `fcc` (RFC 8580): a copy of what a script writes is filed. The tag `:fcc` is
//! taken by the commands that write; [`Fcc`] is what they share.

use super::{AT_DELIVERY, Extension};
use crate::engine::compile::{Args, Compile};
use crate::engine::place::PlaceText;
use crate::engine::run::{Context, Fault};
use crate::engine::{CompileError, Place};

pub(super) static FCC: Extension = Extension::new("fcc").at(AT_DELIVERY);

/// Where a copy is filed, if anywhere.
#[derive(Debug)]
pub(super) struct Fcc(Option<PlaceText>);

impl Fcc {
    /// Takes `:fcc` and the tags that say more of it, which mean nothing without
    /// it (RFC 8580 section 3).
    pub(super) fn take(args: &mut Args<'_>, cx: &mut Compile<'_>) -> Result<Self, CompileError> {
        let mailbox = args.tag_text(cx, ("fcc", "fcc"))?;
        let tags = PlaceText::tags(cx, args)?;
        match (mailbox, tags.are_given()) {
            (Some(mailbox), _) => Ok(Self(Some(tags.mailbox(mailbox)))),
            (None, false) => Ok(Self(None)),
            (None, true) => Err(args.error(
                "`:flags`, `:create` and their like say more of `:fcc \"Sent\"`: write that as well",
            )),
        }
    }

    /// The place in this run.
    pub(super) fn value(&self, cx: &mut Context<'_>) -> Result<Option<Place>, Fault> {
        match &self.0 {
            Some(place) => place.copy(cx).map(Some),
            None => Ok(None),
        }
    }
}
