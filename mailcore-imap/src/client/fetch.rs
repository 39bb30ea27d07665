//! FETCH: what is known of messages, and their octets as they come.

use std::collections::VecDeque;
use std::fmt;

use bytes::Bytes;
use mailcore::mailbox::{ModSeq, Uid, UidSet};
use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::command::Command;
use super::commands::{Client, outcome};
use super::connection::Found as Next;
use super::error::{ClientError, ProtocolFault};
use super::messages::in_parts;
use super::news::News;
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
    /// is no such message. What a server sends of it a second time, or of
    /// another message, is passed over.
    ///
    /// # Errors
    /// What the server said when it refuses; [`ClientError::Source`] is the
    /// sink's fault. Of a message that turns out to be another one only when its
    /// octets were written, the session ends.
    pub async fn download(
        &mut self,
        uid: Uid,
        sink: &mut (dyn AsyncWrite + Send + Unpin),
    ) -> Result<Option<u64>, ClientError> {
        let mut fetching = self.fetch(&UidSet::range(uid, uid), &[Item::message()]);
        let (mut written, mut taken) = (None, Taken::Nothing);
        while let Some(event) = fetching.next().await? {
            match event {
                FetchEvent::Begins { known, key, .. } => {
                    let right = key.is_whole() && known.uid.is_none_or(|it| it == uid);
                    if right && written.is_none() {
                        written = Some(0);
                        taken = Taken::Octets(known.number, known.uid);
                    }
                }
                FetchEvent::Octets(octets) if matches!(taken, Taken::Octets(..)) => {
                    sink.write_all(&octets).await.map_err(ClientError::Source)?;
                    written = written.map(|count| count + octets.len() as u64);
                }
                FetchEvent::Ends => taken = taken.ended(),
                FetchEvent::Message(fetched) => {
                    if taken.is_another(&fetched, uid) {
                        let text = "the octets of a message that was not asked for";
                        let fault = ProtocolFault::NotImap(text.to_owned());
                        fetching.client.connection.session.fail(fault.into());
                    }
                    taken = Taken::Nothing;
                }
                FetchEvent::Octets(_) => {}
            }
        }
        Ok(written)
    }
}

/// Whether what comes is the message that is downloaded.
#[derive(Debug, Clone, Copy)]
enum Taken {
    Nothing,
    /// Octets of the message of this number, whose UID may be known.
    Octets(u32, Option<Uid>),
    /// They ended; the response that brought them goes on.
    Response(u32, Option<Uid>),
}

impl Taken {
    fn ended(self) -> Self {
        match self {
            Self::Octets(number, uid) => Self::Response(number, uid),
            other => other,
        }
    }

    /// True when `fetched` ends the response whose octets were taken, and the
    /// UID in it is not `uid`.
    fn is_another(self, fetched: &Fetched, uid: Uid) -> bool {
        let Self::Response(number, None) = self else {
            return false;
        };
        number == fetched.number && fetched.uid != Some(uid)
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
        self.client.collected = (0, 0);
        let mut messages = Vec::new();
        while let Some(event) = self.next().await? {
            if let FetchEvent::Message(fetched) = event {
                messages.push(*fetched);
                self.client.collect("FETCH");
            }
        }
        Ok(messages)
    }
}
