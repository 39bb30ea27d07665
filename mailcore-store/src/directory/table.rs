//! [`Table`]: a directory's content and the rules by which addresses resolve
//! and changes are allowed.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use mailcore::account::AccountId;
use mailcore::address::{Address, Domain};
use mailcore::seams::{AccountRecord, DirectoryError, DomainKind, DomainRecord, Resolution};

use super::keep::Change;
use super::{Access, Role};

/// Targets allowed for one alias.
pub const MAX_ALIAS_TARGETS: usize = 10_000;
/// Aliases of aliases followed to see whether an account may send as one.
const MAX_ALIAS_DEPTH: usize = 8;
/// Separates a user from a detail (RFC 5233 section 1).
const SUB_ADDRESS: char = '+';

/// Domains, accounts and aliases, by their keys.
#[derive(Clone, Default)]
pub struct Table {
    domains: HashMap<Domain, Served>,
    accounts: BTreeMap<Address, Account>,
    by_id: HashMap<AccountId, Address>,
    aliases: BTreeMap<Address, Arc<[Address]>>,
    last_seq: u64,
}

#[derive(Clone)]
struct Served {
    seq: u64,
    record: DomainRecord,
    /// In the order they were made.
    accounts: BTreeSet<(u64, Address)>,
    administrators: BTreeSet<(u64, Address)>,
    aliases: usize,
}

/// An account and what only the directory knows of it.
#[derive(Clone)]
pub(super) struct Account {
    seq: u64,
    pub(super) record: AccountRecord,
    pub(super) hash: Arc<str>,
}

/// The key of a domain: U-labels and A-labels are one name (RFC 5890 section
/// 2.3.2.1).
fn domain_key(domain: &Domain) -> Domain {
    domain.to_ascii().unwrap_or_else(|_| domain.clone())
}

/// The key of an address: folded, its domain in A-labels.
pub(super) fn key(address: &Address) -> Address {
    let folded = address.folded();
    if folded.domain().is_ascii() {
        return folded;
    }
    Address::new(folded.local_part(), domain_key(folded.domain())).unwrap_or(folded)
}

/// The address without its detail, when it has one.
fn without_detail(address: &Address) -> Option<Address> {
    let (user, _) = address.local_part().split_once(SUB_ADDRESS)?;
    Address::new(user, address.domain().clone()).ok()
}

/// Addresses that every domain answers (RFC 2142 sections 4 and 5, RFC 5321
/// section 4.5.1).
fn is_duty(local_part: &str) -> bool {
    matches!(local_part, "postmaster" | "abuse")
}

impl Table {
    pub(super) fn domain(&self, domain: &Domain) -> Option<&DomainRecord> {
        self.domains.get(&domain_key(domain)).map(|it| &it.record)
    }

    pub(super) fn domains(&self) -> Vec<DomainRecord> {
        let mut all: Vec<&DomainRecord> = self.domains.values().map(|it| &it.record).collect();
        all.sort_unstable_by(|a, b| a.domain.cmp(&b.domain));
        all.into_iter().cloned().collect()
    }

    /// The local domain made first.
    pub(super) fn first_domain(&self) -> Option<&Domain> {
        self.domains
            .values()
            .filter(|it| it.record.kind == DomainKind::Local)
            .min_by_key(|it| it.seq)
            .map(|it| &it.record.domain)
    }

    pub(super) fn account(&self, address: &Address) -> Option<&Account> {
        self.accounts.get(&key(address))
    }

    pub(super) fn account_by_id(&self, id: &AccountId) -> Option<&AccountRecord> {
        let address = self.by_id.get(id)?;
        self.accounts.get(address).map(|it| &it.record)
    }

    pub(super) fn accounts(&self, domain: Option<&Domain>) -> Vec<AccountRecord> {
        let domain = domain.map(domain_key);
        self.accounts
            .iter()
            .filter(|(address, _)| domain.as_ref().is_none_or(|it| it == address.domain()))
            .map(|(_, account)| account.record.clone())
            .collect()
    }

