//! What a session and its host say to one another: [`Question`], [`Answer`].

use std::sync::Arc;

use mailcore::account::AccountId;
use mailcore::sasl::{Finding, Inquiry};
use mailcore::seams::{AuthError, ScriptEntry};

/// What the session asks its host.
#[derive(Debug)]
pub enum Question {
    /// Ask the authenticator.
    Ask(Inquiry),
    /// Do this to the scripts of the one who logged in.
    Scripts {
        /// Whose.
        account: AccountId,
        /// What.
        request: Request,
    },
}

/// What is asked of an account's scripts. Names are valid ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// HAVESPACE: would this much be taken?
    Space {
        /// Under which name.
        name: String,
        /// Octets.
        size: u64,
    },
    /// PUTSCRIPT: check it, then keep it.
    Put {
        /// Under which name.
        name: String,
        /// The script as it came.
        text: Vec<u8>,
    },
    /// CHECKSCRIPT: check it.
    Check(Vec<u8>),
    /// LISTSCRIPTS.
    List,
    /// SETACTIVE; `None` for no script.
    Activate(Option<String>),
    /// GETSCRIPT.
    Read(String),
    /// DELETESCRIPT.
    Delete(String),
    /// RENAMESCRIPT.
    Rename {
        /// What it is called.
        from: String,
        /// What it is to be called.
        to: String,
    },
}

/// What the host answers, each to its question.
#[derive(Debug)]
pub enum Answer {
    /// To [`Question::Ask`].
    Found(Result<Finding, AuthError>),
    /// To [`Question::Scripts`].
    Scripts(Result<Outcome, Failure>),
}

/// What came of a [`Request`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// It is done.
    Done,
    /// It is done, and the script has these warnings, a line each.
    Warnings(Vec<String>),
    /// To [`Request::List`].
    Entries(Vec<ScriptEntry>),
    /// To [`Request::Read`].
    Text(Arc<str>),
}

/// Why a [`Request`] was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Failure {
    /// There is no such script.
    NotFound,
    /// The new name is taken.
    Exists,
    /// It can't be done to the active script.
    Active,
    /// There are as many scripts as there may be.
    TooMany,
    /// The script is too long.
    TooLarge,
    /// All together are too long.
    Full,
    /// Scripts can't be changed here.
    ReadOnly,
    /// The scripts can't be read or written now.
    Unavailable,
    /// The script or its name is wrong; this is for its author.
    Wrong(String),
}
