//! A host of one user and her scripts, for sessions without a server.

use std::collections::BTreeMap;

use mailcore::account::{AccountId, Identity, Secret};
use mailcore::sasl::{Finding, Inquiry};
use mailcore::seams::{AuthError, Credentials, Labelled, Proof, ScriptEntry};
use mailcore_sieve::managesieve::{Answer, Failure, Outcome, Question, Request};

const USER: &str = "u@x.test";
const PASSWORD: &[u8] = b"secret pass";

/// Scripts that one may have.
const MOST: usize = 3;

#[derive(Default)]
pub(crate) struct World {
    pub(crate) scripts: BTreeMap<String, Vec<u8>>,
    pub(crate) active: Option<String>,
    pub(crate) failure: Option<Failure>,
}

impl World {
    pub(crate) fn answer(&mut self, question: Question) -> Answer {
        match question {
            Question::Ask(inquiry) => Answer::Found(found(&inquiry)),
            Question::Scripts { request, .. } => Answer::Scripts(match &self.failure {
                Some(failure) => Err(failure.clone()),
                None => self.request(request),
            }),
        }
    }

    fn request(&mut self, request: Request) -> Result<Outcome, Failure> {
        match request {
            Request::Space { name, .. } => self.space(&name)?,
            Request::Put { name, text } => {
                let warnings = check(&text)?;
                self.space(&name)?;
                self.scripts.insert(name, text);
                return Ok(warnings);
            }
            Request::Check(text) => return check(&text),
            Request::List => {
                let entries = self.scripts.iter().map(|(name, text)| ScriptEntry {
                    name: name.as_str().into(),
                    size: text.len() as u64,
                    is_active: self.active.as_ref() == Some(name),
                });
                return Ok(Outcome::Entries(entries.collect()));
            }
            Request::Activate(Some(name)) => {
                self.text(&name)?;
                self.active = Some(name);
            }
            Request::Activate(None) => self.active = None,
            Request::Read(name) => {
                let text = String::from_utf8_lossy(self.text(&name)?);
                return Ok(Outcome::Text(text.as_ref().into()));
            }
            Request::Delete(name) => {
                self.text(&name)?;
                if self.active.as_ref() == Some(&name) {
                    return Err(Failure::Active);
                }
                self.scripts.remove(&name);
            }
            Request::Rename { from, to } => {
                let text = self.text(&from)?.clone();
                if self.scripts.contains_key(&to) {
                    return Err(Failure::Exists);
                }
                if self.active.as_ref() == Some(&from) {
                    self.active = Some(to.clone());
                }
                self.scripts.remove(&from);
                self.scripts.insert(to, text);
            }
        }
        Ok(Outcome::Done)
    }

    fn space(&self, name: &str) -> Result<(), Failure> {
        match self.scripts.len() < MOST || self.scripts.contains_key(name) {
            true => Ok(()),
            false => Err(Failure::TooMany),
        }
    }

    fn text(&self, name: &str) -> Result<&Vec<u8>, Failure> {
        self.scripts.get(name).ok_or(Failure::NotFound)
    }
}

/// No Sieve: words that say what is to be found.
fn check(text: &[u8]) -> Result<Outcome, Failure> {
    let text = String::from_utf8_lossy(text);
    if text.contains("InvalidSieveCommand") {
        let words = "line 2, column 1: unknown command \"InvalidSieveCommand\"";
        return Err(Failure::Wrong(words.into()));
    }
    let doubts = text.matches("redirect").count();
    let warning = |at| format!("line {at}: this redirect might be ignored");
    Ok(Outcome::Warnings((0..doubts).map(warning).collect()))
}

/// What an authenticator that knows one user finds.
fn found(inquiry: &Inquiry) -> Result<Finding, AuthError> {
    match inquiry {
        Inquiry::Credentials(request) if request.login == USER => {
            let password = Labelled::only(Secret::new(PASSWORD));
            Ok(Finding::Credentials(Credentials::Passwords(vec![password])))
        }
        Inquiry::Authenticate(request) if request.login == USER => match &request.proof {
            Proof::Password(password) if password.expose() != PASSWORD => Err(AuthError::Invalid),
            _ => Ok(Finding::Identity(Identity {
                account: AccountId::new("u"),
                login: USER.into(),
            })),
        },
        _ => Err(AuthError::Invalid),
    }
}
