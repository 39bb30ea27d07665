//! What hosts must show before they get mail: DANE (RFC 7672), MTA-STS (RFC
//! 8461), the configuration's rules, REQUIRETLS and `TLS-Required: No` (RFC
//! 8689), and the counts for TLS reports (RFC 8460).
#![cfg(feature = "tls")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test reports by panicking"
)]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use mailcore::address::{Domain, ReversePath};
use mailcore::batch::StateChange;
use mailcore::envelope::{MailParams, Recipient};
use mailcore::event::TraceId;
use mailcore::message::Message;
use mailcore::queue::Origin;
use mailcore::seams::{
    BoxStream, Clock, DeliveryAgent, DeliveryJob, DialError, Dialer, DnsError, NextHop, OsEntropy,
    State, StateKey, StateValue, StoreError, SystemClock, Tlsa,
};
use mailcore::status::Outcome;
use mailcore::testing::FixedResolver;
use mailcore::time::Timestamp;
use mailcore::transcript::Transcript;
use mailcore_smtp::client::{
    FetchError, MtaSts, PolicyFetcher, RemoteAgent, RemoteSeams, TlsPolicies, TlsReport, TlsRule,
    opportunistic_config, verified_config,
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, PublicKeyData};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{RootCertStore, ServerConfig};
use sha2::{Digest, Sha256, Sha512};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio_rustls::TlsAcceptor;

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// A certificate for `mx.x.test` and the authority that signed it.
struct Keys {
    authority: CertificateDer<'static>,
    authority_key: Vec<u8>,
    host: CertificateDer<'static>,
    host_key: Vec<u8>,
    config: Arc<ServerConfig>,
}

impl Keys {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let host = params.signed_by(&key, &authority).unwrap();
        let chain = vec![host.der().clone(), authority.der().clone()];
        let private = PrivatePkcs8KeyDer::from(key.serialize_der());
        let config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, PrivateKeyDer::Pkcs8(private))
            .unwrap();
        Self {
            authority_key: authority.key().subject_public_key_info(),
            authority: authority.der().clone(),
            host: host.der().clone(),
            host_key: key.subject_public_key_info(),
            config: Arc::new(config),
        }
    }
}

/// The host `mx.x.test`.
#[derive(Debug)]
struct Host {
    config: Option<Arc<ServerConfig>>,
    offers: &'static str,
    heard: Arc<Mutex<Vec<String>>>,
}

#[async_trait]
impl Dialer for Host {
    async fn connect(&self, _: SocketAddr) -> Result<BoxStream, DialError> {
        let (ours, theirs) = tokio::io::duplex(16_384);
        let (config, heard) = (self.config.clone(), self.heard.clone());
        let offers = self.offers;
        tokio::spawn(async move {
            let mut clear = BufReader::new(Box::new(theirs) as BoxStream);
            clear.write_all(b"220 mx.x.test\r\n").await.unwrap();
            let hello = match config {
                Some(_) => "250-mx.x.test\r\n250 STARTTLS\r\n",
                None => "250 mx.x.test\r\n",
            };
            if serve(&mut clear, "clear", hello, &heard).await {
                let acceptor = TlsAcceptor::from(config.unwrap());
                if let Ok(stream) = acceptor.accept(clear.into_inner()).await {
                    let hello = format!("250-mx.x.test\r\n250 {offers}\r\n");
                    let mut stream = BufReader::new(Box::new(stream) as BoxStream);
                    serve(&mut stream, "tls", &hello, &heard).await;
                }
            }
        });
        Ok(Box::new(ours))
    }
}

/// Answers until the end or STARTTLS; true after STARTTLS.
async fn serve(
    stream: &mut BufReader<BoxStream>,
    word: &str,
    hello: &str,
    heard: &Mutex<Vec<String>>,
) -> bool {
    let mut line = String::new();
    loop {
        line.clear();
        if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
            return false;
        }
        heard
            .lock()
            .unwrap()
            .push(format!("{word} {}", line.trim_end()));
        let verb = line.split([' ', '\r']).next().unwrap();
        let reply = match verb {
            "EHLO" => hello,
            "STARTTLS" => "220 go\r\n",
            "DATA" => "354 go\r\n",
            "MAIL" | "RCPT" | "." | "RSET" => "250 ok\r\n",
            "QUIT" => "221 bye\r\n",
            _ => "",
        };
        if stream.write_all(reply.as_bytes()).await.is_err() {
            return false;
        }
        if verb == "STARTTLS" {
            return true;
        }
    }
}

/// Just enough of a store.
#[derive(Debug, Default)]
struct Memory(Mutex<BTreeMap<StateKey, Vec<u8>>>);

