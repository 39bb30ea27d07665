//! What is done too often: guesses over all protocols are one sum, bans outlive
//! a restart, and an account that sends too much is told to wait.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use mailcore::abuse::{
    AbuseConfig, Ban, Consequence, Counted, Keeper, Keyed, Limiter, LimiterSeams, Rate, Rule,
    ScreenedLogins, Sender, Welcome,
};
use mailcore::account::{AccountId, Identity, Secret};
use mailcore::net::ShutdownSwitch;
use mailcore::seams::{
    AuthError, AuthRequest, Authenticator, Clock, Directory, DirectoryWrite, DomainKind, OsEntropy,
    Proof, State,
};
use mailcore::server::{RunningServer, Server};
use mailcore::testing::VirtualClock;
use mailcore_smtp::server::Smtp;
use mailcore_store::MemoryStore;
use mailcore_store::directory::{MemoryDirectory, PasswordHashing};
use mailcore_tests::{Dialogue, PASSWORD, base64};

/// Knows one password, and counts how often it was asked.
#[derive(Debug, Default)]
struct Gatekeeper(AtomicUsize);

#[async_trait]
impl Authenticator for Gatekeeper {
    async fn authenticate(&self, request: &AuthRequest) -> Result<Identity, AuthError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        match &request.proof {
            Proof::Password(password) if password.expose() == PASSWORD.as_bytes() => Ok(Identity {
                account: AccountId::new("ann@a.test"),
                login: "ann@a.test".into(),
            }),
            _ => Err(AuthError::Invalid),
        }
    }
}

struct House {
    clock: VirtualClock,
    gatekeeper: Arc<Gatekeeper>,
    store: Arc<MemoryStore>,
    limiter: Arc<Limiter>,
    logins: ScreenedLogins,
}

impl House {
    async fn new(config: AbuseConfig) -> Self {
        let clock = VirtualClock::new();
        let store = MemoryStore::with(Arc::new(clock.clone()), Arc::new(OsEntropy));
        Self::open(clock, Arc::new(store), config).await
    }

    async fn open(clock: VirtualClock, store: Arc<MemoryStore>, config: AbuseConfig) -> Self {
        let mut seams = LimiterSeams::new(Arc::new(clock.clone()), Arc::new(OsEntropy));
        seams.state = Some(Arc::clone(&store) as Arc<dyn State>);
        let limiter = Limiter::open(config, seams).await;
        let gatekeeper = Arc::<Gatekeeper>::default();
        let logins = ScreenedLogins::new(Arc::clone(&gatekeeper) as _, Arc::clone(&limiter));
        Self {
            clock,
            gatekeeper,
            store,
            limiter,
            logins,
        }
    }

    /// The same store, another process.
    async fn restart(self) -> Self {
        let (switch, mut shutdown) = ShutdownSwitch::new();
        switch.begin();
        let keeper = Keeper::new(Arc::clone(&self.limiter));
        keeper.run(async move { shutdown.begun().await }).await;
        Self::open(self.clock, self.store, (*self.limiter.config()).clone()).await
    }

    async fn log_in(
        &self,
        from: &str,
        protocol: &'static str,
        password: &str,
    ) -> Result<Identity, AuthError> {
        let request = AuthRequest {
            login: "ann@a.test".into(),
            proof: Proof::Password(Secret::new(password)),
            peer: Some(ip(from)),
            protocol,
        };
        let answer = self.logins.authenticate(&request);
        tokio::select! {
            biased;
            answer = answer => answer,
            // An answer that is held back.
            () = self.clock.run_for(Duration::from_secs(5)) => Err(AuthError::Invalid),
        }
    }

