//! A message to a list: whether it goes out, and the form in which it does.

use super::header::{ListHeader, Name, author, list_id};
use super::mark::{KEPT, Mark};
use super::rights::{owners, posts};
use super::settings::{FromRewriting, ListSettings};
use super::token::{Token, of_bounces};
use super::{ListAddress, ListAgent, ListRole, gone, later, writer_of};
use crate::address::{Address, ReversePath};
use crate::batch::{Batch, Precondition, StateChange};
use crate::envelope::Recipient;
use crate::message::{ContentWriter, Header, HeaderEnvelope, Message, READ_CHUNK};
use crate::queue::Origin;
use crate::seams::{DeliveryJob, ListRecord, Post, StateKey, StoreError};
use crate::status::Status;

/// Octets of a header that a list sends on.
const MAX_HEADER: usize = 1_024 * 1_024;
/// Octets copied before others have their turn.
const TURN: u64 = 256 * 1_024;

/// A list's message, ready for its members.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) message: Message,
    pub(super) reverse_path: ReversePath,
    pub(super) origin: Origin,
    pub(super) settings: ListSettings,
    /// Changed with the first of it that is queued.
    pub(super) state: Vec<StateChange>,
}

impl ListAgent {
    /// What was written to the list's own address.
    pub(super) async fn post(
        &self,
        job: &DeliveryJob,
        list: &ListRecord,
        recipient: &Recipient,
    ) -> Result<(), Status> {
        let mark = self.mark(job.trace, recipient).await?;
        if mark.is_done() {
            return Ok(());
        }
        let header = read_header(&job.message).await?;
        not_in_a_loop(list, &header)?;
        not_by_itself(list, &job.reverse_path)?;
        if answers_by_itself(&header) || job.reverse_path.is_null() {
            tracing::info!(list = %list.address, trace = %job.trace, "an answer by itself is not for a list");
            return self.to_owner(job, list).await;
        }
        let envelope = HeaderEnvelope::parse(&Header::new(&header));
        match self.right(job, list, author(&envelope)).await? {
            Post::Now => self.send(job, list, (header, mark)).await,
            Post::WhenApproved => self.hold(job, list, (&envelope, mark)).await,
            Post::Never => Err(Status::permanent(7, 1, "you may not write to this list")),
        }
    }

    /// What a moderator let out.
    pub(super) async fn approved(
        &self,
        job: &DeliveryJob,
        list: &ListRecord,
        token: Option<&str>,
    ) -> Result<(), Status> {
        let (state, token) = (self.seams.state.as_ref(), token.ok_or_else(gone)?);
        let address = ListRole::Approved.at(&list.address, Some(token));
        let mark = self
            .mark(job.trace, &Recipient::new(address.ok_or_else(gone)?))
            .await?;
        if mark.is_done() {
            return Ok(());
        }
        let kept = Token::read(state, token).await.map_err(later)?;
        let ours = kept.filter(|it| it.word(0) == "approved");
        let ours = ours.filter(|it| it.word(1) == list.address.to_string());
        ours.ok_or_else(|| Status::permanent(7, 1, "nobody let this message out"))?;
        let header = read_header(&job.message).await?;
        self.send(job, list, (header, mark)).await
    }

    /// Both who sent a message and whom it shows as its author must have the
    /// right.
    async fn right(
        &self,
        job: &DeliveryJob,
        list: &ListRecord,
        author: Option<Address>,
    ) -> Result<Post, Status> {
        let directory = self.seams.directory.as_ref();
        let mut right = Post::Now;
        for who in [job.reverse_path.address(), author.as_ref()] {
            let Some(who) = who else {
                return Ok(Post::Never);
            };
            let post = posts(directory, list, who, writer_of(job)).await;
            right = match (right, post.map_err(later)?) {
                (Post::Never, _) | (_, Post::Never) => Post::Never,
                (Post::WhenApproved, _) | (_, Post::WhenApproved) => Post::WhenApproved,
                (Post::Now, Post::Now) => Post::Now,
            };
        }
        Ok(right)
    }