#[async_trait]
impl State for Memory {
    async fn read(&self, key: &StateKey) -> Result<Option<StateValue>, StoreError> {
        Ok(self.0.lock().unwrap().get(key).cloned().map(kept))
    }

    async fn change(
        &self,
        changes: Vec<StateChange>,
    ) -> Result<Vec<Option<StateValue>>, StoreError> {
        let mut values = self.0.lock().unwrap();
        for change in changes {
            match change {
                StateChange::Put { key, value, .. } => {
                    values.insert(key, value);
                }
                StateChange::Add { key, amount, .. } => {
                    let old = values.get(&key).cloned().map(kept);
                    let old = old.and_then(|value| value.counter()).unwrap_or(0);
                    values.insert(key, (old + amount).to_be_bytes().to_vec());
                }
                StateChange::Remove { key } => {
                    values.remove(&key);
                }
            }
        }
        Ok(Vec::new())
    }

    async fn scan(
        &self,
        namespace: &str,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(StateKey, StateValue)>, StoreError> {
        let values = self.0.lock().unwrap();
        let found = values.iter().filter(|(key, _)| {
            let after = after.is_none_or(|after| &*key.key > after);
            &*key.namespace == namespace && key.key.starts_with(prefix) && after
        });
        let found = found.map(|(key, value)| (key.clone(), kept(value.clone())));
        Ok(found.take(limit).collect())
    }
}

fn kept(value: Vec<u8>) -> StateValue {
    StateValue {
        value,
        version: 1,
        expires: None,
    }
}

/// A web server that may go away.
#[derive(Debug, Default)]
struct Web(Mutex<Option<&'static str>>);

#[async_trait]
impl PolicyFetcher for Web {
    async fn fetch(&self, _: &Domain) -> Result<Vec<u8>, FetchError> {
        let text = *self.0.lock().unwrap();
        text.map(|text| text.as_bytes().to_vec())
            .ok_or_else(|| FetchError::Failed("no answer".into()))
    }
}

struct World {
    keys: Keys,
    roots: RootCertStore,
    resolver: Arc<FixedResolver>,
    host: Option<Arc<ServerConfig>>,
    offers: &'static str,
    web: Arc<Web>,
    state: Arc<Memory>,
    rule: Option<TlsRule>,
    require_tls: bool,
    from: &'static str,
    content: &'static str,
}

/// What became of one message.
struct Sent {
    outcome: Outcome,
    heard: Vec<String>,
    transcript: String,
    report: String,
}

impl Sent {
    fn relayed_within_tls(&self) -> bool {
        matches!(self.outcome, Outcome::Relayed { .. }) && self.heard_mail("tls")
    }

    fn relayed_in_clear(&self) -> bool {
        matches!(self.outcome, Outcome::Relayed { .. }) && self.heard_mail("clear")
    }

    fn heard_mail(&self, word: &str) -> bool {
        let start = format!("{word} MAIL");
        self.heard.iter().any(|line| line.starts_with(&start))
    }

    /// The code with which nothing was sent at all.
    fn refused(&self) -> String {
        let failure = match &self.outcome {
            Outcome::Deferred(failure)
            | Outcome::Unreachable(failure)
            | Outcome::Failed(failure) => failure,
            other => panic!("{other:?}"),
        };
        assert!(!self.heard_mail("tls") && !self.heard_mail("clear"));
        failure.status.code.to_string()
    }
}

impl World {
    fn new() -> Self {
        Self::with_certificate("mx.x.test")
    }

    fn with_certificate(name: &str) -> Self {
        let keys = Keys::new(name);
        let resolver = Arc::new(FixedResolver::new());
        resolver.add_mx("x.test", 10, "mx.x.test");
        resolver.add_address("mx.x.test", "192.0.2.1".parse().unwrap());
        let mut roots = RootCertStore::empty();
        roots.add(Keys::new("other.test").authority).unwrap();
        Self {
            roots,
            resolver,
            host: Some(keys.config.clone()),
            keys,
            offers: "SIZE",
            web: Arc::default(),
            state: Arc::default(),
            rule: None,
            require_tls: false,
            from: "<s@me.test>",
            content: "Subject: x\r\n\r\n",
        }
    }

    /// Signs the zone and adds a TLSA record.
    fn signed(self, usage: u8, selector: u8, matching: u8, data: Vec<u8>) -> Self {
        for name in ["x.test", "mx.x.test", "_25._tcp.mx.x.test"] {
            self.resolver.sign(name);
        }
        let record = Tlsa {
            usage,
            selector,
            matching,
            data,
        };
        self.resolver.add_tlsa("_25._tcp.mx.x.test", record);
        self
    }

    fn trusted(mut self) -> Self {
        self.roots.add(self.keys.authority.clone()).unwrap();
        self
    }

    fn policy(self, text: &'static str) -> Self {
        self.resolver.add_txt("_mta-sts.x.test", "v=STSv1; id=1;");
        *self.web.0.lock().unwrap() = Some(text);
        self
    }

    async fn send(&self) -> Sent {
        let heard: Arc<Mutex<Vec<String>>> = Arc::default();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let seams = RemoteSeams {
            resolver: self.resolver.clone(),
            dialer: Arc::new(Host {
                config: self.host.clone(),
                offers: self.offers,
                heard: heard.clone(),
            }),
            clock: clock.clone(),
            entropy: Arc::new(OsEntropy),
        };
        let report = TlsReport::new(self.state.clone(), clock.clone());
        let sts = MtaSts::new(self.state.clone(), self.web.clone(), clock.clone());
        let mut policies = TlsPolicies::new(provider(), self.roots.clone())
            .unwrap()
            .mta_sts(Arc::new(sts.report(report.clone())))
            .report(report.clone());
        if let Some(rule) = self.rule {
            policies = policies.rule("x.test".parse().unwrap(), rule);
        }
        let agent = RemoteAgent::builder("me.test".parse().unwrap(), seams)
            .tls(opportunistic_config(provider()).unwrap())
            .verified_tls(verified_config(provider(), self.roots.clone()).unwrap())
            .tls_policies(Arc::new(policies))
            .build();
        let mut params = MailParams::default();
        params.require_tls = self.require_tls;
        let transcript = Transcript::default();
        let job = DeliveryJob {
            trace: TraceId(1),
            reverse_path: ReversePath::parse(self.from).unwrap(),
            params,
            origin: Origin::Received,
            recipients: vec![Recipient::new("a@x.test".parse().unwrap())],
            next_hop: NextHop::Mx("x.test".parse().unwrap()),
            message: Message::from_bytes(self.content),
            findings: Arc::default(),
            received_at: Timestamp::EPOCH,
            agent: "smtp".into(),
            transcript: transcript.clone(),
        };
        let outcome = agent.deliver(job).await.remove(0);
        let day = report.day(clock.now(), &"x.test".parse().unwrap()).await;
        let heard = heard.lock().unwrap().clone();
        Sent {
            outcome,
            heard,
            transcript: transcript.text(),
            report: day.unwrap().to_json("us", "postmaster@me.test", "1"),
        }
    }
}

/// Usage, selector, matching type, and the data for them.
type Case = (u8, u8, u8, fn(&Keys) -> Vec<u8>);

#[tokio::test]
async fn records_that_name_the_certificate_or_its_authority_let_mail_through() {
    let cases: [Case; 8] = [
        (3, 1, 0, |keys| keys.host_key.clone()),
        (3, 0, 0, |keys| keys.host.to_vec()),
        (3, 1, 1, |keys| Sha256::digest(&keys.host_key).to_vec()),
        (3, 0, 2, |keys| Sha512::digest(&keys.host).to_vec()),
        (2, 0, 0, |keys| keys.authority.to_vec()),
        (2, 1, 0, |keys| keys.authority_key.clone()),
        (2, 0, 1, |keys| Sha256::digest(&keys.authority).to_vec()),
        (2, 1, 2, |keys| Sha512::digest(&keys.authority_key).to_vec()),
    ];
    for (usage, selector, matching, data) in cases {
        let world = World::new();
        let data = data(&world.keys);
        let sent = world.signed(usage, selector, matching, data).send().await;
        let case = format!("{usage} {selector} {matching}: {}", sent.transcript);
        assert!(sent.relayed_within_tls(), "{case}");
        assert!(sent.transcript.contains("verified by DANE"), "{case}");
        let counted = "\"policy-type\":\"tlsa\"";
        assert!(sent.report.contains(counted), "{}", sent.report);
        let counted = "\"total-successful-session-count\":1";
        assert!(sent.report.contains(counted), "{}", sent.report);
    }
}

#[tokio::test]
async fn a_certificate_that_no_record_names_gets_no_mail_even_in_clear() {
    for usage in [2, 3] {
        let world = World::new().trusted().signed(usage, 1, 1, vec![7; 32]);
        let sent = world.send().await;
        assert_eq!(sent.refused(), "4.7.10");
        assert!(sent.report.contains("tlsa-invalid"), "{}", sent.report);
    }
    let mut world = World::new().signed(3, 1, 1, vec![7; 32]);
    world.host = None;
    let sent = world.send().await;
    assert_eq!(sent.refused(), "4.7.10");
    assert!(
        sent.report.contains("starttls-not-supported"),
        "{}",
        sent.report
    );
}

#[tokio::test]
async fn names_count_under_an_authority_and_not_for_a_certificate_itself() {
    let world = World::with_certificate("else.test");
    let key = world.keys.host_key.clone();
    assert!(world.signed(3, 1, 0, key).send().await.relayed_within_tls());
    let world = World::with_certificate("else.test");
    let key = world.keys.authority_key.clone();
    let sent = world.signed(2, 1, 0, key).send().await;
    assert_eq!(sent.refused(), "4.7.10");
    assert!(
        sent.report.contains("certificate-host-mismatch"),
        "{}",
        sent.report
    );
    // The domain's own name will do (RFC 7672 section 3.2.3).
    let world = World::with_certificate("x.test");
    let key = world.keys.authority_key.clone();
    assert!(world.signed(2, 1, 0, key).send().await.relayed_within_tls());
}

#[tokio::test]
async fn records_count_only_where_dns_vouches_for_the_whole_way() {
    // The address is not signed.
    let world = World::new();
    world.resolver.sign("x.test").sign("_25._tcp.mx.x.test");
    let record = Tlsa {
        usage: 3,
        selector: 1,
        matching: 1,
        data: vec![7; 32],
    };
    world.resolver.add_tlsa("_25._tcp.mx.x.test", record);
    assert!(world.send().await.relayed_within_tls());
    // Records that can't be used ask for TLS and for no certificate.
    let mut world = World::new().signed(0, 1, 1, vec![7; 32]);
    assert!(world.send().await.relayed_within_tls());
    world.host = None;
    assert_eq!(world.send().await.refused(), "4.7.10");
}

#[tokio::test]
async fn a_look_up_that_fails_defers_and_does_not_lower_the_policy() {
    for error in [DnsError::Temporary("SERVFAIL".into()), DnsError::Bogus] {
        let world = World::new().signed(3, 1, 1, vec![7; 32]);
        world.resolver.fail("_25._tcp.mx.x.test", error);
        let sent = world.send().await;
        assert_eq!(sent.refused(), "4.7.5");
        assert!(sent.report.contains("dnssec-invalid"), "{}", sent.report);
    }
}

#[tokio::test]
async fn an_alias_is_followed_as_far_as_it_is_signed() {
    let world = World::with_certificate("real.test");
    let key = world.keys.host_key.clone();
    world.resolver.forget("mx.x.test");
    world.resolver.add_alias("mx.x.test", "real.test");
    world
        .resolver
        .add_address("real.test", "192.0.2.1".parse().unwrap());
    let record = Tlsa {
        usage: 3,
        selector: 1,
        matching: 0,
        data: key,
    };
    world.resolver.add_tlsa("_25._tcp.real.test", record);
    for name in ["x.test", "mx.x.test", "real.test", "_25._tcp.real.test"] {
        world.resolver.sign(name);
    }
    let sent = world.send().await;
    assert!(
        sent.transcript.contains("verified by DANE"),
        "{}",
        sent.transcript
    );
}

const ENFORCE: &str = "version: STSv1\nmode: enforce\nmx: mx.x.test\nmax_age: 86400\n";
const OTHERS: &str = "version: STSv1\nmode: enforce\nmx: *.y.test\nmax_age: 86400\n";
const TESTING: &str = "version: STSv1\nmode: testing\nmx: mx.x.test\nmax_age: 86400\n";

#[tokio::test]
async fn an_enforced_policy_wants_its_hosts_and_valid_certificates() {
    let sent = World::new().trusted().policy(ENFORCE).send().await;
    assert!(sent.relayed_within_tls(), "{}", sent.transcript);
    assert!(
        sent.transcript.contains("verified by MTA-STS"),
        "{}",
        sent.transcript
    );
    let sent = World::new().policy(ENFORCE).send().await;
    assert_eq!(sent.refused(), "4.7.10");
    assert!(
        sent.report.contains("certificate-not-trusted"),
        "{}",
        sent.report
    );
    assert!(sent.report.contains("mode: enforce"), "{}", sent.report);
    let sent = World::new().trusted().policy(OTHERS).send().await;
    assert_eq!(sent.refused(), "4.7.5");
    let mut world = World::new().trusted().policy(ENFORCE);
    world.host = None;
    assert_eq!(world.send().await.refused(), "4.7.10");
}

#[tokio::test]
async fn a_policy_in_test_lets_mail_through_and_counts_what_would_have_failed() {
    let sent = World::new().policy(TESTING).send().await;
    assert!(sent.relayed_within_tls(), "{}", sent.transcript);
    assert!(
        sent.report.contains("certificate-not-trusted"),
        "{}",
        sent.report
    );
    let mut world = World::new().policy(TESTING);
    world.host = None;
    let sent = world.send().await;
    assert!(sent.relayed_in_clear(), "{}", sent.transcript);
    assert!(
        sent.report.contains("starttls-not-supported"),
        "{}",
        sent.report
    );
}

#[tokio::test]
async fn a_policy_once_seen_stays_in_force_when_it_is_taken_away() {
    let world = World::new().policy(ENFORCE);
    assert_eq!(world.send().await.refused(), "4.7.10");
    *world.web.0.lock().unwrap() = None;
    world.resolver.forget("_mta-sts.x.test");
    assert_eq!(world.send().await.refused(), "4.7.10");
    world.resolver.add_txt("_mta-sts.x.test", "v=STSv1; id=2;");
    assert_eq!(world.send().await.refused(), "4.7.10");
    // A new policy in place of the old one.
    let none = "version: STSv1\nmode: none\nmax_age: 86400\n";
    *world.web.0.lock().unwrap() = Some(none);
    assert!(world.send().await.relayed_within_tls());
}

#[tokio::test]
async fn records_outrank_a_policy_for_better_and_for_worse() {
    let world = World::new();
    let key = world.keys.host_key.clone();
    let sent = world.signed(3, 1, 0, key).policy(OTHERS).send().await;
    assert!(sent.relayed_within_tls(), "{}", sent.transcript);
    let world = World::new().trusted().policy(ENFORCE);
    assert_eq!(
        world.signed(3, 1, 1, vec![7; 32]).send().await.refused(),
        "4.7.10"
    );
}

#[tokio::test]
async fn rules_of_the_configuration_raise_and_lift() {
    let refused = [TlsRule::Dane, TlsRule::Verified];
    for rule in refused {
        let mut world = World::new();
        world.rule = Some(rule);
        assert!(world.send().await.refused().starts_with("4.7."));
    }
    let mut world = World::new();
    world.rule = Some(TlsRule::Encrypted);
    assert!(world.send().await.relayed_within_tls());
    world.host = None;
    assert_eq!(world.send().await.refused(), "4.7.10");
    let mut world = World::new().policy(OTHERS);
    world.rule = Some(TlsRule::None);
    assert!(world.send().await.relayed_within_tls());
}

#[tokio::test]
async fn a_message_that_requires_tls_needs_a_way_that_is_vouched_for() {
    let mut world = World::new().trusted();
    world.require_tls = true;
    world.offers = "REQUIRETLS";
    assert_eq!(world.send().await.refused(), "5.7.10");
    world.resolver.sign("x.test");
    assert!(world.send().await.relayed_within_tls());
    world.offers = "SIZE";
    assert_eq!(world.send().await.refused(), "5.7.30");
    // A notice goes to who does not promise to protect it further.
    world.from = "<>";
    assert!(world.send().await.relayed_within_tls());
}

#[tokio::test]
async fn a_message_that_requires_tls_goes_back_where_there_is_none_and_a_notice_waits() {
    let mut world = World::new();
    (world.require_tls, world.offers) = (true, "REQUIRETLS");
    world.resolver.sign("x.test");
    // Nobody who is trusted signed the certificate.
    assert_eq!(world.send().await.refused(), "5.7.10");
    world.host = None;
    assert_eq!(world.send().await.refused(), "5.7.10");
    world.from = "<>";
    assert_eq!(world.send().await.refused(), "4.7.10");
    // A domain's policy alone is kept to without a verdict on the message.
    let mut world = World::new().policy(OTHERS);
    assert_eq!(world.send().await.refused(), "4.7.5");
    world.require_tls = true;
    assert_eq!(world.send().await.refused(), "5.7.10");
}

#[tokio::test]
async fn a_message_may_ask_to_go_without() {
    let mut world = World::new().signed(3, 1, 1, vec![7; 32]).policy(OTHERS);
    world.content = "Subject: x\r\nTLS-Required: No\r\n\r\n";
    assert!(world.send().await.relayed_within_tls());
    world.host = None;
    assert!(world.send().await.relayed_in_clear());
    world.content = "Subject: x\r\n\r\nTLS-Required: No\r\n";
    assert_eq!(world.send().await.refused(), "4.7.10");
    // What the configuration asks for stays.
    world.content = "TLS-Required: No\r\n\r\n";
    world.rule = Some(TlsRule::Encrypted);
    assert_eq!(world.send().await.refused(), "4.7.10");
}
