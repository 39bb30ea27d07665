//! The engine: script texts become programs, programs and mail become actions.
//!
//! Nothing here reads a clock, a file or a socket. What a script wants to know of
//! the world beyond its message is a [`Question`], which the host answers.

mod address_part;
mod address_syntax;
pub mod ast;
mod compile;
mod correspondent;
mod edit;
mod environment;
mod error;
mod extensions;
mod fields;
mod flag_set;
mod limits;
mod mail;
mod mailto;
pub mod matcher;
mod matching;
mod mime;
mod outcome;
mod parse;
mod place;
mod print;
mod program;
mod question;
mod run;

pub use compile::Compiler;
pub use environment::{Envelope, Environment, Event, Session};
pub use error::{CompileError, Position, RunError};
pub use limits::Limits;
pub use mail::{Mail, PartInfo, PartKind};
pub use mailto::{Mailto, MailtoError};
pub use mime::PlainMail;
pub use outcome::{
    Action, Filed, Form, HeaderEdit, Importance, Notify, Outcome, Place, Redirect, Reject,
    RejectKind, Snooze, Vacation,
};
pub use parse::{parse, parse_with_comments};
pub use program::{Needs, Program};
pub use question::{Answer, Duplicate, DuplicateFrom, Location, LookUp, Question};
pub use run::{Run, Step};
