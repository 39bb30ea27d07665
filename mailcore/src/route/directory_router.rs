//! [`DirectoryRouter`]: routes from what the directory says, and mail for
//! everybody else to DNS or a smart host.
//!
//! Who may send where is not decided here: a [`Route::Remote`] is only for
//! senders that may relay, which intake checks.

use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;

use super::handler::{AddressHandler, Delivery};
use super::host::HostRoute;
use super::lists;
use super::rule_book::RuleBook;
use super::rules::{DomainRules, Recipients};
use crate::account::AccountId;
use crate::address::{Address, Domain, ReversePath};
use crate::mailbox::MailboxName;
use crate::seams::{
    AccountRecord, Demands, Directory, DirectoryError, DomainKind, KeepCopy, NextHop, Resolution,
    Route, RouteError, RouteQuery, Router,
};
use crate::status::Status;

/// The port of SMTP between hosts.
const SMTP_PORT: u16 = 25;
/// The name under which the agent for other hosts is registered.
const SMTP_AGENT: &str = "smtp";

/// Routes by the directory, and by the rules for domains and addresses that are
/// set there ([`DomainRules`]).
///
/// Addresses at the server's own host name and at its own address literals are
/// served for `postmaster` alone, who is the first local domain's (RFC 5321
/// section 4.5.1).
#[derive(Debug)]
pub struct DirectoryRouter {
    directory: Arc<dyn Directory>,
    book: RuleBook,
    hostname: Domain,
    own_addresses: Vec<IpAddr>,
    smart_host: Option<(Domain, u16)>,
    agent: Arc<str>,
}

impl DirectoryRouter {
    /// A router for the server that calls itself `hostname`. Mail for other
    /// domains goes where their MX records say.
    pub fn new(directory: Arc<dyn Directory>, hostname: Domain) -> Self {
        Self {
            book: RuleBook::new(Arc::clone(&directory)),
            directory,
            hostname,
            own_addresses: Vec::new(),
            smart_host: None,
            agent: SMTP_AGENT.into(),
        }
    }

    /// Hands mail for other domains to this host.
    #[must_use]
    pub fn with_smart_host(mut self, host: Domain, port: u16) -> Self {
        self.smart_host = Some((host, port));
        self
    }

    /// The addresses on which this server takes mail, whose literals are ours.
    /// Loopback addresses are so in any case.
    #[must_use]
    pub fn with_own_addresses(mut self, addresses: impl IntoIterator<Item = IpAddr>) -> Self {
        self.own_addresses.extend(addresses);
        self
    }

    fn is_own_host(&self, domain: &Domain) -> bool {
        match domain.as_ip().map(|ip| ip.to_canonical()) {
            Some(ip) => ip.is_loopback() || ip.is_unspecified() || self.own_addresses.contains(&ip),
            None => *domain == self.hostname,
        }
    }

    /// The route of an address of a served domain: its handler's, where that
    /// says one.
    async fn served(&self, query: &RouteQuery<'_>, kind: DomainKind) -> Result<Route, RouteError> {
        let address = query.address;
        let rules = self.book.rules(address.domain()).await?;
        let Some(handler) = rules.handler(address) else {
            return self.ordinary(query, kind, &rules, None).await;
        };
        let route = match &handler.delivery {
            Some(Delivery::Addresses(to)) => Route::Expand { to: to.clone() },
            Some(Delivery::Host(host)) => handed_to(host),
            Some(Delivery::Agent(agent)) => Route::Agent {
                agent: Arc::clone(agent),
                next_hop: NextHop::Local,
            },
            Some(Delivery::Discard) => Route::Discarded,
            Some(Delivery::Refuse(words)) => Route::Refused {
                status: Status::permanent(7, 1, words.to_string()),
            },
            Some(Delivery::Mailbox(_)) | None => {
                self.ordinary(query, kind, &rules, Some(handler)).await?
            }
        };
        Ok(copied(filed_to(route, handler), handler.copy_to.clone()))
    }

    async fn ordinary(
        &self,
        query: &RouteQuery<'_>,
        kind: DomainKind,
        rules: &DomainRules,
        handler: Option<&AddressHandler>,
    ) -> Result<Route, RouteError> {
        if let DomainKind::Relay { host, port } = kind {
            if rules.recipients == Recipients::Listed && handler.is_none() {
                return Ok(Route::Unknown);
            }
            return Ok(handed_to(&HostRoute {
                host,
                port,
                protocol: rules.protocol,
            }));
        }
        Ok(match (self.local(query).await?, &rules.unknown_to) {
            (Route::Unknown, Some(host)) => handed_to(host),
            (route, _) => route,
        })
    }

    async fn local(&self, query: &RouteQuery<'_>) -> Result<Route, RouteError> {
        let address = query.address;
        let directory = self.directory.as_ref();
        if let Some(route) = lists::beside(directory, query).await? {
            return Ok(route);
        }
        match directory.resolve(address).await.map_err(unavailable)? {
            Resolution::Account(account) => self.account(account).await,
            Resolution::Alias(to) => Ok(Route::Expand { to }),
            Resolution::List(list) => lists::to_list(directory, &list, query).await,
            Resolution::Group(group) => lists::to_group(directory, &group, query).await,
            Resolution::Unknown => Ok(Route::Unknown),
        }
    }

