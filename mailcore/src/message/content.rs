//! A message's octets: in memory when small, in a store when not, shared
//! between all who hold a copy.

use std::fmt::Debug;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};

use super::skeleton::{Limits, Scanner};
use super::summary::Summary;
use crate::seams::StoreError;

/// Content up to this many octets travels in memory; more is staged in the
/// store as it arrives ([`Commit::stage`](crate::seams::Commit::stage)).
pub const INLINE_LIMIT: usize = 64 * 1024;
/// Readers ask for at most this many octets at a time.
pub const READ_CHUNK: usize = 64 * 1024;

/// Octets that a store holds. Reading never returns a wrong octet: damage is
/// [`StoreError::Damaged`].
#[async_trait]
pub trait Blob: Debug + Send + Sync {
    /// The store's own key for this content, meaningless to others. A store
    /// that finds its own key in a [`Batch`](crate::batch::Batch) references
    /// the content instead of writing it again.
    fn key(&self) -> BlobKey;

    /// Length in octets.
    fn len(&self) -> u64;

    /// True when there is nothing to read.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Reads `range`, cut to the content's end. Cheap to call in sequence:
    /// stores read ahead.
    async fn read(&self, range: Range<u64>) -> Result<Bytes, StoreError>;
}

/// Names content within the store that made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BlobKey {
    /// Which store: a random number each store keeps for life.
    pub store: u64,
    /// Which content.
    pub content: u128,
}

/// A message's octets, cheap to clone.
#[derive(Debug, Clone)]
pub enum Content {
    /// All of them, here.
    Inline(Bytes),
    /// Kept by a store.
    Stored(Arc<dyn Blob>),
}

impl Content {
    /// Length in octets.
    pub fn len(&self) -> u64 {
        match self {
            Self::Inline(octets) => octets.len() as u64,
            Self::Stored(blob) => blob.len(),
        }
    }

    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// True when both are one and the same, and not only alike.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Inline(one), Self::Inline(two)) => {
                one.as_ptr() == two.as_ptr() && one.len() == two.len()
            }
            (Self::Stored(one), Self::Stored(two)) => one.key() == two.key(),
            _ => false,
        }
    }

    /// Reads `range`, cut to the content's end.
    ///
    /// # Errors
    /// What the store reports.
    pub async fn read(&self, range: Range<u64>) -> Result<Bytes, StoreError> {
        match self {
            Self::Inline(octets) => Ok(slice(octets, &range)),
            Self::Stored(blob) => blob.read(range).await,
        }
    }
}

/// A message: a small prefix that belongs to this copy (Return-Path,
/// Delivered-To, Received) and the content it shares with the other copies.
///
/// To every reader it is one run of octets, prefix first; sizes count both.
#[derive(Debug, Clone)]
pub struct Message {
    prefix: Bytes,
    content: Content,
}

impl Message {
    /// A message without a prefix.
    pub fn new(content: Content) -> Self {
        Self {
            prefix: Bytes::new(),
            content,
        }
    }

    /// A message held in memory.
    pub fn from_bytes(octets: impl Into<Bytes>) -> Self {
        Self::new(Content::Inline(octets.into()))
    }

    /// The same content under `prefix`: whole header lines, each with its CRLF.
    #[must_use]
    pub fn with_prefix(&self, prefix: impl Into<Bytes>) -> Self {
        Self {
            prefix: prefix.into(),
            content: self.content.clone(),
        }
    }

    /// This copy's own header lines.
    pub fn prefix(&self) -> &Bytes {
        &self.prefix
    }

    /// The shared octets.
    pub fn content(&self) -> &Content {
        &self.content
    }

    /// Length in octets, prefix and content (RFC822.SIZE).
    pub fn len(&self) -> u64 {
        self.prefix.len() as u64 + self.content.len()
    }

    /// True when there is not one octet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What lists of messages need to know of it: reads it once, in pieces.
    ///
    /// # Errors
    /// What the store says.
    pub async fn summarize(&self) -> Result<Summary, StoreError> {
        let mut scanner = Scanner::new(Limits::default());
        let mut at = 0;
        while at < self.len() {
            let octets = self.read(at..at + READ_CHUNK as u64).await?;
            if octets.is_empty() {
                break;
            }
            scanner.push(&octets);
            at += octets.len() as u64;
        }
        Ok(scanner.finish())
    }

    /// Reads `range`, cut to the message's end. Copies only where the range
    /// spans prefix and content.
    ///
    /// # Errors
    /// What the store reports.
    pub async fn read(&self, range: Range<u64>) -> Result<Bytes, StoreError> {
        let split = self.prefix.len() as u64;
        if range.end <= split {
            return Ok(slice(&self.prefix, &range));
        }
        let rest = range.start.saturating_sub(split)..range.end - split;
        if range.start >= split {
            return self.content.read(rest).await;
        }
        let tail = self.content.read(rest).await?;
        let mut both = BytesMut::from(slice(&self.prefix, &(range.start..split)).as_ref());
        both.extend_from_slice(&tail);
        Ok(both.freeze())
    }

    /// Reads everything, for callers that know the message to be small.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`] when it has more than `limit` octets, or what
    /// the store reports.
    pub async fn read_all(&self, limit: u64) -> Result<Bytes, StoreError> {
        if self.len() > limit {
            return Err(StoreError::TooLarge { limit });
        }
        self.read(0..self.len()).await
    }
}

fn slice(octets: &Bytes, range: &Range<u64>) -> Bytes {
    let clamp = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(octets.len());
    let (start, end) = (clamp(range.start), clamp(range.end));
    octets.slice(start..end.max(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn prefix_and_content_read_as_one() {
        let message = Message::from_bytes("content").with_prefix("pre");
        assert_eq!(message.len(), 10);
        for start in 0..12 {
            for end in start..12 {
                let want = "precontent".get(start..end.min(10)).unwrap_or_default();
                let got = message.read(start as u64..end as u64).await.unwrap();
                assert_eq!(got, want, "{start}..{end}");
            }
        }
    }
}
