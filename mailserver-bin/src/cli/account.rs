//! `mailserver account`.

use clap::Subcommand;

use super::CliError;
use crate::control::account_secrets::SecretsRequest;
use crate::control::accounts::AccountRequest;
use crate::control::masked::MaskedRequest;
use crate::control::{Password, Request};
use crate::password::{self, Source};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Made up addresses of an account, one for each purpose
    #[command(subcommand)]
    Masked(MaskedRequest),
    /// Adds an account; asks for its password
    Add {
        /// `ann@example.com`
        address: String,
        #[command(flatten)]
        input: Input,
        /// Take the hash that another server kept of its password instead
        #[arg(long)]
        hash: bool,
    },
    /// Lists accounts
    List {
        /// Of this domain only
        domain: Option<String>,
    },
    /// Removes an account; its mail stays in the store
    Remove {
        /// `ann@example.com`
        address: String,
    },
    /// Sets a new password; asks for it
    Password {
        /// `ann@example.com`
        address: String,
        #[command(flatten)]
        input: Input,
        /// Take the hash that another server kept of it instead
        #[arg(long)]
        hash: bool,
    },
    #[command(flatten)]
    Change(AccountRequest),
    #[command(flatten)]
    Secrets(SecretsRequest),
}

/// How the password is given.
#[derive(Debug, clap::Args)]
pub(super) struct Input {
    /// Take the password from the first line of standard input
    #[arg(long)]
    password_stdin: bool,
}

impl Input {
    pub(super) fn read(&self) -> Result<Password, CliError> {
        let source = if self.password_stdin {
            Source::Stdin
        } else {
            Source::Terminal
        };
        password::read(source)
            .map(Password)
            .map_err(CliError::Usage)
    }

    /// True when a password is given rather than to be asked for.
    pub(super) fn is_given(&self) -> bool {
        self.password_stdin
    }
}

impl Command {
    pub(super) fn request(self) -> Result<Request, CliError> {
        Ok(match self {
            Self::Masked(request) => Request::Masked { request },
            Self::Secrets(request) => Request::AccountSecrets { request },
            Self::Change(request) => Request::AccountChange { request },
            Self::Add {
                address,
                input,
                hash: false,
            } => Request::AccountAdd {
                address,
                password: input.read()?,
            },
            Self::Add {
                address,
                input,
                hash: true,
            } => Request::AccountAddHash {
                address,
                hash: input.read()?,
            },
            Self::List { domain } => Request::AccountList { domain },
            Self::Remove { address } => Request::AccountRemove { address },
            Self::Password {
                address,
                input,
                hash: false,
            } => Request::AccountPassword {
                address,
                password: input.read()?,
            },
            Self::Password {
                address,
                input,
                hash: true,
            } => Request::AccountHash {
                address,
                hash: input.read()?,
            },
        })
    }
}
