//! An IMAP server on 127.0.0.1:1143 over a store in memory, for trying clients:
//! every account exists and its password is `secret`.
//!
//! `cargo run -p mailcore-imap --example serve_memory [PORT]`
#![allow(missing_docs, reason = "an example")]

use std::sync::Arc;
use std::time::Duration;

use mailcore::account::{AccountId, Identity};
use mailcore::net::{Connection, Service, ShutdownSwitch};
use mailcore::seams::{AuthError, AuthRequest, Authenticator, Clock, Proof, SystemClock};
use mailcore_imap::server::ImapServer;
use mailcore_imap::session::{Config, PlaintextLogin};
use mailcore_store::memory::MemoryStore;
use tokio::net::TcpListener;

#[derive(Debug)]
struct Everyone;

#[async_trait::async_trait]
impl Authenticator for Everyone {
    async fn authenticate(&self, request: &AuthRequest) -> Result<Identity, AuthError> {
        match &request.proof {
            Proof::Password(password) if password.expose() == b"secret" => Ok(Identity {
                account: AccountId::new(&request.login),
                login: request.login.as_str().into(),
            }),
            _ => Err(AuthError::Invalid),
        }
    }
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let port = std::env::args()
        .nth(1)
        .and_then(|port| port.parse().ok())
        .unwrap_or(1143_u16);
    let mut config = Config::new("localhost");
    config.plaintext_login = PlaintextLogin::Anywhere;
    let store = Arc::new(MemoryStore::new());
    let server = Arc::new(ImapServer::new(
        config,
        store.clone(),
        store,
        Arc::new(Everyone),
    ));
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let socket = TcpListener::bind(("127.0.0.1", port)).await?;
    let (_switch, shutdown) = ShutdownSwitch::new();
    println!("listening on {}", socket.local_addr()?);
    loop {
        let (stream, peer) = socket.accept().await?;
        stream.set_nodelay(true)?;
        let connection = Connection {
            stream: Box::new(stream),
            peer: Some(peer),
            local: None,
            tls: None,
            #[cfg(feature = "tls")]
            starttls: None,
            shutdown: shutdown.clone(),
            clock: Arc::clone(&clock),
            write_timeout: Duration::from_secs(60),
            meter: mailcore::net::Meter::default(),
        };
        let server = Arc::clone(&server);
        tokio::spawn(async move { server.serve(connection).await });
    }
}
