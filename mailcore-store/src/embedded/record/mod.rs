//! What a group's record says: effects with absolute values, so that applying
//! the log again gives the same store.
//!
//! Nothing is decided here (that is the sequencer's) and nothing is kept (that
//! is the index's).

use mailcore::mailbox::{Flags, Keyword};
use mailcore::pack::{PackError, Packer, Unpacker};

/// The version of the record's own layout.
const RECORD: u8 = 1;
/// The version of an effect's first layout.
const FIRST: u8 = 1;
/// The version of the effects that have had a second: [`Effect::File`] got the
/// thread, [`Effect::Expunge`] and [`Effect::DeleteMailbox`] what is kept for
/// being brought back.
const SECOND: u8 = 2;

/// Where a body's octets lie, as the record names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodySource {
    /// In the body frame of this index of the same group.
    Frame(u32),
    /// In the extent file of this number.
    Extent(u64),
}

/// A message's place in a mailbox, all values final.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Filed {
    pub(crate) mailbox: u64,
    pub(crate) uid: u32,
    pub(crate) modseq: u64,
    pub(crate) content: u64,
    pub(crate) flags: Flags,
    pub(crate) size: u64,
    pub(crate) internal_date: i64,
    pub(crate) save_date: i64,
    pub(crate) email_id: u128,
    /// `None` in records of the first layout.
    pub(crate) thread: Option<u64>,
    /// The message's key, when the account's table of threads has to lead from
    /// it to the thread.
    pub(crate) thread_key: Option<u64>,
}

/// Whether messages that go can be brought back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    /// For as long as the store's settings say.
    ForUndelete,
    /// They were moved, or none is kept.
    Nothing,
}

/// What a mailbox has given out, for one that lost effects to compaction.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Floor {
    pub(crate) mailbox: u64,
    pub(crate) uid_next: u64,
    pub(crate) modseq: u64,
    /// Keys of messages left out, with the threads they lead to in the
    /// mailbox's account.
    pub(crate) threads: Vec<(u64, u64)>,
}

/// What the store has given out up to here: the next value of everything that
/// is numbered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Numbers {
    pub(crate) mailbox: u64,
    pub(crate) body: u64,
    pub(crate) content: u64,
    pub(crate) version: u64,
    pub(crate) event: u64,
    pub(crate) validity: u32,
    /// Events before this one have had their time.
    pub(crate) first_event: u64,
}

/// One change to the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Octets that messages and queue entries may refer to.
    Body {
        id: u64,
        source: BodySource,
        length: u64,
        hash: [u8; 32],
    },
    /// A prefix over a body, with its summary.
    Content {
        id: u64,
        body: u64,
        prefix: Vec<u8>,
        summary: Vec<u8>,
    },
    /// A message in a mailbox.
    File(Filed),
    /// A delivery that must not be filed twice.
    Delivery {
        id: u128,
        mailbox: u64,
        uid: u32,
        modseq: u64,
    },
    /// New flags of messages of one mailbox.
    Flags {
        mailbox: u64,
        modseq: u64,
        messages: Vec<(u32, Flags)>,
    },
    /// Messages gone from a mailbox, as ranges of UIDs.
    Expunge {
        mailbox: u64,
        modseq: u64,
        uids: Vec<(u32, u32)>,
        keep: Keep,
    },
    /// A new mailbox.
    CreateMailbox {
        id: u64,
        account: String,
        name: String,
        uid_validity: u32,
        special_use: Option<String>,
    },
    /// A mailbox and its messages gone.
    DeleteMailbox { id: u64, keep: Keep },
    /// A mailbox's new name.
    RenameMailbox { id: u64, name: String },
    /// A subscription.
    Subscribe { account: String, name: String },
    /// No subscription.
    Unsubscribe { account: String, name: String },
    /// A queue entry.
    Enqueue {
        id: u128,
        body: u64,
        fixed: Vec<u8>,
        progress: Vec<u8>,
    },
    /// A queue entry's new progress.
    Progress { id: u128, progress: Vec<u8> },
    /// A queue entry gone.
    Dequeue { id: u128 },
    /// A value of the state.
    Put {
        namespace: String,
        key: String,
        value: Vec<u8>,
        version: u64,
        expires: Option<i64>,
    },
    /// A key of the state gone.
    Drop { namespace: String, key: String },
    /// An event, as `Event::encode` writes it.
    Event { cursor: u64, event: Vec<u8> },
    /// Somebody's rights on a mailbox, as letters; `None` for no entry.
    Rights {
        mailbox: u64,
        identifier: String,
        rights: Option<String>,
    },
    /// Removed messages that can be brought back no more, as mailbox and ranges
    /// of UIDs: they were brought back, or given up.
    Forget { mailbox: u64, uids: Vec<(u32, u32)> },
    /// Written by compaction, for a mailbox whose effects it left out.
    Floor(Floor),
    /// Written by compaction, for the effects it left out.
    Numbers(Numbers),
}

