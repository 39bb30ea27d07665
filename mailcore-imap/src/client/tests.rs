//! Plays transcripts against [`ClientSession`]: `S:` is what the server says,
//! `C:` what the client must say, `E:` what it must hand out, `...` matches
//! anything, `#` comments. Each is played whole, octet by octet and in random
//! pieces. `BLESS=1` rewrites them.
//!
//! ```text
//! ! starttls                 asks for STARTTLS; in clear otherwise
//! ! start NAME arguments     begins a command
//! ! literal NAME text        begins one whose argument is a literal
//! ! stream NAME size         begins one whose argument is streamed
//! ! content text             the next octets of what is streamed
//! ! login NAME PASSWORD      and `authenticate`, `token`
//! ! idle, ! done
//! ! advance 29m              moves time
//! ! end                      the server's side of the connection ends
//! ```

use std::collections::VecDeque;
use std::time::Duration;

use mailcore::time::Monotonic;
use mailcore::wire::{Machine, Step, TlsInfo};
use proptest::prelude::*;

use super::command::Kind;
use super::*;

/// How the server's octets arrive.
#[derive(Debug, Clone, Copy)]
enum Cut {
    Whole,
    Octets,
    Random(u64),
}

struct Play {
    session: ClientSession,
    now: Monotonic,
    cut: Cut,
    said: Vec<u8>,
    told: VecDeque<String>,
    content: VecDeque<Vec<u8>>,
    closed: bool,
}

impl Play {
    fn new(config: ClientConfig, cut: Cut) -> Self {
        Self {
            session: ClientSession::new(config),
            now: Monotonic::default(),
            cut,
            said: Vec::new(),
            told: VecDeque::new(),
            content: VecDeque::new(),
            closed: false,
        }
    }

    fn pump(&mut self) {
        while !self.closed {
            match self.session.step(self.now) {
                Step::Send(octets) => {
                    assert!(octets.len() <= 65_536);
                    self.said.extend_from_slice(&octets);
                }
                Step::Ask(Question::Event(event)) => {
                    self.tell(&event);
                    self.session.answer(Answer::Go);
                }
                Step::Ask(Question::Content(..)) => match self.content.pop_front() {
                    Some(octets) => self.session.answer(Answer::Octets(octets.into())),
                    // Asked again when there is more.
                    None => return,
                },
                Step::Ask(Question::Next) | Step::Read { .. } => return,
                Step::UpgradeTls => {
                    self.said.extend_from_slice(b"(handshake)\r\n");
                    self.session.tls_established(TlsInfo::default());
                }
                Step::Close => {
                    self.closed = true;
                    let end = self.session.take_error();
                    let end = end.map_or("at our wish".to_owned(), |error| error.to_string());
                    self.told.push_back(format!("Closed: {end}"));
                }
                step => panic!("{step:?}"),
            }
        }
    }

    fn tell(&mut self, event: &Event) {
        let shown = match event {
            Event::Data(data) => format!("{data:?}"),
            Event::Status(status) => shown("Status", status),
            Event::Done(id, status) => shown(&format!("{id:?}"), status),
            Event::BodyBegins { known, key, size } => {
                format!("Begins {size} {:?} of {:?}", key.section, known.uid)
            }
            Event::Body(octets) => {
                let text = String::from_utf8_lossy(octets);
                let text = text.replace('\r', "|").replace('\n', "");
                // How content is cut is nobody's concern.
                match self.told.back_mut() {
                    Some(last) if last.starts_with("Octets ") => return last.push_str(&text),
                    _ => format!("Octets {text}"),
                }
            }
            other => format!("{other:?}"),
        };
        self.told.push_back(shown);
    }

    fn hear(&mut self, octets: &[u8]) {
        let mut rest = octets;
        let mut seed = match self.cut {
            Cut::Random(seed) => seed,
            _ => 0,
        };
        while !rest.is_empty() {
            let count = match self.cut {
                Cut::Whole => rest.len(),
                Cut::Octets => 1,
                Cut::Random(_) => {
                    seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    1 + usize::try_from(seed >> 60).unwrap()
                }
            };
            let (now, later) = rest.split_at(count.min(rest.len()));
            self.session.receive(now);
            self.pump();
            rest = later;
        }
    }

