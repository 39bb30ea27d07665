//! What the queue holds: a message on its way, for one or more recipients.

use std::fmt;

use crate::address::{Address, ReversePath};
use crate::envelope::{
    BodyType, ByMode, DeliverBy, MailParams, Notify, OriginalRecipient, Priority, Recipient, Ret,
};
use crate::event::TraceId;
use crate::message::Message;
use crate::pack::{PackError, Packer, Unpacker};
use crate::status::{EnhancedStatusCode, Failure, Status};
use crate::time::Timestamp;

/// 2: `hold_until`, `deliver_by`, `priority`.
const ENTRY_VERSION: u8 = 2;
const PROGRESS_VERSION: u8 = 1;

/// Names an entry; later entries have greater ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QueueId(pub u128);

impl fmt::Display for QueueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl std::str::FromStr for QueueId {
    type Err = std::num::ParseIntError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u128::from_str_radix(text, 16).map(Self)
    }
}

/// Where queued mail came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// By SMTP or LMTP.
    Received,
    /// From the host application.
    Host,
    /// Written by this server: a notice, an autoreply, a forwarded copy.
    Server,
}

/// A message on its way. All but [`QueueEntry::progress`] never changes.
#[derive(Debug, Clone)]
pub struct QueueEntry {
    /// Its name.
    pub id: QueueId,
    /// Its track through the server.
    pub trace: TraceId,
    /// Where notices go.
    pub reverse_path: ReversePath,
    /// What MAIL asked for.
    pub params: MailParams,
    /// Where it came from.
    pub origin: Origin,
    /// When it was accepted.
    pub received_at: Timestamp,
    /// The octets to send.
    pub message: Message,
    /// What is left to do.
    pub progress: QueueProgress,
}

impl QueueEntry {
    /// Everything but content and progress, in the form in which stores keep it.
    pub fn encode_fixed(&self) -> Vec<u8> {
        let mut out = Packer::new(ENTRY_VERSION);
        out.u128(self.id.0);
        out.u128(self.trace.0);
        out.text(&self.reverse_path.to_string());
        encode_params(&mut out, &self.params);
        out.u64(match self.origin {
            Origin::Received => 0,
            Origin::Host => 1,
            Origin::Server => 2,
        });
        out.i64(self.received_at.millis());
        out.octets(self.message.prefix());
        out.finish()
    }
}

/// The changing part of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueProgress {
    /// The recipients not done with.
    pub recipients: Vec<QueueRecipient>,
    /// When to try next.
    pub next_attempt: Timestamp,
    /// When to give up.
    pub expires_at: Timestamp,
    /// Attempts made.
    pub attempts: u32,
    /// True when no runner may take it until it is released.
    pub on_hold: bool,
    /// True once the sender was told of the delay.
    pub delay_told: bool,
}

impl QueueProgress {
    /// The form in which stores keep it.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Packer::new(PROGRESS_VERSION);
        out.i64(self.next_attempt.millis());
        out.i64(self.expires_at.millis());
        out.u64(u64::from(self.attempts));
        out.u64(u64::from(self.on_hold) | u64::from(self.delay_told) << 1);
        out.list(&self.recipients, encode_recipient);
        out.finish()
    }
}

/// A recipient and what its last attempt said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueRecipient {
    /// Who.
    pub recipient: Recipient,
    /// Why the last attempt failed, if there was one.
    pub last_failure: Option<Failure>,
}

impl QueueRecipient {
    /// A recipient not tried yet.
    pub fn new(recipient: Recipient) -> Self {
        Self {
            recipient,
            last_failure: None,
        }
    }
}

/// Undoes [`QueueEntry::encode_fixed`]; the store adds content and progress.
///
/// # Errors
/// [`PackError`].
pub fn decode_entry(
    fixed: &[u8],
    progress: QueueProgress,
    content: crate::message::Content,
) -> Result<QueueEntry, PackError> {
    let version = fixed.first().copied().unwrap_or_default();
    let mut from = Unpacker::new(fixed, ENTRY_VERSION)?;
    Ok(QueueEntry {
        id: QueueId(from.u128()?),
        trace: TraceId(from.u128()?),
        reverse_path: decode_reverse_path(from.text()?)?,
        params: decode_params(&mut from, version)?,
        origin: match from.u64()? {
            0 => Origin::Received,
            1 => Origin::Host,
            2 => Origin::Server,
            _ => return Err(PackError::Damaged),
        },
        received_at: Timestamp::from_millis(from.i64()?),
        message: Message::new(content).with_prefix(from.octets()?.to_vec()),
        progress,
    })
}

