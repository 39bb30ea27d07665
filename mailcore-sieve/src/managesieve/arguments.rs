//! What follows a command's name: [`Arguments`].

use mailcore::seams::check_script_name;
use thiserror::Error;

use super::tokens::Item;

/// Octets of a string that is no script and no SASL response.
const MAX_STRING: usize = 4096;

/// Why an argument is not one that the command takes.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(super) enum ArgumentError {
    /// One more than the command takes.
    #[error("this command takes fewer arguments")]
    Unexpected,
    /// One too few.
    #[error("an argument is missing")]
    Missing,
    /// A number or an atom where a string belongs.
    #[error("the argument must be a string, in quotes or as a literal")]
    NotAString,
    /// Not a number of 32 bits.
    #[error("the size must be a number, without quotes")]
    NotANumber,
    /// A string over the limit.
    #[error("the argument is too long")]
    TooLong,
    /// Not a script's name.
    #[error("{0}")]
    Name(String),
}

/// A script as the client sent it.
#[derive(Debug)]
pub(super) enum Script {
    /// The text.
    Text(Vec<u8>),
    /// Over the limit.
    TooLarge,
}

/// The arguments of a command, from the first to the last.
#[derive(Debug)]
pub(super) struct Arguments(std::vec::IntoIter<Item>);

impl Arguments {
    pub(super) fn new(items: std::vec::IntoIter<Item>) -> Self {
        Self(items)
    }

    /// There are no more.
    pub(super) fn end(mut self) -> Result<(), ArgumentError> {
        match self.0.next() {
            None => Ok(()),
            Some(_) => Err(ArgumentError::Unexpected),
        }
    }

    /// A string that may be left out.
    pub(super) fn string_if_given(&mut self) -> Result<Option<Vec<u8>>, ArgumentError> {
        match self.0.next() {
            None => Ok(None),
            Some(Item::Atom(_)) => Err(ArgumentError::NotAString),
            Some(Item::TooLarge) => Err(ArgumentError::TooLong),
            Some(Item::Text(text)) => Ok(Some(text)),
        }
    }

    /// A string.
    pub(super) fn string(&mut self) -> Result<Vec<u8>, ArgumentError> {
        let text = self.string_if_given()?.ok_or(ArgumentError::Missing)?;
        short(text)
    }

    /// A short string that may be left out.
    pub(super) fn tag(&mut self) -> Result<Option<Vec<u8>>, ArgumentError> {
        self.string_if_given()?.map(short).transpose()
    }

    /// A script's name.
    pub(super) fn name(&mut self) -> Result<String, ArgumentError> {
        let text = self.string()?;
        let name = String::from_utf8(text)
            .map_err(|_| ArgumentError::Name("a script's name is in UTF-8".into()))?;
        check_script_name(&name).map_err(|error| ArgumentError::Name(error.to_string()))?;
        Ok(name)
    }

    /// A script's name, or none for the empty string (RFC 5804 section 2.8).
    pub(super) fn name_or_none(&mut self) -> Result<Option<String>, ArgumentError> {
        match self.0.as_slice().first() {
            Some(Item::Text(text)) if text.is_empty() => {
                self.0.next();
                Ok(None)
            }
            _ => self.name().map(Some),
        }
    }

    /// A script.
    pub(super) fn script(&mut self) -> Result<Script, ArgumentError> {
        match self.0.next() {
            None => Err(ArgumentError::Missing),
            Some(Item::Atom(_)) => Err(ArgumentError::NotAString),
            Some(Item::TooLarge) => Ok(Script::TooLarge),
            Some(Item::Text(text)) => Ok(Script::Text(text)),
        }
    }

    /// A number of 32 bits.
    pub(super) fn number(&mut self) -> Result<u32, ArgumentError> {
        match self.0.next() {
            None => Err(ArgumentError::Missing),
            Some(Item::Atom(digits)) if digits.bytes().all(|octet| octet.is_ascii_digit()) => {
                digits.parse().map_err(|_| ArgumentError::NotANumber)
            }
            Some(_) => Err(ArgumentError::NotANumber),
        }
    }
}

fn short(text: Vec<u8>) -> Result<Vec<u8>, ArgumentError> {
    match text.len() <= MAX_STRING {
        true => Ok(text),
        false => Err(ArgumentError::TooLong),
    }
}
