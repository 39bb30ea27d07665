//! The connection as a whole: who may speak, EHLO and its extensions,
//! STARTTLS, and what a verb needs beside its place in the order of commands.

use std::sync::Arc;

use mailcore::address::Domain;
use mailcore::wire::TlsInfo;

use super::config::{Kind, StartTls};
use super::question::{Answer, Question};
use super::session::Session;
use super::state::{Pending, Phase, State};
use super::wording;
use crate::command::times::moment;
use crate::command::{Verb, Xclient};
use crate::extension::Extension;
use crate::reply::Reply;

impl Session {
    /// HELO, EHLO or LHLO: ends any transaction (RFC 5321 section 4.1.4).
    pub(super) fn greet(&mut self, verb: Verb, name: Domain) -> State {
        self.greeted = None;
        let name = self.told_helo.clone().unwrap_or_else(|| name.to_string());
        Arc::make_mut(&mut self.facts).helo = Some(name);
        State::Ask(Question::Greet(self.facts.clone()), Pending::Greet(verb))
    }

    pub(super) fn connected(&mut self, answer: &Answer) -> State {
        match answer {
            Answer::Proceed => State::Greeting { until: None },
            Answer::Welcome(trust) => {
                Arc::make_mut(&mut self.facts).trust = *trust;
                State::Greeting { until: None }
            }
            Answer::Refuse(status) | Answer::Disconnect(status) => {
                self.close_with(&wording::disconnect(status));
                State::Closing
            }
            _ => self.misanswered(),
        }
    }

    pub(super) fn greeted(&mut self, verb: Verb, answer: &Answer) -> State {
        match answer {
            Answer::Proceed => {
                self.greeted = Some(verb);
                let reply = match verb {
                    Verb::Helo => wording::helo(&self.config.hostname),
                    _ => wording::ehlo(&self.config.hostname, &self.extensions()),
                };
                self.reply_now(Phase::Idle, &reply)
            }
            Answer::Refuse(status) => {
                Arc::make_mut(&mut self.facts).helo = None;
                self.fail(Phase::Idle, &wording::refusal(status))
            }
            other => self.unexpected(Phase::Idle, other),
        }
    }

    /// The service extensions as they are offered now.
    fn extensions(&self) -> Vec<Extension> {
        let mut offered = vec![
            Extension::Pipelining,
            Extension::Size(Some(self.config.limits.message_size)),
            Extension::EightBitMime,
            Extension::EnhancedStatusCodes,
            Extension::SmtpUtf8,
            Extension::Dsn,
            Extension::Chunking,
            Extension::BinaryMime,
            Extension::MtPriority(None),
            Extension::Limits(self.limits_told()),
        ];
        offered.extend(self.timed_extensions());
        // Only within TLS (RFC 8689 section 2).
        if self.facts.tls.is_some() {
            offered.push(Extension::RequireTls);
        }
        if self.offers_etrn() {
            offered.push(Extension::Etrn);
        }
        if self.offers_lookups() {
            offered.extend([Extension::Vrfy, Extension::Expn]);
        }
        if self.is_proxy() {
            offered.push(Extension::Xclient(Xclient::ATTRIBUTES.to_owned()));
        }
        if self.tls_is_offered() {
            offered.push(Extension::StartTls);
        }
        let mechanisms = self.mechanisms();
        if !mechanisms.is_empty() && self.facts.identity.is_none() {
            offered.push(Extension::Auth(mechanisms));
        }
        offered
    }

    /// What is offered where the time is known.
    fn timed_extensions(&self) -> Vec<Extension> {
        let Some(now) = self.time() else {
            return Vec::new();
        };
        let least = self.config.least_deadline.as_secs();
        let mut offered = vec![Extension::DeliverBy((least > 0).then_some(least))];
        if self.offers_hold() {
            let until = moment(now.after(self.config.max_hold));
            let seconds = self.config.max_hold.as_secs();
            offered.push(Extension::FutureRelease(Some((seconds, until))));
        }
        offered
    }

    /// Numbers of up to six digits (RFC 9422 section 4).
    fn limits_told(&self) -> Vec<(String, u64)> {
        let limits = &self.config.limits;
        [
            ("RCPTMAX", limits.recipients),
            ("MAILMAX", limits.transactions),
        ]
        .into_iter()
        .filter(|(_, most)| (1..=999_999).contains(most))
        .map(|(name, most)| (name.to_owned(), most.into()))
        .collect()
    }

    fn tls_is_offered(&self) -> bool {
        self.config.start_tls != StartTls::Absent && self.facts.tls.is_none()
    }

