//! [`Accounts`]: who is served by a server in a test. Nobody is set up: an
//! account is there as soon as mail comes for it or somebody logs in.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use crate::account::{AccountId, Secret};
use crate::address::{Address, Domain};
use crate::seams::{
    AccountRecord, Directory, DirectoryError, DomainKind, DomainRecord, Resolution,
};

/// What becomes of addresses and logins that nobody set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Unknown {
    /// They are accounts from then on.
    #[default]
    BecomesAccount,
    /// Refused: only accounts that the test made are there.
    Refused,
}

/// What stands when the server starts, and again after a reset.
#[derive(Debug, Clone, Default)]
pub(super) struct Setup {
    pub(super) domains: Vec<Domain>,
    pub(super) unknown: Unknown,
    /// Everybody's, where an account has none of its own; without one any
    /// password is right.
    pub(super) password: Option<Secret>,
    pub(super) accounts: Vec<(Address, Option<Secret>)>,
}

/// The directory and authenticator of a server in a test.
#[derive(Debug)]
pub(super) struct Accounts {
    pub(super) setup: Setup,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// By folded address; a password where one was set.
    accounts: BTreeMap<Address, Option<Secret>>,
    /// Domains of scopes.
    scopes: Vec<Domain>,
}

impl Accounts {
    pub(super) fn new(setup: Setup) -> Arc<Self> {
        let accounts = Arc::new(Self {
            setup,
            state: Mutex::default(),
        });
        accounts.reset();
        accounts
    }

    /// As at the start; scopes keep their domains.
    pub(super) fn reset(&self) {
        let set_up = self.setup.accounts.iter().cloned();
        self.state().accounts = set_up.map(|(to, secret)| (to.folded(), secret)).collect();
    }

    /// Makes an account, or gives one another password.
    pub(super) fn add(&self, address: &Address, password: Option<Secret>) {
        self.state().accounts.insert(base(address), password);
    }

    /// A domain that no scope had before.
    pub(super) fn new_scope(&self, first: &Domain) -> Domain {
        let mut state = self.state();
        let number = state.scopes.len() + 1;
        let name = format!("s{number}.{first}");
        let domain = Domain::parse(&name).unwrap_or_else(|_| first.clone());
        state.scopes.push(domain.clone());
        domain
    }

    /// The accounts there are, of one domain or all.
    pub(super) fn all(&self, domain: Option<&Domain>) -> Vec<Address> {
        let state = self.state();
        let wanted = |address: &&Address| domain.is_none_or(|it| address.domain() == it);
        state.accounts.keys().filter(wanted).cloned().collect()
    }

    /// The account of an address, made when it may be.
    pub(super) fn find_or_make(&self, address: &Address) -> Option<AccountId> {
        let base = base(address);
        if !self.serves(base.domain()) {
            return None;
        }
        let mut state = self.state();
        if !state.accounts.contains_key(&base) {
            if self.setup.unknown == Unknown::Refused {
                return None;
            }
            state.accounts.insert(base.clone(), None);
        }
        Some(id(&base))
    }

    /// What a login must prove to know; `None` for anything.
    pub(super) fn password(&self, address: &Address) -> Option<Secret> {
        let own = self.state().accounts.get(&base(address)).cloned().flatten();
        own.or_else(|| self.setup.password.clone())
    }

    /// The address of a login: a bare local part means the first domain.
    pub(super) fn login_address(&self, login: &str) -> Option<Address> {
        let address = match Address::parse(login) {
            Ok(address) => address,
            Err(_) => Address::new(login, self.setup.domains.first()?.clone()).ok()?,
        };
        Some(address.folded())
    }

    pub(super) fn serves(&self, domain: &Domain) -> bool {
        self.setup.domains.contains(domain) || self.state().scopes.contains(domain)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An account's id is its address.
pub(super) fn id(address: &Address) -> AccountId {
    AccountId::new(&base(address).to_string())
}

/// The address without its detail: `user+detail` is `user`.
fn base(address: &Address) -> Address {
    let folded = address.folded();
    match folded.local_part().split_once('+') {
        Some((user, _)) => Address::new(user, folded.domain().clone()).unwrap_or(folded),
        None => folded,
    }
}

#[async_trait]
impl Directory for Accounts {
    async fn domain(&self, domain: &Domain) -> Result<Option<DomainRecord>, DirectoryError> {
        Ok(self.serves(domain).then(|| record(domain.clone())))
    }

    async fn resolve(&self, address: &Address) -> Result<Resolution, DirectoryError> {
        Ok(match self.find_or_make(address) {
            Some(id) => Resolution::Account(id),
            None if is_duty(address) && self.serves(address.domain()) => {
                self.add(address, None);
                Resolution::Account(id(address))
            }
            None => Resolution::Unknown,
        })
    }

    async fn account(&self, id: &AccountId) -> Result<Option<AccountRecord>, DirectoryError> {
        let address = Address::parse(id.as_str()).ok();
        let known = address.filter(|it| self.state().accounts.contains_key(it));
        Ok(known.map(|address| AccountRecord::new(id.clone(), address)))
    }

    /// Every address here: applications log in once and send as many.
    async fn may_send_as(&self, _: &AccountId, address: &Address) -> Result<bool, DirectoryError> {
        Ok(self.serves(address.domain()))
    }

    async fn domains(&self) -> Result<Vec<DomainRecord>, DirectoryError> {
        let scopes = self.state().scopes.clone();
        let domains = self.setup.domains.iter().cloned().chain(scopes);
        Ok(domains.map(record).collect())
    }
}

fn record(domain: Domain) -> DomainRecord {
    DomainRecord {
        domain,
        kind: DomainKind::Local,
    }
}

/// True for addresses that every domain has (RFC 5321 section 4.5.1, RFC 2142
/// section 4).
fn is_duty(address: &Address) -> bool {
    matches!(base(address).local_part(), "postmaster" | "abuse")
}
