//! [`FailureReports`]: tells a domain of single messages that failed (RFC 7489
//! section 7.3, RFC 6591).
//!
//! A report tells a domain's owner what strangers write to people here. So it holds
//! a few fields of the header and nothing of the text, and of recipients their
//! domains alone.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mailcore::address::{Domain, ReversePath};
use mailcore::message::{DateTime, Header, HeaderWriter, parse_addresses};
use mailcore::seams::{Clock, IncomingMail, Resolver};
use mailcore::time::Monotonic;
use tokio::sync::Semaphore;

use super::aggregate::{Proof, Row};
use super::compose::{Draft, Part, Submitter, envelope};
use super::destination::Destinations;
use super::reporter::Post;
use crate::sender_auth::dmarc::{DmarcPolicy, FailureOption};
use crate::sender_auth::outcome::SenderAuthentication;

/// Reports about one domain in one hour, and about all, unless set otherwise.
const MOST_OF_ONE: u32 = 10;
const MOST_OF_ALL: u32 = 200;
const HOUR: Duration = Duration::from_secs(3_600);
/// Domains of which is known how many reports there were.
const MOST_DOMAINS: usize = 10_000;
/// Reports made at a time; while so many wait for DNS, others are left out.
const AT_ONCE: usize = 8;
/// Octets of a header that are looked at.
const HEADER: u64 = 64 * 1024;
/// Recipients told of in one field.
const MOST_RECIPIENTS: usize = 20;
/// The fields that are told, as they are.
const TOLD: [&str; 8] = [
    "From",
    "Sender",
    "Reply-To",
    "Subject",
    "Date",
    "Message-ID",
    "MIME-Version",
    "Content-Type",
];

/// Sends failure reports.
#[derive(Debug)]
pub struct FailureReports {
    destinations: Destinations,
    resolver: Arc<dyn Resolver>,
    submitter: Submitter,
    post: Arc<dyn Post>,
    clock: Arc<dyn Clock>,
    most_of_one: u32,
    sent: Mutex<Sent>,
    places: Arc<Semaphore>,
}

#[derive(Debug, Default)]
struct Sent {
    since: Option<Monotonic>,
    all: u32,
    of: HashMap<Domain, u32>,
}

/// A message that failed.
#[derive(Debug)]
pub(super) struct Failure {
    about: Domain,
    uris: Vec<String>,
    options: Vec<FailureOption>,
    header_from: String,
    spf: Option<(String, String, ReversePath)>,
    row: Row,
    client: std::net::IpAddr,
}

impl Failure {
    pub(super) fn new(about: &Domain, found: &SenderAuthentication, row: &Row) -> Self {
        let record = found
            .dmarc
            .as_ref()
            .and_then(|it| it.report.record.as_ref());
        let spf = found.spf.as_ref().map(|spf| {
            let result = spf.report.result.as_str().to_owned();
            (spf.report.domain.clone(), result, spf.reverse_path.clone())
        });
        Self {
            about: about.clone(),
            uris: record
                .map(|it| it.failure_reports.clone())
                .unwrap_or_default(),
            options: record
                .map(|it| it.failure_options.clone())
                .unwrap_or_default(),
            header_from: row.header_from.clone(),
            spf,
            row: row.clone(),
            client: row.source,
        }
    }

    /// Whether the domain wants to hear of it (RFC 7489 section 6.3, `fo`).
    fn is_wanted(&self) -> bool {
        let row = &self.row;
        !self.uris.is_empty()
            && self.options.iter().any(|option| match option {
                FailureOption::Nothing => !row.passed(),
                FailureOption::Something => row.dkim == Proof::Fail || row.spf == Proof::Fail,
                FailureOption::Signature => row.signatures.iter().any(|it| it.result == "fail"),
                FailureOption::Host => {
                    let spf = self.spf.as_ref().map(|(_, result, _)| result.as_str());
                    matches!(spf, Some("fail" | "softfail"))
                }
            })
    }
}

impl FailureReports {
    /// Sends reports in the name of `submitter` by `post`: 10 an hour about one
    /// domain, 200 about all.
    pub fn new(
        (resolver, destinations): (Arc<dyn Resolver>, Destinations),
        submitter: Submitter,
        post: Arc<dyn Post>,
        clock: Arc<dyn Clock>,
    ) -> Arc<Self> {
        Arc::new(Self {
            destinations,
            resolver,
            submitter,
            post,
            clock,
            most_of_one: MOST_OF_ONE,
            sent: Mutex::default(),
            places: Arc::new(Semaphore::new(AT_ONCE)),
        })
    }

