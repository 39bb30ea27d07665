//! Mail that the host sends, and waiting for what becomes of it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use thiserror::Error;

use crate::address::{Address, AddressError};
use crate::envelope::Envelope;
use crate::event::{Event, EventName, EventStream, TraceId};
use crate::intake::{Intake, Refusal};
use crate::seams::{Clock, Outbox, StoreError};
use crate::status::{Status, StatusClass};
use crate::time::Timestamp;

/// What the last attempt may take after a message has expired.
const GRACE: Duration = Duration::from_secs(3_600);

/// Why nothing was sent.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum SubmitError {
    /// Refused, for the reason given.
    #[error("refused: {0}")]
    Refused(Status),
    /// Events can't be read, so an outcome can't be waited for.
    #[error("events can't be read: {0}")]
    Events(#[from] StoreError),
    /// [`RunningServer::send`](super::RunningServer::send) needs a sender.
    #[error("the message names no sender; give it a From field")]
    NoSender,
    /// The same without anybody to send it to.
    #[error("the message names no recipient; give it a To, Cc or Bcc field")]
    NoRecipient,
    /// An address in its header is not one.
    #[error("{address:?} in the message's header is not an address: {source}")]
    Address {
        /// What stands there.
        address: String,
        /// Why not.
        source: AddressError,
    },
}

impl From<Refusal> for SubmitError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal.status)
    }
}

/// A message that was sent.
#[derive(Debug)]
pub struct Submission {
    trace: TraceId,
    recipients: Vec<Sent>,
    waiting: Option<Waiting>,
}

/// One recipient of a message that was sent.
#[derive(Debug)]
struct Sent {
    to: Address,
    /// What intake said.
    status: Status,
    /// Where copies of it wait in the queue.
    pending: Vec<String>,
    /// Why one of them did not get there.
    failed: Option<String>,
}

/// How to learn what becomes of queued copies.
#[derive(Debug)]
struct Waiting {
    events: EventStream,
    clock: Arc<dyn Clock>,
    /// When the queue has given up for sure.
    until: Timestamp,
}

/// What became of one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Delivered {
    /// Who.
    pub recipient: String,
    /// Whether it got there.
    pub success: bool,
    /// In whose words.
    pub status: String,
}

impl Submission {
    pub(super) async fn send(
        intake: &Arc<Intake>,
        outbox: Option<Arc<dyn Outbox>>,
        envelope: Envelope,
        message: Bytes,
    ) -> Result<Self, SubmitError> {
        // The cursor is taken first, so that no event of this message is missed.
        let events = outbox.map(|outbox| {
            let cursor = *outbox.watch().borrow();
            EventStream::after(outbox, cursor)
        });
        let addresses: Vec<Address> = envelope
            .recipients
            .iter()
            .map(|to| to.address.clone())
            .collect();
        let accepted = intake.submit(envelope, message).await?;
        let taken = |status: &Status| status.code.class == StatusClass::Success;
        if !accepted.outcomes.iter().any(taken) {
            return Err(SubmitError::Refused(accepted.overall()));
        }
        let parts = &intake.parts;
        let until = parts.schedule.expires_at(parts.clock.now()).after(GRACE);
        let waiting = events.map(|events| Waiting {
            events,
            clock: Arc::clone(&parts.clock),
            until,
        });
        let told = accepted.outcomes.into_iter().zip(accepted.pending);
        let sent = |(to, (status, pending)): (Address, (Status, Vec<Address>))| Sent {
            to,
            status,
            pending: pending.iter().map(ToString::to_string).collect(),
            failed: None,
        };
        Ok(Self {
            trace: accepted.trace,
            recipients: addresses.into_iter().zip(told).map(sent).collect(),
            waiting,
        })
    }

    /// The message's track: names it in events and logs.
    pub fn trace(&self) -> TraceId {
        self.trace
    }

    /// Waits until every recipient is served or failed; at most as long as the
    /// retry schedule keeps a message. One answer for each recipient of the
    /// envelope, in its order. A copy that a filter or rule dropped, or that
    /// waits on hold for an operator longer than that, is told as it stands.
    ///
    /// # Errors
    /// [`SubmitError::Events`].
    pub async fn outcome(mut self) -> Result<Vec<Delivered>, SubmitError> {
        if let Some(waiting) = self.waiting.take() {
            self.follow(waiting).await?;
        }
        Ok(self.recipients.into_iter().map(Sent::told).collect())
    }

    async fn follow(&mut self, waiting: Waiting) -> Result<(), SubmitError> {
        let Waiting {
            mut events,
            clock,
            until,
        } = waiting;
        let mut too_late = std::pin::pin!(clock.sleep_until_wall(until));
        while self.recipients.iter().any(|sent| !sent.pending.is_empty()) {
            let event = tokio::select! {
                biased;
                event = events.next() => event,
                () = &mut too_late => return Ok(()),
            };
            let Some(event) = event else { return Ok(()) };
            let event = event?.event;
            // What was dropped from the log may have been about this message.
            if event.name == EventName::Gap {
                return Ok(());
            }
            if event.trace == Some(self.trace) {
                self.recipients
                    .iter_mut()
                    .for_each(|sent| sent.note(&event));
            }
        }
        Ok(())
    }
}

impl Sent {
    fn note(&mut self, event: &Event) {
        let failed = match event.name {
            EventName::RecipientDelivered | EventName::MessageNew => false,
            EventName::RecipientFailed => true,
            _ => return,
        };
        let to = event.field("to").unwrap_or_default();
        let before = self.pending.len();
        self.pending.retain(|pending| pending != to);
        if failed && self.pending.len() < before {
            let why = event.field("status").unwrap_or("5.0.0 not delivered");
            self.failed.get_or_insert_with(|| why.to_owned());
        }
    }

    fn told(self) -> Delivered {
        let waits = !self.pending.is_empty();
        let taken = self.status.code.class == StatusClass::Success;
        Delivered {
            recipient: self.to.to_string(),
            success: taken && self.failed.is_none() && !waits,
            status: match self.failed {
                Some(why) => why,
                None if waits => "4.0.0 what became of it is not known".to_owned(),
                None => self.status.to_string(),
            },
        }
    }
}