/// Undoes [`QueueProgress::encode`].
///
/// # Errors
/// [`PackError`].
pub fn decode_progress(octets: &[u8]) -> Result<QueueProgress, PackError> {
    let mut from = Unpacker::new(octets, PROGRESS_VERSION)?;
    let next_attempt = Timestamp::from_millis(from.i64()?);
    let expires_at = Timestamp::from_millis(from.i64()?);
    let attempts = u32::try_from(from.u64()?).map_err(|_| PackError::Damaged)?;
    let bits = from.u64()?;
    Ok(QueueProgress {
        recipients: from.list(decode_recipient)?,
        next_attempt,
        expires_at,
        attempts,
        on_hold: bits & 1 != 0,
        delay_told: bits & 2 != 0,
    })
}

fn decode_address(text: &str) -> Result<Address, PackError> {
    Address::parse(text).map_err(|_| PackError::Damaged)
}

fn decode_reverse_path(text: &str) -> Result<ReversePath, PackError> {
    match text {
        "" => Ok(ReversePath::Null),
        text => decode_address(text).map(ReversePath::Address),
    }
}

fn encode_params(out: &mut Packer, params: &MailParams) {
    out.option(params.size, Packer::u64);
    out.u64(match params.body {
        BodyType::SevenBit => 0,
        BodyType::EightBitMime => 1,
        BodyType::BinaryMime => 2,
    });
    out.u64(u64::from(params.smtputf8) | u64::from(params.require_tls) << 1);
    out.option(params.ret, |out, ret| {
        out.u64(match ret {
            Ret::Full => 0,
            Ret::Headers => 1,
        });
    });
    out.option(params.envelope_id.as_deref(), Packer::text);
    out.option(params.hold_until, |out, at| out.i64(at.millis()));
    out.option(params.deliver_by, |out, by| {
        out.i64(by.deadline.millis());
        out.u64(u64::from(by.mode == ByMode::Notify) | u64::from(by.trace) << 1);
    });
    out.i64(i64::from(params.priority.value()));
}

fn decode_params(from: &mut Unpacker<'_>, version: u8) -> Result<MailParams, PackError> {
    let size = from.option(Unpacker::u64)?;
    let body = match from.u64()? {
        0 => BodyType::SevenBit,
        1 => BodyType::EightBitMime,
        2 => BodyType::BinaryMime,
        _ => return Err(PackError::Damaged),
    };
    let bits = from.u64()?;
    let ret = from.option(|from| match from.u64()? {
        0 => Ok(Ret::Full),
        1 => Ok(Ret::Headers),
        _ => Err(PackError::Damaged),
    })?;
    let envelope_id = from.option(|from| from.text().map(str::to_owned))?;
    let mut params = MailParams {
        size,
        body,
        smtputf8: bits & 1 != 0,
        require_tls: bits & 2 != 0,
        ret,
        envelope_id,
        ..MailParams::default()
    };
    if version > 1 {
        params.hold_until = from.option(|from| from.i64().map(Timestamp::from_millis))?;
        params.deliver_by = from.option(decode_deliver_by)?;
        let priority = i8::try_from(from.i64()?).ok().and_then(Priority::new);
        params.priority = priority.ok_or(PackError::Damaged)?;
    }
    Ok(params)
}

fn decode_deliver_by(from: &mut Unpacker<'_>) -> Result<DeliverBy, PackError> {
    let deadline = Timestamp::from_millis(from.i64()?);
    let bits = from.u64()?;
    Ok(DeliverBy {
        deadline,
        mode: match bits & 1 {
            0 => ByMode::Return,
            _ => ByMode::Notify,
        },
        trace: bits & 2 != 0,
    })
}

