//! [`MaildropHost`]: answers a session's questions from the [`Authenticator`]
//! and the [`Storage`].

use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use mailcore::account::{AccountId, Identity};
use mailcore::batch::StateChange;
use mailcore::event::SessionEvents;
use mailcore::mailbox::{MailboxName, Uid, UidSet};
use mailcore::message::{Message, READ_CHUNK};
use mailcore::net::Host;
use mailcore::sasl::{Finding, Inquiry};
use mailcore::seams::{
    AuthError, Authenticator, Clock, Directory, Mailbox, State, StateKey, Storage, StoreError,
};
use mailcore::server::{Hold, Holds};

use super::PROTOCOL;
use super::folder::{Folders, chosen, split_login};
use super::read_ahead::ReadAhead;
use crate::maildrop::Maildrop;
use crate::session::{Answer, LoginRefusal, Question, ReadFailure, Session, UpdateOutcome};

/// Rows looked up at a time: a folder's rows are never in memory together.
const ROWS: usize = 4_096;

/// Where maildrops come from.
#[derive(Debug)]
pub(super) struct Maildrops {
    pub(super) storage: Arc<dyn Storage>,
    pub(super) state: Arc<dyn State>,
    pub(super) directory: Option<Arc<dyn Directory>>,
    pub(super) clock: Arc<dyn Clock>,
    /// Which of them a session has open.
    pub(super) holds: Holds,
    pub(super) folders: Folders,
    pub(super) max_messages: usize,
    pub(super) login_delay: Duration,
    pub(super) read_ahead: u64,
}

/// The half of one session that may wait.
#[derive(Debug)]
pub(super) struct MaildropHost {
    maildrops: Arc<Maildrops>,
    authenticator: Arc<dyn Authenticator>,
    /// Tells who logged in.
    events: SessionEvents,
    peer: Option<SocketAddr>,
    /// The folder that the login named.
    folder: Option<String>,
    open: Option<Open>,
}

/// A maildrop in use.
#[derive(Debug)]
struct Open {
    mailbox: Arc<dyn Mailbox>,
    /// The message being read: looked up once, read in pieces.
    reading: Option<(Uid, Message)>,
    ahead: ReadAhead,
    _hold: Hold,
}

#[async_trait]
impl Host<Session> for MaildropHost {
    async fn answer(&mut self, question: Question) -> Answer {
        match question {
            Question::Ask(inquiry) => Answer::Found(self.ask(inquiry).await),
            Question::Open(identity) => Answer::Opened(self.open(identity).await),
            Question::Read { uid, from } => Answer::Read(self.read(uid, from).await),
            Question::Update { deleted } => Answer::Update(self.update(&deleted).await),
        }
    }
}

impl MaildropHost {
    pub(super) fn new(
        maildrops: Arc<Maildrops>,
        authenticator: Arc<dyn Authenticator>,
        events: SessionEvents,
        peer: Option<SocketAddr>,
    ) -> Self {
        Self {
            maildrops,
            authenticator,
            events,
            peer,
            folder: None,
            open: None,
        }
    }

    async fn ask(&mut self, mut inquiry: Inquiry) -> Result<Finding, AuthError> {
        let login = match &mut inquiry {
            Inquiry::Credentials(request) | Inquiry::Disproved(request) => &mut request.login,
            Inquiry::Authenticate(request) => &mut request.login,
            _ => return Err(AuthError::Invalid),
        };
        (*login, self.folder) = split_login(self.maildrops.folders, login);
        let found = inquiry.put_to(&*self.authenticator).await;
        if let Err(error) = &found {
            tracing::info!(peer = self.peer(), %error, "POP3 login refused");
            self.events.refused(error);
        }
        found
    }

    async fn open(&mut self, identity: Identity) -> Result<Maildrop, LoginRefusal> {
        let folder = self.folder.take();
        let opened = self.maildrops.open(&identity.account, folder).await;
        let (open, maildrop) = opened?;
        tracing::info!(peer = self.peer(), login = %identity.login, "POP3 login");
        self.events.logged_in(&identity);
        self.open = Some(open);
        Ok(maildrop)
    }

    /// The other end, for the log.
    fn peer(&self) -> Option<tracing::field::DisplayValue<SocketAddr>> {
        self.peer.map(tracing::field::display)
    }