    /// What a command needs that is legal now: TLS (RFC 3207 section 4),
    /// authentication (RFC 4954 section 6).
    pub(super) fn policy(&self, verb: Verb) -> Option<Reply> {
        let free = matches!(
            verb,
            Verb::Helo
                | Verb::Ehlo
                | Verb::Lhlo
                | Verb::Noop
                | Verb::Rset
                | Verb::Quit
                | Verb::StartTls
                | Verb::Help
                | Verb::Xclient
        );
        if free {
            return None;
        }
        if self.config.start_tls == StartTls::Required && self.facts.tls.is_none() {
            return Some(wording::tls_required());
        }
        let needs_auth = self.config.kind == Kind::Submission
            && verb != Verb::Auth
            && self.facts.identity.is_none();
        needs_auth.then(wording::auth_required)
    }

    pub(super) fn start_tls(&mut self) -> State {
        if self.facts.tls.is_some() {
            return self.fail(Phase::Idle, &wording::tls_already());
        }
        if !self.tls_is_offered() {
            return self.fail(Phase::Idle, &wording::tls_unavailable());
        }
        // What came with STARTTLS could be taken for something that came under
        // TLS: whoever put it there is not to be talked with.
        if !self.input.is_empty() {
            return self.turn_away(&wording::pipelined_past(Verb::StartTls));
        }
        self.say(&wording::ready_for_tls());
        State::StartTls
    }

    /// Nothing learnt in plaintext counts (RFC 3207 section 4.2).
    pub(super) fn forget_plaintext(&mut self, info: TlsInfo) {
        self.note_tls(&info);
        self.greeted = None;
        let facts = Arc::make_mut(&mut self.facts);
        facts.helo = None;
        facts.identity = None;
        facts.tls = Some(info);
    }

    /// The `with` keyword of the trace field (RFC 3848, RFC 6531 section 4.3).
    pub(super) fn protocol(&self, utf8: Utf8) -> &'static str {
        let secured = (self.facts.tls.is_some(), self.facts.identity.is_some());
        match (self.greeted, utf8, secured) {
            (Some(Verb::Helo), ..) => "SMTP",
            (Some(Verb::Lhlo), Utf8::Asked, (false, false)) => "UTF8LMTP",
            (Some(Verb::Lhlo), Utf8::Asked, (false, true)) => "UTF8LMTPA",
            (Some(Verb::Lhlo), Utf8::Asked, (true, false)) => "UTF8LMTPS",
            (Some(Verb::Lhlo), Utf8::Asked, (true, true)) => "UTF8LMTPSA",
            (Some(Verb::Lhlo), Utf8::Absent, (false, false)) => "LMTP",
            (Some(Verb::Lhlo), Utf8::Absent, (false, true)) => "LMTPA",
            (Some(Verb::Lhlo), Utf8::Absent, (true, false)) => "LMTPS",
            (Some(Verb::Lhlo), Utf8::Absent, (true, true)) => "LMTPSA",
            (_, Utf8::Asked, (false, false)) => "UTF8SMTP",
            (_, Utf8::Asked, (false, true)) => "UTF8SMTPA",
            (_, Utf8::Asked, (true, false)) => "UTF8SMTPS",
            (_, Utf8::Asked, (true, true)) => "UTF8SMTPSA",
            (_, Utf8::Absent, (false, false)) => "ESMTP",
            (_, Utf8::Absent, (false, true)) => "ESMTPA",
            (_, Utf8::Absent, (true, false)) => "ESMTPS",
            (_, Utf8::Absent, (true, true)) => "ESMTPSA",
        }
    }

    /// Maps the host's answer to what the question was about.
    pub(super) fn resolve(&mut self, pending: Pending, answer: Answer) -> State {
        match pending {
            Pending::Connect => self.connected(&answer),
            Pending::Greet(verb) => self.greeted(verb, &answer),
            Pending::Auth(exchange) => self.auth_checked(exchange, answer),
            Pending::Asked(asked, phase) => self.told(&asked, phase, &answer),
            Pending::Vouch(asked) => self.vouched(&asked, answer),
            Pending::Mail(transaction) => self.mail_answered(transaction, &answer),
            Pending::Rcpt(transaction) => self.rcpt_answered(transaction, &answer),
            Pending::Data(transaction) => self.data_answered(transaction, &answer),
            Pending::Chunk(receiving) => self.chunk_answered(receiving, answer),
            Pending::Bdat(chunked) => self.chunk_admitted(chunked, &answer),
            Pending::Finish(transaction) => self.finish_answered(&transaction, answer),
            Pending::Abort { replies, then } => {
                replies.iter().for_each(|reply| self.say(reply));
                *then
            }
        }
    }

    /// Answers that fit no question of their own: a disconnect, or a mistake
    /// of the host.
    pub(super) fn unexpected(&mut self, phase: Phase, answer: &Answer) -> State {
        match answer {
            Answer::Disconnect(status) => {
                self.close_with(&wording::disconnect(status));
                State::Closing
            }
            _ => self.reply(phase, &wording::local_error()),
        }
    }

    fn misanswered(&mut self) -> State {
        self.close_with(&wording::local_error());
        State::Closing
    }
}

/// Whether MAIL asked for SMTPUTF8.
#[derive(Debug, Clone, Copy)]
pub(super) enum Utf8 {
    Asked,
    Absent,
}
