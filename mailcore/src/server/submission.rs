//! Mail that the host sends, and waiting for what becomes of it.

use std::sync::Arc;

use bytes::Bytes;
use thiserror::Error;

use crate::address::Address;
use crate::envelope::Envelope;
use crate::event::{EventName, EventStream, TraceId};
use crate::intake::{Intake, Refusal};
use crate::seams::{Outbox, StoreError};
use crate::status::{Status, StatusClass};

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
    recipients: Vec<(Address, Status)>,
    events: Option<EventStream>,
}

/// What became of one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
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
        let overall = accepted.overall();
        if overall.code.class != StatusClass::Success {
            return Err(SubmitError::Refused(overall));
        }
        Ok(Self {
            trace: accepted.trace,
            recipients: addresses.into_iter().zip(accepted.outcomes).collect(),
            events,
        })
    }

    /// The message's track: names it in events and logs.
    pub fn trace(&self) -> TraceId {
        self.trace
    }

    /// Waits until every recipient is served or failed; at most as long as the
    /// retry schedule keeps a message.
    ///
    /// # Errors
    /// [`SubmitError::Events`].
    pub async fn outcome(mut self) -> Result<Vec<Delivered>, SubmitError> {
        let Some(mut events) = self.events.take() else {
            return Ok(self
                .recipients
                .iter()
                .map(|(to, status)| Delivered {
                    recipient: to.to_string(),
                    success: status.code.class == StatusClass::Success,
                    status: status.to_string(),
                })
                .collect());
        };
        let mut done: Vec<Delivered> = Vec::new();
        while done.len() < self.recipients.len() {
            let Some(event) = events.next().await else {
                break;
            };
            let event = event?.event;
            let success = match event.name {
                EventName::RecipientDelivered | EventName::MessageNew => true,
                EventName::RecipientFailed => false,
                _ => continue,
            };
            let recipient = event.field("to").unwrap_or_default().to_owned();
            if event.trace == Some(self.trace)
                && !done.iter().any(|known| known.recipient == recipient)
            {
                let status = event
                    .field("status")
                    .unwrap_or("2.0.0 delivered")
                    .to_owned();
                done.push(Delivered {
                    recipient,
                    success,
                    status,
                });
            }
        }
        Ok(done)
    }
}
