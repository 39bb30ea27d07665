//! Password hashes: made (argon2id in PHC form) and checked off the runtime's
//! threads, a bounded number and a bounded amount of memory at a time.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use argon2::Params;
use mailcore::account::Secret;
use mailcore::address::Address;
use mailcore::sasl::MIN_ITERATIONS;
use mailcore::seams::{Clock, DirectoryError, Entropy};
use mailcore::time::Monotonic;
use subtle::ConstantTimeEq;
use tokio::sync::Semaphore;

use super::argon;
use super::hashes::Stored;

/// Octets allowed in a password.
const MAX_PASSWORD: usize = 1024;
/// Hashes computed at the same time by default, at most.
const MOST_AT_ONCE: usize = 4;
/// Checks that may wait for their turn; more are turned away at once.
const MAX_WAITING: usize = 512;

/// How passwords are hashed, and how many at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct PasswordHashing {
    /// Memory for one hash, in KiB.
    pub memory_kib: u32,
    /// Passes over that memory.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
    /// Hashes computed at the same time: with `memory_kib`, the bound on what
    /// guessing can cost. One by another server that takes more memory counts
    /// as several.
    pub at_once: usize,
    /// How long a password that was right is known without hashing it again;
    /// zero for never. A new password ends it.
    pub remember_for: Duration,
    /// How many accounts' passwords are so known.
    pub remember: usize,
    /// Rounds for SCRAM's keys, 4,096 at least (RFC 7677 section 4). They are
    /// encrypted, and a client has the same work at each login.
    pub scram_iterations: u32,
}

impl Default for PasswordHashing {
    /// 19 MiB and two passes: what OWASP's Password Storage Cheat Sheet asks
    /// of argon2id. As many at once as there are processors, which more would
    /// not make faster, and four at most: 76 MiB.
    fn default() -> Self {
        Self {
            memory_kib: 19_456,
            passes: 2,
            lanes: 1,
            at_once: std::thread::available_parallelism()
                .map_or(MOST_AT_ONCE, |cpus| cpus.get().min(MOST_AT_ONCE)),
            remember_for: Duration::from_secs(300),
            remember: 10_000,
            scram_iterations: 15_000,
        }
    }
}

impl PasswordHashing {
    /// Hashes that protect nothing and cost nothing.
    pub fn fast_for_tests() -> Self {
        Self {
            memory_kib: 8,
            passes: 1,
            scram_iterations: MIN_ITERATIONS,
            ..Self::default()
        }
    }
}

/// Makes and checks hashes.
pub(super) struct Passwords {
    hashing: PasswordHashing,
    params: Params,
    /// Checked in place of an unknown user's.
    nobody: Arc<str>,
    working: Arc<Semaphore>,
    waiting: Semaphore,
    known: Mutex<HashMap<Address, Known>>,
    /// Drawn for this process, so that what is known is worth nothing outside
    /// it.
    key: [u8; blake3::KEY_LEN],
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

/// That a password was right.
struct Known {
    /// Keyed hash of the PHC string and the password: a new PHC string makes
    /// it false.
    tag: [u8; blake3::OUT_LEN],
    until: Monotonic,
}

/// Why a password could not be checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CheckError {
    /// It is wrong.
    Wrong,
    /// Too many are being checked.
    Busy,
}

impl fmt::Debug for Passwords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Passwords")
            .field("hashing", &self.hashing)
            .finish_non_exhaustive()
    }
}

