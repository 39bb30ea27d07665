//! Message octets held in memory, and the budget they are charged to.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use mailcore::message::{Blob, BlobKey, Content, Message, READ_CHUNK};
use mailcore::seams::{Stage, StoreError};

/// Octets held, against the most that may be.
#[derive(Debug)]
pub(super) struct Budget {
    used: AtomicU64,
    limit: u64,
}

impl Budget {
    pub(super) fn new(limit: u64) -> Arc<Self> {
        Arc::new(Self {
            used: AtomicU64::new(0),
            limit,
        })
    }

    /// Takes `octets` until the charge is dropped.
    ///
    /// # Errors
    /// [`StoreError::DiskFull`].
    pub(super) fn charge(self: &Arc<Self>, octets: u64) -> Result<Charge, StoreError> {
        self.used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                used.checked_add(octets).filter(|sum| *sum <= self.limit)
            })
            .map_err(|_| StoreError::DiskFull)?;
        Ok(Charge {
            budget: Arc::clone(self),
            octets,
        })
    }
}

/// A part of a [`Budget`], given back when dropped.
#[derive(Debug)]
pub(super) struct Charge {
    budget: Arc<Budget>,
    octets: u64,
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.octets, Ordering::Relaxed);
    }
}

/// Staged content.
#[derive(Debug)]
struct MemoryBlob {
    key: BlobKey,
    octets: Bytes,
}

#[async_trait]
impl Blob for MemoryBlob {
    fn key(&self) -> BlobKey {
        self.key
    }

    fn len(&self) -> u64 {
        self.octets.len() as u64
    }

    async fn read(&self, range: Range<u64>) -> Result<Bytes, StoreError> {
        Content::Inline(self.octets.clone()).read(range).await
    }
}

/// Content on its way in.
#[derive(Debug)]
pub(super) struct MemoryStage {
    pub(super) key: BlobKey,
    pub(super) limit: u64,
    pub(super) octets: BytesMut,
}

#[async_trait]
impl Stage for MemoryStage {
    async fn write(&mut self, octets: Bytes) -> Result<(), StoreError> {
        if (self.octets.len() as u64).saturating_add(octets.len() as u64) > self.limit {
            return Err(StoreError::TooLarge { limit: self.limit });
        }
        self.octets.extend_from_slice(&octets);
        Ok(())
    }

    async fn finish(self: Box<Self>) -> Result<Content, StoreError> {
        Ok(Content::Stored(Arc::new(MemoryBlob {
            key: self.key,
            octets: self.octets.freeze(),
        })))
    }
}

/// The message with its octets in memory: content of another store is read
/// here, before any lock is taken.
///
/// # Errors
/// [`StoreError::TooLarge`] over `limit` octets, or what the other store says.
pub(super) async fn adopt(
    message: &Message,
    own_key: u64,
    limit: u64,
) -> Result<Message, StoreError> {
    if message.len() > limit {
        return Err(StoreError::TooLarge { limit });
    }
    let blob = match message.content() {
        Content::Stored(blob) if blob.key().store != own_key => blob,
        _ => return Ok(message.clone()),
    };
    let mut octets = BytesMut::new();
    while (octets.len() as u64) < blob.len() {
        let at = octets.len() as u64;
        let chunk = blob.read(at..at + READ_CHUNK as u64).await?;
        if chunk.is_empty() {
            return Err(StoreError::Damaged("content ends before its length".into()));
        }
        octets.extend_from_slice(&chunk);
    }
    Ok(Message::from_bytes(octets.freeze()).with_prefix(message.prefix().clone()))
}
