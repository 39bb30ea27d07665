//! The commands, one a file, and the one table that says in which state each
//! is legal and what CAPA tells of it.
//!
//! A command's file reads its argument, changes the state or asks, and words
//! the reply; nothing is sent from here.

#[cfg(feature = "sasl")]
mod apop;
pub(crate) mod auth;
mod capa;
mod dele;
mod lang;
mod list;
mod noop;
mod pass;
mod quit;
mod retr;
mod rset;
mod stat;
mod stls;
mod top;
mod uidl;
mod user;
mod utf8;

use crate::arguments::{Argument, ArgumentError, split};
use crate::maildrop::NoSuchMessage;
use crate::reply::Reply;
use crate::session::{Authorization, Open, Phase, Session};
use crate::wording;

/// A row of the table.
#[derive(Debug)]
struct Spec {
    name: &'static str,
    start: Start,
    announced: Announced,
}

/// When a command is legal (RFC 1939 section 3), and what it works on then.
#[derive(Debug, Clone, Copy)]
enum Start {
    Always(fn(&mut Session, Argument<'_>) -> Result<(), Refusal>),
    Authorization(fn(&mut Session, Argument<'_>) -> Result<(), Refusal>),
    /// Says its reply; `None` when what was begun does.
    Transaction(fn(&mut Open, Argument<'_>) -> Result<Option<Reply>, Refusal>),
}

/// What CAPA tells of a command (RFC 2449 section 6).
#[derive(Debug, Clone, Copy)]
enum Announced {
    /// Nothing: it belongs to RFC 1939's minimum, or the greeting tells of it.
    Never,
    Always(&'static str),
    /// What the session's state makes of it.
    If(fn(&Session) -> Option<String>),
}

/// A command that is refused.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// A mistake of the client's, which counts towards the limit.
    Mistake(Reply),
    /// A message that is gone, which is no mistake of a client that pipelines.
    NoSuch(NoSuchMessage),
}

impl From<Reply> for Refusal {
    fn from(reply: Reply) -> Self {
        Self::Mistake(reply)
    }
}

impl From<ArgumentError> for Refusal {
    fn from(error: ArgumentError) -> Self {
        Self::Mistake(wording::bad_argument(error))
    }
}

impl From<NoSuchMessage> for Refusal {
    fn from(error: NoSuchMessage) -> Self {
        Self::NoSuch(error)
    }
}

const fn spec(name: &'static str, announced: Announced, start: Start) -> Spec {
    Spec {
        name,
        start,
        announced,
    }
}

/// Every command.
#[rustfmt::skip]
static TABLE: &[Spec] = &[
    spec("CAPA", Announced::Never, Start::Always(capa::start)),
    spec("QUIT", Announced::Never, Start::Always(quit::start)),
    spec("LANG", Announced::Always("LANG"), Start::Always(lang::start)),
    spec("UTF8", Announced::Always("UTF8 USER"), Start::Authorization(utf8::start)),
    spec("STLS", Announced::If(stls::capability), Start::Authorization(stls::start)),
    spec("USER", Announced::If(user::capability), Start::Authorization(user::start)),
    spec("PASS", Announced::Never, Start::Authorization(pass::start)),
    #[cfg(feature = "sasl")]
    spec("APOP", Announced::Never, Start::Authorization(apop::start)),
    spec("AUTH", Announced::If(auth::capability), Start::Authorization(auth::start)),
    spec("TOP", Announced::Always("TOP"), Start::Transaction(top::start)),
    spec("UIDL", Announced::Always("UIDL"), Start::Transaction(uidl::start)),
    spec("STAT", Announced::Never, Start::Transaction(stat::start)),
    spec("LIST", Announced::Never, Start::Transaction(list::start)),
    spec("RETR", Announced::Never, Start::Transaction(retr::start)),
    spec("DELE", Announced::Never, Start::Transaction(dele::start)),
    spec("NOOP", Announced::Never, Start::Transaction(noop::start)),
    spec("RSET", Announced::Never, Start::Transaction(rset::start)),
];

/// What CAPA tells of the commands.
fn announced(session: &Session) -> impl Iterator<Item = String> {
    TABLE.iter().filter_map(|spec| match spec.announced {
        Announced::Never => None,
        Announced::Always(text) => Some(text.to_owned()),
        Announced::If(tell) => tell(session),
    })
}

impl Session {
    /// Takes one complete line.
    pub(crate) fn line(&mut self, line: &[u8]) {
        if let Phase::Authorization(Authorization::Exchange(_)) = &self.phase {
            return auth::response(self, line);
        }
        let (keyword, argument) = split(line);
        let spec = TABLE.iter().find(|it| it.name.as_bytes() == keyword);
        let result = match spec {
            None => Err(wording::unknown_command().into()),
            Some(spec) => self.start(spec, argument),
        };
        match result {
            Ok(()) => {}
            Err(Refusal::Mistake(reply)) => {
                self.abandon_login();
                self.refuse(&reply);
            }
            Err(Refusal::NoSuch(error)) => self.reply(&wording::no_such(error)),
        }
    }

    fn start(&mut self, spec: &Spec, argument: Argument<'_>) -> Result<(), Refusal> {
        match (spec.start, &mut self.phase) {
            (Start::Always(start), _) => start(self, argument),
            (Start::Authorization(start), Phase::Authorization(_)) => start(self, argument),
            (Start::Transaction(start), Phase::Transaction(open)) => {
                if let Some(reply) = start(open, argument)? {
                    self.reply(&reply);
                }
                Ok(())
            }
            _ => Err(Reply::err(wording::NOT_NOW).into()),
        }
    }
}
