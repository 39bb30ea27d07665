//! What peers do is one sum over their sessions, whatever protocol they speak,
//! and what an operator decides holds for sessions that there are.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use mailcore::abuse::{
    AbuseConfig, Ban, Consequence, Counted, Keeper, Keyed, Limiter, LimiterSeams, Rate, Rule,
    Sender, Welcome,
};
use mailcore::account::Secret;
use mailcore::batch::StateChange;
use mailcore::net::ShutdownSwitch;
use mailcore::seams::{
    Clock, DirectoryWrite, DomainKind, OsEntropy, State, StateKey, StateValue, StoreError,
};
use mailcore::server::{Builder, RunningServer, Server};
use mailcore::testing::VirtualClock;
use mailcore_imap::server::Imap;
use mailcore_pop3::Pop3;
use mailcore_smtp::server::Smtp;
use mailcore_store::MemoryStore;
use mailcore_store::directory::{MemoryDirectory, PasswordHashing};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

const ANY: &str = "127.0.0.1:0";

struct House {
    clock: VirtualClock,
    store: Arc<MemoryStore>,
    directory: Arc<MemoryDirectory>,
}

impl House {
    fn new() -> Self {
        let clock = VirtualClock::new();
        let seam: Arc<dyn Clock> = Arc::new(clock.clone());
        let (hashing, entropy) = (PasswordHashing::fast_for_tests(), Arc::new(OsEntropy));
        let directory = MemoryDirectory::with(hashing, Arc::clone(&seam), entropy).unwrap();
        Self {
            clock,
            store: Arc::new(MemoryStore::with(seam, Arc::new(OsEntropy))),
            directory: Arc::new(directory),
        }
    }

    fn with(&self, rules: Vec<Rule>) -> Builder {
        let mut abuse = AbuseConfig::default();
        abuse.rules = rules;
        Server::builder("mx.a.test")
            .stores(Arc::clone(&self.store))
            .directory(Arc::clone(&self.directory) as _)
            .authenticator(Arc::clone(&self.directory) as _)
            .clock(Arc::new(self.clock.clone()))
            .abuse(abuse)
            .listen(ANY, Smtp::mx())
            .listen(ANY, Pop3::new())
            .listen(ANY, Imap::new())
    }
}

struct Client(BufReader<TcpStream>, VirtualClock);

impl Client {
    async fn of(house: &House, server: &RunningServer, protocol: &str) -> (Self, String) {
        let address: SocketAddr = server.address(protocol).unwrap();
        let stream = TcpStream::connect(address).await.unwrap();
        let mut client = Self(BufReader::new(stream), house.clock.clone());
        let greeting = client.line().await;
        (client, greeting)
    }

    /// The next line; empty at the end, however it ended. Meanwhile time passes.
    async fn line(&mut self) -> String {
        let mut line = String::new();
        let time = async {
            loop {
                self.1.run_for(Duration::from_millis(1)).await;
            }
        };
        tokio::select! {
            biased;
            _ = self.0.read_line(&mut line) => {}
            () = time => {}
        }
        line
    }

    async fn ask(&mut self, command: &str) -> String {
        let line = format!("{command}\r\n");
        let _ = self.0.get_mut().write_all(line.as_bytes()).await;
        self.line().await
    }
}

fn by_address(counted: Counted, most: u64) -> Rule {
    let rate = Rate::new(most, Duration::from_secs(600));
    Rule::new((counted, Keyed::Address), rate, Consequence::Defer).unwrap()
}

#[tokio::test]
async fn commands_are_one_sum_over_sessions_and_protocols() {
    let house = House::new();
    let server = house.with(vec![by_address(Counted::Commands, 9)]);
    let server = server.start().await.unwrap();
    for (protocol, command, answer) in [
        ("smtp", "NOOP", "250"),
        ("pop3", "CAPA", "+OK"),
        ("imap", "a NOOP", "a OK"),
    ] {
        let (mut client, _) = Client::of(&house, &server, protocol).await;
        for _ in 0..3 {
            let mut line = client.ask(command).await;
            assert!(line.starts_with(answer), "{line}");
            while protocol == "pop3" && line != ".\r\n" {
                line = client.line().await;
            }
        }
    }
    // The next connection is not even greeted, until time has passed.
    let (_, greeting) = Client::of(&house, &server, "pop3").await;
    assert!(greeting.starts_with("-ERR [SYS/TEMP]"), "{greeting}");
    house.clock.advance(Duration::from_secs(1_200));
    let (mut smtp, greeting) = Client::of(&house, &server, "smtp").await;
    assert!(greeting.starts_with("220"), "{greeting}");
    for _ in 0..9 {
        assert!(smtp.ask("NOOP").await.starts_with("250"));
    }
    let last = smtp.ask("NOOP").await + &smtp.line().await;
    assert!(last.contains("421 4.7.0"), "{last}");
}

