//! `dkim`: which domains signed the message.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use mailcore::plan::Stage;
use mailcore::seams::{Clock, Resolver};

use super::TIME;
use crate::pipeline::{Look, Reaction, Said, Test, TestClass};
use crate::sender_auth::dkim::{DkimLimits, DkimResult, DkimVerdict, DkimVerifier};
use crate::sender_auth::outcome::DkimOutcome;

/// Checks a message's signatures.
#[derive(Debug, Clone)]
pub struct DkimTest {
    verifier: DkimVerifier,
}

impl DkimTest {
    /// Asks this resolver for keys.
    pub fn new(resolver: Arc<dyn Resolver>, clock: Arc<dyn Clock>) -> Self {
        let verifier = DkimVerifier::new(resolver, clock);
        Self { verifier }.within(TIME)
    }

    /// With another time than 5 seconds for its questions: less than the pipeline's
    /// deadline, so that what was found by then is told.
    #[must_use]
    pub fn within(mut self, time: Duration) -> Self {
        let limits = DkimLimits {
            time,
            ..DkimLimits::default()
        };
        self.verifier = self.verifier.limits(limits);
        self
    }
}

#[async_trait]
impl Test for DkimTest {
    fn name(&self) -> &'static str {
        "dkim"
    }

    fn stage(&self) -> Stage {
        Stage::Content
    }

    fn class(&self) -> TestClass {
        TestClass::Identity
    }

    fn results(&self) -> &'static [&'static str] {
        &[
            "none",
            "pass",
            "fail",
            "policy",
            "neutral",
            "temperror",
            "permerror",
        ]
    }

    /// A signature that does not hold is as none (RFC 6376 section 6.1).
    fn reaction(&self, _result: &str) -> Reaction {
        Reaction::none()
    }

    async fn look(&self, at: &Look<'_>) -> Vec<Said> {
        let Some(mail) = at.mail else {
            return Vec::new();
        };
        let verdicts = self.verifier.verify(mail.message).await;
        let said = said(&verdicts);
        at.session.memory.keep_for_message(DkimOutcome { verdicts });
        vec![said]
    }
}

/// One result for all signatures: that of the first that passes, or of the first.
fn said(verdicts: &[DkimVerdict]) -> Said {
    let passed = verdicts.iter().find(|it| it.result == DkimResult::Pass);
    let Some(verdict) = passed.or(verdicts.first()) else {
        return Said::new("none", "");
    };
    let signer = verdict.signature.as_ref().map(|it| it.domain.as_str());
    let said = Said::new(verdict.result.as_str(), signer.unwrap_or_default());
    match &verdict.problem {
        Some(problem) => said.detail(problem.to_string()),
        None => said,
    }
}
