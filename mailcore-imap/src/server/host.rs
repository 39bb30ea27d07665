//! [`SessionHost`]: answers one session's questions.

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use mailcore::account::AccountId;
use mailcore::event::{Recorder, SessionEvents};
use mailcore::intake::Intake;
use mailcore::mailbox::{MailboxId, MailboxName, ModSeq, Rights, Uid, UidSet};
use mailcore::message::Message;
use mailcore::net::{Host, Meter};
use mailcore::sasl::{Finding, Inquiry};
use mailcore::seams::{
    AccountWatch, AuthError, Authenticator, Clock, Commit, Directory, Excerpt, Mailbox,
    MailboxRules, Storage, StoreError, Watch,
};

use super::PROTOCOL;
use super::annotations;
use super::append::Appending;
use super::opening::Moment;
use super::room::Room;
use super::ruled::Ruled;
use crate::session::{Access, Answer, Known, News, Notice, Opened, Question, Session, Watching};

/// Knows who logged in, which mailbox is open, and what APPEND has brought so
/// far.
#[derive(Debug)]
pub struct SessionHost {
    pub(super) storage: Arc<dyn Storage>,
    pub(super) commit: Arc<dyn Commit>,
    authenticator: Arc<dyn Authenticator>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) room: Room,
    /// Tells who logged in.
    events: SessionEvents,
    account: Option<AccountId>,
    /// How it logged in.
    pub(super) login: Arc<str>,
    /// What runs when the client changes a mailbox.
    pub(super) ruled: Option<Ruled>,
    pub(super) open: Option<Open>,
    pub(super) append: Option<Appending>,
    /// Tells that something in the account changed.
    account_watch: Option<AccountWatch>,
}

/// The mailbox a session works on.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) mailbox: Arc<dyn Mailbox>,
    /// What it was called when it was opened.
    pub(super) name: MailboxName,
    pub(super) id: MailboxId,
    watch: Option<Watch>,
    /// The message read last, kept since its octets are asked for in pieces.
    reading: Option<(Uid, Message)>,
}

pub(super) type Answered = Result<Answer, StoreError>;