#[tokio::test]
async fn errors_few_in_each_session_are_many_over_all() {
    let house = House::new();
    let server = house.with(vec![by_address(Counted::Errors, 10)]);
    let server = server.start().await.unwrap();
    for (protocol, command, answer) in [
        ("pop3", "XYZZY", "-ERR unknown"),
        ("imap", "a XYZZY", "a BAD"),
        ("smtp", "XYZZY", "500"),
    ] {
        let (mut client, _) = Client::of(&house, &server, protocol).await;
        for _ in 0..3 {
            let line = client.ask(command).await;
            assert!(line.starts_with(answer), "{line}");
        }
    }
    let (mut client, _) = Client::of(&house, &server, "pop3").await;
    client.ask("XYZZY").await;
    let line = client.line().await;
    assert!(line.starts_with("-ERR [SYS/TEMP] too many"), "{line}");
    let (_, greeting) = Client::of(&house, &server, "imap").await;
    assert!(greeting.starts_with("* BYE"), "{greeting}");
}

#[tokio::test]
async fn a_reload_counts_by_other_rules_and_forgets_nothing() {
    let house = House::new();
    let server = house.with(Vec::new()).start().await.unwrap();
    let (mut smtp, _) = Client::of(&house, &server, "smtp").await;
    for _ in 0..5 {
        smtp.ask("NOOP").await;
    }
    let rules = |most| house.with(vec![by_address(Counted::Commands, most)]);
    server.reload(rules(5)).await.unwrap();
    for _ in 0..4 {
        assert!(smtp.ask("NOOP").await.starts_with("250"));
    }
    // Four were counted under the first rule; they are under the second.
    server.reload(rules(4)).await.unwrap();
    let (_, greeting) = Client::of(&house, &server, "smtp").await;
    assert!(greeting.starts_with("421"), "{greeting}");
    server.reload(rules(100)).await.unwrap();
    let (_, greeting) = Client::of(&house, &server, "smtp").await;
    assert!(greeting.starts_with("220"), "{greeting}");
}

#[tokio::test]
async fn a_ban_ends_the_sessions_that_its_network_has() {
    let house = House::new();
    let server = house.with(Vec::new()).start().await.unwrap();
    let (mut imap, _) = Client::of(&house, &server, "imap").await;
    let ban = |network: &str| Ban::new(network.parse().unwrap(), "test", house.clock.now());
    let limiter = server.limiter();
    limiter.ban(ban("198.51.100.0/24")).await.unwrap();
    house.clock.run_for(Duration::from_secs(5)).await;
    assert!(imap.ask("a NOOP").await.starts_with("a OK"));
    limiter.ban(ban("127.0.0.0/8")).await.unwrap();
    assert_eq!(imap.line().await, "");
    assert_eq!(limiter.banned().len(), 2);
}

#[tokio::test]
async fn a_closed_account_s_sessions_end_and_others_go_on() {
    let house = House::new();
    let domain = "a.test".parse().unwrap();
    let directory = &house.directory;
    directory
        .add_domain(&domain, DomainKind::Local)
        .await
        .unwrap();
    let mut ids = Vec::new();
    for user in ["ann", "bob"] {
        let address = format!("{user}@a.test").parse().unwrap();
        let password = Secret::new("secret word");
        ids.push(directory.add_account(&address, &password).await.unwrap());
    }
    let clear = mailcore_imap::session::PlaintextLogin::Anywhere;
    let server = Server::builder("mx.a.test")
        .stores(Arc::clone(&house.store))
        .directory(Arc::clone(directory) as _)
        .authenticator(Arc::clone(directory) as _)
        .clock(Arc::new(house.clock.clone()))
        .listen(ANY, Imap::new().plaintext_login(clear));
    let server = server.start().await.unwrap();
    let log_in = async |user: &str| {
        let (mut imap, _) = Client::of(&house, &server, "imap").await;
        let login = format!("a LOGIN {user}@a.test \"secret word\"");
        let told = imap.ask(&login).await;
        assert!(told.starts_with("a OK"), "{told}");
        imap
    };
    let (mut ann, mut bob) = (log_in("ann").await, log_in("bob").await);
    server.limiter().end_sessions(&ids[0]);
    assert_eq!(ann.line().await, "");
    assert!(bob.ask("b NOOP").await.starts_with("b OK"));
    house.clock.advance(Duration::from_secs(1));
    let mut ann = log_in("ann").await;
    assert!(ann.ask("b NOOP").await.starts_with("b OK"), "opened again");
}