    fn direct(&mut self, words: &str) {
        let (verb, rest) = words.split_once(' ').unwrap_or((words, ""));
        let (name, argument) = rest.split_once(' ').unwrap_or((rest, ""));
        let command = || Command::new(Box::leak(name.to_owned().into_boxed_str()));
        let credentials = match verb {
            "token" => Credentials::token(name, argument),
            _ => Credentials::password(name, argument),
        };
        let command = match verb {
            "start" if argument.is_empty() => command(),
            "start" => command().raw(argument),
            "literal" => command().astring(argument.replace('|', "\r\n").as_bytes()),
            "stream" => command().raw("INBOX").stream(argument.parse().unwrap()),
            "login" => Command::new("LOGIN")
                .astring(name.as_bytes())
                .astring(argument.as_bytes())
                .of_kind(Kind::Login),
            "authenticate" | "token" => {
                let offered = self.session.capabilities();
                let mechanism = auth::choose(&credentials, offered, "mail.example").unwrap();
                Command::new("AUTHENTICATE")
                    .raw(mechanism.name())
                    .of_kind(Kind::Authenticate(mechanism))
            }
            "idle" => Command::new("IDLE").of_kind(Kind::Idle),
            "logout" => Command::new("LOGOUT").of_kind(Kind::Logout),
            _ => return self.direct_other(verb, rest),
        };
        self.session.start(command).unwrap();
        self.pump();
    }

    fn direct_other(&mut self, verb: &str, rest: &str) {
        match verb {
            "starttls" => {}
            "done" => self.session.done(),
            "content" => self
                .content
                .push_back(rest.replace('|', "\r\n").into_bytes()),
            "end" => self.session.end_of_input(),
            "advance" => {
                let minutes: u64 = rest.trim_end_matches('m').parse().unwrap();
                self.now = self.now.after(Duration::from_secs(minutes * 60));
            }
            other => panic!("no directive {other}"),
        }
        self.pump();
    }

    fn line(&mut self) -> Option<String> {
        let end = self.said.windows(2).position(|pair| pair == b"\r\n")?;
        let line: Vec<u8> = self.said.drain(..end + 2).take(end).collect();
        Some(String::from_utf8_lossy(&line).into_owned())
    }

    /// Plays `script`; the script with what really happened.
    fn run(name: &str, script: &str, cut: Cut, bless: bool) -> String {
        let security = match script.contains("! starttls") {
            true => Security::StartTls,
            false => Security::Plaintext,
        };
        let mut play = Self::new(ClientConfig::new().security(security), cut);
        let mut blessed = String::new();
        let drain = |play: &mut Self, blessed: &mut String| {
            if !bless {
                return;
            }
            loop {
                if let Some(line) = play.line() {
                    blessed.push_str(&format!("C: {line}\n"));
                } else if let Some(event) = play.told.pop_front() {
                    blessed.push_str(&format!("E: {event}\n"));
                } else {
                    return;
                }
            }
        };
        for (at, line) in script.lines().enumerate() {
            let place = format!("{name}:{} ({cut:?})", at + 1);
            match line.split_at(line.len().min(3)) {
                ("C: ", wanted) if !bless => expect(play.line(), wanted, &place),
                ("E: ", wanted) if !bless => expect(play.told.pop_front(), wanted, &place),
                ("C: " | "E: ", _) => continue,
                ("S: ", text) => play.hear(format!("{}\r\n", text.replace('|', "\r\n")).as_bytes()),
                ("! s", _) | ("! c" | "! d" | "! e" | "! a" | "! l" | "! t" | "! i", _) => {
                    play.direct(&line[2..]);
                }
                _ => {}
            }
            blessed.push_str(line);
            blessed.push('\n');
            drain(&mut play, &mut blessed);
        }
        if !bless {
            assert_eq!(
                (play.line(), play.told.pop_front()),
                (None, None),
                "{name}, at the end"
            );
        }
        blessed
    }
}

fn shown(what: &str, status: &Status) -> String {
    match &status.code {
        Some(code) => format!("{what} {:?} {code:?} {}", status.condition, status.text),
        None => format!("{what} {:?} {}", status.condition, status.text),
    }
}

