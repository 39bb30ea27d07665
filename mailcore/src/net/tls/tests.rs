//! What handshakes settle, over streams within the process.

use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::duplex;
use tokio_rustls::TlsConnector;

use super::*;
use crate::seams::Certificates;

/// A certificate for a name, signed by an authority of the test's own.
struct Issued {
    roots: Arc<RootCertStore>,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Issued {
    fn to(name: &str) -> Self {
        let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(made.cert.der().clone()).unwrap();
        Self {
            roots: Arc::new(roots),
            chain: vec![made.cert.der().clone()],
            key: PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap(),
        }
    }

    fn shown(&self) -> Arc<dyn Certificates> {
        let provider = aws_lc_rs::default_provider();
        let key = self.key.clone_key();
        let key = CertifiedKey::from_der(self.chain.clone(), key, &provider).unwrap();
        Arc::new(NamedCertificates::new(Arc::new(key)))
    }

    fn tls(&self) -> ServerTls {
        ServerTls::new(Arc::new(aws_lc_rs::default_provider()), self.shown())
    }

    /// A client that believes this certificate, with one of its own or without.
    fn client(&self, own: Option<&Issued>) -> ClientConfig {
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(Arc::clone(&self.roots));
        match own {
            None => builder.with_no_client_auth(),
            Some(own) => builder
                .with_client_auth_cert(own.chain.clone(), own.key.clone_key())
                .unwrap(),
        }
    }
}

/// Both ends of a handshake: what the server settled, and what the client heard.
async fn handshake(
    acceptor: &TlsAcceptor,
    client: ClientConfig,
    name: &str,
) -> (io::Result<TlsInfo>, io::Result<()>) {
    let (ours, theirs) = duplex(16 * 1024);
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let connector = TlsConnector::from(Arc::new(client));
    let server = async {
        let (mut stream, info) = acceptor.accept(Box::new(ours)).await?;
        stream.write_all(b"x").await?;
        stream.shutdown().await?;
        Ok(info)
    };
    let client = async {
        let mut stream = connector.connect(name, theirs).await?;
        // In TLS 1.3 the client learns after its own handshake of a refusal.
        let mut read = [0];
        tokio::io::AsyncReadExt::read(&mut stream, &mut read).await?;
        Ok(())
    };
    tokio::join!(server, client)
}

fn with_alpn(mut client: ClientConfig, names: &[&str]) -> ClientConfig {
    client.alpn_protocols = names.iter().map(|name| name.as_bytes().to_vec()).collect();
    client
}

#[tokio::test]
async fn a_client_that_asks_for_another_protocol_is_refused_and_one_that_asks_for_none_is_not() {
    let issued = Issued::to("mail.test");
    let acceptor = TlsAcceptor::for_protocol(&issued.tls().config().unwrap(), "imap");
    for (names, fits) in [
        (&[][..], true),
        (&["imap"], true),
        (&["h2", "imap"], true),
        (&["http/1.1"], false),
        (&["smtp"], false),
        (&["acme-tls/1"], false),
    ] {
        let client = with_alpn(issued.client(None), names);
        let (server, client) = handshake(&acceptor, client, "mail.test").await;
        assert_eq!(server.is_ok(), fits, "{names:?}");
        let told = client.map_err(|error| error.to_string());
        match fits {
            true => told.unwrap(),
            false => assert!(told.unwrap_err().contains("NoApplicationProtocol")),
        }
    }
}

#[tokio::test]
async fn an_acme_challenge_is_answered_and_no_protocol_follows() {
    let (issued, answer) = (Issued::to("mail.test"), Issued::to("mail.test"));
    let config = issued.tls().challenges(answer.shown()).config().unwrap();
    let acceptor = TlsAcceptor::for_protocol(&config, "smtp");
    let authority = with_alpn(answer.client(None), &["acme-tls/1"]);
    let (server, client) = handshake(&acceptor, authority, "mail.test").await;
    client.unwrap();
    assert!(server.unwrap_err().to_string().contains("ACME"));
    // Everybody else sees the usual certificate.
    for names in [&[][..], &["smtp"], &["smtp", "acme-tls/1"]] {
        let client = with_alpn(issued.client(None), names);
        let (server, client) = handshake(&acceptor, client, "mail.test").await;
        server.unwrap();
        client.unwrap();
    }
}

#[tokio::test]
async fn client_certificates_are_asked_for_as_the_listener_says() {
    let (issued, known, stranger) = (
        Issued::to("mail.test"),
        Issued::to("ann.test"),
        Issued::to("eve.test"),
    );
    let roots = || Arc::clone(&known.roots);
    for (clients, none, good, bad) in [
        (ClientCertificates::Off, true, true, true),
        (ClientCertificates::Optional(roots()), true, true, false),
        (ClientCertificates::Required(roots()), false, true, false),
    ] {
        let told = format!("{clients:?}");
        let config = issued.tls().client_certificates(clients).config().unwrap();
        let acceptor = TlsAcceptor::for_protocol(&config, "smtp");
        for (own, fits) in [(None, none), (Some(&known), good), (Some(&stranger), bad)] {
            let (server, client) = handshake(&acceptor, issued.client(own), "mail.test").await;
            assert_eq!((server.is_ok(), client.is_ok()), (fits, fits), "{told}");
            let asked = !matches!(told.as_str(), "Off");
            if let (Ok(info), Some(own), true) = (server, own, asked) {
                let shown = info.client_certificate.unwrap();
                assert_eq!(shown.der, own.chain[0].as_ref());
            }
        }
    }
}

#[test]
fn authorities_that_are_none_are_refused() {
    let none = ClientCertificates::Required(Arc::new(RootCertStore::empty()));
    let tls = Issued::to("mail.test").tls().client_certificates(none);
    assert!(matches!(tls.config(), Err(TlsConfigError::Clients(_))));
}

#[tokio::test]
async fn sessions_are_resumed_by_ticket() {
    let issued = Issued::to("mail.test");
    let tls = issued.tls().tickets(aws_lc_rs::Ticketer::new().unwrap());
    let acceptor = TlsAcceptor::for_protocol(&tls.config().unwrap(), "imap");
    let client = Arc::new(issued.client(None));
    for kind in [rustls::HandshakeKind::Full, rustls::HandshakeKind::Resumed] {
        let (ours, theirs) = duplex(16 * 1024);
        let connector = TlsConnector::from(Arc::clone(&client));
        let name = ServerName::try_from("mail.test").unwrap();
        let (server, client) = tokio::join!(
            async {
                let (mut stream, _) = acceptor.accept(Box::new(ours)).await.unwrap();
                stream.write_all(b"x").await.unwrap();
                stream.flush().await.unwrap();
                stream
            },
            async {
                let mut stream = connector.connect(name, theirs).await.unwrap();
                let mut read = [0];
                tokio::io::AsyncReadExt::read(&mut stream, &mut read)
                    .await
                    .unwrap();
                stream
            }
        );
        assert_eq!(client.get_ref().1.handshake_kind(), Some(kind));
        drop(server);
    }
}
