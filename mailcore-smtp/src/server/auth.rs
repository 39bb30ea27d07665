//! AUTH: the SASL dialogue over SMTP (RFC 4954).
//!
//! The mechanisms themselves are [`mailcore::sasl`]'s; the proof is checked by
//! the host.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mailcore::account::Secret;
use mailcore::sasl::{Exchange, Finding, NotOffered, Privacy, Progress, SaslError, Surroundings};
use mailcore::time::Monotonic;
use mailcore::wire::Line;

use super::config::AuthOffer;
use super::question::{Answer, Question};
use super::session::{Flow, Session};
use super::state::{AfterLongLine, Pending, Phase, State};
use super::wording;
use crate::command::Auth;
use crate::reply::Reply;

impl Session {
    /// The mechanisms that may be used now.
    pub(super) fn mechanisms(&self) -> Vec<String> {
        if self.config.auth == AuthOffer::Never {
            return Vec::new();
        }
        let announced = self.offer.announced(self.surroundings());
        announced.map(|mechanism| mechanism.to_string()).collect()
    }

    fn surroundings(&self) -> Surroundings<'_> {
        let privacy = match (self.config.auth, &self.facts.tls) {
            (AuthOffer::Always, _) | (_, Some(_)) => Privacy::Private,
            _ => Privacy::Exposed,
        };
        Surroundings {
            peer: self.facts.peer.map(|peer| peer.ip()),
            protocol: "smtp",
            tls: self.facts.tls.as_ref(),
            privacy,
        }
    }

    pub(super) fn begin_auth(&mut self, auth: &Auth) -> State {
        if self.facts.identity.is_some() {
            return self.fail(Phase::Idle, &wording::auth_already());
        }
        if self.config.auth == AuthOffer::Never {
            return self.fail(Phase::Idle, &wording::auth_not_offered());
        }
        let mut exchange = match self.offer.begin(&auth.mechanism, self.surroundings()) {
            Ok(exchange) => exchange,
            Err(NotOffered::NeedsTls) => {
                return self.fail(Phase::Idle, &wording::auth_needs_tls());
            }
            Err(_) => return self.fail(Phase::Idle, &wording::auth_mechanism_unknown()),
        };
        let progress = exchange.start(auth.initial_response.as_ref().map(Secret::expose));
        self.go_on(exchange, progress)
    }

    fn go_on(&mut self, exchange: Exchange, progress: Progress) -> State {
        match progress {
            Progress::Challenge(challenge) => {
                self.say_now(&wording::challenge(STANDARD.encode(challenge)));
                State::Authenticating(exchange)
            }
            Progress::Ask(inquiry) => State::Ask(
                Question::Authenticate {
                    inquiry,
                    facts: self.facts.clone(),
                },
                Pending::Auth(exchange),
            ),
            Progress::Authenticated(identity) => {
                Arc::make_mut(&mut self.facts).identity = Some(identity);
                self.reply_now(Phase::Idle, &wording::authenticated())
            }
            Progress::Failed(SaslError::Refused(error)) => {
                self.refuse_proof(wording::not_authenticated(&error))
            }
            Progress::Failed(SaslError::Authorization | SaslError::Downgraded) => {
                self.refuse_proof(wording::auth_invalid())
            }
            Progress::Failed(_) => self.fail(Phase::Idle, &wording::auth_malformed()),
            _ => self.fail(Phase::Idle, &wording::local_error()),
        }
    }

    pub(super) fn read_auth_response(&mut self, mut exchange: Exchange, now: Monotonic) -> Flow {
        self.state = match self.input.line(self.config.limits.auth_line) {
            Line::Incomplete => return self.wait(State::Authenticating(exchange), now),
            Line::TooLong => State::LongLine {
                dropped: 0,
                then: AfterLongLine::AuthFailed,
            },
            Line::BareLf(_) => self.fail(Phase::Idle, &wording::bare_lf()),
            Line::Complete(line) if line.as_ref() == b"*" => {
                self.fail(Phase::Idle, &wording::auth_cancelled())
            }
            Line::Complete(line) => {
                self.extend_deadline();
                match STANDARD.decode(&line).map(Secret::new) {
                    Ok(response) => {
                        let progress = exchange.step(response.expose());
                        self.go_on(exchange, progress)
                    }
                    Err(_) => self.fail(Phase::Idle, &wording::auth_not_base64()),
                }
            }
        };
        Flow::Again
    }

    pub(super) fn auth_checked(&mut self, mut exchange: Exchange, answer: Answer) -> State {
        let found = match answer {
            Answer::Authenticated(identity) => Ok(Finding::Identity(identity)),
            Answer::Credentials(credentials) => Ok(Finding::Credentials(credentials)),
            Answer::NotAuthenticated(error) => Err(error),
            Answer::Refuse(status) => return self.refuse_proof(wording::auth_refused(&status)),
            other => return self.unexpected(Phase::Idle, &other),
        };
        let progress = exchange.answer(found);
        self.go_on(exchange, progress)
    }

    fn refuse_proof(&mut self, reply: Reply) -> State {
        self.counters.auth_failures = self.counters.auth_failures.saturating_add(1);
        // From when it was asked about, not from the answer: a check that takes
        // longer for some users than for others shows nothing of them.
        let until = self.now.after(self.config.auth_failure_delay);
        State::Pausing { until, reply }
    }

    /// Says at last that AUTH failed; the last failure allowed is a 421.
    pub(super) fn fail_auth(&mut self, reply: &Reply) -> State {
        if self.counters.auth_failures >= self.config.limits.auth_failures {
            return self.turn_away(&wording::too_many_errors());
        }
        self.fail(Phase::Idle, reply)
    }
}
