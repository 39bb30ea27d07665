//! A list's message becomes entries of the queue, each for some members. They
//! share its octets, and are written in as few commits as their number allows.

use std::collections::HashSet;
use std::sync::Arc;

use super::mark::Mark;
use super::members::{Member, Members, Where};
use super::post::Outgoing;
use super::settings::OwnCopy;
use super::{ListAgent, later};
use crate::batch::{Batch, SpoolChange};
use crate::envelope::{MailParams, Notify, OriginalRecipient, Recipient, Ret};
use crate::event::EventName;
use crate::intake::tell::named;
use crate::queue::{QueueEntry, QueueId, QueueProgress};
use crate::seams::{DeliveryJob, ListRecord};
use crate::status::Status;

/// Recipients of one entry: each attempt writes down all that are left.
const RECIPIENTS: usize = 500;
/// Octets of what one commit queues, about: a store takes no batch of any size.
const OCTETS: usize = 2 * 1_024 * 1_024;
/// Octets of an entry beside its recipients' addresses, and of one recipient.
const FIXED: usize = 192;

/// What is gathered for the next commit.
#[derive(Debug, Default)]
struct Gathered {
    here: Vec<Recipient>,
    elsewhere: Vec<Recipient>,
    octets: usize,
    /// The last member in it.
    at: String,
}

impl ListAgent {
    /// Queues the message for every member.
    pub(super) async fn expand(
        &self,
        job: &DeliveryJob,
        list: &ListRecord,
        (mut outgoing, mut mark): (Outgoing, Mark),
    ) -> Result<(), Status> {
        let suspended = self.suspended(list).await.map_err(later)?;
        let own = self.own_key(job, &outgoing).await?;
        let wanted = |member: &Member| {
            own.as_deref() != Some(member.key.as_str())
                && !suspended.contains(&member.address.folded())
        };
        let resumed = self.is_there(list, mark.at()).await?;
        let mut skipping = resumed;
        let mut members = Members::new(self.seams.directory.as_ref(), list);
        let mut gathered = Gathered::default();
        while let Some(page) = members.next().await.map_err(later)? {
            for member in page {
                if skipping {
                    skipping = mark.at() != Some(member.at.as_str());
                    continue;
                }
                if wanted(&member) {
                    gathered.take(member);
                }
            }
            if gathered.octets >= OCTETS {
                let at = std::mem::take(&mut gathered.at);
                let batch = self.entries(job, &mut outgoing, &mut gathered);
                self.go_on(batch, (&mut mark, Some(&at))).await?;
            }
        }
        let batch = self.entries(job, &mut outgoing, &mut gathered);
        self.go_on(batch, (&mut mark, None)).await
    }

