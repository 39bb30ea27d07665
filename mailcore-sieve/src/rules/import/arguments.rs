//! Arguments of commands and tests, taken one after the other; what nobody took
//! can't be a rule's.

use super::{Refused, refused};
use crate::engine::Position;
use crate::engine::ast::{Argument, Command, Value};

impl Value {
    pub(super) fn is_tag(&self, wanted: &str) -> bool {
        matches!(self, Self::Tag(name) if name == wanted)
    }

    /// True when it is this string, or a list with it.
    pub(super) fn names(&self, wanted: &str) -> bool {
        match self {
            Self::Text(text) => text == wanted,
            Self::List(texts) => texts.iter().any(|text| text == wanted),
            _ => false,
        }
    }
}

pub(super) fn text_of(argument: &Argument) -> Option<&str> {
    match &argument.value {
        Value::Text(text) => Some(text),
        _ => None,
    }
}

/// Whether a command is `set "name" "value";`.
pub(super) fn is_set(command: &Command, name: &str, value: &str) -> bool {
    let [found, to] = command.arguments.as_slice() else {
        return false;
    };
    command.name == "set" && text_of(found) == Some(name) && text_of(to) == Some(value)
}

/// The arguments of one command or test.
#[derive(Debug)]
pub(super) struct Arguments<'s> {
    /// Whose they are.
    pub(super) name: &'s str,
    pub(super) at: Position,
    tags: Vec<(&'s str, Option<&'s Argument>)>,
    rest: std::collections::VecDeque<&'s Argument>,
}

impl<'s> Arguments<'s> {
    /// Divides tags from what stands by its place; `valued` are the tags that
    /// have a value behind them.
    pub(super) fn new(
        name: &'s str,
        at: Position,
        arguments: &'s [Argument],
        valued: &[&str],
    ) -> Self {
        let (mut tags, mut rest) = (Vec::new(), std::collections::VecDeque::new());
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            match &argument.value {
                Value::Tag(tag) if valued.contains(&tag.as_str()) => {
                    tags.push((tag.as_str(), arguments.next()));
                }
                Value::Tag(tag) => tags.push((tag.as_str(), None)),
                _ => rest.push_back(argument),
            }
        }
        Self {
            name,
            at,
            tags,
            rest,
        }
    }

    pub(super) fn refused<T>(&self, words: &str) -> Result<T, Refused> {
        Err(refused(self.at, format!("{} {words}", self.name)))
    }

    /// Takes a tag.
    pub(super) fn tag(&mut self, wanted: &str) -> bool {
        let place = self.tags.iter().position(|(name, _)| *name == wanted);
        place.map(|place| self.tags.remove(place)).is_some()
    }

    /// Takes a tag with its value.
    pub(super) fn value(&mut self, wanted: &str) -> Option<&'s Argument> {
        let place = self.tags.iter().position(|(name, _)| *name == wanted)?;
        self.tags.remove(place).1
    }

    pub(super) fn number(&mut self, wanted: &str) -> Result<Option<u64>, Refused> {
        match self.value(wanted).map(|it| &it.value) {
            None => Ok(None),
            Some(Value::Number(number)) => Ok(Some(*number)),
            Some(_) => self.refused(&format!("needs a number behind :{wanted}")),
        }
    }

    /// The string behind a tag.
    pub(super) fn text_behind(&mut self, wanted: &str) -> Result<Option<&'s str>, Refused> {
        match self.value(wanted) {
            None => Ok(None),
            Some(argument) => match text_of(argument) {
                Some(text) => Ok(Some(text)),
                None => self.refused(&format!("needs a string behind :{wanted}")),
            },
        }
    }

    /// The next argument that stands by its place.
    pub(super) fn next(&mut self) -> Result<&'s Argument, Refused> {
        match self.rest.pop_front() {
            Some(argument) => Ok(argument),
            None => self.refused("lacks an argument"),
        }
    }

    /// The next one, a string.
    pub(super) fn text(&mut self) -> Result<&'s str, Refused> {
        match text_of(self.next()?) {
            Some(text) => Ok(text),
            None => self.refused("needs a string here"),
        }
    }

    /// The next one, a string or several.
    pub(super) fn texts(&mut self) -> Result<Vec<&'s str>, Refused> {
        let next = self.next()?;
        self.texts_in(next)
    }

    pub(super) fn texts_in(&self, argument: &'s Argument) -> Result<Vec<&'s str>, Refused> {
        match &argument.value {
            Value::Text(text) => Ok(vec![text]),
            Value::List(texts) => Ok(texts.iter().map(String::as_str).collect()),
            _ => self.refused("needs strings here"),
        }
    }

    /// Refuses what nobody took.
    pub(super) fn end(&self) -> Result<(), Refused> {
        match (self.tags.first(), self.rest.front()) {
            (Some((tag, _)), _) => self.refused(&format!(":{tag} can't be written as a rule")),
            (None, Some(_)) => self.refused("has an argument more than rules know"),
            (None, None) => Ok(()),
        }
    }
}
