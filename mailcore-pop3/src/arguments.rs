//! A command line as its parts: the keyword and its [`Argument`] (RFC 1939
//! section 3, RFC 2449 section 4).
//!
//! Which command a keyword names, and when it may be given, is said by the
//! [table](crate::commands).

use thiserror::Error;

use crate::maildrop::MessageNumber;

/// Octets of a command before its CRLF: 255 with it (RFC 2449 section 4).
pub(crate) const MAX_COMMAND: usize = 253;

/// Why an argument is not one that the command takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum ArgumentError {
    /// The keyword takes no arguments.
    #[error("this command takes no argument")]
    Unexpected,
    /// An argument is missing.
    #[error("an argument is missing")]
    Missing,
    /// Not a message number or a count of lines.
    #[error("the argument is not a number")]
    NotANumber,
    /// A name that is not UTF-8 or holds control characters.
    #[error("the argument has characters that are not allowed")]
    Characters,
}

/// The line's keyword in upper case, and what follows it.
pub(crate) fn split(line: &[u8]) -> (Vec<u8>, Argument<'_>) {
    let (keyword, rest) = match memchr::memchr(b' ', line).map(|at| line.split_at(at)) {
        Some((keyword, rest)) => (keyword, rest.get(1..)),
        None => (line, None),
    };
    let argument = Argument(rest.unwrap_or_default());
    (keyword.to_ascii_uppercase(), argument)
}

/// What follows the keyword and its space.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Argument<'a>(&'a [u8]);

impl<'a> Argument<'a> {
    /// All of it, for a password, in which every octet counts.
    pub(crate) fn octets(self) -> Result<&'a [u8], ArgumentError> {
        match self.0 {
            [] => Err(ArgumentError::Missing),
            octets => Ok(octets),
        }
    }

    /// The text; empty without one. Spaces around it mean nothing.
    pub(crate) fn text(self) -> Result<&'a str, ArgumentError> {
        let text = std::str::from_utf8(self.0).map_err(|_| ArgumentError::Characters)?;
        match text.chars().any(char::is_control) {
            true => Err(ArgumentError::Characters),
            false => Ok(text.trim_matches(' ')),
        }
    }

    /// Nothing.
    pub(crate) fn none(self) -> Result<(), ArgumentError> {
        match self.text()? {
            "" => Ok(()),
            _ => Err(ArgumentError::Unexpected),
        }
    }

    /// A name: text that is there.
    pub(crate) fn name(self) -> Result<&'a str, ArgumentError> {
        match self.text()? {
            "" => Err(ArgumentError::Missing),
            name => Ok(name),
        }
    }

    /// Two words, the second being all that follows the first.
    pub(crate) fn pair(self) -> Result<(&'a str, &'a str), ArgumentError> {
        let (first, second) = self.text()?.split_once(' ').ok_or(ArgumentError::Missing)?;
        Ok((first, second.trim_start_matches(' ')))
    }

    /// A message number.
    pub(crate) fn message(self) -> Result<MessageNumber, ArgumentError> {
        number(self.name()?).map(MessageNumber)
    }

    /// A message number, where there is one.
    pub(crate) fn message_if_given(self) -> Result<Option<MessageNumber>, ArgumentError> {
        match self.text()? {
            "" => Ok(None),
            text => number(text).map(MessageNumber).map(Some),
        }
    }

    /// A message number and a count.
    pub(crate) fn message_and_count(self) -> Result<(MessageNumber, u32), ArgumentError> {
        let (message, count) = self.pair()?;
        Ok((MessageNumber(number(message)?), number(count)?))
    }
}

fn number(text: &str) -> Result<u32, ArgumentError> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(ArgumentError::NotANumber);
    }
    // More digits than fit name a message that can't be: the greatest number
    // says so as well.
    Ok(text.parse().unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn argument(text: &str) -> Argument<'_> {
        Argument(text.as_bytes())
    }

    #[test]
    fn keywords_are_read_in_any_case() {
        let (keyword, rest) = split(b"Retr 007 ");
        assert_eq!(keyword, b"RETR");
        assert_eq!(rest.message(), Ok(MessageNumber(7)));
        assert_eq!(split(b"").0, b"");
        assert_eq!(split(b"STAT").1.none(), Ok(()));
    }

    #[test]
    fn arguments_are_checked() {
        assert_eq!(argument(" ").message_if_given(), Ok(None));
        assert_eq!(
            argument("99999999999").message(),
            Ok(MessageNumber(u32::MAX))
        );
        assert_eq!(
            argument("1 0").message_and_count(),
            Ok((MessageNumber(1), 0))
        );
        let missing = argument("1").message_and_count();
        assert_eq!(missing, Err(ArgumentError::Missing));
        assert_eq!(argument("-1").message(), Err(ArgumentError::NotANumber));
        assert_eq!(argument("x").none(), Err(ArgumentError::Unexpected));
        assert_eq!(argument("a\tb").name(), Err(ArgumentError::Characters));
        assert_eq!(argument("").name(), Err(ArgumentError::Missing));
    }

    #[test]
    fn a_password_keeps_its_spaces_and_octets() {
        let (_, password) = split(b"pass  a \xff ");
        assert_eq!(password.octets(), Ok(&b" a \xff "[..]));
    }

    proptest! {
        #[test]
        fn no_line_makes_it_panic(line: Vec<u8>) {
            let (_, argument) = split(&line);
            let _ = (argument.text(), argument.message_and_count());
        }
    }
}
