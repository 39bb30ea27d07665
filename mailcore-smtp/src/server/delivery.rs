//! What MAIL may ask about the delivery itself: FUTURERELEASE (RFC 4865),
//! DELIVERBY (RFC 2852), MT-PRIORITY (RFC 6710).
//!
//! The moments are kept with the message; the queue keeps to them.

use mailcore::envelope::{ByMode, Priority};

use super::config::Kind;
use super::session::Session;
use super::wording;
use crate::command::{By, Hold, Mail};
use crate::reply::Reply;

impl Session {
    /// Holding mail back is the submission server's service alone (RFC 4865
    /// section 1).
    pub(super) fn offers_hold(&self) -> bool {
        self.config.kind == Kind::Submission
            && !self.config.max_hold.is_zero()
            && self.time().is_some()
    }

    /// Why the times asked for can't be kept.
    pub(super) fn time_refusal(&self, mail: &Mail) -> Option<Reply> {
        let now = self.time();
        if mail.by.is_some() && now.is_none() {
            return Some(wording::parameter_not_offered("BY"));
        }
        let least = self.config.least_deadline;
        let near =
            |by: &By| by.mode == ByMode::Return && by.seconds.unsigned_abs() < least.as_secs();
        if mail.by.as_ref().is_some_and(near) {
            return Some(wording::deadline_too_near(least));
        }
        let hold = mail.hold?;
        let now = now.filter(|_| self.offers_hold());
        let Some(now) = now else {
            return Some(wording::parameter_not_offered(match hold {
                Hold::For(_) => "HOLDFOR",
                Hold::Until(_) => "HOLDUNTIL",
            }));
        };
        let too_far = hold.until(now) > now.after(self.config.max_hold);
        too_far.then(|| wording::held_too_long(self.config.max_hold))
    }

    /// Settles what was asked for: times become moments, and strangers raise no
    /// priority (RFC 6710 section 4.1). The priority is returned when it is not
    /// the one asked for.
    pub(super) fn grant(&self, mail: &mut Mail) -> Option<Priority> {
        if let Some(now) = self.time() {
            mail.params.hold_until = mail.hold.map(|hold| hold.until(now));
            mail.params.deliver_by = mail.by.map(|by| by.deliver_by(now));
        }
        let may_raise = self.facts.is_known() || self.config.kind == Kind::Lmtp;
        if mail.params.priority > Priority::NORMAL && !may_raise {
            mail.params.priority = Priority::NORMAL;
            return Some(Priority::NORMAL);
        }
        None
    }
}
