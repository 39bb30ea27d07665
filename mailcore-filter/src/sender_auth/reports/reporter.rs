//! [`Reporter`]: sends what was counted to those who asked for it.

use std::fmt;
use std::io::Write;
use std::sync::Arc;

use async_trait::async_trait;
use flate2::Compression;
use flate2::write::GzEncoder;
use mailcore::address::Domain;
use mailcore::envelope::Envelope;
use mailcore::seams::{Clock, StoreError};
use tokio::sync::Mutex;

use super::aggregate::{AggregateReport, PublishedPolicy};
use super::compose::{Draft, Part, Submitter, envelope};
use super::destination::{Destination, DestinationError, Destinations};
use super::tally::{Counted, Tally, Until};
use crate::sender_auth::dmarc::DmarcPolicy;

/// Where mail of the server's own goes in.
#[async_trait]
pub trait Post: fmt::Debug + Send + Sync {
    /// Takes a message into the queue.
    ///
    /// # Errors
    /// In words why it is not taken.
    async fn post(&self, envelope: Envelope, message: Vec<u8>) -> Result<(), String>;
}

/// What is done with reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sending {
    /// They are sent, and what they tell is not told again.
    Real,
    /// It is only said what would be.
    Dry,
}

/// Sends reports.
#[derive(Debug)]
pub struct Reporter {
    tally: Arc<Tally>,
    destinations: Destinations,
    submitter: Submitter,
    clock: Arc<dyn Clock>,
    /// One at a time: two would tell the same.
    turn: Mutex<()>,
}

/// One report, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sent {
    /// The domain that it is about.
    pub domain: Domain,
    /// Its messages.
    pub messages: u64,
    /// Its kinds of messages.
    pub rows: usize,
    /// To whom it was sent.
    pub to: Vec<String>,
    /// To whom not, and why.
    pub problems: Vec<String>,
    /// The report, of a dry run alone.
    pub report: Option<AggregateReport>,
}

