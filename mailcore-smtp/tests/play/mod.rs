//! Plays a transcript against the session machine: a fixed host, a clock that
//! moves when it is told to, and no socket.
//!
//! Lines of a transcript:
//! - `C: text` the client sends the text and CRLF; `C+ text` the same, but
//!   together with what the next line sends; `C| text` the text alone; `\r`,
//!   `\n`, `\0`, `\xNN`, `\*30(text)` (text 30 times) and `\\` are escapes;
//! - `S: text` the server's next line;
//! - `M: text` the next message that the host took, as [`Host`] words it;
//! - `! wait` time passes until the server's time-out; `! tls` the handshake
//!   was asked for and is done; `! closed`, `! eof`, `! shutdown`;
//! - before the dialogue: `! kind`, `! auth`, `! starttls`, `! limit NAME N`,
//!   `! implicit-tls`, `! trusted`, `! verify users`, `! xclient` (the peer may
//!   send it), `! doors closed`, `! clock` (it is 2026-11-22T02:00:00Z); `! whole` where it matters which octets arrive together,
//!   `! in turn` where the client must await each reply;
//! - `! mechanisms NAME ..` what is offered in place of PLAIN and LOGIN, as far
//!   as the connection allows; nonces are of octets 7, the exporter of TLS of 9,
//!   and the host knows what all of them need;
//! - `#` a comment.

#![allow(dead_code, reason = "each test uses its part")]

mod host;

use std::sync::Arc;
use std::time::Duration;

use mailcore::account::Secret;
use mailcore::address::Domain;
use mailcore::sasl::{Mechanism, Offer};
use mailcore::seams::{Entropy, FilterSession};
use mailcore::time::{Monotonic, Timestamp};
use mailcore::wire::{Machine as _, Step, TlsInfo};
use mailcore_smtp::server::{AuthOffer, Doors, Kind, Session, SmtpConfig, StartTls, Verify};

use host::Host;

/// How the client's octets are cut: the size of each piece.
pub(crate) type Cut<'a> = &'a mut dyn FnMut() -> usize;

/// Plays `text`; returns it with the lines that the server really sent.
pub(crate) fn play(text: &str, cut: Cut<'_>) -> String {
    let mut player = Player::new(text);
    let mut played = String::new();
    let mut held = Vec::new();
    for line in text.lines() {
        if let Some(octets) = client_octets(line) {
            played.push_str(&format!("{line}\n"));
            held.extend(octets);
            if !line.starts_with("C+ ") {
                player.feed(&std::mem::take(&mut held), cut);
                played.push_str(&player.take_all());
            }
        } else if line.starts_with("S: ") || line.starts_with("M: ") {
            // What the server says is written where it says it.
        } else {
            played.push_str(&format!("{line}\n"));
            player.direct(line);
            played.push_str(&player.take_all());
        }
    }
    if player.closed && !text.contains("! closed") {
        played.push_str("! closed\n");
    }
    played
}

/// Plays `text` with all that the client sends between two directives at once;
/// returns the server's lines, then the messages.
pub(crate) fn play_pipelined(text: &str) -> String {
    let mut player = Player::new(text);
    let mut held = Vec::new();
    for line in text.lines() {
        match client_octets(line) {
            Some(octets) => held.extend(octets),
            None if line.starts_with("! ") => {
                player.feed(&std::mem::take(&mut held), &mut || usize::MAX);
                player.direct(line);
            }
            None => {}
        }
    }
    player.feed(&held, &mut || usize::MAX);
    player.take_all()
}

/// Sends `octets` to a server that offers AUTH in clear; returns its lines and
/// messages, and whether it closed.
pub(crate) fn play_octets(octets: &[u8], cut: Cut<'_>) -> (String, bool) {
    let mut player = Player::new("! auth always");
    player.direct("! wait");
    player.feed(octets, cut);
    (player.take_all(), player.closed)
}

/// What the server says and takes in `text`, in the order of
/// [`play_pipelined`].
pub(crate) fn expected(text: &str) -> String {
    let of = |label: &str| -> String {
        text.lines()
            .filter(|line| line.starts_with(label))
            .map(|line| format!("{line}\n"))
            .collect()
    };
    of("S: ") + &of("M: ")
}

/// Sevens, so that a dialogue can be written down.
#[derive(Debug)]
struct Sevens;

impl Entropy for Sevens {
    fn fill(&self, octets: &mut [u8]) {
        octets.fill(7);
    }
}

fn offered(text: &str) -> Option<Offer> {
    let names = text
        .lines()
        .find_map(|line| line.strip_prefix("! mechanisms "))?;
    let mechanisms: Vec<Mechanism> = names
        .split(' ')
        .map(|name| Mechanism::parse(name).expect("a mechanism"))
        .collect();
    let proofs = Mechanism::ALL.map(Mechanism::needs);
    let offer = Offer::of(&proofs, &mechanisms).host("mx.example.com");
    Some(offer.entropy(Arc::new(Sevens)))
}

fn tls() -> TlsInfo {
    let mut info = TlsInfo::default();
    info.bindings.exporter = Some(Secret::new([9; 32]));
    info
}

struct Player {
    session: Session,
    host: Host,
    now: Monotonic,
    until: Monotonic,
    output: Vec<u8>,
    handshakes: usize,
    closed: bool,
}