    /// Reports a message, if the domain wants it and has not had too many. The
    /// report is made beside: the session does not wait for DNS.
    pub(super) async fn offer(self: &Arc<Self>, failure: Failure, mail: &IncomingMail<'_>) {
        if !failure.is_wanted() || mail.envelope.reverse_path.is_null() {
            return;
        }
        let Ok(octets) = mail.message.read(0..HEADER).await else {
            return;
        };
        let header = Header::new(&octets);
        // Reports and notices about reports would never end.
        let is_automatic = |field: mailcore::message::Field<'_>| {
            !field.value().trim_ascii().eq_ignore_ascii_case(b"no")
        };
        if header.first("Auto-Submitted").is_some_and(is_automatic) {
            return;
        }
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            return;
        };
        if !self.may_tell(&failure.about) {
            return;
        }
        let header = redacted(&header);
        let reports = Arc::clone(self);
        tokio::spawn(async move {
            reports.send(&failure, &header).await;
            drop(place);
        });
    }

    async fn send(&self, failure: &Failure, header: &[u8]) {
        let about = &failure.about;
        let (to, _) = self.destinations.of(about, &failure.uris).await;
        let (at, own) = (self.clock.now(), self.submitter.domain());
        let told = self.feedback(failure).await;
        for (place, destination) in to.iter().enumerate() {
            let mail = Draft {
                submitter: &self.submitter,
                to: &destination.address,
                subject: &format!("DMARC failure report about {}", failure.header_from),
                id: &format!("f{}.{place}.{about}@{own}", at.millis()),
                at,
                kind: "multipart/report; report-type=feedback-report",
                text: &format!(
                    "This is a report about one message that named {} as its author\n\
                     and came to {own} from {}.\nIt was not proven to be from there.\n",
                    failure.header_from, failure.client,
                ),
                parts: &[
                    Part {
                        media_type: "message/feedback-report",
                        name: "",
                        octets: told.as_bytes(),
                    },
                    Part {
                        media_type: "text/rfc822-headers",
                        name: "",
                        octets: header,
                    },
                ],
            };
            let envelope = envelope(&self.submitter, &destination.address);
            if let Err(error) = self.post.post(envelope, mail.finish()).await {
                tracing::info!(%about, error, "a DMARC failure report is not sent");
            }
        }
    }

    /// RFC 6591 section 3.1, RFC 7489 section 7.3.1.
    async fn feedback(&self, failure: &Failure) -> String {
        let row = &failure.row;
        let mut header = HeaderWriter::new();
        let version = concat!("mailcore/", env!("CARGO_PKG_VERSION"));
        header
            .structured("Feedback-Type", "auth-failure")
            .structured("User-Agent", version)
            .structured("Version", "1")
            .structured("Auth-Failure", "dmarc")
            .structured("Identity-Alignment", alignment(row))
            .structured("Delivery-Result", delivery(row.disposition))
            .structured("Reported-Domain", &failure.header_from)
            .structured("Source-IP", failure.client)
            .structured("Arrival-Date", DateTime::utc(self.clock.now()))
            .structured(
                "Authentication-Results",
                format_args!(
                    "{}; dmarc=fail header.from={}",
                    self.submitter.domain(),
                    failure.header_from
                ),
            );
        if let Some(signature) = row.signatures.first() {
            header
                .structured("DKIM-Domain", &signature.domain)
                .structured("DKIM-Selector", &signature.selector)
                .structured("DKIM-Identity", format_args!("@{}", signature.domain));
        }
        if let Some((domain, _, reverse_path)) = &failure.spf {
            header.structured("Original-Mail-From", format_args!("<{reverse_path}>"));
            if let Some(record) = self.spf_record(domain).await {
                header.structured("SPF-DNS", format_args!("txt : {domain} : \"{record}\""));
            }
        }
        String::from_utf8_lossy(&header.finish()).into_owned()
    }

    async fn spf_record(&self, domain: &str) -> Option<String> {
        let found = self
            .resolver
            .txt(&Domain::for_lookup(domain).ok()?)
            .await
            .ok()?;
        let records = found.records.iter().map(|txt| String::from_utf8_lossy(txt));
        let mut spf = records.filter(|txt| txt.starts_with("v=spf1"));
        let plain = |c: &char| matches!(c, ' '..='~') && !matches!(c, '"' | '\\');
        Some(spf.next()?.chars().filter(plain).take(450).collect())
    }

    /// Counts a report; false when there were too many this hour.
    fn may_tell(&self, about: &Domain) -> bool {
        let now = self.clock.monotonic();
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        if sent.since.is_none_or(|since| now.since(since) >= HOUR) {
            *sent = Sent {
                since: Some(now),
                ..Sent::default()
            };
        }
        if sent.all >= MOST_OF_ALL || sent.of.len() >= MOST_DOMAINS {
            return false;
        }
        let of_one = sent.of.entry(about.clone()).or_default();
        if *of_one >= self.most_of_one {
            return false;
        }
        *of_one += 1;
        sent.all += 1;
        true
    }
}

fn alignment(row: &Row) -> &'static str {
    match (row.dkim, row.spf) {
        (Proof::Pass, Proof::Pass) => "dkim, spf",
        (Proof::Pass, Proof::Fail) => "dkim",
        (Proof::Fail, Proof::Pass) => "spf",
        (Proof::Fail, Proof::Fail) => "none",
    }
}

fn delivery(disposition: DmarcPolicy) -> &'static str {
    match disposition {
        DmarcPolicy::None => "delivered",
        DmarcPolicy::Quarantine => "spam",
        DmarcPolicy::Reject => "reject",
    }
}

/// The fields that are told, recipients without their names (RFC 6590).
fn redacted(header: &Header<'_>) -> Vec<u8> {
    let mut out = HeaderWriter::new();
    for name in TOLD {
        if let Some(field) = header.first(name) {
            let value: String = String::from_utf8_lossy(&field.value())
                .chars()
                .take(900)
                .collect();
            out.structured(name, value.trim());
        }
    }
    for name in ["To", "Cc"] {
        let mut hidden = String::new();
        for field in header.all(name).take(1) {
            for address in parse_addresses(&field.value(), MOST_RECIPIENTS) {
                let address = address.mailbox().map(|it| it.address()).unwrap_or_default();
                let address = String::from_utf8_lossy(&address).into_owned();
                if let Some((_, domain)) = address.rsplit_once('@') {
                    let comma = if hidden.is_empty() { "" } else { ", " };
                    let _ = write!(hidden, "{comma}redacted@{domain}");
                }
            }
        }
        if !hidden.is_empty() {
            out.structured(name, hidden);
        }
    }
    out.finish()
}
