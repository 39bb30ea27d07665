//! `mailserver check-config`: what a start would find wrong, without one.

use mailcore::address::Domain;
use mailcore::net::check_own_name;
use mailcore::seams::{Clock, SystemClock};

use super::{CliError, Place};
use crate::config::{ClientCertificateUse, Config};
use crate::control::{Request, Response};
use crate::data::DataDir;
use crate::tls::Loaded;
use crate::{out, tls, wiring};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Ask DNS whether it knows this server by its name, too
    #[arg(long)]
    dns: bool,
}

/// Reports that a configuration is sound. What is wrong inside the file was
/// reported when it was read.
pub(super) fn config(place: &Place, args: &Args) -> Result<(), CliError> {
    let config = place.config()?;
    told(&config)?;
    if args.dns {
        own_name(place, &config)?;
    }
    Ok(())
}

fn told(config: &Config) -> Result<(), CliError> {
    let warnings = warnings(config)?;
    let source = match &config.file {
        Some(path) => format!("{} is sound", path.display()),
        None => "there is no configuration file; the defaults hold".to_owned(),
    };
    let mut lines = vec![source];
    lines.push(format!("hostname  {}", config.hostname));
    lines.push(format!("data      {}", config.data.display()));
    for listener in &config.listeners {
        lines.push(format!(
            "listener  {} {} tls={}",
            listener.protocol.as_str(),
            listener.address,
            listener.tls.as_str()
        ));
    }
    lines.extend(warnings.iter().map(|line| format!("warning   {line}")));
    out::lines(&lines);
    Ok(())
}

/// What there is to say about certificates that can be used; of those that
/// can't, why.
fn warnings(config: &Config) -> Result<Vec<String>, CliError> {
    let usage = |error: tls::TlsError| CliError::Usage(error.to_string());
    for listener in &config.listeners {
        if let ClientCertificateUse::Optional(file) | ClientCertificateUse::Required(file) =
            &listener.clients
        {
            tls::authorities(file).map_err(usage)?;
        }
    }
    let loaded = Loaded::configured(config).map_err(usage)?;
    Ok(loaded.warnings(config, SystemClock::new().now()))
}

/// Says what of the server's name does not fit in DNS; without data that is the
/// name alone, since no domain is known.
fn own_name(place: &Place, config: &Config) -> Result<(), CliError> {
    let mut domains = Vec::new();
    if DataDir::new(&config.data).exists()
        && let Response::Done(names) = place.answer(config, &Request::DomainNames)?
    {
        domains.extend(names.iter().filter_map(|name| Domain::parse(name).ok()));
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(CliError::failed)?;
    let findings = runtime.block_on(async {
        // Its connections belong to the runtime that it is made in.
        let resolver = wiring::resolver(config).map_err(CliError::failed)?;
        Ok::<_, CliError>(check_own_name(&*resolver, &config.hostname, &domains).await)
    })?;
    if findings.is_empty() {
        out::lines(&["DNS knows this server by its name"]);
        return Ok(());
    }
    let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
    Err(CliError::Failed(lines.join("\n")))
}
