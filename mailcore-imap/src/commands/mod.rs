//! The commands, one a file, and the one table that says which of them are
//! legal when and what they do to sequence numbers.
//!
//! A command's file reads its arguments, asks, and maps the answer to a
//! response. Long commands are small machines of their own ([`Run`]).

pub(crate) mod append;
mod authenticate;
mod capability;
mod close;
#[cfg(feature = "compress")]
mod compress;
mod copy;
mod create;
mod delete;
mod enable;
mod examine;
mod expunge;
mod fetch;
mod id;
mod idle;
mod legal;
mod list;
mod login;
mod logout;
mod messages;
mod metadata;
mod my_rights;
mod namespace;
mod noop;
mod notify;
mod rename;
mod search;
mod select;
mod starttls;
mod status;
mod store;
mod subscribe;
mod unauthenticate;

use std::fmt;
use std::time::Duration;

use crate::codec::{Cursor, ParseError};
use crate::session::{Answer, Context, Expunges, Question, is_announced};
use crate::types::Capability;
use crate::wording::{self, Status};

pub(crate) use fetch::MAX_HEADER;
pub(crate) use fetch::fetch_new;
pub(crate) use legal::Legal;
pub(crate) use messages::{Addressing, Targets};
pub(crate) use status::respond as respond_status;

/// A command's own machine: called first without an answer, then with the
/// answer to each question it asked. Calling it again without an answer changes
/// nothing, unless input came.
pub(crate) trait Run: fmt::Debug + Send {
    /// Goes on.
    fn resume(&mut self, cx: &mut Context, answer: Option<Answer>) -> Progress;

    /// How much is done, of how much, told by commands that may take long and
    /// are not within a response between two questions (RFC 9585).
    fn done_of(&self) -> Option<(u64, u64)> {
        None
    }
}

/// What a running command wants.
#[derive(Debug)]
pub(crate) enum Progress {
    /// The answer to this.
    Ask(Question),
    /// That what is written be sent, if it is enough to send.
    Flush,
    /// Octets from the client, or a notice; within this time from now, or by
    /// the deadline already set.
    Read(Option<Duration>),
    /// Its tagged response.
    Done(Done),
    /// The connection can't be saved: a literal was announced and its octets
    /// can't be had.
    Drop,
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) status: Status,
    pub(crate) then: Then,
}

/// What follows a tagged response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    Nothing,
    /// Before it, rather: a failed login is answered late.
    Pause(Duration),
    StartTls,
    /// The time to log in begins again.
    LogInAgain,
    /// Compression begins behind it (RFC 4978).
    #[cfg(feature = "compress")]
    Compress,
    Close,
}

/// What became of a command at its start.
#[derive(Debug)]
pub(crate) enum Started {
    Done(Done),
    Run(Box<dyn Run>),
}

impl Started {
    /// Over already.
    pub(crate) fn done(status: Status) -> Result<Self, ParseError> {
        Ok(Self::Done(status.into()))
    }

    /// Goes on by itself.
    pub(crate) fn run(run: impl Run + 'static) -> Result<Self, ParseError> {
        Ok(Self::Run(Box::new(run)))
    }

    /// Asks one question; `then` maps its answer.
    pub(crate) fn ask(
        question: Question,
        then: impl FnOnce(&mut Context, Answer) -> Status + Send + 'static,
    ) -> Result<Self, ParseError> {
        Self::run(OneQuestion {
            question: Some(question),
            then: Some(Box::new(then)),
        })
    }
}

type Finish = Box<dyn FnOnce(&mut Context, Answer) -> Status + Send>;

/// The most common command: a question and a response.
struct OneQuestion {
    question: Option<Question>,
    then: Option<Finish>,
}

impl fmt::Debug for OneQuestion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OneQuestion")
            .field("question", &self.question)
            .finish_non_exhaustive()
    }
}

