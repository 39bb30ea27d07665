//! Logging in to a host (RFC 4954): which mechanism is taken, and its dialogue.
//!
//! One that shows no password comes first. Where a host that is known by its
//! certificate refuses it, the password itself is tried: it may keep nothing
//! that the better mechanism could be checked against.

use std::collections::VecDeque;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mailcore::account::Secret;
use mailcore::sasl::client::{Challenged, ClientError, Legacy};

use super::config::PasswordUse;
use super::error::SessionError;
use super::session::{Session, State};
use crate::command::{Auth, Command};
use crate::reply::{Reply, ReplyCode};

/// An exchange in progress.
#[derive(Debug)]
pub(super) enum Login {
    /// The password is shown; these are the responses still to be sent.
    Shown(VecDeque<Secret>),
    /// It is not.
    Challenged(Box<Challenged>),
}

/// What a reply leads to.
pub(super) enum LoginStep {
    Respond(Secret),
    Done,
    Refused,
    Broken(ClientError),
}

impl Login {
    pub(super) fn on_reply(&mut self, reply: &Reply) -> LoginStep {
        if reply.code() == ReplyCode::CHALLENGE {
            return match self {
                Self::Shown(responses) => match responses.pop_front() {
                    Some(response) => LoginStep::Respond(response),
                    None => LoginStep::Refused,
                },
                Self::Challenged(run) => {
                    let text = reply.lines().next().unwrap_or_default();
                    let challenge = STANDARD.decode(text.trim());
                    let challenge = challenge.map_err(|_| ClientError::Malformed);
                    match challenge.and_then(|challenge| run.respond(&challenge)) {
                        Ok(response) => LoginStep::Respond(response),
                        Err(error) => LoginStep::Broken(error),
                    }
                }
            };
        }
        match (reply.is_completed(), self) {
            (false, _) => LoginStep::Refused,
            // Whoever says yes before it has proved itself is somebody else.
            (true, Self::Challenged(run)) if !run.is_done() => {
                LoginStep::Broken(ClientError::ServerUnproved)
            }
            (true, _) => LoginStep::Done,
        }
    }
}

impl Session {
    /// Logs in where the host wants that; the session is ready then.
    pub(super) fn authenticate(&mut self) {
        let Some(credentials) = &self.config.credentials else {
            self.state = State::Ready;
            return;
        };
        if self.tls.is_none() && credentials.password_use == PasswordUse::WithinTls {
            return self.fail(SessionError::AuthInClear);
        }
        // What CRAM-MD5 asks of who checks it is worse than a password in TLS.
        let legacy = match self.tls {
            Some(_) => Legacy::Refused,
            None => Legacy::Allowed,
        };
        let run = Challenged::choose(
            |name| self.offers_mechanism(name),
            (&credentials.login, &credentials.password),
            self.tls.as_ref(),
            legacy,
            &*self.config.entropy,
        );
        match run {
            Some(run) => self.challenge(run),
            None => self.show_password(),
        }
    }

    fn offers_mechanism(&self, name: &str) -> bool {
        let mut mechanisms = self.extensions.auth_mechanisms().iter();
        mechanisms.any(|mechanism| mechanism == name)
    }

    fn challenge(&mut self, mut run: Challenged) {
        let initial = match run.speaks_first() {
            true => match run.respond(b"") {
                Ok(response) => Some(response),
                Err(error) => return self.fail(error.into()),
            },
            false => None,
        };
        self.send_auth(run.mechanism().as_str(), initial);
        self.state = State::Auth(Login::Challenged(Box::new(run)));
    }

    fn show_password(&mut self) {
        let Some(credentials) = &self.config.credentials else {
            return self.fail(SessionError::AuthNotOffered);
        };
        let (login, password) = (credentials.login.as_bytes(), &credentials.password);
        if self.offers_mechanism("PLAIN") {
            let response = [b"\0", login, b"\0", password.expose()].concat();
            self.send_auth("PLAIN", Some(Secret::new(response)));
            self.state = State::Auth(Login::Shown(VecDeque::new()));
        } else if self.offers_mechanism("LOGIN") {
            let responses = [Secret::new(login), password.clone()];
            self.send_auth("LOGIN", None);
            self.state = State::Auth(Login::Shown(responses.into()));
        } else {
            self.fail(SessionError::AuthNotOffered);
        }
    }

    fn send_auth(&mut self, mechanism: &str, initial_response: Option<Secret>) {
        self.send(&Command::Auth(Auth {
            mechanism: mechanism.to_owned(),
            initial_response,
        }));
    }

    pub(super) fn after_login(&mut self, step: LoginStep, reply: Reply) {
        match step {
            LoginStep::Respond(response) => {
                let line = STANDARD.encode(response.expose());
                self.output.secret(&line);
            }
            LoginStep::Done => self.state = State::Ready,
            LoginStep::Broken(error) => self.fail(error.into()),
            LoginStep::Refused => {
                let was_hidden = matches!(self.state, State::Auth(Login::Challenged(_)));
                let is_known = self.tls.is_some() && self.config.tls.is_verified();
                let is_final = reply.code().number() >= 500;
                let shows = self.offers_mechanism("PLAIN") || self.offers_mechanism("LOGIN");
                if was_hidden && is_known && is_final && shows {
                    return self.show_password();
                }
                let during = "AUTH";
                self.fail(SessionError::Refused { during, reply });
            }
        }
    }
}