    async fn send(
        &self,
        job: &DeliveryJob,
        list: &ListRecord,
        (header, mark): (Vec<u8>, Mark),
    ) -> Result<(), Status> {
        let directory = self.seams.directory.as_ref();
        let settings = ListSettings::of(directory, &list.address).await;
        let settings = settings.map_err(later)?;
        let envelope = HeaderEnvelope::parse(&Header::new(&header));
        let name = self.name(&settings, author(&envelope)).await;
        let written = ListHeader {
            list,
            settings: &settings,
            name,
        };
        let written = written.write(&header);
        let message = self.rewritten(&job.message, header.len(), written).await;
        let (reverse_path, mut state) = self.reverse_path(list).await?;
        state.push(self.mark_sent(list, job.trace));
        let outgoing = Outgoing {
            message: message.map_err(later)?,
            reverse_path,
            // What is written in the list's name is the list's to vouch for.
            origin: match (name, job.origin) {
                (Name::Lists, Origin::Received) => Origin::Server,
                (_, origin) => origin,
            },
            settings,
            state,
        };
        self.expand(job, list, (outgoing, mark)).await
    }

    /// In whose name the list writes.
    async fn name(&self, settings: &ListSettings, author: Option<Address>) -> Name {
        let strict = match (settings.from, &self.seams.policies, author) {
            (FromRewriting::Never, ..) => false,
            (FromRewriting::Dmarc, Some(policies), Some(author)) => {
                policies.is_strict(author.domain()).await
            }
            _ => true,
        };
        match strict {
            true => Name::Lists,
            false => Name::Authors,
        }
    }

    /// The message under another header.
    async fn rewritten(
        &self,
        message: &Message,
        from: usize,
        header: Vec<u8>,
    ) -> Result<Message, StoreError> {
        let mut writer = ContentWriter::new(Some(self.seams.commit.clone()), u64::MAX);
        writer.write(header.into()).await?;
        let (mut at, mut turn) = (from as u64, 0);
        while at < message.len() {
            let octets = message.read(at..at + READ_CHUNK as u64).await?;
            if octets.is_empty() {
                return Err(StoreError::Damaged(
                    "a message is shorter than it was".to_owned(),
                ));
            }
            (at, turn) = (at + octets.len() as u64, turn + octets.len() as u64);
            writer.write(octets).await?;
            if turn >= TURN {
                turn = 0;
                tokio::task::yield_now().await;
            }
        }
        Ok(Message::new(writer.finish().await?.0))
    }

    /// Where notices about the list's mail go; the owner's address where the list's
    /// name leaves no room for a token.
    async fn reverse_path(
        &self,
        list: &ListRecord,
    ) -> Result<(ReversePath, Vec<StateChange>), Status> {
        let (state, entropy) = (self.seams.state.as_ref(), self.seams.entropy.as_ref());
        let name = list.address.to_string();
        let (token, changes) = of_bounces(state, entropy, (&name, self.seams.clock.now()))
            .await
            .map_err(later)?;
        let tokened = ListRole::Bounces.at(&list.address, Some(&token));
        let plain = || ListRole::Owner.at(&list.address, None);
        let address = tokened.or_else(plain).or(list.owner.clone());
        Ok((
            address.map_or(ReversePath::Null, ReversePath::Address),
            changes,
        ))
    }

    /// Passes a message on to who answers for the list, as it is.
    pub(super) async fn to_owner(
        &self,
        job: &DeliveryJob,
        list: &ListRecord,
    ) -> Result<(), Status> {
        // Once for a message: who answers for one list may be another, or the list.
        let key = format!("{} {}", job.trace, list.address.folded());
        let key = StateKey::new("list-to-owner", &key);
        if self.seams.state.read(&key).await.map_err(later)?.is_some() {
            return Ok(());
        }
        let mut batch = Batch {
            preconditions: vec![Precondition::StateIs {
                key: key.clone(),
                version: None,
            }],
            state: vec![StateChange::Put {
                key,
                value: Vec::new(),
                expires: Some(self.seams.clock.now().after(KEPT)),
            }],
            ..Batch::default()
        };
        let owners = match &list.errors_to {
            Some(to) => vec![to.clone()],
            None => owners(list),
        };
        for to in owners {
            self.queue(self.passed_on(job, to), &mut batch);
        }
        self.write(batch).await.map(drop)
    }
}

/// The header section, empty line included.
pub(super) async fn read_header(message: &Message) -> Result<Vec<u8>, Status> {
    let mut octets = Vec::new();
    loop {
        let at = octets.len() as u64;
        let more = message.read(at..at + READ_CHUNK as u64).await;
        let more = more.map_err(later)?;
        octets.extend_from_slice(&more);
        if let Some(end) = Header::new(&octets).closed_len() {
            octets.truncate(end);
            return Ok(octets);
        }
        if more.is_empty() {
            return Ok(octets);
        }
        if octets.len() > MAX_HEADER {
            let words = "the message's header is too long for a list";
            return Err(Status::permanent(6, 0, words));
        }
    }
}

