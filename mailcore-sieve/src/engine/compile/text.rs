//! Strings of a program: fixed ones, and those that variables are put into
//! (RFC 5229 section 3).

use std::sync::Arc;

use super::Compile;
use crate::engine::matcher::MAX_CAPTURES;
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
    pub(crate) fn text(&mut self, text: &str, at: Position) -> Result<Text, CompileError> {
        if !self.requires("variables") || !text.contains("${") {
            return Ok(Text::Fixed(self.intern(text)));
        }
        let mut pieces = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(start) = rest.find("${") {
            let (before, from) = rest.split_at_checked(start).unwrap_or((rest, ""));
            plain.push_str(before);
            let Some((name, after)) = reference(from) else {
                plain.push('$');
                rest = from.get(1..).unwrap_or_default();
                continue;
            };
            if !plain.is_empty() {
                pieces.push(Piece::Fixed(self.intern(&plain)));
                plain.clear();
            }
            pieces.push(Piece::Variable(self.variable(name, at)?));
            rest = after;
        }
        plain.push_str(rest);
        if pieces.is_empty() {
            return Ok(Text::Fixed(self.intern(&plain)));
        }
        if !plain.is_empty() {
            pieces.push(Piece::Fixed(self.intern(&plain)));
        }
        self.holds(size_of_val(pieces.as_slice()));
        Ok(Text::Made(pieces.into()))
    }

    /// Strings of the script.
    pub(crate) fn texts(&mut self, texts: &[String], at: Position) -> Result<Texts, CompileError> {
        self.holds(size_of::<Text>() * texts.len());
        texts.iter().map(|text| self.text(text, at)).collect()
    }

    /// An error for a string that variables are put into, where none may be.
    pub(crate) fn constant(&self, text: &str, at: Position) -> Result<(), CompileError> {
        let mut rest = text;
        while let Some(start) = rest.find("${") {
            let from = rest.get(start..).unwrap_or_default();
            if self.requires("variables") && reference(from).is_some() {
                return Err(CompileError::new(
                    at,
                    "no variable can stand in this string",
                ));
            }
            rest = from.get(2..).unwrap_or_default();
        }
        Ok(())
    }

    /// The variable of a name (RFC 5229 section 3).
    pub(crate) fn variable(&mut self, name: &str, at: Position) -> Result<Variable, CompileError> {
        let error = |words: String| Err(CompileError::new(at, words));
        if name.starts_with(|first: char| first.is_ascii_digit()) {
            // Zeroes before it are ignored (RFC 5229 section 3.2).
            let number = name.trim_start_matches('0');
            let number = if number.is_empty() {
                Ok(0)
            } else {
                number.parse::<u8>()
            };
            return match number {
                Ok(number) if usize::from(number) < MAX_CAPTURES => Ok(Variable::Captured(number)),
                _ => error(format!(
                    "`${{{name}}}` is beyond what a match captures: the last is `${{{}}}`",
                    MAX_CAPTURES - 1
                )),
            };
        }
        let name = name.to_ascii_lowercase();
        if let Some((namespace, inner)) = name.split_once('.') {
            if namespace != "global" {
                return error(format!("there is no namespace `{namespace}` of variables"));
            }
            self.demand("include", "global.", at)?;
            if !is_identifier(inner) {
                return error(format!("`{name}` is no name of a variable"));
            }
            return self.global_variable(inner, at);
        }
        if self.globals.contains_key(&name) && self.declared.contains(&name) {
            return self.global_variable(&name, at);
        }
        if let Some(number) = self.locals.get(&name) {
            return Ok(Variable::Local(*number));
        }
        let number = self.locals.len();
        if number >= self.limits().variables {
            return error(format!(
                "a script has {} variables at most",
                self.limits().variables
            ));
        }
        let number = u16::try_from(number).unwrap_or(u16::MAX);
        self.locals.insert(name, number);
        Ok(Variable::Local(number))
    }

    /// A variable that included scripts share.
    fn global_variable(&mut self, name: &str, at: Position) -> Result<Variable, CompileError> {
        if let Some(known) = self.globals.get(name) {
            return Ok(Variable::Global(known.clone()));
        }
        if self.globals.len() >= self.limits().variables {
            let words = format!("a script has {} variables at most", self.limits().variables);
            return Err(CompileError::new(at, words));
        }
        let known = self.intern(name);
        self.globals.insert(name.to_owned(), known.clone());
        Ok(Variable::Global(known))
    }

    /// Has a name mean the variable that included scripts share, from here on.
    pub(crate) fn declare_global(&mut self, name: &str, at: Position) -> Result<(), CompileError> {
        let name = name.to_ascii_lowercase();
        if !is_identifier(&name) {
            return Err(CompileError::new(
                at,
                format!("`{name}` is no name of a variable"),
            ));
        }
        if self.assigned.contains(&name) {
            let words = format!("`{name}` was set before: declare it global before that");
            return Err(CompileError::new(at, words));
        }
        self.global_variable(&name, at)?;
        self.declared.insert(name);
        Ok(())
    }

    /// The variable that is to be set: no match variable.
    pub(crate) fn settable(&mut self, name: &str, at: Position) -> Result<Variable, CompileError> {
        let plain = name.rsplit_once('.').map_or(name, |(_, inner)| inner);
        if !is_identifier(plain) {
            let words = format!(
                "\"{}\" is no name of a variable that can be set",
                name.escape_debug()
            );
            return Err(CompileError::new(at, words));
        }
        self.assigned.insert(name.to_ascii_lowercase());
        self.variable(name, at)
    }
}

/// The `variable-ref` that a text begins with: its name, and what follows it.
fn reference(text: &str) -> Option<(&str, &str)> {
    let inner = text.strip_prefix("${")?;
    // Only as far as a name can go: the search has to stay linear.
    let end =
        inner.find(|next: char| !next.is_ascii_alphanumeric() && !matches!(next, '_' | '.'))?;
    let (name, after) = inner.split_at_checked(end)?;
    let after = after.strip_prefix('}')?;
    let mut parts = name.split('.');
    let first = parts.next()?;
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|octet| octet.is_ascii_digit());
    let right = if name.contains('.') {
        is_identifier(first) && parts.all(|part| is_identifier(part) || digits(part))
    } else {
        is_identifier(first) || digits(first)
    };
    right.then_some((name, after))
}

fn is_identifier(name: &str) -> bool {
    !name.starts_with(|first: char| first.is_ascii_digit())
        && !name.is_empty()
        && name
            .bytes()
            .all(|octet| octet.is_ascii_alphanumeric() || octet == b'_')
}
