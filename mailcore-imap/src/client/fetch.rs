//! FETCH: what is known of messages, and their octets as they come.

use std::collections::VecDeque;
use std::fmt;

use bytes::Bytes;
use mailcore::mailbox::{ModSeq, Uid, UidSet};
use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::command::Command;
use super::commands::{Client, News, outcome};
use super::connection::Found as Next;
use super::error::ClientError;
use super::messages::in_parts;
use super::response::{BodyKey, Data, Fetched};
use super::session::{CommandId, Event};
use crate::types::{PartPath, Partial, Section, SectionText};

/// What is asked of messages.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Item {
    /// `FLAGS`.
    Flags,
    /// `INTERNALDATE`.
    InternalDate,
    /// `RFC822.SIZE`.
    Size,
    /// `ENVELOPE`.
    Envelope,
    /// `BODYSTRUCTURE`.
    Structure,
    /// `MODSEQ`, where the server offers CONDSTORE.
    ModSeq,
    /// `EMAILID`, where the server offers OBJECTID.
    EmailId,
    /// `THREADID`, where the server offers OBJECTID.
    ThreadId,
    /// `SAVEDATE`, where the server offers it.
    SaveDate,
    /// `X-GM-LABELS`, where the server is Gmail.
    GmailLabels,
    /// `BODY.PEEK[...]`: octets. `\Seen` is never set by it: who wants that
    /// uses [`Client::store`], once the octets are safe.
    Body(Section, Option<Partial>),
    /// `BINARY.PEEK[...]`, where the server offers BINARY: a part's octets,
    /// its transfer encoding undone.
    Binary(PartPath),
}

impl Item {
    /// The whole message.
    pub fn message() -> Self {
        Self::Body(section(SectionText::Whole), None)
    }

    /// The message's header.
    pub fn header() -> Self {
        Self::Body(section(SectionText::Header), None)
    }

    /// The extension that the server must offer.
    fn extension(&self) -> Option<&'static str> {
        match self {
            Self::EmailId | Self::ThreadId => Some("OBJECTID"),
            Self::SaveDate => Some("SAVEDATE"),
            Self::GmailLabels => Some("X-GM-EXT-1"),
            Self::Binary(_) => Some("BINARY"),
            _ => None,
        }
    }
}

fn section(text: SectionText) -> Section {
    Section {
        part: PartPath::default(),
        text,
    }
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Flags => "FLAGS",
            Self::InternalDate => "INTERNALDATE",
            Self::Size => "RFC822.SIZE",
            Self::Envelope => "ENVELOPE",
            Self::Structure => "BODYSTRUCTURE",
            Self::ModSeq => "MODSEQ",
            Self::EmailId => "EMAILID",
            Self::ThreadId => "THREADID",
            Self::SaveDate => "SAVEDATE",
            Self::GmailLabels => "X-GM-LABELS",
            Self::Body(section, partial) => {
                write!(f, "BODY.PEEK{section}")?;
                return match partial {
                    Some(Partial { start, length }) => write!(f, "<{start}.{length}>"),
                    None => Ok(()),
                };
            }
            Self::Binary(part) => {
                let part = part.0.iter().map(ToString::to_string).collect::<Vec<_>>();
                return write!(f, "BINARY.PEEK[{}]", part.join("."));
            }
        })
    }
}

/// What a FETCH hands out, in the order it comes.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum FetchEvent {
    /// Octets of a message begin. Its UID may be known, or come later.
    Begins {
        /// What the response said before.
        known: Box<Fetched>,
        /// Which octets.
        key: BodyKey,
        /// How many.
        size: u64,
    },
    /// The next octets.
    Octets(Bytes),
    /// The octets are complete.
    Ends,
    /// Everything else of the message. Flags that others change meanwhile come
    /// like this, too.
    Message(Box<Fetched>),
}

/// A FETCH under way. Dropped before its end, the rest is read and thrown away
/// by the next command.
#[derive(Debug)]
pub struct Fetching<'a> {
    client: &'a mut Client,
    sets: VecDeque<String>,
    rest: String,
    running: Option<CommandId>,
}

