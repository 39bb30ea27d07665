//! What a builder was told that can't be meant: said before anything runs, in
//! words that name the method to call.

use std::net::SocketAddr;
use std::sync::Arc;

use super::Builder;
use super::assemble::MAILBOX_AGENT;
use crate::abuse::Consequence;
use crate::server::StartError;
use crate::server::agents::Agents;
use crate::server::handle::ServiceHandle;
use crate::server::parts::Receives;

impl Builder {
    /// Whether every part that was given has what it can't do without.
    pub(in crate::server) fn check(&self) -> Result<(), StartError> {
        if let Some(method) = self.too_early {
            return Err(StartError::NoListener { method });
        }
        let closes =
            (self.abuse.rules.iter()).any(|it| it.consequence == Consequence::CloseAccount);
        if closes && self.account_closer.is_none() {
            return Err(StartError::Missing {
                seam: "a directory for the rule that closes accounts",
                method: "account_closer",
            });
        }
        let wants = self.wants_stores();
        match (&self.stores, wants) {
            (None, Some(seam)) => Err(StartError::Missing {
                seam,
                method: "stores",
            }),
            _ => Ok(()),
        }
    }

    /// What was asked for that only a store can keep.
    fn wants_stores(&self) -> Option<&'static str> {
        let wants = [
            (
                self.keep_delivered.is_some(),
                "a store for the copies that Builder::keep_delivered asks for",
            ),
            (
                self.recipient_check.is_some(),
                "a store for the answers that Builder::recipient_check remembers",
            ),
        ];
        let mut wants = wants.into_iter();
        wants.find_map(|(asked, seam)| asked.then_some(seam))
    }

    /// Who mail can be taken for. Whoever brings a router or an agent for
    /// mailboxes knows where their mail is kept.
    pub(super) fn receives(&self, agents: &Agents) -> Receives {
        let closures = agents.keys().any(|name| name.starts_with("hook:"));
        let kept = self.stores.is_some() || agents.contains_key(MAILBOX_AGENT);
        match (&self.router, &self.directory) {
            (Some(_), _) => Receives::Somebody,
            (None, Some(_)) if kept => Receives::Somebody,
            _ if closures => Receives::Somebody,
            (None, Some(_)) => Receives::Nowhere,
            (None, None) => Receives::Nobody,
        }
    }
}

/// Two listeners at one address, which the system would put down to another
/// program. Port 0 is another one each time.
pub(super) fn one_listener_each(services: &[Arc<ServiceHandle>]) -> Result<(), StartError> {
    let fixed = |text: &str| match text.parse::<SocketAddr>() {
        Ok(address) => address.port() != 0,
        Err(_) => !text.ends_with(":0"),
    };
    let mut seen: Vec<(String, &'static str)> = Vec::new();
    for service in services {
        let Some(address) = service.asked_for().filter(|it| fixed(it)) else {
            continue;
        };
        if let Some((_, first)) = seen.iter().find(|(known, _)| *known == address) {
            return Err(StartError::ListenerTwice {
                first,
                second: service.protocol(),
                address,
            });
        }
        seen.push((address, service.protocol()));
    }
    Ok(())
}
