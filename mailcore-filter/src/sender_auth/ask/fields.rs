//! [`AuthenticationFields`]: writes on each message what the checks of its sender
//! came to.

use async_trait::async_trait;
use mailcore::address::Domain;
use mailcore::intake::SessionKind;
use mailcore::plan::{Edit, Plan};
use mailcore::seams::{Filter, FilterSession, IncomingMail};

use crate::sender_auth::outcome::SenderAuthentication;
use crate::sender_auth::results::AuthenticationResults;

/// Puts Authentication-Results (RFC 8601) on top of mail from other servers, and
/// Received-SPF (RFC 7208 section 9.1) where that is asked for. A filter of its own,
/// after the pipeline whose tests it tells of; mail of which nothing was asked stays
/// as it is.
#[derive(Debug, Clone)]
pub struct AuthenticationFields {
    hostname: Domain,
    received_spf: ReceivedSpf,
    logins: Logins,
}

/// Whether Received-SPF is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReceivedSpf {
    /// Authentication-Results tells of SPF, and nothing else does.
    #[default]
    LeftOut,
    /// It is, too: for readers that know nothing else.
    Written,
}

/// Whether mail of a user says who logged in (`auth=pass`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Logins {
    /// It does not: the name would be told to all who get the mail.
    #[default]
    LeftOut,
    /// It does.
    Written,
}

impl AuthenticationFields {
    /// Writes as the host `hostname`.
    pub fn new(hostname: Domain) -> Self {
        Self {
            hostname,
            received_spf: ReceivedSpf::default(),
            logins: Logins::default(),
        }
    }

    /// Whether Received-SPF is written.
    #[must_use]
    pub fn received_spf(mut self, received_spf: ReceivedSpf) -> Self {
        self.received_spf = received_spf;
        self
    }

    /// Whether logins are named.
    #[must_use]
    pub fn logins(mut self, logins: Logins) -> Self {
        self.logins = logins;
        self
    }

    /// The fields for mail from other servers.
    fn of_strangers(&self, session: &FilterSession) -> Vec<Edit> {
        let known = SenderAuthentication::of(&session.memory);
        let mut edits = Vec::new();
        if known.is_empty() {
            return edits;
        }
        edits.push(results(known.results(&self.hostname)));
        if let (ReceivedSpf::Written, Some(spf)) = (self.received_spf, &known.spf) {
            let value = spf.received_spf(&self.hostname);
            edits.push(field("Received-SPF", value));
        }
        if let Some(value) = known.bimi.as_ref().and_then(|it| it.field()) {
            edits.push(field("BIMI-Location", value));
        }
        edits
    }

    /// The field for mail of a user.
    fn of_login(&self, session: &FilterSession) -> Vec<Edit> {
        let Some(identity) = &session.identity else {
            return Vec::new();
        };
        if self.logins == Logins::LeftOut {
            return Vec::new();
        }
        let mut told = AuthenticationResults::new(&self.hostname);
        told.method("auth", "pass")
            .property("smtp.auth", identity.account.as_str());
        vec![results(told)]
    }
}

fn results(results: AuthenticationResults) -> Edit {
    field("Authentication-Results", results.finish())
}

fn field(name: &str, value: String) -> Edit {
    Edit::AddHeader {
        name: name.into(),
        value,
    }
}

#[async_trait]
impl Filter for AuthenticationFields {
    fn name(&self) -> &str {
        "authentication-results"
    }

    async fn message(&self, session: &FilterSession, _: &IncomingMail<'_>, plan: &mut Plan) {
        let edits = match session.door {
            SessionKind::Mx => self.of_strangers(session),
            SessionKind::Submission => self.of_login(session),
            _ => return,
        };
        for copy in &mut plan.recipients {
            // On top of what other filters write: the results of who sent it are what
            // readers look for first.
            copy.edits.splice(0..0, edits.iter().cloned());
        }
    }
}
