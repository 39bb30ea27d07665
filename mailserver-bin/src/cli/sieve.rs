//! `mailserver sieve` and `mailserver sieve-check`.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use mailcore_sieve::engine::{Compiler, Event};

use super::{CliError, Place};
use crate::control::Request;
use crate::control::sieve::{ScriptOwner, SieveAction, SieveRequest};
use crate::out;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Lists the scripts of an account, with the active one
    List(What),
    /// Shows a script
    Show(What),
    /// Keeps a script, in place of one of that name; one that is wrong is refused
    Put(What),
    /// Has an account's mail go by a script instead of any other
    Activate(What),
    /// Has an account's mail go by no script
    Deactivate(What),
    /// Removes a script that is not active
    Remove(What),
}

/// Whose, and which.
#[derive(Debug, Args)]
pub(super) struct What {
    /// For everybody: "before" and "after" run around the accounts' own, others
    /// are there to be included
    #[arg(long, conflicts_with = "domain")]
    global: bool,
    /// For a domain's accounts
    #[arg(long, value_name = "DOMAIN")]
    domain: Option<String>,
    /// The account's address, unless --global or --domain is given; the script's
    /// name; the file ("-" for standard input)
    #[arg(value_name = "ADDRESS NAME FILE")]
    words: Vec<String>,
}

/// `mailserver sieve-check`.
#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// Scripts
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// When they would run
    #[arg(long, value_enum, default_value_t = When::Delivery)]
    event: When,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum When {
    Connect,
    Helo,
    Auth,
    Mail,
    Rcpt,
    Data,
    Delivery,
    Imap,
}

impl When {
    fn event(self) -> Event {
        match self {
            Self::Connect => Event::Connect,
            Self::Helo => Event::Helo,
            Self::Auth => Event::Auth,
            Self::Mail => Event::Mail,
            Self::Rcpt => Event::Rcpt,
            Self::Data => Event::Data,
            Self::Delivery => Event::Delivery,
            Self::Imap => Event::Imap,
        }
    }
}

/// Carries one command out.
pub(super) fn run(place: &Place, command: Command) -> Result<(), CliError> {
    let (owner, action) = match command {
        Command::List(what) => {
            let (owner, []) = what.words()?;
            (owner, SieveAction::List)
        }
        Command::Deactivate(what) => {
            let (owner, []) = what.words()?;
            (owner, SieveAction::Deactivate)
        }
        Command::Show(what) => {
            let (owner, [name]) = what.words()?;
            (owner, SieveAction::Show { name })
        }
        Command::Activate(what) => {
            let (owner, [name]) = what.words()?;
            (owner, SieveAction::Activate { name })
        }
        Command::Remove(what) => {
            let (owner, [name]) = what.words()?;
            (owner, SieveAction::Remove { name })
        }
        Command::Put(what) => {
            let (owner, [name, file]) = what.words()?;
            let compiler = place.config()?.sieve.settings.compiler();
            let text = compiled(&compiler, Path::new(&file))?;
            (owner, SieveAction::Put { name, text })
        }
    };
    let request = Box::new(SieveRequest { owner, action });
    place.ask(Request::Sieve { request })
}

impl What {
    /// The owner and as many words as the command takes.
    fn words<const N: usize>(self) -> Result<(ScriptOwner, [String; N]), CliError> {
        let mut words = self.words;
        let owner = match (self.global, self.domain) {
            (true, _) => ScriptOwner::Global,
            (false, Some(domain)) => ScriptOwner::Domain(domain),
            (false, None) if words.is_empty() => {
                let usage = "say whose: an account's address, --domain DOMAIN, or --global";
                return Err(CliError::Usage(usage.to_owned()));
            }
            (false, None) => ScriptOwner::Account(words.remove(0)),
        };
        let wanted = match N {
            0 => "nothing more",
            1 => "the script's name",
            _ => "the script's name and its file",
        };
        let words = words.try_into();
        let words =
            words.map_err(|_| CliError::Usage(format!("after the owner comes {wanted}")))?;
        Ok((owner, words))
    }
}

/// The text of a script that compiles.
fn compiled(compiler: &Compiler, file: &Path) -> Result<String, CliError> {
    let octets = read(file)?;
    let shown = file.display();
    let program = compiler.compile(&shown.to_string(), &octets);
    let program = program.map_err(|error| CliError::Failed(format!("{shown}: {error}")))?;
    for warning in program.warnings() {
        out::error(&format!("{shown}: {warning} (a warning)"));
    }
    String::from_utf8(octets).map_err(|_| CliError::Failed(format!("{shown} is not UTF-8")))
}

/// A file's octets, or standard input's.
pub(super) fn read(file: &Path) -> Result<Vec<u8>, CliError> {
    let failed =
        |error: std::io::Error| CliError::Failed(format!("can't read {}: {error}", file.display()));
    if file.as_os_str() == "-" {
        let mut octets = Vec::new();
        let mut input = std::io::stdin().lock();
        std::io::Read::read_to_end(&mut input, &mut octets).map_err(failed)?;
        return Ok(octets);
    }
    std::fs::read(file).map_err(failed)
}

/// Says what is wrong with scripts.
pub(super) fn check(place: &Place, args: &CheckArgs) -> Result<(), CliError> {
    let compiler = place.config()?.sieve.settings.compiler();
    let compiler = compiler.event(args.event.event());
    let mut wrong = 0;
    for file in &args.files {
        let shown = file.display().to_string();
        let lines = match compiler.compile(&shown, &read(file)?) {
            Ok(program) => {
                let warnings = program.warnings().iter();
                let warnings = warnings.map(|warning| format!("{shown}: {warning} (a warning)"));
                warnings.chain([format!("{shown} is sound")]).collect()
            }
            Err(error) => {
                wrong += 1;
                vec![format!("{shown}: {error}")]
            }
        };
        out::lines(&lines);
    }
    match wrong {
        0 => Ok(()),
        _ => Err(CliError::Failed(format!(
            "{wrong} of {} scripts can't be used",
            args.files.len()
        ))),
    }
}
