//! [`Commit`]: a batch's bodies are hashed and, where large, put into extents
//! on the asker's side, so that the writer thread only copies and syncs.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use mailcore::batch::{Append, Batch, Receipt, SpoolChange};
use mailcore::event::Event;
use mailcore::mailbox::ThreadKeys;
use mailcore::message::{Blob, BlobKey, Content, READ_CHUNK};
use mailcore::seams::{Commit, CommitError, NewMessage, Stage, StoreError};

use super::body::StoredBody;
use super::body::extent::{Blocks, ExtentWriter, Extents, Staged};
use super::log::{BLOCK, MAX_PAYLOAD};
use super::sequencer::{
    AppendInput, BatchInput, BodyInput, NewMessageInput, SpoolInput, body_extent, extent_body,
};
use super::shared::Shared;
use super::store::EmbeddedStore;

/// Blocks of a staged body that are written together.
const STAGE_BLOCKS: usize = 4;
/// Octets of record that a batch may ask for; the log's own limit is above.
const MAX_BATCH: usize = MAX_PAYLOAD / 2;
/// Octets of a record that are left to what is not counted.
const RESERVED: usize = 256 * 1_024;

#[async_trait]
impl Commit for EmbeddedStore {
    async fn commit(&self, batch: Batch) -> Result<Receipt, CommitError> {
        self.shared.health.may_change()?;
        let input = self.shared.batch_input(batch).await?;
        self.shared
            .submit(move |sequencer| sequencer.batch(&input))
            .await
    }

    async fn stage(&self) -> Result<Box<dyn Stage>, StoreError> {
        self.shared.health.may_change()?;
        Ok(Box::new(Staging::new(Arc::clone(&self.shared))))
    }

    fn has_room(&self, octets: u64) -> bool {
        self.shared.has_room(octets)
    }
}

/// What tells two contents of one batch apart.
#[derive(PartialEq, Eq, Hash)]
enum Sameness {
    Octets(usize, usize),
    Blob(BlobKey),
}

impl Sameness {
    fn of(content: &Content) -> Self {
        match content {
            Content::Inline(octets) => Self::Octets(octets.as_ptr().addr(), octets.len()),
            Content::Stored(blob) => Self::Blob(blob.key()),
        }
    }
}

/// The bodies of a batch, each once.
#[derive(Default)]
struct BatchBodies {
    inputs: Vec<BodyInput>,
    places: HashMap<Sameness, usize>,
}

impl BatchBodies {
    async fn place(
        &mut self,
        shared: &Arc<Shared>,
        content: &Content,
    ) -> Result<usize, StoreError> {
        let sameness = Sameness::of(content);
        if let Some(place) = self.places.get(&sameness) {
            return Ok(*place);
        }
        let input = shared.body_input(content).await?;
        self.inputs.push(input);
        let place = self.inputs.len() - 1;
        self.places.insert(sameness, place);
        Ok(place)
    }
}

impl Shared {
    async fn batch_input(self: &Arc<Self>, batch: Batch) -> Result<BatchInput, StoreError> {
        let mut bodies = BatchBodies::default();
        let mut octets = 0;
        let mut appends = Vec::with_capacity(batch.appends.len());
        for append in batch.appends {
            let body = bodies.place(self, append.message.message.content()).await?;
            let input = append_input(append, body, &bodies.inputs)?;
            octets += input.message.prefix.len() + input.message.summary.len() + 256;
            appends.push(input);
        }
        let mut spool = Vec::with_capacity(batch.spool.len());
        for change in batch.spool {
            spool.push(match change {
                SpoolChange::Enqueue(entry) => {
                    let body = bodies.place(self, entry.message.content()).await?;
                    octets += entry.message.prefix().len() + entry.progress.octets();
                    SpoolInput::Enqueue { entry, body }
                }
                SpoolChange::Update {
                    id,
                    progress,
                    lease,
                } => {
                    octets += progress.octets();
                    SpoolInput::Update {
                        id,
                        progress,
                        lease,
                    }
                }
                SpoolChange::Remove { id } => SpoolInput::Remove { id },
                _ => return Err(StoreError::Unsupported("this change to the queue")),
            });
        }
        // Found out by the writer, it would cost those their changes that are
        // gathered with this one.
        let events: usize = batch.events.iter().map(event_octets).sum();
        match octets > MAX_BATCH || octets + events > MAX_PAYLOAD - RESERVED {
            true => Err(StoreError::TooLarge {
                limit: MAX_BATCH as u64,
            }),
            false => Ok(BatchInput {
                preconditions: batch.preconditions,
                bodies: bodies.inputs,
                appends,
                spool,
                state: batch.state,
                events: batch.events,
            }),
        }
    }

