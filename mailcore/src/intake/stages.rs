//! Asking the filters, stage by stage, within the deadline.

use std::future::Future;
use std::pin::Pin;

use super::{Intake, Refusal};
use crate::address::{Address, ReversePath};
use crate::envelope::Envelope;
use crate::plan::{Disposition, Plan};
use crate::seams::{Filter, FilterSession, IncomingMail, Verdict};
use crate::status::Status;

/// A filter's answer on its way.
type Answer<'a> = Pin<Box<dyn Future<Output = Verdict> + Send + 'a>>;

impl Intake {
    /// A peer has connected.
    ///
    /// # Errors
    /// What to say to it instead of a greeting.
    pub async fn connect(&self, session: &FilterSession) -> Result<(), Refusal> {
        // A proxy may have named another peer since (XCLIENT).
        session.memory.clear();
        self.keeps_out(session)?;
        self.ask(|filter| filter.connect(session)).await
    }

    /// A peer has greeted.
    ///
    /// # Errors
    /// What to reply.
    pub async fn helo(&self, session: &FilterSession) -> Result<(), Refusal> {
        self.hold_back(session, |tarpit| tarpit.greeting).await;
        self.ask(|filter| filter.helo(session)).await
    }

    /// A peer has authenticated.
    ///
    /// # Errors
    /// What to reply.
    pub async fn auth(&self, session: &FilterSession) -> Result<(), Refusal> {
        self.ask(|filter| filter.auth(session)).await
    }

    /// The peer is gone.
    pub async fn disconnect(&self, session: &FilterSession) {
        let tell = async {
            for filter in &self.parts.filters {
                filter.disconnect(session).await;
            }
        };
        if !self.parts.filters.is_empty() {
            // Too late is no matter: nobody waits for an answer.
            let _ = self.within_deadline(tell).await;
        }
    }

    pub(super) async fn ask_mail(
        &self,
        session: &FilterSession,
        reverse_path: &ReversePath,
    ) -> Result<(), Refusal> {
        self.ask(|filter| filter.mail(session, reverse_path)).await
    }

    pub(super) async fn ask_rcpt(
        &self,
        session: &FilterSession,
        reverse_path: &ReversePath,
        recipient: &Address,
    ) -> Result<(), Refusal> {
        self.ask(|filter| filter.rcpt(session, reverse_path, recipient))
            .await
    }

    pub(super) async fn ask_data(
        &self,
        session: &FilterSession,
        envelope: &Envelope,
    ) -> Result<(), Refusal> {
        self.ask(|filter| filter.data(session, envelope)).await
    }

    /// The filters' plan for a message. Past the deadline the message is
    /// deferred for everybody: the peer tries again.
    pub(super) async fn ask_message(
        &self,
        session: &FilterSession,
        mail: IncomingMail<'_>,
    ) -> Plan {
        let fresh = || Plan::accept(mail.envelope.recipients.len());
        if self.parts.filters.is_empty() {
            return fresh();
        }
        let ask = async {
            let mut plan = fresh();
            for filter in &self.parts.filters {
                filter.message(session, &mail, &mut plan).await;
            }
            for finding in plan.findings.drain(..) {
                session.memory.note(finding);
            }
            // Those of the stages before, too.
            plan.findings = session.memory.findings();
            plan
        };
        self.within_deadline(ask).await.unwrap_or_else(|| {
            let status =
                Status::transient(3, 2, "the message could not be checked in time; try again");
            let mut plan = fresh();
            for copy in &mut plan.recipients {
                copy.disposition = Disposition::Defer(status.clone());
            }
            plan
        })
    }

    async fn ask<'a>(
        &'a self,
        question: impl Fn(&'a dyn Filter) -> Answer<'a> + Send + Sync,
    ) -> Result<(), Refusal> {
        if self.parts.filters.is_empty() {
            return Ok(());
        }
        let ask = async {
            for filter in &self.parts.filters {
                match question(filter.as_ref()).await {
                    Verdict::Continue => {}
                    Verdict::Accept => return Ok(()),
                    Verdict::Delay(pause) => {
                        let clock = &self.parts.clock;
                        clock.sleep_until(clock.monotonic().after(pause)).await;
                    }
                    Verdict::Defer(status) | Verdict::Reject(status) => return Err(status.into()),
                    Verdict::Disconnect(status) => {
                        return Err(Refusal {
                            status,
                            close: true,
                            delay: None,
                        });
                    }
                }
            }
            Ok(())
        };
        self.within_deadline(ask).await.unwrap_or_else(|| {
            Err(Status::transient(3, 2, "this could not be checked in time; try again").into())
        })
    }

    async fn within_deadline<T>(&self, ask: impl Future<Output = T>) -> Option<T> {
        let clock = &self.parts.clock;
        let until = clock.monotonic().after(self.parts.limits.filter_deadline);
        tokio::select! {
            biased;
            done = ask => Some(done),
            () = clock.sleep_until(until) => None,
        }
    }
}
