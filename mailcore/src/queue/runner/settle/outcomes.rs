//! An attempt's results, recipient by recipient: [`Settlement`]. Who is done
//! with, who is left, and who is told of what; nothing is written down here.

use std::time::Duration;

use super::super::deadline;
use super::super::destination::PutOff;
use crate::address::Address;
use crate::envelope::{Notify, Recipient};
use crate::event::EventName;
use crate::queue::dsn::{ReportedAction, ReportedRecipient};
use crate::queue::{DoneRecipient, QueueEntry, QueueRecipient};
use crate::status::{EnhancedStatusCode, Failure, Outcome, Status};
use crate::time::Timestamp;
use crate::wire::TlsInfo;

const SUCCESS: EnhancedStatusCode = EnhancedStatusCode::success(0, 0);

/// How long mail whose time is over may wait for one more attempt.
const TURN_COMES_WITHIN: Duration = Duration::from_secs(24 * 3_600);

/// An attempt's results, gathered recipient by recipient.
pub(super) struct Settlement<'a> {
    pub(super) entry: &'a QueueEntry,
    pub(super) now: Timestamp,
    pub(super) expired: bool,
    /// True when the sender is to be told of a delay now.
    pub(super) tell_delay: bool,
    /// True once somebody's delay was to be told.
    pub(super) delay_told: bool,
    /// True when an agent was asked, or none was needed.
    pub(super) attempted: bool,
    /// True when an agent panicked.
    pub(super) broke: bool,
    /// When those that were put off are to be tried.
    pub(super) again_at: Option<Timestamp>,
    pub(super) left: Vec<QueueRecipient>,
    pub(super) done: Vec<DoneRecipient>,
    pub(super) told: Vec<ReportedRecipient>,
    pub(super) events: Vec<Happened>,
    pub(super) expanded: Vec<(Recipient, Vec<Address>)>,
}

/// How a recipient was served.
struct Success {
    action: ReportedAction,
    /// What was said, in the form of a failure.
    done: Failure,
    tls: Option<TlsInfo>,
}

/// What became of one recipient, to be told as an event.
pub(super) struct Happened {
    pub(super) name: EventName,
    pub(super) recipient: Recipient,
    pub(super) failure: Failure,
    pub(super) tls: Option<TlsInfo>,
}

/// Who tells a sender of success.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    /// This server, asked or not.
    Always,
    /// This server, when the sender asked for it.
    IfAsked,
    /// The next host.
    Elsewhere,
}

