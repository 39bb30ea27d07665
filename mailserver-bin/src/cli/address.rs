//! `mailserver address`.

use std::io::Read;

use clap::Subcommand;

use super::CliError;
use crate::control::Request;
use crate::control::addresses::AddressRequest;
use crate::control::handlers::HandlerRequest;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Lists served addresses and what each stands for
    List {
        /// Only those with this text in them
        text: Option<String>,
        /// Only of this domain
        #[arg(long)]
        domain: Option<String>,
    },
    /// Writes served addresses one a line: `ADDRESS = TARGET, TARGET`, with `!`
    /// before those that are switched off
    Export {
        /// Only of this domain
        #[arg(long)]
        domain: Option<String>,
    },
    /// Takes such lines from standard input, all or none
    Import,
    /// What is done with single addresses' mail before anything else
    #[command(subcommand)]
    Handler(HandlerRequest),
    /// Serves an address again
    Enable {
        /// `ann@example.com`
        address: String,
    },
    /// Stops serving an address without removing it
    Disable {
        /// `ann@example.com`
        address: String,
    },
}

impl Command {
    pub(super) fn request(self) -> Result<Request, CliError> {
        let request = match self {
            Self::Handler(request) => return Ok(Request::Handler { request }),
            Self::List { text, domain } => AddressRequest::List { text, domain },
            Self::Export { domain } => AddressRequest::Export { domain },
            Self::Enable { address } => AddressRequest::Enable { address },
            Self::Disable { address } => AddressRequest::Disable { address },
            Self::Import => {
                let mut lines = String::new();
                let read = std::io::stdin().read_to_string(&mut lines);
                read.map_err(CliError::failed)?;
                AddressRequest::Import { lines }
            }
        };
        Ok(Request::Address { request })
    }
}