impl Run for OneQuestion {
    fn resume(&mut self, cx: &mut Context, answer: Option<Answer>) -> Progress {
        match (self.question.take(), answer, self.then.take()) {
            (Some(question), _, then) => {
                self.then = then;
                Progress::Ask(question)
            }
            (None, Some(answer), Some(then)) => Progress::Done(then(cx, answer).into()),
            _ => Progress::Done(wording::server_bug().into()),
        }
    }
}

/// The response to an answer that is no success.
pub(crate) fn failure(answer: &Answer) -> Status {
    match answer {
        Answer::Failed(error) => wording::store_failed(error),
        _ => wording::server_bug(),
    }
}

/// What is told of the selected mailbox before a command's tagged response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SyncRule {
    /// Whether messages may lose their numbers.
    pub(crate) expunges: Expunges,
    /// Whether the store is asked even when it gave no notice: after commands
    /// that change a mailbox or exist to poll it.
    pub(crate) ask: bool,
}

impl SyncRule {
    /// APPEND's, which has no row since it starts before it is complete.
    pub(crate) fn append() -> Self {
        CHANGES
    }
}

/// Numbers stay, and the store need not be asked.
const NUMBERS_STAY: SyncRule = SyncRule {
    expunges: Expunges::Forbidden,
    ask: false,
};
/// Numbers stay though something was changed.
const NUMBERS_STAY_CHANGES: SyncRule = SyncRule {
    expunges: Expunges::Forbidden,
    ask: true,
};
/// Numbers may change with what the store has told.
const QUIET: SyncRule = SyncRule {
    expunges: Expunges::Allowed,
    ask: false,
};
/// Numbers may change and something did, or may have.
const CHANGES: SyncRule = SyncRule {
    expunges: Expunges::Allowed,
    ask: true,
};

