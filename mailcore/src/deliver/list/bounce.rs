//! Members whose mail fails: counted by the days on which it did, and left out
//! when those are too many.
//!
//! Only notices that this server wrote are counted. Where they go to is read by
//! every member in his mail, so that another host's notice may be of any member's
//! making: those are for the list's owner to read. So are ours about mail that came
//! with that address as its sender and did not go out by the list: of such mail
//! the sender says for whom it was meant (ORCPT).

use std::sync::Arc;

use super::letter::Letter;
use super::report::{Failed, Report, read};
use super::settings::ListSettings;
use super::token::Token;
use super::{ListAgent, later};
use crate::address::Address;
use crate::batch::{Batch, Precondition, StateChange};
use crate::queue::Origin;
use crate::seams::{DeliveryJob, ListRecord, State, StateKey, StateValue, StoreError};
use crate::status::Status;
use crate::time::Timestamp;

const NAMESPACE: &str = "list-bounces";
/// Octets of a key.
const MAX_KEY: usize = 512;
const DAY_MILLIS: i64 = 24 * 3_600 * 1_000;
/// A member whose mail did not fail for so long begins anew.
const FORGOTTEN: std::time::Duration = std::time::Duration::from_secs(30 * 24 * 3_600);
/// Records read at a time.
const PAGE: usize = 1_000;

/// A member whose mail failed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BouncingMember {
    /// Who.
    pub address: Address,
    /// On how many days.
    pub days: u32,
    /// The last time.
    pub last: Timestamp,
    /// What was said then, `5.1.1`.
    pub status: String,
    /// Since when he gets no mail of the list.
    pub suspended: Option<Timestamp>,
}

/// Members whose mail failed, for those who look at them.
#[derive(Debug)]
pub struct Bounces {
    state: Arc<dyn State>,
}

impl Bounces {
    /// Those that are kept in this state.
    pub fn new(state: Arc<dyn State>) -> Self {
        Self { state }
    }

    /// The members of a list whose mail failed, in address order.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn of(&self, list: &Address) -> Result<Vec<BouncingMember>, StoreError> {
        let prefix = format!("{} ", list.folded());
        let mut all = Vec::new();
        let mut after: Option<Arc<str>> = None;
        loop {
            let page = (self.state)
                .scan(NAMESPACE, &prefix, after.as_deref(), PAGE)
                .await?;
            let read = |(key, value): &(StateKey, StateValue)| {
                BouncingMember::decode(key.key.strip_prefix(&prefix)?, &value.value)
            };
            all.extend(page.iter().filter_map(read));
            match page.last() {
                Some((key, _)) if page.len() == PAGE => after = Some(Arc::clone(&key.key)),
                _ => return Ok(all),
            }
        }
    }

    /// Forgets that a member's mail failed: he gets the list's mail again.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn forget(&self, list: &Address, member: &Address) -> Result<(), StoreError> {
        let Some(key) = key(list, member) else {
            return Ok(());
        };
        let change = StateChange::Remove { key };
        self.state.change(vec![change]).await.map(drop)
    }
}

impl ListAgent {
    /// A notice about the list's mail.
    pub(super) async fn bounced(
        &self,
        job: &DeliveryJob,
        list: &ListRecord,
        token: Option<&str>,
    ) -> Result<(), Status> {
        let state = self.seams.state.as_ref();
        let token = Token::read(state, token.unwrap_or_default()).await;
        let ours = token
            .map_err(later)?
            .is_some_and(|it| it.word(0) == "bounces" && it.word(1) == list.address.to_string());
        let report = match ours && job.origin == Origin::Server {
            true => read(&job.message).await.map_err(later)?,
            false => Report::Unknown,
        };
        match report {
            Report::Of { trace, failed } if self.has_sent(list, &trace).await? => {
                for member in failed {
                    self.count(list, member).await?;
                }
                Ok(())
            }
            // RFC 3461 section 5.2.7.1 (a): what no machine reads is for a person.
            _ => self.to_owner(job, list).await,
        }
    }

