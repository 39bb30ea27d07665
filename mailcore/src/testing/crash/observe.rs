//! All that a store shows through its seams.

use std::collections::{BTreeMap, BTreeSet};

use super::step::{EVENT, NAMESPACE, Spot, Text, account};
use crate::event::{EventCursor, EventName};
use crate::mailbox::{MailboxStatus, MessageInfo, UidSet};
use crate::message::Message;
use crate::queue::{EntryStateKind, QueueProgress};
use crate::seams::{SpoolQuery, StateValue, StoreError};
use crate::server::Stores;

/// Octets that a message of the kit has at most.
const LARGEST: u64 = 1 << 24;
/// More than the kit ever puts anywhere.
const MANY: usize = 1_000_000;

/// A mailbox as seen.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) status: MailboxStatus,
    pub(super) messages: Vec<(MessageInfo, Text)>,
}

/// See the file's description.
#[derive(Debug, Default)]
pub(super) struct Observed {
    pub(super) folders: BTreeMap<Spot, Shown>,
    pub(super) subscribed: BTreeSet<Spot>,
    pub(super) queue: BTreeMap<u128, (Text, QueueProgress)>,
    pub(super) state: BTreeMap<String, StateValue>,
    /// The kit's own events.
    pub(super) events: Vec<u128>,
    /// All events: cursor and octets.
    pub(super) outbox: Vec<(u64, Vec<u8>)>,
    /// What can be wrong whatever was asked of the store.
    pub(super) problems: Vec<String>,
}

impl Observed {
    /// Reads everything of so many accounts.
    ///
    /// # Errors
    /// The store can't be read.
    pub(super) async fn read(stores: &Stores, accounts: usize) -> Result<Self, StoreError> {
        let mut seen = Self::default();
        for number in 0..accounts {
            seen.read_account(stores, number).await?;
        }
        let query = SpoolQuery {
            limit: MANY,
            ..SpoolQuery::default()
        };
        let kept = SpoolQuery {
            state: Some(EntryStateKind::Kept),
            ..query.clone()
        };
        let mut lines = stores.spool.list(&query).await?;
        lines.extend(stores.spool.list(&kept).await?);
        for line in lines {
            let what = format!("queue entry {}", line.entry.id);
            if let Some(text) = seen.text(&line.entry.message, &what).await? {
                let entry = (text, line.entry.progress.clone());
                seen.queue.insert(line.entry.id.0, entry);
            }
        }
        let counts = stores.spool.counts().await?;
        let count = counts.queued() + counts.kept;
        if count != seen.queue.len() as u64 {
            seen.problems
                .push(format!("the queue counts {count} entries"));
        }
        for (key, value) in stores.state.scan(NAMESPACE, "", None, MANY).await? {
            seen.state.insert(key.key.to_string(), value);
        }
        seen.read_events(stores).await?;
        Ok(seen)
    }

    async fn read_account(&mut self, stores: &Stores, number: usize) -> Result<(), StoreError> {
        let id = account(number);
        for entry in stores.storage.list(&id).await? {
            let spot = Spot {
                account: number,
                name: entry.name.clone(),
            };
            if entry.subscribed {
                self.subscribed.insert(spot.clone());
            }
            if entry.id.is_none() {
                continue;
            }
            let mailbox = stores.storage.open(&id, &entry.name).await?;
            let status = mailbox.status().await?;
            let rows = mailbox.messages(&UidSet::all()).await?;
            let uids: UidSet = rows.iter().map(|row| row.uid).collect();
            if mailbox.uids().await? != uids {
                self.problems
                    .push(format!("{spot:?}: its UIDs are not those of its rows"));
            }
            let mut messages = Vec::new();
            for row in rows {
                let what = format!("{spot:?} UID {}", row.uid);
                let message = mailbox.message(row.uid).await?;
                if message.len() != row.size {
                    self.problems
                        .push(format!("{what}: its size is not its row's"));
                }
                if let Some(text) = self.text(&message, &what).await? {
                    messages.push((row, text));
                }
            }
            self.folders.insert(spot, Shown { status, messages });
        }
        Ok(())
    }

    /// Which of the kit's messages this is; to the octet.
    async fn text(&mut self, message: &Message, what: &str) -> Result<Option<Text>, StoreError> {
        let octets = match message.read_all(LARGEST).await {
            Ok(octets) => octets,
            Err(error @ StoreError::Damaged(_)) => {
                self.problems.push(format!("{what}: {error}"));
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let text = recognise(&octets);
        if text.is_none_or(|it| it.octets().as_bytes() != octets) {
            self.problems.push(format!("{what}: wrong octets"));
            return Ok(None);
        }
        Ok(text)
    }

    async fn read_events(&mut self, stores: &Stores) -> Result<(), StoreError> {
        for stored in stores.outbox.read(EventCursor::default(), MANY).await? {
            if stored.event.name == EventName::parse(EVENT) {
                self.events.push(stored.event.id.0);
            }
            self.outbox.push((stored.cursor.0, stored.event.encode()));
        }
        if !self.outbox.is_sorted_by(|one, other| one.0 < other.0) {
            self.problems.push("event cursors do not grow".into());
        }
        Ok(())
    }
}

/// Reads a message's number and size off its octets.
fn recognise(octets: &[u8]) -> Option<Text> {
    let head = String::from_utf8_lossy(octets.get(..octets.len().min(400))?);
    let (_, subject) = head.split_once("Subject: ")?;
    let number = subject.split_once("\r\n")?.0.parse().ok()?;
    let text = Text {
        number,
        size: 0,
        prefixed: head.starts_with("Delivered-To: "),
    };
    let size = octets.len().checked_sub(text.octets().len())?;
    Some(Text { size, ..text })
}
