//! Whether what is published is right: each record looked up and compared, the
//! server's own name and addresses among them.

use std::fmt::Display;
use std::net::IpAddr;
use std::sync::Arc;

use mailcore::address::Domain;
use mailcore::net::{NameFinding, check_own_name};
use mailcore::seams::{Clock, DnsError, Resolver, SystemClock};
use mailcore_filter::sender_auth::dmarc::DmarcRecord;
use mailcore_filter::sender_auth::dmarc::record::is_record;
use mailcore_filter::sender_auth::signing::{Published, key_published};
use mailcore_filter::sender_auth::spf::{Spf, SpfQuery, SpfResult};
use serde_json::json;

use super::records::{Record, Wanted};
use crate::config::Config;

/// Lookups without an answer after which DNS is asked no more.
const MOST_SILENT: usize = 2;
/// Addresses of this server that senders' policies are asked about.
const MOST_ADDRESSES: usize = 8;

/// What became of one record.
#[derive(Debug, Clone)]
pub(super) struct Finding {
    /// What it is about: a record's name and type.
    subject: String,
    state: State,
    /// What was found and what is to be done.
    advice: String,
}

/// How a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Ok,
    Missing,
    Different,
    Unknown,
}

impl State {
    fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Missing => "missing",
            Self::Different => "different",
            Self::Unknown => "unknown",
        }
    }
}

impl Finding {
    fn new(subject: impl Into<String>, state: State, advice: impl Into<String>) -> Self {
        Self {
            subject: subject.into(),
            state,
            advice: advice.into(),
        }
    }

    pub(super) fn is_ok(&self) -> bool {
        self.state == State::Ok
    }

    pub(super) fn row(&self) -> Vec<String> {
        let state = self.state.as_str().to_owned();
        vec![state, self.subject.clone(), self.advice.clone()]
    }

    pub(super) fn json(&self) -> String {
        json!({
            "record": self.subject,
            "state": self.state.as_str(),
            "advice": self.advice,
        })
        .to_string()
    }
}

/// Looks records up.
pub(super) struct Checker<'a> {
    config: &'a Config,
    resolver: Arc<dyn Resolver>,
    /// Where mail leaves from, as far as that is known.
    addresses: Vec<IpAddr>,
    silent: usize,
}

/// A state and what is to be said of it.
type Found = (State, String);

impl<'a> Checker<'a> {
    /// A checker, and what there is to say of the server's own name.
    pub(super) async fn new(
        config: &'a Config,
        resolver: Arc<dyn Resolver>,
    ) -> (Self, Vec<Finding>) {
        let own = resolver.addresses(&config.hostname).await;
        let subject = format!("name {}", config.hostname);
        let (mut silent, mut findings) = (0, Vec::new());
        match &own {
            // A resolver that says nothing now is asked no more.
            Err(error) if !matches!(error, DnsError::NotFound { .. }) => {
                silent = MOST_SILENT;
                findings.push(Finding::new(&subject, State::Unknown, error.to_string()));
            }
            _ => {
                for finding in check_own_name(&*resolver, &config.hostname, &[]).await {
                    let state = match finding {
                        NameFinding::Unknown { .. } => State::Unknown,
                        NameFinding::NoAddress { .. } | NameFinding::NoPtr { .. } => State::Missing,
                        _ => State::Different,
                    };
                    silent += usize::from(state == State::Unknown);
                    findings.push(Finding::new(&subject, state, finding.to_string()));
                }
            }
        }
        if findings.is_empty() {
            findings.push(Finding::new(subject, State::Ok, "leads here and back"));
        }
        let sources = config.outgoing.sources.iter().map(|source| source.ip);
        let mut addresses: Vec<IpAddr> = sources.collect();
        if addresses.is_empty() {
            addresses = own.map(|found| found.records).unwrap_or_default();
        }
        addresses.truncate(MOST_ADDRESSES);
        let checker = Self {
            config,
            resolver,
            addresses,
            silent,
        };
        (checker, findings)
    }

    /// What became of a domain's records.
    pub(super) async fn domain(&mut self, domain: &Domain, records: &[Record]) -> Vec<Finding> {
        let mut findings = Vec::new();
        for record in records {
            let (state, advice) = self.record(domain, record).await;
            let kind = record.line.split(' ').nth(3).unwrap_or_default();
            let subject = format!("{kind} {}", record.name);
            let advice = match state {
                State::Missing | State::Different if advice.is_empty() => {
                    format!("publish: {}", record.line)
                }
                State::Missing | State::Different => format!("{advice}; publish: {}", record.line),
                _ => advice,
            };
            findings.push(Finding::new(subject, state, advice));
        }
        let signs = records
            .iter()
            .any(|it| matches!(it.wanted, Wanted::Dkim { .. }));
        if !signs && self.config.filter.signing.on {
            let advice = format!("mail of {domain} is not signed; `mailserver dkim add {domain}`");
            findings.push(Finding::new(
                format!("TXT _domainkey.{domain}"),
                State::Missing,
                advice,
            ));
        }
        findings
    }

