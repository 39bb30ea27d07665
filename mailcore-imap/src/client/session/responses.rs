//! What the session makes of each response.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{ClientSession, Event, Held, Idle, MAX_CHALLENGES, Running, State};
use crate::client::Capabilities;
use crate::client::command::Kind;
use crate::client::config::Security;
use crate::client::error::{ClientError, ProtocolFault};
use crate::client::framer::Piece;
use crate::client::name::NameForm;
use crate::client::output::Wait;
use crate::client::response::fetch::{FetchResponse, Octets, head};
use crate::client::response::{Code, Condition, Data, Response, Status};

impl ClientSession {
    fn note_heard(&self, octets: &[u8]) {
        if let Some(transcript) = &self.config.transcript {
            let text = String::from_utf8_lossy(octets.get(..200).unwrap_or(octets)).into_owned();
            // What stands in a message is nobody's business here.
            let text = match text.find("FETCH (") {
                Some(at) => format!("{}FETCH (...)", text.get(..at).unwrap_or_default()),
                None => text,
            };
            transcript.server(text.replace(char::is_control, " "));
        }
    }

    /// Takes the next piece of what came; false when none is whole.
    pub(super) fn next_piece(&mut self) -> bool {
        let piece = match self.framer.next(&mut self.input, &self.settings.limits) {
            Ok(Some(piece)) => piece,
            Ok(None) => return false,
            Err(fault) => {
                self.fail(fault.into());
                return true;
            }
        };
        self.deadline = None;
        match piece {
            Piece::Response(octets) => {
                self.note_heard(&octets);
                self.weight = octets.len();
                let response = Response::parse(&octets, &self.settings);
                self.on_response(response);
            }
            Piece::BodyBegins(octets, size) => {
                match head(&octets, self.settings.limits.nesting) {
                    Some((response, key)) => {
                        // The rest of it is read again when it is whole.
                        let known = Box::new(response.fetched);
                        self.events
                            .push_back(Event::BodyBegins { known, key, size });
                    }
                    None => self.garbage("a literal in a place where none can be"),
                }
            }
            Piece::Body(octets) => {
                self.pace.moved(octets.len());
                self.events.push_back(Event::Body(octets));
            }
            Piece::BodyEnds => self.events.push_back(Event::BodyEnds),
        }
        true
    }

    fn garbage(&mut self, what: &str) {
        self.fail(ProtocolFault::NotImap(what.to_owned()).into());
    }

    fn on_response(&mut self, response: Response) {
        match (&self.state, response) {
            (_, Response::Garbage(text)) => self.garbage(&text),
            (State::Greeting, Response::Untagged(status)) => self.greeted(status),
            (State::Greeting, _) => self.garbage("no greeting"),
            (State::StartTls, Response::Tagged(_, status)) => self.on_starttls(status),
            // What comes in clear before a handshake counts for nothing (RFC
            // 9051 section 6.2.1).
            (State::StartTls, _) => {}
            (_, Response::Continue(text)) => self.on_continue(&text),
            (_, Response::Untagged(status)) => self.on_status(status),
            (_, Response::Tagged(tag, status)) => self.on_tagged(&tag, status),
            (_, Response::Data(data)) => self.on_data(data),
            (_, Response::Fetch(response)) => self.on_fetch(*response),
        }
    }

    fn greeted(&mut self, status: Status) {
        let secured = self.tls.is_some() || self.config.security != Security::StartTls;
        match status.condition {
            Condition::Bye => self.fail(ClientError::Bye(status.text)),
            // There is no STARTTLS once logged in: who greets so wants the
            // session to stay in clear.
            Condition::PreAuth if !secured => {
                self.fail(ClientError::TlsRefused("PREAUTH".to_owned()));
            }
            Condition::Ok | Condition::PreAuth if secured => {
                self.logged_in = status.condition == Condition::PreAuth;
                self.learn(&status);
                self.state = State::Ready;
            }
            Condition::Ok => {
                self.output.put(b"s0 STARTTLS\r\n");
                self.state = State::StartTls;
            }
            _ => self.garbage("no greeting"),
        }
    }

    fn on_starttls(&mut self, status: Status) {
        if status.condition != Condition::Ok {
            self.fail(ClientError::TlsRefused(status.text));
        } else if !self.input.is_empty() {
            self.fail(ProtocolFault::Injected.into());
        } else {
            self.state = State::Handshake;
        }
    }

    fn learn(&mut self, status: &Status) {
        if let Some(Code::Capability(capabilities)) = &status.code {
            self.capabilities = capabilities.clone();
            self.fresh = true;
        }
    }

    fn on_status(&mut self, status: Status) {
        self.learn(&status);
        if status.condition == Condition::Bye {
            self.bye = Some(status.text.clone());
        }
        self.events.push_back(Event::Status(status));
    }

    fn on_data(&mut self, data: Data) {
        match &data {
            Data::Capability(capabilities) => {
                self.capabilities = capabilities.clone();
                self.fresh = true;
            }
            Data::Enabled(names) => {
                let utf8 = |name: &String| name == "IMAP4REV2" || name == "UTF8=ACCEPT";
                if names.iter().any(utf8) {
                    self.settings.names = NameForm::Utf8;
                }
            }
            _ => {}
        }
        self.events.push_back(Event::Data(data));
    }