    pub(super) fn aliases(&self) -> Vec<(Address, Vec<Address>)> {
        self.aliases
            .iter()
            .map(|(alias, targets)| (alias.clone(), targets.to_vec()))
            .collect()
    }

    /// What an address stands for: itself, else without its detail, else by
    /// duty.
    pub(super) fn resolve(&self, address: &Address) -> Resolution {
        let address = key(address);
        if let Some(found) = self.exact(&address) {
            return found;
        }
        let user = without_detail(&address);
        if let Some(found) = user.as_ref().and_then(|user| self.exact(user)) {
            return found;
        }
        let user = user.unwrap_or(address);
        if !is_duty(user.local_part()) {
            return Resolution::Unknown;
        }
        self.in_charge(user.domain())
            .map_or(Resolution::Unknown, Resolution::Account)
    }

    fn exact(&self, key: &Address) -> Option<Resolution> {
        if let Some(account) = self.accounts.get(key) {
            return Some(Resolution::Account(account.record.id.clone()));
        }
        let targets = self.aliases.get(key)?;
        Some(Resolution::Alias(targets.to_vec()))
    }

    /// The first administrator of a domain, else its first account.
    fn in_charge(&self, domain: &Domain) -> Option<AccountId> {
        let served = self.domains.get(domain)?;
        let (_, address) = served
            .administrators
            .first()
            .or_else(|| served.accounts.first())?;
        self.accounts.get(address).map(|it| it.record.id.clone())
    }

    /// True when mail to `address` reaches the account, so that it may send as
    /// that address. A loop of aliases ends at the depth.
    pub(super) fn may_send_as(&self, id: &AccountId, address: &Address) -> bool {
        let mut level = vec![address.clone()];
        let mut seen = BTreeSet::new();
        for _ in 0..MAX_ALIAS_DEPTH {
            let mut below = Vec::new();
            for address in level {
                match self.resolve(&address) {
                    Resolution::Account(found) if found == *id => return true,
                    Resolution::Alias(targets) => {
                        below.extend(targets.into_iter().filter(|it| seen.insert(key(it))));
                    }
                    _ => {}
                }
            }
            level = below;
        }
        false
    }

    /// The number of what the next change adds.
    pub(super) fn next_seq(&self) -> u64 {
        self.last_seq + 1
    }

    /// Whether a change is allowed.
    ///
    /// # Errors
    /// A [`DirectoryError`] that says why not.
    pub(super) fn check(&self, change: &Change) -> Result<(), DirectoryError> {
        match change {
            Change::AddDomain(record) => match self.domain(&record.domain) {
                Some(_) => Err(DirectoryError::Exists(record.domain.to_string())),
                None => Ok(()),
            },
            Change::RemoveDomain(domain) => self.check_unused(domain),
            Change::AddAccount(record, _) => self.check_free(&record.address),
            Change::AddAlias(alias, targets) => {
                if targets.is_empty() || targets.len() > MAX_ALIAS_TARGETS {
                    return Err(DirectoryError::Invalid(format!(
                        "an alias has 1 to {MAX_ALIAS_TARGETS} targets"
                    )));
                }
                self.check_free(alias)
            }
            Change::RemoveAlias(alias) => match self.aliases.contains_key(alias) {
                true => Ok(()),
                false => Err(DirectoryError::NotFound(alias.to_string())),
            },
            Change::RemoveAccount(address)
            | Change::SetPassword(address, _)
            | Change::SetQuota(address, _)
            | Change::SetAccess(address, _)
            | Change::SetRole(address, _) => match self.accounts.contains_key(address) {
                true => Ok(()),
                false => Err(DirectoryError::NotFound(address.to_string())),
            },
        }
    }

