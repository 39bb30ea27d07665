//! [`Table`]: a directory's content in memory and the rules by which addresses
//! resolve.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use mailcore::account::AccountId;
use mailcore::address::{Address, Domain};
use mailcore::seams::{
    AccountRecord, AccountTemplate, CertificateName, DirectoryError, DomainKind, DomainRecord,
    GroupKind, GroupName, ListRecord, Resolution, Role, Scope, ScriptKind, SharedSecret,
};

use super::keep::{AccountRow, AppPasswordRow, Damage, Extent, Section};
use super::patterns::Lookup;
use super::sealed::Sealed;

/// Aliases of aliases followed to see whether an account may send as one, and
/// domains that stand for another.
const MAX_ALIAS_DEPTH: usize = 8;
/// The sections that addresses are in.
const NAMES: [Section; 5] = [
    Section::Domains,
    Section::Accounts,
    Section::Aliases,
    Section::Lists,
    Section::Groups,
];

/// Everything a directory knows, by its keys. Only
/// [`Change`](super::Change)s change it.
#[derive(Default)]
pub struct Table {
    pub(super) domains: HashMap<Domain, Served>,
    pub(super) default_domain: Option<Domain>,
    pub(super) accounts: BTreeMap<Address, Account>,
    pub(super) by_id: HashMap<AccountId, Address>,
    pub(super) aliases: BTreeMap<Address, Alias>,
    pub(super) off: BTreeSet<Address>,
    pub(super) lists: BTreeMap<Address, List>,
    pub(super) groups: BTreeMap<GroupName, Group>,
    pub(super) groups_of: HashMap<AccountId, BTreeSet<GroupName>>,
    pub(super) settings: HashMap<Scope, BTreeMap<Arc<str>, Arc<str>>>,
    /// What the settings say of addresses, where they say something.
    pub(super) lookups: HashMap<Scope, Lookup>,
    pub(super) scripts: HashMap<(Scope, ScriptKind), BTreeMap<Arc<str>, Script>>,
    pub(super) certificates: BTreeMap<CertificateName, AccountId>,
    /// How many accounts have which.
    pub(super) shared_secrets: HashMap<SharedSecret, usize>,
    pub(super) last_seq: u64,
    pub(super) damage: Vec<Damage>,
}

pub(super) struct Served {
    pub(super) seq: u64,
    pub(super) record: DomainRecord,
    pub(super) template: Option<Box<AccountTemplate>>,
    /// In the order they were made.
    pub(super) accounts: BTreeMap<u64, AccountId>,
    pub(super) administrators: BTreeMap<u64, AccountId>,
    /// Aliases, lists and groups.
    pub(super) names: usize,
}

/// An account and what only the directory knows of it.
#[derive(Clone)]
pub(super) struct Account {
    pub(super) row: AccountRow,
    pub(super) secrets: Option<Box<AccountSecrets>>,
}

#[derive(Clone, Default)]
pub(super) struct AccountSecrets {
    pub(super) app_passwords: BTreeMap<Arc<str>, AppPasswordRow>,
    pub(super) sealed: Sealed,
    /// Something of its encrypted secrets can't be read: what is not there may
    /// be that.
    pub(super) is_damaged: bool,
}

pub(super) struct Alias {
    pub(super) seq: u64,
    pub(super) targets: Arc<[Address]>,
}

pub(super) struct List {
    pub(super) seq: u64,
    pub(super) record: ListRecord,
    pub(super) members: BTreeSet<Address>,
}

pub(super) struct Group {
    pub(super) seq: u64,
    pub(super) kind: GroupKind,
    pub(super) members: BTreeSet<AccountId>,
}

pub(super) struct Script {
    /// `None` where texts are held elsewhere.
    pub(super) text: Option<Arc<str>>,
    pub(super) size: u64,
    pub(super) is_active: bool,
}

