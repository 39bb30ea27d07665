//! The command line: one file for each group of commands. Exit status 0 when
//! done, 1 when it failed, 2 when the command line or the configuration is
//! wrong.

mod account;
mod address;
mod alias;
mod check;
mod content_rules;
mod dkim;
mod dmarc;
mod dns;
mod domain;
mod filter;
mod init;
mod log;
mod quarantine;
mod queue;
mod relay;
mod rules;
mod schedule;
mod serve;
mod sieve;
mod sieve_test;
mod suppress;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, Subcommand};
use mailcore::seams::Resolver;
use thiserror::Error;

use crate::config::{Config, ConfigError};
use crate::control::ban::BanRequest;
use crate::control::quarantine as control_quarantine;
use crate::control::queue as control_queue;
use crate::control::{Request, Response, client, groups, lists, offline};
use crate::data::DataDir;
use crate::{out, wiring};

/// A complete mail server. Without a configuration it serves on unprivileged
/// ports of 127.0.0.1 and keeps its data in ./mailserver-data.
#[derive(Debug, Parser)]
#[command(name = "mailserver", version, about)]
struct Cli {
    #[command(flatten)]
    place: Place,
    #[command(subcommand)]
    command: Option<Command>,
}

/// Which server is meant.
#[derive(Debug, clap::Args)]
struct Place {
    /// The configuration file (default: mailserver.toml, when there is one)
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The data directory, instead of the configured one
    #[arg(long, global = true, value_name = "DIR")]
    data: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the server; the default
    Serve(serve::Args),
    /// Makes the data directory, a first domain and an administrator
    Init(init::Args),
    /// Reads the configuration and reports everything that is wrong with it
    CheckConfig(check::Args),
    /// Has the running server read its certificate anew, as SIGHUP does
    Reload,
    /// The domains served
    #[command(subcommand)]
    Domain(domain::Command),
    /// The accounts and their passwords
    #[command(subcommand)]
    Account(account::Command),
    /// Addresses that stand for others
    #[command(subcommand)]
    Alias(alias::Command),
    /// Distribution lists
    #[command(subcommand)]
    List(lists::ListRequest),
    /// Groups of accounts
    #[command(subcommand)]
    Group(groups::GroupRequest),
    /// Every served address, whatever it stands for
    #[command(subcommand)]
    Address(address::Command),
    /// Mail on its way
    #[command(subcommand)]
    Queue(control_queue::QueueRequest),
    /// Mail that filters keep apart
    #[command(subcommand)]
    Quarantine(control_quarantine::QuarantineRequest),
    /// Those whom nothing is sent to any more
    #[command(subcommand)]
    Suppress(suppress::Command),
    /// Those who are kept out for what they did, and those who never are
    #[command(subcommand)]
    Ban(BanRequest),
    /// Who is let in and who is not, and what is done about what tests of mail find
    #[command(subcommand)]
    Filter(filter::Command),
    /// Scripts that mail goes by (RFC 5228)
    #[command(subcommand)]
    Sieve(sieve::Command),
    /// Says what is wrong with scripts, and where
    SieveCheck(sieve::CheckArgs),
    /// Says what a script would do with a message, as JSON, a line for each action
    SieveTest(sieve_test::Args),
    /// Message rules: what is done with mail that arrives
    #[command(subcommand)]
    Rules(rules::Command),
    /// What an account answers while its owner is away
    Autoreply(rules::AutoreplyArgs),
    /// The way of mail to other hosts
    #[command(subcommand)]
    Relay(relay::Command),
    /// The server's own work at set times
    #[command(subcommand)]
    Schedule(schedule::Command),
    /// How TLS to the hosts of a domain went on one day, as JSON (RFC 8460)
    TlsReport {
        /// The domain that mail went to
        domain: String,
        /// "2026-11-22" (UTC), or "1d" ago; today unless given
        #[arg(long, value_name = "DAY")]
        day: Option<String>,
    },
    /// The keys that sign what leaves (DKIM, ARC)
    #[command(subcommand)]
    Dkim(dkim::Command),
    /// DMARC reports: those of others about mail that claims to be from here,
    /// and ours about theirs
    #[command(subcommand)]
    Dmarc(dmarc::Command),
    /// The rules that are asked of what a message says
    #[command(subcommand)]
    ContentRules(content_rules::Command),
    /// The DNS records to publish: MX, SPF, DMARC, MTA-STS, TLS reports, SRV,
    /// TLSA
    Dns(dns::Args),
    /// What happened: mail, logins, changes; from the journal
    Log(log::Args),
    /// Verifies all stored data
    Check,
}

