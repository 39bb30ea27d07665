//! [`AccessList`]: clients, senders and recipients that are let through or
//! refused, whatever else is thought of them.
//!
//! Decides on what the peer says of itself; whether a sender is who it claims
//! to be is not asked here.

use std::net::SocketAddr;

use async_trait::async_trait;
use mailcore::address::{Address, ReversePath};
use mailcore::seams::{Filter, FilterSession, Verdict};
use mailcore::status::Status;

use super::network::NetworkMap;
use super::pattern::PatternMap;
use super::{Decision, Network, Pattern};

/// Allows and denies at three stages: the client when it connects, the sender
/// at MAIL, the recipient at RCPT.
///
/// The narrowest rule decides: a host over its network, an address over its
/// domain. Allowed means that the filters after this one are not asked at that
/// stage; what no rule is about goes on to them. Mail from inside the process
/// has no client and is not asked about one.
#[derive(Debug, Clone)]
pub struct AccessList {
    clients: NetworkMap<Decision>,
    senders: PatternMap<Decision>,
    recipients: PatternMap<Decision>,
    rules: usize,
}

impl Default for AccessList {
    fn default() -> Self {
        Self::new()
    }
}

impl AccessList {
    /// A list without rules.
    pub fn new() -> Self {
        Self {
            clients: NetworkMap::default(),
            senders: PatternMap::default(),
            recipients: PatternMap::default(),
            rules: 0,
        }
    }

    /// With a rule for clients.
    #[must_use]
    pub fn client(mut self, network: Network, decision: Decision) -> Self {
        self.insert_client(network, decision);
        self
    }

    /// With a rule for senders, as MAIL names them.
    #[must_use]
    pub fn sender(mut self, pattern: Pattern, decision: Decision) -> Self {
        self.insert_sender(pattern, decision);
        self
    }

    /// With a rule for recipients, as RCPT names them.
    #[must_use]
    pub fn recipient(mut self, pattern: Pattern, decision: Decision) -> Self {
        self.insert_recipient(pattern, decision);
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

    /// The decision before, when there was one; as for the two below.
    pub(super) fn insert_client(
        &mut self,
        network: Network,
        decision: Decision,
    ) -> Option<Decision> {
        let old = self.clients.insert(network, decision);
        self.count(old)
    }

    pub(super) fn insert_sender(
        &mut self,
        pattern: Pattern,
        decision: Decision,
    ) -> Option<Decision> {
        let old = self.senders.insert(pattern, decision);
        self.count(old)
    }

    pub(super) fn insert_recipient(
        &mut self,
        pattern: Pattern,
        decision: Decision,
    ) -> Option<Decision> {
        let old = self.recipients.insert(pattern, decision);
        self.count(old)
    }

    fn count(&mut self, old: Option<Decision>) -> Option<Decision> {
        self.rules += usize::from(old.is_none());
        old
    }
}

/// The verdict of a decision. A refusal is X.7.1, delivery not authorized
/// (RFC 3463 section 3.8), which SMTP says as 554 in place of a greeting
/// (RFC 5321 section 3.1) and as 550 later.
fn verdict(decision: Option<Decision>, refusal: &str) -> Verdict {
    match decision {
        None => Verdict::Continue,
        Some(Decision::Allow) => Verdict::Accept,
        Some(Decision::Deny) => Verdict::Reject(Status::permanent(7, 1, refusal)),
    }
}

#[async_trait]
impl Filter for AccessList {
    fn name(&self) -> &str {
        "access-list"
    }

    async fn connect(&self, session: &FilterSession) -> Verdict {
        let ip = session.peer.as_ref().map(SocketAddr::ip);
        let decision = ip.and_then(|ip| self.clients.narrowest(ip));
        verdict(decision, "your host may not send mail here")
    }

    async fn mail(&self, _session: &FilterSession, reverse_path: &ReversePath) -> Verdict {
        let decision = self.senders.narrowest(reverse_path.address());
        verdict(decision, "this sender is not accepted here")
    }

    async fn rcpt(
        &self,
        _session: &FilterSession,
        _reverse_path: &ReversePath,
        recipient: &Address,
    ) -> Verdict {
        let decision = self.recipients.narrowest(Some(recipient));
        verdict(decision, "this recipient takes no mail")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list() -> AccessList {
        AccessList::parse(
            "deny client 192.0.2.0/24 # a bad neighbourhood
             allow client 192.0.2.7
             deny client 2001:db8::/32

             deny sender .spam.test
             allow sender good@spam.test
             deny sender <>
             deny recipient retired@x.test",
        )
        .unwrap()
    }

    fn kind(verdict: Verdict) -> &'static str {
        match verdict {
            Verdict::Continue => "continue",
            Verdict::Accept => "accept",
            Verdict::Reject(status) => {
                assert_eq!(status.code.to_string(), "5.7.1");
                "reject"
            }
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn clients_are_judged_by_their_narrowest_network() {
        let list = list();
        for (peer, want) in [
            (Some("192.0.2.1:1"), "reject"),
            (Some("192.0.2.7:1"), "accept"),
            (Some("[::ffff:192.0.2.1]:1"), "reject"),
            (Some("[2001:db8::5]:1"), "reject"),
            (Some("198.51.100.1:1"), "continue"),
            (None, "continue"),
        ] {
            let session = FilterSession::new(peer.map(|peer| peer.parse().unwrap()));
            assert_eq!(kind(list.connect(&session).await), want, "{peer:?}");
        }
    }

    #[tokio::test]
    async fn senders_and_recipients_are_judged_at_their_stage() {
        let list = list();
        let session = FilterSession::new(None);
        for (sender, want) in [
            ("a@spam.test", "reject"),
            ("a@sub.spam.test", "reject"),
            ("Good@spam.test", "accept"),
            ("a@x.test", "continue"),
            ("retired@x.test", "continue"),
        ] {
            let path = ReversePath::Address(Address::parse(sender).unwrap());
            assert_eq!(kind(list.mail(&session, &path).await), want, "{sender}");
        }
        assert_eq!(
            kind(list.mail(&session, &ReversePath::Null).await),
            "reject"
        );
        for (recipient, want) in [("Retired@x.test", "reject"), ("a@spam.test", "continue")] {
            let address = Address::parse(recipient).unwrap();
            let verdict = list.rcpt(&session, &ReversePath::Null, &address).await;
            assert_eq!(kind(verdict), want, "{recipient}");
        }
    }
}
