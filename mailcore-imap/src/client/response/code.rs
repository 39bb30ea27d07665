//! [`Code`]: the machine's half of a status response, read.

use mailcore::mailbox::{Flags, ModSeq, Uid, UidSet, UidValidity};

use super::reader::Reader;
use super::values::{flags, pairs, uid_set};
use crate::client::Capabilities;

/// `resp-text-code` (RFC 9051 section 7.1 and the extensions').
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Code {
    /// `ALERT`: the text is for the user.
    Alert,
    /// `ALREADYEXISTS`.
    AlreadyExists,
    /// `APPENDUID`: where the message went.
    AppendUid {
        /// The mailbox's validity.
        validity: UidValidity,
        /// The message's UID.
        uids: UidSet,
    },
    /// `AUTHENTICATIONFAILED`: name or password are wrong.
    AuthenticationFailed,
    /// `AUTHORIZATIONFAILED`.
    AuthorizationFailed,
    /// `CANNOT`.
    Cannot,
    /// `CAPABILITY`.
    Capability(Capabilities),
    /// `CLOSED`: what follows is about the mailbox opened now.
    Closed,
    /// `COPYUID`: which message became which.
    CopyUid(CopyUid),
    /// `HIGHESTMODSEQ`.
    HighestModSeq(ModSeq),
    /// `INUSE`.
    InUse,
    /// `LIMIT`.
    Limit,
    /// `MAILBOXID` (RFC 8474).
    MailboxId(String),
    /// `MODIFIED`: what a conditional STORE left alone.
    Modified(UidSet),
    /// `NOMODSEQ`.
    NoModSeq,
    /// `NONEXISTENT`.
    Nonexistent,
    /// `NOPERM`.
    NoPerm,
    /// `OVERQUOTA`.
    OverQuota,
    /// `PERMANENTFLAGS`.
    PermanentFlags(PermanentFlags),
    /// `PRIVACYREQUIRED`.
    PrivacyRequired,
    /// `READ-ONLY`.
    ReadOnly,
    /// `READ-WRITE`.
    ReadWrite,
    /// `TOOBIG`.
    TooBig,
    /// `TRYCREATE`: the mailbox is not there; it may be made.
    TryCreate,
    /// `UIDNEXT`.
    UidNext(Uid),
    /// `UIDNOTSTICKY`: UIDs do not outlive the session.
    UidNotSticky,
    /// `UIDVALIDITY`.
    UidValidity(UidValidity),
    /// `UNAVAILABLE`: later, perhaps.
    Unavailable,
    /// `UNSEEN`.
    Unseen(u32),
    /// Anything else, and the above where their arguments are not as they
    /// should be.
    Other(String),
}

/// Which flags a mailbox keeps (RFC 9051 section 7.1, `PERMANENTFLAGS`).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct PermanentFlags {
    /// These are kept.
    pub flags: Flags,
    /// True with `\*`: new keywords may be made.
    pub new_keywords: bool,
}

/// Which messages a COPY or MOVE made of which (RFC 4315 section 3).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CopyUid {
    /// The validity of the mailbox they went to.
    pub validity: UidValidity,
    from: Vec<(u32, u32)>,
    to: Vec<(u32, u32)>,
}

impl CopyUid {
    /// Old and new UIDs, side by side in the order the server gave them. None
    /// when the two sets have not the same size: then nothing is known.
    pub fn pairs(&self) -> impl Iterator<Item = (Uid, Uid)> {
        let count = |ranges: &[(u32, u32)]| -> u64 {
            let sizes = ranges.iter().map(|&(a, b)| u64::from(a.abs_diff(b)) + 1);
            sizes.sum()
        };
        let known = count(&self.from) == count(&self.to);
        let from = uids(&self.from).take(if known { usize::MAX } else { 0 });
        from.zip(uids(&self.to))
    }
}

fn uids(ranges: &[(u32, u32)]) -> impl Iterator<Item = Uid> {
    // RFC 4315 section 3 reads `5:3` as 3, 4, 5.
    let each = |&(a, b): &(u32, u32)| a.min(b)..=a.max(b);
    ranges.iter().flat_map(each).filter_map(Uid::new)
}

impl Code {
    /// Reads what stands between the brackets.
    pub(super) fn parse(text: &[u8]) -> Self {
        let mut reader = Reader::new(text, 4);
        let name = String::from_utf8_lossy(reader.word()).to_ascii_uppercase();
        let read = Self::plain(&name).or_else(|| Self::with_arguments(&name, reader));
        read.unwrap_or_else(|| Self::Other(String::from_utf8_lossy(text).into_owned()))
    }

    fn plain(name: &str) -> Option<Self> {
        Some(match name {
            "ALERT" => Self::Alert,
            "ALREADYEXISTS" => Self::AlreadyExists,
            "AUTHENTICATIONFAILED" => Self::AuthenticationFailed,
            "AUTHORIZATIONFAILED" => Self::AuthorizationFailed,
            "CANNOT" => Self::Cannot,
            "CLOSED" => Self::Closed,
            "INUSE" => Self::InUse,
            "LIMIT" => Self::Limit,
            "NOMODSEQ" => Self::NoModSeq,
            "NONEXISTENT" => Self::Nonexistent,
            "NOPERM" => Self::NoPerm,
            "OVERQUOTA" => Self::OverQuota,
            "PRIVACYREQUIRED" => Self::PrivacyRequired,
            "READ-ONLY" => Self::ReadOnly,
            "READ-WRITE" => Self::ReadWrite,
            "TOOBIG" => Self::TooBig,
            "TRYCREATE" => Self::TryCreate,
            "UIDNOTSTICKY" => Self::UidNotSticky,
            "UNAVAILABLE" => Self::Unavailable,
            _ => return None,
        })
    }

    fn with_arguments(name: &str, mut reader: Reader<'_>) -> Option<Self> {
        Some(match name {
            "APPENDUID" => Self::AppendUid {
                validity: UidValidity::new(reader.value()?.number32()?)?,
                uids: uid_set(reader.word())?,
            },
            "CAPABILITY" => Self::Capability(Capabilities::new(words(reader))),
            "COPYUID" => Self::CopyUid(CopyUid {
                validity: UidValidity::new(reader.value()?.number32()?)?,
                from: pairs(reader.word())?,
                to: pairs(reader.word())?,
            }),
            "HIGHESTMODSEQ" => Self::HighestModSeq(ModSeq::new(reader.value()?.number()?)?),
            "MAILBOXID" => match reader.value()? {
                super::reader::Value::List(inner) => {
                    Self::MailboxId(Reader::new(inner, 1).value()?.text()?)
                }
                other => Self::MailboxId(other.text()?),
            },
            "MODIFIED" => Self::Modified(uid_set(reader.word())?),
            "PERMANENTFLAGS" => {
                let (flags, marks) = flags(reader.value()?);
                let new_keywords = marks.new_keywords;
                Self::PermanentFlags(PermanentFlags {
                    flags,
                    new_keywords,
                })
            }
            "UIDNEXT" => Self::UidNext(Uid::new(reader.value()?.number32()?)?),
            "UIDVALIDITY" => Self::UidValidity(UidValidity::new(reader.value()?.number32()?)?),
            "UNSEEN" => Self::Unseen(reader.value()?.number32()?),
            _ => return None,
        })
    }
}

/// The words that are left.
pub(super) fn words(mut reader: Reader<'_>) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || Some(reader.word()).filter(|word| !word.is_empty()))
}
