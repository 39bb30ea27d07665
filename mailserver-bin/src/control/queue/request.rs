//! What can be asked of the queue.

use clap::{Args, Subcommand, ValueEnum};
use mailcore::queue::EntryStateKind;
use serde::{Deserialize, Serialize};

/// Entries listed unless more are asked for.
const LISTED: usize = 1_000;

/// One command on the queue.
#[derive(Debug, Clone, Subcommand, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum QueueRequest {
    /// Lists what is in the queue, oldest first
    List(Listing),
    /// Shows one entry, and what happened to it so far
    Show(One),
    /// Prints an entry's message as it would be sent
    Content(Part),
    /// Counts what waits for each destination
    Summary {
        /// The fullest so many
        #[arg(long, default_value_t = LISTED, value_name = "COUNT")]
        limit: usize,
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Tries again now, for all recipients that wait
    Retry(Which),
    /// Keeps from being tried until released, for all recipients
    Hold(Which),
    /// Ends a hold, for all recipients
    Release(Which),
    /// Gives it up and returns it to the sender; with --domain or --to for those
    /// recipients alone
    Bounce {
        #[command(flatten)]
        which: Which,
        /// Why, for the sender
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
    /// Removes without telling anybody; with --domain or --to for those recipients
    /// alone
    Delete(Which),
    /// Sends to another address
    Reroute {
        /// From `queue list`
        id: String,
        /// Where it goes instead
        #[arg(long, value_name = "ADDRESS")]
        to: String,
        /// Only this recipient's copy
        #[arg(long, value_name = "ADDRESS")]
        recipient: Option<String>,
        /// Only the copies of recipients in this domain
        #[arg(long, conflicts_with = "recipient")]
        #[serde(default)]
        domain: Option<String>,
    },
    /// Copies of delivered mail
    #[command(subcommand)]
    Kept(Kept),
}

/// One command on the kept copies.
#[derive(Debug, Clone, Subcommand, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kept {
    /// Lists them, newest first
    List(Listing),
    /// Shows one, and what became of each recipient
    Show(One),
    /// Prints the message
    Content(Part),
    /// Sends it once more, to its recipients or to others
    Resend {
        /// From `queue kept list`
        id: String,
        /// To this address instead; may be given more than once
        #[arg(long, value_name = "ADDRESS")]
        to: Vec<String>,
    },
}

/// What to list.
#[derive(Debug, Clone, Args, Serialize, Deserialize)]
pub(crate) struct Listing {
    #[command(flatten)]
    pub(super) filter: Filter,
    /// At most so many
    #[arg(long, default_value_t = LISTED, value_name = "COUNT")]
    pub(super) limit: usize,
    /// One JSON object a line
    #[arg(long)]
    pub(super) json: bool,
}

/// One entry to show.
#[derive(Debug, Clone, Args, Serialize, Deserialize)]
pub(crate) struct One {
    /// From the list
    pub(super) id: String,
    /// As a JSON object, without what happened
    #[arg(long)]
    pub(crate) json: bool,
}

/// Some of a message.
#[derive(Debug, Clone, Args, Serialize, Deserialize)]
pub(crate) struct Part {
    /// From the list
    pub(crate) id: String,
    /// Its header alone
    #[arg(long)]
    pub(crate) header: bool,
    /// Where to read on.
    #[arg(skip)]
    #[serde(default)]
    pub(crate) offset: u64,
}

/// Some entries, by what they are. Conditions add up.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args, Serialize, Deserialize)]
pub(crate) struct Filter {
    /// In this state
    #[arg(long)]
    pub(super) state: Option<State>,
    /// With a recipient in this domain
    #[arg(long)]
    pub(super) domain: Option<String>,
    /// From this sender; "" for notices
    #[arg(long, value_name = "ADDRESS")]
    pub(super) from: Option<String>,
    /// To this recipient
    #[arg(long, value_name = "ADDRESS")]
    pub(super) to: Option<String>,
    /// Accepted longer ago than this: "2h", "3d"
    #[arg(long, value_name = "TIME")]
    pub(super) older: Option<String>,
}

/// A state by its word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum State {
    /// Tried when it is due
    Waiting,
    /// On hold
    Held,
    /// Neither delivered nor returned: for you to decide
    Bad,
}

impl From<State> for EntryStateKind {
    fn from(state: State) -> Self {
        match state {
            State::Waiting => Self::Waiting,
            State::Held => Self::Held,
            State::Bad => Self::Bad,
        }
    }
}

/// Entries by id, all, or by what they are.
#[derive(Debug, Clone, Default, Args, Serialize, Deserialize)]
pub(crate) struct Which {
    /// From `queue list`
    #[arg(value_name = "ID")]
    pub(super) ids: Vec<String>,
    /// Every entry
    #[arg(long)]
    pub(super) all: bool,
    #[command(flatten)]
    pub(super) filter: Filter,
}

impl Which {
    /// What is wrong with it, if anything is: nothing is changed by accident.
    fn problem(&self) -> Option<&'static str> {
        let filtered = self.filter != Filter::default();
        match (self.ids.is_empty(), self.all, filtered) {
            (true, false, false) => Some("give an id, --all, or which: --domain, --from, --state"),
            (false, true, _) | (false, _, true) => Some("give either ids or which, not both"),
            (true, true, true) => Some("--all is every entry; leave it out to choose"),
            _ => None,
        }
    }
}

impl QueueRequest {
    /// What is wrong with it, if anything is.
    pub(crate) fn problem(&self) -> Option<&'static str> {
        match self {
            Self::Retry(which)
            | Self::Hold(which)
            | Self::Release(which)
            | Self::Delete(which)
            | Self::Bounce { which, .. } => which.problem(),
            _ => None,
        }
    }
}