    fn asked(&self) -> usize {
        self.gatekeeper.0.load(Ordering::Relaxed)
    }
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

async fn guess_until_banned(house: &House, from: &str) {
    for (number, protocol) in ["smtp", "imap", "pop3"].into_iter().cycle().enumerate() {
        match house
            .log_in(from, protocol, &format!("guess {number}"))
            .await
        {
            Err(AuthError::Invalid) => {}
            Err(AuthError::Throttled) => return,
            other => panic!("{other:?}"),
        }
        assert!(number < 100, "nobody minds");
    }
}

#[tokio::test]
async fn guesses_over_all_protocols_are_one_sum_and_the_rest_reaches_nobody() {
    let house = House::new(AbuseConfig::default()).await;
    guess_until_banned(&house, "192.0.2.1").await;
    assert_eq!(house.asked(), 10);
    let right = house.log_in("192.0.2.1", "imap", PASSWORD).await;
    assert!(matches!(right, Err(AuthError::Throttled)), "{right:?}");
    assert_eq!(house.asked(), 10, "not even looked at");
    assert!(house.log_in("192.0.2.2", "imap", PASSWORD).await.is_ok());
    let connect = |protocol| house.limiter.connect(ip("192.0.2.1"), protocol);
    assert_eq!(connect("imap"), Welcome::No);
    assert_eq!(connect("submission"), Welcome::No);
    assert_eq!(connect("smtp"), Welcome::Yes, "mail still comes in");
    house.clock.advance(Duration::from_secs(600));
    assert_eq!(connect("imap"), Welcome::Yes);
    assert!(house.log_in("192.0.2.1", "imap", PASSWORD).await.is_ok());
}

#[tokio::test]
async fn bans_and_half_of_one_outlive_a_restart() {
    let house = House::new(AbuseConfig::default()).await;
    guess_until_banned(&house, "192.0.2.1").await;
    for number in 0..9 {
        let password = format!("guess {number}");
        let guess = house.log_in("2001:db8::1", "imap", &password).await;
        assert!(matches!(guess, Err(AuthError::Invalid)));
    }
    let house = house.restart().await;
    let banned = house.limiter.banned();
    assert_eq!(banned.len(), 1);
    assert_eq!(banned[0].who.to_string(), "192.0.2.1/32");
    assert_eq!(house.limiter.connect(ip("192.0.2.1"), "pop3"), Welcome::No);
    guess_until_banned(&house, "2001:db8::2").await;
    assert_eq!(house.asked(), 1, "the tenth of its /64");
    let found: Vec<String> = (house.limiter.banned().iter())
        .map(|ban| ban.who.to_string())
        .collect();
    assert_eq!(found, ["192.0.2.1/32", "2001:db8::/64"]);
}

#[tokio::test]
async fn an_operator_bans_lifts_and_allows_for_good() {
    let house = House::new(AbuseConfig::default()).await;
    let network = "198.51.100.0/24".parse().unwrap();
    let ban = Ban::new(network, "a bad neighbourhood", house.clock.now());
    house.limiter.ban(ban).await.unwrap();
    guess_until_banned(&house, "192.0.2.1").await;
    house
        .limiter
        .allow("192.0.2.9".parse().unwrap())
        .await
        .unwrap();
    let house = house.restart().await;
    assert_eq!(
        house.limiter.connect(ip("198.51.100.7"), "smtp"),
        Welcome::No
    );
    for number in 0..30 {
        let password = format!("guess {number}");
        let guess = house.log_in("192.0.2.9", "imap", &password).await;
        assert!(matches!(guess, Err(AuthError::Invalid)));
    }
    assert!(house.limiter.unban(&network).await.unwrap());
    assert!(
        house
            .limiter
            .unban(&"192.0.2.1".parse().unwrap())
            .await
            .unwrap()
    );
    assert!(!house.limiter.unban(&network).await.unwrap());
    let house = house.restart().await;
    assert!(house.limiter.banned().is_empty());
    assert_eq!(
        house.limiter.connect(ip("198.51.100.7"), "smtp"),
        Welcome::Yes
    );
    assert!(house.log_in("192.0.2.1", "imap", PASSWORD).await.is_ok());
}

#[tokio::test]
async fn addresses_that_ask_for_nobody_or_come_too_often_are_banned_where_rules_say_so() {
    let rule = |counted, most| {
        let rate = Rate::new(most, Duration::from_secs(300));
        Rule::new((counted, Keyed::Address), rate, Consequence::Ban).unwrap()
    };
    let mut config = AbuseConfig::default();
    config.rules = vec![
        rule(Counted::UnknownRecipients, 10),
        rule(Counted::Connections, 10),
    ];
    let house = House::new(config).await;
    let connect = |from: &str| house.limiter.connect(ip(from), "smtp");
    let stranger = Sender::new(Some(ip("192.0.2.1")), "smtp");
    for _ in 0..9 {
        assert!(house.limiter.unknown_recipient(&stranger).is_ok());
    }
    assert_eq!(connect("192.0.2.1"), Welcome::Yes);
    assert!(house.limiter.unknown_recipient(&stranger).is_err());
    assert_eq!(connect("192.0.2.1"), Welcome::No);
    for _ in 0..10 {
        assert_eq!(connect("192.0.2.2"), Welcome::Yes);
    }
    assert_eq!(connect("192.0.2.2"), Welcome::No);
    for _ in 0..50 {
        assert_eq!(connect("127.0.0.1"), Welcome::Yes, "this machine");
    }
}

/// A server that takes mail from its users, three messages an hour.
async fn server(then: Consequence) -> (VirtualClock, MemoryDirectory, RunningServer) {
    let clock = VirtualClock::new();
    let seam: Arc<dyn Clock> = Arc::new(clock.clone());
    let directory = MemoryDirectory::with(
        PasswordHashing::fast_for_tests(),
        Arc::clone(&seam),
        Arc::new(OsEntropy),
    )
    .unwrap();
    let domain = "a.test".parse().unwrap();
    directory
        .add_domain(&domain, DomainKind::Local)
        .await
        .unwrap();
    for user in ["ann", "bob", "postmaster"] {
        let address = format!("{user}@a.test").parse().unwrap();
        let password = Secret::new(PASSWORD);
        directory.add_account(&address, &password).await.unwrap();
    }
    let mut abuse = AbuseConfig::default();
    let rate = |most| Rate::new(most, Duration::from_secs(3_600));
    let by_account = |counted| (counted, Keyed::Account);
    abuse.rules = vec![
        Rule::new(by_account(Counted::Messages), rate(3), then).unwrap(),
        Rule::new(by_account(Counted::Recipients), rate(8), then).unwrap(),
    ];
    let store = MemoryStore::with(Arc::clone(&seam), Arc::new(OsEntropy));
    let server = Server::builder("mx.a.test")
        .stores(Arc::new(store))
        .directory(Arc::new(directory.clone()))
        .authenticator(Arc::new(directory.clone()))
        .account_closer(Arc::new(directory.clone()))
        .clock(seam)
        .abuse(abuse)
        .serve(Smtp::submission())
        .start()
        .await
        .unwrap();
    (clock, directory, server)
}

async fn session(server: &RunningServer, user: &str) -> Dialogue {
    let mut smtp = Dialogue::new(server.connect("submission").unwrap());
    smtp.expect("220").await;
    smtp.ask("EHLO client.test", "250").await;
    let login = base64(format!("\0{user}@a.test\0{PASSWORD}").as_bytes());
    smtp.ask(&format!("AUTH PLAIN {login}"), "235").await;
    smtp
}

async fn send(smtp: &mut Dialogue, user: &str) {
    smtp.ask(&format!("MAIL FROM:<{user}@a.test>"), "250").await;
    smtp.ask("RCPT TO:<bob@a.test>", "250").await;
    smtp.ask("DATA", "354").await;
    let text = format!("From: {user}@a.test\r\nSubject: hi\r\n\r\nhi\r\n.");
    smtp.ask(&text, "250").await;
}

#[tokio::test]
async fn an_account_that_sends_too_much_waits_until_the_window_ends() {
    let (clock, _, server) = server(Consequence::Defer).await;
    let mut ann = session(&server, "ann").await;
    for _ in 0..3 {
        send(&mut ann, "ann").await;
    }
    let told = ann.ask("MAIL FROM:<ann@a.test>", "452 4.7.28").await;
    assert!(told.contains("too many messages"), "{told}");
    // Another session of hers is told the same; nobody else is.
    let mut other = session(&server, "ann").await;
    other.ask("MAIL FROM:<ann@a.test>", "452").await;
    send(&mut session(&server, "bob").await, "bob").await;
    let mut postmaster = session(&server, "postmaster").await;
    for _ in 0..5 {
        send(&mut postmaster, "postmaster").await;
    }
    clock.advance(Duration::from_secs(2 * 3_600));
    send(&mut session(&server, "ann").await, "ann").await;
}

#[tokio::test]
async fn too_many_recipients_are_refused_before_the_message_comes() {
    let (_, _, server) = server(Consequence::Reject).await;
    let mut ann = session(&server, "ann").await;
    send(&mut ann, "ann").await;
    ann.ask("MAIL FROM:<ann@a.test>", "250").await;
    for number in 0..8 {
        ann.ask(&format!("RCPT TO:<bob+{number}@a.test>"), "250")
            .await;
    }
    ann.ask("DATA", "552 5.7.28").await;
    send(&mut ann, "ann").await;
}

#[tokio::test]
async fn an_account_that_sends_too_much_is_closed_where_a_rule_says_so() {
    let (_, directory, server) = server(Consequence::CloseAccount).await;
    let mut ann = session(&server, "ann").await;
    for _ in 0..3 {
        send(&mut ann, "ann").await;
    }
    ann.ask("MAIL FROM:<ann@a.test>", "554 5.7.1").await;
    let id = AccountId::new("ann@a.test");
    let closed = async {
        while directory.account(&id).await.unwrap().unwrap().enabled {
            tokio::task::yield_now().await;
        }
    };
    let closed = tokio::time::timeout(Duration::from_secs(30), closed).await;
    closed.expect("the account is closed");
}

#[tokio::test]
async fn guesses_at_one_account_from_everywhere_don_t_lock_its_owner_out() {
    let rate = Rate::new(5, Duration::from_secs(600));
    let by_account = (Counted::LoginFailures, Keyed::Account);
    let mut config = AbuseConfig::default();
    config.rules = vec![Rule::new(by_account, rate, Consequence::Defer).unwrap()];
    assert!(Rule::new(by_account, rate, Consequence::CloseAccount).is_err());
    let house = House::new(config).await;
    assert!(house.log_in("192.0.2.1", "imap", PASSWORD).await.is_ok());
    for number in 0..5 {
        let from = format!("198.51.{number}.1");
        let wrong = house
            .log_in(&from, "pop3", &format!("guess {number}"))
            .await;
        assert!(matches!(wrong, Err(AuthError::Invalid)), "{wrong:?}");
    }
    let asked = house.asked();
    let next = house.log_in("203.0.113.1", "smtp", "guess").await;
    assert!(matches!(next, Err(AuthError::Throttled)), "{next:?}");
    assert_eq!(house.asked(), asked, "not even looked at");
    assert!(house.log_in("192.0.2.1", "imap", PASSWORD).await.is_ok());
    house.clock.advance(Duration::from_secs(1_200));
    assert!(house.log_in("203.0.113.1", "imap", PASSWORD).await.is_ok());
}
