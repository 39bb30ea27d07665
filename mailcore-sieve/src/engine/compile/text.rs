//! Strings of a program: fixed ones, and those that variables are put into
//! (RFC 5229 section 3).

use std::sync::Arc;

use super::Compile;
use crate::engine::run::{Context, Fault};
use crate::engine::{CompileError, Position};

/// A string of a program.
#[derive(Debug, Clone)]
pub(crate) enum Text {
    /// As it is written.
    Fixed(Arc<str>),
    /// Put together in each run.
    Made(Box<[Piece]>),
}

/// Strings of a program.
pub(crate) type Texts = Box<[Text]>;

/// A piece of a string.
#[derive(Debug, Clone)]
pub(crate) enum Piece {
    Fixed(Arc<str>),
    Variable(Variable),
}

/// A variable, as a program names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Variable {
    /// The script's own, by number.
    Local(u16),
    /// One that included scripts share (RFC 6609 section 3.4).
    Global(Arc<str>),
    /// What the last match captured.
    Captured(u8),
}

impl Text {
    /// The string, where it is the same in each run.
    pub(crate) fn fixed(&self) -> Option<&Arc<str>> {
        match self {
            Self::Fixed(text) => Some(text),
            Self::Made(_) => None,
        }
    }

    /// The string in this run.
    pub(crate) fn value(&self, cx: &mut Context<'_>) -> Result<Arc<str>, Fault> {
        match self {
            Self::Fixed(text) => Ok(Arc::clone(text)),
            Self::Made(pieces) => {
                let mut value = String::new();
                for piece in pieces {
                    match piece {
                        Piece::Fixed(text) => value.push_str(text),
                        Piece::Variable(variable) => value.push_str(&cx.variable(variable)),
                    }
                    cx.look(value.len())?;
                }
                Ok(value.into())
            }
        }
    }
}

/// The strings in this run.
pub(crate) fn values(texts: &[Text], cx: &mut Context<'_>) -> Result<Vec<Arc<str>>, Fault> {
    texts.iter().map(|text| text.value(cx)).collect()
}

impl Compile<'_> {
    /// A string of the script.
    pub(crate) fn text(&mut self, text: &str, _at: Position) -> Result<Text, CompileError> {
        Ok(Text::Fixed(self.intern(text)))
    }

    /// Strings of the script.
    pub(crate) fn texts(&mut self, texts: &[String], at: Position) -> Result<Texts, CompileError> {
        self.holds(size_of_val(texts));
        texts.iter().map(|text| self.text(text, at)).collect()
    }
}
