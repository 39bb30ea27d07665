//! [`LocalDirectory`]: the directory seams over one [`Table`], written through
//! to a [`Keep`].

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use mailcore::account::{AccountId, Secret};
use mailcore::address::{Address, Domain};
use mailcore::seams::{
    AccountRecord, Clock, Directory, DirectoryError, DirectoryWrite, DomainKind, DomainRecord,
    Entropy, Groups, Lists, OsEntropy, Resolution, Scripts, SecondFactors, Secrets, Settings,
    SharedSecret, SystemClock,
};
use mailcore::time::Monotonic;
use tokio::sync::watch;

use super::keep::{Change, Damage, Keep, Nowhere, Opened, Section};
use super::passwords::{PasswordHashing, Passwords};
use super::scripts::ScriptLimits;
use super::seal::{Sealer, StoreKey};
use super::second_factor::{CodeLogin, WrongCodes};
use super::table::Table;

/// How often changes by other processes are looked for.
const REFRESH_EVERY: Duration = Duration::from_secs(1);

/// A directory in memory.
pub type MemoryDirectory = LocalDirectory<Nowhere>;

/// Directory and authenticator on this host.
///
/// Reads are answered from memory. A write is checked, kept and then seen, all
/// three even when its future is dropped; writes happen one at a time. Clones
/// share one directory.
pub struct LocalDirectory<K> {
    shared: Arc<Shared<K>>,
    default_domain: Option<Domain>,
    script_limits: ScriptLimits,
    store_key: Option<StoreKey>,
    code_login: CodeLogin,
}

struct Shared<K> {
    table: RwLock<Table>,
    keep: Mutex<K>,
    passwords: Passwords,
    wrong_codes: WrongCodes,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    next_refresh: Mutex<Monotonic>,
    /// Changes with every change of settings, or of what others may have
    /// changed of them.
    settings: watch::Sender<u64>,
    /// The same of scripts.
    scripts: watch::Sender<u64>,
}

impl<K> Clone for LocalDirectory<K> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            default_domain: self.default_domain.clone(),
            script_limits: self.script_limits,
            store_key: self.store_key.clone(),
            code_login: self.code_login,
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
        table.tell_damage(&[]);
        let next_refresh = clock.monotonic().after(REFRESH_EVERY);
        Ok(Self {
            shared: Arc::new(Shared {
                table: RwLock::new(table),
                keep: Mutex::new(keep),
                passwords: Passwords::new(hashing, Arc::clone(&clock), Arc::clone(&entropy))?,
                wrong_codes: WrongCodes::default(),
                clock,
                entropy,
                next_refresh: Mutex::new(next_refresh),
                settings: watch::Sender::new(0),
                scripts: watch::Sender::new(0),
            }),
            default_domain: None,
            script_limits: ScriptLimits::default(),
            store_key: None,
            code_login: CodeLogin::default(),
        })
    }

    /// With the domain that a login without one means, instead of the local
    /// domain made first.
    #[must_use]
    pub fn with_default_domain(mut self, domain: Domain) -> Self {
        self.default_domain = Some(domain);
        self
    }

    /// With other limits for scripts and rule sets.
    #[must_use]
    pub fn with_script_limits(mut self, limits: ScriptLimits) -> Self {
        self.script_limits = limits;
        self
    }

    /// With the key that secrets are encrypted with; without one none are kept.
    #[must_use]
    pub fn with_store_key(mut self, key: StoreKey) -> Self {
        self.store_key = Some(key);
        self
    }

    /// With another way for accounts with a second factor to log in by mail
    /// protocols.
    #[must_use]
    pub fn with_code_login(mut self, code_login: CodeLogin) -> Self {
        self.code_login = code_login;
        self
    }

    /// What opening it came upon, and what of it is damaged now.
    pub fn opened(&self) -> Opened {
        let mut opened = self.shared.keep().opened();
        opened.damage.clone_from(&self.shared.table().damage);
        opened
    }

    pub(super) fn configured_default_domain(&self) -> Option<&Domain> {
        self.default_domain.as_ref()
    }

    pub(super) fn script_limits(&self) -> ScriptLimits {
        self.script_limits
    }

    pub(super) fn store_key(&self) -> Option<&StoreKey> {
        self.store_key.as_ref()
    }

    pub(super) fn code_login(&self) -> CodeLogin {
        self.code_login
    }

    pub(super) fn wrong_codes(&self) -> &WrongCodes {
        &self.shared.wrong_codes
    }

    pub(super) fn passwords(&self) -> &Passwords {
        &self.shared.passwords
    }

    pub(super) fn clock(&self) -> &dyn Clock {
        &*self.shared.clock
    }

    pub(super) fn entropy(&self) -> &dyn Entropy {
        &*self.shared.entropy
    }

    /// The shared secrets that some account has.
    pub(super) fn shared_secret_kinds(&self) -> Vec<SharedSecret> {
        let counts = &self.shared.table().shared_secrets;
        let held = SharedSecret::ALL.into_iter();
        held.filter(|it| counts.get(it).is_some_and(|count| *count > 0))
            .collect()
    }

    /// What encrypts, for work elsewhere; `None` without a key.
    pub(super) fn sealer(&self) -> Option<Sealer> {
        let key = self.store_key.clone()?;
        Some(Sealer::new(key, Arc::clone(&self.shared.entropy)))
    }

    pub(super) fn settings_changes(&self) -> watch::Receiver<u64> {
        self.shared.settings.subscribe()
    }

    pub(super) fn script_changes(&self) -> watch::Receiver<u64> {
        self.shared.scripts.subscribe()
    }

    /// Reads the table, after looking for others' changes when it is time to.
    /// The lock is held for `look` alone.
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

    /// Makes the changes that `rule` asks for, all or none, and returns what
    /// else it says. The rule sees the newest table.
    pub(super) async fn change<T: Send + 'static>(
        &self,
        rule: impl FnOnce(&Table) -> Result<(Vec<Change>, T), DirectoryError> + Send + 'static,
    ) -> Result<T, DirectoryError> {
        self.blocking(move |shared| {
            let mut keep = shared.keep();
            shared.refresh(&mut keep)?;
            let (changes, said) = {
                let table = shared.table();
                let (changes, said) = rule(&table)?;
                for change in &changes {
                    table.check_writable(change.section())?;
                }
                (changes, said)
            };
            if !changes.is_empty() {
                keep.save(&changes)?;
                shared.apply(changes);
            }
            Ok(said)
        })
        .await
    }

    /// Runs `work` on what is kept, where blocking is allowed.
    pub(super) async fn with_keep<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut K) -> Result<T, DirectoryError> + Send + 'static,
    ) -> Result<T, DirectoryError> {
        self.blocking(move |shared| work(&mut shared.keep())).await
    }

    /// Runs `work` where blocking is allowed; it completes even when this
    /// future is dropped.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Shared<K>) -> Result<T, DirectoryError> + Send + 'static,
    ) -> Result<T, DirectoryError> {
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
            table.tell_damage(&self.table().damage);
            // What is dropped is dropped outside of the lock.
            let _before = std::mem::replace(&mut *self.table_mut(), table);
            self.settings.send_modify(|version| *version += 1);
            self.scripts.send_modify(|version| *version += 1);
        }
        Ok(())
    }

    fn apply(&self, changes: Vec<Change>) {
        let (mut settings, mut scripts) = (false, false);
        let mut table = self.table_mut();
        for change in changes {
            // What comes or goes takes along what was set for it, and its scripts.
            let section = change.section();
            settings |= matches!(section, Section::Settings | Section::Domains);
            scripts |= matches!(
                section,
                Section::Scripts | Section::Domains | Section::Accounts
            );
            let script = match &change {
                Change::PutScript(key, text) if K::HOLDS_SCRIPTS => {
                    Some((key.clone(), text.len() as u64))
                }
                _ => None,
            };
            match script {
                Some((key, size)) => table.put_script(key, None, size),
                None => table.apply(change),
            }
        }
        drop(table);
        if settings {
            self.settings.send_modify(|version| *version += 1);
        }
        if scripts {
            self.scripts.send_modify(|version| *version += 1);
        }
    }
}

