//! Limits, schedules and policies: each has a default that a server can be run
//! with.

use std::time::Duration;

use super::Builder;
use crate::abuse::AbuseConfig;
use crate::event::{FollowerConfig, RecorderConfig};
use crate::intake::{CalloutConfig, IntakePolicy, Subjects};
use crate::limits::Limits;
use crate::queue::{RetrySchedule, RunnerConfig};
use crate::sasl::{InClear, Mechanism};
use crate::schedule::SchedulerConfig;

impl Builder {
    /// The mechanisms by which users log in, announced in this order, and which
    /// of them may be used without TLS. What the authenticator can't serve is
    /// not announced. Unless told otherwise [`Mechanism::USUAL`], within TLS.
    pub fn mechanisms(
        mut self,
        mechanisms: impl IntoIterator<Item = Mechanism>,
        in_clear: InClear,
    ) -> Self {
        self.mechanisms = mechanisms.into_iter().collect();
        self.in_clear = in_clear;
        self
    }

    /// What is decided about mail on its way in: who is trusted, what
    /// submitted mail must look like.
    pub fn intake_policy(mut self, policy: IntakePolicy) -> Self {
        self.policy = policy;
        self
    }

    /// How long what hosts say of recipients is believed, and how many are asked
    /// at a time.
    pub fn callout(mut self, config: CalloutConfig) -> Self {
        self.callout = config;
        self
    }

    /// When queued mail is tried again.
    pub fn retry_schedule(mut self, schedule: RetrySchedule) -> Self {
        self.schedule = schedule;
        self
    }

    /// For how long a copy of delivered mail is kept, with what became of each
    /// recipient; `None`, the default, for not at all. Remove those whose time
    /// is over now and then: [`remove_outlived`](crate::queue::remove_outlived).
    pub fn keep_delivered(mut self, keep_for: Option<Duration>) -> Self {
        self.keep_delivered = keep_for;
        self
    }

    /// How the queue works: what a destination is given, how much is in hand,
    /// what notices are like. When mail is tried again and for how long copies
    /// are kept is [`Builder::retry_schedule`]'s and
    /// [`Builder::keep_delivered`]'s, deliveries at a time and the time to end
    /// them are [`Limits`]', whatever is set here.
    pub fn runner(mut self, config: RunnerConfig) -> Self {
        self.runner = config;
        self
    }

    /// In whose time jobs run, and how many. How long a run may go on at
    /// shutdown is [`Limits::drain`], whatever is set here.
    pub fn scheduler(mut self, config: SchedulerConfig) -> Self {
        self.scheduler = config;
        self
    }

    /// Limits of the whole server.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// What is too often, for strangers and for users, and what is done then.
    /// Guesses of passwords are counted by default. With stores, bans outlive a
    /// restart.
    pub fn abuse(mut self, config: AbuseConfig) -> Self {
        self.abuse = config;
        self
    }

    /// How the journal is fed.
    pub fn follower(mut self, config: FollowerConfig) -> Self {
        self.follower = config;
        self
    }

    /// How events that belong to no mail are gathered, and how many refusals are
    /// told of one by one.
    pub fn recorder(mut self, config: RecorderConfig) -> Self {
        self.recorder = config;
        self
    }

    /// Whether events tell the subjects of messages.
    pub fn subjects(mut self, subjects: Subjects) -> Self {
        self.subjects = subjects;
        self
    }
}
