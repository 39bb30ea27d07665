//! Plays transcripts against sessions: `C:` is sent, `S:` is expected, `C2:`
//! and `S2:` are a second connection, `...` matches anything, `#` comments.
//!
//! ```text
//! ! message INBOX \Seen     the lines `M:` that follow become a message there
//! ! tls | ! starttls        how every connection comes; in clear otherwise
//! ! refuse-plaintext        no passwords in clear
//! ! mechanisms CRAM-MD5     what is offered in place of PLAIN and LOGIN; nonces
//!                           are of octets 7
//! ! literal-minus           literals of 4096 octets at most come unasked for
//! ! advance 31m             moves time
//! ! quota 1000 5            octets and messages that alice may have; or `none`
//! ! message-limit 3         messages that one command works on
//! ! tombstones 2            expunges that a mailbox remembers; the store is empty
//! ! disk-full               the store has no room for mail from now on
//! ! compression off         it is not offered
//! ! notify-limit 2          mailboxes that NOTIFY looks at
//! ! slow 4                  seconds that each answer to connection 1 takes
//! ! deflate                 from here on connection 1 is compressed
//! ! end                     the client's side of the connection ends
//! ! shutdown                the server goes down
//! ```
//! A NUL is written as its picture, U+2400.
//! An `S:` line that is only `...` stands for any number of lines.

#![allow(dead_code, reason = "each test uses its part")]

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use mailcore::account::{AccountId, Identity, Secret};
use mailcore::address::{Address, Domain};
use mailcore::batch::{Batch, Receipt};
use mailcore::mailbox::{Flags, MailboxName, SystemFlag};
use mailcore::message::{Message, Summary};
use mailcore::net::Host;
use mailcore::sasl::{Mechanism, Offer};
use mailcore::seams::{
    AccountRecord, AuthError, AuthRequest, Authenticator, Clock, Commit, CommitError,
    CredentialRequest, Credentials, Directory, DirectoryError, DomainRecord, Entropy, Labelled,
    NewMessage, Proof, ProofKind, QuotaLimit, Resolution, ScramKeys, ScramPair, Stage, Storage,
    StoreError,
};
use mailcore::testing::{SeededEntropy, VirtualClock};
use mailcore::wire::{Machine, Step, TlsInfo};
use mailcore_imap::server::SessionHost;
use mailcore_imap::session::{
    Compression, Config, Literals, Peer, PlaintextLogin, Session, Transport,
};
use mailcore_store::memory::{MemoryLimits, MemoryStore};

/// How a client's octets arrive.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Cut {
    /// What the client says in one go comes in one go.
    Whole,
    /// Octet by octet.
    Bytes,
    /// In pieces drawn from this seed.
    Random(u64),
}

/// Alice's password is `secret`; nobody else has one.
#[derive(Debug)]
pub(crate) struct Passwords;

#[async_trait::async_trait]
impl Authenticator for Passwords {
    async fn authenticate(&self, request: &AuthRequest) -> Result<Identity, AuthError> {
        let is_right = match &request.proof {
            Proof::Password(password) => password.expose() == b"secret",
            Proof::Verified(_) => true,
            _ => false,
        };
        match is_right && request.login == "alice" {
            true => Ok(Identity {
                account: AccountId::new("alice"),
                login: "alice".into(),
            }),
            false => Err(AuthError::Invalid),
        }
    }

    fn proofs(&self) -> Vec<ProofKind> {
        Mechanism::ALL.map(Mechanism::needs).to_vec()
    }

    async fn credentials(&self, request: &CredentialRequest) -> Result<Credentials, AuthError> {
        let (salt, iterations) = (b"salt of alice's".to_vec(), 4_096);
        let value = ScramPair::derive(request.kind, b"secret", &salt, iterations);
        Ok(match value {
            Some(value) => Credentials::Scram(ScramKeys {
                salt,
                iterations,
                pairs: vec![Labelled { label: None, value }],
            }),
            None => Credentials::Passwords(vec![Labelled::only(Secret::new(b"secret"))]),
        })
    }
}

/// Sevens, so that a dialogue can be written down.
#[derive(Debug)]
struct Sevens;

impl Entropy for Sevens {
    fn fill(&self, octets: &mut [u8]) {
        octets.fill(7);
    }
}

/// Everybody's quota; there is nothing else to know.
#[derive(Debug, Clone, Default)]
struct Quotas(Arc<Mutex<QuotaLimit>>);

