//! The forms in which stores keep entries and their progress.

use std::sync::Arc;

use super::{
    DoneRecipient, Ended, EntryState, Origin, QueueEntry, QueueId, QueueProgress, QueueRecipient,
    findings,
};
use crate::address::{Address, Domain, ReversePath};
use crate::envelope::{
    BodyType, ByMode, DeliverBy, MailParams, Notify, OriginalRecipient, Priority, Recipient, Ret,
};
use crate::event::TraceId;
use crate::message::{Content, Message};
use crate::pack::{PackError, Packer, Unpacker};
use crate::status::{EnhancedStatusCode, Failure, Status};
use crate::time::Timestamp;

/// 2: `hold_until`, `deliver_by`, `priority`. 3: mail that was submitted. 4: findings,
/// and that alone: an entry without any is written as 3, which programs from before
/// read.
const ENTRY_VERSION: u8 = 4;
/// 2: `state` in place of a mark, `done`. 3: `broken`, when bad ones go, reply
/// codes of those done with. 4: failures with the whole reply and their time. 5:
/// what is in quarantine, and that alone: all else is written as 4, which programs
/// from before read.
const PROGRESS_VERSION: u8 = 5;

/// The end of the year 9999.
const FAR: Timestamp = Timestamp::from_secs(253_402_300_799);

impl QueueEntry {
    /// Everything but content and progress, in the form in which stores keep it.
    pub fn encode_fixed(&self) -> Vec<u8> {
        let mut out = Packer::new(match self.findings.is_empty() {
            true => 3,
            false => ENTRY_VERSION,
        });
        out.u128(self.id.0);
        out.u128(self.trace.0);
        out.text(&self.reverse_path.to_string());
        encode_params(&mut out, &self.params);
        out.u64(match self.origin {
            Origin::Received => 0,
            Origin::Host => 1,
            Origin::Server => 2,
            Origin::Submitted => 3,
        });
        out.i64(self.received_at.millis());
        out.octets(self.message.prefix());
        if !self.findings.is_empty() {
            findings::encode(&mut out, &self.findings);
        }
        out.finish()
    }
}

impl QueueProgress {
    /// The form in which stores keep it.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Packer::new(match self.state {
            EntryState::Quarantined => PROGRESS_VERSION,
            _ => 4,
        });
        out.i64(self.next_attempt.millis());
        out.i64(self.expires_at.millis());
        out.u64(u64::from(self.attempts));
        out.u64(u64::from(self.delay_told) << 1);
        out.list(&self.recipients, encode_recipient);
        out.u64(u64::from(self.state.kind().number()));
        match &self.state {
            EntryState::Waiting | EntryState::Held | EntryState::Quarantined => {}
            EntryState::Bad { reason, until } => {
                out.text(reason);
                out.i64(until.millis());
            }
            EntryState::Kept { until } => out.i64(until.millis()),
        }
        out.list(&self.done, encode_done);
        out.u64(u64::from(self.broken));
        out.finish()
    }
}

/// Undoes [`QueueEntry::encode_fixed`]; the store adds content and progress.
///
/// # Errors
/// [`PackError`].
pub fn decode_entry(
    fixed: &[u8],
    progress: QueueProgress,
    content: Content,
) -> Result<QueueEntry, PackError> {
    let version = fixed.first().copied().unwrap_or_default();
    let mut from = Unpacker::new(fixed, ENTRY_VERSION)?;
    Ok(QueueEntry {
        id: QueueId(from.u128()?),
        trace: TraceId(from.u128()?),
        reverse_path: decode_reverse_path(from.text()?)?,
        params: read_params(&mut from, version)?,
        origin: match from.u64()? {
            0 => Origin::Received,
            1 => Origin::Host,
            2 => Origin::Server,
            3 => Origin::Submitted,
            _ => return Err(PackError::Damaged),
        },
        received_at: Timestamp::from_millis(from.i64()?),
        message: Message::new(content).with_prefix(from.octets()?.to_vec()),
        findings: match version {
            0..4 => Arc::default(),
            _ => findings::decode(&mut from)?,
        },
        progress,
    })
}

/// The parameters alone of what [`QueueEntry::encode_fixed`] wrote.
///
/// # Errors
/// [`PackError`].
pub fn decode_params(fixed: &[u8]) -> Result<MailParams, PackError> {
    let version = fixed.first().copied().unwrap_or_default();
    let mut from = Unpacker::new(fixed, ENTRY_VERSION)?;
    let (_id, _trace, _reverse_path) = (from.u128()?, from.u128()?, from.text()?);
    read_params(&mut from, version)
}

/// Undoes [`QueueProgress::encode`].
///
/// # Errors
/// [`PackError`].
pub fn decode_progress(octets: &[u8]) -> Result<QueueProgress, PackError> {
    let version = octets.first().copied().unwrap_or_default();
    let mut from = Unpacker::new(octets, PROGRESS_VERSION)?;
    let next_attempt = Timestamp::from_millis(from.i64()?);
    let expires_at = Timestamp::from_millis(from.i64()?);
    let attempts = u32::try_from(from.u64()?).map_err(|_| PackError::Damaged)?;
    let bits = from.u64()?;
    let recipients = from.list(|from| decode_recipient(from, version))?;
    let state = match version {
        1 if bits & 1 != 0 => EntryState::Held,
        1 => EntryState::Waiting,
        _ => decode_state(&mut from, version)?,
    };
    let done = match version {
        1 => Vec::new(),
        2 => from.list(decode_done_2)?,
        _ => from.list(decode_done)?,
    };
    let broken = match version {
        1 | 2 => 0,
        _ => u32::try_from(from.u64()?).map_err(|_| PackError::Damaged)?,
    };
    Ok(QueueProgress {
        recipients,
        done,
        broken,
        next_attempt,
        expires_at,
        attempts,
        state,
        delay_told: bits & 2 != 0,
    })
}