impl Passwords {
    pub(super) fn new(
        hashing: PasswordHashing,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, DirectoryError> {
        let params = Params::new(hashing.memory_kib, hashing.passes, hashing.lanes, None)
            .map_err(|error| DirectoryError::Invalid(format!("password hashing: {error}")))?;
        let mut key = [0; blake3::KEY_LEN];
        entropy.fill(&mut key);
        let (mut nobody, mut salt) = ([0; 16], [0; 16]);
        entropy.fill(&mut nobody);
        entropy.fill(&mut salt);
        let nobody = hash(&params, &nobody, &salt)?;
        Ok(Self {
            hashing,
            params,
            nobody,
            working: Arc::new(Semaphore::new(hashing.at_once.max(1))),
            waiting: Semaphore::new(MAX_WAITING),
            known: Mutex::new(HashMap::new()),
            key,
            clock,
            entropy,
        })
    }

    /// The hash of a new password.
    pub(super) async fn hash(&self, password: &Secret) -> Result<Arc<str>, DirectoryError> {
        if password.expose().is_empty() {
            return Err(DirectoryError::Invalid("the password is empty".into()));
        }
        if password.expose().len() > MAX_PASSWORD {
            return Err(DirectoryError::Invalid(format!(
                "the password is longer than {MAX_PASSWORD} octets"
            )));
        }
        let mut salt = [0; 16];
        self.entropy.fill(&mut salt);
        let (params, password) = (self.params.clone(), password.clone());
        let memory = self.hashing.memory_kib;
        self.blocking(memory, move || hash(&params, password.expose(), &salt))
            .await
            .ok_or_else(too_busy)?
    }

    pub(super) fn scram_iterations(&self) -> u32 {
        self.hashing.scram_iterations.max(MIN_ITERATIONS)
    }

    /// True when a hash is one that would be made today.
    pub(super) fn is_current(&self, hash: &str) -> bool {
        argon::is_made_with(&self.params, hash)
    }

    /// Checks a password against an account's hash, or against nobody's, which
    /// takes as long and is always wrong.
    pub(super) async fn check(
        &self,
        account: Option<(&Address, Arc<str>)>,
        password: &Secret,
    ) -> Result<(), CheckError> {
        let known_as = account.as_ref().map(|(address, phc)| {
            let tag = self.tag(phc, password);
            ((*address).clone(), tag)
        });
        if let Some((address, tag)) = &known_as
            && self.knows(address, tag)
        {
            return Ok(());
        }
        let right_one = account.is_some();
        let hash = account.map_or_else(|| Arc::clone(&self.nobody), |(_, hash)| hash);
        let stored = Stored::parse(&hash).ok();
        let memory = stored.as_ref().map_or(0, Stored::memory_kib);
        // Those of other servers may take next to no time, from which a stranger
        // could tell that there is such an account.
        let nobody = (!self.is_current(&hash)).then(|| Arc::clone(&self.nobody));
        let password = password.clone();
        let matches = self
            .blocking(memory, move || {
                let is_right = verify(stored.as_ref(), password.expose());
                if let (false, Some(nobody)) = (is_right, nobody) {
                    verify(Stored::parse(&nobody).ok().as_ref(), password.expose());
                }
                is_right
            })
            .await
            .ok_or(CheckError::Busy)?;
        if !(matches && right_one) {
            return Err(CheckError::Wrong);
        }
        if let Some((address, tag)) = known_as {
            self.remember(address, tag);
        }
        Ok(())
    }

    /// Runs one hash that takes so much memory. `None` when too many wait. The
    /// job keeps its permits to its end even when its future is dropped, so
    /// that hanging up buys nobody more than `at_once`.
    pub(super) async fn blocking<T: Send + 'static>(
        &self,
        memory_kib: u32,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let _waiting = self.waiting.try_acquire().ok()?;
        let most = u32::try_from(self.hashing.at_once.max(1)).unwrap_or(u32::MAX);
        let places = memory_kib.div_ceil(self.hashing.memory_kib.max(1));
        let permit = Arc::clone(&self.working)
            .acquire_many_owned(places.clamp(1, most))
            .await
            .ok()?;
        tokio::task::spawn_blocking(move || {
            let _permit = permit;
            work()
        })
        .await
        .ok()
    }

    fn tag(&self, phc: &str, password: &Secret) -> [u8; blake3::OUT_LEN] {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(phc.as_bytes());
        hasher.update(&[0]);
        hasher.update(password.expose());
        *hasher.finalize().as_bytes()
    }

    fn knows(&self, address: &Address, tag: &[u8; blake3::OUT_LEN]) -> bool {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(address).is_some_and(|known| {
            known.until > self.clock.monotonic() && bool::from(known.tag.ct_eq(tag))
        })
    }

    fn remember(&self, address: Address, tag: [u8; blake3::OUT_LEN]) {
        if self.hashing.remember_for.is_zero() || self.hashing.remember == 0 {
            return;
        }
        let now = self.clock.monotonic();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= self.hashing.remember && !known.contains_key(&address) {
            known.retain(|_, it| it.until > now);
            if known.len() >= self.hashing.remember {
                known.clear();
            }
        }
        let until = now.after(self.hashing.remember_for);
        known.insert(address, Known { tag, until });
    }
}

pub(super) fn too_busy() -> DirectoryError {
    DirectoryError::Unavailable("too many passwords are being hashed; try again".into())
}

fn hash(params: &Params, password: &[u8], salt: &[u8]) -> Result<Arc<str>, DirectoryError> {
    argon::hash(params, password, salt)
        .map(Into::into)
        .ok_or_else(|| DirectoryError::Invalid("the password can't be hashed".into()))
}

fn verify(stored: Option<&Stored>, password: &[u8]) -> bool {
    // A longer password can't be right, and is not worth more work.
    let tried = password.get(..MAX_PASSWORD).unwrap_or(password);
    stored.is_some_and(|it| it.matches(tried)) && password.len() <= MAX_PASSWORD
}