#[async_trait::async_trait]
impl Directory for Quotas {
    async fn domain(&self, _: &Domain) -> Result<Option<DomainRecord>, DirectoryError> {
        Ok(None)
    }
    async fn resolve(&self, _: &Address) -> Result<Resolution, DirectoryError> {
        Ok(Resolution::Unknown)
    }
    async fn account(&self, id: &AccountId) -> Result<Option<AccountRecord>, DirectoryError> {
        let limit = *self.0.lock().unwrap();
        let mut record = AccountRecord::new(id.clone(), "alice@mail.example".parse().unwrap());
        (record.quota, record.quota_messages) = (limit.octets, limit.messages);
        Ok(Some(record))
    }
    async fn may_send_as(&self, _: &AccountId, _: &Address) -> Result<bool, DirectoryError> {
        Ok(false)
    }
    async fn domains(&self) -> Result<Vec<DomainRecord>, DirectoryError> {
        Ok(Vec::new())
    }
}

/// A store whose disk can be said to be full.
#[derive(Debug)]
struct Disk {
    store: MemoryStore,
    full: Arc<AtomicBool>,
}

#[async_trait::async_trait]
impl Commit for Disk {
    async fn commit(&self, batch: Batch) -> Result<Receipt, CommitError> {
        self.store.commit(batch).await
    }
    async fn stage(&self) -> Result<Box<dyn Stage>, StoreError> {
        self.store.stage().await
    }
    fn has_room(&self, _: u64) -> bool {
        !self.full.load(Ordering::Relaxed)
    }
}

/// Runs futures that never wait for anything outside the process.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(value) = future
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
        {
            return value;
        }
    }
}

struct Client {
    session: Session,
    host: SessionHost,
    received: Vec<u8>,
    closed: bool,
    deflate: Option<Wire>,
    /// What the store takes for each answer.
    slow: Duration,
}

/// The client's side of a compressed connection.
pub(crate) struct Wire(flate2::Compress, flate2::Decompress);

impl Wire {
    pub(crate) fn new() -> Self {
        let level = flate2::Compression::default();
        Self(
            flate2::Compress::new(level, false),
            flate2::Decompress::new(false),
        )
    }

    /// What the client sends, for the server to read at once.
    pub(crate) fn compress(&mut self, octets: &[u8]) -> Vec<u8> {
        let mut made = Vec::with_capacity(octets.len() * 2 + 256);
        let flush = flate2::FlushCompress::Sync;
        self.0.compress_vec(octets, &mut made, flush).unwrap();
        assert!(made.len() < made.capacity());
        made
    }

    /// What the server said.
    pub(crate) fn inflate(&mut self, mut octets: &[u8]) -> Vec<u8> {
        let mut made = Vec::new();
        loop {
            made.reserve(64 * 1024);
            let before = self.1.total_in();
            let flush = flate2::FlushDecompress::None;
            self.1.decompress_vec(octets, &mut made, flush).unwrap();
            octets = &octets[usize::try_from(self.1.total_in() - before).unwrap()..];
            if octets.is_empty() && made.len() < made.capacity() {
                return made;
            }
        }
    }
}

impl Client {
    /// Steps until the session waits for octets or is closed.
    fn pump(&mut self, clock: &VirtualClock) {
        while !self.closed {
            match self.session.step(clock.monotonic()) {
                Step::Send(octets) => {
                    assert!(octets.len() <= 65_536, "a piece of {} octets", octets.len());
                    match &mut self.deflate {
                        Some(wire) => self.received.extend(wire.inflate(&octets)),
                        None => self.received.extend_from_slice(&octets),
                    }
                }
                Step::Ask(question) => {
                    let answer = block_on(self.host.answer(question));
                    clock.advance(self.slow);
                    self.session.answer(answer);
                }
                Step::Wait { until } => clock.advance(until.since(clock.monotonic())),
                Step::UpgradeTls => self.session.tls_established(TlsInfo::default()),
                Step::Close => self.closed = true,
                Step::Read { .. } => match self.notice() {
                    Some(notice) => self.session.notify(notice),
                    None => return,
                },
            }
        }
    }

