//! The engine: script texts become programs, programs and mail become actions.
//!
//! Nothing here reads a clock, a file or a socket. What a script wants to know of
//! the world beyond its message is a [`Question`], which the host answers.

pub mod ast;
mod environment;
mod error;
mod limits;
mod mail;
mod mailto;
pub mod matcher;
mod outcome;
mod program;
mod question;

pub use environment::{Envelope, Environment, Event, Session};
pub use error::{CompileError, Position, RunError};
pub use limits::Limits;
pub use mail::{Mail, PartInfo, PartKind};
pub use mailto::{Mailto, MailtoError};
pub use outcome::{
    Action, Filed, Form, HeaderEdit, Importance, Notify, Outcome, Place, Redirect, Reject,
    RejectKind, Snooze, Vacation,
};
pub use program::Program;
pub use question::{Answer, Duplicate, DuplicateFrom, Location, LookUp, Question};