    /// What became of the keys of the hosts' certificates, by their lines. A
    /// zone that is not signed needs none.
    pub(super) async fn keys(&mut self, lines: &[String]) -> Vec<Finding> {
        let mut findings: Vec<Finding> = Vec::new();
        let mut wanted: Vec<(&str, Vec<String>)> = Vec::new();
        for line in lines.iter().filter(|line| !line.starts_with(';')) {
            let mut words = line.split(' ');
            let owner = words.next().unwrap_or_default().trim_end_matches('.');
            let data = words.skip(3).collect::<Vec<_>>().join(" ");
            match wanted.iter_mut().find(|(name, _)| *name == owner) {
                Some((_, datas)) => datas.push(data),
                None => wanted.push((owner, vec![data])),
            }
        }
        for (name, datas) in wanted {
            let (state, advice) = self.tlsa(name, &datas).await;
            findings.push(Finding::new(format!("TLSA {name}"), state, advice));
        }
        findings
    }

    async fn record(&mut self, domain: &Domain, record: &Record) -> Found {
        if self.silent >= MOST_SILENT {
            return (State::Unknown, "not asked: DNS gives no answers".to_owned());
        }
        let found = match &record.wanted {
            Wanted::Mx => self.mx(domain).await,
            Wanted::Spf => Ok(self.spf(domain).await),
            Wanted::Dkim {
                record: text,
                stage,
            } => self.dkim(&record.name, text, stage).await,
            Wanted::Dmarc => self.dmarc(&record.name).await,
            Wanted::TlsReports => {
                let is_one = |text: &str| text.starts_with("v=TLSRPTv1");
                self.text(&record.name, is_one, |_| true).await
            }
            Wanted::MtaSts { id } => {
                let is_one = |text: &str| text.starts_with("v=STSv1");
                let has_id = |text: &str| {
                    let mut tags = text.split(';').filter_map(|it| it.split_once('='));
                    tags.any(|(tag, value)| tag.trim() == "id" && value.trim() == id)
                };
                self.text(&record.name, is_one, has_id).await
            }
            Wanted::MtaStsHost => self.policy_host(&record.name).await,
            Wanted::Service { port } => self.service(&record.name, *port).await,
        };
        found.unwrap_or_else(|error| self.none(error))
    }

    /// What a lookup without records means.
    fn none(&mut self, error: DnsError) -> Found {
        match error {
            DnsError::NotFound { .. } => (State::Missing, String::new()),
            error => {
                self.silent += 1;
                (State::Unknown, error.to_string())
            }
        }
    }

    async fn mx(&self, domain: &Domain) -> Result<Found, DnsError> {
        let found = self.resolver.mx(domain).await?.records;
        let hosts: Vec<String> = found
            .iter()
            .filter_map(|mx| mx.host.as_ref().map(ToString::to_string))
            .collect();
        Ok(compared(hosts.iter().any(|host| self.is_us(host)), &hosts))
    }

    fn is_us(&self, host: &str) -> bool {
        let own = self.config.hostname.to_ascii();
        own.is_ok_and(|own| {
            own.as_str()
                .eq_ignore_ascii_case(host.trim_end_matches('.'))
        })
    }

    /// Whether mail of the domain passes from where this server sends it.
    async fn spf(&mut self, domain: &Domain) -> Found {
        if self.addresses.is_empty() {
            return (
                State::Unknown,
                "this server's addresses are not known; set outgoing.addresses".to_owned(),
            );
        }
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let host = self.config.hostname.clone();
        let spf = Spf::new(Arc::clone(&self.resolver), clock, host);
        let mut wrong = Vec::new();
        let Ok(name) = domain.to_ascii() else {
            return (State::Unknown, "no name for DNS".to_owned());
        };
        for ip in self.addresses.clone() {
            let identity = ("postmaster", name.as_str());
            let query = SpfQuery::of(ip, self.config.hostname.as_str(), identity);
            match spf.check(&query).await.result {
                SpfResult::Pass => {}
                SpfResult::None => return (State::Missing, String::new()),
                SpfResult::TempError => {
                    self.silent += 1;
                    return (State::Unknown, "DNS gives no answer now".to_owned());
                }
                other => wrong.push(format!("mail from {ip} comes to \"{}\"", other.as_str())),
            }
        }
        match wrong.is_empty() {
            true => (
                State::Ok,
                format!("passes from {}", listed(&self.addresses)),
            ),
            false => (State::Different, wrong.join(", ")),
        }
    }

    async fn dkim(&self, name: &str, record: &str, stage: &str) -> Result<Found, DnsError> {
        Ok(match key_published(&*self.resolver, name, record).await {
            Published::Right => (State::Ok, format!("the key is {stage}")),
            Published::Missing => (State::Missing, format!("the key is {stage}")),
            Published::Different(found) => (
                State::Different,
                format!("the key is {stage}, DNS has another: {found}"),
            ),
            Published::Unknown(error) => return Err(error),
            _ => (State::Unknown, "not understood".to_owned()),
        })
    }

