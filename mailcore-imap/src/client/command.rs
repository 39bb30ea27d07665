//! [`Command`]: what is said to a server, piece by piece.
//!
//! How a literal is announced depends on the server; the session sees to that.

use std::fmt;

use super::auth::Mechanism;
use super::error::ClientError;
use super::name::{NameForm, RemoteName};
use crate::codec::is_atom_char;

/// The longest text written as a quoted string.
const MAX_QUOTED: usize = 1_000;

/// A command without its tag.
pub struct Command {
    name: &'static str,
    pub(super) parts: Vec<Part>,
    pub(super) kind: Kind,
    unsendable: bool,
    /// What comes next follows without a space.
    joins: bool,
}

/// A piece of a command.
#[derive(Clone)]
pub(super) enum Part {
    /// Octets that go as they are.
    Octets(Vec<u8>),
    /// A literal that is here.
    Literal(Vec<u8>),
    /// A literal whose octets the host brings.
    Stream(u64),
}

/// What a command does to the session.
#[derive(Debug)]
pub(super) enum Kind {
    Plain,
    /// Holds a password.
    Login,
    Authenticate(Box<dyn Mechanism>),
    Idle,
    Logout,
}

impl Command {
    /// A command of this name, which may have two words (`UID FETCH`).
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            parts: vec![Part::Octets(name.as_bytes().to_vec())],
            kind: Kind::Plain,
            unsendable: false,
            joins: false,
        }
    }

    pub(super) fn of_kind(mut self, kind: Kind) -> Self {
        self.kind = kind;
        self
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// A space, and `text` as it is. The text must be the grammar's: CR and LF
    /// make the command unsendable.
    #[must_use]
    pub fn raw(mut self, text: impl fmt::Display) -> Self {
        self.space();
        self.octets(text.to_string().as_bytes());
        self
    }

    /// `text` as it is, without a space.
    #[must_use]
    pub fn joined(mut self, text: impl fmt::Display) -> Self {
        self.octets(text.to_string().as_bytes());
        self
    }

    /// A space and an opening parenthesis, after which no space comes.
    #[must_use]
    pub fn open(mut self) -> Self {
        self.space();
        self.octets(b"(");
        self.joins = true;
        self
    }

    /// A space and `text` in a form that carries it.
    #[must_use]
    pub fn astring(mut self, text: &[u8]) -> Self {
        self.space();
        self.text(text);
        self
    }

    /// A space and `text` as a string, never as an atom.
    #[must_use]
    pub fn string(mut self, text: &str) -> Self {
        self.space();
        self.quoted(text.as_bytes());
        self
    }

    /// A space and a mailbox's name.
    #[must_use]
    pub fn mailbox(self, name: &RemoteName, form: NameForm) -> Self {
        self.astring(&name.encode(form))
    }

    /// A space and a literal of `size` octets that the host brings.
    #[must_use]
    pub fn stream(mut self, size: u64) -> Self {
        self.octets(b" ");
        self.parts.push(Part::Stream(size));
        self
    }

    fn space(&mut self) {
        if !std::mem::take(&mut self.joins) {
            self.octets(b" ");
        }
    }

    fn octets(&mut self, octets: &[u8]) {
        self.unsendable |= octets.iter().any(|&b| matches!(b, 0 | b'\r' | b'\n'));
        match self.parts.last_mut() {
            Some(Part::Octets(last)) => last.extend_from_slice(octets),
            _ => self.parts.push(Part::Octets(octets.to_vec())),
        }
    }

    fn text(&mut self, text: &[u8]) {
        let is_atom = !text.is_empty() && text.iter().all(|&b| is_atom_char(b));
        if is_atom && text.len() <= MAX_QUOTED && !text.eq_ignore_ascii_case(b"NIL") {
            return self.octets(text);
        }
        self.quoted(text);
    }

    fn quoted(&mut self, text: &[u8]) {
        self.unsendable |= text.contains(&0);
        let quotable = |&b: &u8| (0x20..0x7f).contains(&b);
        if text.len() > MAX_QUOTED || !text.iter().all(quotable) {
            return self.parts.push(Part::Literal(text.to_vec()));
        }
        let mut quoted = vec![b'"'];
        for &b in text {
            if matches!(b, b'"' | b'\\') {
                quoted.push(b'\\');
            }
            quoted.push(b);
        }
        quoted.push(b'"');
        self.octets(&quoted);
    }

    /// Whether it can be sent.
    pub(super) fn checked(self) -> Result<Self, ClientError> {
        match self.unsendable {
            true => Err(ClientError::Unsendable(self.name)),
            false => Ok(self),
        }
    }

    /// True when it holds a secret.
    pub(super) fn is_secret(&self) -> bool {
        matches!(self.kind, Kind::Login | Kind::Authenticate(_))
    }

    /// True when nothing else may be under way with it: what comes then is
    /// neither text nor an answer of its own, or changes what others mean.
    pub(super) fn is_exclusive(&self) -> bool {
        !matches!(self.kind, Kind::Plain)
    }
}

/// Without its arguments, which may be secret.
impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Command").field(&self.name).finish()
    }
}

impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Octets(_) => "Octets",
            Self::Literal(_) => "Literal",
            Self::Stream(_) => "Stream",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_take_the_form_that_carries_them() {
        let command = Command::new("LOGIN").astring(b"tim").astring(b"a \"b\\");
        let Some(Part::Octets(octets)) = command.parts.first() else {
            panic!("no octets");
        };
        assert_eq!(octets, br#"LOGIN tim "a \"b\\""#);
        let command = Command::new("SELECT")
            .astring("ü".as_bytes())
            .astring(b"nil");
        assert_eq!(format!("{:?}", command.parts), "[Octets, Literal, Octets]");
    }

    #[test]
    fn what_would_break_out_of_the_command_is_not_sent() {
        assert!(
            Command::new("NOOP")
                .raw("x\r\na2 DELETE y")
                .checked()
                .is_err()
        );
        assert!(Command::new("SELECT").astring(b"a\0").checked().is_err());
        assert!(Command::new("SELECT").astring(b"a\r\nb").checked().is_ok());
    }
}
