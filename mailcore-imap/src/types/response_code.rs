//! [`ResponseCode`]: the machine's half of a status response.

use mailcore::mailbox::{MailboxId, ModSeq, Uid, UidSet, UidValidity};

use super::sequence::display_ranges;
use super::{SeqNum, Tag};

/// `resp-text-code` (RFC 3501 section 7.1, RFC 4315, RFC 5530, RFC 7888).
/// PERMANENTFLAGS is written by SELECT itself.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResponseCode {
    /// `ALERT`: show this to the user.
    Alert,
    /// `ALREADYEXISTS` (RFC 5530).
    AlreadyExists,
    /// `APPENDUID` (RFC 4315 section 3).
    AppendUid(UidValidity, UidSet),
    /// `AUTHENTICATIONFAILED` (RFC 5530).
    AuthenticationFailed,
    /// `AUTHORIZATIONFAILED` (RFC 5530).
    AuthorizationFailed,
    /// `BADCHARSET` with the charsets SEARCH takes.
    BadCharset,
    /// `BADURL` with the URL (RFC 4469 section 4.1).
    BadUrl(String),
    /// `BADEVENT` with the events that there are (RFC 5465 section 3.1).
    BadEvent,
    /// `CANNOT` (RFC 5530): never possible.
    Cannot,
    /// `CAPABILITY` and what holds now.
    Capability(Vec<String>),
    /// `CLIENTBUG` (RFC 5530).
    ClientBug,
    /// `CLOSED` (RFC 7162 section 3.2.11).
    Closed,
    /// `COMPRESSIONACTIVE` (RFC 4978 section 3).
    CompressionActive,
    /// `COPYUID` (RFC 4315 section 3): source and target UIDs in like order.
    CopyUid(UidValidity, UidSet, UidSet),
    /// `EXPUNGEISSUED` (RFC 5530).
    ExpungeIssued,
    /// `HASCHILDREN` (RFC 5530).
    HasChildren,
    /// `HIGHESTMODSEQ` (RFC 7162).
    HighestModSeq(ModSeq),
    /// `INPROGRESS` (RFC 9585): the command, what is done, of what.
    InProgress(Tag, u64, u64),
    /// `INUSE` (RFC 5530).
    InUse,
    /// `LIMIT` (RFC 5530).
    Limit,
    /// `MAILBOXID` (RFC 8474 section 4).
    MailboxId(MailboxId),
    /// `MESSAGELIMIT` (RFC 9738): the limit, and the lowest UID that was worked
    /// on.
    MessageLimit(u32, Option<Uid>),
    /// `METADATA` (RFC 5464).
    Metadata(MetadataCode),
    /// `MODIFIED` (RFC 7162 section 3.1.3): messages left alone, as ascending
    /// ranges of what the command named them by.
    Modified(Vec<(u32, u32)>),
    /// `NOMODSEQ` (RFC 7162): the store keeps none.
    NoModSeq,
    /// `NONEXISTENT` (RFC 5530).
    Nonexistent,
    /// `NOPERM` (RFC 5530).
    NoPerm,
    /// `NOTIFICATIONOVERFLOW` (RFC 5465 section 5.8).
    NotificationOverflow,
    /// `NOTSAVED` (RFC 5182): `$` is empty.
    NotSaved,
    /// `OVERQUOTA` (RFC 5530).
    OverQuota,
    /// `PRIVACYREQUIRED` (RFC 5530): only over TLS.
    PrivacyRequired,
    /// `READ-ONLY`.
    ReadOnly,
    /// `READ-WRITE`.
    ReadWrite,
    /// `SERVERBUG` (RFC 5530).
    ServerBug,
    /// `TOOBIG` (RFC 7888 section 4).
    TooBig,
    /// `TRYCREATE`.
    TryCreate,
    /// `UIDNEXT`.
    UidNext(Uid),
    /// `UIDREQUIRED` (RFC 9586 section 3).
    UidRequired,
    /// `UIDVALIDITY`.
    UidValidity(UidValidity),
    /// `UNAVAILABLE` (RFC 5530): try again later.
    Unavailable,
    /// `UNKNOWN-CTE` (RFC 3516): a transfer encoding that is not known, or one
    /// that would be needed.
    UnknownCte,
    /// `UNSEEN`: the first unseen message's sequence number.
    Unseen(SeqNum),
    /// `USEATTR` (RFC 6154 section 3).
    UseAttr,
}

