//! `mailserver content-rules`: the rules that are asked of what a message says.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Subcommand;
use mailcore::address::{Address, ReversePath};
use mailcore::envelope::Envelope;
use mailcore::message::date::DateTime;
use mailcore::message::{Header, Message};
use mailcore::seams::{Clock, FilterSession, IncomingMail, StoreError, SystemClock};
use mailcore::time::Timestamp;
use mailcore_filter::content::View;
use mailcore_filter::pipeline::Look;
use mailcore_filter::rules::RuleSet;

use super::{CliError, Place};
use crate::config::{Config, read_rules};
use crate::out;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Reads files of rules and reports everything that is wrong with them
    Check {
        /// Files of rules; names in them start at the file's folder
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Lists the rules in force and what they score
    List,
    /// Says which rules hold for a message, and what they score together
    Test {
        /// The message, as it would be sent
        #[arg(long, value_name = "FILE")]
        message: PathBuf,
        /// Rules of this file, instead of those in force
        #[arg(long, value_name = "FILE")]
        rules: Option<PathBuf>,
        /// The sender that MAIL would name; nobody unless given
        #[arg(long, value_name = "ADDRESS")]
        mail_from: Option<String>,
        /// A recipient that RCPT would name
        #[arg(long, value_name = "ADDRESS")]
        rcpt_to: Vec<String>,
        /// The name that HELO would give
        #[arg(long, value_name = "NAME")]
        helo: Option<String>,
    },
}

pub(super) fn run(place: &Place, command: Command) -> Result<(), CliError> {
    match command {
        Command::Check { files } => check(&files),
        Command::List => list(&place.config()?),
        Command::Test {
            message,
            rules,
            mail_from,
            rcpt_to,
            helo,
        } => {
            let config = place.config()?;
            let rules = match rules {
                Some(file) => Arc::new(of_file(&file)?),
                None => config.filter.rules.rules().map_err(CliError::failed)?,
            };
            let mut session = FilterSession::new(None);
            session.helo = helo;
            let envelope = envelope(mail_from.as_deref(), &rcpt_to)?;
            let read = std::fs::read(&message);
            let octets = read.map_err(|error| failed(&message, &error))?;
            let lines = judged(&config, &rules, octets, &session, &envelope)?;
            out::lines(&lines);
            Ok(())
        }
    }
}

fn check(files: &[PathBuf]) -> Result<(), CliError> {
    let mut lines = Vec::new();
    for file in files {
        let rules = of_file(file)?;
        lines.push(format!(
            "{} is sound: {} rules",
            file.display(),
            rules.len()
        ));
    }
    out::lines(&lines);
    Ok(())
}

fn list(config: &Config) -> Result<(), CliError> {
    let rules = config.filter.rules.rules().map_err(CliError::failed)?;
    let lines: Vec<_> = rules
        .rules()
        .map(|rule| format!("{:>5.1}  {:28}  {}", rule.score, rule.name, rule.about))
        .collect();
    out::lines(&lines);
    Ok(())
}

/// The rules of one file and of those it includes.
fn of_file(file: &Path) -> Result<RuleSet, CliError> {
    let folder = file.parent().unwrap_or(Path::new(""));
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let rules = read_rules(false, std::iter::once(&*name), folder);
    rules.map_err(|errors| CliError::Usage(errors.to_string()))
}

fn envelope(mail_from: Option<&str>, rcpt_to: &[String]) -> Result<Envelope, CliError> {
    let address = |text: &str| {
        let parsed = Address::parse(text);
        parsed.map_err(|error| CliError::Usage(format!("{text}: {error}")))
    };
    let reverse_path = match mail_from {
        Some(text) => ReversePath::Address(address(text)?),
        None => ReversePath::Null,
    };
    let recipients: Result<Vec<_>, _> = rcpt_to.iter().map(|it| address(it)).collect();
    Ok(Envelope::new(reverse_path, recipients?))
}

/// A line for each rule that holds, the heaviest first, and their sum.
fn judged(
    config: &Config,
    rules: &RuleSet,
    octets: Vec<u8>,
    session: &FilterSession,
    envelope: &Envelope,
) -> Result<Vec<String>, CliError> {
    let now = arrival(&octets).unwrap_or_else(|| SystemClock::new().now());
    let message = Message::from_bytes(octets);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .map_err(CliError::failed)?;
    let hits = runtime.block_on(async {
        let summary = message.summarize().await?;
        let view = View::read(&message, &summary, &config.filter.rules.limits).await?;
        let mail = IncomingMail::new(envelope, &message, &summary);
        let look = Look::at(session).mail(&mail);
        rules.judge(&look, &view, now).await
    });
    let mut hits = hits.map_err(|error: StoreError| CliError::failed(error))?;
    hits.sort_by(|a, b| b.score.abs().total_cmp(&a.score.abs()));
    let sum: f32 = hits.iter().map(|hit| hit.score).sum();
    let line = |score: f32, name: &str, about: &str| {
        let line = format!("{score:>5.1}  {name:28}  {about}");
        line.trim_end().to_owned()
    };
    let mut lines: Vec<_> = hits
        .iter()
        .map(|hit| line(hit.score, hit.name, hit.about))
        .collect();
    lines.push(line(sum, "together", ""));
    Ok(lines)
}

/// When a kept message arrived: its date was fresh then.
fn arrival(octets: &[u8]) -> Option<Timestamp> {
    let received = Header::new(octets).first("received")?;
    let value = received.value();
    let date = value.rsplit(|octet| *octet == b';').next()?;
    DateTime::parse(date).map(DateTime::timestamp)
}

fn failed(file: &Path, error: &std::io::Error) -> CliError {
    CliError::Failed(format!("{}: {error}", file.display()))
}
