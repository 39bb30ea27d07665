//! Mail for other hosts: the agents that take it there, and the hosts that may
//! stand between.

use std::net::IpAddr;
use std::sync::Arc;

use mailcore::route::{SmartHost as RuleHost, SmartHostRules, SmartHosts};
use mailcore::seams::{NextHop, Resolver, RouteQuery, Router, Signer, State};
use mailcore_smtp::client::{
    Credentials, HostSettings, LmtpPlace, PasswordUse, Protocol, RemoteAgent, RemoteConfig,
    RemoteSeams, RouteSettings, TlsPolicy, TlsReport, opportunistic_config, verified_config,
};

use crate::config::{Config, OutgoingRoute, RoutePlace, SmartHost};
use crate::outgoing_tls;
use crate::tls::{TlsError, provider};

/// The agent's name for mail that no route is for.
pub(crate) const AGENT: &str = "smtp";

/// The agents by the names under which routes know them.
pub(crate) fn agents(
    config: &Config,
    resolver: Arc<dyn Resolver>,
    state: &Arc<dyn State>,
    report: Arc<TlsReport>,
    signer: Option<Arc<dyn Signer>>,
) -> Result<Vec<(String, Arc<RemoteAgent>)>, TlsError> {
    let agent = agent(config, Arc::clone(&resolver), state, report, signer)?;
    let mut agents = vec![(AGENT.to_owned(), Arc::clone(&agent))];
    for route in &config.outgoing.routes {
        let agent = match &route.place {
            RoutePlace::Hosts(_) => Arc::clone(&agent),
            RoutePlace::Socket(path) => {
                let place = LmtpPlace::Socket(path.clone());
                let seams = RemoteSeams::system(Arc::clone(&resolver));
                RemoteAgent::lmtp(config.hostname.clone(), seams, place).build()
            }
        };
        agents.push((agent_name(route), agent));
    }
    Ok(agents)
}

/// The agent for hosts.
fn agent(
    config: &Config,
    resolver: Arc<dyn Resolver>,
    state: &Arc<dyn State>,
    report: Arc<TlsReport>,
    signer: Option<Arc<dyn Signer>>,
) -> Result<Arc<RemoteAgent>, TlsError> {
    let policies = outgoing_tls::policies(config, &resolver, state, report)?;
    let seams = RemoteSeams::system(resolver);
    let mut remote = RemoteConfig::default();
    remote.own.names.push(config.hostname.clone());
    remote.own.addresses = own_addresses(config);
    remote.sources.clone_from(&config.outgoing.sources);
    remote.address_order = config.outgoing.address_order;
    remote.chunking = config.outgoing.chunking;
    remote.loopback = config.outgoing.loopback;
    // A host found dead must be called again by the next attempt of the same
    // message, however short the schedule.
    remote.suspend_for = remote.suspend_for.min(config.schedule.shortest_wait() / 2);
    let mut builder = RemoteAgent::builder(config.hostname.clone(), seams)
        .config(remote)
        .tls(opportunistic_config(provider())?)
        .verified_tls(verified_config(provider(), outgoing_tls::roots(config)?)?)
        .tls_policies(policies);
    if let Some(signer) = signer {
        builder = builder.signer(signer);
    }
    if let Some(host) = &config.smart_host {
        builder = builder.host(settings(host, Protocol::Smtp));
    }
    for route in &config.outgoing.routes {
        let RoutePlace::Hosts(hosts) = &route.place else {
            continue;
        };
        let mut of_route = RouteSettings::default();
        of_route.sources.clone_from(&route.sources);
        for host in hosts {
            let settings = settings(host, route.protocol);
            if route.protocol == Protocol::Lmtp {
                // A domain that is relayed to the same port meets LMTP too.
                builder = builder.host(settings.clone());
            }
            of_route.hosts.push(settings);
        }
        builder = builder.route(agent_name(route), of_route);
    }
    Ok(builder.build())
}

/// The way of mail between two: by a route, by the smart host, or to the hosts
/// that DNS names.
pub(crate) fn way(config: &Config, query: &RouteQuery<'_>) -> (String, NextHop) {
    rules(config)
        .choose(query)
        .map(|host| (host.agent.to_string(), host.next_hop.clone()))
        .unwrap_or_else(|| {
            let next_hop = match &config.smart_host {
                Some(host) => NextHop::Host {
                    host: host.host.clone(),
                    port: host.port,
                },
                None => NextHop::Mx(query.address.domain().clone()),
            };
            (AGENT.to_owned(), next_hop)
        })
}

/// The routes of `router`, but for mail that goes by hosts of its own.
pub(crate) fn routes(config: &Config, router: Arc<dyn Router>) -> Arc<dyn Router> {
    Arc::new(SmartHosts::new(router, rules(config)))
}

fn rules(config: &Config) -> SmartHostRules {
    let routes = config.outgoing.routes.iter();
    routes
        .map(|route| (route.rule.clone(), destination(route)))
        .collect()
}

/// The name under which a route's agent is registered.
fn agent_name(route: &OutgoingRoute) -> String {
    format!("{AGENT}:{}", route.name)
}

/// Where a route leads.
pub(crate) fn destination(route: &OutgoingRoute) -> RuleHost {
    let next_hop = match &route.place {
        RoutePlace::Hosts(hosts) => hosts.first().map_or(NextHop::Local, |host| NextHop::Host {
            host: host.host.clone(),
            port: host.port,
        }),
        RoutePlace::Socket(_) => NextHop::Local,
    };
    RuleHost {
        agent: agent_name(route).into(),
        next_hop,
    }
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

fn settings(host: &SmartHost, protocol: Protocol) -> HostSettings {
    let mut settings = HostSettings::new(host.host.clone(), host.port);
    settings.protocol = protocol;
    settings.tls = host.tls;
    settings.credentials = host.login.clone().map(|(login, password)| Credentials {
        login,
        password,
        // Whoever writes `tls = "none"` beside a password means it.
        password_use: match host.tls {
            TlsPolicy::Never => PasswordUse::EvenInClear,
            _ => PasswordUse::WithinTls,
        },
    });
    settings
}
