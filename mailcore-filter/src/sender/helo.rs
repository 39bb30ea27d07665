//! What a client calls itself in HELO, held against DNS.
//!
//! RFC 5321 section 4.1.4 forbids to refuse mail for a name that does not fit the
//! client, so that these findings score.

use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use mailcore::address::Domain;
use mailcore::plan::Stage;
use mailcore::seams::{DnsError, Resolver};

use super::reverse::{IprevResult, ReverseNames};
use crate::pipeline::{Look, Reaction, Said, Test};

/// What is wrong with a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HeloFault {
    /// Neither a domain nor an address literal (RFC 5321 section 4.1.1.1).
    Syntax,
    /// One label alone: no name of a host on the Internet.
    Unqualified,
    /// An address literal of another address than the client's.
    ForeignLiteral,
    /// A name of this server.
    Ours,
    /// DNS has no address for it.
    NoAddress,
    /// It is none of the names that the client's address has, nor does it lead
    /// to the client.
    Mismatch,
}

impl HeloFault {
    /// As a finding's result.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Syntax => "syntax",
            Self::Unqualified => "unqualified",
            Self::ForeignLiteral => "foreign_literal",
            Self::Ours => "ours",
            Self::NoAddress => "no_address",
            Self::Mismatch => "mismatch",
        }
    }
}

/// What is wrong with the name that the client at `ip` gave; `None` when nothing
/// is, or DNS does not say.
pub async fn fault(
    resolver: &dyn Resolver,
    (helo, own_name): (&str, &Domain),
    ip: IpAddr,
    reverse: Option<&ReverseNames>,
) -> Option<HeloFault> {
    let Ok(name) = Domain::parse(helo) else {
        return Some(HeloFault::Syntax);
    };
    let ip = ip.to_canonical();
    if let Some(literal) = name.as_ip() {
        let own = literal.to_canonical() == ip;
        return (!own).then_some(HeloFault::ForeignLiteral);
    }
    if name == *own_name {
        return Some(HeloFault::Ours);
    }
    if !name.as_str().contains('.') {
        return Some(HeloFault::Unqualified);
    }
    let name = name.to_ascii().ok()?;
    let addresses = match resolver.addresses(&name).await {
        Ok(answer) => answer.records,
        Err(DnsError::NotFound { .. }) => return Some(HeloFault::NoAddress),
        Err(_) => return None,
    };
    if addresses.iter().any(|it| it.to_canonical() == ip) {
        return None;
    }
    // A host with many addresses sends from one and is named after another: its
    // names may say so, and when DNS does not tell them nothing is known.
    let reverse = reverse?;
    let named = reverse.names.contains(&name) || reverse.result == IprevResult::TempError;
    (!named).then_some(HeloFault::Mismatch)
}

/// The test `helo`, asked when a client has greeted.
#[derive(Debug)]
pub struct HeloName {
    resolver: Arc<dyn Resolver>,
    own_name: Domain,
}

impl HeloName {
    /// Asks this resolver; `own_name` is this server's, which is nobody else's.
    pub fn new(resolver: Arc<dyn Resolver>, own_name: Domain) -> Self {
        Self { resolver, own_name }
    }
}

#[async_trait]
impl Test for HeloName {
    fn name(&self) -> &'static str {
        "helo"
    }

    fn stage(&self) -> Stage {
        Stage::Helo
    }

    fn results(&self) -> &'static [&'static str] {
        &[
            "syntax",
            "unqualified",
            "foreign_literal",
            "ours",
            "no_address",
            "mismatch",
        ]
    }

    fn reaction(&self, result: &str) -> Reaction {
        match result {
            "ours" => Reaction::score(3.0),
            "syntax" | "foreign_literal" => Reaction::score(2.0),
            "unqualified" => Reaction::score(1.5),
            "no_address" => Reaction::score(1.0),
            // Many a good host is called otherwise than its address.
            _ => Reaction::score(0.5),
        }
    }

    async fn look(&self, at: &Look<'_>) -> Vec<Said> {
        let (Some(peer), Some(helo)) = (at.session.peer, at.session.helo.as_deref()) else {
            return Vec::new();
        };
        let reverse = at.session.memory.get::<ReverseNames>();
        let names = (helo, &self.own_name);
        let resolver = self.resolver.as_ref();
        let found = fault(resolver, names, peer.ip(), reverse.as_deref()).await;
        let said = |fault: HeloFault| {
            let words = match fault {
                HeloFault::Syntax => "the name given in HELO is none",
                HeloFault::Unqualified => "the name given in HELO has no domain",
                HeloFault::ForeignLiteral => "the address given in HELO is another's",
                HeloFault::Ours => "the name given in HELO is this server's",
                HeloFault::NoAddress => "the name given in HELO has no address",
                HeloFault::Mismatch => "the name given in HELO is not the client's",
            };
            Said::new(fault.as_str(), helo).detail(words)
        };
        found.map(said).into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use mailcore::testing::FixedResolver;

    use super::*;

    async fn look(dns: &FixedResolver, helo: &str) -> Option<HeloFault> {
        let ip = "192.0.2.7".parse().unwrap();
        let own = "mx.here.test".parse().unwrap();
        let reverse = ReverseNames::look_up(dns, ip).await;
        fault(dns, (helo, &own), ip, Some(&reverse)).await
    }

    #[tokio::test]
    async fn a_name_is_held_against_dns_and_the_client() {
        let dns = FixedResolver::new();
        dns.add_address("mx.a.test", "192.0.2.7".parse().unwrap())
            .add_address("out.a.test", "192.0.2.9".parse().unwrap())
            .add_address("b.test", "192.0.2.8".parse().unwrap())
            .add_ptr("192.0.2.7".parse().unwrap(), "out.a.test")
            .fail("slow.test", DnsError::Temporary("timed out".into()));
        for (helo, wanted) in [
            ("mx.a.test", None),
            ("MX.A.test.", None),
            ("out.a.test", None),
            ("[192.0.2.7]", None),
            ("slow.test", None),
            ("[192.0.2.8]", Some(HeloFault::ForeignLiteral)),
            ("b.test", Some(HeloFault::Mismatch)),
            ("c.test", Some(HeloFault::NoAddress)),
            ("friend", Some(HeloFault::Unqualified)),
            ("a b", Some(HeloFault::Syntax)),
            ("Mx.Here.test", Some(HeloFault::Ours)),
        ] {
            assert_eq!(look(&dns, helo).await, wanted, "{helo}");
        }
    }
}