type Start = fn(&mut Cursor<'_>, &mut Context) -> Result<Started, ParseError>;

/// A row of the table.
#[derive(Debug)]
pub(crate) struct Spec {
    name: &'static str,
    pub(crate) legal: Legal,
    pub(crate) sync: SyncRule,
    /// The capability that announces it, where one does.
    capability: Option<Capability>,
    pub(crate) start: Start,
}

const fn spec(name: &'static str, legal: Legal, sync: SyncRule, start: Start) -> Spec {
    Spec {
        name,
        legal,
        sync,
        capability: None,
        start,
    }
}

const fn extension(capability: Capability, spec: Spec) -> Spec {
    Spec {
        capability: Some(capability),
        ..spec
    }
}

/// Every command. FETCH, STORE and SEARCH by sequence number keep the numbers
/// as they are (RFC 3501 section 7.4.1); all others may change them.
#[rustfmt::skip]
static TABLE: &[Spec] = &[
    spec("CAPABILITY", Legal::Always, QUIET, capability::start),
    spec("NOOP", Legal::Always, CHANGES, noop::start),
    spec("LOGOUT", Legal::Always, NUMBERS_STAY, logout::start),
    extension(Capability::Id, spec("ID", Legal::Always, QUIET, id::start)),
    spec("STARTTLS", Legal::NotAuthenticated, QUIET, starttls::start),
    spec("LOGIN", Legal::NotAuthenticated, QUIET, login::start),
    spec("AUTHENTICATE", Legal::NotAuthenticated, QUIET, authenticate::start),
    extension(Capability::Enable, spec("ENABLE", Legal::LoggedIn, QUIET, enable::start)),
    extension(Capability::Unauthenticate, spec("UNAUTHENTICATE", Legal::LoggedIn, NUMBERS_STAY, unauthenticate::start)),
    #[cfg(feature = "compress")]
    extension(Capability::CompressDeflate, spec("COMPRESS", Legal::LoggedIn, QUIET, compress::start)),
    spec("SELECT", Legal::LoggedIn, NUMBERS_STAY, select::start),
    spec("EXAMINE", Legal::LoggedIn, NUMBERS_STAY, examine::start),
    spec("CREATE", Legal::LoggedIn, QUIET, create::start),
    spec("DELETE", Legal::LoggedIn, CHANGES, delete::start),
    spec("RENAME", Legal::LoggedIn, QUIET, rename::start),
    spec("SUBSCRIBE", Legal::LoggedIn, QUIET, subscribe::start),
    spec("UNSUBSCRIBE", Legal::LoggedIn, QUIET, subscribe::start_unsubscribe),
    spec("LIST", Legal::LoggedIn, QUIET, list::start),
    spec("LSUB", Legal::LoggedIn, QUIET, list::start_lsub),
    extension(Capability::Namespace, spec("NAMESPACE", Legal::LoggedIn, QUIET, namespace::start)),
    spec("STATUS", Legal::LoggedIn, QUIET, status::start),
    extension(Capability::ListMyRights, spec("MYRIGHTS", Legal::LoggedIn, QUIET, my_rights::start)),
    extension(Capability::Metadata, spec("GETMETADATA", Legal::LoggedIn, QUIET, metadata::start_get)),
    extension(Capability::Metadata, spec("SETMETADATA", Legal::LoggedIn, QUIET, metadata::start_set)),
    spec("APPEND", Legal::LoggedIn, CHANGES, append::start),
    extension(Capability::Notify, spec("NOTIFY", Legal::LoggedIn, CHANGES, notify::start)),
    extension(Capability::Idle, spec("IDLE", Legal::LoggedIn, QUIET, idle::start)),
    spec("CHECK", Legal::Selected, CHANGES, noop::start),
    spec("CLOSE", Legal::Selected, NUMBERS_STAY, close::start),
    extension(Capability::Unselect, spec("UNSELECT", Legal::Selected, NUMBERS_STAY, close::start_unselect)),
    spec("EXPUNGE", Legal::Selected, CHANGES, expunge::start),
    spec("SEARCH", Legal::Numbered, NUMBERS_STAY, search::start),
    spec("FETCH", Legal::Numbered, NUMBERS_STAY, fetch::start),
    spec("STORE", Legal::Numbered, NUMBERS_STAY_CHANGES, store::start),
    spec("COPY", Legal::Numbered, CHANGES, copy::start),
    extension(Capability::Move, spec("MOVE", Legal::Numbered, CHANGES, copy::start_move)),
    extension(Capability::Replace, spec("REPLACE", Legal::Numbered, CHANGES, append::replace::start)),
    spec("UID FETCH", Legal::Selected, QUIET, fetch::start_uid),
    spec("UID STORE", Legal::Selected, CHANGES, store::start_uid),
    spec("UID SEARCH", Legal::Selected, QUIET, search::start_uid),
    spec("UID COPY", Legal::Selected, CHANGES, copy::start_uid),
    extension(Capability::Move, spec("UID MOVE", Legal::Selected, CHANGES, copy::start_uid_move)),
    extension(Capability::Replace, spec("UID REPLACE", Legal::Selected, CHANGES, append::replace::start_uid)),
    extension(Capability::UidPlus, spec("UID EXPUNGE", Legal::Selected, CHANGES, expunge::start_uid)),
];

/// The extensions that commands belong to.
pub(crate) fn capabilities() -> impl Iterator<Item = Capability> {
    let mut told = Vec::new();
    TABLE
        .iter()
        .filter_map(|spec| spec.capability)
        .filter(move |capability| {
            let is_new = !told.contains(capability);
            told.extend(is_new.then_some(*capability));
            is_new
        })
}

/// True when a command belongs to `capability`.
pub(crate) fn announces(capability: Capability) -> bool {
    TABLE.iter().any(|spec| spec.capability == Some(capability))
}

/// Reads a command's name, `UID` and the name after it being one. A command
/// whose extension is not announced is not found.
pub(crate) fn find(cursor: &mut Cursor<'_>, cx: &Context) -> Option<&'static Spec> {
    let mut name = cursor.atom().ok()?.to_ascii_uppercase();
    if name == "UID" {
        cursor.space().ok()?;
        name = format!("UID {}", cursor.atom().ok()?.to_ascii_uppercase());
    }
    let spec = TABLE.iter().find(|spec| spec.name == name)?;
    let served = spec
        .capability
        .is_none_or(|capability| is_announced(capability, cx));
    served.then_some(spec)
}
