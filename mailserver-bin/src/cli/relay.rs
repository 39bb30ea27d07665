//! `mailserver relay`: tries the way of mail to other hosts, whether the server
//! runs or not.

use std::sync::Arc;
use std::time::Duration;

use clap::{Subcommand, ValueEnum};
use mailcore::account::Secret;
use mailcore::address::{Address, ReversePath};
use mailcore::seams::{NextHop, RouteQuery, State};
use mailcore::status::{Failure, Outcome};
use mailcore::transcript::Transcript;
use mailcore_smtp::client::{Protocol, RelayTest, TlsPolicy};
use mailcore_store::MemoryStore;

use super::CliError;
use crate::config::{Config, OutgoingRoute, RoutePlace, SmartHost, host};
use crate::password::{self, Source};
use crate::{logging, out, outgoing, wiring};

/// Octets kept of the dialogue: all of any that ends well.
const TRANSCRIPT: usize = 1 << 20;
/// How often what was said since is printed.
const PRINT_EVERY: Duration = Duration::from_millis(100);
/// The name of the route that `--host` stands for.
const TRIED: &str = "--host";

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Sends a small message now and prints what is said
    Test(Args),
}

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// From whom
    #[arg(long, value_name = "ADDRESS")]
    from: String,
    /// To whom: a real message arrives there
    #[arg(long, value_name = "ADDRESS")]
    to: String,
    /// By this route of the configuration, instead of the one that fits
    #[arg(long, value_name = "NAME", conflicts_with = "host")]
    route: Option<String>,
    /// By this host, whatever the configuration says
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
    /// Its port
    #[arg(long, requires = "host", default_value_t = 587)]
    port: u16,
    /// How the connection to it is secured
    #[arg(long, requires = "host", value_enum, default_value_t = Tls::Starttls)]
    tls: Tls,
    /// The name to log in with
    #[arg(long, requires = "host", requires = "password_stdin")]
    login: Option<String>,
    /// Reads the password from standard input
    #[arg(long, requires = "login")]
    password_stdin: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Tls {
    None,
    Opportunistic,
    Encrypted,
    Starttls,
    Implicit,
}

/// Tries and prints; an error when the message was not taken.
pub(super) fn run(config: &Config, command: Command) -> Result<(), CliError> {
    let Command::Test(args) = command;
    let mut config = config.clone();
    logging::start("error");
    let address = |text: &str| text.parse::<Address>().map_err(|error| usage(text, &error));
    let (from, to) = (address(&args.from)?, address(&args.to)?);
    if let Some(name) = &args.host {
        let host = args.smart_host(name)?;
        config
            .outgoing
            .routes
            .push(OutgoingRoute::tried(TRIED, host));
    }
    let (agent, next_hop) = match args.host.as_ref().map(|_| TRIED).or(args.route.as_deref()) {
        Some(name) => by_name(&config, name)?,
        None => {
            let sender = ReversePath::Address(from.clone());
            outgoing::way(&config, &RouteQuery::new(&to).from_sender(&sender))
        }
    };
    let test = RelayTest {
        from,
        to,
        agent,
        next_hop,
        transcript: Transcript::with_limit(TRANSCRIPT),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(CliError::failed)?;
    told(runtime.block_on(send(&config, test))?)
}

fn usage(text: &str, error: &impl std::fmt::Display) -> CliError {
    CliError::Usage(format!("{text}: {error}"))
}

fn by_name(config: &Config, name: &str) -> Result<(String, NextHop), CliError> {
    let mut routes = config.outgoing.routes.iter();
    let Some(route) = routes.find(|route| route.name == name) else {
        let known: Vec<&str> = config
            .outgoing
            .routes
            .iter()
            .map(|r| r.name.as_str())
            .collect();
        return Err(CliError::Usage(format!(
            "there is no route \"{name}\"; the configuration has: {}",
            known.join(", ")
        )));
    };
    let host = outgoing::destination(route);
    Ok((host.agent.to_string(), host.next_hop))
}

async fn send(config: &Config, test: RelayTest) -> Result<Outcome, CliError> {
    let resolver = wiring::resolver(config).map_err(CliError::failed)?;
    // What is remembered of TLS policies is the server's; this run asks anew.
    let state: Arc<dyn State> = Arc::new(MemoryStore::new());
    let report = wiring::tls_report(&state);
    let agents =
        outgoing::agents(config, resolver, &state, report, None).map_err(CliError::failed)?;
    let mut agents = agents.into_iter();
    let Some((_, agent)) = agents.find(|(name, _)| *name == test.agent) else {
        return Err(CliError::Failed("the route has no agent".to_owned()));
    };
    let transcript = test.transcript.clone();
    let sending = tokio::spawn(async move { Arc::clone(&agent).relay_test(test).await });
    let mut printed = 0;
    loop {
        let done = sending.is_finished();
        let text = transcript.text();
        let lines: Vec<&str> = text.lines().skip(printed).collect();
        printed += lines.len();
        out::lines(&lines);
        if done {
            return sending.await.map_err(CliError::failed);
        }
        tokio::time::sleep(PRINT_EVERY).await;
    }
}

fn told(outcome: Outcome) -> Result<(), CliError> {
    let failed = |word: &str, failure: Failure| {
        let remote = failure.remote.map(|host| format!(" by {host}"));
        let remote = remote.unwrap_or_default();
        let status = failure.status;
        Err(CliError::Failed(format!("{word}{remote}: {status}")))
    };
    match outcome {
        Outcome::Relayed { remote, reply, .. } => {
            out::lines(&[format!("taken by {remote}: {reply}")]);
            Ok(())
        }
        Outcome::Deferred(failure) => failed("not taken now", failure),
        Outcome::Unreachable(failure) => failed("not reached", failure),
        Outcome::Failed(failure) => failed("refused", failure),
        _ => Ok(()),
    }
}

impl Args {
    fn smart_host(&self, name: &str) -> Result<SmartHost, CliError> {
        let login = match &self.login {
            Some(login) => {
                let password = password::read(Source::Stdin).map_err(CliError::Failed)?;
                Some((login.clone(), Secret::new(password)))
            }
            None => None,
        };
        Ok(SmartHost {
            host: host(name).map_err(|error| usage(name, &error))?,
            port: self.port,
            tls: match self.tls {
                Tls::None => TlsPolicy::Never,
                Tls::Opportunistic => TlsPolicy::Opportunistic,
                Tls::Encrypted => TlsPolicy::Encrypted,
                Tls::Starttls => TlsPolicy::Verified,
                Tls::Implicit => TlsPolicy::Implicit,
            },
            login,
        })
    }
}

impl OutgoingRoute {
    /// A route to one host that no mail goes by.
    fn tried(name: &str, host: SmartHost) -> Self {
        Self {
            name: name.to_owned(),
            rule: mailcore::route::SmartHostRule::Everything,
            place: RoutePlace::Hosts(vec![host]),
            protocol: Protocol::Smtp,
            sources: Vec::new(),
        }
    }
}
