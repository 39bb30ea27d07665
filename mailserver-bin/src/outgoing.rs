//! Mail for other hosts: the agent that takes it there, and the smart host that
//! may stand between.

use std::net::IpAddr;
use std::sync::Arc;

use mailcore::seams::{OsEntropy, Resolver, State, SystemClock, TcpDialer};
use mailcore_smtp::client::{
    Credentials, HostSettings, PasswordUse, RemoteAgent, RemoteConfig, RemoteSeams, TlsPolicy,
    opportunistic_config, verified_config,
};

use crate::config::{Config, SmartHost, TlsMode};
use crate::outgoing_tls;
use crate::tls::{TlsError, provider};

/// The agent under the name `smtp`.
pub(crate) fn agent(
    config: &Config,
    resolver: Arc<dyn Resolver>,
    state: &Arc<dyn State>,
) -> Result<Arc<RemoteAgent>, TlsError> {
    let policies = outgoing_tls::policies(config, &resolver, state)?;
    let seams = RemoteSeams {
        resolver,
        dialer: Arc::new(TcpDialer::default()),
        clock: Arc::new(SystemClock::new()),
        entropy: Arc::new(OsEntropy),
    };
    let mut remote = RemoteConfig::default();
    remote.own.names.push(config.hostname.clone());
    remote.own.addresses = own_addresses(config);
    // A host found dead must be called again by the next attempt of the same
    // message, however short the schedule.
    remote.suspend_for = remote.suspend_for.min(config.schedule.shortest_wait() / 2);
    let mut builder = RemoteAgent::builder(config.hostname.clone(), seams)
        .config(remote)
        .tls(opportunistic_config(provider())?)
        .verified_tls(verified_config(provider(), outgoing_tls::roots(config)?)?)
        .tls_policies(policies);
    if let Some(host) = &config.smart_host {
        builder = builder.host(settings(host));
    }
    Ok(builder.build())
}

/// The addresses that mail must not be sent to, since it would come back here.
/// Those behind `0.0.0.0` are unknown; the Received count stops such a loop.
pub(crate) fn own_addresses(config: &Config) -> Vec<IpAddr> {
    let addresses = config
        .listeners
        .iter()
        .map(|listener| listener.address.ip());
    addresses
        .filter(|ip| !ip.is_unspecified() && !ip.is_loopback())
        .collect()
}

fn settings(host: &SmartHost) -> HostSettings {
    HostSettings {
        host: host.host.clone(),
        port: host.port,
        tls: match host.tls {
            TlsMode::None => TlsPolicy::Never,
            TlsMode::Starttls => TlsPolicy::Verified,
            TlsMode::Implicit => TlsPolicy::Implicit,
        },
        credentials: host.login.clone().map(|(login, password)| Credentials {
            login,
            password,
            // Whoever writes `tls = "none"` beside a password means it.
            password_use: match host.tls {
                TlsMode::None => PasswordUse::EvenInClear,
                _ => PasswordUse::WithinTls,
            },
        }),
    }
}