/// A message that this list sent out already, by its id (RFC 2919 section 2) or
/// by our own mark.
fn not_in_a_loop(list: &ListRecord, header: &[u8]) -> Result<(), Status> {
    let header = Header::new(header);
    let (id, own) = (list_id(&list.address), list.address.to_string());
    let has = |name: &str, is: &dyn Fn(&str) -> bool| {
        let mut all = header.all(name);
        all.any(|field| is(String::from_utf8_lossy(&field.value()).trim()))
    };
    let by_id = has("List-Id", &|value: &str| {
        let value = value.rsplit_once('<').map_or(value, |(_, id)| id);
        value.trim_end_matches('>').eq_ignore_ascii_case(&id)
    });
    match by_id || has("Delivered-To", &|value| value.eq_ignore_ascii_case(&own)) {
        true => Err(Status::permanent(4, 6, "the list sent this message before")),
        false => Ok(()),
    }
}

/// Nobody writes to a list from the address to which its notices go: he would have
/// notices about his own mail taken for those about the list's.
fn not_by_itself(list: &ListRecord, reverse_path: &ReversePath) -> Result<(), Status> {
    let read = reverse_path.address().and_then(ListAddress::read);
    let ours = |it: &ListAddress| it.list.folded() == list.address.folded();
    match read.filter(ours).map(|it| it.role) {
        Some(ListRole::Bounces) => {
            let words = "the list does not write to itself";
            Err(Status::permanent(4, 6, words))
        }
        _ => Ok(()),
    }
}

/// Answers of machines (RFC 3834 section 5, and the marks of older ones). What
/// machines write without being asked may well be meant for a list.
pub(super) fn answers_by_itself(header: &[u8]) -> bool {
    let header = Header::new(header);
    let value = |name: &str| {
        let field = header.first(name)?;
        let value = String::from_utf8_lossy(&field.value()).to_ascii_lowercase();
        value.split(';').next().map(|it| it.trim().to_owned())
    };
    value("Auto-Submitted").is_some_and(|it| it == "auto-replied")
        || value("Precedence").is_some_and(|it| it == "auto_reply")
        || value("X-Autoreply").is_some_and(|it| it == "yes")
        || header.first("X-Autorespond").is_some()
}

/// Whatever a machine wrote (RFC 3834 section 5): there are hosts that call what
/// they answer `auto-generated`, and what is answered by itself is nobody's word.
pub(super) fn is_of_a_machine(header: &[u8]) -> bool {
    let fields = Header::new(header);
    let submitted = fields.first("Auto-Submitted").map(|field| {
        let value = String::from_utf8_lossy(&field.value()).to_ascii_lowercase();
        value
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .to_owned()
    });
    submitted.is_some_and(|it| it != "no") || answers_by_itself(header)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_list_sent_is_known_again() {
        let list = ListRecord::new("News@x.test".parse().unwrap());
        let looping = |header: &str| not_in_a_loop(&list, header.as_bytes()).is_err();
        assert!(looping("List-Id: The news <news.X.test>\r\n\r\n"));
        assert!(looping("List-Id: news.x.test\r\n\r\n"));
        assert!(looping(
            "Delivered-To: a@b.test\r\nDelivered-To: news@x.test\r\n\r\n"
        ));
        assert!(!looping(
            "List-Id: <old-news.x.test>\r\nTo: news@x.test\r\n\r\n"
        ));
    }

    #[test]
    fn answers_of_machines_are_known_and_their_reports_are_not() {
        for (header, is) in [
            ("Auto-Submitted: auto-replied; x=y\r\n\r\n", true),
            ("auto-submitted: Auto-Replied\r\n\r\n", true),
            ("Precedence: auto_reply\r\n\r\n", true),
            ("Auto-Submitted: auto-generated\r\n\r\n", false),
            ("Subject: Auto-Submitted: auto-replied\r\n\r\n", false),
        ] {
            assert_eq!(answers_by_itself(header.as_bytes()), is, "{header}");
        }
        for (value, is) in [("auto-generated", true), ("No", false), ("no; x=y", false)] {
            let header = format!("Auto-Submitted: {value}\r\n\r\n");
            assert_eq!(is_of_a_machine(header.as_bytes()), is, "{value}");
        }
    }
}
