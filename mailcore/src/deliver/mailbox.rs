//! Queued mail into mailboxes: what intake could not file at once, and what the
//! server writes itself.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;

use crate::address::{Address, ReversePath};
use crate::batch::{Batch, Receipt, SpoolChange};
use crate::envelope::Recipient;
use crate::event::{Event, EventId, EventName};
use crate::intake::tell::named;
use crate::intake::trace::delivered_to;
use crate::intake::{Filed, Filing, Mail, MailboxTarget};
use crate::message::{Limits, Message, READ_CHUNK, Scanner, Summary};
use crate::plan::RecipientPlan;
use crate::queue::{QueueEntry, QueueId, QueueProgress, RetrySchedule};
use crate::route::onward;
use crate::seams::{
    Clock, Commit, DeliveryAgent, DeliveryJob, Entropy, Route, RouteQuery, Router, Rules,
    StoreError,
};
use crate::status::{Failure, Outcome, Status};

/// Files mail into the mailboxes that its recipients route to.
#[derive(Debug)]
pub struct MailboxAgent {
    /// Finds the mailbox again: it may have changed since the mail came.
    pub router: Arc<dyn Router>,
    /// Where it is filed.
    pub commit: Arc<dyn Commit>,
    /// The recipients' own rules.
    pub rules: Option<Arc<dyn Rules>>,
    /// For mail that rules send on.
    pub schedule: RetrySchedule,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Ids.
    pub entropy: Arc<dyn Entropy>,
}

#[async_trait]
impl DeliveryAgent for MailboxAgent {
    async fn deliver(&self, job: DeliveryJob) -> Vec<Outcome> {
        let (summary, delivered_to) = match scan(&job).await {
            Ok(scanned) => scanned,
            Err(error) => return vec![outcome_of(&error); job.recipients.len()],
        };
        let mail = Mail {
            trace: job.trace,
            reverse_path: job.reverse_path.clone(),
            message: job.message.clone(),
            summary: Arc::new(summary),
            received_at: job.received_at,
            delivered_to,
        };
        let mut outcomes = Vec::with_capacity(job.recipients.len());
        for recipient in &job.recipients {
            outcomes.push(self.file(&mail, &job, recipient).await);
        }
        outcomes
    }
}

impl MailboxAgent {
    async fn file(&self, mail: &Mail, job: &DeliveryJob, recipient: &Recipient) -> Outcome {
        let query = RouteQuery::new(&recipient.address).from_sender(&job.reverse_path);
        let (route, copies) = match self.router.route(&query).await {
            Ok(Route::Copied { route, to }) => (Ok(*route), to),
            other => (other, Vec::new()),
        };
        let target = match route {
            Ok(Route::Mailbox {
                account,
                mailbox,
                quota,
            }) => MailboxTarget {
                account,
                mailbox,
                quota,
                address: recipient.address.clone(),
                copies,
            },
            Ok(_) => {
                return fail(Status::transient(
                    2,
                    1,
                    "the address no longer leads to a mailbox",
                ));
            }
            Err(error) => return fail(Status::transient(4, 3, error.to_string())),
        };
        let filing = Filing {
            rules: self.rules.as_deref(),
        };
        let filed = filing.file(mail, &target, &RecipientPlan::default());
        self.commit(filed, job)
            .await
            .unwrap_or_else(|outcome| outcome)
    }

    /// Files first and sends on only then: a copy that can't be filed is tried
    /// again, and with it the rules, but who has got a redirected copy must not
    /// get one more each time.
    async fn commit(&self, filed: Filed, job: &DeliveryJob) -> Result<Outcome, Outcome> {
        if let Some(status) = filed.refused {
            return Err(fail(status));
        }
        if !filed.appends.is_empty() {
            let batch = Batch {
                appends: filed.appends,
                ..Batch::default()
            };
            let receipt = self.write(batch, job).await?;
            if let Some(error) = receipt.appends.iter().find_map(|done| done.as_ref().err()) {
                return Err(outcome_of(error));
            }
        }
        if let Some(message) = filed.forwarded {
            let mut batch = Batch::default();
            for (sender, to) in self.senders(job, filed.redirects).await {
                let entry = self.redirect(message.clone(), job, sender, to);
                batch.events.push(self.queued(&entry));
                batch.spool.push(SpoolChange::Enqueue(Arc::new(entry)));
            }
            self.write(batch, job).await?;
        }
        Ok(Outcome::Delivered)
    }

