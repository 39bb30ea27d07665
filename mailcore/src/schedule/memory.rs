//! What was run when, kept in the store's [`State`], one value a job.

use std::sync::Arc;
use std::time::Duration;

use super::LastRun;
use crate::batch::{Batch, StateChange};
use crate::event::Event;
use crate::pack::{PackError, Packer, Unpacker};
use crate::seams::{Commit, CommitError, State, StateKey, StoreError};
use crate::time::Timestamp;

/// Where the values are.
const NAMESPACE: &str = "schedule";

/// A job that was not run for so long is forgotten: it is gone, or comes once
/// in years.
const KEEP: Duration = Duration::from_secs(3 * 366 * 24 * 60 * 60);

/// The form of a value.
const VERSION: u8 = 1;

/// The store's part in it; without one, runs are remembered until the server
/// ends.
#[derive(Debug, Clone)]
pub struct JobMemory {
    /// Where it is read.
    pub state: Arc<dyn State>,
    /// Where it is written, together with the events.
    pub commit: Arc<dyn Commit>,
}

/// What is remembered of one job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    /// The schedule that `counted` belongs to, as written.
    pub(super) crontab: String,
    /// Runs due up to then have had their turn.
    pub(super) counted: Timestamp,
    /// A run that began and of whose end nothing is known.
    pub(super) begun: Option<Begun>,
    /// The last one that ended.
    pub(super) last: Option<LastRun>,
}

/// A run that began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Begun {
    /// The time that it is for.
    pub(super) due: Timestamp,
    /// How often it began.
    pub(super) times: u64,
}

impl JobMemory {
    /// What is remembered of a job. A value that can't be read is none.
    pub(super) async fn load(&self, name: &str) -> Result<Option<Record>, StoreError> {
        let value = self.state.read(&StateKey::new(NAMESPACE, name)).await?;
        Ok(value.and_then(|value| match Record::decode(&value.value) {
            Ok(record) => Some(record),
            Err(error) => {
                tracing::warn!(job = name, %error, "what is remembered of this job is not used");
                None
            }
        }))
    }

    /// Remembers, and tells of it in the same batch.
    pub(super) async fn save(
        &self,
        name: &str,
        record: &Record,
        now: Timestamp,
        event: Option<Event>,
    ) -> Result<(), CommitError> {
        let put = StateChange::Put {
            key: StateKey::new(NAMESPACE, name),
            value: record.encode(),
            expires: Some(now.after(KEEP)),
        };
        let batch = Batch {
            state: vec![put],
            events: event.into_iter().collect(),
            ..Batch::default()
        };
        self.commit.commit(batch).await.map(drop)
    }
}

impl Record {
    /// Of a job that was never seen before.
    pub(super) fn new(crontab: String, now: Timestamp) -> Self {
        Self {
            crontab,
            counted: now,
            begun: None,
            last: None,
        }
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = Packer::new(VERSION);
        out.text(&self.crontab);
        out.i64(self.counted.millis());
        out.option(self.begun, |out, begun| {
            out.i64(begun.due.millis());
            out.u64(begun.times);
        });
        out.option(self.last.as_ref(), |out, last| {
            out.i64(last.began.millis());
            out.u64(u64::try_from(last.took.as_millis()).unwrap_or(u64::MAX));
            let (good, text) = match &last.outcome {
                Ok(text) => (1, text),
                Err(text) => (0, text),
            };
            out.u64(good);
            out.text(text);
        });
        out.finish()
    }

    fn decode(octets: &[u8]) -> Result<Self, PackError> {
        let mut from = Unpacker::new(octets, VERSION)?;
        let moment = |from: &mut Unpacker<'_>| from.i64().map(Timestamp::from_millis);
        Ok(Self {
            crontab: from.text()?.to_owned(),
            counted: moment(&mut from)?,
            begun: from.option(|from| {
                Ok(Begun {
                    due: moment(from)?,
                    times: from.u64()?,
                })
            })?,
            last: from.option(|from| {
                let began = moment(from)?;
                let took = Duration::from_millis(from.u64()?);
                let good = from.u64()? == 1;
                let text = from.text()?.to_owned();
                Ok(LastRun {
                    began,
                    took,
                    outcome: if good { Ok(text) } else { Err(text) },
                })
            })?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_reads_back_and_damage_is_refused() {
        let last = |outcome| LastRun {
            began: Timestamp::from_secs(7),
            took: Duration::from_millis(1_234),
            outcome,
        };
        let mut record = Record::new("0 3 * * *".into(), Timestamp::from_millis(-9));
        for (begun, last) in [
            (None, None),
            (
                Some(Begun {
                    due: Timestamp::from_secs(5),
                    times: 2,
                }),
                Some(last(Ok("12 purged".into()))),
            ),
            (None, Some(last(Err("disk full".into())))),
        ] {
            (record.begun, record.last) = (begun, last);
            let octets = record.encode();
            assert_eq!(Record::decode(&octets).unwrap(), record);
            for cut in 0..octets.len() {
                assert!(Record::decode(&octets[..cut]).is_err());
            }
        }
    }
}
