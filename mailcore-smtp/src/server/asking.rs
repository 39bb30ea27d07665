//! Questions outside of a transaction: VRFY and EXPN (RFC 5321 section 3.5),
//! ETRN (RFC 1985), HELP.
//!
//! Strangers learn nothing of who is here (RFC 5321 section 7.3).

use super::config::{Kind, Verify};
use super::question::{Answer, Question};
use super::session::Session;
use super::state::{Asked, Pending, Phase, State};
use super::table::{self, Rule, Stage};
use super::wording;
use crate::command::Verb;

impl Session {
    /// True when this peer is told who is here.
    fn may_ask(&self) -> bool {
        self.config.verify == Verify::Users && self.facts.is_known()
    }

    pub(super) fn vrfy(&mut self, phase: Phase, text: String) -> State {
        if !self.may_ask() {
            return self.reply_now(phase, &wording::cannot_verify());
        }
        State::Ask(Question::Verify(text), Pending::Asked(Asked::Verify, phase))
    }

    pub(super) fn expn(&mut self, phase: Phase, text: String) -> State {
        if !self.may_ask() {
            return self.fail(phase, &wording::cannot_expand());
        }
        State::Ask(Question::Expand(text), Pending::Asked(Asked::Expand, phase))
    }

    pub(super) fn etrn(&mut self, node: String) -> State {
        if !self.facts.is_known() {
            return self.fail(Phase::Idle, &wording::etrn_denied());
        }
        let asked = Asked::Start(node.clone());
        let question = Question::StartQueue {
            node,
            facts: self.facts.clone(),
        };
        State::Ask(question, Pending::Asked(asked, Phase::Idle))
    }

    pub(super) fn told(&mut self, asked: &Asked, phase: Phase, answer: &Answer) -> State {
        let reply = match (asked, answer) {
            (Asked::Verify | Asked::Expand, Answer::Addresses(addresses)) => {
                wording::addresses(addresses)
            }
            (Asked::Start(node), Answer::Started(0)) => wording::nothing_waits(node),
            (Asked::Start(node), Answer::Started(count)) => wording::queue_started(node, *count),
            (Asked::Start(_), Answer::Refuse(status)) => {
                return self.fail(phase, &wording::etrn_refused(status));
            }
            (_, Answer::Refuse(status)) => return self.fail(phase, &wording::refusal(status)),
            (_, other) => return self.unexpected(phase, other),
        };
        self.reply_now(phase, &reply)
    }

    pub(super) fn help(&mut self, phase: Phase, topic: Option<&str>) -> State {
        let usage = topic.and_then(|topic| {
            let word = topic.split(' ').next().unwrap_or(topic);
            Verb::ALL
                .into_iter()
                .find(|verb| word.eq_ignore_ascii_case(verb.as_str()))
                .filter(|verb| self.is_known(*verb))
        });
        let reply = match usage {
            Some(verb) => wording::usage(verb),
            None => wording::help(Verb::ALL.into_iter().filter(|verb| self.is_known(*verb))),
        };
        self.reply_now(phase, &reply)
    }

    /// True for commands that are of use to this peer.
    fn is_known(&self, verb: Verb) -> bool {
        let rule = table::rule(verb, Stage::Greeted, self.config.kind);
        let useful = match verb {
            Verb::Xclient => self.is_proxy(),
            Verb::Etrn => self.facts.is_known(),
            Verb::Expn => self.may_ask(),
            _ => true,
        };
        useful && !matches!(rule, Rule::NotImplemented | Rule::OtherProtocol)
    }

    /// True when VRFY and EXPN are worth their lines in the EHLO reply.
    pub(super) fn offers_lookups(&self) -> bool {
        self.may_ask()
    }

    /// True when ETRN is.
    pub(super) fn offers_etrn(&self) -> bool {
        self.facts.is_known() && self.config.kind != Kind::Lmtp
    }
}