/// The key of a domain: U-labels and A-labels are one name (RFC 5890 section
/// 2.3.2.1).
pub(super) fn domain_key(domain: &Domain) -> Domain {
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

/// Addresses that every domain answers (RFC 2142 sections 4 and 5, RFC 5321
/// section 4.5.1).
fn is_duty(local_part: &str) -> bool {
    matches!(local_part, "postmaster" | "abuse")
}

pub(super) fn not_found(what: &impl ToString) -> DirectoryError {
    DirectoryError::NotFound(what.to_string())
}

impl Table {
    pub(super) fn served(&self, domain: &Domain) -> Option<&Served> {
        self.domains.get(&domain_key(domain))
    }

    pub(super) fn domains(&self) -> Vec<DomainRecord> {
        let mut all: Vec<&DomainRecord> = self.domains.values().map(|it| &it.record).collect();
        all.sort_unstable_by(|a, b| a.domain.cmp(&b.domain));
        all.into_iter().cloned().collect()
    }

    /// The domain that a login without one means: the one set, else the local
    /// domain made first.
    pub(super) fn default_domain(&self) -> Option<&Domain> {
        self.default_domain.as_ref().or_else(|| {
            self.domains
                .values()
                .filter(|it| it.record.kind == DomainKind::Local)
                .min_by_key(|it| it.seq)
                .map(|it| &it.record.domain)
        })
    }

    /// The key of the domain whose addresses this one has: itself, unless it is
    /// an alias.
    pub(super) fn home(&self, domain: &Domain) -> Domain {
        let mut key = domain_key(domain);
        for _ in 0..MAX_ALIAS_DEPTH {
            match self.domains.get(&key).map(|it| &it.record.kind) {
                Some(DomainKind::Alias { of }) => key = domain_key(of),
                _ => break,
            }
        }
        key
    }

    /// The key under which an address is looked up: in the domain that its own
    /// stands for.
    pub(super) fn canonical(&self, address: &Address) -> Address {
        let key = key(address);
        let home = self.home(key.domain());
        if home == *key.domain() {
            return key;
        }
        Address::new(key.local_part(), home).unwrap_or(key)
    }

    pub(super) fn account(&self, address: &Address) -> Option<&Account> {
        self.accounts.get(&self.canonical(address))
    }

    pub(super) fn expect_account(&self, address: &Address) -> Result<&Account, DirectoryError> {
        self.account(address)
            .ok_or_else(|| self.missing(not_found(address)))
    }

    pub(super) fn account_by_id(&self, id: &AccountId) -> Option<&Account> {
        self.accounts.get(self.by_id.get(id)?)
    }

    pub(super) fn expect_id(&self, id: &AccountId) -> Result<&Account, DirectoryError> {
        self.account_by_id(id)
            .ok_or_else(|| self.missing(not_found(id)))
    }

    pub(super) fn accounts(&self, domain: Option<&Domain>) -> Vec<AccountRecord> {
        let domain = domain.map(domain_key);
        self.accounts
            .iter()
            .filter(|(address, _)| domain.as_ref().is_none_or(|it| it == address.domain()))
            .map(|(_, account)| account.row.record.clone())
            .collect()
    }

    /// What an address stands for.
    pub(super) fn resolve(&self, address: &Address) -> Resolution {
        let found = self.listed(address);
        let found = found.or_else(|| self.by_pattern(address));
        found.unwrap_or(Resolution::Unknown)
    }

    /// What is listed under an address: itself, else without its detail, else
    /// by duty. One that is switched off is unknown, and stays so whatever a
    /// pattern says.
    pub(super) fn listed(&self, address: &Address) -> Option<Resolution> {
        let address = self.canonical(address);
        if let Some(found) = self.switched_on(&address) {
            return Some(found);
        }
        let user = self.without_detail(&address);
        if let Some(found) = user.as_ref().and_then(|user| self.switched_on(user)) {
            return Some(found);
        }
        let off = self.exact(&address).is_some();
        let user = user.unwrap_or(address);
        if is_duty(user.local_part()) {
            return self.in_charge(user.domain()).map(Resolution::Account);
        }
        (off || self.exact(&user).is_some()).then_some(Resolution::Unknown)
    }

    /// What an address that is not listed stands for by a pattern or because
    /// everything else goes there.
    pub(super) fn by_pattern(&self, address: &Address) -> Option<Resolution> {
        if self.lookups.is_empty() {
            return None;
        }
        let address = self.canonical(address);
        let lookup = self.lookups.get(&Scope::Domain(address.domain().clone()))?;
        lookup.find(address.local_part()).map(Resolution::Alias)
    }

    /// The address without its detail, when it has one.
    fn without_detail(&self, address: &Address) -> Option<Address> {
        let domain = Scope::Domain(address.domain().clone());
        let separator = [domain, Scope::Global]
            .iter()
            .find_map(|scope| self.lookups.get(scope)?.separator)
            .unwrap_or_default();
        let user = separator.user_of(address.local_part())?;
        Address::new(user, address.domain().clone()).ok()
    }

    fn switched_on(&self, key: &Address) -> Option<Resolution> {
        self.exact(key).filter(|_| !self.off.contains(key))
    }

    /// What a key is, served now or not.
    pub(super) fn exact(&self, key: &Address) -> Option<Resolution> {
        if let Some(account) = self.accounts.get(key) {
            return Some(Resolution::Account(account.row.record.id.clone()));
        }
        if let Some(alias) = self.aliases.get(key) {
            // One whose targets can't be read: taken, and known to nobody.
            return Some(match alias.targets.is_empty() {
                true => Resolution::Unknown,
                false => Resolution::Alias(alias.targets.to_vec()),
            });
        }
        if let Some(list) = self.lists.get(key) {
            return Some(Resolution::List(list.record.address.clone()));
        }
        let (name, _) = self.group_at(key)?;
        Some(Resolution::Group(name.clone()))
    }

    fn group_at(&self, key: &Address) -> Option<(&GroupName, &Group)> {
        if self.groups.is_empty() {
            return None;
        }
        let name = GroupName::parse(&key.to_string()).ok()?;
        self.groups.get_key_value(&name)
    }

    /// The first administrator of a domain, else its first account.
    fn in_charge(&self, domain: &Domain) -> Option<AccountId> {
        let served = self.domains.get(domain)?;
        let first = served.administrators.first_key_value();
        first
            .or_else(|| served.accounts.first_key_value())
            .map(|(_, id)| id.clone())
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

    pub(super) fn may_administer(&self, actor: &AccountId, domain: &Domain) -> bool {
        let Some(account) = self.account_by_id(actor) else {
            return false;
        };
        let home = self.home(domain);
        account.row.record.enabled
            && match &account.row.role {
                Role::Global => true,
                Role::Domains(domains) => domains.contains(&home),
                _ => false,
            }
    }

    /// The scope by its key: what is set for a domain is set under the name
    /// that it stands for.
    pub(super) fn scope(&self, scope: &Scope) -> Scope {
        match scope {
            Scope::Domain(domain) => Scope::Domain(self.home(domain)),
            other => other.clone(),
        }
    }

    /// The scope by its key, when there is something it names.
    pub(super) fn expect_scope(&self, scope: &Scope) -> Result<Scope, DirectoryError> {
        let scope = self.scope(scope);
        match &scope {
            Scope::Account(id) => self.expect_id(id).map(drop)?,
            Scope::Domain(domain) if self.served(domain).is_none() => {
                return Err(not_found(domain));
            }
            _ => {}
        }
        Ok(scope)
    }

    /// The number of what the next change adds.
    pub(super) fn next_seq(&self) -> u64 {
        self.last_seq + 1
    }

    /// Whether a key of a local domain is free to become an address.
    ///
    /// # Errors
    /// [`DirectoryError`] that says why it is not.
    pub(super) fn check_free(&self, key: &Address) -> Result<(), DirectoryError> {
        match self.served(key.domain()).map(|it| &it.record.kind) {
            Some(DomainKind::Local) => {}
            Some(DomainKind::Alias { of }) => {
                return Err(DirectoryError::Invalid(format!(
                    "{} is another name of {of}; use {of}",
                    key.domain()
                )));
            }
            _ => return Err(DirectoryError::NotLocal(key.domain().clone())),
        }
        if self.exact(key).is_some() {
            return Err(DirectoryError::Exists(key.to_string()));
        }
        let lost = |it: &&Damage| it.extent == Extent::Pages && NAMES.contains(&it.section);
        match self.damage.iter().find(lost) {
            Some(damage) => Err(DirectoryError::Unavailable(format!(
                "nobody knows whether {key} is free: {damage}"
            ))),
            None => Ok(()),
        }
    }

    /// Whether a section may be written.
    ///
    /// # Errors
    /// [`DirectoryError::Unavailable`] when parts of it can't be read.
    pub(super) fn check_writable(&self, section: Section) -> Result<(), DirectoryError> {
        let lost = |it: &&Damage| it.extent == Extent::Pages && it.section == section;
        match self.damage.iter().find(lost) {
            Some(damage) => Err(DirectoryError::Unavailable(damage.to_string())),
            None => Ok(()),
        }
    }

    /// Whether nothing of a section is missing.
    ///
    /// # Errors
    /// [`DirectoryError::Unavailable`].
    pub(super) fn check_complete(&self, section: Section) -> Result<(), DirectoryError> {
        match self.damage.iter().find(|it| it.section == section) {
            Some(damage) => Err(DirectoryError::Unavailable(damage.to_string())),
            None => Ok(()),
        }
    }

    /// Notes that something of an account's encrypted secrets can't be read.
    #[cfg(feature = "sqlite-directory")]
    pub(super) fn doubt_secrets(&mut self, account: &AccountId) {
        let address = self.by_id.get(account);
        if let Some(account) = address.and_then(|it| self.accounts.get_mut(it)) {
            account.secrets.get_or_insert_default().is_damaged = true;
        }
    }

    /// Whether no address is missing: what is not found is unknown only then.
    ///
    /// # Errors
    /// [`DirectoryError::Unavailable`].
    pub(super) fn check_names(&self) -> Result<(), DirectoryError> {
        NAMES
            .into_iter()
            .try_for_each(|section| self.check_complete(section))
    }

    /// The error for what was not found: another one when it may only be
    /// unreadable.
    fn missing(&self, error: DirectoryError) -> DirectoryError {
        match self.check_complete(Section::Accounts) {
            Ok(()) => error,
            Err(damage) => damage,
        }
    }
}
