//! [`Delivery`]: one job on its way through hosts, connections and replies.

use bytes::Bytes;
use mailcore::address::Domain;
use mailcore::message::{Conversion, Goal};
use mailcore::seams::{BoxStream, DeliveryJob, LeavingMail};
use mailcore::status::{Failure, Outcome, Status};
use mailcore::wire::TlsInfo;

use super::config::TlsPolicy;
use super::connection::{Connection, within};
use super::downgrade::{Content, Form};
use super::error::SessionError;
use super::remote_agent::{RemoteAgent, Way, in_clear};
use super::secured;
use super::source::{self, Source};
use super::targets::Target;
use super::transaction::{OptionalParams, Stage, Transaction, TransactionResult, Unsent};
use crate::command::By;
use crate::extension::Extensions;
use crate::reply::ReplyCode;

/// Connections to one host for one job.
const MAX_CALLS: usize = 10;

/// A job with what is known of each recipient so far.
pub(super) struct Delivery<'a> {
    agent: &'a RemoteAgent,
    job: &'a DeliveryJob,
    way: Way,
    content: Content<'a>,
    /// One for each recipient; `None` while it may still be tried.
    outcomes: Vec<Option<Outcome>>,
    /// The latest refusal of each that may still be tried.
    refusals: Vec<Option<Failure>>,
    /// What hosts said that took no transaction at all.
    host_failures: Vec<Failure>,
    /// Sessions that got as far as a transaction.
    sessions: usize,
    /// Those of them whose host does not offer what the message needs.
    unfit: usize,
}

impl<'a> Delivery<'a> {
    pub(super) async fn new(agent: &'a RemoteAgent, job: &'a DeliveryJob) -> Self {
        Self {
            agent,
            job,
            way: Way::of(job),
            content: Content::inspect(&job.message).await,
            outcomes: vec![None; job.recipients.len()],
            refusals: vec![None; job.recipients.len()],
            host_failures: Vec::new(),
            sessions: 0,
            unfit: 0,
        }
    }

    pub(super) async fn run(mut self) -> Vec<Outcome> {
        // One that must be verified is asked for anew: how a kept one was
        // secured is not known here.
        while !self.job.params.require_tls
            && let Some(mut connection) = self.agent.pool.take(&self.way).await
        {
            connection.record(self.job.transcript.clone());
            let host = connection.host.clone();
            let note = format!("the connection to {host} is used again");
            self.job.transcript.note(note);
            self.use_connection(connection, Origin::Pool).await;
            if self.is_done() {
                return self.finish();
            }
            if self.sessions > 0 {
                break;
            }
        }
        match self.agent.targets(&self.way).await {
            Ok(targets) => self.try_all(&targets).await,
            Err(failure) => {
                self.job.transcript.note(&failure.status);
                self.host_failures.push(failure);
            }
        }
        self.finish()
    }

    async fn try_all(&mut self, targets: &[Target]) {
        let most = targets.len().min(self.agent.config.max_addresses);
        for (at, target) in targets.iter().take(most).enumerate() {
            let wait = match at + 1 < most {
                true => Wait::UntilTheNext,
                false => Wait::Long,
            };
            self.try_one(target, wait).await;
            let refused = self.sessions.saturating_sub(self.unfit);
            if self.is_done() || refused >= self.agent.config.max_sessions {
                return;
            }
        }
    }

    /// Calls a host, and again as long as it takes only some messages over one
    /// connection (RFC 9422 section 4.1).
    async fn try_one(&mut self, target: &Target, wait: Wait) {
        for _ in 0..MAX_CALLS {
            let ended = match self.connect(target, wait).await {
                Ok(connection) => self.use_connection(connection, Origin::Fresh).await,
                Err(failure) => {
                    self.job.transcript.note(&failure.status);
                    return self.host_failures.push(failure);
                }
            };
            if ended == Ended::AllTried {
                return;
            }
        }
    }

