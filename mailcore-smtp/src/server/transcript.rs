//! What is said in a session, for the log of its messages: each command but for
//! proofs, the first line of each reply, no content.

use mailcore::sasl::Mechanism;
use mailcore::wire::TlsInfo;

use super::session::Session;
use super::state::Phase;
use crate::command::{Command, CommandError};
use crate::reply::{Reply, ReplyCode};

impl Session {
    /// A command line. A transaction that begins after another starts the
    /// transcript anew. A line that is no command is not shown: clients whose
    /// AUTH was refused go on to send the name and the password.
    pub(super) fn note_line(
        &self,
        phase: &Phase,
        line: &[u8],
        parsed: Result<&Command, &CommandError>,
    ) {
        let Some(transcript) = &self.transcript else {
            return;
        };
        let starts = |verb: &[u8]| {
            line.get(..verb.len())
                .is_some_and(|head| head.eq_ignore_ascii_case(verb))
        };
        if matches!(phase, Phase::Idle) && starts(b"MAIL") && self.counters.transactions > 0 {
            transcript.clear();
            transcript.note("the session goes on");
        }
        match parsed {
            // What follows may be a proof, and even the mechanism may be one.
            Ok(Command::Auth(auth)) => match Mechanism::parse(&auth.mechanism) {
                Some(mechanism) => transcript.client(format_args!("AUTH {mechanism}")),
                None => transcript.client("AUTH"),
            },
            Err(_) if starts(b"AUTH") => transcript.client("AUTH"),
            Err(CommandError::UnknownVerb | CommandError::NotText | CommandError::Http) => {
                transcript.note(format_args!("{} octets that are no command", line.len()));
            }
            Ok(_) | Err(_) => transcript.client(String::from_utf8_lossy(line)),
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use mailcore::seams::FilterSession;
    use mailcore::time::Monotonic;
    use mailcore::transcript::Transcript;
    use mailcore::wire::{Machine as _, Step};

    use crate::server::{Answer, AuthOffer, Kind, Session, SmtpConfig};

    fn noted(line: &str) -> String {
        let mut config = SmtpConfig::new("mx.test".parse().unwrap(), Kind::Mx);
        config.greeting_delay = std::time::Duration::ZERO;
        config.auth = AuthOffer::UnderTls;
        let mut session = Session::new(Arc::new(config), FilterSession::new(None));
        let transcript = Transcript::default();
        session.keep_transcript(transcript.clone());
        let mut said = format!("EHLO x.test\r\n{line}\r\n").into_bytes();
        let mut greeted = false;
        loop {
            match session.step(Monotonic::default()) {
                Step::Ask(_) => session.answer(Answer::Proceed),
                Step::Send(_) => greeted = true,
                Step::Read { .. } if greeted && !said.is_empty() => {
                    session.input().extend(&std::mem::take(&mut said));
                }
                _ => return transcript.text(),
            }
        }
    }

    #[test]
    fn what_may_be_a_password_is_not_written_down() {
        // A client whose AUTH was refused may send the rest all the same.
        for line in [
            "AUTH PLAIN c2VjcmV0",
            "AUTH LOGIN\r\nc2VjcmV0\r\nc2VjcmV0",
            "AUTH  PLAIN  c2VjcmV0",
            "AUTH\tPLAIN c2VjcmV0",
            "auth c2VjcmV0",
            "AUTH c2VjcmV0 PLAIN",
            "AUTHPLAIN c2VjcmV0",
            " AUTH PLAIN c2VjcmV0",
            "c2VjcmV0\0",
            "PASS c2VjcmV0",
        ] {
            let text = noted(line);
            assert!(!text.contains("c2VjcmV0"), "{line:?}: {text}");
            assert!(text.contains("C: EHLO x.test"), "{text}");
        }
        assert!(noted("AUTH PLAIN c2VjcmV0").contains("C: AUTH PLAIN\n"));
        assert!(noted("VRFY bob").contains("C: VRFY bob\nS: 252"));
    }
}
