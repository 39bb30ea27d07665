//! Plays `tests/transcripts/*.txt` against the session: line by line, octet by
//! octet, and with everything pipelined. All three must say the same.
//!
//! `C:` and `S:` are lines of client and server, `S~` one that breaks off;
//! `! directive` steers the rest:
//! `plain`, `starttls`, `tls` (how the connection begins), `plaintext` (allow
//! passwords in clear), `message UID TEXT` (Rust escapes), `in-use`, `gone UID`,
//! `damaged UID OFFSET`, `stuck` (removal fails), `too-soon`, `no-folder`,
//! `apop` (the greeting shows `<000…@mx.test>`),
//! `utf8-header refuse|as-is`, `login-delay SECONDS`, `expire DAYS`,
//! `handshake`, `advance SECONDS`, `waits SECONDS`, `eof`, `shutdown`, `closed`,
//! `removed UIDS`.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a step that fails is a test that fails"
)]

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use mailcore::account::{AccountId, Identity, Secret};
use mailcore::mailbox::{Uid, UidValidity};
use mailcore::sasl::{Apop, Finding, Inquiry};
use mailcore::seams::{AuthError, Credentials, Entropy, Labelled, Proof};
use mailcore::time::Monotonic;
use mailcore::wire::{Machine, Step, TlsInfo};
use mailcore_pop3::maildrop::Maildrop;
use mailcore_pop3::session::{
    Answer, Expire, LoginRefusal, PlaintextLogin, Question, ReadFailure, Session, SessionConfig,
    Transport, UpdateOutcome, Utf8Header,
};

const USER: &str = "u@x.test";
const PASSWORD: &[u8] = b"secret pass";

/// Octets of one answer to `Read`, small so that messages take several.
const CHUNK: usize = 7;

#[derive(Clone, Copy, Debug)]
enum Feed {
    Lines,
    Octets,
    Pipelined,
}

#[derive(Default)]
struct World {
    messages: BTreeMap<u32, Vec<u8>>,
    refusal: Option<LoginRefusal>,
    stuck: bool,
    gone: Option<u32>,
    damaged: Option<(u32, u64)>,
    removed: Option<String>,
}

impl World {
    fn answer(&mut self, question: Question) -> Answer {
        match question {
            Question::Ask(inquiry) => Answer::Found(found(&inquiry)),
            Question::Open(_) => Answer::Opened(match self.refusal {
                Some(refusal) => Err(refusal),
                None => {
                    let messages = self.messages.iter();
                    Ok(Maildrop::new(
                        UidValidity::new(7).unwrap(),
                        messages.map(|(uid, m)| (Uid::new(*uid).unwrap(), m.len() as u64)),
                    ))
                }
            }),
            Question::Read { uid, from } => Answer::Read(self.read(uid.value(), from)),
            Question::Update { deleted } => {
                self.removed = Some(deleted.to_string());
                Answer::Update(if self.stuck {
                    UpdateOutcome::Incomplete
                } else {
                    UpdateOutcome::Removed
                })
            }
        }
    }

    fn read(&self, uid: u32, from: u64) -> Result<Bytes, ReadFailure> {
        if self.gone == Some(uid) {
            return Err(ReadFailure::Gone);
        }
        if self.damaged.is_some_and(|(u, at)| u == uid && from >= at) {
            return Err(ReadFailure::Damaged);
        }
        let rest = &self.messages[&uid][from as usize..];
        Ok(Bytes::copy_from_slice(&rest[..rest.len().min(CHUNK)]))
    }
}

/// Makes the same timestamp each time.
#[derive(Debug)]
struct Zeros;

impl Entropy for Zeros {
    fn fill(&self, octets: &mut [u8]) {
        octets.fill(0);
    }
}

/// What an authenticator that knows one user finds.
fn found(inquiry: &Inquiry) -> Result<Finding, AuthError> {
    match inquiry {
        Inquiry::Credentials(request) if request.login == USER => {
            let password = Labelled::only(Secret::new(PASSWORD));
            Ok(Finding::Credentials(Credentials::Passwords(vec![password])))
        }
        Inquiry::Authenticate(request) if request.login == USER => match &request.proof {
            Proof::Password(password) if password.expose() != PASSWORD => Err(AuthError::Invalid),
            _ => Ok(Finding::Identity(Identity {
                account: AccountId::new("u"),
                login: USER.into(),
            })),
        },
        _ => Err(AuthError::Invalid),
    }
}