    pub(super) async fn connect(&self, target: &Target, wait: Wait) -> Result<Connection, Failure> {
        let mut config = self.agent.session_config(&self.way, target);
        config.transcript = Some(self.job.transcript.clone());
        let secured = secured::plan(self.agent, target, self.job, config.tls).await;
        let secured = secured.map_err(|failure| said_by(target, failure))?;
        config.tls = secured.policy;
        let clock = &self.agent.seams.clock;
        loop {
            let stream = self.dial(target, wait).await?;
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
                    let note = format!("TLS failed ({error}), once more in clear");
                    self.job.transcript.note(note);
                    secured.failed(&SessionError::TlsFailed(error));
                    config = in_clear(config);
                }
                Err(error) => {
                    secured.failed(&error);
                    tracing::info!(host = %target.host, %error, "no session");
                    let failure = match error.denies_tls() {
                        true => secured::required(self.job, error.failure()),
                        false => error.failure(),
                    };
                    return Err(said_by(target, failure));
                }
            }
        }
    }

    async fn dial(&self, target: &Target, wait: Wait) -> Result<BoxStream, Failure> {
        let Target { host, address, .. } = target;
        let seams = &self.agent.seams;
        let note = format!("connecting to {host} [{}]:{}", address.ip(), address.port());
        self.job.transcript.note(note);
        let dial = async {
            match self.agent.source(&self.way, target) {
                Some(source) => seams.dialer.connect_from(source.ip, *address).await,
                None => seams.dialer.connect(*address).await,
            }
        };
        let timeouts = &self.agent.config.timeouts;
        let time = match wait {
            Wait::Long => timeouts.connect,
            Wait::UntilTheNext => timeouts.connect.min(timeouts.connect_early),
        };
        let text = match within(seams.clock.as_ref(), time, dial).await {
            Some(Ok(stream)) => return Ok(stream),
            Some(Err(error)) => error.to_string(),
            None => format!("{address}: no answer in time"),
        };
        Err(said_by(
            target,
            Failure::local(Status::transient(4, 1, text)),
        ))
    }

    /// Sends to everybody who is left, and keeps the connection afterwards.
    async fn use_connection(&mut self, mut connection: Connection, origin: Origin) -> Ended {
        let mut counted = false;
        let mut queue = self.pending();
        let mut optional = OptionalParams::Sent;
        while connection.is_open() && !queue.is_empty() {
            if counted && connection.is_spent() {
                break;
            }
            let most = self.fit(&queue, connection.extensions());
            let rest = queue.split_off(most);
            let batch = std::mem::replace(&mut queue, rest);
            let transaction = self.transaction(&batch, optional);
            let notifies = transaction.passes_duty_on(connection.extensions());
            let results = self.transact(&mut connection, transaction).await;
            let unfit = |result: &Result<_, Unsent>| matches!(result, Err(unsent) if unsent.stage == Stage::Before);
            self.unfit += usize::from(!counted && results.iter().all(unfit));
            // A kept connection that breaks before it took anything says
            // nothing about the host: it is dialled afresh.
            if origin == Origin::Pool && !connection.is_open() && nothing_was_said(&results) {
                return Ended::AllTried;
            }
            self.sessions += usize::from(!std::mem::replace(&mut counted, true));
            let sent = optional == OptionalParams::Sent;
            let said = Said {
                host: connection.host.clone(),
                tls: connection.tls().cloned(),
                notifies,
                may_repeat: sent && connection.is_open(),
            };
            let mut refusals = results.iter().filter_map(|result| result.as_ref().err());
            if refusals.any(is_about_params) {
                optional = OptionalParams::LeftOut;
            }
            queue.extend(self.take_results(&batch, results, &said));
        }
        let ended = match connection.is_spent() && !queue.is_empty() {
            true => Ended::Spent,
            false => Ended::AllTried,
        };
        self.agent.pool.park(&self.way, connection);
        ended
    }

    /// How many of the recipients fit one transaction (RFC 9422 sections 4.2
    /// and 4.3).
    fn fit(&self, queue: &[usize], offered: &Extensions) -> usize {
        let limit = |name| {
            let limit = offered.limit(name).filter(|limit| *limit > 0);
            limit.and_then(|limit| usize::try_from(limit).ok())
        };
        let most = self.agent.config.max_recipients.max(1);
        let most = most.min(limit("RCPTMAX").unwrap_or(most)).min(queue.len());
        let Some(most_domains) = limit("RCPTDOMAINMAX") else {
            return most;
        };
        let mut domains: Vec<&Domain> = Vec::new();
        let fits = queue.iter().take(most).take_while(|at| {
            let recipient = self.job.recipients.get(**at);
            if let Some(domain) = recipient.map(|recipient| recipient.address.domain())
                && !domains.contains(&domain)
            {
                domains.push(domain);
            }
            domains.len() <= most_domains
        });
        fits.count().max(1)
    }

    async fn transact(
        &self,
        connection: &mut Connection,
        mut transaction: Transaction,
    ) -> TransactionResult {
        match self.content.form(connection.extensions()).await {
            Err(status) => transaction.all_unsent(&status),
            Ok(Form { needs, conversion }) => {
                transaction.needs = needs;
                if conversion.is_some() {
                    self.job.transcript.note("the content is converted");
                }
                let lead = match self.sign(conversion.as_ref()).await {
                    Ok(lead) => lead,
                    Err(status) => return transaction.all_unsent(&status),
                };
                let as_it_is = transaction.size.filter(|_| conversion.is_none());
                transaction.size = as_it_is.map(|size| size + lead.len() as u64);
                let conversion = conversion.map(|(_, conversion)| conversion);
                let source = Source::new(self.content.message(), conversion);
                connection.transact(transaction, source.after(lead)).await
            }
        }
    }

    /// What goes before the message in the form in which it is about to be sent:
    /// nothing later may touch what is signed.
    async fn sign(&self, conversion: Option<&(Goal, Conversion)>) -> Result<Bytes, Status> {
        let Some(signer) = &self.agent.signer else {
            return Ok(Bytes::new());
        };
        let job = self.job;
        let mut mail = LeavingMail::new(job.trace, job.origin, &job.message);
        mail.reverse_path = &job.reverse_path;
        mail.conversion = conversion.map(|(goal, _)| *goal);
        let conversion = conversion.map(|(_, conversion)| conversion.clone());
        let source = Source::new(&job.message, conversion);
        let signed = signer.sign(&mail, &mut source::Unsent(Some(source))).await;
        signed.map_err(|error| {
            tracing::error!(%error, trace = %job.trace, "can't sign, tried again later");
            job.transcript.note("the message can't be signed now");
            Status::transient(7, 0, "the message can't be signed now")
        })
    }

    fn transaction(&self, batch: &[usize], optional: OptionalParams) -> Transaction {
        let recipients = batch.iter();
        Transaction {
            reverse_path: self.job.reverse_path.clone(),
            params: self.job.params.clone(),
            recipients: recipients
                .filter_map(|at| self.job.recipients.get(*at).cloned())
                .collect(),
            size: Some(self.job.message.len()),
            needs: Default::default(),
            by: self.job.params.deliver_by.map(|deliver_by| {
                let now = self.agent.seams.clock.now();
                By::remaining(deliver_by, now)
            }),
            optional,
        }
    }

    /// Notes the results; returns who was put off only because the envelope
    /// was full, which happens only when somebody else was taken.
    fn take_results(
        &mut self,
        batch: &[usize],
        results: TransactionResult,
        said: &Said,
    ) -> Vec<usize> {
        let anyone_taken = results.iter().any(Result::is_ok);
        if anyone_taken {
            self.agent.served(&self.way);
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
                        remote: said.host.clone(),
                        reply: reply.to_status(),
                        reply_code: reply.code().number(),
                        tls: said.tls.clone(),
                        notifies: said.notifies,
                    });
                }
                Err(unsent) if said.may_repeat && is_about_params(&unsent) => again.push(*at),
                Err(Unsent { mut failure, stage }) => {
                    failure.remote = Some(said.host.clone());
                    let full = [ReplyCode::NO_STORAGE, ReplyCode::EXCEEDED_STORAGE];
                    let mut full = full.iter().map(|code| code.number());
                    let too_many = full.any(|code| failure.reply_code == Some(code));
                    if too_many && anyone_taken && stage == Stage::Recipient {
                        // RFC 5321 section 4.5.3.1.10: not a refusal, only a
                        // full envelope; old hosts say 552 for it.
                        again.push(*at);
                        *refusal = Some(failure).filter(|known| known.status.is_transient());
                    } else if failure.status.is_transient() && stage < Stage::Content {
                        *refusal = Some(failure);
                    } else if stage == Stage::Before {
                        // What one host does not offer another may (RFC 8689
                        // section 4.2.1).
                        refusal.get_or_insert(failure);
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
        // A message that asks for more than others says nothing of them.
        let unreachable = self.sessions == 0
            && host_failure.status.is_transient()
            && !self.job.params.require_tls;
        if unreachable {
            self.agent.suspend(&self.way, &host_failure);
        }
        let both = self.outcomes.into_iter().zip(self.refusals);
        both.map(|(outcome, refusal)| match (outcome, refusal) {
            (Some(outcome), _) => outcome,
            (None, Some(refusal)) => Outcome::from_failure(refusal),
            (None, None) if unreachable => Outcome::Unreachable(host_failure.clone()),
            (None, None) => Outcome::from_failure(host_failure.clone()),
        })
        .collect()
    }
}

/// Who answered a transaction, and what that means.
struct Said {
    host: Domain,
    /// How the connection to it was secured.
    tls: Option<TlsInfo>,
    /// It sends notices itself.
    notifies: bool,
    /// It may be told less.
    may_repeat: bool,
}

/// Why a connection is not used on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    /// Everybody left was tried.
    AllTried,
    /// It takes no more messages, and somebody was not tried.
    Spent,
}

/// How long a connection is awaited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wait {
    /// There is no other address to try.
    Long,
    UntilTheNext,
}

/// Whether a host that offers an extension can't read its parameters (RFC 5321
/// section 4.1.1.11).
fn is_about_params(unsent: &Unsent) -> bool {
    let codes = [
        ReplyCode::BAD_ARGUMENTS,
        ReplyCode::PARAMETER_NOT_IMPLEMENTED,
        ReplyCode::UNKNOWN_PARAMETER,
    ];
    let code = unsent.failure.reply_code;
    let said = codes.iter().any(|known| code == Some(known.number()));
    said && matches!(unsent.stage, Stage::Mail | Stage::Recipient)
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
