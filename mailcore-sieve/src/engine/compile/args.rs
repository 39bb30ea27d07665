//! The arguments of a command or test, taken one after the other.

use super::{Compile, Text, Texts, hint};
use crate::engine::ast::{Argument, Command, Test, Value};
use crate::engine::{CompileError, Position};

/// A tag and the extension that brings it to a command of another: `"is"`, or
/// `("copy", "copy")`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tag {
    name: &'static str,
    extension: Option<&'static str>,
}

impl From<&'static str> for Tag {
    fn from(name: &'static str) -> Self {
        Self {
            name,
            extension: None,
        }
    }
}

impl From<(&'static str, &'static str)> for Tag {
    fn from((name, extension): (&'static str, &'static str)) -> Self {
        Self {
            name,
            extension: Some(extension),
        }
    }
}

/// Arguments that are not taken yet. Tags are taken first, by name and in any
/// order; then what is left, in order (RFC 5228 section 2.6).
#[derive(Debug)]
pub(crate) struct Args<'s> {
    name: &'s str,
    at: Position,
    left: Vec<(usize, &'s Argument)>,
    known: Vec<&'static str>,
    last_tag: Option<(usize, Position)>,
    first_plain: Option<usize>,
}

impl<'s> Args<'s> {
    /// Those of a command that takes neither tests nor a block.
    pub(crate) fn command(command: &'s Command) -> Result<Self, CompileError> {
        let name = &command.name;
        if let Some(test) = command.tests.first() {
            return Err(CompileError::new(
                test.at,
                format!("`{name}` takes no test; write `;` before"),
            ));
        }
        if command.block.is_some() {
            let words = format!("`{name}` takes no block: end it with `;`");
            return Err(CompileError::new(command.at, words));
        }
        Ok(Self::new(name, command.at, &command.arguments))
    }

    /// Those of a command whose tests and block the caller sees to.
    pub(crate) fn control(command: &'s Command) -> Self {
        Self::new(&command.name, command.at, &command.arguments)
    }

    /// Those of a test that takes no tests.
    pub(crate) fn test(test: &'s Test) -> Result<Self, CompileError> {
        let name = &test.name;
        if let Some(inner) = test.tests.first() {
            return Err(CompileError::new(
                inner.at,
                format!("`{name}` takes no test within"),
            ));
        }
        Ok(Self::new(name, test.at, &test.arguments))
    }

    fn new(name: &'s str, at: Position, arguments: &'s [Argument]) -> Self {
        Self {
            name,
            at,
            left: arguments.iter().enumerate().collect(),
            known: Vec::new(),
            last_tag: None,
            first_plain: None,
        }
    }

