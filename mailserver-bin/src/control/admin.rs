//! Carries out commands on the directory; those on the queue are
//! [`super::queue`]'s.

use std::sync::Arc;

use mailcore::abuse::Limiter;
use mailcore::account::AccountId;
use mailcore::account::Secret;
use mailcore::address::{Address, Domain};
use mailcore::deliver::list::ListSeams;
use mailcore::quarantine::QuarantineStore;
use mailcore::queue::QueueRunner;
use mailcore::route::HostRoute;
use mailcore::schedule::Scheduler;
use mailcore::seams::{AccountTemplate, Administration, Directory, DirectoryWrite, DomainKind};
use mailcore::server::Stores;
use mailcore_filter::sender_auth::signing::KeyRing;
use mailcore_smtp::client::TlsReport;
use mailcore_store::directory::SqliteDirectory;
use mailcore_store::embedded::EmbeddedStore;

use super::accounts::{Options, rows};
use super::filter::Filters;
use super::{
    Password, Request, Response, aligned, ban, check, dmarc, queue, schedule, suppress, tls_report,
};
use crate::dmarc::DmarcReports;
use crate::own_name;
use crate::reload::ReloadHandle;

/// Octets that a password has at least.
const MIN_PASSWORD: usize = 8;

/// What commands act on.
#[derive(Debug, Clone)]
pub(crate) struct Admin {
    pub(crate) directory: Arc<SqliteDirectory>,
    /// Lists, and what is set about tests.
    pub(crate) filters: Filters,
    /// `None` where a command can do without the store.
    pub(crate) stores: Option<Stores>,
    /// `None` where the store has no log to check.
    pub(crate) embedded: Option<Arc<EmbeddedStore>>,
    /// `None` when no server runs.
    pub(crate) reload: Option<ReloadHandle>,
    /// Who is banned; `None` where there are no stores.
    pub(crate) limiter: Option<Arc<Limiter>>,
    /// Mail kept apart; `None` where there are no stores.
    pub(crate) quarantine: Option<QuarantineStore>,
    /// The queue's runner; `None` where there are no stores.
    pub(crate) queue: Option<Arc<QueueRunner>>,
    /// The server's own jobs; `None` where there are no stores.
    pub(crate) scheduler: Option<Arc<Scheduler>>,
    /// Reports about mail, sent and received; `None` where there are no stores.
    pub(crate) dmarc: Option<Arc<DmarcReports>>,
    /// What lists work with; `None` where there are no stores.
    pub(crate) lists: Option<ListSeams>,
    /// The keys that sign mail; `None` where there are no stores.
    pub(crate) ring: Option<Arc<KeyRing>>,
    /// Who reports, and what was counted; `None` where there are no stores.
    pub(crate) tls_report: Option<(Domain, Arc<TlsReport>)>,
}

impl Request {
    /// True when it can't be answered from the directory alone.
    pub(crate) fn needs_store(&self) -> bool {
        matches!(
            self,
            Self::Queue { .. }
                | Self::Suppress { .. }
                | Self::Quarantine { .. }
                | Self::Dkim { .. }
                | Self::Dmarc { .. }
                | Self::Ban { .. }
                | Self::ScheduleList
                | Self::ScheduleRun { .. }
                | Self::TlsReport { .. }
                | Self::Check
        ) || matches!(self, Self::List { request } if request.needs_store())
    }
}

impl Admin {
    /// Carries one command out.
    pub(crate) async fn run(&self, request: Request) -> Response {
        let done = match request {
            Request::Queue { request } => self.on_queue(request).await,
            other => self.attempt(other).await.map(Response::Done),
        };
        done.unwrap_or_else(Response::Failed)
    }

    async fn on_queue(&self, request: queue::QueueRequest) -> Result<Response, String> {
        queue::run(self.stores()?, self.queue()?, request).await
    }

