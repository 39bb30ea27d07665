//! [`SmartHosts`]: mail for other domains that goes by hosts of its own, chosen
//! by sender or by recipient.

use std::sync::Arc;

use async_trait::async_trait;

use crate::address::{Address, Domain, ReversePath};
use crate::seams::{Demands, NextHop, Route, RouteError, RouteQuery, Router};

/// Whose mail a rule is for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SmartHostRule {
    /// Mail from this address.
    Sender(Address),
    /// Mail from this domain.
    SenderDomain(Domain),
    /// Mail for this domain.
    Domain(Domain),
    /// Mail for what lies below this domain, at any depth.
    Subdomains(Domain),
    /// All mail for other domains.
    Everything,
}

/// Where the mail of a rule goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SmartHost {
    /// The name under which the agent that knows the hosts is registered.
    pub agent: Arc<str>,
    /// The host, which such an agent may take another for.
    pub next_hop: NextHop,
}

/// Which mail goes by which host.
///
/// Rules are tried by kind: a sender's address, a sender's domain, the
/// recipient's domain, a domain around it (the nearest first), everything. Of
/// two that are equal the first one counts. A message without a sender (a
/// notice) meets no sender's rule.
#[derive(Debug, Clone, Default)]
pub struct SmartHostRules(Vec<(SmartHostRule, SmartHost)>);

impl SmartHostRules {
    /// The host for mail between the two, if any rule fits.
    pub fn choose(&self, query: &RouteQuery<'_>) -> Option<&SmartHost> {
        let ranks = self.0.iter().filter_map(|(rule, host)| {
            let rank = rule.rank(query)?;
            Some((rank, host))
        });
        // Of equal ones `min_by_key` gives the first.
        ranks.min_by_key(|(rank, _)| *rank).map(|(_, host)| host)
    }
}

impl FromIterator<(SmartHostRule, SmartHost)> for SmartHostRules {
    fn from_iter<I: IntoIterator<Item = (SmartHostRule, SmartHost)>>(rules: I) -> Self {
        Self(rules.into_iter().collect())
    }
}

/// Routes as another router does, but what is [`Route::Remote`] there goes by
/// the host of the rule that fits.
#[derive(Debug)]
pub struct SmartHosts {
    router: Arc<dyn Router>,
    rules: SmartHostRules,
}

impl SmartHosts {
    /// The routes of `router` under these rules.
    pub fn new(router: Arc<dyn Router>, rules: SmartHostRules) -> Self {
        Self { router, rules }
    }
}

impl SmartHostRule {
    /// How far the rule is from the best; `None` where it does not fit.
    fn rank(&self, query: &RouteQuery<'_>) -> Option<usize> {
        let sender = query.reverse_path.and_then(ReversePath::address);
        let domain = query.address.domain();
        let (fits, rank) = match self {
            Self::Sender(address) => (sender == Some(address), 0),
            Self::SenderDomain(of) => (sender.is_some_and(|sender| sender.domain() == of), 1),
            Self::Domain(of) => (domain == of, 2),
            Self::Subdomains(of) => {
                let below = below(domain, of)?;
                (true, 2 + below)
            }
            Self::Everything => (true, usize::MAX),
        };
        fits.then_some(rank)
    }
}

/// How many labels `domain` lies below `of`; `None` when it does not.
fn below(domain: &Domain, of: &Domain) -> Option<usize> {
    let (domain, of) = (domain.to_ascii().ok()?, of.to_ascii().ok()?);
    let (domain, of) = (domain.as_str(), of.as_str());
    let at = domain.len().checked_sub(of.len() + 1)?;
    let (labels, rest) = domain.split_at_checked(at)?;
    let same = rest.strip_prefix('.')?.eq_ignore_ascii_case(of);
    (same && !labels.is_empty()).then(|| labels.split('.').count())
}

#[async_trait]
impl Router for SmartHosts {
    async fn route(&self, query: &RouteQuery<'_>) -> Result<Route, RouteError> {
        let route = self.router.route(query).await?;
        Ok(match (route, self.rules.choose(query)) {
            (Route::Remote { .. }, Some(host)) => Route::Remote {
                agent: Arc::clone(&host.agent),
                next_hop: host.next_hop.clone(),
            },
            (route, _) => route,
        })
    }

    async fn demands(&self, address: &Address) -> Result<Demands, RouteError> {
        self.router.demands(address).await
    }

    async fn forwarded_sender(&self, sender: &ReversePath) -> Result<ReversePath, RouteError> {
        self.router.forwarded_sender(sender).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Elsewhere;

    #[async_trait]
    impl Router for Elsewhere {
        async fn route(&self, query: &RouteQuery<'_>) -> Result<Route, RouteError> {
            let domain = query.address.domain().clone();
            Ok(match domain.as_str() {
                "local.test" => Route::Unknown,
                _ => Route::Remote {
                    agent: "smtp".into(),
                    next_hop: NextHop::Mx(domain),
                },
            })
        }
    }

    fn hosts(rules: &[(SmartHostRule, &str)]) -> SmartHosts {
        let host = |agent: &str| SmartHost {
            agent: agent.into(),
            next_hop: NextHop::Local,
        };
        let rules = rules.iter();
        let rules = rules.map(|(rule, agent)| (rule.clone(), host(agent)));
        SmartHosts::new(Arc::new(Elsewhere), rules.collect())
    }

    async fn agent(hosts: &SmartHosts, from: &str, to: &str) -> String {
        let (from, to) = (ReversePath::parse(from).unwrap(), to.parse().unwrap());
        let query = RouteQuery::new(&to).from_sender(&from);
        match hosts.route(&query).await.unwrap() {
            Route::Remote { agent, .. } => agent.to_string(),
            other => format!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn the_sender_counts_first_then_the_nearest_domain() {
        let domain = |name: &str| name.parse::<Domain>().unwrap();
        let hosts = hosts(&[
            (SmartHostRule::Everything, "all"),
            (SmartHostRule::Subdomains(domain("test")), "test"),
            (SmartHostRule::Subdomains(domain("x.test")), "below-x"),
            (SmartHostRule::Domain(domain("X.test")), "x"),
            (SmartHostRule::Domain(domain("x.test")), "x-again"),
            (SmartHostRule::SenderDomain(domain("me.test")), "me"),
            (
                SmartHostRule::Sender("boss@me.test".parse().unwrap()),
                "boss",
            ),
        ]);
        for (from, to, expected) in [
            ("<boss@me.test>", "a@x.test", "boss"),
            ("<other@me.test>", "a@x.test", "me"),
            ("<s@else.test>", "a@x.test", "x"),
            ("<>", "a@x.test", "x"),
            ("<>", "a@b.x.test", "below-x"),
            ("<>", "a@c.b.x.test", "below-x"),
            ("<>", "a@xx.test", "test"),
            ("<>", "a@example.org", "all"),
            ("<boss@me.test>", "a@local.test", "Unknown"),
        ] {
            assert_eq!(agent(&hosts, from, to).await, expected, "{from} {to}");
        }
    }

    #[tokio::test]
    async fn without_a_rule_the_route_is_the_other_routers() {
        let hosts = hosts(&[(SmartHostRule::Domain("x.test".parse().unwrap()), "x")]);
        assert_eq!(agent(&hosts, "<>", "a@y.test").await, "smtp");
    }
}
