//! TLSA records: the keys that the hosts' certificates have, and will have (RFC
//! 6698, RFC 7672 section 3.1.1).

use std::path::Path;
use std::sync::Arc;

use mailcore::address::Domain;
use mailcore::seams::Certificates;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;
use sha2::{Digest, Sha256};

use super::{record, zone_name};
use crate::acme;
use crate::cli::CliError;
use crate::config::Config;
use crate::data::DataDir;
use crate::tls::{self, Loaded};
use crate::wiring;

/// A record for each name that a certificate is shown for, this server's own
/// before the others, and one more for each key that comes next.
pub(super) fn records(config: &Config, next_key: Option<&Path>) -> Result<Vec<String>, CliError> {
    let data = DataDir::new(&config.data);
    let (loaded, next) = read(config, &data)?;
    let name = config.hostname.to_ascii();
    let name = name.as_ref().unwrap_or(&config.hostname);
    let mut lines = vec![format!("; {name}; TLSA only where the zone is signed")];
    let mut add = |line: String| {
        if !lines.contains(&line) {
            lines.push(line);
        }
    };
    let Some(named) = loaded.named() else {
        add("; no TLSA yet: a certificate is made or got when the server starts".to_owned());
        return Ok(lines);
    };
    let facts = loaded.certificates.iter().flat_map(|it| &it.facts.names);
    let names = std::iter::once(name.as_str()).chain(facts.map(String::as_str));
    // Nobody sends mail to a name of one label.
    for name in names.filter(|name| name.contains('.')) {
        let asked = name.replace('*', "any");
        let shown = named.certificate(Some(&asked));
        let key = shown.as_ref().and_then(|shown| shown.key.public_key());
        if let Some(key) = key {
            add(of_name(name, &tlsa(&key)));
        }
    }
    for (names, key) in &next {
        names.iter().for_each(|name| add(of_name(name, &tlsa(key))));
    }
    if let Some(path) = next_key {
        add(of_name(name.as_str(), &tlsa(&public_key(path)?)));
    }
    Ok(lines)
}

type NextKeys = Vec<(Vec<String>, Vec<u8>)>;

/// The certificates that are there, and the keys of those to come.
fn read(config: &Config, data: &DataDir) -> Result<(Loaded, NextKeys), CliError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(CliError::failed)?;
    runtime.block_on(async {
        let resolver = wiring::resolver(config).map_err(CliError::failed)?;
        let acme =
            acme::acme(config, data, &resolver, &Arc::default()).map_err(CliError::failed)?;
        let loaded = Loaded::existing(config, data, acme.as_ref()).await;
        let next = match &acme {
            Some(acme) => acme.next_keys().await.map_err(CliError::failed)?,
            None => Vec::new(),
        };
        Ok((loaded.map_err(CliError::failed)?, next))
    })
}

/// For a wildcard a comment: which of its names are hosts is not known.
fn of_name(name: &str, data: &str) -> String {
    match name.strip_prefix("*.") {
        Some(parent) => format!("; each host below {parent}: TLSA {data}"),
        None => match Domain::parse(name) {
            Ok(domain) => record(&format!("_25._tcp.{}", zone_name(&domain)), "TLSA", data),
            Err(_) => format!("; {name}: TLSA {data}"),
        },
    }
}

/// `3 1 1` and the hash of the key: it holds for every certificate of the key,
/// whoever signed it.
fn tlsa(public: &[u8]) -> String {
    let hash = Sha256::digest(public);
    let hex: String = hash.iter().map(|octet| format!("{octet:02x}")).collect();
    format!("3 1 1 {hex}")
}

fn public_key(key: &Path) -> Result<Vec<u8>, CliError> {
    let failed =
        |error: &dyn std::fmt::Display| CliError::Failed(format!("{}: {error}", key.display()));
    let der = PrivateKeyDer::from_pem_file(key).map_err(|error| failed(&error))?;
    let signing = tls::provider().key_provider.load_private_key(der);
    let signing = signing.map_err(|error| failed(&error))?;
    let public = signing.public_key();
    let public = public.ok_or_else(|| failed(&"the key does not tell its public half"))?;
    Ok(public.to_vec())
}
