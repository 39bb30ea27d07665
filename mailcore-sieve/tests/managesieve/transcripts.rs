//! Plays `transcripts/*.txt` against the session: line by line, octet by octet,
//! and with everything pipelined. All three must say the same.
//!
//! `C:` and `S:` are lines of client and server, `C~` one without its end; Rust
//! escapes stand for octets. `! directive` steers the rest: `plain`, `starttls`,
//! `tls` (how the connection begins), `script NAME TEXT`, `active NAME`,
//! `unavailable`, `full`, `limit OCTETS` (of a script), `octets COUNT` (the client
//! sends as many), `handshake`, `advance SECONDS`, `waits SECONDS`, `eof`,
//! `shutdown`, `closed`.

use std::time::Duration;

use mailcore::time::Monotonic;
use mailcore::wire::{Machine, Step, TlsInfo};
use mailcore_sieve::managesieve::{Failure, Session, SessionConfig, Transport};

use crate::world::World;

#[derive(Clone, Copy, Debug)]
enum Feed {
    Lines,
    Octets,
    Pipelined,
}

struct Play {
    world: World,
    session: Option<Session>,
    transport: Transport,
    config: SessionConfig,
    now: Monotonic,
    waited: Option<Duration>,
    closed: bool,
    upgrading: bool,
    output: Vec<u8>,
}

impl Play {
    fn session(&mut self) -> &mut Session {
        let (transport, config) = (self.transport, &self.config);
        self.session
            .get_or_insert_with(|| Session::new(config.clone(), transport))
    }

    fn run(&mut self) {
        while !self.closed && !self.upgrading {
            let now = self.now;
            match self.session().step(now) {
                Step::Send(octets) => {
                    assert!(!octets.is_empty() && octets.len() <= 64 * 1024);
                    self.output.extend_from_slice(&octets);
                }
                Step::Ask(question) => {
                    let answer = self.world.answer(question);
                    self.session().answer(answer);
                }
                Step::Wait { until } => {
                    self.waited = Some(until.since(now));
                    self.now = until;
                }
                Step::UpgradeTls => self.upgrading = true,
                Step::Read { .. } => return,
                Step::Close => self.closed = true,
            }
        }
    }

    fn feed(&mut self, octets: &[u8], feed: Feed) {
        let piece = match feed {
            Feed::Lines | Feed::Pipelined => octets.len(),
            Feed::Octets => 1,
        };
        for mut octets in octets.chunks(piece) {
            // As a driver: no more than there is room for.
            while !octets.is_empty() && !self.closed && !self.upgrading {
                let room = self.session().input().room().min(octets.len());
                let (now, later) = octets.split_at(room);
                self.session().receive(now);
                self.run();
                octets = later;
            }
            if self.upgrading {
                self.session().receive(octets);
            }
        }
    }

    fn directive(&mut self, words: &str) {
        let (word, rest) = words.split_once(' ').unwrap_or((words, ""));
        let (first, more) = rest.split_once(' ').unwrap_or((rest, ""));
        match word {
            "plain" => self.transport = Transport::Plain,
            "starttls" => self.transport = Transport::Starttls,
            "tls" => self.transport = Transport::Tls,
            "limit" => self.config.max_script = first.parse().unwrap(),
            "unavailable" => self.world.failure = Some(Failure::Unavailable),
            "full" => self.world.failure = Some(Failure::Full),
            "script" => {
                let text = unescape(more);
                self.world.scripts.insert(first.into(), text);
            }
            "active" => self.world.active = Some(first.into()),
            "handshake" => {
                assert!(std::mem::take(&mut self.upgrading), "no handshake was due");
                self.session().tls_established(TlsInfo::default());
                self.run();
            }
            "advance" => {
                self.now = self.now.after(Duration::from_secs(first.parse().unwrap()));
                self.run();
            }
            "waits" => assert_eq!(
                self.waited.take(),
                Some(Duration::from_secs(first.parse().unwrap()))
            ),
            "eof" => {
                self.session().end_of_input();
                self.run();
            }
            "shutdown" => {
                self.session().shutdown();
                self.run();
            }
            "closed" => assert!(self.closed, "still open"),
            other => panic!("unknown directive {other}"),
        }
    }
}

fn unescape(text: &str) -> Vec<u8> {
    text.replace("\\r", "\r")
        .replace("\\n", "\n")
        .replace("\\0", "\0")
        .into_bytes()
}

fn play(script: &str, feed: Feed) {
    let mut config = SessionConfig::new("mx.test".parse().unwrap());
    config.max_errors = 4;
    config.extensions = ["fileinto", "enotify"].map(String::from).into();
    config.max_redirects = Some(5);
    let mut play = Play {
        world: World::default(),
        session: None,
        transport: Transport::Tls,
        config,
        now: Monotonic::default(),
        waited: None,
        closed: false,
        upgrading: false,
        output: Vec::new(),
    };
    let (mut want, mut pending) = (String::new(), Vec::new());
    for line in script.lines().chain(["! end"]) {
        if let Some(text) = line.strip_prefix("C: ") {
            pending.extend_from_slice(&unescape(text));
            pending.extend_from_slice(b"\r\n");
        } else if let Some(text) = line.strip_prefix("C~ ") {
            pending.extend_from_slice(&unescape(text));
        } else if let Some(count) = line.strip_prefix("! octets ") {
            pending.resize(pending.len() + count.parse::<usize>().unwrap(), b'x');
            continue;
        } else if let Some(text) = line.strip_prefix("S: ") {
            want.push_str(text);
            want.push('\n');
        } else if line == "S:" {
            want.push('\n');
        } else if line == "C:" {
            pending.extend_from_slice(b"\r\n");
        }
        let due = !matches!(feed, Feed::Pipelined) || line.starts_with('!');
        if due && !pending.is_empty() {
            play.feed(&std::mem::take(&mut pending), feed);
        }
        match line.strip_prefix("! ") {
            Some("begin") => play.run(),
            Some("end") => assert!(play.session.is_some(), "the script has no `! begin`"),
            Some(words) => play.directive(words),
            None => {}
        }
    }
    let got = String::from_utf8_lossy(&play.output).replace("\r\n", "\n");
    assert_eq!(got, want, "{feed:?}");
}

#[test]
fn every_transcript_holds_however_the_input_is_split() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/managesieve/transcripts");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        println!("{}", path.display());
        let script = std::fs::read_to_string(&path).unwrap();
        for feed in [Feed::Lines, Feed::Octets, Feed::Pipelined] {
            play(&script, feed);
        }
        count += 1;
    }
    assert!(count >= 8);
}
