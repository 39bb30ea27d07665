//! The test `greylist`.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use mailcore::address::Domain;
use mailcore::plan::Stage;
use mailcore::seams::{Clock, State};

use super::client::{GreylistClient, provider};
use super::ledger::{Attempt, Decision, Ledger};
use super::{GreylistConfig, GreylistHosts};
use crate::lists::Network;
use crate::pipeline::{Look, Reaction, Said, Test};
use crate::sender::ReverseNames;

/// Asked at RCPT, when nothing else refuses the recipient.
#[derive(Debug)]
pub struct Greylist {
    config: GreylistConfig,
    ledger: Ledger,
}

impl Greylist {
    /// Remembers in `state`.
    pub fn new(state: Arc<dyn State>, clock: Arc<dyn Clock>, config: GreylistConfig) -> Self {
        Self {
            ledger: Ledger::new(state, clock, config.clone()),
            config,
        }
    }

    fn network(&self, ip: IpAddr) -> Network {
        let prefix = match ip {
            IpAddr::V4(_) => self.config.prefix_v4,
            IpAddr::V6(_) => self.config.prefix_v6,
        };
        Network::of(ip, prefix).unwrap_or_else(|| Network::host(ip))
    }

    fn client(&self, look: &Look<'_>, network: Network) -> GreylistClient {
        if self.config.hosts == GreylistHosts::Ignored {
            return GreylistClient::Anybody;
        }
        if let Some(domain) = vouched(look) {
            return GreylistClient::Sender(domain);
        }
        let names = look.session.memory.get::<ReverseNames>();
        match names.and_then(|names| provider(&names)) {
            Some(domain) => GreylistClient::Provider(domain),
            None => GreylistClient::Network(network),
        }
    }
}

/// The sender's domain, when SPF says that the client is one of its hosts.
fn vouched(look: &Look<'_>) -> Option<Domain> {
    let address = look.reverse_path?.address()?;
    let findings = look.session.memory.findings();
    let passed = (findings.iter())
        .any(|it| it.test == "spf" && it.stage == Stage::Mail && it.result == "pass");
    passed.then(|| address.domain().clone())
}

#[async_trait]
impl Test for Greylist {
    fn name(&self) -> &'static str {
        "greylist"
    }

    fn stage(&self) -> Stage {
        Stage::Rcpt
    }

    /// What others refuse need not be remembered.
    fn after(&self) -> &'static [&'static str] {
        &["lists", "batv", "backscatter"]
    }

    fn results(&self) -> &'static [&'static str] {
        &["wait", "crowded"]
    }

    fn reaction(&self, _: &str) -> Reaction {
        Reaction::defer()
    }

    async fn look(&self, at: &Look<'_>) -> Vec<Said> {
        let (Some(peer), Some(sender), Some(recipient)) =
            (at.session.peer, at.reverse_path, at.recipient)
        else {
            return Vec::new();
        };
        let ip = peer.ip().to_canonical();
        if self.config.allow.iter().any(|network| network.contains(ip)) {
            return Vec::new();
        }
        let network = self.network(ip);
        let client = self.client(at, network);
        let input = client.to_string();
        let attempt = Attempt {
            client,
            network,
            sender,
            recipient,
        };
        match self.ledger.decide(&attempt).await {
            Ok(Decision::Wait(left)) => vec![Said::new("wait", input).detail(words(left))],
            Ok(Decision::Crowded) => {
                let words = "too many new senders from your network; try again later";
                vec![Said::new("crowded", input).detail(words)]
            }
            Ok(
                Decision::KnownClient
                | Decision::KnownTriplet
                | Decision::Passed
                | Decision::NotAsked,
            ) => Vec::new(),
            Err(error) => {
                tracing::warn!(%error, "can't remember who was put off; mail is let through");
                Vec::new()
            }
        }
    }
}

/// RFC 6647 section 2.4 leaves the words open; a time helps those who read them.
fn words(left: Duration) -> String {
    let seconds = left.as_secs().max(1);
    format!("this sender is new here; try again in {seconds} seconds")
}