    async fn attempt(&self, request: Request) -> Result<Vec<String>, String> {
        match request {
            Request::DomainNames => {
                let domains = own_name::local_domains(&*self.directory).await;
                let domains = domains.map_err(words)?;
                Ok(domains.iter().map(ToString::to_string).collect())
            }
            Request::DomainAdd { .. }
            | Request::DomainList
            | Request::DomainRemove { .. }
            | Request::DomainDefault { .. }
            | Request::DomainTemplate { .. } => self.domain(request).await,
            Request::DomainSet { domain, rules } => self.set_rules(&domain, *rules).await,
            Request::DomainShow { domain } => self.show_rules(&domain).await,
            Request::Pattern { request } => self.pattern(request).await,
            Request::Masked { request } => self.masked(request).await,
            Request::Handler { request } => self.handler(request).await,
            Request::AccountSecrets { request } => self.account_secrets(request).await,
            Request::AccountChange { request } => self.change_account(request).await,
            Request::Address { request } => self.address(request).await,
            Request::List { request } => self.list(request).await,
            Request::Group { request } => self.group(request).await,
            Request::AliasAdd { .. } | Request::AliasList | Request::AliasRemove { .. } => {
                self.alias(request).await
            }
            Request::Dkim { request } => self.dkim(request).await,
            Request::Quarantine { request } => self.on_quarantine(request).await,
            Request::Dmarc { request } => {
                let reports = self.dmarc.as_deref();
                dmarc::run(reports.ok_or("the store is not open")?, request).await
            }
            Request::Suppress { request } => suppress::run(self.stores()?, request).await,
            Request::Filter { request } => self.filter(*request).await,
            Request::Sieve { request } => self.sieve(*request).await,
            Request::MessageRules { request } => self.message_rules(*request).await,
            Request::Autoreply { request } => self.autoreply(request).await,
            Request::Ban { request } => {
                let limiter = self.limiter.as_deref();
                ban::run(limiter.ok_or("the store is not open")?, request).await
            }
            Request::ScheduleList => schedule::list(self.scheduler()?).await,
            Request::ScheduleRun { name } => schedule::run(self.scheduler()?, &name).await,
            Request::TlsReport { domain, day } => {
                let (from, counts) = self.tls_report.as_ref().ok_or("the store is not open")?;
                tls_report::show(counts, from, &parse_domain(&domain)?, day.as_deref()).await
            }
            Request::Reload => self.reload().await,
            Request::Check => self.check().await,
            account => self.account(account).await,
        }
    }

    fn queue(&self) -> Result<&QueueRunner, String> {
        self.queue
            .as_deref()
            .ok_or_else(|| "the queue is not open".to_owned())
    }

    fn scheduler(&self) -> Result<&Scheduler, String> {
        self.scheduler
            .as_deref()
            .ok_or_else(|| "the store is not open".to_owned())
    }

    fn stores(&self) -> Result<&Stores, String> {
        self.stores
            .as_ref()
            .ok_or_else(|| "the store is not open".to_owned())
    }

    async fn reload(&self) -> Result<Vec<String>, String> {
        let reload = self.reload.as_ref().ok_or("no server runs here")?;
        reload.reload().await
    }

    /// Everything, the directory included.
    async fn check(&self) -> Result<Vec<String>, String> {
        let checked = check::all(&*self.directory, self.stores()?, self.embedded.clone()).await;
        let damage = self.directory.opened().damage;
        if damage.is_empty() {
            return checked;
        }
        let mut problems: Vec<String> = damage.iter().map(ToString::to_string).collect();
        problems.extend(checked.err());
        Err(problems.join("\n"))
    }

    async fn domain(&self, request: Request) -> Result<Vec<String>, String> {
        match request {
            Request::DomainAdd {
                domain,
                relay,
                alias_of,
            } => {
                let domain = parse_domain(&domain)?;
                let kind = match (relay, alias_of) {
                    (Some(host), _) => parse_relay(&host)?,
                    (None, Some(of)) => DomainKind::Alias {
                        of: parse_domain(&of)?,
                    },
                    (None, None) => DomainKind::Local,
                };
                let added = self.directory.add_domain(&domain, kind).await;
                said(added, format!("domain {domain} added"))
            }
            Request::DomainDefault { domain } => self.default_domain(domain).await,
            Request::DomainTemplate { domain, options } => {
                self.template(&parse_domain(&domain)?, *options).await
            }
            Request::DomainRemove { domain } => {
                let domain = parse_domain(&domain)?;
                let removed = self.directory.remove_domain(&domain).await;
                said(removed, format!("domain {domain} removed"))
            }
            _ => {
                let domains = self.directory.domains().await.map_err(words)?;
                let rows: Vec<Vec<String>> = domains
                    .into_iter()
                    .map(|record| {
                        let mut row = vec![record.domain.to_string()];
                        match record.kind {
                            DomainKind::Relay { host, port } => {
                                row.push(format!("relayed to {host}:{port}"));
                            }
                            DomainKind::Alias { of } => row.push(format!("alias of {of}")),
                            _ => {}
                        }
                        row
                    })
                    .collect();
                Ok(aligned(&rows))
            }
        }
    }

    async fn default_domain(&self, domain: Option<String>) -> Result<Vec<String>, String> {
        let Some(domain) = domain else {
            let found = self.directory.default_domain().await.map_err(words)?;
            return Ok(found.iter().map(ToString::to_string).collect());
        };
        let domain = parse_domain(&domain)?;
        let set = self.directory.set_default_domain(Some(&domain)).await;
        said(set, format!("a login without a domain means {domain}"))
    }