    async fn account(&self, id: AccountId) -> Result<Route, RouteError> {
        let account = self.directory.account(&id).await.map_err(unavailable)?;
        let Some(account) = account else {
            return Ok(Route::Unknown);
        };
        let redirect = account.options.redirect.clone();
        Ok(match redirect {
            None => inbox(account),
            Some(redirect) => match redirect.copy {
                KeepCopy::No => Route::Expand {
                    to: vec![redirect.to],
                },
                KeepCopy::Yes => copied(inbox(account), vec![redirect.to]),
            },
        })
    }

    async fn own_postmaster(&self, query: &RouteQuery<'_>) -> Result<Route, RouteError> {
        let address = query.address;
        if !address.local_part().eq_ignore_ascii_case("postmaster") {
            return Ok(Route::Unknown);
        }
        let domains = self.directory.domains().await.map_err(unavailable)?;
        let local = domains
            .into_iter()
            .find(|record| record.kind == DomainKind::Local);
        let postmaster = local.and_then(|record| Address::new("postmaster", record.domain).ok());
        match postmaster {
            Some(postmaster) => {
                let query = RouteQuery {
                    address: &postmaster,
                    ..*query
                };
                self.local(&query).await
            }
            None => Ok(Route::Unknown),
        }
    }

    async fn remote(&self, query: &RouteQuery<'_>) -> Result<Route, RouteError> {
        let domain = query.address.domain();
        let outbound = self.outbound(query.reverse_path).await?;
        let next_hop = match (outbound, &self.smart_host, domain.as_ip()) {
            (Some(host), ..) => host.next_hop(),
            (None, Some((host, port)), _) => NextHop::Host {
                host: host.clone(),
                port: *port,
            },
            (None, None, Some(_)) => NextHop::Host {
                host: domain.clone(),
                port: SMTP_PORT,
            },
            (None, None, None) => NextHop::Mx(domain.clone()),
        };
        Ok(Route::Remote {
            agent: self.agent.clone(),
            next_hop,
        })
    }

    /// The host by which the sender's domain, when it is ours, has its mail
    /// leave.
    async fn outbound(
        &self,
        sender: Option<&ReversePath>,
    ) -> Result<Option<HostRoute>, RouteError> {
        let Some(sender) = sender.and_then(ReversePath::address) else {
            return Ok(None);
        };
        let domain = sender.domain();
        let served = self.directory.domain(domain).await.map_err(unavailable)?;
        match served {
            Some(_) => Ok(self.book.rules(domain).await?.outbound.clone()),
            None => Ok(None),
        }
    }
}

fn inbox(account: AccountRecord) -> Route {
    Route::Mailbox {
        quota: account.quota_limit(),
        account: account.id,
        mailbox: MailboxName::inbox(),
    }
}

fn handed_to(host: &HostRoute) -> Route {
    Route::Agent {
        agent: host.protocol.agent().into(),
        next_hop: host.next_hop(),
    }
}

/// The route with the mailbox that a handler names.
fn filed_to(route: Route, handler: &AddressHandler) -> Route {
    let Some(Delivery::Mailbox(wanted)) = &handler.delivery else {
        return route;
    };
    match route {
        Route::Mailbox { account, quota, .. } => Route::Mailbox {
            account,
            mailbox: wanted.clone(),
            quota,
        },
        Route::Copied { route, to } => Route::Copied {
            route: Box::new(filed_to(*route, handler)),
            to,
        },
        other => other,
    }
}

/// The route with copies for others.
fn copied(route: Route, copies: Vec<Address>) -> Route {
    if copies.is_empty() {
        return route;
    }
    match route {
        Route::Expand { mut to } => {
            to.extend(copies);
            Route::Expand { to }
        }
        Route::Copied { route, mut to } => {
            to.extend(copies);
            Route::Copied { route, to }
        }
        // Watching what nobody takes needs no copy of a refusal; what is
        // dropped for its recipient is still for those who watch.
        Route::Unknown | Route::Refused { .. } => route,
        Route::Discarded => Route::Expand { to: copies },
        route => Route::Copied {
            route: Box::new(route),
            to: copies,
        },
    }
}

pub(super) fn unavailable(error: DirectoryError) -> RouteError {
    RouteError(error.to_string())
}

#[async_trait]
impl Router for DirectoryRouter {
    async fn route(&self, query: &RouteQuery<'_>) -> Result<Route, RouteError> {
        let address = query.address;
        let domain = address.domain();
        let served = self.directory.domain(domain).await.map_err(unavailable)?;
        match served.map(|record| record.kind) {
            Some(kind) => self.served(query, kind).await,
            None if self.is_own_host(domain) => self.own_postmaster(query).await,
            None => self.remote(query).await,
        }
    }