impl Reporter {
    /// Sends what `tally` counted, in the name of `submitter`.
    pub fn new(
        tally: Arc<Tally>,
        destinations: Destinations,
        submitter: Submitter,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            tally,
            destinations,
            submitter,
            clock,
            turn: Mutex::default(),
        }
    }

    /// Sends a report about each domain of which something was counted. One whose
    /// mail is not taken, or about whose address DNS does not answer, is sent the
    /// next time.
    ///
    /// # Errors
    /// What the store says; reports before it are sent.
    pub async fn send(
        &self,
        until: Until,
        sending: Sending,
        post: &dyn Post,
    ) -> Result<Vec<Sent>, StoreError> {
        let _turn = self.turn.lock().await;
        let mut all = Vec::new();
        for (day, domain) in self.tally.domains(until).await? {
            let Some(counted) = self.tally.read(day, &domain).await? else {
                continue;
            };
            let uris = &counted.record.aggregate_reports;
            let (to, errors) = self.destinations.of(&domain, uris).await;
            let open = |error: &DestinationError| matches!(error, DestinationError::Unanswered(_));
            let mut later = errors.iter().any(open) && to.is_empty();
            let report = self.report(&counted);
            let mut sent = Sent {
                domain,
                messages: report.messages(),
                rows: report.rows.len(),
                to: Vec::new(),
                problems: errors.iter().map(ToString::to_string).collect(),
                report: None,
            };
            let mut taken = 0;
            for destination in &to {
                match self.send_one(&report, destination, (sending, post)).await {
                    Ok(()) => {
                        taken += 1;
                        sent.to.push(destination.address.to_string());
                    }
                    Err(Unsent::Size) => sent.problems.push(format!(
                        "{} takes no report of this size",
                        destination.address
                    )),
                    Err(Unsent::Post(error)) => {
                        later = true;
                        let address = &destination.address;
                        sent.problems.push(format!("{address}: {error}"));
                    }
                }
            }
            match sending {
                Sending::Dry => sent.report = Some(report),
                // Whoever got it does not get it twice for the sake of others.
                Sending::Real if taken > 0 || !later => self.tally.settle(&counted).await?,
                Sending::Real => {}
            }
            all.push(sent);
        }
        Ok(all)
    }

    fn report(&self, counted: &Counted) -> AggregateReport {
        let record = &counted.record;
        let subdomains = record.subdomains.unwrap_or(record.policy);
        let options: Vec<_> = (record.failure_options.iter())
            .map(|option| option.as_str())
            .collect();
        let policy = PublishedPolicy {
            domain: counted.domain.to_string(),
            policy: record.policy,
            subdomains,
            nonexistent: record.nonexistent.unwrap_or(subdomains),
            dkim_alignment: record.dkim_alignment,
            spf_alignment: record.spf_alignment,
            is_testing: record.is_testing,
            failure_options: options.join(":"),
        };
        let own = self.submitter.domain();
        // The same when it must be sent again: who got it already can tell.
        let id = format!("{}.{}@{own}", counted.begin, counted.domain);
        let mut report = AggregateReport::new(&*self.submitter.organization, id, policy);
        report.email = self.submitter.from.to_string();
        report.contact.clone_from(&self.submitter.contact);
        (report.begin, report.end) = (counted.begin, counted.end);
        report.generator = concat!("mailcore ", env!("CARGO_PKG_VERSION")).to_owned();
        report.rows.clone_from(&counted.rows);
        if counted.left_out > 0 {
            report.errors.push(format!(
                "{} messages of too many kinds are not among the records",
                counted.left_out
            ));
        }
        report
    }

    async fn send_one(
        &self,
        report: &AggregateReport,
        destination: &Destination,
        (sending, post): (Sending, &dyn Post),
    ) -> Result<(), Unsent> {
        let mail = self.mail(report, destination).map_err(Unsent::Post)?;
        if !destination.takes(mail.len()) {
            return Err(Unsent::Size);
        }
        if sending == Sending::Dry {
            return Ok(());
        }
        let envelope = envelope(&self.submitter, &destination.address);
        post.post(envelope, mail).await.map_err(Unsent::Post)
    }

    /// RFC 7489 section 7.2.1.1, RFC 9990 section 3.5.2.
    fn mail(&self, report: &AggregateReport, to: &Destination) -> Result<Vec<u8>, String> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        let packed = encoder
            .write_all(report.to_xml().as_bytes())
            .and_then(|()| encoder.finish())
            .map_err(|error| error.to_string())?;
        let (about, own) = (&report.policy.domain, self.submitter.domain());
        let name = format!("{own}!{about}!{}!{}.xml.gz", report.begin, report.end);
        let words = |policy: DmarcPolicy| policy.as_str();
        Ok(Draft {
            submitter: &self.submitter,
            to: &to.address,
            subject: &format!(
                "Report Domain: {about} Submitter: {own} Report-ID: <{}>",
                report.id
            ),
            id: &report.id,
            at: self.clock.now(),
            kind: "multipart/mixed",
            text: &format!(
                "This is a DMARC aggregate report about mail that names {about} as its author.\n\
                 The policy there asks for \"{}\". {} messages came to {own}.\n",
                words(report.policy.policy),
                report.messages(),
            ),
            parts: &[Part {
                media_type: "application/gzip",
                name: &name,
                octets: &packed,
            }],
        }
        .finish())
    }
}

/// Why a mail was not sent.
enum Unsent {
    Size,
    Post(String),
}

#[cfg(test)]
mod tests {
    use mailcore::message::{Readable, Summary};
    use mailcore::seams::Resolver;
    use mailcore::testing::{FixedResolver, VirtualClock};

    use super::super::aggregate::Row;
    use super::super::fake::FakeState;
    use super::super::unpack::unpack;
    use super::*;
    use crate::sender_auth::dmarc::{Dmarc, DmarcRecord};

    #[derive(Debug, Default)]
    struct Outbox(
        std::sync::Mutex<Vec<(Envelope, Vec<u8>)>>,
        std::sync::Mutex<bool>,
    );

