//! Joining and leaving by mail: whoever asks is asked in turn, at the address it
//! is about, and nothing changes before the answer.

use std::time::Duration;

use super::letter::Letter;
use super::post::{is_of_a_machine, read_header};
use super::settings::{ByMail, ListSettings};
use super::token::Token;
use super::{ListAgent, ListRole, gone, later};
use crate::address::Address;
use crate::batch::{Batch, Precondition, StateChange};
use crate::message::decode::header_text;
use crate::message::{Header, HeaderEnvelope};
use crate::seams::{CommitError, DeliveryJob, ListRecord, Resolution, StateKey};
use crate::status::Status;

/// How long a question stands.
const ANSWERED_WITHIN: Duration = Duration::from_secs(3 * 24 * 3_600);
/// One question to an address within this time: nobody is to be flooded by one
/// who writes in his name.
const ASKED_AGAIN: Duration = Duration::from_secs(24 * 3_600);
const ASKED: &str = "list-asked";

impl ListAgent {
    /// Somebody wants something of a list.
    pub(super) async fn asked(
        &self,
        job: &DeliveryJob,
        list: &ListRecord,
        role: ListRole,
    ) -> Result<(), Status> {
        let header = read_header(&job.message).await?;
        let Some(sender) = job.reverse_path.address() else {
            return Ok(());
        };
        if is_of_a_machine(&header) {
            return Ok(());
        }
        let settings = ListSettings::of(self.seams.directory.as_ref(), &list.address).await;
        let settings = settings.map_err(later)?;
        let wanted = match role {
            ListRole::Request => by_subject(&header),
            role => Some(role),
        };
        let allowed = match wanted {
            Some(ListRole::Subscribe) => settings.subscribe == ByMail::Confirmed,
            Some(ListRole::Unsubscribe) => settings.unsubscribe == ByMail::Confirmed,
            Some(_) => true,
            None => false,
        };
        match wanted {
            Some(ListRole::Request) => self.help(list, (sender, &settings)).await,
            // Members of a file are whose file it is to change.
            Some(role) if allowed && list.members_file.is_none() => {
                self.question(list, role, sender).await
            }
            _ => self.to_owner(job, list).await,
        }
    }

    async fn help(
        &self,
        list: &ListRecord,
        (to, settings): (&Address, &ListSettings),
    ) -> Result<(), Status> {
        let mut text = format!("This is what {} does by mail.\n\n", list.address);
        let mut line = |what: &str, role: ListRole| {
            if let Some(address) = role.at(&list.address, None) {
                text.push_str(&format!("{what:<24}{address}\n"));
            }
        };
        if list.members_file.is_none() {
            if settings.subscribe == ByMail::Confirmed {
                line("To join, write to", ListRole::Subscribe);
            }
            if settings.unsubscribe == ByMail::Confirmed {
                line("To leave, write to", ListRole::Unsubscribe);
            }
        }
        line("Who answers for it is", ListRole::Owner);
        let letter = Letter {
            to,
            reply_to: None,
            subject: format!("Help on {}", list.address),
            text,
        };
        self.once(list, "help", &letter, Vec::new()).await
    }

    async fn question(
        &self,
        list: &ListRecord,
        role: ListRole,
        who: &Address,
    ) -> Result<(), Status> {
        let words = [
            role.as_str().to_owned(),
            list.address.to_string(),
            who.to_string(),
        ];
        let token = Token::new(self.seams.entropy.as_ref(), words);
        let reply_to = ListRole::Confirm.at(&list.address, Some(&token.token));
        let to_answer = reply_to.ok_or_else(|| {
            Status::permanent(3, 5, "this list's name is too long to be joined by mail")
        })?;
        let what = match role {
            ListRole::Subscribe => "join",
            _ => "leave",
        };
        let name = &list.address;
        let letter = Letter {
            to: who,
            reply_to: Some(to_answer),
            subject: format!("Do you want to {what} {name}?"),
            text: format!(
                "Somebody, you perhaps, wrote that {who} is to {what} the list\n  {name}\n\n\
                 If that is so, answer this message within three days. If not, do nothing.\n"
            ),
        };
        let until = self.seams.clock.now().after(ANSWERED_WITHIN);
        self.once(list, role.as_str(), &letter, vec![token.put(until)])
            .await
    }