    async fn dmarc(&self, name: &str) -> Result<Found, DnsError> {
        let found = self.texts(name).await?;
        let found: Vec<&Vec<u8>> = found.iter().filter(|txt| is_record(txt)).collect();
        Ok(match found.as_slice() {
            [] => (State::Missing, String::new()),
            [one] => match DmarcRecord::parse(one) {
                Ok(record) => (State::Ok, format!("p={}", record.policy.as_str())),
                Err(error) => (State::Different, error.to_string()),
            },
            // RFC 7489 section 6.6.3.
            _ => (
                State::Different,
                "there are several, so that none counts".to_owned(),
            ),
        })
    }

    async fn texts(&self, name: &str) -> Result<Vec<Vec<u8>>, DnsError> {
        let name = Domain::for_lookup(name).map_err(|_| temporary("no name for DNS"))?;
        Ok(self.resolver.txt(&name).await?.records)
    }

    /// One TXT record among those of a name.
    async fn text(
        &self,
        name: &str,
        is_one: impl Fn(&str) -> bool,
        is_right: impl Fn(&str) -> bool,
    ) -> Result<Found, DnsError> {
        let found = self.texts(name).await?;
        let found = found
            .iter()
            .map(|txt| String::from_utf8_lossy(txt).into_owned());
        let found: Vec<String> = found.filter(|text| is_one(text)).collect();
        Ok(match found.as_slice() {
            [] => (State::Missing, String::new()),
            [one] if is_right(one) => (State::Ok, String::new()),
            others => (
                State::Different,
                format!("DNS has {}", others.join(" and ")),
            ),
        })
    }

    async fn policy_host(&self, name: &str) -> Result<Found, DnsError> {
        let name = Domain::for_lookup(name).map_err(|_| temporary("no name for DNS"))?;
        let found = self.resolver.addresses(&name).await?.records;
        let here = self
            .resolver
            .addresses(&self.config.hostname)
            .await?
            .records;
        let right = found.iter().all(|ip| here.contains(ip));
        let (state, advice) = compared(right, &found);
        // A proxy for the web may stand elsewhere.
        Ok((state, advice))
    }

    async fn service(&self, name: &str, port: u16) -> Result<Found, DnsError> {
        let name = Domain::for_lookup(name).map_err(|_| temporary("no name for DNS"))?;
        let found = self.resolver.srv(&name).await?.records;
        let is_ours = |host: &Domain| self.is_us(host.as_str());
        let right =
            (found.iter()).any(|it| it.port == port && it.host.as_ref().is_some_and(is_ours));
        let shown: Vec<String> = found
            .iter()
            .map(|it| {
                let host = it.host.as_ref().map_or(".", Domain::as_str);
                format!("{host}:{}", it.port)
            })
            .collect();
        Ok(compared(right, &shown))
    }

    async fn tlsa(&mut self, name: &str, wanted: &[String]) -> Found {
        if self.silent >= MOST_SILENT {
            return (State::Unknown, "not asked: DNS gives no answers".to_owned());
        }
        let Ok(asked) = Domain::for_lookup(name) else {
            return (State::Unknown, "no name for DNS".to_owned());
        };
        let found = match self.resolver.tlsa(&asked).await {
            Ok(found) => found.records,
            Err(DnsError::NotFound { dnssec }) if !dnssec.is_secure() => {
                let advice = "none, and none is needed where the zone is not signed";
                return (State::Ok, advice.to_owned());
            }
            Err(DnsError::NotFound { .. }) => {
                let advice =
                    "the zone is signed, so that a record would secure mail on its way here";
                return (State::Ok, advice.to_owned());
            }
            Err(error) => return self.none(error),
        };
        let data = |it: &mailcore::seams::Tlsa| {
            let hex: String = it.data.iter().map(|octet| format!("{octet:02x}")).collect();
            format!("{} {} {} {hex}", it.usage, it.selector, it.matching)
        };
        let shown: Vec<String> = found.iter().map(data).collect();
        let right = shown.iter().any(|it| wanted.contains(it));
        match right {
            true => (State::Ok, String::new()),
            false => (
                State::Different,
                format!(
                    "hosts that look at it send no mail here: DNS has {}; publish: {name}. TLSA {}",
                    shown.join(" and "),
                    wanted.join(" and ")
                ),
            ),
        }
    }
}

fn temporary(why: &str) -> DnsError {
    DnsError::Temporary(why.to_owned())
}

fn compared<T: Display>(right: bool, found: &[T]) -> Found {
    match right {
        true => (State::Ok, String::new()),
        false => (State::Different, format!("DNS has {}", listed(found))),
    }
}

fn listed<T: Display>(found: &[T]) -> String {
    let found: Vec<String> = found.iter().map(ToString::to_string).collect();
    found.join(", ")
}