/// A group's record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    /// When it was committed, in milliseconds since 1970.
    pub(crate) at: i64,
    /// In order.
    pub(crate) effects: Vec<Effect>,
}

impl Record {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Packer::new(RECORD);
        out.i64(self.at);
        out.list(&self.effects, |out, effect| {
            let mut body = Packer::new(effect.version());
            out.u64(effect.write(&mut body));
            out.octets(&body.finish());
        });
        out.finish()
    }

    /// Undoes [`Record::encode`].
    ///
    /// # Errors
    /// [`PackError`]; an effect not known here is of a newer version.
    pub(crate) fn decode(octets: &[u8]) -> Result<Self, PackError> {
        let mut from = Unpacker::new(octets, RECORD)?;
        let at = from.i64()?;
        let effects = from.list(|from| {
            let tag = from.u64()?;
            let octets = from.octets()?;
            let layout = octets.first().copied().unwrap_or(0);
            Effect::read(tag, layout, &mut Unpacker::new(octets, newest(tag))?)
        })?;
        Ok(Self { at, effects })
    }
}

/// The newest layout of the effect of this tag.
fn newest(tag: u64) -> u8 {
    match tag {
        3 | 6 | 8 => SECOND,
        _ => FIRST,
    }
}

impl Effect {
    /// The layout it is written in.
    fn version(&self) -> u8 {
        match self {
            Self::File(_) | Self::Expunge { .. } | Self::DeleteMailbox { .. } => SECOND,
            _ => FIRST,
        }
    }

    /// Writes the fields; returns the tag.
    fn write(&self, out: &mut Packer) -> u64 {
        match self {
            Self::Body {
                id,
                source,
                length,
                hash,
            } => {
                let (kind, place) = match source {
                    BodySource::Frame(index) => (0, u64::from(*index)),
                    BodySource::Extent(extent) => (1, *extent),
                };
                [*id, kind, place, *length]
                    .into_iter()
                    .for_each(|it| out.u64(it));
                out.octets(hash);
                1
            }
            Self::Content {
                id,
                body,
                prefix,
                summary,
            } => {
                out.u64(*id);
                out.u64(*body);
                out.octets(prefix);
                out.octets(summary);
                2
            }
            Self::File(filed) => {
                filed.write(out);
                3
            }
            Self::Delivery {
                id,
                mailbox,
                uid,
                modseq,
            } => {
                out.u128(*id);
                [*mailbox, u64::from(*uid), *modseq]
                    .into_iter()
                    .for_each(|it| out.u64(it));
                4
            }
            other => other.write_changes(out),
        }
    }

