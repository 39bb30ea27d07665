//! What is said in a session, for the log of its messages: each command but for
//! proofs, the first line of each reply, no content.

use mailcore::wire::TlsInfo;

use super::session::Session;
use super::state::Phase;
use crate::reply::{Reply, ReplyCode};

impl Session {
    /// A command line. A transaction that begins after another starts the
    /// transcript anew.
    pub(super) fn note_line(&self, phase: &Phase, line: &[u8]) {
        let Some(transcript) = &self.transcript else {
            return;
        };
        let is = |verb: &[u8]| {
            line.get(..verb.len())
                .is_some_and(|head| head.eq_ignore_ascii_case(verb))
        };
        if matches!(phase, Phase::Idle) && is(b"MAIL") && self.counters.transactions > 0 {
            transcript.clear();
            transcript.note("the session goes on");
        }
        if is(b"AUTH") {
            // The second word alone: what follows may be a proof.
            let text = String::from_utf8_lossy(line);
            let mut words = text.split(' ');
            let mechanism = words.nth(1).unwrap_or_default();
            transcript.client(format_args!("AUTH {mechanism}"));
        } else {
            transcript.client(String::from_utf8_lossy(line));
        }
    }

    pub(super) fn note_reply(&self, reply: &Reply) {
        let Some(transcript) = &self.transcript else {
            return;
        };
        if reply.code() == ReplyCode::CHALLENGE {
            return;
        }
        let mut lines = reply.lines();
        let first = lines.next().unwrap_or_default();
        let more = if lines.next().is_some() { " …" } else { "" };
        match reply.enhanced_code() {
            Some(code) => transcript.server(format_args!("{} {code} {first}{more}", reply.code())),
            None => transcript.server(format_args!("{} {first}{more}", reply.code())),
        }
    }

    pub(super) fn note_tls(&self, info: &TlsInfo) {
        if let Some(transcript) = &self.transcript {
            transcript.note(format_args!("{} {}", info.version, info.cipher));
        }
    }
}
