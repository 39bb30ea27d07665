//! What each command does in each state. A handler checks the state, changes
//! it or asks, and words the reply; nothing is sent from here.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mailcore::sasl::{Claim, Exchange, Inquiry, Offer, Privacy, Progress, Surroundings};
use mailcore::seams::{Proof, ProofKind};

use super::transfer::{Listing, Transfer, push_line};
use super::{Activity, Authorization, Phase, PlaintextLogin, Question, Session, Transport};
use crate::command::{Command, MessageNumber};
use crate::maildrop::{Maildrop, NoSuchMessage};
use crate::reply::Reply;
use crate::wording;

impl Session {
    /// Takes one complete line.
    pub(super) fn line(&mut self, line: &[u8]) {
        if let Phase::Authorization(Authorization::Exchange(_)) = &self.phase {
            return self.response(line);
        }
        match Command::parse(line) {
            Err(error) => {
                self.abandon_login();
                self.refuse(&wording::bad_command(error));
            }
            Ok(Command::Quit) => self.quit(),
            Ok(Command::Capa) => self.capa(),
            Ok(command) if matches!(self.phase, Phase::Authorization(_)) => {
                self.in_authorization(command);
            }
            Ok(command) => self.in_transaction(command),
        }
    }

    fn in_authorization(&mut self, command: Command) {
        // PASS is valid immediately after USER only (RFC 1939 section 7).
        let named =
            match std::mem::replace(&mut self.phase, Phase::Authorization(Authorization::Start)) {
                Phase::Authorization(Authorization::Named(login)) => Some(login),
                _ => None,
            };
        match (command, named) {
            (Command::Stls, _) => self.stls(),
            (Command::User(_) | Command::Pass(_) | Command::Auth { .. }, _)
                if !self.may_send_password() =>
            {
                self.refuse(&Reply::err(wording::TLS_REQUIRED));
            }
            (Command::User(login), _) => {
                self.reply(&Reply::ok(""));
                self.authorization(Authorization::Named(login));
            }
            (Command::Pass(password), Some(login)) => self.check(Claim {
                login,
                proof: Proof::Password(password),
            }),
            (Command::Pass(_), None) => self.refuse(&Reply::err(wording::NO_USER)),
            (Command::Auth { mechanism, initial }, _) => self.auth(&mechanism, initial.as_deref()),
            _ => self.refuse(&Reply::err(wording::NOT_NOW)),
        }
    }

    fn in_transaction(&mut self, command: Command) {
        let Phase::Transaction(maildrop, activity) = &mut self.phase else {
            return;
        };
        let reply = match command {
            Command::Noop => Ok(Reply::ok("")),
            Command::Rset => {
                maildrop.reset();
                Ok(Reply::ok(wording::holds(maildrop)))
            }
            Command::Stat => Ok(Reply::ok(format!(
                "{} {}",
                maildrop.messages(),
                maildrop.octets()
            ))),
            Command::Dele(number) => maildrop.delete(number).map(|()| wording::deleted(number)),
            Command::List(Some(number)) => list_one(maildrop, number, Listing::scan),
            Command::Uidl(Some(number)) => list_one(maildrop, number, Listing::unique_ids),
            Command::List(None) => {
                let reply = Reply::ok(wording::holds(maildrop));
                *activity = Activity::Listing(Listing::scan());
                Ok(reply)
            }
            Command::Uidl(None) => {
                *activity = Activity::Listing(Listing::unique_ids());
                Ok(Reply::ok(""))
            }
            Command::Retr(number) => match maildrop.entry(number) {
                Ok(entry) => {
                    *activity = Activity::Transfer(Transfer::retr(entry));
                    return;
                }
                Err(error) => Err(error),
            },
            Command::Top(number, lines) => match maildrop.entry(number) {
                Ok(entry) => {
                    *activity = Activity::Transfer(Transfer::top(entry, lines));
                    return;
                }
                Err(error) => Err(error),
            },
            _ => return self.refuse(&Reply::err(wording::NOT_NOW)),
        };
        match reply {
            Ok(reply) => self.reply(&reply),
            // A message that is gone is no error of a client that pipelines.
            Err(error) => self.reply(&wording::no_such(error)),
        }
    }