    #[async_trait]
    impl Post for Outbox {
        async fn post(&self, envelope: Envelope, message: Vec<u8>) -> Result<(), String> {
            if *self.1.lock().unwrap() {
                return Err("the queue is full".into());
            }
            self.0.lock().unwrap().push((envelope, message));
            Ok(())
        }
    }

    fn reporter(rua: &str) -> Reporter {
        let dns: Arc<dyn Resolver> = Arc::new(FixedResolver::new());
        let clock: Arc<dyn Clock> = Arc::new(VirtualClock::new());
        let tally = Tally::new(Arc::<FakeState>::default(), Arc::clone(&clock));
        let record = format!("v=DMARC1; p=reject; rua={rua}");
        let record = DmarcRecord::parse(record.as_bytes()).unwrap();
        let row = Row::new("192.0.2.1".parse().unwrap(), "a.test");
        tally.count(&"a.test".parse().unwrap(), &record, &row);
        let dmarc = Dmarc::new(Arc::clone(&dns), Arc::clone(&clock));
        let submitter = Submitter::new("dmarc@b.test".parse().unwrap());
        Reporter::new(tally, Destinations::new(dns, dmarc), submitter, clock)
    }

    #[tokio::test]
    async fn a_report_goes_out_once_in_the_form_that_is_asked_for() {
        let (post, reporter) = (
            Outbox::default(),
            reporter("mailto:r@a.test,mailto:s@a.test!1k"),
        );
        let dry = reporter
            .send(Until::Now, Sending::Dry, &post)
            .await
            .unwrap();
        assert!(dry[0].report.is_some() && post.0.lock().unwrap().is_empty());
        let sent = reporter
            .send(Until::Now, Sending::Real, &post)
            .await
            .unwrap();
        assert_eq!(
            (sent[0].to.clone(), sent[0].problems.len()),
            (vec!["r@a.test".into()], 1)
        );
        let again = reporter.send(Until::Now, Sending::Real, &post).await;
        assert_eq!(again.unwrap(), []);
        let mails = post.0.lock().unwrap();
        let [(envelope, mail)] = &mails[..] else {
            panic!()
        };
        assert_eq!(
            envelope.recipients[0].notify,
            mailcore::envelope::Notify::NEVER
        );
        let readable = Readable::new(mail, &Summary::scan(mail));
        let [file] = &readable.attachments[..] else {
            panic!("{readable:?}")
        };
        assert!(file.name.starts_with("b.test!a.test!") && file.name.ends_with(".xml.gz"));
        let xml = unpack(&file.octets).unwrap().remove(0);
        let report = AggregateReport::parse(&xml).unwrap();
        assert_eq!(
            (report.messages(), report.organization.as_str()),
            (1, "b.test")
        );
        let head = String::from_utf8_lossy(mail).replace("\r\n ", " ");
        let subject = format!(
            "Subject: Report Domain: a.test Submitter: b.test Report-ID: <{}>\r\n",
            report.id
        );
        assert!(head.contains(&subject), "{head}");
    }

    #[tokio::test]
    async fn what_is_not_taken_is_sent_the_next_time_and_what_nobody_takes_is_forgotten() {
        let (post, first) = (Outbox::default(), reporter("mailto:r@a.test"));
        *post.1.lock().unwrap() = true;
        let sent = first.send(Until::Now, Sending::Real, &post).await.unwrap();
        assert!(sent[0].to.is_empty(), "{sent:?}");
        *post.1.lock().unwrap() = false;
        let sent = first.send(Until::Now, Sending::Real, &post).await.unwrap();
        assert_eq!(sent[0].to, ["r@a.test"]);
        let other = reporter("mailto:x@victim.test,https://a.test/");
        let sent = other.send(Until::Now, Sending::Real, &post).await.unwrap();
        assert_eq!((sent[0].to.len(), sent[0].problems.len()), (0, 2));
        let again = other.send(Until::Now, Sending::Real, &post).await;
        assert_eq!(again.unwrap(), []);
    }
}