fn decode_state(from: &mut Unpacker<'_>, version: u8) -> Result<EntryState, PackError> {
    Ok(match from.u64()? {
        0 => EntryState::Waiting,
        1 => EntryState::Held,
        2 => EntryState::Bad {
            reason: from.text()?.to_owned(),
            until: match version {
                // Nobody said when: an operator does.
                2 => FAR,
                _ => Timestamp::from_millis(from.i64()?),
            },
        },
        3 => EntryState::Kept {
            until: Timestamp::from_millis(from.i64()?),
        },
        4 => EntryState::Quarantined,
        _ => return Err(PackError::Damaged),
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

fn read_params(from: &mut Unpacker<'_>, version: u8) -> Result<MailParams, PackError> {
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
    encode_whom(out, &entry.recipient);
    out.option(entry.last_failure.as_ref(), |out, failure| {
        encode_status(out, &failure.status);
        encode_host(out, failure.remote.as_ref());
        out.option(failure.reply_code, |out, code| out.u64(u64::from(code)));
        out.option(failure.said.as_deref(), Packer::text);
        out.option(failure.at, |out, at| out.i64(at.millis()));
    });
}

fn decode_recipient(from: &mut Unpacker<'_>, version: u8) -> Result<QueueRecipient, PackError> {
    let recipient = decode_whom(from)?;
    let last_failure = from.option(|from| {
        let status = decode_status(from)?;
        let remote = decode_host(from)?;
        let reply_code = decode_reply_code(from)?;
        let mut failure = Failure {
            remote,
            reply_code,
            ..Failure::local(status)
        };
        if version > 3 {
            failure.said = from.option(|from| from.text().map(str::to_owned))?;
            failure.at = from.option(|from| from.i64().map(Timestamp::from_millis))?;
        }
        Ok(failure)
    })?;
    Ok(QueueRecipient {
        recipient,
        last_failure,
    })
}

fn encode_done(out: &mut Packer, done: &DoneRecipient) {
    encode_whom(out, &done.recipient);
    out.u64(match done.ended {
        Ended::Delivered => 0,
        Ended::Relayed => 1,
        Ended::Expanded => 2,
        Ended::Failed => 3,
    });
    out.i64(done.at.millis());
    encode_status(out, &done.status);
    encode_host(out, done.remote.as_ref());
    out.option(done.reply_code, |out, code| out.u64(u64::from(code)));
}

fn decode_done(from: &mut Unpacker<'_>) -> Result<DoneRecipient, PackError> {
    let done = decode_done_2(from)?;
    Ok(DoneRecipient {
        reply_code: decode_reply_code(from)?,
        ..done
    })
}

fn decode_done_2(from: &mut Unpacker<'_>) -> Result<DoneRecipient, PackError> {
    Ok(DoneRecipient {
        recipient: decode_whom(from)?,
        ended: match from.u64()? {
            0 => Ended::Delivered,
            1 => Ended::Relayed,
            2 => Ended::Expanded,
            3 => Ended::Failed,
            _ => return Err(PackError::Damaged),
        },
        at: Timestamp::from_millis(from.i64()?),
        status: decode_status(from)?,
        remote: decode_host(from)?,
        reply_code: None,
    })
}

fn decode_reply_code(from: &mut Unpacker<'_>) -> Result<Option<u16>, PackError> {
    from.option(|from| u16::try_from(from.u64()?).map_err(|_| PackError::Damaged))
}

fn encode_whom(out: &mut Packer, recipient: &Recipient) {
    let Notify {
        success,
        failure,
        delay,
        asked,
    } = recipient.notify;
    out.text(&recipient.address.to_string());
    let bits = [success, failure, delay, asked].into_iter().zip(0..);
    out.u64(bits.map(|(bit, at)| u64::from(bit) << at).sum());
    out.option(recipient.original.as_ref(), |out, original| {
        out.text(&original.address_type);
        out.text(&original.address);
    });
}

fn decode_whom(from: &mut Unpacker<'_>) -> Result<Recipient, PackError> {
    let address = decode_address(from.text()?)?;
    let bits = from.u64()?;
    let original = from.option(|from| {
        Ok(OriginalRecipient {
            address_type: from.text()?.to_owned(),
            address: from.text()?.to_owned(),
        })
    })?;
    Ok(Recipient {
        address,
        notify: Notify {
            success: bits & 1 != 0,
            failure: bits & 2 != 0,
            delay: bits & 4 != 0,
            // Earlier versions did not note it; nobody is told of nothing unasked.
            asked: bits & 8 != 0 || bits == 0,
        },
        original,
    })
}

fn encode_status(out: &mut Packer, status: &Status) {
    out.text(&status.code.to_string());
    out.text(&status.text);
}

fn decode_status(from: &mut Unpacker<'_>) -> Result<Status, PackError> {
    let code: EnhancedStatusCode = from.text()?.parse().map_err(|_| PackError::Damaged)?;
    Ok(Status::new(code, from.text()?))
}

fn encode_host(out: &mut Packer, host: Option<&Domain>) {
    out.option(host, |out, host| out.text(host.as_str()));
}

fn decode_host(from: &mut Unpacker<'_>) -> Result<Option<Domain>, PackError> {
    from.option(|from| from.text()?.parse().map_err(|_| PackError::Damaged))
}
