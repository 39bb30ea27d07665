//! Receives a message chunk by chunk: counts, scans its structure, keeps it in
//! memory while small and stages it in the store when not.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::content::{Content, INLINE_LIMIT};
use super::header::Header;
use super::skeleton::{Limits, Scanner};
use super::summary::Summary;
use crate::seams::{Commit, Stage, StoreError};

/// A message on its way in. At most [`INLINE_LIMIT`] octets of it are held,
/// unless there is no store to stage it in.
#[derive(Debug)]
pub struct ContentWriter {
    commit: Option<Arc<dyn Commit>>,
    held: BytesMut,
    /// The header, once the message is staged.
    header: BytesMut,
    stage: Option<Box<dyn Stage>>,
    scanner: Scanner,
    size: u64,
    limit: u64,
}

impl ContentWriter {
    /// A writer that takes at most `limit` octets. Without a store everything
    /// is held in memory.
    pub fn new(commit: Option<Arc<dyn Commit>>, limit: u64) -> Self {
        Self {
            commit,
            held: BytesMut::new(),
            header: BytesMut::new(),
            stage: None,
            scanner: Scanner::new(Limits::default()),
            size: 0,
            limit,
        }
    }

    /// Octets taken so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The message's beginning: all of it while it is small, then its header,
    /// as far as that lies within [`INLINE_LIMIT`].
    pub fn head(&self) -> &[u8] {
        if self.stage.is_some() {
            &self.header
        } else {
            &self.held
        }
    }

    /// Takes octets.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`] over the limit, or what the store reports.
    /// After an error the message can't be finished.
    pub async fn write(&mut self, octets: Bytes) -> Result<(), StoreError> {
        self.size += octets.len() as u64;
        if self.size > self.limit {
            return Err(StoreError::TooLarge { limit: self.limit });
        }
        self.scanner.push(&octets);
        if let Some(stage) = &mut self.stage {
            return stage.write(octets).await;
        }
        match self.commit.clone() {
            Some(commit) if self.held.len() + octets.len() > INLINE_LIMIT => {
                self.keep_header(&octets);
                let mut stage = commit.stage().await?;
                stage.write(std::mem::take(&mut self.held).freeze()).await?;
                stage.write(octets).await?;
                self.stage = Some(stage);
                Ok(())
            }
            _ => {
                self.held.extend_from_slice(&octets);
                Ok(())
            }
        }
    }

    /// Keeps the header of what is held and `octets` together.
    fn keep_header(&mut self, octets: &Bytes) {
        let room = INLINE_LIMIT.saturating_sub(self.held.len());
        self.header.extend_from_slice(&self.held);
        self.header
            .extend_from_slice(octets.get(..room).unwrap_or(octets));
        let end = Header::new(&self.header).section_len();
        self.header.truncate(end);
    }

    /// Ends the message. What was staged is on stable storage.
    ///
    /// # Errors
    /// What the store reports.
    pub async fn finish(self) -> Result<(Content, Summary), StoreError> {
        let content = match self.stage {
            Some(stage) => stage.finish().await?,
            None => Content::Inline(self.held.freeze()),
        };
        Ok((content, self.scanner.finish()))
    }
}
