//! The batch is written, and what depends on it follows.

use super::{Refused, Settlement};
use crate::intake::letters::{Letters, Repeats};
use crate::intake::transaction::{refusal, status};
use crate::intake::{After, Refusal, SessionKind};
use crate::seams::{Appended, CommitError, StoreError};
use crate::status::Status;

impl Settlement<'_> {
    /// Writes the batch; for each of its appends whether it was filed.
    pub(super) async fn commit(&mut self) -> Result<Vec<Result<Appended, StoreError>>, Refusal> {
        let batch = std::mem::take(&mut self.batch);
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let Some(commit) = &self.intake.parts.commit else {
            if batch.appends.is_empty() && batch.spool.is_empty() {
                return Ok(Vec::new());
            }
            // No recipient that needs a store is let in without one.
            tracing::error!(trace = %self.mail.trace, "there is no store to keep mail in");
            return Err(Status::transient(3, 5, "this server can't keep mail").into());
        };
        let receipt = commit.commit(batch).await.map_err(|error| match error {
            CommitError::Store(error) => refusal(&error),
            other => {
                tracing::error!(error = %other, "the commit failed");
                Status::transient(3, 0, "the message can't be kept now; try again later").into()
            }
        })?;
        Ok(receipt.appends)
    }

    /// Notes what became of the copies that the batch was to file.
    pub(super) fn note_filed(&mut self, filed: Vec<Result<Appended, StoreError>>) {
        let mut filed = filed.into_iter();
        for copy in std::mem::take(&mut self.filing) {
            let failed = filed
                .by_ref()
                .take(copy.appends)
                .filter_map(Result::err)
                .last();
            if let Some(error) = failed {
                self.refused.push(Refused::new(copy.leg, status(&error)));
                continue;
            }
            self.take(copy.leg.index);
            // Who was named twice, perhaps by an alias, has one copy; one is sent
            // on, and answered.
            if !self.seen_to.insert(copy.leg.address.folded()) {
                continue;
            }
            let version = self.version_of(copy.leg.index);
            let onward = copy.onward.into_iter().map(|it| (version, it));
            self.onward.extend(onward);
            if !copy.after.is_empty() {
                self.after.push(copy.after);
            }
        }
    }

    /// Queues what depended on the first batch: copies sent on, and copies
    /// refused where others were taken. Then comes what rules wrote.
    pub(super) async fn follow_up(&mut self) -> Result<(), Refusal> {
        self.correct_copy();
        let any_taken = self.shares.iter().any(|share| share.taken);
        for refused in std::mem::take(&mut self.refused) {
            let index = refused.leg.index;
            let taken = match self.session.filter.door {
                SessionKind::Lmtp => self.shares.get(index).is_some_and(|own| own.taken),
                _ => any_taken,
            };
            match refused.instead {
                _ if !taken || !self.has_store() => self.refuse(index, refused.status),
                Some(mut after) => {
                    let mut state = std::mem::take(&mut after.state);
                    match self.send_letters(after).await {
                        Ok(()) => {
                            self.batch.state.append(&mut state);
                            self.take(index);
                        }
                        // The queue asks the rules again.
                        Err(_) => self.queue(&refused.leg),
                    }
                }
                None => self.queue(&refused.leg),
            }
        }
        self.forward().await;
        self.enqueue();
        for after in &mut self.after {
            self.batch.state.append(&mut after.state);
        }
        self.commit().await?;
        for after in std::mem::take(&mut self.after) {
            // A letter beside a copy that is filed costs the mail nothing.
            let _ = self.send_letters(after).await;
        }
        Ok(())
    }

    async fn send_letters(&self, after: After) -> Result<(), CommitError> {
        let parts = &self.intake.parts;
        let Some(commit) = &parts.commit else {
            return Ok(());
        };
        let letters = Letters {
            commit,
            clock: parts.clock.as_ref(),
            entropy: parts.entropy.as_ref(),
            schedule: &parts.schedule,
            hostname: &parts.hostname,
        };
        // A sender who hears nothing sends again, under another track.
        let sent = letters.send_all(after, self.mail.trace, Repeats::Never);
        sent.await
    }
}
