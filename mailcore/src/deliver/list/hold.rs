//! Messages that wait for a moderator: each is an entry of the queue on hold, for
//! an address that lets it out, and a record in the state that says what it is.

use std::sync::Arc;

use super::letter::Letter;
use super::mark::Mark;
use super::post::{is_of_a_machine, read_header};
use super::rights::is_moderator;
use super::settings::ListSettings;
use super::token::Token;
use super::{ListAddress, ListAgent, ListRole, ListSeams, gone, later, writer_of};
use crate::address::Address;
use crate::batch::{AfterUpdate, Batch, SpoolChange, StateChange};
use crate::envelope::{Notify, Recipient};
use crate::message::HeaderEnvelope;
use crate::message::decode::header_text;
use crate::queue::{EntryState, EntryStateKind, QueueEntry, QueueId, QueueProgress};
use crate::seams::{DeliveryJob, ListRecord, StateKey, StoreError, Writer};
use crate::status::Status;
use crate::time::Timestamp;

const NAMESPACE: &str = "list-held";
/// Messages that wait for one list's moderators.
const MAX_HELD: usize = 1_000;
/// Octets of a subject that are kept.
const MAX_SUBJECT: usize = 200;

/// A message that waits for a moderator.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct HeldPost {
    /// Its entry in the queue.
    pub id: QueueId,
    /// Who sent it; `None` where that is not known well enough to answer him.
    pub known_sender: Option<Address>,
    /// Who sent it, in words.
    pub sender: String,
    /// Its subject.
    pub subject: String,
    /// When it came.
    pub at: Timestamp,
    /// When it is given up.
    pub until: Timestamp,
    /// What lets it out.
    token: String,
}

/// What waits for moderators, for those who look at it.
#[derive(Debug)]
pub struct HeldPosts {
    agent: ListAgent,
}

impl HeldPosts {
    /// Over these seams.
    pub fn new(seams: ListSeams) -> Self {
        Self {
            agent: ListAgent::new(seams),
        }
    }

    /// What waits for a list's moderators, the oldest first.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn of(&self, list: &Address) -> Result<Vec<HeldPost>, StoreError> {
        self.agent.held(list).await
    }

    /// Lets a message out; false when it waits no more.
    ///
    /// # Errors
    /// Why not, in words.
    pub async fn approve(&self, list: &ListRecord, id: QueueId) -> Result<bool, Status> {
        match self.find(list, id).await? {
            Some(post) => self.agent.let_out(list, &post).await,
            None => Ok(false),
        }
    }

    /// Drops a message, and tells its sender where he is known; false when it
    /// waits no more.
    ///
    /// # Errors
    /// Why not, in words.
    pub async fn reject(
        &self,
        list: &ListRecord,
        id: QueueId,
        reason: Option<&str>,
    ) -> Result<bool, Status> {
        let words = match reason {
            Some(reason) => format!("A moderator did not let it out:\n\n{reason}\n"),
            None => "A moderator did not let it out.\n".to_owned(),
        };
        match self.find(list, id).await? {
            Some(post) => self.agent.drop_post(list, &post, &words).await,
            None => Ok(false),
        }
    }

    async fn find(&self, list: &ListRecord, id: QueueId) -> Result<Option<HeldPost>, Status> {
        let all = self.of(&list.address).await.map_err(later)?;
        Ok(all.into_iter().find(|post| post.id == id))
    }
}

impl ListAgent {
    /// Puts a message on hold and asks the moderators.
    pub(super) async fn hold(
        &self,
        job: &DeliveryJob,
        list: &ListRecord,
        (envelope, mark): (&HeaderEnvelope, Mark),
    ) -> Result<(), Status> {
        if self.held(&list.address).await.map_err(later)?.len() >= MAX_HELD {
            let words = "too many messages wait for this list's moderators; try again later";
            return Err(Status::transient(7, 1, words));
        }
        let settings = ListSettings::of(self.seams.directory.as_ref(), &list.address).await;
        let settings = settings.map_err(later)?;
        let now = self.seams.clock.now();
        let until = now.after(settings.hold_for);
        let id = QueueId(self.seams.entropy.id(now));
        let words = |what: &str| [what.to_owned(), list.address.to_string(), id.to_string()];
        let approved = Token::new(self.seams.entropy.as_ref(), words("approved"));
        let judge = Token::new(self.seams.entropy.as_ref(), words("judge"));
        let address = ListRole::Approved.at(&list.address, Some(&approved.token));
        let too_long = || Status::permanent(3, 5, "this list's name is too long for moderation");
        let recipient = released(address.ok_or_else(too_long)?);
        let post = HeldPost {
            id,
            known_sender: self.known_sender(job, list).await?,
            sender: job.reverse_path.to_string(),
            subject: subject(envelope),
            at: now,
            until,
            token: approved.token.clone(),
        };
        // The tokens outlive the time by which the message is given up: that is
        // looked at now and then.
        let tokens_until = until.after(settings.hold_for);
        let entry = QueueEntry {
            id,
            trace: job.trace,
            reverse_path: job.reverse_path.clone(),
            params: job.params.clone(),
            origin: job.origin,
            received_at: job.received_at,
            message: job.message.clone(),
            findings: Arc::clone(&job.findings),
            progress: QueueProgress::new([recipient], now, self.seams.schedule.expires_at(until))
                .in_state(EntryState::Held),
        };
        let mut batch = Batch {
            preconditions: vec![mark.stands()],
            state: vec![
                self.mark_done(&mark),
                approved.put(tokens_until),
                judge.put(tokens_until),
                StateChange::Put {
                    key: key(&list.address, id),
                    value: post.encode(),
                    expires: None,
                },
            ],
            ..Batch::default()
        };
        self.queue(entry, &mut batch);
        self.ask_moderators(list, (&post, &judge.token), &mut batch);
        self.write(batch).await.map(drop)
    }

