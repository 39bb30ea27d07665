//! `index` (RFC 5260 section 6): `:index` and `:last`, which fields of a name a test
//! looks at.

use super::Extension;
use crate::engine::CompileError;
use crate::engine::compile::{Args, Compile};

pub(super) static INDEX: Extension = Extension::new("index");

/// Which of the fields of one name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Index {
    number: usize,
    from: From,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum From {
    First,
    Last,
}

impl Index {
    /// Takes `:index` and `:last`. `deleteheader` has them of its own (RFC 5293
    /// section 5).
    pub(crate) fn take(
        cx: &Compile<'_>,
        args: &mut Args<'_>,
    ) -> Result<Option<Self>, CompileError> {
        let extension = match args.name() {
            "deleteheader" => "editheader",
            _ => "index",
        };
        let at = args.peek().map_or(args.at(), |argument| argument.at);
        let number = args.tag_number(cx, ("index", extension))?;
        let last = args.flag(cx, ("last", extension))?;
        match (number, last) {
            (None, None) => Ok(None),
            (None, Some(at)) => Err(CompileError::new(
                at,
                "`:last` goes with `:index`: write `:index 1` before it",
            )),
            (Some(0), _) => Err(CompileError::new(at, "`:index` counts from 1")),
            (Some(number), last) => Ok(Some(Self {
                number: usize::try_from(number).unwrap_or(usize::MAX),
                from: last.map_or(From::First, |_| From::Last),
            })),
        }
    }

    /// The chosen one, where there are as many.
    pub(crate) fn choose<T: Copy>(self, found: &[T]) -> Option<T> {
        let place = match self.from {
            From::First => self.number.checked_sub(1)?,
            From::Last => found.len().checked_sub(self.number)?,
        };
        found.get(place).copied()
    }
}