/// What a `METADATA` code says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum MetadataCode {
    /// `LONGENTRIES` (RFC 5464 section 4.2.1): octets of the longest value that was
    /// left out.
    LongEntries(usize),
    /// `MAXSIZE` (RFC 5464 section 4.3): octets that a value may have.
    MaxSize(usize),
    /// `TOOMANY` (RFC 5464 section 4.3).
    TooMany,
}

impl std::fmt::Display for MetadataCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::LongEntries(size) => write!(f, "LONGENTRIES {size}"),
            Self::MaxSize(size) => write!(f, "MAXSIZE {size}"),
            Self::TooMany => f.write_str("TOOMANY"),
        }
    }
}

/// The events that NOTIFY knows.
const BAD_EVENT: &str =
    "BADEVENT (MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange)";

impl std::fmt::Display for ResponseCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let word = match self {
            Self::Alert => "ALERT",
            Self::AlreadyExists => "ALREADYEXISTS",
            Self::AppendUid(validity, uids) => return write!(f, "APPENDUID {validity} {uids}"),
            Self::AuthenticationFailed => "AUTHENTICATIONFAILED",
            Self::AuthorizationFailed => "AUTHORIZATIONFAILED",
            Self::BadCharset => "BADCHARSET (US-ASCII UTF-8)",
            Self::BadEvent => BAD_EVENT,
            Self::BadUrl(url) => {
                f.write_str("BADURL ")?;
                return write_url(f, url);
            }
            Self::Cannot => "CANNOT",
            Self::Capability(names) => {
                f.write_str("CAPABILITY")?;
                return names.iter().try_for_each(|name| write!(f, " {name}"));
            }
            Self::ClientBug => "CLIENTBUG",
            Self::Closed => "CLOSED",
            Self::CompressionActive => "COMPRESSIONACTIVE",
            Self::CopyUid(validity, from, to) => {
                return write!(f, "COPYUID {validity} {from} {to}");
            }
            Self::ExpungeIssued => "EXPUNGEISSUED",
            Self::HasChildren => "HASCHILDREN",
            Self::HighestModSeq(modseq) => return write!(f, "HIGHESTMODSEQ {modseq}"),
            Self::InProgress(tag, done, total) => {
                return write!(f, "INPROGRESS (\"{}\" {done} {total})", tag.as_str());
            }
            Self::InUse => "INUSE",
            Self::Limit => "LIMIT",
            Self::Nonexistent => "NONEXISTENT",
            Self::MailboxId(id) => return write!(f, "MAILBOXID ({id})"),
            Self::MessageLimit(limit, Some(uid)) => {
                return write!(f, "MESSAGELIMIT {limit} {uid}");
            }
            Self::MessageLimit(limit, None) => return write!(f, "MESSAGELIMIT {limit}"),
            Self::Metadata(code) => return write!(f, "METADATA {code}"),
            Self::Modified(ranges) => return write!(f, "MODIFIED {}", display_ranges(ranges)),
            Self::NoModSeq => "NOMODSEQ",
            Self::NoPerm => "NOPERM",
            Self::NotificationOverflow => "NOTIFICATIONOVERFLOW",
            Self::NotSaved => "NOTSAVED",
            Self::OverQuota => "OVERQUOTA",
            Self::PrivacyRequired => "PRIVACYREQUIRED",
            Self::ReadOnly => "READ-ONLY",
            Self::ReadWrite => "READ-WRITE",
            Self::ServerBug => "SERVERBUG",
            Self::TooBig => "TOOBIG",
            Self::TryCreate => "TRYCREATE",
            Self::UidNext(uid) => return write!(f, "UIDNEXT {uid}"),
            Self::UidRequired => "UIDREQUIRED",
            Self::UidValidity(validity) => return write!(f, "UIDVALIDITY {validity}"),
            Self::Unavailable => "UNAVAILABLE",
            Self::UnknownCte => "UNKNOWN-CTE",
            Self::UseAttr => "USEATTR",
            Self::Unseen(number) => return write!(f, "UNSEEN {number}"),
        };
        f.write_str(word)
    }
}

/// `url-resp-text`: what would end the code, or is not for every client to read,
/// is encoded as URLs encode it.
fn write_url(f: &mut std::fmt::Formatter<'_>, url: &str) -> std::fmt::Result {
    for octet in url.bytes() {
        match octet {
            b' '..=b'~' if octet != b']' => write!(f, "{}", char::from(octet))?,
            _ => write!(f, "%{octet:02X}")?,
        }
    }
    Ok(())
}