impl Player {
    fn new(text: &str) -> Self {
        let config = configured(text);
        let kind = config.kind;
        let facts = FilterSession::new(Some("192.0.2.9:4321".parse().unwrap()));
        let mut session = Session::new(Arc::new(config), facts);
        if let Some(offer) = offered(text) {
            session.offer(offer);
        }
        if text.lines().any(|line| line == "! implicit-tls") {
            session.tls_established(tls());
        }
        let now = Monotonic::default();
        if text.lines().any(|line| line == "! clock") {
            session.set_time(Timestamp::from_secs(1_795_312_800), now);
        }
        let mut player = Self {
            session,
            host: Host::new(kind, text.lines().any(|line| line == "! trusted")),
            now,
            until: now,
            output: Vec::new(),
            handshakes: 0,
            closed: false,
        };
        player.run();
        player
    }

    fn run(&mut self) {
        while !self.closed {
            match self.session.step(self.now) {
                Step::Send(octets) => self.output.extend_from_slice(&octets),
                Step::Ask(question) => self.session.answer(self.host.answer(question)),
                Step::Wait { until } => self.now = until,
                Step::UpgradeTls => {
                    self.handshakes += 1;
                    self.session.tls_established(tls());
                }
                Step::Read { until } => {
                    self.until = until;
                    return;
                }
                Step::Close => self.closed = true,
            }
        }
    }

    fn feed(&mut self, octets: &[u8], cut: Cut<'_>) {
        let mut rest = octets;
        while !rest.is_empty() && !self.closed {
            let room = self.session.input().room();
            assert!(
                room > 0,
                "the session waits for octets and has no room for them"
            );
            let (piece, tail) = rest.split_at(cut().clamp(1, rest.len()).min(room));
            rest = tail;
            self.session.receive(piece);
            self.run();
        }
    }

    fn direct(&mut self, line: &str) {
        match line {
            "! wait" => self.now = self.until,
            "! eof" => self.session.end_of_input(),
            "! shutdown" => self.session.shutdown(),
            "! closed" => assert!(self.closed, "the session is not closed: {:?}", self.session),
            "! tls" => {
                self.handshakes = self
                    .handshakes
                    .checked_sub(1)
                    .expect("no handshake was asked for");
            }
            _ => return,
        }
        self.run();
    }

    fn take_all(&mut self) -> String {
        let output = String::from_utf8(std::mem::take(&mut self.output)).unwrap();
        let mut all = String::new();
        for line in output.split_inclusive("\r\n") {
            let text = line
                .strip_suffix("\r\n")
                .expect("a reply line without its end");
            assert!(
                line.len() <= 512 && !text.contains(['\r', '\n']),
                "not a reply line: {line:?}"
            );
            all.push_str(&format!("S: {text}\n"));
        }
        for message in self.host.taken.drain(..) {
            all.push_str(&format!("M: {message}\n"));
        }
        all
    }
}

fn configured(text: &str) -> SmtpConfig {
    let mut config = SmtpConfig::new(Domain::parse("mx.example.com").unwrap(), Kind::Mx);
    for line in text.lines().filter_map(|line| line.strip_prefix("! ")) {
        let words: Vec<&str> = line.split(' ').collect();
        match words.as_slice() {
            ["kind", "submission"] => config.kind = Kind::Submission,
            ["kind", "lmtp"] => config = SmtpConfig::new(config.hostname, Kind::Lmtp),
            ["auth", "always"] => config.auth = AuthOffer::Always,
            ["auth", "never"] => config.auth = AuthOffer::Never,
            ["verify", "users"] => config.verify = Verify::Users,
            ["least-deadline", seconds] => {
                config.least_deadline = Duration::from_secs(seconds.parse().unwrap());
            }
            ["xclient"] => config.xclient = vec!["192.0.2.0/24".parse().unwrap()],
            ["doors", "closed"] => config.doors = Doors::Closed,
            ["starttls", "offered"] => config.start_tls = StartTls::Offered,
            ["starttls", "required"] => config.start_tls = StartTls::Required,
            ["limit", name, number] => {
                let number: u32 = number.parse().unwrap();
                let limits = &mut config.limits;
                match *name {
                    "errors" => limits.errors = number,
                    "recipients" => limits.recipients = number,
                    "unknown" => limits.unknown_recipients = number,
                    "transactions" => limits.transactions = number,
                    "idle" => limits.idle_commands = number,
                    "auth" => limits.auth_failures = number,
                    "size" => limits.message_size = number.into(),
                    "discard" => limits.discard = number.into(),
                    other => panic!("no limit {other}"),
                }
            }
            _ => {}
        }
    }
    config
}

fn client_octets(line: &str) -> Option<Vec<u8>> {
    let (text, end) = match line.get(..3).unwrap_or(line) {
        "C:" => ("", &b"\r\n"[..]),
        "C: " | "C+ " => (&line[3..], &b"\r\n"[..]),
        "C| " => (&line[3..], &b""[..]),
        _ => return None,
    };
    let mut octets = Vec::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('r') => octets.push(b'\r'),
                Some('n') => octets.push(b'\n'),
                Some('0') => octets.push(0),
                Some('x') => {
                    let digits: String = chars.by_ref().take(2).collect();
                    octets.push(u8::from_str_radix(&digits, 16).unwrap());
                }
                // `\*30(text)` repeats the text.
                Some('*') => {
                    let rest: String = chars.by_ref().take_while(|&c| c != ')').collect();
                    let (count, text) = rest.split_once('(').unwrap();
                    octets.extend(
                        text.repeat(count.parse().unwrap())
                            .replace("\\r\\n", "\r\n")
                            .into_bytes(),
                    );
                }
                other => octets.extend(other.map(|c| c as u8)),
            },
            c => octets.extend(c.to_string().into_bytes()),
        }
    }
    octets.extend_from_slice(end);
    Some(octets)
}
