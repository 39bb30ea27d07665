//! `mailserver queue`.

use clap::Subcommand;

use super::CliError;
use crate::control::{QueueChange, Request};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Lists what waits to be delivered
    List,
    /// Shows one entry
    Show {
        /// From `queue list`
        id: String,
    },
    /// Tries again now
    Retry(Which),
    /// Keeps from being tried until released
    Hold(Which),
    /// Ends a hold
    Release(Which),
    /// Gives it up and returns it to the sender
    Bounce(Which),
    /// Removes without telling anybody
    Delete(Which),
}

/// One entry or all.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub(super) struct Which {
    /// From `queue list`
    id: Option<String>,
    /// Every entry
    #[arg(long)]
    all: bool,
}

impl Command {
    pub(super) fn request(self) -> Result<Request, CliError> {
        let (change, which) = match self {
            Self::List => return Ok(Request::QueueList),
            Self::Show { id } => return Ok(Request::QueueShow { id }),
            Self::Retry(which) => (QueueChange::Retry, which),
            Self::Hold(which) => (QueueChange::Hold, which),
            Self::Release(which) => (QueueChange::Release, which),
            Self::Bounce(which) => (QueueChange::Bounce, which),
            Self::Delete(which) => (QueueChange::Delete, which),
        };
        if which.id.is_none() && !which.all {
            return Err(CliError::Usage("give an id or --all".to_owned()));
        }
        Ok(Request::QueueChange {
            change,
            id: which.id,
        })
    }
}
