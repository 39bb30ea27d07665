//! `spf`: whether the client may send for the domain in MAIL.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use mailcore::address::Domain;
use mailcore::plan::Stage;
use mailcore::seams::{Clock, Resolver};

use super::TIME;
use crate::pipeline::{Look, Reaction, Said, Test, TestClass};
use crate::sender_auth::outcome::SpfOutcome;
use crate::sender_auth::spf::{Spf, SpfLimits, SpfQuery, SpfReport, SpfResult};

/// Asks SPF at MAIL: for the sender's domain, or for the name in HELO where the
/// sender is null (RFC 7208 section 2.4).
#[derive(Debug, Clone)]
pub struct SpfTest {
    spf: Spf,
}

impl SpfTest {
    /// Checks for the host `receiver`.
    pub fn new(resolver: Arc<dyn Resolver>, clock: Arc<dyn Clock>, receiver: Domain) -> Self {
        let spf = Spf::new(resolver, clock, receiver);
        Self { spf }.within(TIME)
    }

    /// With another time than 5 seconds for its questions: less than the pipeline's
    /// deadline, so that what was found by then is told.
    #[must_use]
    pub fn within(mut self, time: Duration) -> Self {
        let limits = SpfLimits {
            time,
            ..SpfLimits::default()
        };
        self.spf = self.spf.limits(limits);
        self
    }
}

#[async_trait]
impl Test for SpfTest {
    fn name(&self) -> &'static str {
        "spf"
    }

    fn stage(&self) -> Stage {
        Stage::Mail
    }

    fn class(&self) -> TestClass {
        TestClass::Identity
    }

    fn results(&self) -> &'static [&'static str] {
        &[
            "none",
            "neutral",
            "pass",
            "fail",
            "softfail",
            "temperror",
            "permerror",
        ]
    }

    /// Mail that was sent on fails, too: alone it is no reason to refuse any (RFC
    /// 7208 section 8.4, RFC 7489 section 6.7).
    fn reaction(&self, result: &str) -> Reaction {
        match result {
            "fail" => Reaction::score(3.0),
            "softfail" => Reaction::score(1.0),
            _ => Reaction::none(),
        }
    }

    async fn look(&self, at: &Look<'_>) -> Vec<Said> {
        let (Some(peer), Some(reverse_path)) = (at.session.peer, at.reverse_path) else {
            return Vec::new();
        };
        let helo = at.session.helo.clone().unwrap_or_default();
        let client = peer.ip().to_canonical();
        let query = SpfQuery::mail_from(client, &helo, reverse_path);
        let report = self.spf.check(&query).await;
        let said = Said::new(report.result.as_str(), report.domain.as_str());
        let said = said.detail(words(&report, &client.to_string()));
        at.session.memory.keep_for_message(SpfOutcome {
            client,
            helo,
            reverse_path: reverse_path.clone(),
            report,
        });
        vec![said]
    }
}

/// For the reply, should the operator refuse, and for the log.
fn words(report: &SpfReport, client: &str) -> String {
    let domain = &report.domain;
    match (report.result, &report.problem, &report.explanation) {
        (_, Some(problem), _) => format!("SPF of {domain}: {problem}"),
        // RFC 7208 section 6.2: it is the domain's word, not ours.
        (SpfResult::Fail, None, Some(words)) => {
            format!("SPF of {domain} does not name {client}; {domain} explains: {words}")
        }
        (SpfResult::Fail | SpfResult::SoftFail, None, _) => {
            format!(
                "SPF of {domain} does not name {client} ({})",
                report.decided_by
            )
        }
        (_, None, _) => report.decided_by.clone(),
    }
}
