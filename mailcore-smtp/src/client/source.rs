//! [`Source`]: a message's octets as they are sent, read as they are asked for.

use async_trait::async_trait;
use bytes::Bytes;
use mailcore::message::{Conversion, Message, READ_CHUNK};
use mailcore::seams::{SentOctets, StoreError};

use super::session::Answer;

/// A message being read.
#[derive(Debug)]
pub(super) struct Source<'a> {
    /// What goes before it; empty once it went.
    lead: Bytes,
    message: &'a Message,
    offset: u64,
    conversion: Option<Conversion>,
}

impl<'a> Source<'a> {
    pub(super) fn new(message: &'a Message, conversion: Option<Conversion>) -> Self {
        Self {
            lead: Bytes::new(),
            message,
            offset: 0,
            conversion,
        }
    }

    /// With header lines before the message.
    pub(super) fn after(self, lead: Bytes) -> Self {
        Self { lead, ..self }
    }

    /// The next octets.
    pub(super) async fn next(&mut self) -> Answer {
        if !self.lead.is_empty() {
            return Answer::Octets(std::mem::take(&mut self.lead));
        }
        let mut into = Vec::new();
        loop {
            let Some(octets) = read(self.message, self.offset).await else {
                return Answer::Unreadable;
            };
            self.offset += octets.len() as u64;
            let over = self.offset >= self.message.len();
            let Some(conversion) = &mut self.conversion else {
                return match over {
                    true => Answer::LastOctets(octets),
                    false => Answer::Octets(octets),
                };
            };
            conversion.push(&octets, &mut into);
            if over {
                if let Some(conversion) = self.conversion.take() {
                    conversion.finish(&mut into);
                }
                return Answer::LastOctets(into.into());
            }
            if !into.is_empty() {
                return Answer::Octets(into.into());
            }
        }
    }
}

/// A source as a signer reads it.
pub(super) struct Unsent<'a>(pub(super) Option<Source<'a>>);

#[async_trait]
impl SentOctets for Unsent<'_> {
    async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        let Some(source) = &mut self.0 else {
            return Ok(None);
        };
        match source.next().await {
            Answer::Octets(octets) => Ok(Some(octets)),
            Answer::LastOctets(octets) => {
                self.0 = None;
                Ok(Some(octets))
            }
            _ => Err(StoreError::Unavailable("a message can't be read")),
        }
    }
}

/// The octets at `offset`; none for a message that can't be read.
pub(super) async fn read(message: &Message, offset: u64) -> Option<Bytes> {
    let end = offset.saturating_add(READ_CHUNK as u64);
    let octets = message.read(offset..end).await.ok()?;
    (!octets.is_empty() || offset >= message.len()).then_some(octets)
}
