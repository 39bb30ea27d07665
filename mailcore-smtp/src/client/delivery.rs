//! [`Delivery`]: one job on its way through hosts, connections and replies.

use mailcore::envelope::BodyType;
use mailcore::message::READ_CHUNK;
use mailcore::seams::DeliveryJob;
use mailcore::status::{Failure, Outcome, Status};
use memchr::memmem;

use super::config::TlsPolicy;
use super::connection::{Connection, within};
use super::error::SessionError;
use super::remote_agent::{RemoteAgent, in_clear};
use super::secured;
use super::targets::{self, Target};
use super::transaction::{ContentNeeds, EightBit, Stage, Transaction, TransactionResult, Unsent};
use crate::reply::ReplyCode;

/// A job with what is known of each recipient so far.
pub(super) struct Delivery<'a> {
    agent: &'a RemoteAgent,
    job: &'a DeliveryJob,
    needs: ContentNeeds,
    /// One for each recipient; `None` while it may still be tried.
    outcomes: Vec<Option<Outcome>>,
    /// The latest refusal of each that may still be tried.
    refusals: Vec<Option<Failure>>,
    /// What hosts said that took no transaction at all.
    host_failures: Vec<Failure>,
    /// Sessions that got as far as a transaction.
    sessions: usize,
}

impl<'a> Delivery<'a> {
    pub(super) async fn new(agent: &'a RemoteAgent, job: &'a DeliveryJob) -> Self {
        Self {
            agent,
            job,
            needs: needs(job).await,
            outcomes: vec![None; job.recipients.len()],
            refusals: vec![None; job.recipients.len()],
            host_failures: Vec::new(),
            sessions: 0,
        }
    }

    pub(super) async fn run(mut self) -> Vec<Outcome> {
        let hop = &self.job.next_hop;
        // One that must be verified is asked for anew: how a kept one was
        // secured is not known here.
        while !self.job.params.require_tls
            && let Some(connection) = self.agent.pool.take(hop).await
        {
            self.use_connection(connection, Origin::Pool).await;
            if self.is_done() {
                return self.finish();
            }
            if self.sessions > 0 {
                break;
            }
        }
        let (config, seams) = (&self.agent.config, &self.agent.seams);
        let (resolver, entropy) = (seams.resolver.as_ref(), seams.entropy.as_ref());
        match targets::find(hop, config, resolver, entropy).await {
            Ok(targets) => self.try_all(&targets).await,
            Err(failure) => self.host_failures.push(failure),
        }
        if self.sessions == 0
            && let Some(failure) = self.host_failures.last()
            && failure.status.is_transient()
        {
            self.agent.suspend(hop, failure);
        }
        self.finish()
    }

    async fn try_all(&mut self, targets: &[Target]) {
        for target in targets.iter().take(self.agent.config.max_addresses) {
            match self.connect(target).await {
                Ok(connection) => self.use_connection(connection, Origin::Fresh).await,
                Err(failure) => self.host_failures.push(failure),
            }
            if self.is_done() || self.sessions >= self.agent.config.max_sessions {
                return;
            }
        }
    }

    async fn connect(&self, target: &Target) -> Result<Connection, Failure> {
        let mut config = self.agent.session_config(&self.job.next_hop);
        let secured = secured::plan(self.agent, target, self.job, config.tls).await;
        let secured = secured.map_err(|failure| said_by(target, failure))?;
        config.tls = secured.policy;
        let clock = &self.agent.seams.clock;
        loop {
            let dial = self.agent.seams.dialer.connect(target.address);
            let stream = match within(clock.as_ref(), config.timeouts.connect, dial).await {
                Some(Ok(stream)) => stream,
                Some(Err(error)) => {
                    let status = Status::transient(4, 1, error.to_string());
                    return Err(said_by(target, Failure::local(status)));
                }
                None => {
                    let text = format!("{}: no answer in time", target.address);
                    let status = Status::transient(4, 1, text);
                    return Err(said_by(target, Failure::local(status)));
                }
            };
            let (host, tls) = (target.host.clone(), secured.configs.clone());
            let opportunistic = config.tls == TlsPolicy::Opportunistic;
            let opened = Connection::open(stream, host, config.clone(), tls, clock.clone()).await;
            match opened {
                Ok(mut connection) => {
                    secured.opened(&mut connection);
                    return Ok(connection);
                }
                Err(SessionError::TlsFailed(error)) if opportunistic => {
                    tracing::info!(host = %target.host, %error, "TLS failed, sending in clear");
                    secured.failed(&SessionError::TlsFailed(error));
                    config = in_clear(config);
                }
                Err(error) => {
                    secured.failed(&error);
                    tracing::info!(host = %target.host, %error, "no session");
                    return Err(said_by(target, error.failure()));
                }
            }
        }
    }

