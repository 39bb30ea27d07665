//! DMARC reports, put together from the configuration: what counts mail for them,
//! what takes those of others in, and the way out for ours.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use mailcore::address::Address;
use mailcore::envelope::Envelope;
use mailcore::seams::{Clock, Directory, Filter, Resolver, State, SystemClock};
use mailcore::server::RunningServer;
use mailcore_filter::sender_auth::dmarc::Dmarc;
use mailcore_filter::sender_auth::reports::reporter::{Sending, Sent};
use mailcore_filter::sender_auth::reports::tally::Until;
use mailcore_filter::sender_auth::reports::{
    Collector, Destinations, FailureReports, Observer, Post, Received, Reporter, Submitter, Tally,
};
use tokio::sync::{mpsc, oneshot};

use crate::config::Config;

/// Letters that wait for the server.
const WAITING: usize = 16;

/// A message of the server's own, and where the answer goes.
pub(crate) struct Letter {
    envelope: Envelope,
    message: Vec<u8>,
    answer: oneshot::Sender<Result<(), String>>,
}

/// Hands mail to the server that runs, whatever a reload has made of it.
#[derive(Clone)]
pub(crate) struct PostBox(mpsc::Sender<Letter>);

impl fmt::Debug for PostBox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PostBox")
    }
}

impl PostBox {
    /// A box, and where its letters come out.
    pub(crate) fn new() -> (Self, mpsc::Receiver<Letter>) {
        let (sender, receiver) = mpsc::channel(WAITING);
        (Self(sender), receiver)
    }
}

#[async_trait]
impl Post for PostBox {
    async fn post(&self, envelope: Envelope, message: Vec<u8>) -> Result<(), String> {
        let (answer, answered) = oneshot::channel();
        let letter = Letter {
            envelope,
            message,
            answer,
        };
        let gone = |()| "no server runs here to send it".to_owned();
        self.0.send(letter).await.map_err(|_| gone(()))?;
        answered.await.map_err(|_| gone(()))?
    }
}

/// Takes letters to the queue, one by one; never ends.
pub(crate) async fn carry(running: &RunningServer, mut letters: mpsc::Receiver<Letter>) {
    while let Some(letter) = letters.recv().await {
        let sent = running.submit(letter.envelope, letter.message).await;
        let sent = sent.map(drop).map_err(|error| error.to_string());
        // Whoever asked may be gone; the mail goes its way.
        let _ = letter.answer.send(sent);
    }
    std::future::pending().await
}

/// What stays through reloads: the counts, and what others reported.
#[derive(Debug)]
pub(crate) struct DmarcReports {
    state: Arc<dyn State>,
    tally: Arc<Tally>,
    post: PostBox,
    /// As the configuration in force has it.
    reporter: Mutex<Option<Arc<Reporter>>>,
}

impl DmarcReports {
    /// Counts kept in `state`, reports sent by `post`.
    pub(crate) fn new(state: &Arc<dyn State>, post: PostBox) -> Arc<Self> {
        let state = Arc::clone(state);
        Arc::new(Self {
            tally: Tally::new(Arc::clone(&state), clock()),
            state,
            post,
            reporter: Mutex::default(),
        })
    }

    /// The filters that a configuration asks for, to be asked after all others.
    pub(crate) fn filters(
        &self,
        config: &Config,
        resolver: &Arc<dyn Resolver>,
        directory: &Arc<dyn Directory>,
    ) -> Vec<Arc<dyn Filter>> {
        let settings = &config.filter.dmarc_reports;
        self.configure(config, resolver);
        let mut filters: Vec<Arc<dyn Filter>> = Vec::new();
        if !settings.receive.is_empty() {
            let collector = Collector::new(self.received(config), settings.receive.clone())
                .domains(settings.domains.iter().cloned())
                .directory(Arc::clone(directory));
            filters.push(Arc::new(collector));
        }
        if settings.on || settings.failures {
            let mut observer = Observer::new().pass_over(settings.receive.iter().cloned());
            if settings.on {
                observer = observer.tally(Arc::clone(&self.tally));
            }
            if settings.failures
                && let Some(submitter) = submitter(config)
            {
                observer = observer.failures(FailureReports::new(
                    (Arc::clone(resolver), destinations(resolver)),
                    submitter,
                    Arc::new(self.post.clone()),
                    clock(),
                ));
            }
            filters.push(Arc::new(observer));
        }
        filters
    }

