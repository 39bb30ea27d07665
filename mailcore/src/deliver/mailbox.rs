//! Queued mail into mailboxes: what intake could not file at once, and what the
//! server writes itself.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;

use crate::address::{Address, Domain, ReversePath};
use crate::batch::{Batch, Receipt, SpoolChange};
use crate::envelope::Recipient;
use crate::event::{Event, EventId, EventName};
use crate::intake::letters::{Guard, Letters, Repeats};
use crate::intake::tell::named;
use crate::intake::trace::delivered_to;
use crate::intake::{Filed, Filing, Mail, MailboxTarget};
use crate::message::{Limits, Message, READ_CHUNK, Scanner, Summary};
use crate::plan::RecipientPlan;
use crate::queue::{QueueEntry, QueueId, QueueProgress, RetrySchedule};
use crate::route::onward;
use crate::seams::{
    Clock, Commit, CommitError, DeliveryAgent, DeliveryJob, Entropy, Route, RouteQuery, Router,
    Rules, StoreError,
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
    /// This server's name, in what it writes.
    pub hostname: Domain,
    /// For mail that rules send on.
    pub schedule: RetrySchedule,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Ids.
    pub entropy: Arc<dyn Entropy>,
}

/// Copies that are filed in one batch.
const FILED_AT_ONCE: usize = 250;

/// One recipient's copy on its way through an attempt.
struct Attempt {
    recipient: Recipient,
    filed: Filed,
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
        for recipients in job.recipients.chunks(FILED_AT_ONCE) {
            outcomes.extend(self.file_all(&mail, &job, recipients).await);
        }
        outcomes
    }
}

impl MailboxAgent {
    /// Files the copies of these recipients in one batch. Only then is sent on and
    /// answered what is to be: a copy that can't be filed is tried again, and with
    /// it the rules, but who has got a redirected copy must not get one more each
    /// time.
    async fn file_all(
        &self,
        mail: &Mail,
        job: &DeliveryJob,
        recipients: &[Recipient],
    ) -> Vec<Outcome> {
        let mut batch = Batch::default();
        let mut attempts = Vec::with_capacity(recipients.len());
        for recipient in recipients {
            let attempt = match self.target(job, recipient).await {
                Ok(target) => {
                    let mut filed = self.rule(mail, job, (recipient, &target)).await;
                    let appends = std::mem::take(&mut filed.appends);
                    let count = appends.len();
                    batch.appends.extend(appends);
                    Ok((
                        Attempt {
                            recipient: recipient.clone(),
                            filed,
                        },
                        count,
                    ))
                }
                Err(outcome) => Err(outcome),
            };
            attempts.push(attempt);
        }
        let mut appended = match batch.appends.is_empty() {
            true => Ok(Vec::new().into_iter()),
            false => {
                let receipt = self.write(batch, job).await;
                receipt.map(|receipt| receipt.appends.into_iter())
            }
        };
        let mut outcomes = Vec::with_capacity(attempts.len());
        for attempt in attempts {
            let (attempt, count) = match attempt {
                Ok(attempt) => attempt,
                Err(outcome) => {
                    outcomes.push(outcome);
                    continue;
                }
            };
            let failed = match &mut appended {
                Ok(appended) => {
                    let own = appended.by_ref().take(count);
                    let failed = own.filter_map(Result::err).last();
                    failed.map(|error| outcome_of(&error))
                }
                Err(outcome) => (count > 0).then(|| outcome.clone()),
            };
            let outcome = match failed {
                Some(outcome) => outcome,
                None => self.follow_up(job, attempt).await,
            };
            outcomes.push(outcome);
        }
        outcomes
    }

    /// Where a recipient's copy goes now.
    async fn target(
        &self,
        job: &DeliveryJob,
        recipient: &Recipient,
    ) -> Result<MailboxTarget, Outcome> {
        let query = RouteQuery::new(&recipient.address).from_sender(&job.reverse_path);
        let (route, copies) = match self.router.route(&query).await {
            Ok(Route::Copied { route, to }) => (Ok(*route), to),
            other => (other, Vec::new()),
        };
        match route {
            Ok(Route::Mailbox {
                account,
                mailbox,
                quota,
            }) => Ok(MailboxTarget {
                account,
                mailbox,
                quota,
                address: recipient.address.clone(),
                copies,
            }),
            Ok(_) => Err(fail(Status::transient(
                2,
                1,
                "the address no longer leads to a mailbox",
            ))),
            Err(error) => Err(fail(Status::transient(4, 3, error.to_string()))),
        }
    }

    async fn rule(
        &self,
        mail: &Mail,
        job: &DeliveryJob,
        (recipient, target): (&Recipient, &MailboxTarget),
    ) -> Filed {
        let filing = Filing {
            commit: Some(Arc::clone(&self.commit)),
            named: Some(recipient),
            findings: &job.findings,
            ..Filing::new(self.rules.as_deref(), &job.params)
        };
        filing.file(mail, target, &RecipientPlan::default()).await
    }

    /// What depends on a copy that is filed. Of an attempt that is made again,
    /// since the one before ended in a crash, nothing is done twice.
    async fn follow_up(&self, job: &DeliveryJob, attempt: Attempt) -> Outcome {
        let Attempt { recipient, filed } = attempt;
        let mut after = filed.after;
        let is_refused = filed.refused.is_some();
        if let Some(status) = filed.refused {
            let Some(letter) = filed.instead else {
                return fail(status);
            };
            after.letters = vec![letter];
        }
        let mut batch = Batch {
            state: std::mem::take(&mut after.state),
            ..Batch::default()
        };
        for copy in filed.onward {
            for (sender, to) in self.senders(job, copy.to).await {
                let mut entry = self.redirect(copy.message.clone(), job, sender, to);
                entry.params.ret = copy.notices.ret.or(entry.params.ret);
                for queued in &mut entry.progress.recipients {
                    queued.recipient.notify = copy.notices.notify.unwrap_or_default();
                }
                batch.events.push(self.queued(&entry));
                batch.spool.push(SpoolChange::Enqueue(Arc::new(entry)));
            }
        }
        if !batch.is_empty()
            && let Err(outcome) = self.write_once(batch, job, &recipient).await
        {
            return outcome;
        }
        let letters = Letters {
            commit: &self.commit,
            clock: self.clock.as_ref(),
            entropy: self.entropy.as_ref(),
            schedule: &self.schedule,
            hostname: &self.hostname,
        };
        match letters.send_all(after, job.trace, Repeats::Maybe).await {
            // The letter is all that the sender hears.
            Err(error) if is_refused => not_kept(&error, job),
            _ => Outcome::Delivered,
        }
    }

    /// Writes what follows from a delivery, unless an attempt before did.
    async fn write_once(
        &self,
        mut batch: Batch,
        job: &DeliveryJob,
        recipient: &Recipient,
    ) -> Result<(), Outcome> {
        let guard = Guard::of(job.trace, &recipient.address, "onward", self.clock.now());
        batch.preconditions.push(guard.precondition);
        batch.state.push(guard.change);
        match self.commit.commit(batch).await {
            Ok(_) | Err(CommitError::Precondition(_)) => Ok(()),
            Err(error) => Err(not_kept(&error, job)),
        }
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
        let written = self.commit.commit(batch).await;
        written.map_err(|error| not_kept(&error, job))
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
            findings: Arc::clone(&job.findings),
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

fn not_kept(error: &CommitError, job: &DeliveryJob) -> Outcome {
    tracing::error!(%error, trace = %job.trace, "can't file");
    fail(Status::transient(3, 0, "the message can't be kept now"))
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