    /// Sends to everybody who is left, and keeps the connection afterwards.
    async fn use_connection(&mut self, mut connection: Connection, origin: Origin) {
        let mut counted = false;
        let mut queue = self.pending();
        while connection.is_open() && !queue.is_empty() {
            let most = self.agent.config.max_recipients.max(1).min(queue.len());
            let rest = queue.split_off(most);
            let batch = std::mem::replace(&mut queue, rest);
            let results = connection
                .transact(self.transaction(&batch), &self.job.message)
                .await;
            // A kept connection that breaks before it took anything says
            // nothing about the host: it is dialled afresh.
            if origin == Origin::Pool && !connection.is_open() && nothing_was_said(&results) {
                return;
            }
            self.sessions += usize::from(!std::mem::replace(&mut counted, true));
            queue.extend(self.take_results(&batch, results, &connection));
        }
        self.agent.pool.park(&self.job.next_hop, connection);
    }

    fn transaction(&self, batch: &[usize]) -> Transaction {
        let recipients = batch.iter();
        Transaction {
            reverse_path: self.job.reverse_path.clone(),
            params: self.job.params.clone(),
            recipients: recipients
                .filter_map(|at| self.job.recipients.get(*at).cloned())
                .collect(),
            size: self.job.message.len(),
            needs: self.needs,
        }
    }

    /// Notes the results; returns who was put off only because the envelope
    /// was full, which happens only when somebody else was taken.
    fn take_results(
        &mut self,
        batch: &[usize],
        results: TransactionResult,
        connection: &Connection,
    ) -> Vec<usize> {
        let anyone_taken = results.iter().any(Result::is_ok);
        if anyone_taken {
            self.agent.served(&self.job.next_hop);
        }
        let mut again = Vec::new();
        for (at, result) in batch.iter().zip(results) {
            let (Some(outcome), Some(refusal)) =
                (self.outcomes.get_mut(*at), self.refusals.get_mut(*at))
            else {
                continue;
            };
            match result {
                Ok(reply) => {
                    *outcome = Some(Outcome::Relayed {
                        remote: connection.host.clone(),
                        reply: reply.to_status(),
                        notifies: connection.offers_dsn(),
                    });
                }
                Err(Unsent { mut failure, stage }) => {
                    failure.remote = Some(connection.host.clone());
                    let too_many = failure.reply_code == Some(ReplyCode::NO_STORAGE.number());
                    if too_many && anyone_taken && stage == Stage::Recipient {
                        // RFC 5321 section 4.5.3.1.10: not a refusal, only a
                        // full envelope.
                        again.push(*at);
                        *refusal = Some(failure);
                    } else if failure.status.is_transient() && stage < Stage::Content {
                        *refusal = Some(failure);
                    } else {
                        *outcome = Some(Outcome::from_failure(failure));
                    }
                }
            }
        }
        again
    }

    fn pending(&self) -> Vec<usize> {
        let outcomes = self.outcomes.iter().enumerate();
        outcomes
            .filter(|(_, outcome)| outcome.is_none())
            .map(|(at, _)| at)
            .collect()
    }

    fn is_done(&self) -> bool {
        self.outcomes.iter().all(Option::is_some)
    }

    /// What nobody took is told with the recipient's own refusal, else with
    /// what the hosts said. All hosts must have said "never" for that to be
    /// the word.
    fn finish(self) -> Vec<Outcome> {
        let transient = self.host_failures.iter().rev();
        let host_failure = transient
            .clone()
            .find(|failure| failure.status.is_transient())
            .or(self.host_failures.last())
            .cloned()
            .unwrap_or_else(|| Failure::local(Status::transient(4, 1, "no host could be reached")));
        let both = self.outcomes.into_iter().zip(self.refusals);
        both.map(|(outcome, refusal)| {
            outcome.unwrap_or_else(|| {
                Outcome::from_failure(refusal.unwrap_or_else(|| host_failure.clone()))
            })
        })
        .collect()
    }
}

/// Where a connection came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    Pool,
    Fresh,
}

fn nothing_was_said(results: &TransactionResult) -> bool {
    results
        .iter()
        .all(|result| matches!(result, Err(unsent) if unsent.stage <= Stage::Mail))
}

fn said_by(target: &Target, failure: Failure) -> Failure {
    Failure {
        remote: Some(target.host.clone()),
        ..failure
    }
}

/// What the octets need. The first 64 kB are looked at: enough for any header
/// and most messages; the rest of a longer one is what MAIL's BODY says, and
/// unknown where it says nothing.
async fn needs(job: &DeliveryJob) -> ContentNeeds {
    let start = job.message.read(0..READ_CHUNK as u64).await;
    let start = start.unwrap_or_default();
    let header = memmem::find(&start, b"\r\n\r\n").unwrap_or(start.len());
    let whole = start.len() as u64 >= job.message.len();
    ContentNeeds {
        eight_bit: match job.params.body {
            _ if !start.is_ascii() => EightBit::Yes,
            _ if whole => EightBit::No,
            BodyType::SevenBit => EightBit::Perhaps,
            _ => EightBit::Yes,
        },
        utf8_header: !start.get(..header).unwrap_or_default().is_ascii(),
    }
}