impl Client {
    /// UID FETCH. Items that the server does not offer are left out; a whole
    /// message is streamed, never held.
    pub fn fetch(&mut self, uids: &UidSet, items: &[Item]) -> Fetching<'_> {
        self.fetching(in_parts(uids).collect(), items, None)
    }

    /// The same for messages that changed since then, and for those that went
    /// where the server has QRESYNC (these come as news). Nothing is left out
    /// where it has no CONDSTORE.
    pub fn fetch_changed(&mut self, uids: &UidSet, items: &[Item], since: ModSeq) -> Fetching<'_> {
        let vanished = match self.has_enabled("QRESYNC") {
            true => " VANISHED",
            false => "",
        };
        let changed = format!(" (CHANGEDSINCE {since}{vanished})");
        let changed = Some(changed).filter(|_| self.capabilities().has_condstore());
        self.fetching(in_parts(uids).collect(), items, changed)
    }

    /// UID FETCH of all messages from `first` on.
    pub fn fetch_from(&mut self, first: Uid, items: &[Item]) -> Fetching<'_> {
        self.fetching([format!("{first}:*")].into(), items, None)
    }

    fn fetching(
        &mut self,
        sets: VecDeque<String>,
        items: &[Item],
        modifier: Option<String>,
    ) -> Fetching<'_> {
        let offered = self.capabilities();
        let known = items.iter().filter(|item| match item {
            Item::ModSeq => offered.has_condstore(),
            other => other.extension().is_none_or(|name| offered.has(name)),
        });
        let known: Vec<_> = ["UID".to_owned()]
            .into_iter()
            .chain(known.map(ToString::to_string))
            .collect();
        Fetching {
            rest: format!("({}){}", known.join(" "), modifier.unwrap_or_default()),
            client: self,
            sets,
            running: None,
        }
    }

    /// One message's octets, written as they come; how many. None when there
    /// is no such message.
    ///
    /// # Errors
    /// What the server said when it refuses; [`ClientError::Source`] is the
    /// sink's fault.
    pub async fn download(
        &mut self,
        uid: Uid,
        sink: &mut (dyn AsyncWrite + Send + Unpin),
    ) -> Result<Option<u64>, ClientError> {
        let mut fetching = self.fetch(&UidSet::range(uid, uid), &[Item::message()]);
        let mut written = None;
        while let Some(event) = fetching.next().await? {
            match event {
                FetchEvent::Begins { .. } => written = Some(0),
                FetchEvent::Octets(octets) => {
                    sink.write_all(&octets).await.map_err(ClientError::Source)?;
                    written = written.map(|count| count + octets.len() as u64);
                }
                _ => {}
            }
        }
        Ok(written)
    }
}

impl Fetching<'_> {
    /// What comes next; none at the end.
    ///
    /// # Errors
    /// What the server said when it refuses. What was handed out before is
    /// good.
    pub async fn next(&mut self) -> Result<Option<FetchEvent>, ClientError> {
        loop {
            let Some(id) = self.running else {
                let Some(set) = self.sets.pop_front() else {
                    return Ok(None);
                };
                self.client.settle().await?;
                let command = Command::new("UID FETCH").raw(set).raw(&self.rest);
                let id = self.client.connection.session.start(command)?;
                (self.running, self.client.open) = (Some(id), Some(id));
                continue;
            };
            let event = match self.client.connection.next(None).await? {
                Next::Event(event) => event,
                Next::Nothing => return Err(ClientError::Closed),
            };
            return Ok(Some(match event {
                Event::BodyBegins { known, key, size } => FetchEvent::Begins { known, key, size },
                Event::Body(octets) => FetchEvent::Octets(octets),
                Event::BodyEnds => FetchEvent::Ends,
                Event::Data(Data::Fetch(fetched)) if fetched.uid.is_some() => {
                    FetchEvent::Message(fetched)
                }
                Event::Done(done, status) if done == id => {
                    (self.running, self.client.open) = (None, None);
                    outcome("FETCH", status)?;
                    continue;
                }
                Event::Data(data) => {
                    self.client.keep(News::Data(data));
                    continue;
                }
                Event::Status(status) => {
                    self.client.keep(News::Status(status));
                    continue;
                }
                Event::Done(..) | Event::Idling => continue,
            }));
        }
    }

    /// All messages, their octets left out.
    ///
    /// # Errors
    /// As [`Fetching::next`].
    pub async fn messages(mut self) -> Result<Vec<Fetched>, ClientError> {
        let (limit, mut messages) = (self.client.limits().items, Vec::new());
        while let Some(event) = self.next().await? {
            match event {
                FetchEvent::Message(fetched) if messages.len() < limit => messages.push(*fetched),
                _ => {}
            }
        }
        Ok(messages)
    }
}