    /// What they are arguments of.
    pub(crate) fn name(&self) -> &'s str {
        self.name
    }

    /// Where that begins.
    pub(crate) fn at(&self) -> Position {
        self.at
    }

    /// An error at the whole.
    pub(crate) fn error(&self, words: impl Into<String>) -> CompileError {
        CompileError::new(self.at, words)
    }

    /// How many are left.
    pub(crate) fn left(&self) -> usize {
        self.left.len()
    }

    /// The next one that is left.
    pub(crate) fn peek(&self) -> Option<&'s Argument> {
        self.left.first().map(|(_, argument)| *argument)
    }

    /// Takes a tag; where it stands.
    pub(crate) fn flag(
        &mut self,
        cx: &Compile<'_>,
        tag: impl Into<Tag>,
    ) -> Result<Option<Position>, CompileError> {
        let tag = tag.into();
        Ok(self.take_tag(cx, tag)?.map(|(_, _, at)| at))
    }

    /// Takes a tag and the argument after it.
    fn valued(&mut self, cx: &Compile<'_>, tag: Tag) -> Result<Option<&'s Argument>, CompileError> {
        let Some((place, before, at)) = self.take_tag(cx, tag)? else {
            return Ok(None);
        };
        match self.left.get(place) {
            Some((index, argument))
                if *index == before + 1 && !matches!(argument.value, Value::Tag(_)) =>
            {
                Ok(Some(self.left.remove(place).1))
            }
            _ => Err(CompileError::new(
                at,
                format!("`:{}` needs a value after it", tag.name),
            )),
        }
    }

    /// Takes a tag: the place in `left` where it was, its index, and where it stands.
    fn take_tag(
        &mut self,
        cx: &Compile<'_>,
        tag: Tag,
    ) -> Result<Option<(usize, usize, Position)>, CompileError> {
        self.known.push(tag.name);
        let is_it =
            |argument: &Argument| matches!(&argument.value, Value::Tag(name) if name == tag.name);
        let Some(place) = self.left.iter().position(|(_, argument)| is_it(argument)) else {
            return Ok(None);
        };
        let (index, argument) = self.left.remove(place);
        if let Some((_, again)) = self.left.iter().find(|(_, argument)| is_it(argument)) {
            let words = format!("`:{}` is given twice: write it once", tag.name);
            return Err(CompileError::new(again.at, words));
        }
        if let Some(extension) = tag.extension {
            cx.demand(extension, &format!(":{}", tag.name), argument.at)?;
        }
        if self.last_tag.is_none_or(|(last, _)| last < index) {
            self.last_tag = Some((index, argument.at));
        }
        Ok(Some((place, index, argument.at)))
    }

    /// Takes a tag with a string.
    pub(crate) fn tag_text(
        &mut self,
        cx: &mut Compile<'_>,
        tag: impl Into<Tag>,
    ) -> Result<Option<Text>, CompileError> {
        let tag = tag.into();
        let Some(argument) = self.valued(cx, tag)? else {
            return Ok(None);
        };
        let text = one_text(argument).ok_or_else(|| wrong(argument, tag.name, "a string"))?;
        cx.text(text, argument.at).map(Some)
    }

    /// Takes a tag with a string that holds no variable; with its place.
    pub(crate) fn tag_fixed(
        &mut self,
        cx: &mut Compile<'_>,
        tag: impl Into<Tag>,
    ) -> Result<Option<(&'s str, Position)>, CompileError> {
        let tag = tag.into();
        let Some(argument) = self.valued(cx, tag)? else {
            return Ok(None);
        };
        let text = one_text(argument).ok_or_else(|| wrong(argument, tag.name, "a string"))?;
        Ok(Some((text, argument.at)))
    }

    /// Takes a tag with a list of strings.
    pub(crate) fn tag_texts(
        &mut self,
        cx: &mut Compile<'_>,
        tag: impl Into<Tag>,
    ) -> Result<Option<Texts>, CompileError> {
        let tag = tag.into();
        let Some(argument) = self.valued(cx, tag)? else {
            return Ok(None);
        };
        let texts =
            all_texts(argument).ok_or_else(|| wrong(argument, tag.name, "a list of strings"))?;
        cx.texts(texts, argument.at).map(Some)
    }

    /// Takes a tag with a number.
    pub(crate) fn tag_number(
        &mut self,
        cx: &Compile<'_>,
        tag: impl Into<Tag>,
    ) -> Result<Option<u64>, CompileError> {
        let tag = tag.into();
        match self.valued(cx, tag)? {
            None => Ok(None),
            Some(Argument {
                value: Value::Number(number),
                ..
            }) => Ok(Some(*number)),
            Some(argument) => Err(wrong(argument, tag.name, "a number")),
        }
    }

    /// The next argument, no tag; `what` names it in errors.
    fn plain(&mut self, what: &str) -> Result<&'s Argument, CompileError> {
        match self.left.first() {
            None => Err(self.error(format!("`{}` needs {what}", self.name))),
            Some((_, argument)) => {
                if let Value::Tag(tag) = &argument.value {
                    return Err(self.unknown_tag(tag, argument.at));
                }
                let (index, argument) = self.left.remove(0);
                self.first_plain.get_or_insert(index);
                Ok(argument)
            }
        }
    }

    /// Takes the next string.
    pub(crate) fn text(&mut self, cx: &mut Compile<'_>, what: &str) -> Result<Text, CompileError> {
        let (text, at) = self.fixed(what)?;
        cx.text(text, at)
    }

    /// Takes the next string as it is written: one that may hold no variable, as
    /// it is looked at when the script is compiled.
    pub(crate) fn fixed(&mut self, what: &str) -> Result<(&'s str, Position), CompileError> {
        let argument = self.plain(what)?;
        let text = one_text(argument).ok_or_else(|| self.mismatch(argument, what))?;
        Ok((text, argument.at))
    }

    /// Takes the next list of strings.
    pub(crate) fn texts(
        &mut self,
        cx: &mut Compile<'_>,
        what: &str,
    ) -> Result<Texts, CompileError> {
        let (texts, at) = self.fixed_list(what)?;
        cx.texts(texts, at)
    }

    /// Takes the next list of strings as they are written.
    pub(crate) fn fixed_list(
        &mut self,
        what: &str,
    ) -> Result<(&'s [String], Position), CompileError> {
        let argument = self.plain(what)?;
        let texts = all_texts(argument).ok_or_else(|| self.mismatch(argument, what))?;
        Ok((texts, argument.at))
    }

    /// Nothing may be left.
    pub(crate) fn end(self) -> Result<(), CompileError> {
        if let Some((_, argument)) = self.left.first() {
            return Err(match &argument.value {
                Value::Tag(tag) => self.unknown_tag(tag, argument.at),
                _ => CompileError::new(
                    argument.at,
                    format!("`{}` takes no more arguments: remove this one", self.name),
                ),
            });
        }
        match (self.last_tag, self.first_plain) {
            (Some((tag, at)), Some(plain)) if plain < tag => Err(CompileError::new(
                at,
                format!(
                    "tags of `{}` stand before its other arguments: move this one",
                    self.name
                ),
            )),
            _ => Ok(()),
        }
    }

    fn mismatch(&self, argument: &Argument, what: &str) -> CompileError {
        CompileError::new(argument.at, format!("`{}` needs {what} here", self.name))
    }

    fn unknown_tag(&self, tag: &str, at: Position) -> CompileError {
        let words = if self.known.contains(&tag) {
            format!("`:{tag}` can't stand here: remove it")
        } else {
            let hint = hint(tag, self.known.iter().copied(), ":");
            format!("`{}` takes no tag `:{tag}`{hint}", self.name)
        };
        CompileError::new(at, words)
    }
}

fn wrong(argument: &Argument, tag: &str, what: &str) -> CompileError {
    CompileError::new(argument.at, format!("`:{tag}` needs {what}"))
}

fn one_text(argument: &Argument) -> Option<&str> {
    match &argument.value {
        Value::Text(text) => Some(text),
        _ => None,
    }
}

fn all_texts(argument: &Argument) -> Option<&[String]> {
    match &argument.value {
        Value::Text(text) => Some(std::slice::from_ref(text)),
        Value::List(list) => Some(list),
        _ => None,
    }
}
