//! Reading messages' octets through an open mailbox: one, or parts of many.

use std::sync::Arc;

use bytes::Bytes;
use mailcore::mailbox::{Uid, UidSet};
use mailcore::message::{Content, Message};
use mailcore::seams::{Excerpt, StoreError};
use rusqlite::Connection;

use super::body::gather::Wanted;
use super::index::read::{self, ContentRow};
use super::live::Live;
use super::shared::Shared;
use super::storage::OpenMailbox;

impl OpenMailbox {
    /// A message with its octets, as far as they are in one place: most who ask
    /// for a message read it, and that thread may block.
    pub(super) async fn read_message(&self, uid: Uid) -> Result<Message, StoreError> {
        self.live.status()?;
        let id = self.live.id;
        let job = move |conn: &Connection, shared: &Arc<Shared>| {
            let found = read::contents(conn, id, &UidSet::range(uid, uid))?;
            Ok(found.into_iter().next().map(|(_, content)| {
                content.map(|content| {
                    let body = shared.stored_body(Some(content.body));
                    body.hold();
                    Message::new(Content::Stored(Arc::new(body))).with_prefix(content.prefix)
                })
            }))
        };
        let found = self.shared.read(job).await?.ok_or(StoreError::NotFound)?;
        found.ok_or_else(|| {
            StoreError::Damaged(format!(
                "the index's rows of message {uid}; check the store"
            ))
        })
    }

    /// See [`mailcore::seams::Mailbox::excerpts`].
    pub(super) async fn read_excerpts(
        &self,
        wanted: &[(Uid, Excerpt)],
    ) -> Result<Vec<Option<Bytes>>, StoreError> {
        // What was expunged may still have a place.
        let (columns, _) = self.columns(UidSet::EMPTY).await?;
        let wanted = wanted.to_vec();
        let live = Arc::clone(&self.live);
        let job = move |conn: &Connection, shared: &Arc<Shared>| {
            let there = |uid| columns.uids.contains(uid);
            Excerpts::find(conn, (shared, &live), &wanted, there)?.read(conn)
        };
        self.shared.read(job).await
    }
}

/// Excerpts of several messages being read.
struct Excerpts<'a> {
    shared: &'a Shared,
    live: &'a Live,
    wanted: &'a [(Uid, Excerpt)],
    /// What each message is made of; `None` for one that is not there or whose
    /// rows are damaged.
    contents: Vec<Option<ContentRow>>,
}

impl<'a> Excerpts<'a> {
    /// Finds out where the octets lie: one look at the index for all that are
    /// not known.
    fn find(
        conn: &Connection,
        (shared, live): (&'a Shared, &'a Live),
        wanted: &'a [(Uid, Excerpt)],
        there: impl Fn(Uid) -> bool,
    ) -> rusqlite::Result<Self> {
        let mut unknown = Vec::new();
        let mut contents = Vec::with_capacity(wanted.len());
        {
            let places = live.places();
            for (at, (uid, _)) in wanted.iter().enumerate().filter(|(_, it)| there(it.0)) {
                contents.resize(at, None);
                contents.push(places.get(*uid).cloned());
                if let Some(None) = contents.last() {
                    unknown.push((*uid, *uid));
                }
            }
        }
        contents.resize(wanted.len(), None);
        if !unknown.is_empty() {
            let unknown = UidSet::from_ranges(unknown);
            let found = read::contents(conn, live.id, &unknown)?;
            live.places().put(&found, &shared.columns);
            for ((uid, _), content) in wanted.iter().zip(&mut contents) {
                if let Ok(at) = found.binary_search_by_key(uid, |it| it.0) {
                    *content = found.get(at).and_then(|it| it.1.clone());
                }
            }
        }
        Ok(Self {
            shared,
            live,
            wanted,
            contents,
        })
    }

    fn read(self, conn: &Connection) -> rusqlite::Result<Vec<Option<Bytes>>> {
        let wanted = self.contents.iter().zip(self.wanted);
        let wanted: Vec<Wanted<'_>> = wanted
            .map(|(content, (_, excerpt))| content.as_ref().map(|it| (it, excerpt)))
            .collect();
        let mut read = self.shared.bodies.gather(&wanted);
        let tried = wanted.iter().zip(self.wanted).zip(&mut read);
        for ((wanted, (uid, excerpt)), octets) in tried {
            if wanted.is_some() && octets.is_none() {
                *octets = self.read_again(conn, *uid, excerpt)?;
            }
        }
        self.shared.trim_columns();
        Ok(read)
    }

    /// Compaction may have moved the body since its place was found.
    fn read_again(
        &self,
        conn: &Connection,
        uid: Uid,
        excerpt: &Excerpt,
    ) -> rusqlite::Result<Option<Bytes>> {
        self.live.places().forget(uid);
        let found = read::contents(conn, self.live.id, &UidSet::range(uid, uid))?;
        let content = found.first().and_then(|(_, content)| content.as_ref());
        let wanted = [content.map(|content| (content, excerpt))];
        Ok(self.shared.bodies.gather(&wanted).pop().flatten())
    }
}
