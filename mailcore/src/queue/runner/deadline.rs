//! The time by which a sender wants a message delivered (RFC 2852 section 4).

use std::time::Duration;

use crate::envelope::{ByMode, Recipient};
use crate::queue::QueueEntry;
use crate::status::{EnhancedStatusCode, Failure, Outcome, Status};
use crate::time::Timestamp;

/// How long before the deadline the last attempt begins.
const LAST_TRY: Duration = Duration::from_secs(60);

/// True when the message is to be returned rather than tried.
pub(super) fn is_over(entry: &QueueEntry, now: Timestamp) -> bool {
    let by = entry.params.deliver_by;
    by.is_some_and(|by| by.mode == ByMode::Return && now >= by.deadline)
}

/// When a sender is told that the message is late, if it asked to be.
pub(super) fn to_tell(entry: &QueueEntry) -> Option<Timestamp> {
    let by = entry.params.deliver_by?;
    (by.mode == ByMode::Notify).then_some(by.deadline)
}

/// `next`, or earlier: one attempt comes shortly before the deadline, and at the
/// deadline the sender is told.
pub(super) fn in_time(entry: &QueueEntry, now: Timestamp, next: Timestamp) -> Timestamp {
    let Some(by) = entry.params.deliver_by else {
        return next;
    };
    let last_try = Timestamp::from_millis(
        by.deadline
            .millis()
            .saturating_sub(i64::try_from(LAST_TRY.as_millis()).unwrap_or(0)),
    );
    if next <= last_try || now >= by.deadline {
        next
    } else if now < last_try {
        last_try
    } else {
        next.min(by.deadline)
    }
}

/// What a returned message failed with: 5.4.7 (RFC 2852 section 4.1.1), and what
/// kept it. That it is over is this server's word; a host's are quoted.
pub(super) fn missed(failure: Failure) -> Failure {
    let by = failure.remote.as_ref().map(|host| format!("{host}: "));
    let said = failure.said.unwrap_or_else(|| {
        let code = failure.reply_code.map(|code| format!("{code} "));
        format!("{}{}", code.unwrap_or_default(), failure.status)
    });
    let text = format!(
        "not delivered by the time its sender gave; the last attempt: {}{said}",
        by.unwrap_or_default(),
    );
    Failure {
        at: failure.at,
        ..Failure::local(Status::new(EnhancedStatusCode::permanent(4, 7), text))
    }
}

/// What all that are left failed with, none of them tried again.
pub(super) fn all_missed(entry: &QueueEntry) -> Vec<(Recipient, Outcome)> {
    let recipients = entry.progress.recipients.iter();
    let over = recipients.map(|queued| {
        let last = queued.last_failure.clone();
        let failed = last.map_or_else(untried, missed);
        (queued.recipient.clone(), Outcome::Failed(failed))
    });
    over.collect()
}

/// What fails without an attempt.
fn untried() -> Failure {
    Failure::local(Status::permanent(
        4,
        7,
        "the time by which its sender wanted the message delivered is over",
    ))
}
