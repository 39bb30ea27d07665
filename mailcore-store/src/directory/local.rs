//! [`LocalDirectory`]: the directory seams over one [`Table`], written through
//! to a [`Keep`].

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use mailcore::account::{AccountId, Secret};
use mailcore::address::{Address, Domain};
use mailcore::seams::{
    AccountRecord, AccountSummary, Clock, Directory, DirectoryError, DirectoryWrite, DomainKind,
    DomainRecord, Entropy, OsEntropy, Resolution, SystemClock,
};
use mailcore::time::Monotonic;

use super::keep::{Change, Keep, Nowhere};
use super::passwords::{PasswordHashing, Passwords};
use super::table::{Table, key};

/// How often changes by other processes are looked for.
const REFRESH_EVERY: Duration = Duration::from_secs(1);

/// A directory in memory.
pub type MemoryDirectory = LocalDirectory<Nowhere>;

/// Whether an account may log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// It may.
    Enabled,
    /// It may not; mail still comes in.
    Disabled,
}

/// What an account may do beyond its own mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Nothing.
    User,
    /// Runs its domain; mail to `postmaster` and `abuse` comes to the first one
    /// when nobody has these names.
    Administrator,
}

/// Directory and authenticator on this host.
///
/// Reads are answered from memory. A write is checked, kept and then seen, all
/// three even when its future is dropped; writes happen one at a time. Clones
/// share one directory.
pub struct LocalDirectory<K> {
    shared: Arc<Shared<K>>,
    default_domain: Option<Domain>,
}

struct Shared<K> {
    table: RwLock<Table>,
    keep: Mutex<K>,
    passwords: Passwords,
    clock: Arc<dyn Clock>,
    next_refresh: Mutex<Monotonic>,
}

impl<K> Clone for LocalDirectory<K> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            default_domain: self.default_domain.clone(),
        }
    }
}

impl<K> fmt::Debug for LocalDirectory<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalDirectory")
            .field("default_domain", &self.default_domain)
            .finish_non_exhaustive()
    }
}

impl MemoryDirectory {
    /// An empty directory on the computer's clock and randomness.
    ///
    /// # Errors
    /// [`DirectoryError::Invalid`] for parameters that argon2 does not take.
    pub fn new(hashing: PasswordHashing) -> Result<Self, DirectoryError> {
        Self::with(hashing, Arc::new(SystemClock::new()), Arc::new(OsEntropy))
    }

    /// An empty directory on the given clock and randomness.
    ///
    /// # Errors
    /// As [`MemoryDirectory::new`].
    pub fn with(
        hashing: PasswordHashing,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, DirectoryError> {
        Self::over(Nowhere, hashing, clock, entropy)
    }

    /// A directory for a test: these accounts with these passwords, their
    /// domains, and hashes that cost nothing.
    ///
    /// # Errors
    /// [`DirectoryError::Invalid`] for what is not an address.
    pub async fn for_tests(accounts: &[(&str, &str)]) -> Result<Arc<Self>, DirectoryError> {
        let directory = Self::new(PasswordHashing::fast_for_tests())?;
        for (address, password) in accounts {
            let address: Address = address
                .parse()
                .map_err(|error| DirectoryError::Invalid(format!("{address}: {error}")))?;
            match directory
                .add_domain(address.domain(), DomainKind::Local)
                .await
            {
                Ok(()) | Err(DirectoryError::Exists(_)) => {}
                Err(error) => return Err(error),
            }
            directory
                .add_account(&address, &Secret::new(*password))
                .await?;
        }
        Ok(Arc::new(directory))
    }
}

impl<K: Keep> LocalDirectory<K> {
    /// The directory that `keep` holds. Blocks while it is read.
    ///
    /// # Errors
    /// [`DirectoryError::Invalid`] for parameters that argon2 does not take, or
    /// what `keep` reports.
    pub fn over(
        mut keep: K,
        hashing: PasswordHashing,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, DirectoryError> {
        let table = keep.refresh()?.unwrap_or_default();
        let next_refresh = clock.monotonic().after(REFRESH_EVERY);
        Ok(Self {
            shared: Arc::new(Shared {
                table: RwLock::new(table),
                keep: Mutex::new(keep),
                passwords: Passwords::new(hashing, Arc::clone(&clock), entropy)?,
                clock,
                next_refresh: Mutex::new(next_refresh),
            }),
            default_domain: None,
        })
    }

    /// With the domain that a login without one means, instead of the local
    /// domain made first.
    #[must_use]
    pub fn with_default_domain(mut self, domain: Domain) -> Self {
        self.default_domain = Some(domain);
        self
    }

    /// Sets how many octets an account may hold.
    ///
    /// # Errors
    /// [`DirectoryError`], as for all changes.
    pub async fn set_quota(
        &self,
        address: &Address,
        quota: Option<u64>,
    ) -> Result<(), DirectoryError> {
        self.change(Change::SetQuota(key(address), quota)).await
    }

    /// Lets an account log in, or not.
    ///
    /// # Errors
    /// [`DirectoryError`], as for all changes.
    pub async fn set_access(
        &self,
        address: &Address,
        access: Access,
    ) -> Result<(), DirectoryError> {
        self.change(Change::SetAccess(key(address), access)).await
    }

    /// Sets what an account may do.
    ///
    /// # Errors
    /// [`DirectoryError`], as for all changes.
    pub async fn set_role(&self, address: &Address, role: Role) -> Result<(), DirectoryError> {
        self.change(Change::SetRole(key(address), role)).await
    }

    pub(super) fn default_domain(&self) -> Option<&Domain> {
        self.default_domain.as_ref()
    }

    pub(super) fn passwords(&self) -> &Passwords {
        &self.shared.passwords
    }

    /// Reads the table, after looking for others' changes when it is time to.
    pub(super) async fn read<T>(
        &self,
        look: impl FnOnce(&Table) -> T,
    ) -> Result<T, DirectoryError> {
        if K::SHARED && self.shared.is_refresh_due() {
            self.blocking(|shared| shared.refresh(&mut shared.keep()))
                .await?;
        }
        Ok(look(&self.shared.table()))
    }

    async fn change(&self, change: Change) -> Result<(), DirectoryError> {
        self.blocking(move |shared| {
            let mut keep = shared.keep();
            shared.refresh(&mut keep)?;
            let seq = {
                let table = shared.table();
                table.check(&change)?;
                table.next_seq()
            };
            keep.save(&change, seq)?;
            shared.table_mut().apply(change, seq);
            Ok(())
        })
        .await
    }

    /// Runs `work` where blocking is allowed; it completes even when this
    /// future is dropped.
    async fn blocking(
        &self,
        work: impl FnOnce(&Shared<K>) -> Result<(), DirectoryError> + Send + 'static,
    ) -> Result<(), DirectoryError> {
        let shared = Arc::clone(&self.shared);
        tokio::task::spawn_blocking(move || work(&shared))
            .await
            .map_err(|error| DirectoryError::Unavailable(error.to_string()))?
    }
}

impl<K: Keep> Shared<K> {
    fn table(&self) -> std::sync::RwLockReadGuard<'_, Table> {
        self.table.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn table_mut(&self) -> std::sync::RwLockWriteGuard<'_, Table> {
        self.table.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self) -> std::sync::MutexGuard<'_, K> {
        self.keep.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True for one caller every [`REFRESH_EVERY`].
    fn is_refresh_due(&self) -> bool {
        let now = self.clock.monotonic();
        let mut next = self
            .next_refresh
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let due = *next <= now;
        if due {
            *next = now.after(REFRESH_EVERY);
        }
        due
    }