struct Play {
    world: World,
    session: Option<Session>,
    transport: Transport,
    apop: bool,
    config: SessionConfig,
    now: Monotonic,
    waited: Option<Duration>,
    closed: bool,
    upgrading: bool,
    output: Vec<u8>,
}

impl Play {
    fn session(&mut self) -> &mut Session {
        let (transport, config, apop) = (self.transport, &self.config, self.apop);
        self.session.get_or_insert_with(|| {
            let session = Session::new(config.clone(), transport);
            match apop {
                true => session.apop(Apop::new(&Zeros, "mx.test")),
                false => session,
            }
        })
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
        match feed {
            Feed::Lines | Feed::Pipelined => {
                self.session().receive(octets);
                self.run();
            }
            Feed::Octets => {
                for octet in octets {
                    self.session().receive(&[*octet]);
                    self.run();
                }
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
            "apop" => self.apop = true,
            "plaintext" => self.config.plaintext_login = PlaintextLogin::Anywhere,
            "utf8-header" => {
                self.config.utf8_header = match first {
                    "refuse" => Utf8Header::Refuse,
                    "as-is" => Utf8Header::AsIs,
                    other => panic!("unknown form {other}"),
                }
            }
            "login-delay" => {
                self.config.login_delay = Duration::from_secs(first.parse().unwrap());
            }
            "expire" => self.config.expire = Expire::Days(first.parse().unwrap()),
            "message" => {
                let text = unescape(more);
                self.world.messages.insert(first.parse().unwrap(), text);
            }
            "in-use" => self.world.refusal = Some(LoginRefusal::InUse),
            "too-soon" => self.world.refusal = Some(LoginRefusal::TooSoon),
            "no-folder" => self.world.refusal = Some(LoginRefusal::NoFolder),
            "stuck" => self.world.stuck = true,
            "gone" => self.world.gone = Some(first.parse().unwrap()),
            "damaged" => {
                self.world.damaged = Some((first.parse().unwrap(), more.parse().unwrap()));
            }
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
            "removed" => assert_eq!(self.world.removed.as_deref(), Some(rest)),
            "nothing-removed" => assert_eq!(self.world.removed, None),
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

fn play(script: &str, feed: Feed) -> String {
    let mut config = SessionConfig::new("mx.test".parse().unwrap());
    config.max_errors = 4;
    let mut play = Play {
        world: World::default(),
        session: None,
        transport: Transport::Plain,
        apop: false,
        config,
        now: Monotonic::default(),
        waited: None,
        closed: false,
        upgrading: false,
        output: Vec::new(),
    };
    let (mut want, mut pending, mut begun) = (String::new(), Vec::new(), false);
    for line in script.lines().chain(["! end"]) {
        if let Some(text) = line.strip_prefix("C: ") {
            pending.extend_from_slice(&unescape(text));
            pending.extend_from_slice(b"\r\n");
        } else if let Some(text) = line.strip_prefix("S: ") {
            want.push_str(&text.replace("\\r", "\r"));
            want.push('\n');
        } else if let Some(text) = line.strip_prefix("S~ ") {
            want.push_str(text);
        } else if line == "C:" {
            pending.extend_from_slice(b"\r\n");
        }
        let due = !matches!(feed, Feed::Pipelined) || line.starts_with('!');
        if due && !pending.is_empty() {
            play.feed(&std::mem::take(&mut pending), feed);
        }
        match line.strip_prefix("! ") {
            Some("begin") => {
                begun = true;
                play.run();
            }
            Some("end") => assert!(begun, "the script has no `! begin`"),
            Some(words) => play.directive(words),
            None => {}
        }
    }
    let got = String::from_utf8_lossy(&play.output).replace("\r\n", "\n");
    assert_eq!(got, want, "{feed:?}");
    got
}

#[test]
fn every_transcript_holds_however_the_input_is_split() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/transcripts");
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