    /// Changes what new accounts begin with, and shows it: by way of an account
    /// made after the template.
    async fn template(&self, domain: &Domain, options: Options) -> Result<Vec<String>, String> {
        let before = self.directory.template(domain).await.map_err(words)?;
        let anybody = Address::new("new", domain.clone()).map_err(words)?;
        let account = before.account(AccountId::new("new"), anybody);
        let account = options.change()?.apply(account);
        if account.options.redirect.is_some() || account.options.display_name.is_some() {
            return Err("a name or a redirection is nobody's in advance".to_owned());
        }
        let after = AccountTemplate {
            quota: account.quota,
            quota_messages: account.quota_messages,
            enabled: account.enabled,
            options: account.options.clone(),
        };
        if after != before {
            let set = self.directory.set_template(domain, &after).await;
            set.map_err(words)?;
        }
        let mut rows = rows(&account);
        rows.retain(|row| {
            let name = row.first().map_or("", String::as_str);
            !matches!(name, "address" | "id" | "name" | "redirect")
        });
        Ok(aligned(&rows))
    }

    async fn account(&self, request: Request) -> Result<Vec<String>, String> {
        match request {
            Request::AccountAdd { address, password } => {
                let (address, password) = (parse_address(&address)?, secret(password)?);
                let added = self.directory.add_account(&address, &password).await;
                said(added, format!("account {address} added"))
            }
            Request::AccountAddHash { address, hash } => {
                let address = parse_address(&address)?;
                let added = self.directory.add_account_with_hash(&address, &hash.0);
                let told =
                    format!("account {address} added; its hash is replaced at its next login");
                said(added.await, told)
            }
            Request::AccountRemove { address } => {
                let address = parse_address(&address)?;
                let id = self.account_id(&address).await?;
                let removed = self.directory.remove_account(&address).await;
                if removed.is_ok() {
                    self.end_sessions(&id);
                }
                said(
                    removed,
                    format!("account {address} removed; its mail stays in the store"),
                )
            }
            Request::AccountPassword { address, password } => {
                let (address, password) = (parse_address(&address)?, secret(password)?);
                let set = self.directory.set_password(&address, &password).await;
                said(set, format!("password of {address} changed"))
            }
            Request::AccountHash { address, hash } => {
                let address = parse_address(&address)?;
                let set = self.directory.set_password_hash(&address, &hash.0).await;
                said(
                    set,
                    format!(
                        "password of {address} changed; its hash is replaced at its next login"
                    ),
                )
            }
            Request::AccountList { domain } => {
                let domain = domain.as_deref().map(parse_domain).transpose()?;
                let accounts = self.directory.accounts(domain.as_ref()).await;
                let rows: Vec<Vec<String>> = accounts
                    .map_err(words)?
                    .into_iter()
                    .map(|summary| {
                        let account = summary.account;
                        let mut row = vec![account.address.to_string()];
                        row.extend((!account.enabled).then(|| "disabled".to_owned()));
                        row
                    })
                    .collect();
                Ok(aligned(&rows))
            }
            _ => Err("this version does not know the command".to_owned()),
        }
    }

    async fn alias(&self, request: Request) -> Result<Vec<String>, String> {
        match request {
            Request::AliasAdd { alias, targets } => {
                let alias = parse_address(&alias)?;
                let targets = targets
                    .iter()
                    .map(|target| parse_address(target))
                    .collect::<Result<Vec<_>, _>>()?;
                let added = self.directory.add_alias(&alias, &targets).await;
                said(added, format!("alias {alias} added"))
            }
            Request::AliasRemove { alias } => {
                let alias = parse_address(&alias)?;
                let removed = self.directory.remove_alias(&alias).await;
                said(removed, format!("alias {alias} removed"))
            }
            _ => {
                let aliases = self.directory.aliases().await.map_err(words)?;
                let rows: Vec<Vec<String>> = aliases
                    .into_iter()
                    .map(|(alias, targets)| {
                        let targets: Vec<String> =
                            targets.iter().map(ToString::to_string).collect();
                        vec![alias.to_string(), targets.join(" ")]
                    })
                    .collect();
                Ok(aligned(&rows))
            }
        }
    }
}

pub(super) fn said<T, E: std::fmt::Display>(
    result: Result<T, E>,
    line: String,
) -> Result<Vec<String>, String> {
    result.map(|_| vec![line]).map_err(words)
}

pub(super) fn words(error: impl std::fmt::Display) -> String {
    error.to_string()
}

pub(super) fn parse_domain(text: &str) -> Result<Domain, String> {
    Domain::parse(text).map_err(|error| format!("\"{text}\": {error}"))
}

/// The host that a domain is relayed to, as [`HostRoute`] writes it.
fn parse_relay(text: &str) -> Result<DomainKind, String> {
    let HostRoute { host, port, .. } = text.parse().map_err(words)?;
    Ok(DomainKind::Relay { host, port })
}

pub(super) fn parse_address(text: &str) -> Result<Address, String> {
    Address::parse(text).map_err(|error| format!("\"{text}\": {error}"))
}

fn secret(Password(text): Password) -> Result<Secret, String> {
    if text.len() < MIN_PASSWORD {
        return Err(format!(
            "the password is too short; it needs {MIN_PASSWORD} characters or more"
        ));
    }
    Ok(Secret::new(text))
}
