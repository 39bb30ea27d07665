//! The packed form of each effect: its tag, and its fields in the layouts that
//! this program writes and reads.

use mailcore::mailbox::Flags;
use mailcore::pack::{PackError, Packer, Unpacker};

use super::{BodySource, Effect, Filed, Floor, Keep, Numbers, flags_from, keywords_text};

/// The version of an effect's first layout.
pub(super) const FIRST: u8 = 1;
/// The version of the effects that have had a second: [`Effect::File`] got the
/// thread, [`Effect::Expunge`] and [`Effect::DeleteMailbox`] what is kept for
/// being brought back, [`Effect::Flags`] ranges where it had single messages.
const SECOND: u8 = 2;

/// The newest layout of the effect of this tag.
pub(super) fn newest(tag: u64) -> u8 {
    match tag {
        3 | 5 | 6 | 8 => SECOND,
        _ => FIRST,
    }
}

impl Effect {
    /// The layout it is written in.
    pub(super) fn version(&self) -> u8 {
        match self {
            Self::File(_)
            | Self::Flags { .. }
            | Self::Expunge { .. }
            | Self::DeleteMailbox { .. } => SECOND,
            _ => FIRST,
        }
    }

    /// Writes the fields; returns the tag.
    pub(super) fn write(&self, out: &mut Packer) -> u64 {
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
                out.list(messages, |out, (first, last, flags)| {
                    write_range(out, &(*first, *last));
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

    pub(super) fn read(tag: u64, layout: u8, from: &mut Unpacker<'_>) -> Result<Self, PackError> {
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
                messages: from.list(|from| read_alike(layout, from))?,
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

pub(super) fn write_range(out: &mut Packer, (first, last): &(u32, u32)) {
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

pub(super) fn write_flags(out: &mut Packer, flags: &Flags) {
    out.u64(u64::from(flags.system_bits()));
    out.text(&keywords_text(flags));
}

/// Messages that have the same flags.
fn read_alike(layout: u8, from: &mut Unpacker<'_>) -> Result<(u32, u32, Flags), PackError> {
    let (first, last) = match layout {
        FIRST => {
            let uid = narrow(from.u64()?)?;
            (uid, uid)
        }
        _ => read_range(from)?,
    };
    Ok((first, last, read_flags(from)?))
}

fn read_flags(from: &mut Unpacker<'_>) -> Result<Flags, PackError> {
    let bits = u8::try_from(from.u64()?).map_err(|_| PackError::Damaged)?;
    Ok(flags_from(bits, from.text()?))
}

fn narrow(value: u64) -> Result<u32, PackError> {
    u32::try_from(value).map_err(|_| PackError::Damaged)
}