    fn write_changes(&self, out: &mut Packer) -> u64 {
        match self {
            Self::Flags {
                mailbox,
                modseq,
                messages,
            } => {
                out.u64(*mailbox);
                out.u64(*modseq);
                out.list(messages, |out, (uid, flags)| {
                    out.u64(u64::from(*uid));
                    write_flags(out, flags);
                });
                5
            }
            Self::Expunge {
                mailbox,
                modseq,
                uids,
                keep,
            } => {
                out.u64(*mailbox);
                out.u64(*modseq);
                out.list(uids, write_range);
                keep.write(out);
                6
            }
            Self::CreateMailbox {
                id,
                account,
                name,
                uid_validity,
                special_use,
            } => {
                out.u64(*id);
                out.text(account);
                out.text(name);
                out.u64(u64::from(*uid_validity));
                out.option(special_use.as_deref(), Packer::text);
                7
            }
            Self::DeleteMailbox { id, keep } => {
                out.u64(*id);
                keep.write(out);
                8
            }
            Self::RenameMailbox { id, name } => {
                out.u64(*id);
                out.text(name);
                9
            }
            other => other.write_rest(out),
        }
    }

    fn write_rest(&self, out: &mut Packer) -> u64 {
        match self {
            Self::Subscribe { account, name } => write_texts(out, account, name, 10),
            Self::Unsubscribe { account, name } => write_texts(out, account, name, 11),
            Self::Enqueue {
                id,
                body,
                fixed,
                progress,
            } => {
                out.u128(*id);
                out.u64(*body);
                out.octets(fixed);
                out.octets(progress);
                12
            }
            Self::Progress { id, progress } => {
                out.u128(*id);
                out.octets(progress);
                13
            }
            Self::Dequeue { id } => {
                out.u128(*id);
                14
            }
            Self::Put {
                namespace,
                key,
                value,
                version,
                expires,
            } => {
                write_texts(out, namespace, key, 0);
                out.octets(value);
                out.u64(*version);
                out.option(*expires, Packer::i64);
                15
            }
            Self::Drop { namespace, key } => write_texts(out, namespace, key, 16),
            Self::Event { cursor, event } => {
                out.u64(*cursor);
                out.octets(event);
                17
            }
            other => other.write_newest(out),
        }
    }

    fn write_newest(&self, out: &mut Packer) -> u64 {
        match self {
            Self::Rights {
                mailbox,
                identifier,
                rights,
            } => {
                out.u64(*mailbox);
                out.text(identifier);
                out.option(rights.as_deref(), Packer::text);
                18
            }
            Self::Forget { mailbox, uids } => {
                out.u64(*mailbox);
                out.list(uids, write_range);
                21
            }
            Self::Floor(floor) => {
                [floor.mailbox, floor.uid_next, floor.modseq]
                    .into_iter()
                    .for_each(|it| out.u64(it));
                out.list(&floor.threads, |out, (key, thread)| {
                    out.u64(*key);
                    out.u64(*thread);
                });
                19
            }
            Self::Numbers(numbers) => {
                numbers.write(out);
                20
            }
            // All others were met before.
            _ => 0,
        }
    }

    fn read(tag: u64, layout: u8, from: &mut Unpacker<'_>) -> Result<Self, PackError> {
        Ok(match tag {
            1 => Self::Body {
                id: from.u64()?,
                source: match (from.u64()?, from.u64()?) {
                    (0, index) => BodySource::Frame(narrow(index)?),
                    (1, extent) => BodySource::Extent(extent),
                    _ => return Err(PackError::Damaged),
                },
                length: from.u64()?,
                hash: from.octets()?.try_into().map_err(|_| PackError::Damaged)?,
            },
            2 => Self::Content {
                id: from.u64()?,
                body: from.u64()?,
                prefix: from.octets()?.to_vec(),
                summary: from.octets()?.to_vec(),
            },
            3 => Self::File(Filed::read(layout, from)?),
            4 => Self::Delivery {
                id: from.u128()?,
                mailbox: from.u64()?,
                uid: narrow(from.u64()?)?,
                modseq: from.u64()?,
            },
            5 => Self::Flags {
                mailbox: from.u64()?,
                modseq: from.u64()?,
                messages: from.list(|from| Ok((narrow(from.u64()?)?, read_flags(from)?)))?,
            },
            6 => Self::Expunge {
                mailbox: from.u64()?,
                modseq: from.u64()?,
                uids: from.list(read_range)?,
                keep: Keep::read(layout, from)?,
            },
            8 => Self::DeleteMailbox {
                id: from.u64()?,
                keep: Keep::read(layout, from)?,
            },
            other => Self::read_rest(other, from)?,
        })
    }

