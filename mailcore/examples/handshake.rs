//! What a TLS 1.3 handshake through the server costs, beside one of rustls with
//! nothing around it: `cargo run --release -p mailcore --features tls --example
//! handshake`.
//!
//! Both run in this process, one after the other in short rounds, so that what
//! else the machine does falls on both.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use mailcore::net::{Connection, FixedCertificate, ServerTls, Service};
use mailcore::server::{IntoService, Parts, Server, StartError};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::{PrivateKeyDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

const ROUNDS: usize = 40;
const HANDSHAKES: u32 = 50;

/// Says one octet and goes.
#[derive(Debug, Clone)]
struct Hello;

#[async_trait]
impl Service for Hello {
    fn protocol(&self) -> &'static str {
        "hello"
    }

    async fn serve(&self, mut connection: Connection) {
        let _ = connection.stream.write_all(b"x").await;
        let _ = connection.stream.shutdown().await;
    }

    fn busy(&self) -> &'static [u8] {
        b""
    }
}

impl IntoService for Hello {
    fn into_service(self: Box<Self>, _parts: &Parts) -> Result<Arc<dyn Service>, StartError> {
        Ok(Arc::new(*self))
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Box<dyn Error>> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let made = rcgen::generate_simple_self_signed(["x.test".to_owned()])?;
    let chain = vec![made.cert.der().clone()];
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone())?;
    let mut client = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    // Each handshake is a whole one.
    client.resumption = rustls::client::Resumption::disabled();
    let client = TlsConnector::from(Arc::new(client));

    let bare = bare(&provider, chain.clone(), key.clone_key()).await?;
    let certificate = FixedCertificate::new(&provider, chain, key)?;
    let tls = ServerTls::new(provider, Arc::new(certificate)).config()?;
    let server = Server::builder("x.test")
        .tls(tls)
        .listen_tls("127.0.0.1:0", Hello)
        .start()
        .await?;
    let through = server.address("hello").ok_or("no address")?;

    let (mut bare_times, mut through_times) = (Vec::new(), Vec::new());
    round(&client, bare).await?;
    round(&client, through).await?;
    for _ in 0..ROUNDS {
        bare_times.push(round(&client, bare).await?);
        through_times.push(round(&client, through).await?);
    }
    let (bare, through) = (median(bare_times), median(through_times));
    println!("bare rustls  {bare:?} a handshake");
    println!("the server   {through:?}");
    println!(
        "ratio        {:.3}",
        through.as_secs_f64() / bare.as_secs_f64()
    );
    server.shutdown().await;
    Ok(())
}

/// rustls and a socket.
async fn bare(
    provider: &Arc<CryptoProvider>,
    chain: Vec<rustls_pki_types::CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<SocketAddr, Box<dyn Error>> {
    let config = ServerConfig::builder_with_provider(Arc::clone(provider))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let _ = stream.set_nodelay(true);
                if let Ok(mut stream) = acceptor.accept(stream).await {
                    let _ = stream.write_all(b"x").await;
                    let _ = stream.shutdown().await;
                }
            });
        }
    });
    Ok(address)
}

/// The time of one handshake, up to the server's first octet.
async fn round(client: &TlsConnector, to: SocketAddr) -> std::io::Result<Duration> {
    let began = Instant::now();
    for _ in 0..HANDSHAKES {
        let stream = TcpStream::connect(to).await?;
        stream.set_nodelay(true)?;
        let name = ServerName::try_from("x.test").map_err(std::io::Error::other)?;
        let mut stream = client.connect(name, stream).await?;
        stream.read_u8().await?;
    }
    Ok(began.elapsed() / HANDSHAKES)
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default()
}
