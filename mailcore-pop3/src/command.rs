//! POP3 commands as typed values (RFC 1939 sections 5 to 7, RFC 2449 section
//! 5, RFC 2595 section 4, RFC 5034 section 4).
//!
//! Which command is legal when is the [session](crate::session)'s to say.

use bytes::Bytes;
use mailcore::account::Secret;
use thiserror::Error;

/// Octets of a command before its CRLF: 255 with it (RFC 2449 section 4).
pub const MAX_COMMAND: usize = 253;

/// A message's place in the maildrop, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct MessageNumber(pub u32);

/// A command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// `AUTH mechanism [initial-response]` (RFC 5034).
    Auth {
        /// In upper case.
        mechanism: String,
        /// Still in base64, `=` for none.
        initial: Option<Bytes>,
    },
    /// `CAPA`.
    Capa,
    /// `DELE msg`.
    Dele(MessageNumber),
    /// `LIST [msg]`.
    List(Option<MessageNumber>),
    /// `NOOP`.
    Noop,
    /// `PASS string`.
    Pass(Secret),
    /// `QUIT`.
    Quit,
    /// `RETR msg`.
    Retr(MessageNumber),
    /// `RSET`.
    Rset,
    /// `STAT`.
    Stat,
    /// `STLS`.
    Stls,
    /// `TOP msg n`.
    Top(MessageNumber, u32),
    /// `UIDL [msg]`.
    Uidl(Option<MessageNumber>),
    /// `USER name`.
    User(String),
}

/// Why a line is not a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CommandError {
    /// No such keyword.
    #[error("unknown command")]
    Unknown,
    /// The keyword takes no arguments.
    #[error("this command takes no argument")]
    UnexpectedArgument,
    /// An argument is missing.
    #[error("an argument is missing")]
    MissingArgument,
    /// Not a message number or a count of lines.
    #[error("the argument is not a number")]
    NotANumber,
    /// A name that is not UTF-8 or holds control characters.
    #[error("the argument has characters that are not allowed")]
    Characters,
}

impl Command {
    /// Parses a line without its CRLF. Keywords are taken in any case; spaces
    /// at the end are ignored, except in a password.
    ///
    /// # Errors
    /// [`CommandError`].
    pub fn parse(line: &[u8]) -> Result<Self, CommandError> {
        let (keyword, argument) = match memchr::memchr(b' ', line).map(|at| line.split_at(at)) {
            Some((keyword, rest)) => (keyword, rest.get(1..).unwrap_or_default()),
            None => (line, &[][..]),
        };
        let keyword = keyword.to_ascii_uppercase();
        if keyword == b"PASS" {
            return match argument {
                [] => Err(CommandError::MissingArgument),
                password => Ok(Self::Pass(Secret::new(password))),
            };
        }
        let argument = text(argument)?;
        match keyword.as_slice() {
            b"AUTH" => auth(argument),
            b"CAPA" => nothing(argument, Self::Capa),
            b"DELE" => required(argument).map(Self::Dele),
            b"LIST" => optional(argument).map(Self::List),
            b"NOOP" => nothing(argument, Self::Noop),
            b"QUIT" => nothing(argument, Self::Quit),
            b"RETR" => required(argument).map(Self::Retr),
            b"RSET" => nothing(argument, Self::Rset),
            b"STAT" => nothing(argument, Self::Stat),
            b"STLS" => nothing(argument, Self::Stls),
            b"TOP" => top(argument),
            b"UIDL" => optional(argument).map(Self::Uidl),
            b"USER" if argument.is_empty() => Err(CommandError::MissingArgument),
            b"USER" => Ok(Self::User(argument.to_owned())),
            _ => Err(CommandError::Unknown),
        }
    }
}

fn text(octets: &[u8]) -> Result<&str, CommandError> {
    let text = std::str::from_utf8(octets).map_err(|_| CommandError::Characters)?;
    if text.chars().any(char::is_control) {
        return Err(CommandError::Characters);
    }
    Ok(text.trim_matches(' '))
}

fn nothing(argument: &str, command: Command) -> Result<Command, CommandError> {
    match argument {
        "" => Ok(command),
        _ => Err(CommandError::UnexpectedArgument),
    }
}

fn number(text: &str) -> Result<u32, CommandError> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(CommandError::NotANumber);
    }
    // More digits than fit name a message that can't be: the greatest number
    // says so as well.
    Ok(text.parse().unwrap_or(u32::MAX))
}

fn required(argument: &str) -> Result<MessageNumber, CommandError> {
    match argument {
        "" => Err(CommandError::MissingArgument),
        text => number(text).map(MessageNumber),
    }
}

fn optional(argument: &str) -> Result<Option<MessageNumber>, CommandError> {
    match argument {
        "" => Ok(None),
        text => number(text).map(MessageNumber).map(Some),
    }
}

fn top(argument: &str) -> Result<Command, CommandError> {
    let (message, lines) = argument
        .split_once(' ')
        .ok_or(CommandError::MissingArgument)?;
    Ok(Command::Top(
        MessageNumber(number(message)?),
        number(lines.trim_start_matches(' '))?,
    ))
}

fn auth(argument: &str) -> Result<Command, CommandError> {
    let (mechanism, initial) = match argument.split_once(' ') {
        Some((mechanism, initial)) => (mechanism, Some(Bytes::copy_from_slice(initial.as_bytes()))),
        None => (argument, None),
    };
    if mechanism.is_empty() {
        return Err(CommandError::MissingArgument);
    }
    Ok(Command::Auth {
        mechanism: mechanism.to_ascii_uppercase(),
        initial,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn keywords_are_read_in_any_case_and_arguments_checked() {
        let parse = |line: &str| Command::parse(line.as_bytes());
        assert_eq!(parse("stat "), Ok(Command::Stat));
        assert_eq!(parse("Retr 007"), Ok(Command::Retr(MessageNumber(7))));
        assert_eq!(parse("LIST"), Ok(Command::List(None)));
        assert_eq!(parse("TOP 1 0"), Ok(Command::Top(MessageNumber(1), 0)));
        assert_eq!(
            parse("LIST 99999999999"),
            Ok(Command::List(Some(MessageNumber(u32::MAX))))
        );
        assert_eq!(parse("TOP 1"), Err(CommandError::MissingArgument));
        assert_eq!(parse("RETR -1"), Err(CommandError::NotANumber));
        assert_eq!(parse("NOOP x"), Err(CommandError::UnexpectedArgument));
        assert_eq!(parse("USER a\tb"), Err(CommandError::Characters));
        assert_eq!(parse(""), Err(CommandError::Unknown));
    }

    #[test]
    fn a_password_keeps_its_spaces_and_octets() {
        assert_eq!(
            Command::parse(b"pass  a \xff "),
            Ok(Command::Pass(Secret::new(&b" a \xff "[..])))
        );
    }

    proptest! {
        #[test]
        fn no_line_makes_it_panic(line: Vec<u8>) {
            let _ = Command::parse(&line);
        }
    }
}
