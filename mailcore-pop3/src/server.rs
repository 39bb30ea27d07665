//! The service: answers a [`Session`]'s questions from the
//! [`Authenticator`] and the [`Storage`], and lets one session at a time hold
//! an account's maildrop (RFC 1939 section 4).
//!
//! The maildrop is the account's INBOX. Other readers of that mailbox (IMAP)
//! are not locked out: a message that they remove is reported when it is asked
//! for.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use mailcore::account::AccountId;
use mailcore::event::{Recorder, SessionEvents};
use mailcore::mailbox::{FlagChange, MailboxName, SystemFlag, Uid, UidSet};
use mailcore::message::{Message, READ_CHUNK};
use mailcore::net::{Connection, Ending, Host, Service, drive};
use mailcore::sasl::Claim;
use mailcore::seams::{AuthError, AuthRequest, Authenticator, Mailbox, Storage, StoreError};
use mailcore::server::{IntoService, Parts, StartError};

use crate::maildrop::Maildrop;
use crate::session::{
    Answer, LoginRefusal, PlaintextLogin, Question, ReadFailure, Session, SessionConfig, Transport,
    UpdateOutcome,
};

const PROTOCOL: &str = "pop3";

/// A POP3 service to be given to a server's builder.
///
/// A maildrop is held by one session at a time (RFC 1939 section 4). Listeners
/// that serve the same mail must share who holds which: give each a clone of
/// one value.
#[derive(Debug, Clone)]
pub struct Pop3 {
    plaintext_login: PlaintextLogin,
    idle_timeout: Option<Duration>,
    locks: Arc<Locks>,
}

impl Pop3 {
    /// POP3 with passwords within TLS only.
    pub fn new() -> Self {
        Self {
            plaintext_login: PlaintextLogin::default(),
            idle_timeout: None,
            locks: Arc::default(),
        }
    }

    /// Where passwords may be sent in clear.
    #[must_use]
    pub fn plaintext_login(mut self, policy: PlaintextLogin) -> Self {
        self.plaintext_login = policy;
        self
    }

    /// Time without a command until a connection is closed; not under the 10
    /// minutes that RFC 1939 section 3 asks for.
    #[must_use]
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.idle_timeout = Some(timeout);
        self
    }
}

impl Default for Pop3 {
    fn default() -> Self {
        Self::new()
    }
}

impl IntoService for Pop3 {
    fn into_service(self: Box<Self>, parts: &Parts) -> Result<Arc<dyn Service>, StartError> {
        let mut config = SessionConfig::new(parts.hostname().clone());
        config.plaintext_login = self.plaintext_login;
        if let Some(timeout) = self.idle_timeout {
            config.idle_timeout = timeout.max(config.idle_timeout);
        }
        Ok(Arc::new(Pop3Service {
            config,
            storage: parts.storage()?,
            authenticator: parts.authenticator()?,
            locks: self.locks,
            recorder: parts.recorder(),
        }))
    }
}

#[derive(Debug)]
struct Pop3Service {
    config: SessionConfig,
    storage: Arc<dyn Storage>,
    authenticator: Arc<dyn Authenticator>,
    locks: Arc<Locks>,
    recorder: Recorder,
}

#[async_trait]
impl Service for Pop3Service {
    fn protocol(&self) -> &'static str {
        PROTOCOL
    }

    async fn serve(&self, connection: Connection) {
        let transport = if connection.is_private() {
            Transport::Tls
        } else if connection.offers_starttls() {
            Transport::Starttls
        } else {
            Transport::Plain
        };
        let mut config = self.config.clone();
        if connection.is_private() {
            config.plaintext_login = PlaintextLogin::Anywhere;
        }
        let peer = connection.peer;
        let host = MaildropHost {
            storage: Arc::clone(&self.storage),
            authenticator: Arc::clone(&self.authenticator),
            locks: Arc::clone(&self.locks),
            events: SessionEvents::new(
                self.recorder.clone(),
                PROTOCOL,
                peer,
                connection.meter.clone(),
            ),
            peer,
            open: None,
        };
        let session = Session::new(config, transport);
        match drive(session, host, connection).await {
            Ending::Closed => {}
            ending => tracing::debug!(?peer, ?ending, "POP3 connection ended"),
        }
    }

    fn busy(&self) -> &'static [u8] {
        b"-ERR [SYS/TEMP] too many connections, try again later\r\n"
    }
}

/// The accounts whose maildrop a session holds.
#[derive(Debug, Default)]
struct Locks(Mutex<HashSet<AccountId>>);

/// A held maildrop, given back when dropped.
#[derive(Debug)]
struct Lock {
    locks: Arc<Locks>,
    account: AccountId,
}

impl Locks {
    fn take(self: &Arc<Self>, account: &AccountId) -> Option<Lock> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.insert(account.clone()).then(|| Lock {
            locks: Arc::clone(self),
            account: account.clone(),
        })
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let mut held = self.locks.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.remove(&self.account);
    }
}