impl Table {
    /// Logs what is damaged and was not so before.
    fn tell_damage(&self, before: &[Damage]) {
        for damage in self.damage.iter().filter(|it| !before.contains(it)) {
            tracing::error!("{damage}");
        }
    }
}

#[async_trait]
impl<K: Keep> Directory for LocalDirectory<K> {
    async fn domain(&self, domain: &Domain) -> Result<Option<DomainRecord>, DirectoryError> {
        self.read(|table| match table.served(domain) {
            Some(served) => Ok(Some(served.record.clone())),
            None => table.check_complete(Section::Domains).map(|()| None),
        })
        .await?
    }

    async fn resolve(&self, address: &Address) -> Result<Resolution, DirectoryError> {
        self.read(|table| match table.listed(address) {
            // Some of its targets may be missing.
            Some(alias @ Resolution::Alias(_)) => {
                table.check_writable(Section::Aliases).map(|()| alias)
            }
            Some(found) if found != Resolution::Unknown => Ok(found),
            unknown => {
                // Nor may a pattern take what is another's and can't be read.
                table.check_names()?;
                let found = unknown.or_else(|| table.by_pattern(address));
                Ok(found.unwrap_or(Resolution::Unknown))
            }
        })
        .await?
    }

    async fn account(&self, id: &AccountId) -> Result<Option<AccountRecord>, DirectoryError> {
        self.read(|table| match table.account_by_id(id) {
            Some(account) => Ok(Some(account.row.record.clone())),
            None => table.check_complete(Section::Accounts).map(|()| None),
        })
        .await?
    }

    async fn may_send_as(&self, id: &AccountId, address: &Address) -> Result<bool, DirectoryError> {
        self.read(|table| match table.may_send_as(id, address) {
            true => Ok(true),
            false => table.check_names().map(|()| false),
        })
        .await?
    }

    async fn domains(&self) -> Result<Vec<DomainRecord>, DirectoryError> {
        self.read(Table::domains).await
    }

    async fn may_administer(
        &self,
        actor: &AccountId,
        domain: &Domain,
    ) -> Result<bool, DirectoryError> {
        self.read(|table| table.may_administer(actor, domain)).await
    }

    fn lists(&self) -> Option<&dyn Lists> {
        Some(self)
    }

    fn groups(&self) -> Option<&dyn Groups> {
        Some(self)
    }

    fn settings(&self) -> Option<&dyn Settings> {
        Some(self)
    }

    fn scripts(&self) -> Option<&dyn Scripts> {
        Some(self)
    }

    fn secrets(&self) -> Option<&dyn Secrets> {
        Some(self)
    }

    fn second_factors(&self) -> Option<&dyn SecondFactors> {
        Some(self)
    }
}