impl Settlement<'_> {
    pub(super) fn add(&mut self, recipient: Recipient, outcome: Outcome) {
        if let Some(done) = DoneRecipient::of(recipient.clone(), &outcome, self.now) {
            self.done.push(done);
        }
        match outcome {
            Outcome::Delivered => {
                let done = self.success(Status::new(SUCCESS, "delivered"));
                let success = Success {
                    action: ReportedAction::Delivered,
                    done,
                    tls: None,
                };
                self.served(recipient, success, Told::IfAsked);
            }
            Outcome::Relayed {
                remote,
                reply,
                reply_code,
                tls,
                notifies,
            } => {
                let done = Failure {
                    remote: Some(remote),
                    reply_code: Some(reply_code),
                    ..self.success(reply)
                };
                // RFC 2852 section 4.1.3: every relay of a traced message is
                // told of, unless the sender wants no notices.
                let traced = self.entry.params.deliver_by.is_some_and(|by| by.trace)
                    && recipient.notify != Notify::NEVER;
                let told = match (traced, notifies) {
                    (true, _) => Told::Always,
                    (false, true) => Told::Elsewhere,
                    (false, false) => Told::IfAsked,
                };
                let success = Success {
                    action: ReportedAction::Relayed,
                    done,
                    tls,
                };
                self.served(recipient, success, told);
            }
            Outcome::Expanded { to } => {
                self.expanded.push((recipient.clone(), to));
                if recipient.notify.success {
                    let done = self.success(Status::new(SUCCESS, "expanded"));
                    let action = ReportedAction::Expanded;
                    self.told
                        .push(ReportedRecipient::new(recipient, action, done));
                }
            }
            Outcome::Deferred(failure) | Outcome::Unreachable(failure) => {
                self.not_now(recipient, failure);
            }
            Outcome::Failed(failure) => self.failed(recipient, failure),
        }
    }

    /// What was done just now.
    fn success(&self, status: Status) -> Failure {
        Failure {
            at: Some(self.now),
            ..Failure::local(status)
        }
    }

    fn note(
        &mut self,
        name: EventName,
        recipient: &Recipient,
        failure: &Failure,
        tls: Option<TlsInfo>,
    ) {
        self.events.push(Happened {
            name,
            recipient: recipient.clone(),
            failure: failure.clone(),
            tls,
        });
    }

    fn served(&mut self, recipient: Recipient, success: Success, told: Told) {
        let Success { action, done, tls } = success;
        self.note(EventName::RecipientDelivered, &recipient, &done, tls);
        if told == Told::Always || recipient.notify.success && told == Told::IfAsked {
            self.told
                .push(ReportedRecipient::new(recipient, action, done));
        }
    }

    /// Deferred, unless time has run out.
    fn not_now(&mut self, recipient: Recipient, failure: Failure) {
        if deadline::is_over(self.entry, self.now) {
            self.give_up(recipient, deadline::missed(failure));
        } else if self.expired {
            self.give_up(recipient, failure);
        } else {
            self.deferred(recipient, failure);
        }
    }

    fn give_up(&mut self, recipient: Recipient, failure: Failure) {
        let failed = Outcome::Failed(failure.clone());
        self.done
            .extend(DoneRecipient::of(recipient.clone(), &failed, self.now));
        self.failed(recipient, failure);
    }

    /// A destination that takes nothing now: no attempt, so nothing happened to
    /// the recipient, unless time ran out or others were attempted. Where it is
    /// only busy, the sender is told of the delay all the same, and time runs
    /// out some time later.
    pub(super) fn put_off(
        &mut self,
        recipient: Recipient,
        put_off: PutOff,
        before: Option<&QueueRecipient>,
    ) {
        let over = self.expired || deadline::is_over(self.entry, self.now);
        let last = || before.and_then(|it| it.last_failure.clone());
        match put_off.failure {
            Some(failure) if over || self.attempted || self.tell_delay => {
                self.not_now(recipient, failure);
            }
            None if self.never_its_turn() || self.tell_delay && !over => {
                self.not_now(recipient, last().unwrap_or_else(waits_for_its_turn));
            }
            failure => self.left.push(QueueRecipient {
                recipient,
                last_failure: failure.or_else(last),
            }),
        }
    }

    /// After a time down all may be expired at once; they are given up when
    /// another attempt did not come to them for long.
    fn never_its_turn(&self) -> bool {
        self.now >= self.entry.progress.expires_at.after(TURN_COMES_WITHIN)
    }

    fn deferred(&mut self, recipient: Recipient, failure: Failure) {
        self.note(EventName::RecipientDeferred, &recipient, &failure, None);
        self.delay_told |= self.tell_delay;
        if self.tell_delay && recipient.notify.delay {
            let action = ReportedAction::Delayed {
                retry_until: self.entry.progress.expires_at,
            };
            self.told.push(ReportedRecipient::new(
                recipient.clone(),
                action,
                failure.clone(),
            ));
        }
        self.left.push(QueueRecipient {
            recipient,
            last_failure: Some(failure),
        });
    }

    /// Also for what was deferred too long: the last failure tells why, its
    /// transient class that time ran out.
    fn failed(&mut self, recipient: Recipient, failure: Failure) {
        self.note(EventName::RecipientFailed, &recipient, &failure, None);
        if recipient.notify.failure {
            self.told.push(ReportedRecipient::new(
                recipient,
                ReportedAction::Failed,
                failure,
            ));
        }
    }
}

/// What kept a recipient that no attempt came to.
fn waits_for_its_turn() -> Failure {
    let words = "its turn to be tried has not come yet";
    Failure::local(Status::transient(4, 5, words))
}