    /// True when the walk comes by the place that is written down: a member that
    /// was taken off meanwhile would have all after him skipped. Who then gets a
    /// message twice is better off than who gets none.
    async fn is_there(&self, list: &ListRecord, at: Option<&str>) -> Result<bool, Status> {
        let Some(at) = at else {
            return Ok(false);
        };
        let mut members = Members::new(self.seams.directory.as_ref(), list);
        while let Some(page) = members.next().await.map_err(later)? {
            if page.iter().any(|member| member.at == at) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The key of the one who wrote, when he is to get no copy.
    async fn own_key(
        &self,
        job: &DeliveryJob,
        outgoing: &Outgoing,
    ) -> Result<Option<String>, Status> {
        let sender = match outgoing.settings.own_copy {
            OwnCopy::Yes => None,
            OwnCopy::No => job.reverse_path.address(),
        };
        let Some(sender) = sender else {
            return Ok(None);
        };
        let directory = self.seams.directory.as_ref();
        let served = directory.domain(sender.domain()).await.map_err(later)?;
        let stands = match served {
            Some(_) => Some(directory.resolve(sender).await.map_err(later)?),
            None => None,
        };
        Ok(Some(match stands {
            Some(crate::seams::Resolution::Account(id)) => id.as_str().to_owned(),
            _ => sender.folded().to_string(),
        }))
    }

    /// Commits what is gathered, and how far that is.
    async fn go_on(
        &self,
        mut batch: Batch,
        (mark, at): (&mut Mark, Option<&str>),
    ) -> Result<(), Status> {
        batch.preconditions.push(mark.stands());
        let moved = match at {
            Some(at) => self.mark_at(mark, at),
            None => self.mark_done(mark),
        };
        batch.state.insert(0, moved);
        let receipt = self.write(batch).await?;
        let version = receipt.state.first().and_then(Option::as_ref);
        mark.moved(version.map(|it| it.version));
        Ok(())
    }

    /// The entries for those who are gathered.
    fn entries(
        &self,
        job: &DeliveryJob,
        outgoing: &mut Outgoing,
        gathered: &mut Gathered,
    ) -> Batch {
        let mut batch = Batch {
            state: std::mem::take(&mut outgoing.state),
            ..Batch::default()
        };
        let Gathered {
            here, elsewhere, ..
        } = std::mem::take(gathered);
        // Apart, so that those whose mail ends here are done with at once.
        for recipients in here.chunks(RECIPIENTS).chain(elsewhere.chunks(RECIPIENTS)) {
            let now = self.seams.clock.now();
            let entry = QueueEntry {
                id: QueueId(self.seams.entropy.id(now)),
                trace: job.trace,
                reverse_path: outgoing.reverse_path.clone(),
                params: params(&job.params),
                origin: outgoing.origin,
                received_at: job.received_at,
                message: outgoing.message.clone(),
                findings: Arc::clone(&job.findings),
                progress: QueueProgress::new(
                    recipients.iter().cloned(),
                    now,
                    self.seams.schedule.expires_at(now),
                ),
            };
            self.queue(entry, &mut batch);
        }
        batch
    }

    /// Adds an entry to a batch, and the event of it.
    pub(super) fn queue(&self, entry: QueueEntry, batch: &mut Batch) {
        let to: Vec<Recipient> = (entry.progress.recipients.iter())
            .map(|queued| queued.recipient.clone())
            .collect();
        let event = self
            .event(EventName::MessageQueued, entry.trace)
            .with("from", &entry.reverse_path)
            .with("queue", entry.id)
            .with("to", named(&to))
            .with("recipients", to.len());
        batch.events.push(event);
        batch.spool.push(SpoolChange::Enqueue(Arc::new(entry)));
    }

    /// Those who get none of the list's mail, since it comes back.
    async fn suspended(
        &self,
        list: &ListRecord,
    ) -> Result<HashSet<crate::address::Address>, crate::seams::StoreError> {
        let bounces = super::Bounces::new(Arc::clone(&self.seams.state));
        let all = bounces.of(&list.address).await?;
        let suspended = all.into_iter().filter(|it| it.suspended.is_some());
        Ok(suspended.map(|it| it.address.folded()).collect())
    }
}

impl Gathered {
    fn take(&mut self, member: Member) {
        let text = member.address.to_string();
        self.octets += FIXED + 2 * text.len();
        self.at = member.at;
        // RFC 3461 section 5.2.7.1 (c): what went to whom, so that a notice names
        // the member though his mail was sent on from there. A delay is of no use
        // to anybody.
        let recipient = Recipient {
            address: member.address,
            notify: Notify {
                success: false,
                failure: true,
                delay: false,
                asked: true,
            },
            original: Some(OriginalRecipient {
                address_type: match text.is_ascii() {
                    true => "rfc822".to_owned(),
                    false => "utf-8".to_owned(),
                },
                address: text,
            }),
        };
        match member.lies {
            Where::Here => self.here.push(recipient),
            Where::Elsewhere => self.elsewhere.push(recipient),
        }
    }
}

/// What goes along with the message: of what its writer asked for in notices
/// nothing (RFC 3461 section 5.2.7.1 (b)).
fn params(given: &MailParams) -> MailParams {
    MailParams {
        body: given.body,
        smtputf8: given.smtputf8,
        require_tls: given.require_tls,
        priority: given.priority,
        ret: Some(Ret::Headers),
        ..MailParams::default()
    }
}
