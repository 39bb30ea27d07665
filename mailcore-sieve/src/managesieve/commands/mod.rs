//! The commands, one a file, and the table of which is legal when (RFC 5804
//! section 2).

pub(super) mod authenticate;
pub(super) mod capability;
mod checkscript;
mod deletescript;
mod getscript;
mod havespace;
mod listscripts;
mod logout;
mod noop;
mod putscript;
mod renamescript;
mod setactive;
mod starttls;
mod unauthenticate;

use super::arguments::{ArgumentError, Arguments};
use super::response::Response;
use super::session::{Login, Phase, Session};
use super::tokens::Item;
use super::wording;

/// In which state a command may be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Legal {
    Always,
    BeforeLogin,
    AfterLogin,
}

/// Why a command was not begun.
#[derive(Debug)]
enum Refusal {
    /// The client got it wrong.
    Mistake(Response),
    /// It can't be done.
    Limit(Response),
}

impl From<ArgumentError> for Refusal {
    fn from(error: ArgumentError) -> Self {
        Self::Mistake(Response::no(error.to_string()))
    }
}

struct Spec {
    name: &'static str,
    legal: Legal,
    start: fn(&mut Session, Arguments) -> Result<(), Refusal>,
}

const fn spec(
    name: &'static str,
    legal: Legal,
    start: fn(&mut Session, Arguments) -> Result<(), Refusal>,
) -> Spec {
    Spec { name, legal, start }
}

#[rustfmt::skip]
const TABLE: &[Spec] = &[
    spec("AUTHENTICATE", Legal::BeforeLogin, authenticate::start),
    spec("STARTTLS", Legal::BeforeLogin, starttls::start),
    spec("LOGOUT", Legal::Always, logout::start),
    spec("CAPABILITY", Legal::Always, capability::start),
    spec("NOOP", Legal::Always, noop::start),
    spec("HAVESPACE", Legal::AfterLogin, havespace::start),
    spec("PUTSCRIPT", Legal::AfterLogin, putscript::start),
    spec("CHECKSCRIPT", Legal::AfterLogin, checkscript::start),
    spec("LISTSCRIPTS", Legal::AfterLogin, listscripts::start),
    spec("SETACTIVE", Legal::AfterLogin, setactive::start),
    spec("GETSCRIPT", Legal::AfterLogin, getscript::start),
    spec("DELETESCRIPT", Legal::AfterLogin, deletescript::start),
    spec("RENAMESCRIPT", Legal::AfterLogin, renamescript::start),
    spec("UNAUTHENTICATE", Legal::AfterLogin, unauthenticate::start),
];

impl Session {
    /// Takes one complete command, or the response of an exchange.
    pub(super) fn command(&mut self, items: Vec<Item>) {
        if let Phase::NotAuthenticated(Login::Exchange(_)) = &self.phase {
            return authenticate::response(self, &items);
        }
        let mut items = items.into_iter();
        let begun = match items.next() {
            Some(Item::Atom(name)) => self.start(&name, Arguments::new(items)),
            _ => Err(Refusal::Mistake(Response::no(wording::NO_COMMAND))),
        };
        match begun {
            Ok(()) => {}
            Err(Refusal::Mistake(response)) => self.refuse(&response),
            Err(Refusal::Limit(response)) => self.respond(&response),
        }
    }

    fn start(&mut self, name: &str, arguments: Arguments) -> Result<(), Refusal> {
        let mistake = |text: &str| Err(Refusal::Mistake(Response::no(text)));
        let known = TABLE.iter().find(|it| it.name.eq_ignore_ascii_case(name));
        let Some(spec) = known else {
            return mistake(wording::UNKNOWN_COMMAND);
        };
        let logged_in = matches!(self.phase, Phase::Authenticated(_));
        match spec.legal {
            Legal::BeforeLogin if logged_in => mistake(wording::LOGGED_IN),
            Legal::AfterLogin if !logged_in => mistake(wording::LOGIN_FIRST),
            _ => (spec.start)(self, arguments),
        }
    }
}
