//! `mailserver domain`.

use clap::Subcommand;

use crate::control::Request;
use crate::control::accounts::Options;
use crate::control::rules::Rules;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Serves a domain from now on
    Add {
        /// `example.com`
        domain: String,
        /// Take its mail and hand it to this host instead of to mailboxes here
        #[arg(long, value_name = "HOST[:PORT]")]
        relay: Option<String>,
        /// Make it another name of a domain served here: the same addresses,
        /// logins and senders
        #[arg(long, value_name = "DOMAIN", conflicts_with = "relay")]
        alias_of: Option<String>,
    },
    /// Shows or sets the domain that a login without one means
    Default {
        /// `example.com`
        domain: Option<String>,
    },
    /// Shows or sets what new accounts of a domain begin with
    Template {
        /// `example.com`
        domain: String,
        #[command(flatten)]
        options: Box<Options>,
    },
    /// Sets how a domain's mail is taken, and shows what holds
    Set {
        /// `example.com`
        domain: String,
        #[command(flatten)]
        rules: Box<Rules>,
    },
    /// Shows how a domain's mail is taken
    Show {
        /// `example.com`
        domain: String,
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
            Self::Add {
                domain,
                relay,
                alias_of,
            } => Request::DomainAdd {
                domain,
                relay,
                alias_of,
            },
            Self::Default { domain } => Request::DomainDefault { domain },
            Self::Template { domain, options } => Request::DomainTemplate { domain, options },
            Self::Set { domain, rules } => Request::DomainSet { domain, rules },
            Self::Show { domain } => Request::DomainShow { domain },
            Self::List => Request::DomainList,
            Self::Remove { domain } => Request::DomainRemove { domain },
        }
    }
}