/// The half of one session that may wait.
#[derive(Debug)]
struct MaildropHost {
    storage: Arc<dyn Storage>,
    authenticator: Arc<dyn Authenticator>,
    locks: Arc<Locks>,
    /// Tells who logged in.
    events: SessionEvents,
    peer: Option<std::net::SocketAddr>,
    open: Option<Open>,
}

/// A maildrop in use.
#[derive(Debug)]
struct Open {
    mailbox: Arc<dyn Mailbox>,
    /// The message being read: looked up once, read in pieces.
    reading: Option<(Uid, Message)>,
    _lock: Lock,
}

#[async_trait]
impl Host<Session> for MaildropHost {
    async fn answer(&mut self, question: Question) -> Answer {
        match question {
            Question::Login(credentials) => Answer::Login(self.login(credentials).await),
            Question::Read { uid, from } => Answer::Read(self.read(uid, from).await),
            Question::Update { deleted } => Answer::Update(self.update(&deleted).await),
        }
    }
}

impl MaildropHost {
    async fn login(&mut self, credentials: Claim) -> Result<Maildrop, LoginRefusal> {
        let request = AuthRequest {
            login: credentials.login,
            proof: credentials.proof,
            peer: self.peer.map(|peer| peer.ip()),
            protocol: PROTOCOL,
        };
        let identity = match self.authenticator.authenticate(&request).await {
            Ok(identity) => identity,
            Err(error) => {
                tracing::info!(peer = self.peer(), %error, "POP3 login refused");
                self.events.refused(&error);
                return Err(refusal(&error));
            }
        };
        let lock = self
            .locks
            .take(&identity.account)
            .ok_or(LoginRefusal::InUse)?;
        match self.open(&identity.account, lock).await {
            Ok(maildrop) => {
                tracing::info!(peer = self.peer(), login = %identity.login, "POP3 login");
                self.events.logged_in(&identity);
                Ok(maildrop)
            }
            Err(error) => {
                tracing::warn!(account = %identity.account, %error, "can't open the maildrop");
                Err(LoginRefusal::Unavailable)
            }
        }
    }

    /// The other end, for the log.
    fn peer(&self) -> Option<tracing::field::DisplayValue<std::net::SocketAddr>> {
        self.peer.map(tracing::field::display)
    }

    async fn open(&mut self, account: &AccountId, lock: Lock) -> Result<Maildrop, StoreError> {
        let mailbox = self.storage.open(account, &MailboxName::inbox()).await?;
        let uid_validity = mailbox.status().await?.uid_validity;
        let messages = mailbox.messages(&UidSet::all()).await?;
        self.open = Some(Open {
            mailbox,
            reading: None,
            _lock: lock,
        });
        let sizes = messages.iter().map(|message| (message.uid, message.size));
        Ok(Maildrop::new(uid_validity, sizes))
    }

    async fn read(&mut self, uid: Uid, from: u64) -> Result<Bytes, ReadFailure> {
        let Some(open) = &mut self.open else {
            return Err(ReadFailure::Unavailable);
        };
        open.read(uid, from..from.saturating_add(READ_CHUNK as u64))
            .await
            .map_err(|error| match error {
                StoreError::NotFound => ReadFailure::Gone,
                error => {
                    tracing::warn!(%uid, %error, "can't read a message");
                    match error {
                        StoreError::Damaged(_) => ReadFailure::Damaged,
                        _ => ReadFailure::Unavailable,
                    }
                }
            })
    }

    /// Removes and unlocks, so that the maildrop is free when the client reads
    /// the reply.
    async fn update(&mut self, deleted: &UidSet) -> UpdateOutcome {
        let Some(open) = self.open.take() else {
            return UpdateOutcome::Incomplete;
        };
        match open.remove(deleted).await {
            Ok(()) => UpdateOutcome::Removed,
            Err(error) => {
                tracing::warn!(%error, "can't remove messages");
                UpdateOutcome::Incomplete
            }
        }
    }
}

impl Open {
    async fn read(&mut self, uid: Uid, range: Range<u64>) -> Result<Bytes, StoreError> {
        let message = match &self.reading {
            Some((open, message)) if *open == uid => message,
            _ => {
                let message = self.mailbox.message(uid).await?;
                &self.reading.insert((uid, message)).1
            }
        };
        let octets = message.read(range.clone()).await?;
        if range.end >= message.len() {
            self.reading = None;
        }
        Ok(octets)
    }

    /// Those that another client removed meanwhile are gone, which is what was
    /// asked for.
    async fn remove(&self, deleted: &UidSet) -> Result<(), StoreError> {
        if deleted.is_empty() {
            return Ok(());
        }
        let mark = FlagChange::Add([SystemFlag::Deleted].into_iter().collect());
        self.mailbox.store(deleted, &mark, None).await?;
        self.mailbox.expunge(deleted).await?;
        Ok(())
    }
}

fn refusal(error: &AuthError) -> LoginRefusal {
    match error {
        AuthError::Invalid => LoginRefusal::Invalid,
        AuthError::Disabled => LoginRefusal::Disabled,
        AuthError::Throttled => LoginRefusal::Throttled,
        _ => LoginRefusal::Unavailable,
    }
}