    fn ask_moderators(
        &self,
        list: &ListRecord,
        (post, token): (&HeldPost, &str),
        batch: &mut Batch,
    ) {
        let at = |role: ListRole| role.at(&list.address, Some(token));
        let (Some(approve), Some(reject)) = (at(ListRole::Approve), at(ListRole::Reject)) else {
            return;
        };
        let name = &list.address;
        let text = format!(
            "A message to {name} waits for a moderator.\n\nFrom:    {}\nSubject: {}\nNumber:  {}\n\n\
             To let it out, answer this message; the answer goes to\n  {approve}\n\
             To drop it, write to\n  {reject}\n\nWhat you write there is not read. The message waits \
             until {}.\n",
            post.sender,
            post.subject,
            post.id,
            crate::message::DateTime::utc(post.until),
        );
        let owner = list.owner.iter();
        let others = list.moderators.iter();
        let others = others.filter(|it| Some(*it) != list.owner.as_ref());
        for to in owner.chain(others) {
            let letter = Letter {
                to,
                reply_to: Some(approve.clone()),
                subject: format!("To be approved for {name}: {}", post.subject),
                text: text.clone(),
            };
            self.queue(self.letter(list, &letter), batch);
        }
    }

    /// A moderator's word on a message.
    pub(super) async fn judged(
        &self,
        job: &DeliveryJob,
        list: &ListRecord,
        to: &ListAddress,
    ) -> Result<(), Status> {
        let header = read_header(&job.message).await?;
        let Some(sender) = job.reverse_path.address() else {
            return Ok(());
        };
        if is_of_a_machine(&header) {
            return Ok(());
        }
        let no = || Status::permanent(7, 1, "nothing waits under this address for your word");
        let directory = self.seams.directory.as_ref();
        let moderates = is_moderator(directory, list, sender, writer_of(job)).await;
        if !moderates.map_err(later)? {
            return Err(no());
        }
        let token = Token::read(self.seams.state.as_ref(), to.token.as_deref().unwrap_or("")).await;
        let token = token.map_err(later)?.filter(|it| it.word(0) == "judge");
        let token = token.filter(|it| it.word(1) == list.address.to_string());
        let id = token.and_then(|it| it.word(2).parse::<QueueId>().ok());
        let id = id.ok_or_else(no)?;
        let waiting = self.held(&list.address).await.map_err(later)?;
        let Some(post) = waiting.into_iter().find(|post| post.id == id) else {
            // Another moderator was quicker.
            return Ok(());
        };
        match to.role {
            ListRole::Approve => self.let_out(list, &post).await.map(drop),
            _ => {
                let words = "A moderator did not let it out.\n";
                self.drop_post(list, &post, words).await.map(drop)
            }
        }
    }

    /// What waits for a list's moderators.
    pub(super) async fn held(&self, list: &Address) -> Result<Vec<HeldPost>, StoreError> {
        let prefix = format!("{} ", list.folded());
        let state = &self.seams.state;
        let all = state.scan(NAMESPACE, &prefix, None, MAX_HELD + 1).await?;
        let read = |(key, value): &(StateKey, crate::seams::StateValue)| {
            HeldPost::decode(key.key.strip_prefix(&prefix)?, &value.value)
        };
        Ok(all.iter().filter_map(read).collect())
    }

    /// Lets a message out: its entry is tried, and leads to the members.
    pub(super) async fn let_out(&self, list: &ListRecord, post: &HeldPost) -> Result<bool, Status> {
        let Some(entry) = self.waiting(post).await? else {
            self.forget(list, post).await?;
            return Ok(false);
        };
        let now = self.seams.clock.now();
        let recipients = entry.progress.recipients.iter();
        let recipients = recipients.map(|it| it.recipient.clone());
        let progress = QueueProgress::new(recipients, now, self.seams.schedule.expires_at(now));
        let batch = Batch {
            state: vec![remove(&list.address, post.id)],
            spool: vec![SpoolChange::Update {
                id: post.id,
                progress,
                lease: AfterUpdate::EndLease,
            }],
            ..Batch::default()
        };
        self.write(batch).await?;
        Ok(true)
    }

