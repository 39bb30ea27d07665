//! `mailserver init`: a data directory, a first domain and its administrator;
//! and a configuration file to start from.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use mailcore::account::Secret;
use mailcore::address::{Address, Domain};
use mailcore::seams::{
    Administration, Clock, Directory, DirectoryWrite, DomainKind, Entropy, OsEntropy, Role,
    SystemClock,
};
use mailcore_store::directory::SqliteDirectory;

use super::account::Input;
use super::{CliError, Place};
use crate::config::{Config, DEFAULT_FILE};
use crate::control::Password;
use crate::data::DataDir;
use crate::{out, password, tls, wiring};

/// The name of the first account.
const ADMIN: &str = "admin";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// This host's name, as MX records will have it
    #[arg(long, value_name = "NAME")]
    hostname: Option<String>,
    /// The first domain (default: the host name without its first label)
    #[arg(long)]
    domain: Option<String>,
    /// The administrator's address (default: admin@ the domain)
    #[arg(long, value_name = "ADDRESS")]
    admin: Option<String>,
    #[command(flatten)]
    input: Input,
}

/// The first domain and account.
#[derive(Debug)]
pub(super) struct Setup {
    pub(super) domain: Domain,
    pub(super) admin: Address,
    pub(super) password: String,
    /// Made up here, so that nobody knows it yet.
    is_random: bool,
}

impl Setup {
    /// For a host that nothing else is known of.
    pub(super) fn of_host(hostname: &Domain, entropy: &dyn Entropy) -> Result<Self, CliError> {
        let domain = parent(hostname);
        Ok(Self {
            admin: Address::new(ADMIN, domain.clone()).map_err(CliError::failed)?,
            domain,
            password: password::random(entropy),
            is_random: true,
        })
    }

    /// What the administrator is told, once.
    pub(super) fn told(&self) -> Vec<String> {
        let mut lines = vec![String::new(), format!("first account: {}", self.admin)];
        if self.is_random {
            lines.push(format!("password:      {}", self.password));
            lines.push("the password is shown this once and kept only as a hash".to_owned());
        }
        lines
    }
}

/// The domain that a host's name is in: without its first label.
fn parent(hostname: &Domain) -> Domain {
    let parent = hostname.as_str().split_once('.').map(|(_, rest)| rest);
    parent
        .filter(|rest| rest.contains('.'))
        .and_then(|rest| Domain::parse(rest).ok())
        .unwrap_or_else(|| hostname.clone())
}

/// Makes domain and administrator.
pub(super) async fn set_up(directory: &SqliteDirectory, setup: &Setup) -> Result<(), CliError> {
    let known = directory.domain(&setup.domain).await;
    if known.map_err(CliError::failed)?.is_none() {
        let added = directory.add_domain(&setup.domain, DomainKind::Local).await;
        added.map_err(CliError::failed)?;
    }
    let secret = Secret::new(setup.password.as_bytes());
    let added = directory.add_account(&setup.admin, &secret).await;
    added.map_err(CliError::failed)?;
    let raised = directory.set_role(&setup.admin, &Role::Global).await;
    raised.map_err(CliError::failed)
}

/// Prepares a server without starting it.
pub(super) fn run(place: &Place, args: Args) -> Result<(), CliError> {
    let path = place.config.clone().unwrap_or_else(|| DEFAULT_FILE.into());
    let mut lines = Vec::new();
    let config = if path.exists() {
        if args.hostname.is_some() {
            return Err(CliError::Usage(format!(
                "{} exists; set the host name there, not with --hostname",
                path.display()
            )));
        }
        place.config()?
    } else {
        let config = fresh(place, &args)?;
        write_config(&path, &config)?;
        lines.push(format!("wrote {}", path.display()));
        config
    };
    let data = DataDir::new(&config.data);
    let lock = data.lock().map_err(CliError::failed)?;
    let setup = wanted(&config, &args)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(CliError::failed)?;
    runtime.block_on(async {
        let directory = wiring::open_directory(&data, &lock).map_err(CliError::failed)?;
        let domains = directory.domains().await.map_err(CliError::failed)?;
        if !domains.is_empty() {
            return Err(CliError::Failed(format!(
                "{} is set up already; use `mailserver domain` and `mailserver account`",
                data.path().display()
            )));
        }
        set_up(&directory, &setup).await
    })?;
    tls::own(&config.hostname, &data, SystemClock::new().now()).map_err(CliError::failed)?;
    lines.push(format!("data in {}", data.path().display()));
    lines.push(format!("domain  {}", setup.domain));
    lines.extend(setup.told());
    lines.push("start the server with: mailserver".to_owned());
    out::lines(&lines);
    Ok(())
}