    fn notice(&mut self) -> Option<mailcore_imap::session::Notice> {
        match pin!(self.host.notice()).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(notice) => Some(notice),
            Poll::Pending => None,
        }
    }

    /// The next line the server sent, without CRLF.
    fn line(&mut self) -> Option<String> {
        let end = self.received.windows(2).position(|pair| pair == b"\r\n")?;
        let line: Vec<u8> = self.received.drain(..end + 2).take(end).collect();
        Some(String::from_utf8_lossy(&line).replace('\0', "\u{2400}"))
    }
}

/// A script in play.
pub(crate) struct Play {
    clock: VirtualClock,
    store: MemoryStore,
    quotas: Quotas,
    disk_full: Arc<AtomicBool>,
    config: Config,
    transport: Transport,
    mechanisms: Vec<Mechanism>,
    cut: Cut,
    clients: Vec<Option<Client>>,
    /// The script with what the server really said.
    blessed: String,
}

impl Play {
    /// An empty store, and nobody connected.
    pub(crate) fn new(cut: Cut) -> Self {
        let clock = VirtualClock::new();
        let mut config = Config::new("mail.example");
        config.plaintext_login = PlaintextLogin::Anywhere;
        Self {
            store: MemoryStore::with(Arc::new(clock.clone()), Arc::new(SeededEntropy::new(1))),
            quotas: Quotas::default(),
            disk_full: Arc::default(),
            clock,
            config,
            transport: Transport::Plain,
            mechanisms: vec![Mechanism::Plain, Mechanism::Login],
            cut,
            clients: vec![None, None, None],
            blessed: String::new(),
        }
    }

    /// Sends `text` from a client; what every client was told since.
    pub(crate) fn exchange(&mut self, index: usize, text: &str) -> [Vec<String>; 3] {
        self.send(index, text.as_bytes());
        [0, 1, 2].map(|index| {
            let client = self.clients[index].as_mut();
            client
                .map(|client| std::iter::from_fn(|| client.line()).collect())
                .unwrap_or_default()
        })
    }

    /// Drops a client's connection without a word.
    pub(crate) fn hang_up(&mut self, index: usize) {
        self.clients[index] = None;
    }

    /// What the clients work on.
    pub(crate) fn store(&self) -> &MemoryStore {
        &self.store
    }

    /// Plays `script`.
    ///
    /// # Panics
    /// When the server says something else.
    pub(crate) fn run(name: &str, script: &str, cut: Cut, bless: bool) -> String {
        let mut play = Self::new(cut);
        let lines: Vec<&str> = script.lines().collect();
        let mut at = 0;
        while let Some(line) = lines.get(at) {
            let place = format!("{name}:{} ({cut:?})", at + 1);
            at += play.line(line, &lines[at..], &place, bless);
        }
        for (index, client) in play.clients.iter_mut().enumerate().filter(|_| !bless) {
            if let Some(line) = client.as_mut().and_then(Client::line) {
                panic!(
                    "{name}: at the end connection {} was also told {line:?}",
                    index + 1
                );
            }
        }
        play.blessed
    }

    /// Plays a line, or several that belong together; returns how many.
    fn line(&mut self, line: &str, rest: &[&str], place: &str, bless: bool) -> usize {
        let (kind, text) = line.split_once(' ').unwrap_or((line, ""));
        match kind {
            "C:" | "C2:" => {
                let mut sent = Vec::new();
                let block = rest
                    .iter()
                    .take_while(|it| it.split(' ').next() == Some(kind));
                // Blessing puts each answer behind its line.
                let block: Vec<&&str> = block.take(if bless { 1 } else { usize::MAX }).collect();
                for line in &block {
                    let text = line.split_once(' ').map_or("", |(_, text)| text);
                    sent.extend_from_slice(text.replace('\u{2400}', "\0").as_bytes());
                    sent.extend_from_slice(b"\r\n");
                    self.say(line);
                }
                self.send(usize::from(kind == "C2:"), &sent);
                if bless {
                    self.bless(rest);
                }
                block.len()
            }
            "S:" | "S2:" if bless => {
                if text == "(closed)" {
                    self.say(line);
                }
                1
            }
            "S:" | "S2:" => {
                self.expect(usize::from(kind == "S2:"), text, rest, place);
                1
            }
            "!" if text.starts_with("message ") => {
                let body = rest.iter().skip(1).take_while(|it| it.starts_with("M:"));
                let body: Vec<&str> = body.map(|it| it.get(3..).unwrap_or("")).collect();
                rest.iter()
                    .take(body.len() + 1)
                    .for_each(|line| self.say(line));
                self.deliver(text, &body.join("\r\n"));
                if bless {
                    self.bless(rest);
                }
                body.len() + 1
            }
            "!" => {
                self.say(line);
                self.direct(text, place);
                if bless {
                    self.bless(rest);
                }
                1
            }
            _ => {
                assert!(
                    line.is_empty() || line.starts_with('#'),
                    "{place}: what is {line:?}?"
                );
                self.say(line);
                1
            }
        }
    }

