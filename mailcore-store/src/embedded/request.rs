//! Requests to the writer thread: how work gets there, and how its answer gets
//! back once the group's fate is known.

use std::sync::Arc;
use std::sync::mpsc::{self, Sender};

use mailcore::event::EventName;
use mailcore::seams::{CommitError, StoreError};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::health::SpaceChange;
use super::sequencer::{Refusal, Sequencer};
use super::shared::{Shared, index_error, lock};

/// Requests that may wait for the writer; more wait at the door.
pub(crate) const MAX_WAITING: usize = 1_024;

/// What a request is answered with once the group's fate is known.
pub(crate) type Answer = Box<dyn FnOnce(Result<(), StoreError>) + Send>;
/// A request's work, on the writer thread.
pub(crate) type Work = Box<dyn FnOnce(&mut Sequencer<'_>) -> (Answer, Result<(), Abort>) + Send>;

/// The group must be given up.
#[derive(Debug)]
pub(crate) struct Abort(pub(crate) StoreError);

/// A request to the writer, with its place in the queue.
pub(crate) struct Request(pub(super) Work, pub(super) Option<OwnedSemaphorePermit>);

impl Request {
    /// Has the index show everything; `done` is told.
    pub(crate) fn reveal(done: Sender<Result<(), StoreError>>) -> Self {
        let work: Work = Box::new(move |sequencer| {
            sequencer.notes.reveal = true;
            // Who asked may have gone away.
            let answer: Answer = Box::new(move |revealed| {
                let (Ok(()) | Err(_)) = done.send(revealed);
            });
            (answer, Ok(()))
        });
        Self(work, None)
    }

    /// Has the writer look after things; changes nothing.
    pub(crate) fn nothing() -> Self {
        Self(Box::new(|_| (Box::new(|_| ()), Ok(()))), None)
    }

    /// Tells operators of a change; `told` runs once that is durable.
    pub(super) fn space(change: SpaceChange, told: impl FnOnce() + Send + 'static) -> Self {
        let work: Work = Box::new(move |sequencer| {
            let raised = sequencer.raise(change.event());
            let abort = raised.map_err(|error| Abort(refusal_error(&error)));
            let answer: Answer = Box::new(move |durable| {
                if durable.is_ok() {
                    told();
                }
            });
            (answer, abort)
        });
        Self(work, None)
    }
}

impl SpaceChange {
    fn event(self) -> (EventName, Vec<(String, String)>) {
        let name = match self.low {
            true => EventName::DiskLow,
            false => EventName::DiskOk,
        };
        let field = |name: &str, value: u64| (name.to_owned(), value.to_string());
        let fields = vec![
            field("available", self.available),
            field("limit", self.limit),
        ];
        (name, fields)
    }
}

fn refusal_error(refusal: &Refusal) -> StoreError {
    match refusal {
        Refusal::Index(error) => index_error(error),
        Refusal::Store(error) => error.clone(),
        Refusal::Precondition(_) => StoreError::Unavailable("a request could not be finished"),
    }
}

impl Shared {
    /// Has the writer do something that nobody waits for and that may as well
    /// be left undone, when it has room for it.
    pub(crate) fn suggest(
        &self,
        work: impl FnOnce(&mut Sequencer<'_>) -> rusqlite::Result<()> + Send + 'static,
    ) {
        let work: Work = Box::new(move |sequencer| {
            let abort = work(sequencer).map_err(|error| Abort(index_error(&error)));
            let nobody: Answer = Box::new(|_| ());
            (nobody, abort)
        });
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            return;
        };
        if let Some(queue) = lock(&self.queue).clone() {
            drop(queue.send(Request(work, Some(place))));
        }
    }

    /// Has the writer do `work`, durably. Once this has been polled to the point
    /// of waiting for the answer, dropping it changes nothing.
    ///
    /// # Errors
    /// What `work` refuses, or why nothing could be written.
    pub(crate) async fn submit<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Sequencer<'_>) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, CommitError> {
        self.health.may_change()?;
        let (sender, receiver) = oneshot::channel();
        // The asker may have gone away; what was done stays done.
        let work = guarded(work, move |result| drop(sender.send(result)));
        let closed = || CommitError::Store(StoreError::Unavailable("the store is closed"));
        let place = Arc::clone(&self.places).acquire_owned().await;
        let request = Request(work, Some(place.map_err(|_| closed())?));
        let queue = lock(&self.queue).clone();
        queue
            .ok_or_else(closed)?
            .send(request)
            .map_err(|_| closed())?;
        receiver.await.map_err(|_| closed())?
    }

    /// As [`Shared::submit`], blocking the thread.
    ///
    /// # Errors
    /// As [`Shared::submit`].
    pub(crate) fn submit_blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Sequencer<'_>) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.health.may_change()?;
        let closed = || StoreError::Unavailable("the store is closed");
        let (sender, receiver) = mpsc::channel();
        let work = guarded(work, move |result| drop(sender.send(result)));
        let queue = lock(&self.queue).clone();
        queue
            .ok_or_else(closed)?
            .send(Request(work, None))
            .map_err(|_| closed())?;
        match receiver.recv().map_err(|_| closed())? {
            Ok(value) => Ok(value),
            Err(CommitError::Store(error)) => Err(error),
            Err(_) => Err(StoreError::Unavailable("the change was refused")),
        }
    }
}

/// A request's work with its answer: all of it counts, or nothing.
fn guarded<T: Send + 'static>(
    work: impl FnOnce(&mut Sequencer<'_>) -> Result<T, Refusal> + Send + 'static,
    done: impl FnOnce(Result<T, CommitError>) + Send + 'static,
) -> Work {
    Box::new(move |sequencer| {
        let outcome = work(sequencer);
        let abort = match &outcome {
            Err(Refusal::Index(error)) => Err(Abort(index_error(error))),
            // A refusal after a change would be half a change.
            Err(_) if !sequencer.effects.is_empty() => Err(Abort(StoreError::Unavailable(
                "a request could not be finished",
            ))),
            _ => Ok(()),
        };
        let answer: Answer = Box::new(move |durable| {
            done(match (durable, outcome) {
                (Ok(()), Ok(value)) => Ok(value),
                (_, Err(Refusal::Store(error))) => Err(CommitError::Store(error)),
                (_, Err(Refusal::Precondition(at))) => Err(CommitError::Precondition(at)),
                (Ok(()), Err(Refusal::Index(error))) => {
                    Err(CommitError::Store(index_error(&error)))
                }
                (Err(error), _) => Err(CommitError::Store(error)),
            });
        });
        (answer, abort)
    })
}