    /// Reports go out as this configuration says.
    pub(crate) fn configure(&self, config: &Config, resolver: &Arc<dyn Resolver>) {
        let submitter = submitter(config).filter(|_| config.filter.dmarc_reports.on);
        let reporter = submitter.map(|submitter| {
            let tally = Arc::clone(&self.tally);
            let destinations = destinations(resolver);
            Arc::new(Reporter::new(tally, destinations, submitter, clock()))
        });
        *(self.reporter.lock()).unwrap_or_else(PoisonError::into_inner) = reporter;
    }

    /// Whether mail is counted for reports of ours.
    pub(crate) fn is_on(&self) -> bool {
        let reporter = self.reporter.lock();
        reporter.unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Sends what was counted.
    pub(crate) async fn send(&self, until: Until, sending: Sending) -> Result<Vec<Sent>, String> {
        let reporter = (self.reporter.lock())
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let reporter = reporter
            .ok_or("nothing is counted for reports: set on = true in [filter.dmarc_reports]")?;
        let sent = reporter.send(until, sending, &self.post).await;
        sent.map_err(|error| error.to_string())
    }

    /// Reports of others.
    pub(crate) fn received(&self, config: &Config) -> Received {
        let received = Received::new(Arc::clone(&self.state), clock());
        match config.filter.dmarc_reports.keep {
            Some(time) => received.keep_for(time),
            None => received,
        }
    }

    /// Those of others, to be read alone.
    pub(crate) fn kept(&self) -> Received {
        Received::new(Arc::clone(&self.state), clock())
    }

    /// Writes the counts that wait in memory.
    pub(crate) async fn flush(&self) {
        if let Err(error) = self.tally.flush().await {
            tracing::warn!(%error, "the last counts for DMARC reports can't be kept");
        }
    }
}

/// How many seconds after its time the daily job may begin, so that not all
/// servers of the world report at once.
pub(crate) const SPREAD: Duration = Duration::from_secs(1_800);

fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock::new())
}

fn destinations(resolver: &Arc<dyn Resolver>) -> Destinations {
    let dmarc = Dmarc::new(Arc::clone(resolver), clock());
    Destinations::new(Arc::clone(resolver), dmarc)
}

fn submitter(config: &Config) -> Option<Submitter> {
    let settings = &config.filter.dmarc_reports;
    let own = || Address::new("dmarc-reports", config.hostname.clone()).ok();
    let mut submitter = Submitter::new(settings.from.clone().or_else(own)?);
    if let Some(organization) = &settings.organization {
        submitter.organization.clone_from(organization);
    }
    if let Some(contact) = &settings.contact {
        submitter.contact.clone_from(contact);
    }
    Some(submitter)
}

/// One line for each report that was sent, or would be.
pub(crate) fn told(sent: &[Sent], sending: Sending) -> Vec<String> {
    let verb = match sending {
        Sending::Real => "sent to",
        Sending::Dry => "would be sent to",
    };
    let mut lines = Vec::new();
    for one in sent {
        let to = match one.to.is_empty() {
            true => "nobody".to_owned(),
            false => one.to.join(", "),
        };
        let (domain, messages, rows) = (&one.domain, one.messages, one.rows);
        lines.push(format!(
            "{domain}: {messages} messages in {rows} rows {verb} {to}"
        ));
        lines.extend(one.problems.iter().map(|problem| format!("  {problem}")));
        if let Some(report) = &one.report {
            lines.extend(report.to_xml().lines().map(|line| format!("  {line}")));
        }
    }
    if lines.is_empty() {
        lines.push("nothing was counted that is not told yet".to_owned());
    }
    lines
}