    /// The addresses by the sender that each is written to from.
    async fn senders(
        &self,
        job: &DeliveryJob,
        to: Vec<Address>,
    ) -> BTreeMap<ReversePath, Vec<Address>> {
        let mut senders: BTreeMap<ReversePath, Vec<Address>> = BTreeMap::new();
        for to in to {
            let sender = onward(self.router.as_ref(), &job.reverse_path, &to).await;
            senders.entry(sender).or_default().push(to);
        }
        senders
    }

    fn queued(&self, entry: &QueueEntry) -> Event {
        let now = self.clock.now();
        let to: Vec<Recipient> = (entry.progress.recipients.iter())
            .map(|queued| queued.recipient.clone())
            .collect();
        Event {
            id: EventId(self.entropy.id(now)),
            at: now,
            name: EventName::MessageQueued,
            trace: Some(entry.trace),
            account: None,
            fields: Vec::new(),
        }
        .with("from", &entry.reverse_path)
        .with("queue", entry.id)
        .with("to", named(&to))
        .with("recipients", to.len())
    }

    async fn write(&self, batch: Batch, job: &DeliveryJob) -> Result<Receipt, Outcome> {
        self.commit.commit(batch).await.map_err(|error| {
            tracing::error!(%error, trace = %job.trace, "can't file");
            fail(Status::transient(3, 0, "the message can't be kept now"))
        })
    }

    fn redirect(
        &self,
        message: Message,
        job: &DeliveryJob,
        sender: ReversePath,
        to: Vec<Address>,
    ) -> QueueEntry {
        let now = self.clock.now();
        QueueEntry {
            id: QueueId(self.entropy.id(now)),
            trace: job.trace,
            reverse_path: sender,
            params: job.params.clone(),
            origin: job.origin,
            received_at: job.received_at,
            message,
            progress: QueueProgress::new(
                to.into_iter().map(Recipient::new),
                now,
                self.schedule.expires_at(now),
            ),
        }
    }
}

/// Reads the message once, in pieces, for its structure and the addresses it
/// was delivered to before.
async fn scan(job: &DeliveryJob) -> Result<(Summary, Arc<[String]>), StoreError> {
    let mut scanner = Scanner::new(Limits::default());
    let mut passed = Arc::default();
    let mut at = 0;
    while at < job.message.len() {
        let octets = job.message.read(at..at + READ_CHUNK as u64).await?;
        if octets.is_empty() {
            break;
        }
        if at == 0 {
            passed = delivered_to(&octets);
        }
        scanner.push(&octets);
        at += octets.len() as u64;
    }
    Ok((scanner.finish(), passed))
}

fn fail(status: Status) -> Outcome {
    Outcome::from_failure(Failure::local(status))
}

fn outcome_of(error: &StoreError) -> Outcome {
    fail(match error {
        StoreError::OverQuota => Status::transient(2, 2, "the mailbox is full"),
        StoreError::TooLarge { .. } => {
            Status::permanent(2, 3, "the message is too large for this mailbox")
        }
        StoreError::DiskFull => Status::transient(3, 1, "no space to keep the message"),
        StoreError::NoSuchMailbox | StoreError::NoSuchAccount => {
            Status::permanent(2, 1, "the mailbox is not there")
        }
        other => {
            tracing::error!(error = %other, "can't file");
            Status::transient(3, 0, "the message can't be kept now")
        }
    })
}
