//! [`ScriptHost`]: answers a session's questions from the [`Authenticator`], the
//! directory's scripts and the compiler.

use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use mailcore::account::AccountId;
use mailcore::event::SessionEvents;
use mailcore::net::Host;
use mailcore::sasl::{Finding, Inquiry};
use mailcore::seams::{
    AuthError, Authenticator, Directory, DirectoryError, QuotaKind, Scope, ScriptKind, Scripts,
};

use crate::managesieve::check::ScriptCheck;
use crate::managesieve::session::{Answer, Failure, Outcome, Question, Request, Session};

const KIND: ScriptKind = ScriptKind::Sieve;

/// Where scripts lie, and what is a good one.
#[derive(Debug, Clone)]
pub(super) struct UserScripts {
    pub(super) directory: Arc<dyn Directory>,
    pub(super) check: Arc<dyn ScriptCheck>,
}

/// The half of one session that may wait.
#[derive(Debug)]
pub(super) struct ScriptHost {
    pub(super) scripts: UserScripts,
    pub(super) authenticator: Arc<dyn Authenticator>,
    /// Tells who logged in.
    pub(super) events: SessionEvents,
    pub(super) peer: Option<SocketAddr>,
}

#[async_trait]
impl Host<Session> for ScriptHost {
    async fn answer(&mut self, question: Question) -> Answer {
        match question {
            Question::Ask(inquiry) => Answer::Found(self.ask(inquiry).await),
            Question::Scripts { account, request } => {
                Answer::Scripts(self.scripts.answer(account, request).await)
            }
        }
    }
}

impl ScriptHost {
    async fn ask(&mut self, inquiry: Inquiry) -> Result<Finding, AuthError> {
        let peer = self.peer.map(tracing::field::display);
        let found = inquiry.put_to(&*self.authenticator).await;
        match &found {
            Ok(Finding::Identity(identity)) => {
                tracing::info!(peer, login = %identity.login, "ManageSieve login");
                self.events.logged_in(identity);
            }
            Ok(_) => {}
            Err(error) => {
                tracing::info!(peer, %error, "ManageSieve login refused");
                self.events.refused(error);
            }
        }
        found
    }
}

impl UserScripts {
    async fn answer(&self, account: AccountId, request: Request) -> Result<Outcome, Failure> {
        let scripts = self.directory.scripts().ok_or(Failure::Unavailable)?;
        let owner = Scope::Account(account);
        let done = |result: Result<(), DirectoryError>| match result {
            Ok(()) => Ok(Outcome::Done),
            Err(error) => Err(failure(&owner, &error)),
        };
        match request {
            Request::Space { name, size } => {
                done(scripts.check_space(&owner, KIND, &name, size).await)
            }
            Request::Put { name, text } => self.put(scripts, &owner, &name, text).await,
            Request::Check(text) => self.check(&text).map(Outcome::Warnings),
            Request::List => {
                let entries = scripts.script_entries(&owner, KIND).await;
                let entries = entries.map_err(|error| failure(&owner, &error))?;
                Ok(Outcome::Entries(entries))
            }
            Request::Activate(name) => {
                done(scripts.set_active(&owner, KIND, name.as_deref()).await)
            }
            Request::Read(name) => {
                let text = scripts.script(&owner, KIND, &name).await;
                let text = text.map_err(|error| failure(&owner, &error))?;
                Ok(Outcome::Text(text))
            }
            Request::Delete(name) => done(scripts.delete_script(&owner, KIND, &name).await),
            Request::Rename { from, to } => {
                done(scripts.rename_script(&owner, KIND, &from, &to).await)
            }
        }
    }

    /// Room is looked for first: a client that may not keep a script need not
    /// mend it.
    async fn put(
        &self,
        scripts: &dyn Scripts,
        owner: &Scope,
        name: &str,
        text: Vec<u8>,
    ) -> Result<Outcome, Failure> {
        let not_kept = |error: DirectoryError| failure(owner, &error);
        let size = text.len() as u64;
        let space = scripts.check_space(owner, KIND, name, size).await;
        space.map_err(not_kept)?;
        let warnings = self.check(&text)?;
        let text = String::from_utf8(text)
            .map_err(|_| Failure::Wrong("a script is written in UTF-8".into()))?;
        let put = scripts.put_script(owner, KIND, name, &text).await;
        put.map_err(not_kept)?;
        Ok(Outcome::Warnings(warnings))
    }

    fn check(&self, text: &[u8]) -> Result<Vec<String>, Failure> {
        let checked = self.check.check(text);
        checked.map_err(|error| Failure::Wrong(error.to_string()))
    }
}

fn failure(owner: &Scope, error: &DirectoryError) -> Failure {
    match error {
        DirectoryError::NotFound(_) => Failure::NotFound,
        DirectoryError::Exists(_) => Failure::Exists,
        DirectoryError::InUse { .. } => Failure::Active,
        DirectoryError::OverQuota { kind, .. } => match kind {
            QuotaKind::Count => Failure::TooMany,
            QuotaKind::Size => Failure::TooLarge,
            _ => Failure::Full,
        },
        DirectoryError::Invalid(text) => Failure::Wrong(text.clone()),
        DirectoryError::Unsupported(_) => Failure::ReadOnly,
        error => {
            tracing::warn!(?owner, %error, "can't reach the scripts");
            Failure::Unavailable
        }
    }
}
