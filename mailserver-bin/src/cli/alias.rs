//! `mailserver alias`.

use clap::Subcommand;

use crate::control::Request;
use crate::control::masked::PatternRequest;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Adds an address that stands for others
    Add {
        /// `sales@example.com`
        alias: String,
        /// Where its mail goes
        #[arg(required = true)]
        targets: Vec<String>,
    },
    /// Aliases for every address that fits a pattern
    #[command(subcommand)]
    Pattern(PatternRequest),
    /// Lists aliases and their targets
    List,
    /// Removes an alias
    Remove {
        /// `sales@example.com`
        alias: String,
    },
}

impl Command {
    pub(super) fn request(self) -> Request {
        match self {
            Self::Add { alias, targets } => Request::AliasAdd { alias, targets },
            Self::Pattern(request) => Request::Pattern { request },
            Self::List => Request::AliasList,
            Self::Remove { alias } => Request::AliasRemove { alias },
        }
    }
}
