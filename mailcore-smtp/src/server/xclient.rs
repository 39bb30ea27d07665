//! XCLIENT: a trusted proxy says for whom it speaks. The session then begins
//! anew, as that client's.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use mailcore::seams::Trust;

use super::question::{Answer, Question};
use super::session::Session;
use super::state::{Pending, Phase, State};
use super::wording;
use crate::command::{Told, Xclient};

impl Session {
    /// True when the peer at the other end of the connection may say for whom
    /// it speaks: a network of [`SmtpConfig::xclient`](super::SmtpConfig).
    pub(super) fn is_proxy(&self) -> bool {
        let peer = self.proxy.map(|proxy| proxy.ip());
        peer.is_some_and(|peer| self.config.xclient.iter().any(|it| it.contains(peer)))
    }

    pub(super) fn xclient(&mut self, asked: Xclient) -> State {
        if !self.is_proxy() {
            return self.fail(Phase::Idle, &wording::xclient_denied());
        }
        match &asked.login {
            Some(Told::Is(login)) => {
                let question = Question::Vouch(login.clone());
                State::Ask(question, Pending::Vouch(Box::new(asked)))
            }
            _ => self.speak_for(&asked),
        }
    }

    pub(super) fn vouched(&mut self, asked: &Xclient, answer: Answer) -> State {
        match answer {
            Answer::Authenticated(identity) => {
                let state = self.speak_for(asked);
                Arc::make_mut(&mut self.facts).identity = Some(identity);
                state
            }
            Answer::Refuse(_) => self.fail(Phase::Idle, &wording::xclient_login()),
            other => self.unexpected(Phase::Idle, &other),
        }
    }

    /// Takes over what was told and begins anew: the peer is asked about as any
    /// that has just connected.
    fn speak_for(&mut self, asked: &Xclient) -> State {
        let facts = Arc::make_mut(&mut self.facts);
        let known = facts.peer;
        let unknown = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        let ip = match asked.address {
            Some(Told::Is(ip)) => ip,
            Some(Told::Unknown) => unknown,
            None => known.map_or(unknown, |peer| peer.ip()),
        };
        let port = match asked.port {
            Some(Told::Is(port)) => port,
            Some(Told::Unknown) => 0,
            None => known.map_or(0, |peer| peer.port()),
        };
        facts.peer = Some(SocketAddr::new(ip, port));
        facts.helo = None;
        facts.identity = None;
        // What the proxy may do is not what its client may.
        facts.trust = Trust::Stranger;
        self.greeted = None;
        if let Some(told) = &asked.helo {
            self.told_helo = match told {
                Told::Is(name) => Some(name.clone()),
                Told::Unknown => None,
            };
        }
        self.welcomed_before = true;
        State::Connected
    }
}
