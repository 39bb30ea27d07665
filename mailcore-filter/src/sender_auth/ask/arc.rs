//! `arc`: what hosts on the way sealed.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use mailcore::plan::Stage;
use mailcore::seams::{Clock, Resolver};

use super::TIME;
use crate::pipeline::{Look, Reaction, Said, Test, TestClass};
use crate::sender_auth::arc::ArcVerifier;

/// Checks a message's chain of seals.
#[derive(Debug, Clone)]
pub struct ArcTest {
    verifier: ArcVerifier,
}

impl ArcTest {
    /// Asks this resolver for keys.
    pub fn new(resolver: Arc<dyn Resolver>, clock: Arc<dyn Clock>) -> Self {
        Self {
            verifier: ArcVerifier::new(resolver, clock).within(TIME),
        }
    }

    /// With another time than 5 seconds for its questions: less than the pipeline's
    /// deadline, so that what was found by then is told.
    #[must_use]
    pub fn within(mut self, time: Duration) -> Self {
        self.verifier = self.verifier.within(time);
        self
    }
}

#[async_trait]
impl Test for ArcTest {
    fn name(&self) -> &'static str {
        "arc"
    }

    fn stage(&self) -> Stage {
        Stage::Content
    }

    fn class(&self) -> TestClass {
        TestClass::Identity
    }

    fn results(&self) -> &'static [&'static str] {
        &["none", "pass", "fail", "temperror"]
    }

    /// A chain that does not hold is as none (RFC 8617 section 5.2).
    fn reaction(&self, _result: &str) -> Reaction {
        Reaction::none()
    }

    async fn look(&self, at: &Look<'_>) -> Vec<Said> {
        let Some(mail) = at.mail else {
            return Vec::new();
        };
        let report = self.verifier.verify(mail.message).await;
        let last = report.sealers.last().map_or("", |it| it.as_str());
        let said = Said::new(report.result.as_str(), last);
        let problem = report.problem.as_ref().map(ToString::to_string);
        let said = said.detail(problem.unwrap_or_default());
        at.session.memory.keep_for_message(report);
        vec![said]
    }
}