    fn say(&mut self, line: &str) {
        self.blessed.push_str(line);
        self.blessed.push('\n');
    }

    /// Writes down what was said. A pattern that stood here and fits stays.
    fn bless(&mut self, rest: &[&str]) {
        let old = rest.iter().skip(1).take_while(|it| !it.starts_with('C'));
        let old: Vec<&str> = old
            .filter_map(|it| it.split_once(' '))
            .map(|(_, text)| text)
            .filter(|text| text.contains("...") && *text != "...")
            .collect();
        for index in 0..self.clients.len() {
            while let Some(line) = self.clients[index].as_mut().and_then(Client::line) {
                let kind = if index == 0 { "S:" } else { "S2:" };
                let said = match old.iter().find(|pattern| matches(pattern, &line)) {
                    Some(pattern) => (*pattern).to_owned(),
                    None => without_capabilities(&line),
                };
                self.say(format!("{kind} {said}").trim_end());
            }
        }
    }

    /// The connection; it is made when it is first needed.
    fn client(&mut self, index: usize) -> &mut Client {
        if self.clients[index].is_none() {
            let store: Arc<MemoryStore> = Arc::new(self.store.clone());
            let peer = Peer {
                address: None,
                transport: self.transport,
            };
            let mechanisms = &self.mechanisms;
            let offer = Offer::among(&Passwords, mechanisms).host("mail.example");
            let session = Session::new(Arc::new(self.config.clone()), store.abilities(), peer)
                .offering(offer.entropy(Arc::new(Sevens)), None);
            let clock: Arc<dyn Clock> = Arc::new(self.clock.clone());
            let disk = Arc::new(Disk {
                store: self.store.clone(),
                full: Arc::clone(&self.disk_full),
            });
            let host = SessionHost::new(store, disk, Arc::new(Passwords), clock)
                .directory(Arc::new(self.quotas.clone()));
            let mut client = Client {
                session,
                host,
                received: Vec::new(),
                closed: false,
                deflate: None,
                slow: Duration::ZERO,
            };
            client.pump(&self.clock);
            self.clients[index] = Some(client);
        }
        self.clients[index].as_mut().unwrap()
    }

    fn pump_all(&mut self) {
        // Twice: what one does may concern the other.
        for _ in 0..2 {
            for client in self.clients.iter_mut().flatten() {
                client.pump(&self.clock);
            }
        }
    }

    fn send(&mut self, index: usize, octets: &[u8]) {
        let wire = self.client(index).deflate.as_mut();
        let compressed = wire.map(|wire| wire.compress(octets));
        let mut rest = compressed.as_deref().unwrap_or(octets);
        let mut seed = match self.cut {
            Cut::Random(seed) => seed | 1,
            _ => 1,
        };
        while !rest.is_empty() {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let size = match self.cut {
                Cut::Whole => rest.len(),
                Cut::Bytes => 1,
                Cut::Random(_) => usize::try_from(seed >> 33).unwrap() % 23 + 1,
            };
            let client = self.client(index);
            let size = size
                .min(rest.len())
                .min(client.session.input().room().max(1));
            client.session.receive(&rest[..size]);
            rest = &rest[size..];
            self.pump_all();
        }
    }

    fn expect(&mut self, index: usize, text: &str, rest: &[&str], place: &str) {
        self.client(index);
        self.pump_all();
        let client = self.client(index);
        if text == "..." {
            let kind = rest[0].split(' ').next();
            let next = rest
                .iter()
                .skip(1)
                .find(|it| it.split(' ').next() == kind)
                .and_then(|it| it.split_once(' '));
            while let Some(line) = client.line() {
                if next.is_some_and(|(_, next)| matches(next, &line)) {
                    let mut back = line.into_bytes();
                    back.extend_from_slice(b"\r\n");
                    client.received.splice(0..0, back);
                    break;
                }
            }
            return;
        }
        if text == "(closed)" {
            assert!(
                client.closed && client.received.is_empty(),
                "{place}: not closed"
            );
            return;
        }
        match client.line() {
            Some(line) => assert!(
                matches(text, &line),
                "{place}:\nexpected {text:?}\nreceived {line:?}"
            ),
            None => panic!("{place}: expected {text:?}, received nothing"),
        }
    }