/// A state that other processes change, too.
#[derive(Debug)]
struct SharedState(Arc<MemoryStore>);

#[async_trait]
impl State for SharedState {
    fn is_shared(&self) -> bool {
        true
    }

    async fn read(&self, key: &StateKey) -> Result<Option<StateValue>, StoreError> {
        State::read(&*self.0, key).await
    }

    async fn change(
        &self,
        changes: Vec<StateChange>,
    ) -> Result<Vec<Option<StateValue>>, StoreError> {
        self.0.change(changes).await
    }

    async fn scan(
        &self,
        namespace: &str,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(StateKey, StateValue)>, StoreError> {
        self.0.scan(namespace, prefix, after, limit).await
    }
}

#[tokio::test]
async fn bans_that_another_node_makes_and_lifts_hold_here_too() {
    let house = House::new();
    let node = async || {
        let mut seams = LimiterSeams::new(Arc::new(house.clock.clone()), Arc::new(OsEntropy));
        seams.state = Some(Arc::new(SharedState(Arc::clone(&house.store))));
        Limiter::open(AbuseConfig::default(), seams).await
    };
    let (here, there) = (node().await, node().await);
    let (switch, mut shutdown) = ShutdownSwitch::new();
    let keeper = Keeper::new(Arc::clone(&here));
    let keeping = tokio::spawn(keeper.run(async move { shutdown.begun().await }));
    let stranger = "192.0.2.1".parse().unwrap();
    let welcome = || here.connect(stranger, "smtp");
    let ban = Ban::new("192.0.2.0/24".parse().unwrap(), "test", house.clock.now());
    there.ban(ban.clone()).await.unwrap();
    assert_eq!(welcome(), Welcome::Yes);
    house.clock.run_for(Duration::from_secs(11)).await;
    assert_eq!(welcome(), Welcome::No);
    there.allow("192.0.2.1/32".parse().unwrap()).await.unwrap();
    house.clock.run_for(Duration::from_secs(11)).await;
    assert_eq!(welcome(), Welcome::Yes, "allowed");
    let own = Ban::new("203.0.113.9/32".parse().unwrap(), "own", house.clock.now());
    here.ban(own).await.unwrap();
    there.unban(&ban.who).await.unwrap();
    house.clock.run_for(Duration::from_secs(11)).await;
    let left = here.banned();
    assert_eq!(left.len(), 1, "{left:?}");
    switch.begin();
    keeping.await.unwrap();
}

#[tokio::test]
async fn a_ban_forgets_what_led_to_it_over_a_restart_too() {
    let house = House::new();
    let rate = Rate::new(4, Duration::from_secs(3_600));
    let rule = Rule::new(
        (Counted::UnknownRecipients, Keyed::Address),
        rate,
        Consequence::Ban,
    );
    let mut config = AbuseConfig::default();
    config.rules = vec![rule.unwrap()];
    let open = async || {
        let mut seams = LimiterSeams::new(Arc::new(house.clock.clone()), Arc::new(OsEntropy));
        seams.state = Some(Arc::new(SharedState(Arc::clone(&house.store))));
        Limiter::open(config.clone(), seams).await
    };
    let limiter = open().await;
    let stranger = "192.0.2.1".parse().unwrap();
    let sender = Sender::new(Some(stranger), "smtp");
    while limiter.unknown_recipient(&sender).is_ok() {}
    limiter
        .unban(&"192.0.2.1/32".parse().unwrap())
        .await
        .unwrap();
    let (switch, mut shutdown) = ShutdownSwitch::new();
    switch.begin();
    let keeper = Keeper::new(limiter);
    keeper.run(async move { shutdown.begun().await }).await;
    let limiter = open().await;
    for _ in 0..3 {
        assert!(limiter.unknown_recipient(&sender).is_ok());
    }
    assert_eq!(limiter.connect(stranger, "smtp"), Welcome::Yes);
}
