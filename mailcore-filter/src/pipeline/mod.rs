//! [`Pipeline`]: many small tests of mail as one filter.
//!
//! ```text
//!  connect ─► helo ─► auth ─► mail ─► rcpt ─► data ─► content
//!     └── tests of the stage, side by side, each with a deadline
//!            └─► Said ─► Reaction (a setting, or the test's own) ─► Verdict now,
//!                                                                  or Plan at the end
//! ```
//!
//! A [`Test`] says what it found; the pipeline keeps that as a finding, adds its
//! score, and does what the [`Reaction`] for it says. What holds for a recipient
//! is set globally, for its domain, or for itself; the nearest setting wins
//! ([`FilterSettings`]).
//!
//! - Who logged in, is trusted, or is in an exempt network is asked nothing that
//!   is for strangers. Whom a list lets through is not asked about spam, and who
//!   it says it is is not held against it; harm is.
//! - The stages before a recipient is named know only what holds for all. What a
//!   recipient or its domain sets otherwise is done at RCPT and at the end; what
//!   all set as `reject at rcpt` waits until then and can be lifted by them.
//! - Mail to `postmaster` and `abuse` is never refused or kept apart for looking
//!   like spam (RFC 5321 section 4.5.1): complaints quote it.

mod decide;
mod effective;
mod judged;
mod reaction;
mod ruling;
mod run;
mod scoped;
mod settings;
mod test;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use mailcore::address::{Address, ReversePath};
use mailcore::envelope::Envelope;
use mailcore::intake::SessionKind;
use mailcore::plan::{Plan, Stage};
use mailcore::seams::{Clock, Directory, Filter, FilterSession, IncomingMail, Scope, Verdict};

use crate::lists::Network;

pub use reaction::{Act, Reaction, ReactionError};
pub use scoped::ScopedSettings;
pub(crate) use scoped::scopes_of;
pub use settings::{FilterSettings, SETTING_PREFIX, Scoring, SettingError, SpamPlace};
pub use test::{Audience, Look, Said, Test, TestClass};

/// How long one test may take unless set otherwise.
const DEADLINE: Duration = Duration::from_secs(10);

