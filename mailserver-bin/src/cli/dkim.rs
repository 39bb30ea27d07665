//! `mailserver dkim`: the keys that sign what leaves.

use std::path::PathBuf;

use clap::Subcommand;
use mailcore::time::Timestamp;
use mailcore_filter::sender_auth::signing::{Published, key_published, zone_text};

use super::{CliError, Place};
use crate::config::Config;
use crate::control::dkim::{DkimRequest, Key, KeyKind};
use crate::control::{Password, Request, Response, aligned};
use crate::{out, when};

/// How long resolvers may keep a record.
const TTL: u32 = 3600;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Makes a key, or takes over one of another server, and prints the record
    /// to publish; it signs once DNS has that
    Add {
        domain: String,
        /// What to make
        #[arg(long, value_name = "KIND", default_value = "rsa")]
        algorithm: KeyKind,
        /// The name of its record; one of this day unless given
        #[arg(long, value_name = "NAME")]
        selector: Option<String>,
        /// A private key in PEM, as opendkim-genkey or openssl write it
        #[arg(long, value_name = "FILE", conflicts_with = "algorithm")]
        key: Option<PathBuf>,
        /// It signs at once: its record is in DNS already
        #[arg(long)]
        active: bool,
    },
    /// Lists keys and what each is used for
    List {
        /// All domains unless given
        domain: Option<String>,
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Prints the records to publish, as lines of a zone file
    Show {
        domain: String,
        /// All keys of the domain unless given
        selector: Option<String>,
    },
    /// Has a key sign, in place of the one before; DNS must have its record
    Activate {
        domain: String,
        selector: String,
        /// Whatever DNS says
        #[arg(long)]
        unseen: bool,
    },
    /// Has a key sign no more
    Retire { domain: String, selector: String },
    /// Makes keys to follow those that sign, and prints their records; they take
    /// their place once DNS has these
    Rotate { domain: String },
    /// Removes a key for good
    Remove { domain: String, selector: String },
    /// Signs mail of a domain, as is done unless it was switched off
    On { domain: String },
    /// Signs no mail of a domain, whatever keys it has
    Off { domain: String },
}

/// Carries one command out.
pub(super) fn run(place: &Place, command: Command) -> Result<(), CliError> {
    let ask = |request| place.ask(Request::Dkim { request });
    match command {
        Command::List { domain, json } => list(place, domain, json),
        Command::Show { domain, selector } => show(place, domain, selector.as_deref()),
        Command::Add {
            domain,
            algorithm,
            selector,
            key,
            active,
        } => {
            let pem = key.map(|path| {
                std::fs::read_to_string(&path)
                    .map(Password)
                    .map_err(|error| CliError::Failed(format!("{}: {error}", path.display())))
            });
            let request = DkimRequest::Add {
                domain,
                selector,
                algorithm,
                pem: pem.transpose()?,
                active,
            };
            added(&keys(place, &place.config()?, request)?);
            Ok(())
        }
        Command::Rotate { domain } => {
            let request = DkimRequest::Rotate { domain };
            added(&keys(place, &place.config()?, request)?);
            Ok(())
        }
        Command::Activate {
            domain,
            selector,
            unseen,
        } => {
            if !unseen {
                must_be_published(place, &domain, &selector)?;
            }
            ask(DkimRequest::Activate { domain, selector })
        }
        Command::Retire { domain, selector } => ask(DkimRequest::Retire { domain, selector }),
        Command::Remove { domain, selector } => ask(DkimRequest::Remove { domain, selector }),
        Command::On { domain } => ask(DkimRequest::Switch { domain, on: true }),
        Command::Off { domain } => ask(DkimRequest::Switch { domain, on: false }),
    }
}

/// The keys that a request is answered with.
pub(super) fn keys(
    place: &Place,
    config: &Config,
    request: DkimRequest,
) -> Result<Vec<Key>, CliError> {
    let Response::Done(lines) = place.answer(config, &Request::Dkim { request })? else {
        return Ok(Vec::new());
    };
    let keys = lines.iter().map(|line| serde_json::from_str(line));
    keys.collect::<Result<_, _>>().map_err(CliError::failed)
}

fn list(place: &Place, domain: Option<String>, json: bool) -> Result<(), CliError> {
    let keys = keys(place, &place.config()?, DkimRequest::List { domain })?;
    if json {
        let lines = keys.iter().map(serde_json::to_string);
        let lines: Vec<String> = lines.collect::<Result<_, _>>().map_err(CliError::failed)?;
        out::lines(&lines);
        return Ok(());
    }
    let rows: Vec<Vec<String>> = keys
        .into_iter()
        .map(|key| {
            let since = when::shown(Timestamp::from_millis(key.since));
            let stage = format!("{} since {since}", key.stage);
            vec![key.domain, key.selector, key.algorithm, stage]
        })
        .collect();
    out::lines(&aligned(&rows));
    Ok(())
}

fn show(place: &Place, domain: String, selector: Option<&str>) -> Result<(), CliError> {
    let request = DkimRequest::List {
        domain: Some(domain.clone()),
    };
    let mut keys = keys(place, &place.config()?, request)?;
    keys.retain(|key| selector.is_none_or(|it| key.selector.eq_ignore_ascii_case(it)));
    if keys.is_empty() {
        return Err(CliError::Failed(format!(
            "{domain} has no such key; `mailserver dkim add {domain}` makes one"
        )));
    }
    out::lines(&keys.iter().map(zone_line).collect::<Vec<_>>());
    Ok(())
}

/// A key's record as a line of a zone file.
pub(super) fn zone_line(key: &Key) -> String {
    format!("{}. {TTL} IN TXT {}", key.name, zone_text(&key.record))
}

fn added(keys: &[Key]) {
    let mut lines = Vec::new();
    for key in keys {
        let told = match key.stage.as_str() {
            "active" => "signs from now on; its record must be in DNS:".to_owned(),
            _ => format!(
                "is made. Publish its record; it signs within an hour after, or at once by \
                 `mailserver dkim activate {} {}`:",
                key.domain, key.selector
            ),
        };
        lines.push(format!(
            "; the key {} of {} {told}",
            key.selector, key.domain
        ));
        lines.push(zone_line(key));
    }
    out::lines(&lines);
}

/// A key whose record nobody finds must not sign: its signatures would fail.
fn must_be_published(place: &Place, domain: &str, selector: &str) -> Result<(), CliError> {
    let config = place.config()?;
    let request = DkimRequest::List {
        domain: Some(domain.to_owned()),
    };
    let keys = keys(place, &config, request)?;
    let key = keys
        .iter()
        .find(|key| key.selector.eq_ignore_ascii_case(selector));
    let key = key.ok_or_else(|| {
        CliError::Failed(format!(
            "{domain} has no key {selector}; see `mailserver dkim list`"
        ))
    })?;
    let published = super::with_resolver(&config, async |resolver| {
        key_published(&*resolver, &key.name, &key.record).await
    })?;
    let wrong = match published {
        Published::Right => return Ok(()),
        Published::Missing => "DNS has no such record".to_owned(),
        Published::Different(other) => format!("DNS has another one: {other}"),
        Published::Unknown(error) => error.to_string(),
        _ => "DNS was not understood".to_owned(),
    };
    Err(CliError::Failed(format!(
        "{wrong}; publish this and try again, or say --unseen:\n{}",
        zone_line(key)
    )))
}