    fn read_rest(tag: u64, from: &mut Unpacker<'_>) -> Result<Self, PackError> {
        let text = |from: &mut Unpacker<'_>| from.text().map(str::to_owned);
        Ok(match tag {
            7 => Self::CreateMailbox {
                id: from.u64()?,
                account: text(from)?,
                name: text(from)?,
                uid_validity: narrow(from.u64()?)?,
                special_use: from.option(text)?,
            },
            9 => Self::RenameMailbox {
                id: from.u64()?,
                name: text(from)?,
            },
            10 => Self::Subscribe {
                account: text(from)?,
                name: text(from)?,
            },
            11 => Self::Unsubscribe {
                account: text(from)?,
                name: text(from)?,
            },
            12 => Self::Enqueue {
                id: from.u128()?,
                body: from.u64()?,
                fixed: from.octets()?.to_vec(),
                progress: from.octets()?.to_vec(),
            },
            13 => Self::Progress {
                id: from.u128()?,
                progress: from.octets()?.to_vec(),
            },
            14 => Self::Dequeue { id: from.u128()? },
            15 => Self::Put {
                namespace: text(from)?,
                key: text(from)?,
                value: from.octets()?.to_vec(),
                version: from.u64()?,
                expires: from.option(Unpacker::i64)?,
            },
            16 => Self::Drop {
                namespace: text(from)?,
                key: text(from)?,
            },
            17 => Self::Event {
                cursor: from.u64()?,
                event: from.octets()?.to_vec(),
            },
            other => Self::read_newest(other, from)?,
        })
    }

    fn read_newest(tag: u64, from: &mut Unpacker<'_>) -> Result<Self, PackError> {
        let text = |from: &mut Unpacker<'_>| from.text().map(str::to_owned);
        Ok(match tag {
            18 => Self::Rights {
                mailbox: from.u64()?,
                identifier: text(from)?,
                rights: from.option(text)?,
            },
            21 => Self::Forget {
                mailbox: from.u64()?,
                uids: from.list(read_range)?,
            },
            19 => Self::Floor(Floor {
                mailbox: from.u64()?,
                uid_next: from.u64()?,
                modseq: from.u64()?,
                threads: from.list(|from| Ok((from.u64()?, from.u64()?)))?,
            }),
            20 => Self::Numbers(Numbers::read(from)?),
            _ => return Err(PackError::Version(SECOND + 1)),
        })
    }
}

impl Numbers {
    /// Takes over what is greater.
    pub(crate) fn raise(&mut self, other: &Self) {
        self.mailbox = self.mailbox.max(other.mailbox);
        self.body = self.body.max(other.body);
        self.content = self.content.max(other.content);
        self.version = self.version.max(other.version);
        self.event = self.event.max(other.event);
        self.validity = self.validity.max(other.validity);
        self.first_event = self.first_event.max(other.first_event);
    }

    fn write(&self, out: &mut Packer) {
        let numbers = [
            self.mailbox,
            self.body,
            self.content,
            self.version,
            self.event,
            u64::from(self.validity),
            self.first_event,
        ];
        numbers.into_iter().for_each(|it| out.u64(it));
    }

