//! [`Output`]: what a session says, on the wire and in the message log.

use mailcore::transcript::Transcript;
use mailcore::wire::TlsInfo;

use crate::command::{Auth, Command};
use crate::reply::Reply;

/// What stands for a password in a transcript.
const HIDDEN: &str = "***";

/// Octets to be sent, and the transcript of what they say. Content is counted
/// there, and answers within AUTH are hidden.
#[derive(Debug, Default)]
pub(super) struct Output {
    pub(super) octets: Vec<u8>,
    transcript: Option<Transcript>,
}

impl Output {
    pub(super) fn record(&mut self, transcript: Transcript) {
        self.transcript = Some(transcript);
    }

    pub(super) fn command(&mut self, command: &Command) {
        let line = command.encode();
        self.octets.extend_from_slice(line.as_bytes());
        match (&self.transcript, command) {
            (None, _) => {}
            (Some(transcript), Command::Auth(auth)) => transcript.client(without_secret(auth)),
            (Some(transcript), _) => transcript.client(line.trim_end()),
        }
    }

    /// A line that is nobody's business.
    pub(super) fn secret(&mut self, line: &str) {
        self.octets.extend_from_slice(line.as_bytes());
        self.octets.extend_from_slice(b"\r\n");
        if let Some(transcript) = &self.transcript {
            transcript.client(HIDDEN);
        }
    }

    pub(super) fn heard(&self, reply: &Reply) {
        let Some(transcript) = &self.transcript else {
            return;
        };
        let mut octets = Vec::new();
        reply.encode(&mut octets);
        let text = String::from_utf8_lossy(&octets);
        text.lines().for_each(|line| transcript.server(line));
    }

    pub(super) fn secured(&self, info: &TlsInfo) {
        self.note(&format!("{} with {}", info.version, info.cipher));
    }

    pub(super) fn note(&self, line: &str) {
        if let Some(transcript) = &self.transcript {
            transcript.note(line);
        }
    }
}

fn without_secret(auth: &Auth) -> String {
    match auth.initial_response {
        Some(_) => format!("AUTH {} {HIDDEN}", auth.mechanism),
        None => format!("AUTH {}", auth.mechanism),
    }
}