    fn refresh(&self, keep: &mut K) -> Result<(), DirectoryError> {
        if let Some(table) = keep.refresh()? {
            *self.table_mut() = table;
        }
        Ok(())
    }
}

#[async_trait]
impl<K: Keep> Directory for LocalDirectory<K> {
    async fn domain(&self, domain: &Domain) -> Result<Option<DomainRecord>, DirectoryError> {
        self.read(|table| table.domain(domain).cloned()).await
    }

    async fn resolve(&self, address: &Address) -> Result<Resolution, DirectoryError> {
        self.read(|table| table.resolve(address)).await
    }

    async fn account(&self, id: &AccountId) -> Result<Option<AccountRecord>, DirectoryError> {
        self.read(|table| table.account_by_id(id).cloned()).await
    }

    async fn may_send_as(&self, id: &AccountId, address: &Address) -> Result<bool, DirectoryError> {
        self.read(|table| table.may_send_as(id, address)).await
    }

    async fn domains(&self) -> Result<Vec<DomainRecord>, DirectoryError> {
        self.read(Table::domains).await
    }
}

#[async_trait]
impl<K: Keep> DirectoryWrite for LocalDirectory<K> {
    async fn add_domain(&self, domain: &Domain, kind: DomainKind) -> Result<(), DirectoryError> {
        if matches!(kind, DomainKind::Alias { .. }) {
            return Err(DirectoryError::Unsupported("serve alias domains"));
        }
        self.change(Change::AddDomain(DomainRecord {
            domain: domain.clone(),
            kind,
        }))
        .await
    }

    async fn remove_domain(&self, domain: &Domain) -> Result<(), DirectoryError> {
        let key = domain.to_ascii().unwrap_or_else(|_| domain.clone());
        self.change(Change::RemoveDomain(key)).await
    }

    async fn add_account(
        &self,
        address: &Address,
        password: &Secret,
    ) -> Result<AccountId, DirectoryError> {
        let address = key(address);
        let id = AccountId::new(&address.to_string());
        let hash = self.passwords().hash(password).await?;
        let record = AccountRecord::new(id.clone(), address);
        self.change(Change::AddAccount(record, hash)).await?;
        Ok(id)
    }

    async fn remove_account(&self, address: &Address) -> Result<(), DirectoryError> {
        self.change(Change::RemoveAccount(key(address))).await
    }

    async fn set_password(
        &self,
        address: &Address,
        password: &Secret,
    ) -> Result<(), DirectoryError> {
        let hash = self.passwords().hash(password).await?;
        self.change(Change::SetPassword(key(address), hash)).await
    }

    async fn add_alias(&self, alias: &Address, targets: &[Address]) -> Result<(), DirectoryError> {
        self.change(Change::AddAlias(key(alias), targets.into()))
            .await
    }

    async fn remove_alias(&self, alias: &Address) -> Result<(), DirectoryError> {
        self.change(Change::RemoveAlias(key(alias))).await
    }

    async fn accounts(
        &self,
        domain: Option<&Domain>,
    ) -> Result<Vec<AccountSummary>, DirectoryError> {
        let records = self.read(|table| table.accounts(domain)).await?;
        Ok(records
            .into_iter()
            .map(|account| AccountSummary { account })
            .collect())
    }

    async fn aliases(&self) -> Result<Vec<(Address, Vec<Address>)>, DirectoryError> {
        self.read(Table::aliases).await
    }
}
