//! The client and TLS: kept to what was asked for, whatever the server or the
//! network does.
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
use mailcore::seams::{BoxStream, DialError, Dialer, SystemClock};
use mailcore::testing::FixedResolver;
use mailcore_imap::client::{
    ClientConfig, ClientError, Connector, Credentials, Security, verified_config,
};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio_rustls::TlsAcceptor;

/// A host with a certificate of its own making, for `imap.test`.
#[derive(Debug)]
struct Host {
    security: Security,
    answer: &'static [u8],
    config: Arc<ServerConfig>,
    /// Each line, `tls` or `clear` before it.
    heard: Arc<Mutex<Vec<String>>>,
}

#[async_trait]
impl Dialer for Host {
    async fn connect(&self, _: SocketAddr) -> Result<BoxStream, DialError> {
        let (ours, theirs) = tokio::io::duplex(16_384);
        let (config, heard) = (self.config.clone(), self.heard.clone());
        let (security, answer) = (self.security, self.answer);
        tokio::spawn(async move {
            let acceptor = TlsAcceptor::from(config);
            if security == Security::Implicit {
                let mut stream = acceptor.accept(theirs).await?;
                stream.write_all(b"* OK hello\r\n").await?;
                return serve(Box::new(stream), "tls", answer, &heard)
                    .await
                    .map(drop);
            }
            let mut theirs = theirs;
            theirs
                .write_all(b"* OK [CAPABILITY IMAP4rev1 STARTTLS AUTH=PLAIN] hello\r\n")
                .await?;
            match serve(Box::new(theirs), "clear", answer, &heard).await? {
                Some(stream) => {
                    let stream = acceptor.accept(stream).await?;
                    serve(Box::new(stream), "tls", answer, &heard)
                        .await
                        .map(drop)
                }
                None => Ok(()),
            }
        });
        Ok(Box::new(ours))
    }
}

/// Answers until the end or STARTTLS, after which it gives the stream back.
async fn serve(
    stream: BoxStream,
    word: &str,
    starttls: &[u8],
    heard: &Mutex<Vec<String>>,
) -> io::Result<Option<BoxStream>> {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    loop {
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(None);
        }
        let said = line.trim_end();
        heard.lock().unwrap().push(format!("{word} {said}"));
        let (tag, command) = said.split_once(' ').unwrap();
        if command == "STARTTLS" {
            stream.write_all(starttls).await?;
            return Ok(starttls.starts_with(b"s0 OK").then(|| stream.into_inner()));
        }
        if command == "CAPABILITY" {
            stream
                .write_all(b"* CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR\r\n")
                .await?;
        }
        stream
            .write_all(format!("{tag} OK done\r\n").as_bytes())
            .await?;
    }
}

/// Connects and logs in to `name`; what came of it and what the host heard.
async fn login(
    security: Security,
    name: &str,
    answer: &'static [u8],
) -> (Result<(), ClientError>, Vec<String>) {
    let made = rcgen::generate_simple_self_signed(["imap.test".to_owned()]).unwrap();
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], PrivateKeyDer::Pkcs8(key))
        .unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let heard = Arc::default();
    let host = Host {
        security,
        answer,
        config: Arc::new(config),
        heard: Arc::clone(&heard),
    };
    let resolver = FixedResolver::new();
    resolver.add_address(name, "192.0.2.1".parse().unwrap());
    let config = ClientConfig::new().security(security);
    let connector = Connector::new(config, Arc::new(SystemClock::new()))
        .network(Arc::new(resolver), Arc::new(host))
        .tls(verified_config(provider, roots).unwrap());
    let done = async {
        let mut client = connector.connect(&name.parse().unwrap(), None).await?;
        assert!(
            client
                .tls()
                .is_some_and(|tls| tls.version.starts_with("TLS"))
        );
        client.login(&Credentials::password("ann", "secret")).await
    };
    let done = done.await;
    let heard = heard.lock().unwrap().clone();
    (done, heard)
}

const GO: &[u8] = b"s0 OK go\r\n";

#[tokio::test]
async fn nothing_but_starttls_is_said_in_clear() {
    let (done, heard) = login(Security::StartTls, "imap.test", GO).await;
    done.unwrap();
    let words: Vec<_> = heard
        .iter()
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert_eq!(words, ["clear", "tls", "tls", "tls"], "{heard:?}");
    assert_eq!(heard.first().map(String::as_str), Some("clear s0 STARTTLS"));
}

#[tokio::test]
async fn implicit_tls_comes_before_the_greeting() {
    let (done, heard) = login(Security::Implicit, "imap.test", GO).await;
    done.unwrap();
    assert!(
        heard.iter().all(|line| line.starts_with("tls ")),
        "{heard:?}"
    );
}

#[tokio::test]
async fn a_certificate_of_another_name_ends_it() {
    for security in [Security::Implicit, Security::StartTls] {
        let (done, heard) = login(security, "other.test", GO).await;
        assert!(matches!(done, Err(ClientError::Tls(_))), "{done:?}");
        assert!(
            heard.iter().all(|line| line == "clear s0 STARTTLS"),
            "{heard:?}"
        );
    }
}

#[tokio::test]
async fn a_refused_or_forged_starttls_is_no_reason_to_go_on_in_clear() {
    for answer in [
        &b"s0 NO not now\r\n"[..],
        b"s0 BAD what\r\n",
        b"s0 OK go\r\n* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n",
    ] {
        let (done, heard) = login(Security::StartTls, "imap.test", answer).await;
        assert!(done.is_err());
        assert_eq!(heard, ["clear s0 STARTTLS"]);
    }
}