impl SessionHost {
    /// A host for a session that nobody has logged in to.
    pub fn new(
        storage: Arc<dyn Storage>,
        commit: Arc<dyn Commit>,
        authenticator: Arc<dyn Authenticator>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            events: SessionEvents::new(Recorder::default(), PROTOCOL, None, Meter::default()),
            storage,
            commit,
            authenticator,
            clock,
            room: Room::default(),
            account: None,
            login: "".into(),
            ruled: None,
            open: None,
            append: None,
            account_watch: None,
        }
    }

    /// With its logins told to `events`.
    #[must_use]
    pub fn telling(mut self, events: SessionEvents) -> Self {
        self.events = events;
        self
    }

    /// Holding accounts to the quotas that `directory` has for them; without
    /// one they have none.
    #[must_use]
    pub fn directory(mut self, directory: Arc<dyn Directory>) -> Self {
        self.room = Room::of(directory);
        self
    }

    /// With these rules told of what the client changes, and `intake` to take the
    /// mail that comes of them.
    #[must_use]
    pub fn ruled(mut self, rules: Arc<dyn MailboxRules>, intake: Option<Arc<Intake>>) -> Self {
        self.ruled = Some(Ruled { rules, intake });
        self
    }

    async fn authenticate(&mut self, inquiry: &Inquiry) -> Answer {
        let identity = match inquiry.put_to(&*self.authenticator).await {
            Ok(Finding::Credentials(credentials)) => return Answer::Credentials(credentials),
            Ok(Finding::Identity(identity)) => Ok(identity),
            Ok(_) => Err(AuthError::Invalid),
            Err(error) => Err(error),
        };
        let peer = inquiry.peer().map(tracing::field::display);
        // Names typed at a failed login may be passwords: they are not logged.
        match &identity {
            Ok(identity) => {
                tracing::info!(login = %identity.login, peer, "imap login");
                self.events.logged_in(identity);
                self.account = Some(identity.account.clone());
                self.login = Arc::clone(&identity.login);
            }
            Err(error) => {
                tracing::info!(peer, %error, "imap login failed");
                self.events.refused(error);
            }
        }
        Answer::Identity(identity)
    }

    /// Questions about the account and its mailboxes.
    async fn on_account(&mut self, question: Question) -> Answered {
        let account = self.account.clone().ok_or(StoreError::NoSuchAccount)?;
        let storage = &self.storage;
        match question {
            Question::Now => return Ok(Answer::Now(self.clock.now())),
            Question::Mailboxes => return Ok(Answer::Mailboxes(storage.list(&account).await?)),
            Question::Create { name, special_use } => {
                let id = storage.create(&account, &name, special_use).await?;
                self.forget_rules(&account);
                return Ok(Answer::Created(id));
            }
            Question::Delete(name) => {
                storage.delete(&account, &name).await?;
                annotations::tidy(&**storage, &account).await;
                self.forget_rules(&account);
            }
            question @ Question::Annotations(_) => {
                return annotations::answer(&**storage, &account, question).await;
            }
            question @ Question::Annotate { .. } => {
                let answer = annotations::answer(&**storage, &account, question).await;
                self.forget_rules(&account);
                return answer;
            }
            Question::Rename { from, to } => {
                storage.rename(&account, &from, &to).await?;
                self.forget_rules(&account);
            }
            Question::Subscribe(name) => storage.subscribe(&account, &name).await?,
            Question::Unsubscribe(name) => storage.unsubscribe(&account, &name).await?,
            Question::Status(name) => {
                let mailbox = storage.open(&account, &name).await?;
                return Ok(Answer::Status(mailbox.status().await?));
            }
            Question::MyRights(name) => {
                // Only its owner is shown a mailbox, and an owner may do all
                // there is.
                storage.open(&account, &name).await?;
                return Ok(Answer::Rights(Rights::ALL));
            }
            Question::Open {
                name,
                access,
                known,
            } => return self.open(&account, &name, (access, known)).await,
            Question::WatchAccount(watching) => {
                self.account_watch = match watching {
                    Watching::On => Some(storage.watch_account(&account)),
                    Watching::Off => None,
                };
            }
            Question::Close => self.open = None,
            other => return self.on_append(&account, other).await,
        }
        Ok(Answer::Done)
    }

    async fn open(
        &mut self,
        account: &AccountId,
        name: &MailboxName,
        (access, known): (Access, Option<Known>),
    ) -> Answered {
        self.open = None;
        let access = match self.storage.is_read_only() {
            true => Access::ReadOnly,
            false => access,
        };
        let mailbox = self.storage.open(account, name).await?;
        // Watching begins first: what happens while the rest is read is told
        // as a change.
        let watch = mailbox.watch();
        // Claimed before the messages are listed: one that comes in between is
        // recent in the session that claims next, at the latest this one again.
        let recent_from = match access {
            Access::ReadWrite => Some(mailbox.claim_recent().await?),
            Access::ReadOnly => None,
        };
        let status = mailbox.status().await?;
        let since = known
            .filter(|known| known.uid_validity == status.uid_validity)
            .map(|known| known.modseq);
        let moment = Moment::read(&*mailbox, status, since).await?;
        self.open = Some(Open {
            mailbox,
            name: name.clone(),
            id: moment.status.id,
            watch: Some(watch),
            reading: None,
        });
        Ok(Answer::Opened(Box::new(Opened {
            access,
            status: moment.status,
            uids: moment.uids,
            recent_from,
            first_unseen: moment.first_unseen,
            resync: moment.resync,
        })))
    }

    /// What a question asks of the open mailbox.
    pub(super) async fn in_mailbox(&mut self, account: &AccountId, question: Question) -> Answered {
        let open = self.open.as_mut().ok_or(StoreError::NoSuchMailbox)?;
        let mailbox = &open.mailbox;
        Ok(match question {
            Question::Changes {
                since,
                last,
                access,
            } => Answer::News(open.news(since, last, access).await?),
            Question::Rows(uids) => Answer::Rows(mailbox.messages(&uids).await?),
            Question::Summaries(uids) => Answer::Summaries(mailbox.summaries(&uids).await?),
            Question::Read { uid, range } => Answer::Octets(open.read(uid, range).await?),
            Question::Fronts(wanted) => Answer::Fronts(open.fronts(wanted).await),
            Question::Store {
                uids,
                change,
                unchanged_since,
            } => Answer::Stored(mailbox.store(&uids, &change, unchanged_since).await?),
            Question::Copy { uids, to } => {
                let limit = self.room.limit(account).await?;
                Answer::Copied(mailbox.copy(&uids, &to, limit).await?)
            }
            Question::Move { uids, to } => Answer::Copied(mailbox.move_to(&uids, &to).await?),
            Question::Expunge(uids) => Answer::Expunged(expunge(&**mailbox, &uids).await?),
            _ => return Err(StoreError::Unsupported("question")),
        })
    }
}