    /// Sends a letter unless the same was sent lately.
    async fn once(
        &self,
        list: &ListRecord,
        what: &str,
        letter: &Letter<'_>,
        mut state: Vec<StateChange>,
    ) -> Result<(), Status> {
        let key = format!("{what} {} {}", list.address.folded(), letter.to.folded());
        let shortened: String = key.chars().take(250).collect();
        let key = StateKey::new(ASKED, &shortened);
        if self.seams.state.read(&key).await.map_err(later)?.is_some() {
            return Ok(());
        }
        state.push(StateChange::Put {
            key: key.clone(),
            value: Vec::new(),
            expires: Some(self.seams.clock.now().after(ASKED_AGAIN)),
        });
        let mut batch = Batch {
            preconditions: vec![Precondition::StateIs { key, version: None }],
            state,
            ..Batch::default()
        };
        self.queue(self.letter(list, letter), &mut batch);
        match self.seams.commit.commit(batch).await {
            Ok(_) | Err(CommitError::Precondition(_)) => Ok(()),
            Err(error) => Err(later(error)),
        }
    }

    /// The answer to a question.
    pub(super) async fn confirmed(
        &self,
        job: &DeliveryJob,
        list: &ListRecord,
        token: Option<&str>,
    ) -> Result<(), Status> {
        let header = read_header(&job.message).await?;
        if is_of_a_machine(&header) || job.reverse_path.is_null() {
            return Ok(());
        }
        let read = Token::read(self.seams.state.as_ref(), token.unwrap_or_default()).await;
        let read = read.map_err(later)?;
        let ours = read.filter(|it| it.word(1) == list.address.to_string());
        let no = || {
            Status::permanent(
                7,
                1,
                "nothing was asked under this address, or too long ago",
            )
        };
        let token = ours.ok_or_else(no)?;
        let who = Address::parse(token.word(2)).map_err(|_| no())?;
        let lists = self.seams.directory.lists().ok_or_else(gone)?;
        let who_all = std::slice::from_ref(&who);
        let (changed, done) = match token.word(0) {
            "subscribe" => {
                self.may_join(&who).await?;
                (lists.add_members(&list.address, who_all).await, "is on")
            }
            "unsubscribe" => (
                lists.remove_members(&list.address, who_all).await,
                "has left",
            ),
            _ => return Err(no()),
        };
        changed.map_err(later)?;
        let letter = Letter {
            to: &who,
            reply_to: None,
            subject: format!("{who} {done} {}", list.address),
            text: format!("{who} {done} the list\n  {}\n", list.address),
        };
        let mut batch = Batch {
            state: vec![token.remove()],
            ..Batch::default()
        };
        self.queue(self.letter(list, &letter), &mut batch);
        self.write(batch).await.map(drop)
    }

    /// Lists and groups join by an administrator's word alone: whoever reads their
    /// mail could answer for all.
    async fn may_join(&self, who: &Address) -> Result<(), Status> {
        let directory = self.seams.directory.as_ref();
        if directory
            .domain(who.domain())
            .await
            .map_err(later)?
            .is_none()
        {
            return Ok(());
        }
        match directory.resolve(who).await.map_err(later)? {
            Resolution::List(_) | Resolution::Group(_) => Err(Status::permanent(
                7,
                1,
                "a list or group is put on this list by its owner",
            )),
            _ => Ok(()),
        }
    }
}

/// The wish that a subject begins with.
fn by_subject(header: &[u8]) -> Option<ListRole> {
    let envelope = HeaderEnvelope::parse(&Header::new(header));
    let subject = header_text(envelope.subject.as_deref().unwrap_or_default());
    match subject.split_whitespace().next()?.to_lowercase().as_str() {
        "subscribe" | "join" => Some(ListRole::Subscribe),
        "unsubscribe" | "leave" | "remove" => Some(ListRole::Unsubscribe),
        "help" => Some(ListRole::Request),
        _ => None,
    }
}