/// Why a command failed.
#[derive(Debug, Error)]
enum CliError {
    /// Exit status 2.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Exit status 2.
    #[error("{0}")]
    Usage(String),
    /// Exit status 1.
    #[error("{0}")]
    Failed(String),
}

impl CliError {
    fn failed(error: impl std::fmt::Display) -> Self {
        Self::Failed(error.to_string())
    }

    fn code(&self) -> ExitCode {
        match self {
            Self::Config(_) | Self::Usage(_) => ExitCode::from(2),
            Self::Failed(_) => ExitCode::FAILURE,
        }
    }
}

/// Runs the program.
pub(crate) fn run() -> ExitCode {
    let cli = Cli::parse();
    match dispatch(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            out::error(&error.to_string());
            error.code()
        }
    }
}

fn dispatch(Cli { place, command }: Cli) -> Result<(), CliError> {
    match command {
        None => serve::run(place.config()?, &serve::Args::default()),
        Some(Command::Serve(args)) => serve::run(place.config()?, &args),
        Some(Command::Init(args)) => init::run(&place, args),
        Some(Command::CheckConfig(args)) => check::config(&place, &args),
        Some(Command::Reload) => place.ask(Request::Reload),
        Some(Command::Domain(command)) => place.ask(command.request()),
        Some(Command::Account(command)) => place.ask(command.request()?),
        Some(Command::Alias(command)) => place.ask(command.request()),
        Some(Command::List(request)) => place.ask(Request::List { request }),
        Some(Command::Group(request)) => place.ask(Request::Group { request }),
        Some(Command::Address(command)) => place.ask(command.request()?),
        Some(Command::Queue(command)) => queue::run(&place, command),
        Some(Command::Quarantine(command)) => quarantine::run(&place, command),
        Some(Command::Suppress(command)) => suppress::run(&place, command),
        Some(Command::Ban(request)) => place.ask(Request::Ban { request }),
        Some(Command::Filter(command)) => filter::run(&place, command),
        Some(Command::Sieve(command)) => sieve::run(&place, command),
        Some(Command::SieveCheck(args)) => sieve::check(&place, &args),
        Some(Command::SieveTest(args)) => sieve_test::run(&place, &args),
        Some(Command::Rules(command)) => place.ask(command.request()?),
        Some(Command::Autoreply(args)) => place.ask(args.request()?),
        Some(Command::Relay(command)) => relay::run(&place.config()?, command),
        Some(Command::Schedule(command)) => place.ask(command.request()),
        Some(Command::TlsReport { domain, day }) => place.ask(Request::TlsReport { domain, day }),
        Some(Command::Dkim(command)) => dkim::run(&place, command),
        Some(Command::Dmarc(command)) => dmarc::run(&place, command),
        Some(Command::ContentRules(command)) => content_rules::run(&place, command),
        Some(Command::Dns(args)) => dns::run(&place, &args),
        Some(Command::Log(args)) => log::run(&place.config()?, &args),
        Some(Command::Check) => place.ask(Request::Check),
    }
}

/// Does something with the configured resolver.
fn with_resolver<T>(
    config: &Config,
    work: impl AsyncFnOnce(Arc<dyn Resolver>) -> T,
) -> Result<T, CliError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(CliError::failed)?;
    runtime.block_on(async {
        let resolver = wiring::resolver(config).map_err(CliError::failed)?;
        Ok(work(resolver).await)
    })
}

impl Place {
    fn config(&self) -> Result<Config, ConfigError> {
        let mut config = Config::load(self.config.as_deref())?;
        if let Some(data) = &self.data {
            config.data.clone_from(data);
        }
        Ok(config)
    }

    /// Has the running server carry a command out, or does it here when none
    /// runs.
    fn ask(&self, request: Request) -> Result<(), CliError> {
        match self.answer(&self.config()?, &request)? {
            Response::Done(lines) => out::lines(&lines),
            Response::Octets(octets) => out::octets(&octets),
            Response::Failed(message) => return Err(CliError::Failed(message)),
        }
        Ok(())
    }

    /// What came of a command; not a failure.
    fn answer(&self, config: &Config, request: &Request) -> Result<Response, CliError> {
        let data = DataDir::new(&config.data);
        if !data.exists() {
            return Err(CliError::Failed(format!(
                "{} holds no mail server's data; start the server once, or run `mailserver init`",
                data.path().display()
            )));
        }
        let response = match client::ask(&data.control(), request) {
            Some(response) => response,
            None => offline::run(config, request.clone()),
        };
        match response {
            Response::Failed(message) => Err(CliError::Failed(message)),
            done => Ok(done),
        }
    }
}