/// Nothing is asked of the store when there is nothing to ask.
async fn expunge(mailbox: &dyn Mailbox, uids: &UidSet) -> Result<UidSet, StoreError> {
    if uids.is_empty() {
        Ok(UidSet::EMPTY)
    } else {
        mailbox.expunge(uids).await
    }
}

impl Open {
    async fn news(
        &mut self,
        since: ModSeq,
        last: Option<Uid>,
        access: Access,
    ) -> Result<Box<News>, StoreError> {
        if let Some(watch) = &mut self.watch {
            // What changes after this line is noticed again.
            watch.borrow_and_update();
        }
        let changes = self.mailbox.changes(since).await?;
        let has_new = changes
            .changed
            .last()
            .is_some_and(|row| last.is_none_or(|last| row.uid > last));
        let recent_from = match access {
            Access::ReadWrite if has_new => Some(self.mailbox.claim_recent().await?),
            _ => None,
        };
        Ok(Box::new(News {
            changes,
            recent_from,
        }))
    }

    async fn read(&mut self, uid: Uid, range: Range<u64>) -> Result<Bytes, StoreError> {
        let message = match &self.reading {
            Some((last, message)) if *last == uid => message,
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

    /// A front that can't be read is asked for again as octets, where the
    /// failure is told.
    async fn fronts(&self, wanted: Vec<(Uid, Excerpt)>) -> Vec<Option<Bytes>> {
        let is_nothing =
            |excerpt: &Excerpt| matches!(excerpt, Excerpt::Range(range) if range.is_empty());
        let some: Vec<_> = wanted
            .iter()
            .filter(|(_, excerpt)| !is_nothing(excerpt))
            .cloned()
            .collect();
        let mut read = self.mailbox.excerpts(&some).await.into_iter();
        wanted
            .iter()
            .map(|(_, excerpt)| match is_nothing(excerpt) {
                true => Some(Bytes::new()),
                false => read.next().flatten(),
            })
            .collect()
    }
}

#[async_trait]
impl Host<Session> for SessionHost {
    async fn answer(&mut self, question: Question) -> Answer {
        if let Question::Authenticate(inquiry) = question {
            return self.authenticate(&inquiry).await;
        }
        if let Question::Unauthenticate = question {
            self.events.logged_out();
            (self.account, self.open, self.append) = (None, None, None);
            self.account_watch = None;
            return Answer::Done;
        }
        self.on_account(question).await.unwrap_or_else(|error| {
            log(&error);
            Answer::Failed(error)
        })
    }

    async fn notice(&mut self) -> Notice {
        let watch = self.open.as_mut().and_then(|open| open.watch.as_mut());
        let notice = tokio::select! {
            biased;
            notice = mailbox_notice(watch) => notice,
            notice = account_notice(self.account_watch.as_mut()) => notice,
        };
        if notice == Notice::Gone
            && let Some(open) = &mut self.open
        {
            open.watch = None;
        }
        notice
    }
}

async fn mailbox_notice(watch: Option<&mut Watch>) -> Notice {
    match watch {
        Some(watch) => match watch.changed().await {
            Ok(()) => Notice::Changed(*watch.borrow_and_update()),
            Err(_) => Notice::Gone,
        },
        None => std::future::pending().await,
    }
}

/// A store that no longer tells, tells nothing.
async fn account_notice(watch: Option<&mut AccountWatch>) -> Notice {
    if let Some(watch) = watch
        && watch.changed().await.is_ok()
    {
        return Notice::Account;
    }
    std::future::pending().await
}

/// The client is told little; who runs the server is told all.
pub(super) fn log(error: &StoreError) {
    if matches!(
        error,
        StoreError::Io { .. }
            | StoreError::Damaged(_)
            | StoreError::ReadOnly(_)
            | StoreError::DiskFull
    ) {
        tracing::warn!(%error, "the store failed");
    }
}