    /// RFC 2449 section 5. What is announced before login stays announced, but
    /// for STLS, which is only said where it is permitted (RFC 2595 section 4).
    fn capa(&mut self) {
        push_line(&mut self.output, &Reply::ok("capabilities follow"));
        for capability in ["TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING"] {
            push_line(&mut self.output, &capability);
        }
        if self.may_send_password() {
            push_line(&mut self.output, &"USER");
            push_line(&mut self.output, &"SASL PLAIN LOGIN");
        }
        let before_login = matches!(self.phase, Phase::Authorization(_));
        if before_login && self.transport == Transport::Starttls {
            push_line(&mut self.output, &"STLS");
        }
        push_line(&mut self.output, &"EXPIRE NEVER");
        push_line(&mut self.output, &"IMPLEMENTATION mailcore");
        push_line(&mut self.output, &".");
    }

    fn stls(&mut self) {
        match self.transport {
            Transport::Plain => self.refuse(&Reply::err(wording::NO_STLS)),
            Transport::Tls => self.refuse(&Reply::err(wording::TLS_ACTIVE)),
            Transport::Starttls => {
                // Whatever was pipelined behind STLS came in clear: it is
                // never run (RFC 2595 section 4).
                self.input.clear();
                self.reply(&Reply::ok("begin TLS"));
                self.phase = Phase::StartTls;
            }
        }
    }

    fn quit(&mut self) {
        if let Phase::Transaction(maildrop, _) = &self.phase {
            self.question = Some(Question::Update {
                deleted: maildrop.deleted(),
            });
            self.phase = Phase::Update;
        } else {
            self.reply(&wording::goodbye(self.config.hostname.as_str()));
            self.phase = Phase::Closing;
        }
    }

    /// RFC 5034 section 4. Every mechanism of ours sends the password in clear,
    /// which [`Session::in_authorization`] has looked at.
    fn auth(&mut self, mechanism: &str, initial: Option<&[u8]>) {
        let on = Surroundings {
            peer: None,
            protocol: "pop3",
            tls: None,
            privacy: Privacy::Private,
        };
        let offer = Offer::for_proofs(&[ProofKind::Password]);
        let Ok(mut exchange) = offer.begin(mechanism, on) else {
            return self.refuse(&Reply::err(wording::UNKNOWN_MECHANISM));
        };
        // A single `=` is a response of no octets.
        let decoded = match initial {
            Some(b"=") => Some(Vec::new()),
            Some(encoded) => match STANDARD.decode(encoded) {
                Ok(response) => Some(response),
                Err(_) => return self.refuse(&Reply::err(wording::NOT_BASE64)),
            },
            None => None,
        };
        let progress = exchange.start(decoded.as_deref());
        self.proceed(exchange, progress);
    }

    /// A line of a SASL exchange.
    fn response(&mut self, line: &[u8]) {
        let before = std::mem::replace(&mut self.phase, Phase::Closing);
        self.authorization(Authorization::Start);
        let Phase::Authorization(Authorization::Exchange(mut exchange)) = before else {
            return;
        };
        if line == b"*" {
            return self.reply(&Reply::err(wording::CANCELLED));
        }
        match STANDARD.decode(line) {
            Ok(response) => {
                let progress = exchange.step(&response);
                self.proceed(exchange, progress);
            }
            Err(_) => self.refuse(&Reply::err(wording::NOT_BASE64)),
        }
    }

    fn proceed(&mut self, exchange: Exchange, progress: Progress) {
        match progress {
            Progress::Challenge(text) => {
                push_line(
                    &mut self.output,
                    &format_args!("+ {}", STANDARD.encode(text)),
                );
                self.authorization(Authorization::Exchange(exchange));
            }
            Progress::Ask(Inquiry::Authenticate(request)) => self.check(Claim {
                login: request.login,
                proof: request.proof,
            }),
            Progress::Failed(error) => self.refuse(&wording::bad_exchange(&error)),
            _ => self.refuse(&Reply::err(wording::UNKNOWN_MECHANISM)),
        }
    }

    fn check(&mut self, credentials: Claim) {
        self.authorization(Authorization::Checking);
        self.question = Some(Question::Login(credentials));
    }

    fn may_send_password(&self) -> bool {
        self.transport == Transport::Tls || self.config.plaintext_login == PlaintextLogin::Anywhere
    }
}

fn list_one(
    maildrop: &Maildrop,
    number: MessageNumber,
    listing: fn() -> Listing,
) -> Result<Reply, NoSuchMessage> {
    let entry = maildrop.entry(number)?;
    Ok(Reply::ok(listing().line(maildrop, number, entry)))
}
