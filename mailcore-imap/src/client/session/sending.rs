//! What the session says: commands begun, literals sent, IDLE ended.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{ClientSession, CommandId, Idle, Running};
use crate::client::command::{Command, Kind, Part};
use crate::client::output::Sending;

impl ClientSession {
    /// Begins what may be begun.
    pub(super) fn begin(&mut self) {
        while self.sending.is_none() && self.bye.is_none() {
            let under_way = self.running.len();
            let exclusive = self
                .running
                .iter()
                .any(|it| !matches!(it.kind, Kind::Plain));
            match self.queue.front() {
                Some((_, next)) if next.is_exclusive() && under_way > 0 => return,
                Some(_) if exclusive || under_way >= self.config.limits.pipeline.max(1) => return,
                Some(_) => {}
                None => return,
            }
            let Some((id, mut command)) = self.queue.pop_front() else {
                return;
            };
            let tag = tag(id);
            self.note_sent(&tag, &command);
            self.output.put(format!("{tag} ").as_bytes());
            self.prepare(&mut command);
            let (offered, limits) = (&self.capabilities, &self.config.limits);
            let mut sending = Sending::new(id, &mut command, offered, limits);
            let sent = sending.go_on(&mut self.output);
            self.sending = (!sent).then_some(sending);
            self.running.push(Running {
                id,
                name: command.name(),
                kind: command.kind,
                challenges: 0,
                ended: None,
            });
        }
    }

    /// What a command changes when it is sent.
    fn prepare(&mut self, command: &mut Command) {
        let sasl_ir = self.capabilities.has("SASL-IR");
        match &mut command.kind {
            Kind::Idle => self.idle = Idle::Asked,
            Kind::Login => self.fresh = false,
            Kind::Authenticate(mechanism) => {
                self.fresh = false;
                if let (true, true) = (sasl_ir, mechanism.speaks_first()) {
                    let response = mechanism.respond(b"").unwrap_or_default();
                    // An empty response is `=` (RFC 4959 section 3).
                    let text = match response.expose() {
                        [] => "=".to_owned(),
                        octets => STANDARD.encode(octets),
                    };
                    let with = std::mem::replace(command, Command::new("AUTHENTICATE"));
                    *command = with.raw(text);
                }
            }
            Kind::Plain | Kind::Logout => {}
        }
    }

    /// Goes on with the command being sent.
    pub(super) fn go_on(&mut self) {
        let Some(mut sending) = self.sending.take() else {
            return;
        };
        if !sending.go_on(&mut self.output) {
            self.sending = Some(sending);
            return;
        }
        let at = self.running.iter().position(|it| it.id == sending.id);
        if let Some(at) = at.filter(|&at| self.running.get(at).is_some_and(|it| it.ended.is_some()))
        {
            let running = self.running.remove(at);
            self.end(running);
        }
    }

    fn note_sent(&self, tag: &str, command: &Command) {
        if let Some(transcript) = &self.config.transcript {
            let name = command.name();
            let rest = match command.parts.first() {
                Some(Part::Octets(octets)) if !command.is_secret() => {
                    String::from_utf8_lossy(octets.get(name.len()..).unwrap_or_default())
                        .into_owned()
                }
                _ => " ...".to_owned(),
            };
            transcript.client(format_args!("{tag} {name}{rest}"));
        }
    }
}

/// The tag of a command.
pub(super) fn tag(id: CommandId) -> String {
    format!("a{}", id.0)
}
