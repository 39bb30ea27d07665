//! The remote agent and TLS: taken where it is offered, demanded where it is
//! configured, and left aside where it fails and may.
#![cfg(feature = "tls")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test reports by panicking"
)]

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use mailcore::account::Secret;
use mailcore::address::ReversePath;
use mailcore::envelope::{MailParams, Recipient};
use mailcore::event::TraceId;
use mailcore::message::Message;
use mailcore::queue::Origin;
use mailcore::seams::{
    BoxStream, DeliveryAgent, DeliveryJob, DialError, Dialer, NextHop, OsEntropy, SystemClock,
};
use mailcore::status::Outcome;
use mailcore::testing::FixedResolver;
use mailcore::time::Timestamp;
use mailcore_smtp::client::{
    Credentials, HostSettings, PasswordUse, RemoteAgent, RemoteSeams, TlsPolicy,
    opportunistic_config, verified_config,
};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio_rustls::TlsAcceptor;

/// What the host does when it is asked for TLS.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Handshake {
    Works,
    Breaks,
}

/// A host with a certificate of its own making.
#[derive(Debug)]
struct Host {
    handshake: Handshake,
    implicit: bool,
    config: Arc<ServerConfig>,
    /// Each command, `tls` or `clear` before it.
    heard: Arc<Mutex<Vec<String>>>,
}

#[async_trait]
impl Dialer for Host {
    async fn connect(&self, _: SocketAddr) -> Result<BoxStream, DialError> {
        let (ours, theirs) = tokio::io::duplex(16_384);
        let (config, heard) = (self.config.clone(), self.heard.clone());
        let (handshake, implicit) = (self.handshake, self.implicit);
        tokio::spawn(async move {
            let acceptor = TlsAcceptor::from(config);
            if implicit {
                let stream = acceptor.accept(theirs).await?;
                return serve(Box::new(stream), "tls", &heard).await.map(drop);
            }
            let Some(stream) = serve(Box::new(theirs), "clear", &heard).await? else {
                return Ok(());
            };
            if handshake == Handshake::Breaks {
                return Ok(());
            }
            let stream = acceptor.accept(stream).await?;
            serve(Box::new(stream), "tls", &heard).await.map(drop)
        });
        Ok(Box::new(ours))
    }
}

/// Answers until the end or STARTTLS, after which it gives the stream back.
async fn serve(
    stream: BoxStream,
    word: &str,
    heard: &Mutex<Vec<String>>,
) -> io::Result<Option<BoxStream>> {
    let mut stream = BufReader::new(stream);
    let greets = word == "clear" || heard.lock().unwrap().is_empty();
    if greets {
        stream.write_all(b"220 mx.test\r\n").await?;
    }
    let mut line = String::new();
    loop {
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(None);
        }
        heard
            .lock()
            .unwrap()
            .push(format!("{word} {}", line.trim_end()));
        let reply: &[u8] = match line.split([' ', '\r']).next().unwrap() {
            "EHLO" if word == "clear" => b"250-mx.test\r\n250 STARTTLS\r\n",
            "EHLO" => b"250-mx.test\r\n250 AUTH PLAIN\r\n",
            "STARTTLS" => {
                stream.write_all(b"220 go\r\n").await?;
                return Ok(Some(stream.into_inner()));
            }
            "AUTH" => b"235 ok\r\n",
            "DATA" => b"354 go\r\n",
            "MAIL" | "RCPT" | "." => b"250 ok\r\n",
            "QUIT" => b"221 bye\r\n",
            _ => b"",
        };
        stream.write_all(reply).await?;
    }
}

struct World {
    host: Host,
    roots: RootCertStore,
    policy: TlsPolicy,
    credentials: Option<Credentials>,
}

