//! `mailserver rules` and `mailserver autoreply`.

use std::io::Read;

use clap::Subcommand;

use super::CliError;
use crate::control::Request;
use crate::control::message_rules::{
    AutoreplyAction, AutoreplyChange, AutoreplyRequest, RulesAction, RulesRequest, Whose,
};

/// The largest text that is read; directories take less.
const MAX_TEXT: u64 = 4 * 1024 * 1024;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Lists rules, one a line
    List {
        #[command(flatten)]
        whose: Whose,
    },
    /// Shows rules as they were put
    Show {
        #[command(flatten)]
        whose: Whose,
    },
    /// Puts rules in place of all there are, unless something is wrong with them
    Put {
        #[command(flatten)]
        whose: Whose,
        /// The file; standard input unless given
        #[arg(long)]
        file: Option<String>,
    },
    /// Removes all rules
    Remove {
        #[command(flatten)]
        whose: Whose,
    },
    /// Writes rules as a Sieve script
    Export {
        #[command(flatten)]
        whose: Whose,
    },
    /// Puts the rules of a Sieve script in place of all there are: one that was
    /// exported, or of that shape
    Import {
        #[command(flatten)]
        whose: Whose,
        /// The file; standard input unless given
        #[arg(long)]
        file: Option<String>,
    },
}

impl Command {
    pub(super) fn request(self) -> Result<Request, CliError> {
        let (whose, action) = match self {
            Self::List { whose } => (whose, RulesAction::List),
            Self::Show { whose } => (whose, RulesAction::Show),
            Self::Remove { whose } => (whose, RulesAction::Remove),
            Self::Export { whose } => (whose, RulesAction::Export),
            Self::Put { whose, file } => {
                let text = read(file.as_deref())?;
                (whose, RulesAction::Put { text })
            }
            Self::Import { whose, file } => {
                let script = read(file.as_deref())?;
                (whose, RulesAction::Import { script })
            }
        };
        let request = Box::new(RulesRequest { whose, action });
        Ok(Request::MessageRules { request })
    }
}

#[derive(Debug, clap::Args)]
pub(super) struct AutoreplyArgs {
    /// Whose
    address: String,
    #[command(subcommand)]
    command: Option<AutoreplyCommand>,
}

#[derive(Debug, Subcommand)]
enum AutoreplyCommand {
    /// Shows what is answered and when; the default
    Show,
    /// Turns it on; what is not named stays as it was
    Set {
        #[command(flatten)]
        change: Box<AutoreplyChange>,
        /// A file with the text; "-" for standard input
        #[arg(long, conflicts_with = "text")]
        file: Option<String>,
    },
    /// Turns it off; its text stays for the next time
    Off,
}

impl AutoreplyArgs {
    pub(super) fn request(self) -> Result<Request, CliError> {
        let action = match self.command {
            None | Some(AutoreplyCommand::Show) => AutoreplyAction::Show,
            Some(AutoreplyCommand::Off) => AutoreplyAction::Off,
            Some(AutoreplyCommand::Set { mut change, file }) => {
                if let Some(file) = file {
                    change.text = Some(read(Some(&file))?);
                }
                AutoreplyAction::Set(change)
            }
        };
        let address = self.address;
        let request = AutoreplyRequest { address, action };
        Ok(Request::Autoreply { request })
    }
}

/// A file's text, or that of standard input.
fn read(file: Option<&str>) -> Result<String, CliError> {
    let mut text = String::new();
    let done = match file {
        None | Some("-") => std::io::stdin().take(MAX_TEXT).read_to_string(&mut text),
        Some(path) => std::fs::File::open(path)
            .and_then(|opened| opened.take(MAX_TEXT).read_to_string(&mut text)),
    };
    let name = file.unwrap_or("standard input");
    match done {
        Ok(_) => Ok(text.replace("\r\n", "\n")),
        Err(error) => Err(CliError::Failed(format!("can't read {name}: {error}"))),
    }
}
