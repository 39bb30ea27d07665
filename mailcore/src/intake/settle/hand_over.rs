//! Copies that the host's own code takes, before the reply.

use std::sync::Arc;

use super::{Leg, Refused, Settlement};
use crate::envelope::Recipient;
use crate::event::EventName;
use crate::seams::{DeliveryJob, NextHop};
use crate::status::{Failure, Status};
use crate::transcript::Transcript;

impl Settlement<'_> {
    /// Gives a copy to the host's code, before the reply.
    pub(super) async fn hand_over(&mut self, agent: &Arc<str>, leg: Leg) {
        if leg.apart.is_some() {
            // Kept apart means that the host does not get it before somebody
            // has looked at it.
            if self.has_store() {
                self.queue(&leg);
            } else {
                let why = "the message is not wanted here";
                self.refused
                    .push(Refused::new(leg, Status::permanent(7, 1, why)));
            }
            return;
        }
        let done = match self.handed_over.get(&leg.address) {
            Some(done) => done.clone(),
            None => {
                let done = self.call(agent, &leg).await;
                self.handed_over.insert(leg.address.clone(), done.clone());
                if done.is_ok() {
                    let event = self
                        .event(EventName::RecipientDelivered)
                        .with("to", &leg.address)
                        .with("status", "2.0.0 delivered");
                    self.batch.events.push(event);
                }
                done
            }
        };
        match done {
            Ok(()) => self.take(leg.index),
            Err(failure) if failure.status.is_transient() && self.has_store() => self.queue(&leg),
            Err(failure) => self.refused.push(Refused::new(leg, failure.status)),
        }
    }

    async fn call(&self, agent: &Arc<str>, leg: &Leg) -> Result<(), Failure> {
        let unknown = || Failure::local(Status::transient(3, 0, "not available; try again"));
        let Some(hook) = self.intake.parts.agents.get(agent) else {
            return Err(unknown());
        };
        let job = DeliveryJob {
            trace: self.mail.trace,
            reverse_path: self.mail.reverse_path.clone(),
            params: self.envelope.params.clone(),
            origin: self.origin(),
            recipients: vec![Recipient::new(leg.address.clone())],
            next_hop: NextHop::Local,
            message: (self.version(self.version_of(leg.index)).message)
                .with_prefix(leg.prefix.clone()),
            findings: Arc::clone(&self.kept_findings),
            received_at: self.mail.received_at,
            agent: Arc::clone(agent),
            transcript: Transcript::default(),
        };
        let outcomes = tokio::select! {
            biased;
            outcomes = hook.deliver(job) => outcomes,
            () = self.intake.parts.clock.sleep_until(self.hand_over_until) => Vec::new(),
        };
        match outcomes.into_iter().next() {
            Some(outcome) => match outcome.failure() {
                Some(failure) => Err(failure.clone()),
                None => Ok(()),
            },
            None => Err(unknown()),
        }
    }
}