/// Tests in order, and what is done about what they say.
#[derive(Clone)]
pub struct Pipeline {
    tests: Vec<Arc<dyn Test>>,
    settings: ScopedSettings,
    exempt: Vec<Network>,
    /// Tests that are asked later than they ask to be.
    stages: Vec<(String, Stage)>,
    deadline: Duration,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tests: Vec<_> = self.tests.iter().map(|test| test.name()).collect();
        f.debug_struct("Pipeline")
            .field("tests", &tests)
            .field("exempt", &self.exempt)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

impl Pipeline {
    /// A pipeline without tests.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            tests: Vec::new(),
            settings: ScopedSettings::new(FilterSettings::default()),
            exempt: Vec::new(),
            stages: Vec::new(),
            deadline: DEADLINE,
            clock,
        }
    }

    /// With one more test, asked after those before it.
    #[must_use]
    pub fn test(mut self, test: Arc<dyn Test>) -> Self {
        self.tests.push(test);
        self
    }

    /// With what holds for everybody.
    #[must_use]
    pub fn settings(mut self, settings: FilterSettings) -> Self {
        self.settings = self.settings.with_base(settings);
        self
    }

    /// With what the directory says for everybody, domains and accounts.
    #[must_use]
    pub fn directory(mut self, directory: Arc<dyn Directory>) -> Self {
        self.settings = self.settings.with_directory(directory);
        self
    }

    /// Clients in these networks are no strangers.
    #[must_use]
    pub fn exempt(mut self, networks: impl IntoIterator<Item = Network>) -> Self {
        self.exempt.extend(networks);
        self
    }

    /// How long one test may take; 10 seconds. What it has not said by then it
    /// has not said.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Asks a test at a later stage than its own.
    ///
    /// # Errors
    /// There is no such test, or it can't be asked then.
    pub fn ask_at(mut self, test: &str, stage: Stage) -> Result<Self, SettingError> {
        FilterSettings::check_key(test, &self)?;
        let wrong = |reason| SettingError::Stage {
            test: test.into(),
            stage,
            reason,
        };
        let Some(known) = self.find(test) else {
            return Ok(self);
        };
        if !known.also_at().is_empty() {
            return Err(wrong("it is asked at several stages"));
        }
        if known.stage() == Stage::Rcpt || stage == Stage::Rcpt {
            return Err(wrong(
                "at rcpt a test is asked of each recipient, elsewhere once",
            ));
        }
        if stage < known.stage() {
            return Err(wrong("what it looks at is not known yet"));
        }
        self.stages.push((test.into(), stage));
        Ok(self)
    }

    /// When a test is asked first.
    pub fn stage_of(&self, test: &Arc<dyn Test>) -> Stage {
        let set = self.stages.iter().rev();
        let mut set = set.filter(|(name, _)| name == test.name());
        set.next().map_or(test.stage(), |(_, stage)| *stage)
    }

    fn is_asked(&self, test: &Arc<dyn Test>, stage: Stage) -> bool {
        self.stage_of(test) == stage || test.also_at().contains(&stage)
    }

    /// These tests first, in this order; the rest as they were given.
    #[must_use]
    pub fn order<'a>(mut self, names: impl IntoIterator<Item = &'a str>) -> Self {
        let names: Vec<&str> = names.into_iter().collect();
        let place = |test: &Arc<dyn Test>| {
            let place = names.iter().position(|name| *name == test.name());
            place.unwrap_or(usize::MAX)
        };
        self.tests.sort_by_key(place);
        self
    }

    /// The tests, in order.
    pub fn tests(&self) -> &[Arc<dyn Test>] {
        &self.tests
    }

    /// What is done at a scope about what a test says.
    pub async fn reactions(&self, scope: &Scope, test: &dyn Test) -> Vec<(&'static str, Reaction)> {
        let effective = self.settings.of_scope(scope).await;
        let results = test.results().iter();
        let reaction = |result: &&'static str| {
            let shipped = test.reaction(result);
            (*result, effective.reaction(test.name(), result, shipped))
        };
        results.map(reaction).collect()
    }

    /// The scores that count at a scope.
    pub async fn scoring(&self, scope: &Scope) -> Scoring {
        self.settings.of_scope(scope).await.scoring()
    }

    /// The tests' names, in order.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.tests.iter().map(|test| test.name())
    }

    /// The test of this name.
    pub fn find(&self, name: &str) -> Option<&Arc<dyn Test>> {
        self.tests.iter().find(|test| test.name() == name)
    }

    /// True for mail from servers that are nobody's here.
    fn is_stranger(&self, session: &FilterSession) -> bool {
        let Some(peer) = session.peer else {
            return false;
        };
        let ip = peer.ip().to_canonical();
        session.door == SessionKind::Mx
            && !session.is_known()
            && !self.exempt.iter().any(|network| network.contains(ip))
    }
}

#[async_trait]
impl Filter for Pipeline {
    fn name(&self) -> &str {
        "pipeline"
    }

    async fn connect(&self, session: &FilterSession) -> Verdict {
        self.ask(Stage::Connect, Look::at(session)).await
    }

    async fn helo(&self, session: &FilterSession) -> Verdict {
        self.ask(Stage::Helo, Look::at(session)).await
    }

    async fn auth(&self, session: &FilterSession) -> Verdict {
        self.ask(Stage::Auth, Look::at(session)).await
    }

    async fn mail(&self, session: &FilterSession, reverse_path: &ReversePath) -> Verdict {
        let look = Look::at(session).from(reverse_path);
        self.ask(Stage::Mail, look).await
    }

    async fn rcpt(
        &self,
        session: &FilterSession,
        reverse_path: &ReversePath,
        recipient: &Address,
    ) -> Verdict {
        let look = Look::at(session).from(reverse_path).to(recipient);
        self.ask(Stage::Rcpt, look).await
    }

    async fn data(&self, session: &FilterSession, envelope: &Envelope) -> Verdict {
        let look = Look::at(session).envelope(envelope);
        self.ask(Stage::Data, look).await
    }

    async fn message(&self, session: &FilterSession, mail: &IncomingMail<'_>, plan: &mut Plan) {
        self.judge(Look::at(session).mail(mail), plan).await;
    }
}