    /// A content in the form the writer takes: hashed, or in an extent.
    pub(crate) async fn body_input(
        self: &Arc<Self>,
        content: &Content,
    ) -> Result<BodyInput, StoreError> {
        match content {
            Content::Inline(octets) if octets.len() <= BLOCK => Ok(BodyInput::Inline {
                octets: octets.clone(),
                hash: *blake3::hash(octets).as_bytes(),
            }),
            Content::Stored(blob) if blob.key().store == self.number => self.own(blob.key()),
            other => {
                // Too large for the log, or another store's: copied in.
                let mut staging = Staging::new(Arc::clone(self));
                let mut at = 0;
                while at < other.len() {
                    let octets = other.read(at..at + READ_CHUNK as u64).await?;
                    if octets.is_empty() {
                        return Err(StoreError::Damaged("content ends before its length".into()));
                    }
                    at += octets.len() as u64;
                    staging.write(octets).await?;
                }
                match Box::new(staging).finish().await? {
                    Content::Inline(octets) => {
                        let hash = *blake3::hash(&octets).as_bytes();
                        Ok(BodyInput::Inline { octets, hash })
                    }
                    Content::Stored(blob) => self.own(blob.key()),
                }
            }
        }
    }

    fn own(&self, key: BlobKey) -> Result<BodyInput, StoreError> {
        let id = u64::try_from(key.content).map_err(|_| StoreError::NotFound)?;
        let staged = body_extent(id).and_then(|extent| self.extents.staged(extent));
        Ok(BodyInput::Own { id, staged })
    }
}

/// What an event takes in a record, about.
fn event_octets(event: &Event) -> usize {
    let fields = event.fields.iter();
    64 + fields
        .map(|(name, value)| name.len() + value.len() + 2)
        .sum::<usize>()
}

fn append_input(
    append: Append,
    body: usize,
    bodies: &[BodyInput],
) -> Result<AppendInput, StoreError> {
    let input = bodies.get(body).cloned().ok_or(StoreError::NotFound)?;
    Ok(AppendInput {
        message: message_input(&append.message, input),
        account: append.account,
        mailbox: append.mailbox,
        if_missing: append.if_missing,
        body,
        delivery_id: append.delivery_id,
        quota: append.quota,
        trace: append.trace,
        recipient: append.recipient,
    })
}

/// A message with its body in the form the writer takes.
pub(crate) fn message_input(message: &NewMessage, body: BodyInput) -> NewMessageInput {
    NewMessageInput {
        body,
        prefix: message.message.prefix().to_vec(),
        summary: message.summary.encode(),
        size: message.message.len(),
        flags: message.flags.clone(),
        internal_date: message.internal_date,
        thread: ThreadKeys::of(&message.summary),
    }
}

/// Content as it arrives. Up to one block stays in memory and goes into the
/// log with its batch; more becomes an extent.
#[derive(Debug)]
struct Staging {
    shared: Arc<Shared>,
    blocks: Blocks,
    writer: Option<ExtentWriter>,
}

impl Staging {
    fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            blocks: Blocks::default(),
            writer: None,
        }
    }

    /// Writes on a thread that may block; begins the extent at the first time.
    async fn flush(&mut self, octets: Bytes) -> Result<(), StoreError> {
        let extents: Arc<Extents> = Arc::clone(&self.shared.extents);
        let writer = self.writer.take();
        let job = move || {
            let mut writer = match writer {
                Some(writer) => writer,
                None => ExtentWriter::begin(&extents)?,
            };
            writer.write(&octets)?;
            Ok(writer)
        };
        self.writer = Some(blocking(job).await?);
        Ok(())
    }
}

async fn blocking<T: Send + 'static>(
    job: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let done = tokio::task::spawn_blocking(job).await;
    done.map_err(|_| StoreError::Unavailable("the runtime is shutting down"))?
}

#[async_trait]
impl Stage for Staging {
    async fn write(&mut self, octets: Bytes) -> Result<(), StoreError> {
        self.blocks.add(&octets);
        match self.blocks.take_whole(STAGE_BLOCKS) {
            Some(octets) => self.flush(octets).await,
            None => Ok(()),
        }
    }

    async fn finish(mut self: Box<Self>) -> Result<Content, StoreError> {
        let rest = self.blocks.take();
        if self.writer.is_none() && rest.len() <= BLOCK {
            return Ok(Content::Inline(rest));
        }
        if !rest.is_empty() {
            self.flush(rest).await?;
        }
        let writer = self
            .writer
            .take()
            .ok_or(StoreError::Unavailable("nothing was staged"))?;
        let staged: Arc<Staged> = blocking(move || writer.finish()).await?;
        let id = extent_body(staged.id());
        let key = (self.shared.blob_key(id), id);
        let body: Arc<dyn Blob> = Arc::new(StoredBody::staged(
            Arc::clone(&self.shared.bodies),
            key,
            staged,
        ));
        Ok(Content::Stored(body))
    }
}