fn encode_recipient(out: &mut Packer, entry: &QueueRecipient) {
    let Notify {
        success,
        failure,
        delay,
    } = entry.recipient.notify;
    out.text(&entry.recipient.address.to_string());
    out.u64(u64::from(success) | u64::from(failure) << 1 | u64::from(delay) << 2);
    out.option(entry.recipient.original.as_ref(), |out, original| {
        out.text(&original.address_type);
        out.text(&original.address);
    });
    out.option(entry.last_failure.as_ref(), |out, failure| {
        out.text(&failure.status.code.to_string());
        out.text(&failure.status.text);
        out.option(failure.remote.as_ref(), |out, remote| {
            out.text(remote.as_str())
        });
        out.option(failure.reply_code, |out, code| out.u64(u64::from(code)));
    });
}

fn decode_recipient(from: &mut Unpacker<'_>) -> Result<QueueRecipient, PackError> {
    let address = decode_address(from.text()?)?;
    let bits = from.u64()?;
    let original = from.option(|from| {
        Ok(OriginalRecipient {
            address_type: from.text()?.to_owned(),
            address: from.text()?.to_owned(),
        })
    })?;
    let last_failure = from.option(|from| {
        let code: EnhancedStatusCode = from.text()?.parse().map_err(|_| PackError::Damaged)?;
        let status = Status::new(code, from.text()?);
        let remote = from.option(|from| from.text()?.parse().map_err(|_| PackError::Damaged))?;
        let reply_code =
            from.option(|from| u16::try_from(from.u64()?).map_err(|_| PackError::Damaged))?;
        Ok(Failure {
            status,
            remote,
            reply_code,
        })
    })?;
    let notify = Notify {
        success: bits & 1 != 0,
        failure: bits & 2 != 0,
        delay: bits & 4 != 0,
    };
    Ok(QueueRecipient {
        recipient: Recipient {
            address,
            notify,
            original,
        },
        last_failure,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Content;

    #[test]
    fn an_entry_reads_back_as_it_was_written() {
        let failure = Failure {
            status: Status::transient(4, 2, "timed out"),
            remote: Some("mx.b.test".parse().unwrap()),
            reply_code: Some(451),
        };
        let original = OriginalRecipient {
            address_type: "rfc822".into(),
            address: "old@b.test".into(),
        };
        let progress = QueueProgress {
            recipients: vec![
                QueueRecipient::new(Recipient::new("u@b.test".parse().unwrap())),
                QueueRecipient {
                    recipient: Recipient {
                        address: "\"v w\"@b.test".parse().unwrap(),
                        notify: Notify::NEVER,
                        original: Some(original),
                    },
                    last_failure: Some(failure),
                },
            ],
            next_attempt: Timestamp::from_secs(10),
            expires_at: Timestamp::from_secs(99),
            attempts: 3,
            on_hold: true,
            delay_told: false,
        };
        let entry = QueueEntry {
            id: QueueId(1),
            trace: TraceId(2),
            reverse_path: ReversePath::Null,
            params: MailParams {
                smtputf8: true,
                ret: Some(Ret::Headers),
                envelope_id: Some("e".into()),
                hold_until: Some(Timestamp::from_secs(11)),
                deliver_by: Some(DeliverBy {
                    deadline: Timestamp::from_secs(-4),
                    mode: ByMode::Notify,
                    trace: true,
                }),
                priority: Priority::new(-9).unwrap(),
                ..MailParams::default()
            },
            origin: Origin::Host,
            received_at: Timestamp::from_secs(5),
            message: Message::from_bytes("x").with_prefix("Received: y\r\n"),
            progress: progress.clone(),
        };
        assert_eq!(decode_progress(&progress.encode()).unwrap(), progress);
        let back =
            decode_entry(&entry.encode_fixed(), progress, Content::Inline("x".into())).unwrap();
        assert_eq!(back.params, entry.params);
        assert_eq!(
            (back.id, back.trace, back.reverse_path),
            (entry.id, entry.trace, entry.reverse_path)
        );
        assert_eq!(back.message.prefix(), entry.message.prefix());
    }
}