    async fn count(&self, list: &ListRecord, failed: Failed) -> Result<(), Status> {
        let Some(key) = key(&list.address, &failed.address) else {
            return Ok(());
        };
        let settings = ListSettings::of(self.seams.directory.as_ref(), &list.address).await;
        let limit = settings.map_err(later)?.bounce_limit;
        let now = self.seams.clock.now();
        let kept = self.seams.state.read(&key).await.map_err(later)?;
        let version = kept.as_ref().map(|it| it.version);
        let before = kept.and_then(|it| BouncingMember::decode("a@b.invalid", &it.value));
        let mut member = BouncingMember {
            address: failed.address,
            days: before.as_ref().map_or(0, |it| it.days),
            last: now,
            status: failed.status,
            suspended: before.as_ref().and_then(|it| it.suspended),
        };
        let day = |at: Timestamp| at.millis().div_euclid(DAY_MILLIS);
        if before.as_ref().is_none_or(|it| day(it.last) != day(now)) {
            member.days = member.days.saturating_add(1);
        }
        let suspends = limit > 0 && member.days >= limit && member.suspended.is_none();
        if suspends {
            member.suspended = Some(now);
        }
        let mut batch = Batch {
            preconditions: vec![Precondition::StateIs {
                key: key.clone(),
                version,
            }],
            state: vec![StateChange::Put {
                key,
                value: member.encode(),
                expires: match member.suspended {
                    Some(_) => None,
                    None => Some(now.after(FORGOTTEN)),
                },
            }],
            ..Batch::default()
        };
        if suspends && let Some(to) = list.errors_to.as_ref().or(list.owner.as_ref()) {
            let letter = suspended(list, &member, to);
            self.queue(self.letter(list, &letter), &mut batch);
        }
        self.write(batch).await.map(drop)
    }
}

fn suspended<'a>(list: &ListRecord, member: &BouncingMember, to: &'a Address) -> Letter<'a> {
    let (name, who) = (&list.address, &member.address);
    Letter {
        to,
        reply_to: None,
        subject: format!("{who} gets no mail of {name} any more"),
        text: format!(
            "Mail of {name} for {who} failed on {} days, the last time with\n\n  {}\n\nNone is sent \
             there any more. To send it again:\n\n  mailserver list resume {name} {who}\n",
            member.days, member.status
        ),
    }
}

impl BouncingMember {
    fn encode(&self) -> Vec<u8> {
        let suspended = self.suspended.map_or(0, Timestamp::millis);
        let status: String = self.status.chars().take(64).collect();
        format!(
            "{} {} {suspended} {}",
            self.days,
            self.last.millis(),
            status.replace(['\r', '\n'], " ")
        )
        .into_bytes()
    }

    fn decode(address: &str, octets: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(octets);
        let mut words = text.splitn(4, ' ');
        let days = words.next()?.parse().ok()?;
        let mut time = || words.next()?.parse().ok();
        let (last, suspended): (i64, i64) = (time()?, time()?);
        Some(Self {
            address: Address::parse(address).ok()?,
            days,
            last: Timestamp::from_millis(last),
            status: words.next()?.to_owned(),
            suspended: (suspended != 0).then(|| Timestamp::from_millis(suspended)),
        })
    }
}

/// `None` for two addresses that are too long for a key together.
fn key(list: &Address, member: &Address) -> Option<StateKey> {
    let key = format!("{} {}", list.folded(), member.folded());
    (key.len() <= MAX_KEY).then(|| StateKey::new(NAMESPACE, &key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_reads_back_as_it_was_written() {
        for suspended in [None, Some(Timestamp::from_millis(7))] {
            let member = BouncingMember {
                address: "ann@a.test".parse().unwrap(),
                days: 3,
                last: Timestamp::from_millis(5),
                status: "5.1.1 gone".into(),
                suspended,
            };
            let again = BouncingMember::decode("ann@a.test", &member.encode());
            assert_eq!(again, Some(member));
        }
    }
}
