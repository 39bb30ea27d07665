//! [`Collector`]: takes reports out of mail that comes to the address for them.
//! The mail is delivered all the same.

use std::sync::Arc;

use async_trait::async_trait;
use mailcore::address::{Address, Domain};
use mailcore::message::{Message, READ_CHUNK, Readable, Summary};
use mailcore::plan::{Disposition, Plan};
use mailcore::seams::{Directory, Filter, FilterSession, IncomingMail};
use tokio::sync::Semaphore;

use super::aggregate::{AggregateReport, SIZE};
use super::received::{Kept, Received};
use super::unpack::unpack;
use crate::sender_auth::dmarc::DmarcResult;
use crate::sender_auth::outcome::DmarcOutcome;

/// Reports read at a time: each may hold some 30 MB while it is.
const AT_ONCE: usize = 2;
/// Octets of a mail that is read: a report of the largest size, in base64.
const MAIL: u64 = SIZE as u64 * 3 / 2;
/// Attachments of one mail that are looked at.
const MOST_FILES: usize = 8;

/// Takes reports out of mail.
#[derive(Debug)]
pub struct Collector {
    received: Received,
    addresses: Vec<Address>,
    domains: Vec<Domain>,
    directory: Option<Arc<dyn Directory>>,
    places: Semaphore,
}

impl Collector {
    /// Mail to `addresses` is looked at.
    pub fn new(received: Received, addresses: impl IntoIterator<Item = Address>) -> Self {
        let addresses = addresses.into_iter();
        Self {
            received,
            addresses: addresses.map(|address| address.folded()).collect(),
            domains: Vec::new(),
            directory: None,
            places: Semaphore::new(AT_ONCE),
        }
    }

    /// Reports about these domains are kept, and about names below them.
    #[must_use]
    pub fn domains(mut self, domains: impl IntoIterator<Item = Domain>) -> Self {
        self.domains.extend(domains);
        self
    }

    /// Reports about the domains of this directory are kept, too.
    #[must_use]
    pub fn directory(mut self, directory: Arc<dyn Directory>) -> Self {
        self.directory = Some(directory);
        self
    }

    async fn collect(&self, message: &Message) {
        let Ok(_place) = self.places.acquire().await else {
            return;
        };
        let Some(octets) = whole(message).await else {
            tracing::warn!("a mail with a DMARC report can't be read, or is too long");
            return;
        };
        // Unpacking takes long for the loop that serves sessions.
        let reports = tokio::task::spawn_blocking(move || reports(&octets)).await;
        for report in reports.unwrap_or_default() {
            match report {
                Ok(report) => self.keep(report).await,
                Err(error) => tracing::warn!(error, "a DMARC report can't be read"),
            }
        }
    }

    async fn keep(&self, report: AggregateReport) {
        let (organization, about) = (report.organization.clone(), report.policy.domain.clone());
        if !self.is_ours(&about).await {
            tracing::info!(organization, about, "a DMARC report is about nobody here");
            return;
        }
        let messages = report.messages();
        match self.received.keep(report).await {
            Ok(Kept::New) => {
                tracing::info!(organization, about, messages, "a DMARC report is kept");
            }
            Ok(Kept::Known) => tracing::debug!(organization, about, "a DMARC report is known"),
            Ok(Kept::LeftOut) => tracing::warn!(about, "too many DMARC reports came today"),
            Err(error) => tracing::warn!(%error, about, "a DMARC report can't be kept"),
        }
    }

    async fn is_ours(&self, about: &str) -> bool {
        let within = |domain: &Domain| {
            let above = about.strip_suffix(domain.as_str());
            above.is_some_and(|above| above.is_empty() || above.ends_with('.'))
        };
        if self.domains.iter().any(within) {
            return true;
        }
        let Some(directory) = &self.directory else {
            return false;
        };
        let known = directory.domains().await.unwrap_or_default();
        let mut known = known.iter().map(|record| &record.domain);
        // A record above a domain of ours holds for it.
        known.any(|ours| within(ours) || ours.as_str().ends_with(&format!(".{about}")))
    }
}

#[async_trait]
impl Filter for Collector {
    fn name(&self) -> &str {
        "dmarc-collector"
    }

    async fn message(&self, session: &FilterSession, mail: &IncomingMail<'_>, plan: &mut Plan) {
        let recipients = mail.envelope.recipients.iter().zip(&plan.recipients);
        let mut taken = recipients.filter(|(_, copy)| {
            matches!(
                copy.disposition,
                Disposition::Accept | Disposition::Discard | Disposition::Quarantine(_)
            )
        });
        if !taken.any(|(to, _)| self.addresses.contains(&to.address.folded())) {
            return;
        }
        // Reports themselves are to pass (RFC 9990 section 3.5.2): what does not
        // may be anybody's words.
        let dmarc = session.memory.get::<DmarcOutcome>();
        if dmarc.is_some_and(|dmarc| dmarc.report.result == DmarcResult::Fail) {
            tracing::info!("a DMARC report is not from whom it says, and is not counted");
            return;
        }
        self.collect(mail.message).await;
    }
}

async fn whole(message: &Message) -> Option<Vec<u8>> {
    if message.len() > MAIL {
        return None;
    }
    let mut octets = Vec::new();
    while (octets.len() as u64) < message.len() {
        let at = octets.len() as u64;
        let piece = message.read(at..at + READ_CHUNK as u64).await.ok()?;
        if piece.is_empty() {
            return None;
        }
        octets.extend_from_slice(&piece);
    }
    Some(octets)
}

/// The reports in a mail, and in words what is wrong with others.
pub fn reports(mail: &[u8]) -> Vec<Result<AggregateReport, String>> {
    let readable = Readable::new(mail, &Summary::scan(mail));
    let mut found = Vec::new();
    for file in readable.attachments.into_iter().take(MOST_FILES) {
        let is = |words: &[&str]| words.iter().any(|word| file.media_type.contains(word));
        let name = file.name.to_lowercase();
        let named = [".gz", ".zip", ".xml"]
            .iter()
            .any(|end| name.ends_with(end));
        if !named && !is(&["zip", "xml", "octet-stream"]) {
            continue;
        }
        match unpack(&file.octets) {
            Ok(files) => found.extend(files.iter().map(|xml| {
                AggregateReport::parse(xml).map_err(|error| format!("{}: {error}", file.name))
            })),
            Err(error) => found.push(Err(format!("{}: {error}", file.name))),
        }
    }
    found
}
