//! [`RuleSet`]: the rules of one scope, ready to be asked.

use std::net::IpAddr;

use mailcore::address::{Address, Domain, ReversePath};

use super::network::NetworkMap;
use super::pattern::PatternMap;
use super::{About, AccessListError, Decision, Force, Network, Rule};

/// What the rules of a scope say of somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RuleVerdict {
    /// What.
    pub decision: Decision,
    /// How firmly.
    pub force: Force,
}

/// What is known of a client.
#[derive(Debug, Clone, Copy)]
pub(super) struct Client<'a> {
    pub(super) ip: IpAddr,
    /// Names of its address that lead back to it.
    pub(super) names: &'a [Domain],
    /// The sender, where the client is an MX host of its domain.
    pub(super) mx_of: Option<&'a Address>,
}

/// The rules of one scope. The narrowest decides: of clients an address before a
/// host's name, that before a network; of senders and recipients an address
/// before its domain, that before one above it.
#[derive(Debug, Clone, Default)]
pub struct RuleSet {
    clients: NetworkMap<RuleVerdict>,
    hosts: PatternMap<RuleVerdict>,
    mx: PatternMap<RuleVerdict>,
    any_mx: Option<RuleVerdict>,
    senders: PatternMap<RuleVerdict>,
    recipients: PatternMap<RuleVerdict>,
    rules: usize,
}

impl RuleSet {
    /// Reads rules, one a line.
    ///
    /// # Errors
    /// The first line that can't be read, or that contradicts an earlier one.
    pub fn parse(text: &str) -> Result<Self, AccessListError> {
        let mut set = Self::default();
        for (line, text) in (1..).zip(text.lines()) {
            let rule = Rule::of_line(text).map_err(|error| AccessListError::of(error, line))?;
            let Some(rule) = rule else { continue };
            let decision = rule.decision;
            let old = set.insert(rule);
            if old.is_some_and(|old| old.decision != decision) {
                return Err(AccessListError::Contradiction { line });
            }
        }
        Ok(set)
    }

    /// With one more rule, in place of one about the same; what that said.
    pub fn insert(&mut self, rule: Rule) -> Option<RuleVerdict> {
        let verdict = RuleVerdict {
            decision: rule.decision,
            force: rule.force,
        };
        let old = match rule.about {
            About::Client(network) => self.clients.insert(network, verdict),
            About::Host(pattern) => self.hosts.insert(pattern, verdict),
            About::Mx(Some(pattern)) => self.mx.insert(pattern, verdict),
            About::Mx(None) => self.any_mx.replace(verdict),
            About::Sender(pattern) => self.senders.insert(pattern, verdict),
            About::Recipient(pattern) => self.recipients.insert(pattern, verdict),
        };
        self.rules += usize::from(old.is_none());
        old
    }

    /// The same rules, none of which a narrower scope may decide otherwise.
    #[must_use]
    pub fn firmly(mut self) -> Self {
        let firm = |it: &mut RuleVerdict| it.force = Force::Final;
        self.clients.each(firm);
        for map in [
            &mut self.hosts,
            &mut self.mx,
            &mut self.senders,
            &mut self.recipients,
        ] {
            map.each(firm);
        }
        self.any_mx.iter_mut().for_each(firm);
        self
    }

    /// How many rules there are.
    pub fn len(&self) -> usize {
        self.rules
    }

    /// True without rules.
    pub fn is_empty(&self) -> bool {
        self.rules == 0
    }

    /// True when a client's names matter.
    pub(super) fn asks_for_names(&self, ip: IpAddr) -> bool {
        !self.hosts.is_empty() && self.alone(ip).is_none()
    }

    /// True when it matters whether the client is an MX host of the sender's
    /// domain.
    pub(super) fn asks_for_mx(&self, sender: &Address) -> bool {
        self.any_mx.is_some() || self.mx.narrowest(Some(sender)).is_some()
    }

    pub(super) fn client(&self, client: Client<'_>) -> Option<RuleVerdict> {
        let named = || {
            let names = client.names.iter().cloned();
            names
                .filter_map(|name| self.hosts.narrowest_of(name))
                .min_by_key(
                    // Of a client with many names the least kind word counts.
                    |it| it.decision == Decision::Allow,
                )
        };
        let exchanger = || {
            let sender = client.mx_of?;
            self.mx.narrowest(Some(sender)).or(self.any_mx)
        };
        self.alone(client.ip)
            .or_else(named)
            .or_else(exchanger)
            .or_else(|| self.clients.narrowest(client.ip))
    }

    /// What is said of this very address.
    fn alone(&self, ip: IpAddr) -> Option<RuleVerdict> {
        self.clients.exactly(Network::host(ip.to_canonical()))
    }

    pub(super) fn sender(&self, sender: &ReversePath) -> Option<RuleVerdict> {
        self.senders.narrowest(sender.address())
    }

    pub(super) fn recipient(&self, recipient: &Address) -> Option<RuleVerdict> {
        self.recipients.narrowest(Some(recipient))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_narrower_than_a_name_and_that_than_a_network() {
        let set = RuleSet::parse(
            "deny client 192.0.2.0/24
             allow client host:.good.test
             deny client host:bad.good.test
             allow client 192.0.2.7
             allow client mx:friend.test",
        )
        .unwrap();
        let names = ["a.good.test", "bad.good.test"].map(|it| Domain::parse(it).unwrap());
        let friend: Address = "a@friend.test".parse().unwrap();
        let of = |ip: &str, names: &[Domain], mx_of: Option<&Address>| {
            let client = Client {
                ip: ip.parse().unwrap(),
                names,
                mx_of,
            };
            set.client(client).map(|it| it.decision)
        };
        assert_eq!(of("192.0.2.1", &[], None), Some(Decision::Deny));
        assert_eq!(
            of("::ffff:192.0.2.7", &names[1..], None),
            Some(Decision::Allow)
        );
        assert_eq!(of("192.0.2.1", &names[..1], None), Some(Decision::Allow));
        assert_eq!(of("192.0.2.1", &names, None), Some(Decision::Deny));
        assert_eq!(of("192.0.2.1", &[], Some(&friend)), Some(Decision::Allow));
        assert_eq!(of("198.51.100.1", &[], None), None);
        assert!(!set.asks_for_names("192.0.2.7".parse().unwrap()));
        assert!(set.asks_for_names("192.0.2.8".parse().unwrap()));
    }
}