    async fn demands(&self, address: &Address) -> Result<Demands, RouteError> {
        let domain = address.domain();
        let served = self.directory.domain(domain).await.map_err(unavailable)?;
        let Some(record) = served else {
            return Ok(Demands::default());
        };
        let rules = self.book.rules(domain).await?;
        let handler = rules.handler(address);
        let mut demands = Demands::default()
            .at_most(rules.max_size)
            .at_most(handler.and_then(|it| it.max_size));
        // A rule for everybody says nothing of mailboxes that are here.
        if matches!(record.kind, DomainKind::Relay { .. }) {
            demands.host_check = rules.host_check;
        }
        demands.attachments = handler.map(|it| it.attachments).unwrap_or_default();
        Ok(demands)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seams::{AccountRecord, DomainRecord, QuotaLimit};

    #[derive(Debug)]
    struct Fixed;

    fn record(domain: &str, kind: DomainKind) -> DomainRecord {
        DomainRecord {
            domain: domain.parse().unwrap(),
            kind,
        }
    }

    #[async_trait]
    impl Directory for Fixed {
        async fn domain(&self, domain: &Domain) -> Result<Option<DomainRecord>, DirectoryError> {
            let all = self.domains().await?;
            Ok(all.into_iter().find(|record| record.domain == *domain))
        }
        async fn resolve(&self, address: &Address) -> Result<Resolution, DirectoryError> {
            Ok(match address.local_part() {
                "alice" | "postmaster" => Resolution::Account(AccountId::new("alice")),
                "team" => Resolution::Alias(vec!["alice@here.test".parse().unwrap()]),
                "broken" => return Err(DirectoryError::Unavailable("down".into())),
                _ => Resolution::Unknown,
            })
        }
        async fn account(&self, id: &AccountId) -> Result<Option<AccountRecord>, DirectoryError> {
            let address = "alice@here.test".parse().unwrap();
            let mut account = AccountRecord::new(id.clone(), address);
            account.quota = Some(7);
            account.quota_messages = Some(3);
            Ok(Some(account))
        }
        async fn may_send_as(&self, _: &AccountId, _: &Address) -> Result<bool, DirectoryError> {
            Ok(false)
        }
        async fn domains(&self) -> Result<Vec<DomainRecord>, DirectoryError> {
            let relay = DomainKind::Relay {
                host: "inner.test".parse().unwrap(),
                port: 2525,
            };
            Ok(vec![
                record("branch.test", relay),
                record("here.test", DomainKind::Local),
            ])
        }
    }

    fn router() -> DirectoryRouter {
        DirectoryRouter::new(Arc::new(Fixed), "mx.here.test".parse().unwrap())
            .with_own_addresses(["192.0.2.1".parse().unwrap()])
    }

    async fn route(router: &DirectoryRouter, address: &str) -> Route {
        let address = address.parse().unwrap();
        router.route(&RouteQuery::new(&address)).await.unwrap()
    }

    fn host(name: &str, port: u16) -> NextHop {
        NextHop::Host {
            host: name.parse().unwrap(),
            port,
        }
    }

    #[tokio::test]
    async fn our_domains_lead_where_the_directory_says() {
        let router = router();
        let inbox = Route::Mailbox {
            account: AccountId::new("alice"),
            mailbox: MailboxName::inbox(),
            quota: QuotaLimit {
                octets: Some(7),
                messages: Some(3),
            },
        };
        assert_eq!(route(&router, "alice@here.test").await, inbox);
        assert_eq!(
            route(&router, "team@here.test").await,
            Route::Expand {
                to: vec!["alice@here.test".parse().unwrap()]
            }
        );
        assert_eq!(route(&router, "nobody@here.test").await, Route::Unknown);
        let relay = Route::Agent {
            agent: "smtp".into(),
            next_hop: host("inner.test", 2525),
        };
        assert_eq!(route(&router, "anybody@branch.test").await, relay);
        assert!(
            router
                .route(&RouteQuery::new(&"broken@here.test".parse().unwrap()))
                .await
                .is_err()
        );
        for postmaster in [
            "postmaster@mx.here.test",
            "Postmaster@[192.0.2.1]",
            "postmaster@[127.0.0.1]",
        ] {
            assert_eq!(route(&router, postmaster).await, inbox, "{postmaster}");
        }
        assert_eq!(route(&router, "root@[192.0.2.1]").await, Route::Unknown);
    }

    #[tokio::test]
    async fn other_domains_are_remote() {
        let remote = |next_hop| Route::Remote {
            agent: "smtp".into(),
            next_hop,
        };
        let plain = router();
        assert_eq!(
            route(&plain, "u@there.test").await,
            remote(NextHop::Mx("there.test".parse().unwrap()))
        );
        assert_eq!(
            route(&plain, "u@[198.51.100.9]").await,
            remote(host("[198.51.100.9]", 25))
        );
        let smart = router().with_smart_host("smart.test".parse().unwrap(), 587);
        assert_eq!(
            route(&smart, "u@there.test").await,
            remote(host("smart.test", 587))
        );
    }
}
