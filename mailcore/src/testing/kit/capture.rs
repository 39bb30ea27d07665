//! [`Capture`]: the agent for other hosts of a server in a test. Nothing leaves;
//! what would is written down as if it had been delivered.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::ledger::Ledger;
use super::mail::{CapturedMail, Place};
use super::witness::captured;
use crate::address::{Address, Domain};
use crate::seams::{Clock, DeliveryAgent, DeliveryJob};
use crate::status::{Failure, Outcome, Status};

/// How another host answers, as far as the test is concerned.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Answer {
    /// It takes the mail.
    #[default]
    Takes,
    /// Not now: the queue tries again.
    Defers(Status),
    /// Never: the sender is told.
    Refuses(Status),
}

#[derive(Debug)]
pub(super) struct Capture {
    ledger: Arc<Ledger>,
    clock: Arc<dyn Clock>,
    answers: Mutex<HashMap<Domain, Answer>>,
}

impl Capture {
    pub(super) fn new(ledger: Arc<Ledger>, clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self {
            ledger,
            clock,
            answers: Mutex::default(),
        })
    }

    pub(super) fn answer(&self, domain: Domain, answer: Answer) {
        self.answers().insert(domain, answer);
    }

    pub(super) fn reset(&self) {
        self.answers().clear();
    }

    fn answer_for(&self, to: &Address) -> Answer {
        self.answers().get(to.domain()).cloned().unwrap_or_default()
    }

    fn answers(&self) -> MutexGuard<'_, HashMap<Domain, Answer>> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl DeliveryAgent for Capture {
    async fn deliver(&self, job: DeliveryJob) -> Vec<Outcome> {
        let to: Vec<Address> = job.recipients.iter().map(|it| it.address.clone()).collect();
        let octets = match job.message.read_all(u64::MAX).await {
            Ok(octets) => octets,
            Err(error) => {
                let status = Status::transient(3, 0, error.to_string());
                return vec![Outcome::Deferred(Failure::local(status)); to.len()];
            }
        };
        let outcomes: Vec<Outcome> = to
            .iter()
            .map(|it| outcome(self.answer_for(it), it))
            .collect();
        let served = to.into_iter().zip(&outcomes);
        let taken: Vec<Address> = served
            .filter(|(_, outcome)| outcome.failure().is_none())
            .map(|(to, _)| to)
            .collect();
        if !taken.is_empty() {
            let mail = CapturedMail {
                place: Place::Elsewhere,
                reverse_path: job.reverse_path,
                recipients: taken,
                ..captured(octets, job.trace, self.clock.now())
            };
            self.ledger.add(mail.read());
        }
        outcomes
    }
}

fn outcome(answer: Answer, to: &Address) -> Outcome {
    let failure = |status| Failure {
        remote: Some(to.domain().clone()),
        ..Failure::local(status)
    };
    match answer {
        Answer::Takes => Outcome::Relayed {
            remote: to.domain().clone(),
            reply: Status::new(
                crate::status::EnhancedStatusCode::success(0, 0),
                "captured by the test",
            ),
            reply_code: 250,
            tls: None,
            notifies: false,
        },
        Answer::Defers(status) => Outcome::Deferred(failure(status)),
        Answer::Refuses(status) => Outcome::Failed(failure(status)),
    }
}