    fn on_fetch(&mut self, response: FetchResponse) {
        self.held = Some(Held {
            fetched: response.fetched,
            bodies: response.bodies.into_iter(),
        });
    }

    /// Hands out the next octets that a response held within it, and at last the
    /// response: one by one, since each goes with all that the response said.
    pub(super) fn next_held(&mut self) -> bool {
        let Some(held) = &mut self.held else {
            return false;
        };
        for (key, octets) in held.bodies.by_ref() {
            let octets = match octets {
                // NIL is not an empty message: some servers say it of one that
                // just went, and nobody must keep nothing in its place.
                Octets::Streamed | Octets::Absent => continue,
                Octets::Held(octets) => octets,
            };
            let (known, size) = (Box::new(held.fetched.clone()), octets.len() as u64);
            self.events
                .push_back(Event::BodyBegins { known, key, size });
            if !octets.is_empty() {
                self.events.push_back(Event::Body(octets.into()));
            }
            self.events.push_back(Event::BodyEnds);
            return true;
        }
        if let Some(Held { fetched, .. }) = self.held.take() {
            let data = Data::Fetch(Box::new(fetched));
            self.events.push_back(Event::Data(data));
        }
        true
    }

    fn on_continue(&mut self, text: &[u8]) {
        if let Some(sending) = &mut self.sending {
            if sending.wait == Wait::Leave {
                sending.leave(&mut self.output);
                self.go_on();
            }
            return;
        }
        // Nothing else is under way with the commands that wait for one.
        let Some(running) = self.running.first_mut() else {
            return;
        };
        match &mut running.kind {
            Kind::Idle if self.idle == Idle::Ending => {
                self.output.put(b"DONE\r\n");
                self.idle = Idle::No;
            }
            Kind::Idle => {
                self.idle = Idle::On(None);
                self.events.push_back(Event::Idling);
            }
            Kind::Authenticate(mechanism) => {
                running.challenges += 1;
                let challenge = STANDARD.decode(text).unwrap_or_default();
                let within = running.challenges <= MAX_CHALLENGES;
                let response = mechanism.respond(&challenge).filter(|_| within);
                match response {
                    Some(response) => {
                        let line = STANDARD.encode(response.expose());
                        self.output.put(line.as_bytes());
                        self.output.put(b"\r\n");
                    }
                    // RFC 9051 section 6.2.2: gives up.
                    None => self.output.put(b"*\r\n"),
                }
            }
            _ => {}
        }
    }

    fn on_tagged(&mut self, tag: &str, status: Status) {
        self.learn(&status);
        let Some(at) = self
            .running
            .iter()
            .position(|it| super::sending::tag(it.id) == tag)
        else {
            // A server that can't read a tag answers `* BAD` or a tag of its own.
            return self.garbage("an answer to no command of ours");
        };
        let mut running = self.running.remove(at);
        running.ended = Some(status);
        match &self.sending {
            // The server has no room for the literal: it will not come.
            Some(sending) if sending.id == running.id && sending.wait == Wait::Leave => {
                self.sending = None;
            }
            // Its octets are announced, and must come whatever the server said.
            Some(sending) if sending.id == running.id => {
                return self.running.insert(at, running);
            }
            _ => {}
        }
        self.end(running);
    }

    pub(super) fn end(&mut self, running: Running) {
        let Some(status) = running.ended else { return };
        self.pace.rest();
        match running.kind {
            Kind::Authenticate(mechanism)
                if status.condition == Condition::Ok && !mechanism.is_done() =>
            {
                return self.fail(ProtocolFault::Unproved.into());
            }
            Kind::Login | Kind::Authenticate(_) if status.condition == Condition::Ok => {
                self.logged_in = true;
                if !self.fresh {
                    // What was offered before the login (RFC 9051 section 6.2.2).
                    self.capabilities = Capabilities::default();
                }
            }
            Kind::Idle => self.idle = Idle::No,
            Kind::Logout => self.state = State::Closed,
            _ => {}
        }
        self.events.push_back(Event::Done(running.id, status));
    }
}

#[cfg(test)]
mod tests {
    use mailcore::time::Monotonic;
    use mailcore::wire::{Machine, Step};

    use super::*;
    use crate::client::ClientConfig;
    use crate::client::session::{Answer, Question};

    #[test]
    fn what_a_response_says_is_not_kept_once_for_each_text_in_it() {
        let mut session = ClientSession::new(ClientConfig::new().security(Security::Plaintext));
        session.receive(b"* OK hello\r\n* 1 FETCH (UID 7");
        session.receive(&b" BODY[1] \"x\"".repeat(500));
        session.receive(b" FLAGS ())\r\n");
        let mut begun = 0;
        while let Step::Ask(question) = session.step(Monotonic::default()) {
            assert!(session.events.len() <= 3, "{}", session.events.len());
            begun += match question {
                Question::Event(Event::BodyBegins { known, .. }) => {
                    assert_eq!(known.uid.map(|uid| uid.value()), Some(7));
                    1
                }
                Question::Event(_) => 0,
                _ => break,
            };
            session.answer(Answer::Go);
        }
        assert_eq!(begun, 500);
    }
}