    /// Drops a message; its sender is told in these words.
    pub(super) async fn drop_post(
        &self,
        list: &ListRecord,
        post: &HeldPost,
        words: &str,
    ) -> Result<bool, Status> {
        if self.waiting(post).await?.is_none() {
            self.forget(list, post).await?;
            return Ok(false);
        }
        let mut batch = Batch {
            state: vec![remove(&list.address, post.id)],
            spool: vec![SpoolChange::Remove { id: post.id }],
            ..Batch::default()
        };
        if let Some(sender) = &post.known_sender {
            let letter = Letter {
                to: sender,
                reply_to: None,
                subject: format!("Not sent to {}: {}", list.address, post.subject),
                text: format!(
                    "Your message to {} was not sent.\n\nSubject: {}\n\n{words}",
                    list.address, post.subject
                ),
            };
            self.queue(self.letter(list, &letter), &mut batch);
        }
        self.write(batch).await?;
        Ok(true)
    }

    /// The entry of a message, while it is on hold: an operator may have released
    /// or deleted it.
    async fn waiting(&self, post: &HeldPost) -> Result<Option<Arc<QueueEntry>>, Status> {
        let entry = self.seams.spool.entry(post.id).await.map_err(later)?;
        Ok(entry.filter(|it| it.progress.state.kind() == EntryStateKind::Held))
    }

    async fn forget(&self, list: &ListRecord, post: &HeldPost) -> Result<(), Status> {
        let batch = Batch {
            state: vec![remove(&list.address, post.id)],
            ..Batch::default()
        };
        self.write(batch).await.map(drop)
    }

    /// Who is to hear of it: strangers' senders may be anybody's addresses.
    async fn known_sender(
        &self,
        job: &DeliveryJob,
        list: &ListRecord,
    ) -> Result<Option<Address>, Status> {
        let Some(sender) = job.reverse_path.address() else {
            return Ok(None);
        };
        let lists = self.seams.directory.lists().ok_or_else(gone)?;
        let known = writer_of(job) == Writer::House
            || lists
                .is_member(&list.address, sender)
                .await
                .map_err(later)?;
        Ok(known.then(|| sender.clone()))
    }
}

impl HeldPost {
    fn encode(&self) -> Vec<u8> {
        let known = match self.known_sender {
            Some(_) => "known",
            None => "unknown",
        };
        let line = |text: &str| text.replace(['\r', '\n'], " ");
        format!(
            "{}\n{}\n{}\n{known}\n{}\n{}",
            self.token,
            self.at.millis(),
            self.until.millis(),
            line(&self.sender),
            line(&self.subject)
        )
        .into_bytes()
    }

    fn decode(id: &str, octets: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(octets);
        let mut lines = text.split('\n');
        let token = lines.next()?.to_owned();
        let mut time = || lines.next()?.parse().ok().map(Timestamp::from_millis);
        let (at, until) = (time()?, time()?);
        let known = lines.next()? == "known";
        let sender = lines.next()?.to_owned();
        Some(Self {
            id: id.parse().ok()?,
            known_sender: known.then(|| Address::parse(&sender).ok()).flatten(),
            sender,
            subject: lines.next()?.to_owned(),
            at,
            until,
            token,
        })
    }
}

/// Nobody is told of what becomes of this address but the message's writer.
fn released(address: Address) -> Recipient {
    Recipient {
        notify: Notify::default(),
        ..Recipient::new(address)
    }
}

fn subject(envelope: &HeaderEnvelope) -> String {
    let subject = header_text(envelope.subject.as_deref().unwrap_or_default());
    crate::intake::tell::shortened(&subject, MAX_SUBJECT)
}

fn key(list: &Address, id: QueueId) -> StateKey {
    StateKey::new(NAMESPACE, &format!("{} {id}", list.folded()))
}

fn remove(list: &Address, id: QueueId) -> StateChange {
    StateChange::Remove { key: key(list, id) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_reads_back_as_it_was_written() {
        let sender: Address = "ann@a.test".parse().unwrap();
        for known_sender in [None, Some(sender.clone())] {
            let post = HeldPost {
                id: QueueId(77),
                known_sender,
                sender: sender.to_string(),
                subject: "Größe".into(),
                at: Timestamp::from_millis(5),
                until: Timestamp::from_millis(9),
                token: "abc".into(),
            };
            let again = HeldPost::decode(&post.id.to_string(), &post.encode());
            assert_eq!(again, Some(post));
        }
        assert_eq!(HeldPost::decode("7", b"token\nno"), None);
    }
}
