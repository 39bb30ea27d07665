//! The most messages that one command works on (RFC 9738), where there is such
//! a limit.

use std::num::NonZeroU32;

use mailcore::mailbox::{Uid, UidSet};

use super::context::Context;
use crate::types::{PartialEnd, PartialRange, ResponseCode};
use crate::wording::{Condition, MESSAGE_LIMIT, Status};

/// A command left messages alone, all of them below this UID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limited {
    limit: NonZeroU32,
    lowest: Option<Uid>,
}

impl Context {
    /// Those of `uids` that the command in progress works on: the highest, as
    /// many as it may. Its response tells where it stopped.
    pub(crate) fn limit(&mut self, uids: UidSet) -> UidSet {
        let Some(limit) = self.config.message_limit.filter(|it| is_over(*it, &uids)) else {
            return uids;
        };
        let highest = PartialRange::new(NonZeroU32::MIN, limit, PartialEnd::Last).of(&uids);
        let lowest = highest.ranges().next().map(|(first, _)| first);
        self.limited = Some(Limited { limit, lowest });
        highest
    }

    /// Why a command that works on all messages or none can't work on `uids`.
    pub(crate) fn over_limit(&self, uids: &UidSet) -> Option<Status> {
        let limit = self.config.message_limit.filter(|it| is_over(*it, uids))?;
        let code = ResponseCode::MessageLimit(limit.get(), None);
        Some(Status::no(code, MESSAGE_LIMIT))
    }
}

fn is_over(limit: NonZeroU32, uids: &UidSet) -> bool {
    uids.len() > u64::from(limit.get())
}

/// Tells that a command left messages alone: with its response, or before it
/// when that says something else.
pub(super) fn tell(cx: &mut Context, status: &mut Status) {
    let Some(Limited { limit, lowest }) = cx.limited.take() else {
        return;
    };
    if status.condition != Condition::Ok {
        return;
    }
    let code = ResponseCode::MessageLimit(limit.get(), lowest);
    if status.code.is_none() {
        status.code = Some(code);
    } else {
        cx.out.status(None, &Status::no(code, MESSAGE_LIMIT));
    }
}