    fn check_unused(&self, domain: &Domain) -> Result<(), DirectoryError> {
        let served = self
            .domains
            .get(domain)
            .ok_or_else(|| DirectoryError::NotFound(domain.to_string()))?;
        let by = match (served.accounts.len(), served.aliases) {
            (0, 0) => return Ok(()),
            (accounts, aliases) => format!("{accounts} accounts and {aliases} aliases"),
        };
        Err(DirectoryError::InUse {
            what: domain.to_string(),
            by,
        })
    }

    /// Whether an address of a local domain is free to be an account or alias.
    fn check_free(&self, key: &Address) -> Result<(), DirectoryError> {
        match self.domain(key.domain()) {
            Some(record) if record.kind == DomainKind::Local => {}
            _ => return Err(DirectoryError::NotLocal(key.domain().clone())),
        }
        if self.exact(key).is_some() {
            return Err(DirectoryError::Exists(key.to_string()));
        }
        Ok(())
    }

    /// Applies a checked change, or one that was checked when it was kept.
    /// What it adds gets `seq`.
    pub(super) fn apply(&mut self, change: Change, seq: u64) {
        self.last_seq = self.last_seq.max(seq);
        match change {
            Change::AddDomain(record) => self.add_domain(record, seq),
            Change::RemoveDomain(domain) => {
                self.domains.remove(&domain);
            }
            Change::AddAccount(record, hash) => self.add_account(Account { seq, record, hash }),
            Change::RemoveAccount(address) => self.remove_account(&address),
            Change::SetPassword(address, hash) => self.edit(&address, |it| it.hash = hash),
            Change::SetQuota(address, quota) => self.edit(&address, |it| it.record.quota = quota),
            Change::SetAccess(address, access) => {
                self.edit(&address, |it| it.record.enabled = access == Access::Enabled);
            }
            Change::SetRole(address, role) => self.set_role(&address, role),
            Change::AddAlias(alias, targets) => {
                if let Some(served) = self.domains.get_mut(alias.domain()) {
                    served.aliases += 1;
                }
                self.aliases.insert(alias, targets);
            }
            Change::RemoveAlias(alias) => {
                if self.aliases.remove(&alias).is_some()
                    && let Some(served) = self.domains.get_mut(alias.domain())
                {
                    served.aliases -= 1;
                }
            }
        }
    }

    fn add_domain(&mut self, record: DomainRecord, seq: u64) {
        let served = Served {
            seq,
            accounts: BTreeSet::new(),
            administrators: BTreeSet::new(),
            aliases: 0,
            record,
        };
        self.domains
            .insert(domain_key(&served.record.domain), served);
    }

    fn add_account(&mut self, account: Account) {
        let address = account.record.address.clone();
        if let Some(served) = self.domains.get_mut(address.domain()) {
            served.accounts.insert((account.seq, address.clone()));
        }
        self.by_id
            .insert(account.record.id.clone(), address.clone());
        self.accounts.insert(address, account);
    }

    fn remove_account(&mut self, address: &Address) {
        let Some(account) = self.accounts.remove(address) else {
            return;
        };
        self.by_id.remove(&account.record.id);
        if let Some(served) = self.domains.get_mut(address.domain()) {
            let place = (account.seq, address.clone());
            served.accounts.remove(&place);
            served.administrators.remove(&place);
        }
    }

    fn edit(&mut self, address: &Address, edit: impl FnOnce(&mut Account)) {
        if let Some(account) = self.accounts.get_mut(address) {
            edit(account);
        }
    }

    fn set_role(&mut self, address: &Address, role: Role) {
        let Some(seq) = self.accounts.get(address).map(|it| it.seq) else {
            return;
        };
        if let Some(served) = self.domains.get_mut(address.domain()) {
            let place = (seq, address.clone());
            match role {
                Role::Administrator => served.administrators.insert(place),
                Role::User => served.administrators.remove(&place),
            };
        }
    }
}