    fn read(from: &mut Unpacker<'_>) -> Result<Self, PackError> {
        Ok(Self {
            mailbox: from.u64()?,
            body: from.u64()?,
            content: from.u64()?,
            version: from.u64()?,
            event: from.u64()?,
            validity: narrow(from.u64()?)?,
            first_event: from.u64()?,
        })
    }
}

impl Filed {
    fn write(&self, out: &mut Packer) {
        let numbers = [
            self.mailbox,
            u64::from(self.uid),
            self.modseq,
            self.content,
            self.size,
        ];
        numbers.into_iter().for_each(|it| out.u64(it));
        write_flags(out, &self.flags);
        out.i64(self.internal_date);
        out.i64(self.save_date);
        out.u128(self.email_id);
        out.option(self.thread, Packer::u64);
        out.option(self.thread_key, Packer::u64);
    }

    fn read(layout: u8, from: &mut Unpacker<'_>) -> Result<Self, PackError> {
        let thread = |from: &mut Unpacker<'_>| match layout {
            FIRST => Ok(None),
            _ => from.option(Unpacker::u64),
        };
        let (mailbox, uid, modseq) = (from.u64()?, narrow(from.u64()?)?, from.u64()?);
        let (content, size) = (from.u64()?, from.u64()?);
        Ok(Self {
            mailbox,
            uid,
            modseq,
            content,
            size,
            flags: read_flags(from)?,
            internal_date: from.i64()?,
            save_date: from.i64()?,
            email_id: from.u128()?,
            thread: thread(from)?,
            thread_key: thread(from)?,
        })
    }
}

impl Keep {
    fn write(self, out: &mut Packer) {
        out.u64(u64::from(self == Self::ForUndelete));
    }

    fn read(layout: u8, from: &mut Unpacker<'_>) -> Result<Self, PackError> {
        match layout {
            FIRST => Ok(Self::Nothing),
            _ => match from.u64()? {
                0 => Ok(Self::Nothing),
                1 => Ok(Self::ForUndelete),
                _ => Err(PackError::Damaged),
            },
        }
    }
}

fn write_range(out: &mut Packer, (first, last): &(u32, u32)) {
    out.u64(u64::from(*first));
    out.u64(u64::from(*last));
}

fn read_range(from: &mut Unpacker<'_>) -> Result<(u32, u32), PackError> {
    Ok((narrow(from.u64()?)?, narrow(from.u64()?)?))
}

fn write_texts(out: &mut Packer, first: &str, second: &str, tag: u64) -> u64 {
    out.text(first);
    out.text(second);
    tag
}

fn write_flags(out: &mut Packer, flags: &Flags) {
    out.u64(u64::from(flags.system_bits()));
    out.text(&keywords_text(flags));
}

fn read_flags(from: &mut Unpacker<'_>) -> Result<Flags, PackError> {
    let bits = u8::try_from(from.u64()?).map_err(|_| PackError::Damaged)?;
    Ok(flags_from(bits, from.text()?))
}

/// Keywords as one text with spaces between; no keyword holds a space.
pub(crate) fn keywords_text(flags: &Flags) -> String {
    let words: Vec<&str> = flags.keywords().map(Keyword::as_str).collect();
    words.join(" ")
}

/// Undoes [`keywords_text`].
pub(crate) fn flags_from(bits: u8, keywords: &str) -> Flags {
    Flags::from_parts(bits, keywords.split(' ').filter_map(Keyword::new))
}

/// Equal for equal octets, wherever they lie (RFC 8474 section 4).
pub(crate) fn email_id(prefix: &[u8], body: &[u8; 32]) -> u128 {
    let mut hash = blake3::Hasher::new();
    hash.update(body);
    hash.update(prefix);
    let mut octets = [0; 16];
    hash.finalize_xof().fill(&mut octets);
    u128::from_be_bytes(octets)
}

fn narrow(value: u64) -> Result<u32, PackError> {
    u32::try_from(value).map_err(|_| PackError::Damaged)
}

#[cfg(test)]
mod tests;