/// The configuration of a host that has no file yet.
fn fresh(place: &Place, args: &Args) -> Result<Config, CliError> {
    let mut config = Config::without_file();
    if let Some(name) = &args.hostname {
        config.hostname = Domain::parse(name)
            .map_err(|error| CliError::Usage(format!("--hostname {name}: {error}")))?;
    }
    if let Some(data) = &place.data {
        config.data.clone_from(data);
    }
    Ok(config)
}

/// The domain and administrator that the arguments ask for.
fn wanted(config: &Config, args: &Args) -> Result<Setup, CliError> {
    let mut setup = Setup::of_host(&config.hostname, &OsEntropy)?;
    let admin = args.admin.as_deref().map(|text| {
        Address::parse(text).map_err(|error| CliError::Usage(format!("--admin {text}: {error}")))
    });
    let admin = admin.transpose()?;
    setup.domain = match (&args.domain, &admin) {
        (Some(text), _) => Domain::parse(text)
            .map_err(|error| CliError::Usage(format!("--domain {text}: {error}")))?,
        (None, Some(admin)) => admin.domain().clone(),
        (None, None) => setup.domain,
    };
    setup.admin = match admin {
        Some(admin) if *admin.domain() != setup.domain => {
            return Err(CliError::Usage(format!(
                "--admin {admin} is not in the domain {}",
                setup.domain
            )));
        }
        Some(admin) => admin,
        None => Address::new(ADMIN, setup.domain.clone()).map_err(CliError::failed)?,
    };
    if args.input.is_given() {
        let Password(text) = args.input.read()?;
        setup.password = text;
        setup.is_random = false;
    }
    Ok(setup)
}

/// Writes a file that says what holds without one, to be edited.
fn write_config(path: &Path, config: &Config) -> Result<(), CliError> {
    // Paths in a file are relative to the file: what was given is relative to
    // the working directory.
    let data: PathBuf = std::path::absolute(&config.data).unwrap_or_else(|_| config.data.clone());
    let mut text = String::new();
    // Writing to memory does not fail.
    let _ = write!(
        text,
        "# Made by `mailserver init`. All keys: docs/operations.md.\n\
         # Public ports: smtp 25 starttls, submission 587 starttls and 465 implicit,\n\
         # imap 143 starttls and 993 implicit, pop3 110 starttls and 995 implicit,\n\
         # managesieve 4190 starttls.\n\n\
         [server]\nhostname = {:?}\ndata = {:?}\n\n\
         # Without this, a certificate of the server's own making is used.\n\
         # [tls]\n# certificate = \"fullchain.pem\"\n# key = \"privkey.pem\"\n",
        config.hostname.as_str(),
        data.display().to_string()
    );
    for listener in &config.listeners {
        let _ = write!(
            text,
            "\n[[listener]]\nprotocol = \"{}\"\naddress = \"{}\"\ntls = \"{}\"\n",
            listener.protocol.as_str(),
            listener.address,
            listener.tls.as_str()
        );
    }
    std::fs::write(path, text)
        .map_err(|error| CliError::Failed(format!("can't write {}: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_domain_is_the_one_the_host_is_in() {
        let parent = |name: &str| parent(&Domain::parse(name).unwrap()).to_string();
        assert_eq!(parent("mail.example.com"), "example.com");
        assert_eq!(parent("example.com"), "example.com");
        assert_eq!(parent("localhost"), "localhost");
    }
}