    async fn read(&mut self, uid: Uid, from: u64) -> Result<Bytes, ReadFailure> {
        let Some(open) = &mut self.open else {
            return Err(ReadFailure::Unavailable);
        };
        open.read(uid, from..from.saturating_add(READ_CHUNK as u64))
            .await
            .map_err(|error| match error {
                StoreError::NotFound | StoreError::NoSuchMailbox => ReadFailure::Gone,
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
    /// the reply. Those that another client removed meanwhile are gone, which is
    /// what was asked for.
    async fn update(&mut self, deleted: &UidSet) -> UpdateOutcome {
        let Some(open) = self.open.take() else {
            return UpdateOutcome::Incomplete;
        };
        if deleted.is_empty() {
            return UpdateOutcome::Removed;
        }
        match open.mailbox.remove(deleted).await {
            Ok(_) | Err(StoreError::NoSuchMailbox) => UpdateOutcome::Removed,
            Err(error) => {
                tracing::warn!(%error, "can't remove messages");
                UpdateOutcome::Incomplete
            }
        }
    }
}

impl Maildrops {
    async fn open(
        &self,
        account: &AccountId,
        folder: Option<String>,
    ) -> Result<(Open, Maildrop), LoginRefusal> {
        let name = match folder {
            Some(name) => MailboxName::parse(&name).map_err(|_| LoginRefusal::NoFolder)?,
            None => chosen(self.directory.as_deref(), account).await,
        };
        // A folder's name may hold anything, an account's id no space.
        let held = format!("{PROTOCOL} {account} {name}");
        let hold = self.holds.take(&held).ok_or(LoginRefusal::InUse)?;
        let opened = self.list(account, &name, hold).await;
        opened.map_err(|error| match error {
            OpenError::Refused(refusal) => refusal,
            OpenError::Store(StoreError::NoSuchMailbox) => LoginRefusal::NoFolder,
            OpenError::Store(error) => {
                tracing::warn!(%account, %error, "can't open the maildrop");
                LoginRefusal::Unavailable
            }
        })
    }

    async fn list(
        &self,
        account: &AccountId,
        name: &MailboxName,
        hold: Hold,
    ) -> Result<(Open, Maildrop), OpenError> {
        let mailbox = self.storage.open(account, name).await?;
        self.wait_enough(account).await?;
        let uid_validity = mailbox.status().await?.uid_validity;
        let uids = mailbox.uids().await?;
        let mut sizes = Vec::new();
        let known: Vec<Uid> = uids.iter().take(self.max_messages).collect();
        for uids in known.chunks(ROWS) {
            let (Some(first), Some(last)) = (uids.first(), uids.last()) else {
                continue;
            };
            let rows = mailbox.messages(&UidSet::range(*first, *last)).await?;
            sizes.extend(rows.iter().map(|row| (row.uid, row.size)));
        }
        let maildrop = Maildrop::new(uid_validity, sizes);
        let open = Open {
            mailbox,
            reading: None,
            ahead: ReadAhead::new(Arc::clone(maildrop.entries()), self.read_ahead),
            _hold: hold,
        };
        Ok((open, maildrop))
    }

    /// Notes that the account logged in, unless that is too soon (RFC
    /// 2449 section 6.5). Kept in the store, so that all services and the next
    /// start of the server know.
    async fn wait_enough(&self, account: &AccountId) -> Result<(), OpenError> {
        let seconds = self.login_delay.as_millis().div_ceil(1000);
        let delay = Duration::from_secs(u64::try_from(seconds).unwrap_or(u64::MAX));
        if delay.is_zero() {
            return Ok(());
        }
        let key = StateKey::new("pop3-login", account.as_str());
        if self.state.read(&key).await?.is_some() {
            return Err(OpenError::Refused(LoginRefusal::TooSoon));
        }
        let expires = Some(self.clock.now().after(delay));
        let note = StateChange::Put {
            key,
            value: Vec::new(),
            expires,
        };
        self.state.change(vec![note]).await?;
        Ok(())
    }
}

/// Why a maildrop is not opened.
#[derive(Debug)]
enum OpenError {
    Refused(LoginRefusal),
    Store(StoreError),
}

impl From<StoreError> for OpenError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Open {
    async fn read(&mut self, uid: Uid, range: Range<u64>) -> Result<Bytes, StoreError> {
        let message = match &self.reading {
            Some((open, message)) if *open == uid => message,
            _ => {
                if range.start == 0
                    && let Some(octets) = self.ahead.take(&*self.mailbox, uid).await
                {
                    return Ok(octets);
                }
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
}