fn expect(found: Option<String>, wanted: &str, place: &str) {
    let found = found.unwrap_or_default();
    let fits = match wanted.split_once("...") {
        Some((head, tail)) => found.starts_with(head) && found.ends_with(tail),
        None => found == wanted,
    };
    assert!(fits, "{place}: expected {wanted:?}, found {found:?}");
}

#[test]
fn every_transcript_plays_however_the_octets_are_cut() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/client");
    let bless = std::env::var_os("BLESS").is_some();
    let mut count = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let script = std::fs::read_to_string(&path).unwrap();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if bless {
            let blessed = Play::run(&name, &script, Cut::Whole, true);
            std::fs::write(&path, blessed).unwrap();
            continue;
        }
        let cuts = [Cut::Whole, Cut::Octets].into_iter();
        for cut in cuts.chain((1..20).map(Cut::Random)) {
            Play::run(&name, &script, cut, false);
        }
        count += 1;
    }
    assert!(bless || count >= 8, "{count} transcripts");
}

#[test]
fn octets_behind_the_answer_to_starttls_end_the_session() {
    let mut play = Play::new(ClientConfig::new().security(Security::StartTls), Cut::Whole);
    play.hear(b"* OK ready\r\n");
    play.hear(b"s0 OK begin\r\n* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n");
    let told = play.told.pop_front().unwrap();
    assert!(
        told.starts_with("Closed: ") && told.contains("hostile"),
        "{told}"
    );
    assert!(play.session.capabilities().is_empty());
}

#[test]
fn a_session_shows_no_secret() {
    let mut play = Play::new(ClientConfig::new(), Cut::Whole);
    play.hear(b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] ready\r\n");
    let credentials = Credentials::password("ann", "tanstaaf");
    let command = Command::new("LOGIN").astring(b"ann").astring(b"tanstaaf");
    play.session.start(command.of_kind(Kind::Login)).unwrap();
    let offered = play.session.capabilities();
    let mechanism = auth::choose(&credentials, offered, "").unwrap();
    let command = Command::new("AUTHENTICATE").of_kind(Kind::Authenticate(mechanism));
    play.session.start(command).unwrap();
    play.pump();
    assert!(!format!("{:?} {credentials:?}", play.session).contains("tanstaaf"));
}

/// What a server's octets come to.
fn heard(octets: &[u8], cut: Cut, limits: Limits) -> (VecDeque<String>, Vec<u8>) {
    let mut config = ClientConfig::new().security(Security::Plaintext);
    config.limits = limits;
    let mut play = Play::new(config, cut);
    play.hear(b"* OK hello\r\n");
    play.direct("start NOOP");
    play.hear(octets);
    play.session.end_of_input();
    play.pump();
    (play.told, play.said)
}

fn pieces() -> impl Strategy<Value = Vec<u8>> {
    const PIECES: &[&[u8]] = &[
        b"* ",
        b"\r\n",
        b"\n",
        b"a1 OK ",
        b"FETCH (",
        b"7 ",
        b"BODY[] ",
        b"RFC822 ",
        b"{3}\r\n",
        b"{300}\r\n",
        b"~{2+}\r\n",
        b"(",
        b")",
        b"\"",
        b"\\",
        b"NIL ",
        b"UID 5 ",
        b"ENVELOPE ",
        b"BODYSTRUCTURE ",
        b"LIST ",
        b"[COPYUID 1 2 3] ",
        b"SEARCH ",
        b"+ go\r\n",
        b"\0",
        b"\xff",
        b"* BYE x\r\n",
        b"STATUS a ",
        b"BINARY[1]<4> ",
    ];
    let piece = proptest::sample::select(PIECES);
    proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_octets_in_any_pieces_come_to_the_same(octets in pieces(), seed in 1u64..) {
        let limits = Limits { response: 200, literal: 100, body: 250, nesting: 4, ..Limits::default() };
        let whole = heard(&octets, Cut::Whole, limits);
        prop_assert_eq!(&whole, &heard(&octets, Cut::Octets, limits));
        prop_assert_eq!(&whole, &heard(&octets, Cut::Random(seed), limits));
    }
}