impl World {
    fn new(policy: TlsPolicy) -> Self {
        let made = rcgen::generate_simple_self_signed(["mx.test".to_owned()]).unwrap();
        let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], PrivateKeyDer::Pkcs8(key))
            .unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(made.cert.der().clone()).unwrap();
        Self {
            host: Host {
                handshake: Handshake::Works,
                implicit: policy == TlsPolicy::Implicit,
                config: Arc::new(config),
                heard: Arc::default(),
            },
            roots,
            policy,
            credentials: None,
        }
    }

    /// Sends one message; its outcome and what the host heard.
    async fn send(self) -> (Outcome, Vec<String>) {
        let heard = self.host.heard.clone();
        let resolver = FixedResolver::new();
        resolver.add_address("mx.test", "192.0.2.1".parse().unwrap());
        let seams = RemoteSeams {
            resolver: Arc::new(resolver),
            dialer: Arc::new(self.host),
            clock: Arc::new(SystemClock::new()),
            entropy: Arc::new(OsEntropy),
        };
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut settings = HostSettings::new("mx.test".parse().unwrap(), 587);
        settings.tls = self.policy;
        settings.credentials = self.credentials;
        let agent = RemoteAgent::builder("me.test".parse().unwrap(), seams)
            .tls(opportunistic_config(provider.clone()).unwrap())
            .verified_tls(verified_config(provider, self.roots).unwrap())
            .host(settings)
            .build();
        let job = DeliveryJob {
            trace: TraceId(1),
            reverse_path: ReversePath::Null,
            params: MailParams::default(),
            origin: Origin::Received,
            recipients: vec![Recipient::new("a@mx.test".parse().unwrap())],
            next_hop: NextHop::Host {
                host: "mx.test".parse().unwrap(),
                port: 587,
            },
            message: Message::from_bytes("Subject: x\r\n\r\n"),
            findings: Arc::default(),
            received_at: Timestamp::EPOCH,
            agent: "smtp".into(),
            transcript: Default::default(),
        };
        let outcome = agent.deliver(job).await.remove(0);
        let heard = heard.lock().unwrap().clone();
        (outcome, heard)
    }
}

fn said(heard: &[String], line: &str) -> bool {
    heard.iter().any(|said| said == line)
}

#[tokio::test]
async fn any_certificate_is_better_than_none() {
    let mut world = World::new(TlsPolicy::Opportunistic);
    world.roots = World::new(TlsPolicy::Opportunistic).roots;
    let (outcome, heard) = world.send().await;
    assert!(matches!(outcome, Outcome::Relayed { .. }), "{outcome:?}");
    assert!(said(&heard, "tls MAIL FROM:<>"), "{heard:?}");
}

#[tokio::test]
async fn a_broken_handshake_falls_back_only_where_it_may() {
    let mut world = World::new(TlsPolicy::Opportunistic);
    world.host.handshake = Handshake::Breaks;
    let (outcome, heard) = world.send().await;
    assert!(matches!(outcome, Outcome::Relayed { .. }), "{outcome:?}");
    assert!(said(&heard, "clear MAIL FROM:<>"), "{heard:?}");

    let mut world = World::new(TlsPolicy::Verified);
    world.host.handshake = Handshake::Breaks;
    let (outcome, heard) = world.send().await;
    assert!(matches!(outcome, Outcome::Unreachable(_)), "{outcome:?}");
    assert!(!heard.iter().any(|line| line.contains("MAIL")), "{heard:?}");
}

#[tokio::test]
async fn a_password_goes_to_the_host_that_proved_its_name() {
    let credentials = Credentials {
        login: "me".into(),
        password: Secret::new("pw"),
        password_use: PasswordUse::WithinTls,
    };
    for policy in [TlsPolicy::Verified, TlsPolicy::Implicit] {
        let mut world = World::new(policy);
        world.credentials = Some(credentials.clone());
        let (outcome, heard) = world.send().await;
        assert!(matches!(outcome, Outcome::Relayed { .. }), "{outcome:?}");
        assert!(said(&heard, "tls AUTH PLAIN AG1lAHB3"), "{heard:?}");

        let mut world = World::new(policy);
        world.credentials = Some(credentials.clone());
        world.roots = World::new(policy).roots;
        let (outcome, heard) = world.send().await;
        let Outcome::Unreachable(failure) = outcome else {
            panic!("{outcome:?}")
        };
        assert_eq!(failure.status.code.to_string(), "4.7.10");
        assert!(!heard.iter().any(|line| line.contains("AUTH")), "{heard:?}");
    }
}
