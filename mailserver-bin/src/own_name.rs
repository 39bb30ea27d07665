//! Whether DNS knows this server by its name: told in the log after a start, and
//! by `mailserver check-config --dns`.

use std::sync::Arc;

use mailcore::address::Domain;
use mailcore::net::{NameFinding, check_own_name};
use mailcore::seams::{Directory, DirectoryError, DomainKind, Resolver};

use crate::config::{Config, NameCheck};

/// The domains whose mail should come here.
pub(crate) async fn local_domains(
    directory: &dyn Directory,
) -> Result<Vec<Domain>, DirectoryError> {
    let records = directory.domains().await?;
    let here = records
        .into_iter()
        .filter(|record| !matches!(record.kind, DomainKind::Relay { .. }));
    Ok(here.map(|record| record.domain).collect())
}

/// Looks once and warns of what does not fit. Without a configuration the
/// server's name is a made-up one.
pub(crate) async fn watch(
    config: Config,
    directory: Arc<dyn Directory>,
    resolver: Arc<dyn Resolver>,
) {
    if config.name_check == NameCheck::Off || config.file.is_none() {
        return;
    }
    let domains = match local_domains(&*directory).await {
        Ok(domains) => domains,
        Err(error) => {
            tracing::warn!(%error, "the server's name in DNS was not checked");
            return;
        }
    };
    for finding in check_own_name(&*resolver, &config.hostname, &domains).await {
        match finding {
            NameFinding::Unknown { .. } => tracing::info!("the server's name in DNS: {finding}"),
            finding => tracing::warn!("the server's name in DNS: {finding}"),
        }
    }
}