    fn direct(&mut self, text: &str, place: &str) {
        match text.split(' ').collect::<Vec<_>>().as_slice() {
            ["tls"] => self.transport = Transport::Tls,
            ["mechanisms", names @ ..] => {
                let known = names.iter().map(|name| Mechanism::parse(name).unwrap());
                self.mechanisms = known.collect();
            }
            ["starttls"] => self.transport = Transport::PlainWithStartTls,
            ["literal-minus"] => self.config.literals = Literals::Minus,
            ["refuse-plaintext"] => self.config.plaintext_login = PlaintextLogin::WithinTls,
            ["advance", minutes] => {
                let minutes: u64 = minutes.trim_end_matches('m').parse().unwrap();
                self.clock.advance(Duration::from_secs(minutes * 60));
            }
            ["message-limit", messages] => {
                self.config.message_limit = Some(messages.parse().unwrap());
            }
            ["tombstones", expunges] => {
                let mut limits = MemoryLimits::default();
                limits.tombstones = expunges.parse().unwrap();
                let (clock, entropy) = (Arc::new(self.clock.clone()), SeededEntropy::new(1));
                self.store = MemoryStore::with_limits(clock, Arc::new(entropy), limits);
            }
            ["append-limit", octets] => self.config.append_limit = octets.parse().unwrap(),
            ["quota", octets, messages] => {
                let limit = |text: &str| (text != "none").then(|| text.parse().unwrap());
                *self.quotas.0.lock().unwrap() = QuotaLimit {
                    octets: limit(octets),
                    messages: limit(messages),
                };
            }
            ["disk-full"] => self.disk_full.store(true, Ordering::Relaxed),
            ["notify-limit", mailboxes] => {
                self.config.max_notify_mailboxes = mailboxes.parse().unwrap();
            }
            ["slow", seconds] => {
                self.client(0).slow = Duration::from_secs(seconds.parse().unwrap());
            }
            ["deflate"] => self.client(0).deflate = Some(Wire::new()),
            ["compression", "off"] => self.config.compression = Compression::Off,
            ["end"] => self.client(0).session.end_of_input(),
            ["shutdown"] => self.client(0).session.shutdown(),
            _ => panic!("{place}: what is {text:?}?"),
        }
        self.pump_all();
    }

    /// `message MAILBOX [FLAG...]`
    fn deliver(&mut self, text: &str, content: &str) {
        let mut words = text.split(' ').skip(1);
        let name = MailboxName::parse(words.next().unwrap()).unwrap();
        let flags: Flags = words.filter_map(SystemFlag::parse).collect();
        let octets = content.as_bytes().to_vec();
        let message = NewMessage {
            summary: Arc::new(Summary::scan(&octets)),
            message: Message::from_bytes(octets),
            flags,
            internal_date: self.clock.now(),
        };
        let account = AccountId::new("alice");
        block_on(async {
            if self.store.open(&account, &name).await.is_err() {
                self.store.create(&account, &name, None).await.unwrap();
            }
            let mailbox = self.store.open(&account, &name).await.unwrap();
            mailbox
                .append(vec![message], QuotaLimit::NONE)
                .await
                .unwrap();
        });
        self.pump_all();
    }
}

/// Capabilities in passing are not what a transcript is about.
fn without_capabilities(line: &str) -> String {
    match line
        .split_once("[CAPABILITY ")
        .map(|(head, tail)| (head, tail.split_once(']')))
    {
        Some((head, Some((_, tail)))) => format!("{head}[CAPABILITY ...]{tail}"),
        _ => line.to_owned(),
    }
}

/// `...` matches any text, also none.
fn matches(pattern: &str, line: &str) -> bool {
    // Transcripts have no trailing white space.
    let line = line.trim_end();
    let mut pieces = pattern.trim_end().split("...");
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = line.strip_prefix(first) else {
        return false;
    };
    let mut pieces = pieces.peekable();
    if pieces.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(piece) = pieces.next() {
        if pieces.peek().is_none() {
            return rest.ends_with(piece);
        }
        match rest.find(piece) {
            Some(at) => rest = &rest[at + piece.len()..],
            None => return false,
        }
    }
    true
}
