//! `mailserver domain`.

use clap::Subcommand;

use crate::control::Request;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Serves a domain from now on
    Add {
        /// `example.com`
        domain: String,
        /// Take its mail and hand it to this host instead of to mailboxes here
        #[arg(long, value_name = "HOST[:PORT]")]
        relay: Option<String>,
    },
    /// Lists the domains served
    List,
    /// Stops serving a domain that has no accounts or aliases
    Remove {
        /// `example.com`
        domain: String,
    },
}

impl Command {
    pub(super) fn request(self) -> Request {
        match self {
            Self::Add { domain, relay } => Request::DomainAdd { domain, relay },
            Self::List => Request::DomainList,
            Self::Remove { domain } => Request::DomainRemove { domain },
        }
    }
}
