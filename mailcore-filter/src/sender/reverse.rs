//! `iprev` (RFC 8601 section 3): whether the names of a client's address lead
//! back to it.
//!
//! [`ReverseNames`] is what was found, for every test that asks later: who names
//! an address well is no better for it, but his names say which hosts are one
//! sender's.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use mailcore::address::Domain;
use mailcore::plan::Stage;
use mailcore::seams::{DnsError, Resolver};

use crate::pipeline::{Look, Reaction, Said, Test, TestClass};

/// Names of one address that are followed: whoever owns the address says how many
/// there are (RFC 8601 section 3, RFC 7208 section 4.6.4).
pub const MAX_NAMES: usize = 10;

/// What the check came to (RFC 8601 section 2.7.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IprevResult {
    /// A name of the address leads back to it.
    Pass,
    /// It has names, and none of them does.
    Fail,
    /// It has no name.
    PermError,
    /// DNS did not answer; later it may.
    TempError,
}

impl IprevResult {
    /// As in Authentication-Results.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::PermError => "permerror",
            Self::TempError => "temperror",
        }
    }
}

impl fmt::Display for IprevResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The names of a client's address.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReverseNames {
    /// The address they are of.
    pub ip: IpAddr,
    /// What the check came to.
    pub result: IprevResult,
    /// What the address is said to be called, up to [`MAX_NAMES`].
    pub names: Vec<Domain>,
    /// Those of them that lead back to it.
    pub confirmed: Vec<Domain>,
}

impl ReverseNames {
    /// Asks DNS for the names of an address, and for the addresses of each.
    pub async fn look_up(resolver: &dyn Resolver, ip: IpAddr) -> Self {
        // A client at ::ffff:192.0.2.1 is one at 192.0.2.1.
        let ip = ip.to_canonical();
        let mut found = Self {
            ip,
            result: IprevResult::PermError,
            names: Vec::new(),
            confirmed: Vec::new(),
        };
        match resolver.ptr(ip).await {
            Ok(answer) => found.names = answer.records,
            Err(DnsError::NotFound { .. }) => return found,
            Err(_) => {
                found.result = IprevResult::TempError;
                return found;
            }
        }
        found.names.truncate(MAX_NAMES);
        let mut unanswered = false;
        for name in &found.names {
            match resolver.addresses(name).await {
                Ok(answer) if answer.records.iter().any(|it| it.to_canonical() == ip) => {
                    found.confirmed.push(name.clone());
                }
                Ok(_) | Err(DnsError::NotFound { .. }) => {}
                Err(_) => unanswered = true,
            }
        }
        found.result = match (found.names.is_empty(), found.confirmed.is_empty()) {
            (true, _) => IprevResult::PermError,
            (false, false) => IprevResult::Pass,
            // The name that was not answered for may be the one.
            (false, true) if unanswered => IprevResult::TempError,
            (false, true) => IprevResult::Fail,
        };
        found
    }
}

/// The test `iprev`, asked when a client connects. It keeps [`ReverseNames`] for
/// the session.
#[derive(Debug)]
pub struct Iprev {
    resolver: Arc<dyn Resolver>,
}

impl Iprev {
    /// Asks this resolver.
    pub fn new(resolver: Arc<dyn Resolver>) -> Self {
        Self { resolver }
    }
}

#[async_trait]
impl Test for Iprev {
    fn name(&self) -> &'static str {
        "iprev"
    }

    fn stage(&self) -> Stage {
        Stage::Connect
    }

    fn class(&self) -> TestClass {
        TestClass::Identity
    }

    fn results(&self) -> &'static [&'static str] {
        &["pass", "fail", "permerror", "temperror"]
    }

    /// Only scores: RFC 8601 section 3 tells of networks where nobody can have a
    /// name that leads back.
    fn reaction(&self, result: &str) -> Reaction {
        match result {
            "fail" | "permerror" => Reaction::score(1.0),
            _ => Reaction::none(),
        }
    }

    async fn look(&self, at: &Look<'_>) -> Vec<Said> {
        let Some(peer) = at.session.peer else {
            return Vec::new();
        };
        let found = ReverseNames::look_up(self.resolver.as_ref(), peer.ip()).await;
        let words = match (found.result, found.confirmed.first(), found.names.first()) {
            (_, Some(name), _) => format!("it is {name}"),
            (IprevResult::Fail, _, Some(name)) => format!("{name} does not lead back to it"),
            (IprevResult::PermError, ..) => "it has no name".to_owned(),
            _ => "DNS does not say".to_owned(),
        };
        let said = Said::new(found.result.as_str(), found.ip.to_string()).detail(words);
        at.session.memory.keep_for_session(found);
        vec![said]
    }
}

#[cfg(test)]
mod tests {
    use mailcore::testing::FixedResolver;

    use super::*;

    const IP: &str = "192.0.2.7";

    async fn look_up(dns: &FixedResolver, ip: &str) -> ReverseNames {
        ReverseNames::look_up(dns, ip.parse().unwrap()).await
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[tokio::test]
    async fn a_name_counts_when_it_leads_back() {
        let dns = FixedResolver::new();
        dns.add_ptr(ip(IP), "other.test")
            .add_ptr(ip(IP), "mx.a.test")
            .add_address("mx.a.test", ip(IP))
            .add_address("other.test", ip("192.0.2.8"));
        let found = look_up(&dns, "::ffff:192.0.2.7").await;
        assert_eq!(found.result, IprevResult::Pass);
        assert_eq!(found.confirmed, ["mx.a.test".parse().unwrap()]);
        assert_eq!(found.names.len(), 2);
    }

    #[tokio::test]
    async fn no_name_no_way_back_and_no_answer_are_three_things() {
        let dns = FixedResolver::new();
        assert_eq!(look_up(&dns, IP).await.result, IprevResult::PermError);
        dns.add_ptr(ip(IP), "mx.a.test");
        assert_eq!(look_up(&dns, IP).await.result, IprevResult::Fail);
        dns.fail("mx.a.test", DnsError::Temporary("timed out".into()));
        assert_eq!(look_up(&dns, IP).await.result, IprevResult::TempError);
        let dns = FixedResolver::new();
        dns.fail("[192.0.2.7]", DnsError::Temporary("timed out".into()));
        assert_eq!(look_up(&dns, IP).await.result, IprevResult::TempError);
    }

    #[tokio::test]
    async fn of_a_thousand_names_ten_are_followed() {
        let dns = FixedResolver::new();
        for number in 0..1_000 {
            dns.add_ptr(ip(IP), &format!("n{number}.test"));
        }
        assert_eq!(look_up(&dns, IP).await.result, IprevResult::Fail);
        assert_eq!(dns.asked(), 1 + MAX_NAMES as u64);
    }

    #[tokio::test]
    async fn what_was_found_is_kept_for_the_session() {
        use mailcore::seams::FilterSession;

        let test = Iprev::new(Arc::new(FixedResolver::new()));
        let session = FilterSession::new(Some("[::ffff:192.0.2.7]:25".parse().unwrap()));
        let said = test.look(&Look::at(&session)).await;
        assert_eq!((said[0].result, said[0].input.as_str()), ("permerror", IP));
        let kept = session.memory.get::<ReverseNames>().unwrap();
        assert_eq!((kept.result, kept.ip), (IprevResult::PermError, ip(IP)));
    }
}
