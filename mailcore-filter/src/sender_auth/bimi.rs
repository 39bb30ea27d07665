//! BIMI (draft-brand-indicators-for-message-identification): where a domain has
//! its picture, for mail that is proven to be its own.
//!
//! The picture itself is not fetched, nor the evidence that it is the domain's: a
//! reader that shows it does that.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use mailcore::address::Domain;
use mailcore::plan::Stage;
use mailcore::seams::{Clock, DnsError, Resolver};

use super::dmarc::{DmarcPolicy, DmarcReport, DmarcResult};
use super::outcome::DmarcOutcome;
use crate::pipeline::{Look, Reaction, Said, Test, TestClass};

/// The selector of domains that have one picture.
const SELECTOR: &str = "default";
/// Octets of an address that is told.
const MOST_URL: usize = 400;
const TIME: Duration = Duration::from_secs(4);

/// What a look for a picture came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BimiResult {
    /// The domain has a picture.
    Pass,
    /// It has none.
    None,
    /// It wants none to be shown.
    Declined,
    /// What it publishes can't be read.
    Fail,
    /// DNS did not answer.
    TempError,
}

impl BimiResult {
    /// As in Authentication-Results.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::None => "none",
            Self::Declined => "declined",
            Self::Fail => "fail",
            Self::TempError => "temperror",
        }
    }
}

/// What a look for a picture came to, and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BimiReport {
    /// The result.
    pub result: BimiResult,
    /// The domain whose record it is; that of From while none is found.
    pub domain: Domain,
    /// Under which name it was looked for.
    pub selector: &'static str,
    /// Where the picture is.
    pub location: Option<String>,
    /// Where the evidence is that it is the domain's.
    pub authority: Option<String>,
}

impl BimiReport {
    /// The value of a BIMI-Location field.
    pub fn field(&self) -> Option<String> {
        let location = self.location.as_ref()?;
        let mut text = format!("v=BIMI1; l={location}");
        if let Some(authority) = &self.authority {
            text.push_str(&format!("; a={authority}"));
        }
        Some(text)
    }
}

/// `bimi`: looks for the picture of the domain in From.
#[derive(Debug, Clone)]
pub struct BimiTest {
    resolver: Arc<dyn Resolver>,
    clock: Arc<dyn Clock>,
}

impl BimiTest {
    /// Asks this resolver.
    pub fn new(resolver: Arc<dyn Resolver>, clock: Arc<dyn Clock>) -> Self {
        Self { resolver, clock }
    }

    async fn find(&self, report: &DmarcReport, domain: &Domain) -> BimiReport {
        let mut found = BimiReport {
            result: BimiResult::None,
            domain: domain.clone(),
            selector: SELECTOR,
            location: None,
            authority: None,
        };
        // The domain's own, else that of its organization, whose DMARC it is under.
        let names = [Some(domain), report.published_at.as_ref()];
        for name in names.into_iter().flatten() {
            match self.record(name).await {
                Ok(None) => {}
                Ok(Some(record)) => {
                    found.domain = name.clone();
                    read(&record, &mut found);
                    return found;
                }
                Err(()) => {
                    found.result = BimiResult::TempError;
                    return found;
                }
            }
        }
        found
    }

    async fn record(&self, domain: &Domain) -> Result<Option<Vec<u8>>, ()> {
        let Ok(name) = Domain::for_lookup(&format!("{SELECTOR}._bimi.{domain}")) else {
            return Ok(None);
        };
        match self.resolver.txt(&name).await {
            Ok(found) => {
                let mut records = found.records.into_iter();
                Ok(records.find(|txt| txt.starts_with(b"v=BIMI1")))
            }
            Err(DnsError::NotFound { .. }) => Ok(None),
            Err(_) => Err(()),
        }
    }
}

/// Reads `v=BIMI1; l=…; a=…`.
fn read(record: &[u8], found: &mut BimiReport) {
    found.result = BimiResult::Fail;
    let Ok(text) = std::str::from_utf8(record) else {
        return;
    };
    let tag = |wanted: &str| {
        let mut tags = text.split(';').filter_map(|part| part.split_once('='));
        let found = tags.find(|(name, _)| name.trim().eq_ignore_ascii_case(wanted));
        found.map(|(_, value)| value.trim())
    };
    match tag("l") {
        // Both empty: the domain wants no picture of its own to be shown.
        Some("") => found.result = BimiResult::Declined,
        Some(location) if is_address(location) => {
            found.result = BimiResult::Pass;
            found.location = Some(location.to_owned());
            found.authority = tag("a").filter(|it| is_address(it)).map(String::from);
        }
        _ => {}
    }
}

/// An address that a reader may fetch, and that stays within its tag.
fn is_address(text: &str) -> bool {
    let start = text.get(..8).unwrap_or_default();
    start.eq_ignore_ascii_case("https://")
        && text.len() <= MOST_URL
        && text
            .bytes()
            .all(|octet| octet.is_ascii_graphic() && !b"\"<>\\,;".contains(&octet))
}

/// True for mail that passes where failing would have had consequences: to all
/// mail, not to a part or as a trial.
fn is_proven(report: &DmarcReport) -> bool {
    let tried = report.record.as_ref().is_none_or(|it| it.is_testing);
    report.result == DmarcResult::Pass && !tried && report.published_policy() != DmarcPolicy::None
}

#[async_trait]
impl Test for BimiTest {
    fn name(&self) -> &'static str {
        "bimi"
    }

    fn stage(&self) -> Stage {
        Stage::Content
    }

    fn after(&self) -> &'static [&'static str] {
        &["dmarc"]
    }

    fn class(&self) -> TestClass {
        TestClass::Identity
    }

    fn results(&self) -> &'static [&'static str] {
        &["pass", "declined", "fail", "temperror"]
    }

    fn reaction(&self, _result: &str) -> Reaction {
        Reaction::none()
    }

    async fn look(&self, at: &Look<'_>) -> Vec<Said> {
        let memory = &at.session.memory;
        let Some(dmarc) = memory.get::<DmarcOutcome>() else {
            return Vec::new();
        };
        let Some(domain) = dmarc
            .report
            .domain
            .as_ref()
            .filter(|_| is_proven(&dmarc.report))
        else {
            return Vec::new();
        };
        let deadline = self.clock.monotonic().after(TIME);
        let found = tokio::select! {
            biased;
            found = self.find(&dmarc.report, domain) => found,
            () = self.clock.sleep_until(deadline) => return Vec::new(),
        };
        // Hardly a domain has one, and that is nothing to write down.
        if found.result == BimiResult::None {
            return Vec::new();
        }
        let said = Said::new(found.result.as_str(), found.domain.as_str());
        let said = said.detail(found.location.clone().unwrap_or_default());
        memory.keep_for_message(found);
        vec![said]
    }
}
