//! The directory's logins, and by access tokens where the configuration says
//! whose.

use std::sync::Arc;

use mailcore::net::{HttpsClient, OwnNetwork};
use mailcore::oauth::OAuth;
use mailcore::seams::{Authenticator, Clock, Resolver, SystemClock};
use mailcore_smtp::client::verified_config;
use mailcore_store::directory::SqliteDirectory;

use crate::config::Config;
use crate::outgoing_tls;
use crate::tls::{TlsError, provider};
use crate::wiring::WiringError;

/// What checks the proofs of users.
pub(crate) fn authenticator(
    config: &Config,
    resolver: &Arc<dyn Resolver>,
    directory: &SqliteDirectory,
) -> Result<Arc<dyn Authenticator>, WiringError> {
    let directory = directory.clone().with_code_login(config.auth.codes);
    let directory = Arc::new(directory);
    let Some(settings) = &config.auth.oauth else {
        return Ok(directory);
    };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let roots = outgoing_tls::roots(config)?;
    let tls = verified_config(provider(), roots).map_err(TlsError::from)?;
    let dialer = outgoing_tls::web_dialer(config, resolver);
    let client = HttpsClient::new(Arc::clone(resolver), dialer, Arc::clone(&clock), tls)
        // The administrator has named the host; it may well be one of his own.
        .own_network(OwnNetwork::Allowed);
    let accounts = Arc::clone(&directory);
    let (settings, asked) = (settings.clone(), (client, clock));
    Ok(Arc::new(OAuth::new(
        directory,
        accounts,
        asked,
        &provider(),
        settings,
    )?))
}
