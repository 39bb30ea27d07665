//! A mail server with TLS: mail in and out by SMTP, users' mail by submission
//! and IMAP, all of it on disk.
//!
//! Put `fullchain.pem` and `privkey.pem` into a folder and run it there as a user
//! who may use the ports. `cargo run` at the root is the server with everything.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use mailcore::account::Secret;
use mailcore::address::Address;
use mailcore::net::{FixedCertificate, ServerTls};
use mailcore::seams::{Directory, DirectoryWrite, DomainKind};
use mailcore::server::{RunningServer, Server};
use mailcore_imap::server::Imap;
use mailcore_smtp::client::Outgoing;
use mailcore_smtp::server::Smtp;
use mailcore_store::directory::{PasswordHashing, SqliteDirectory};
use mailcore_store::embedded::{EmbeddedOptions, EmbeddedStore};
use rustls::crypto::aws_lc_rs;

/// Ports: SMTP, submission within TLS, submission, IMAP within TLS.
async fn start(folder: &Path, ports: [u16; 4]) -> Result<RunningServer, Box<dyn Error>> {
    let [smtp, submissions, submission, imaps] = ports.map(|port| format!("0.0.0.0:{port}"));
    let (chain, key) = (folder.join("fullchain.pem"), folder.join("privkey.pem"));
    let provider = Arc::new(aws_lc_rs::default_provider());
    let certificate = FixedCertificate::from_pem_files(&provider, chain, key)?;
    let tls = ServerTls::new(Arc::clone(&provider), Arc::new(certificate)).config()?;
    let accounts = SqliteDirectory::open(folder.join("accounts.db"), PasswordHashing::default())?;
    if accounts.domains().await?.is_empty() {
        let ann: Address = "ann@example.com".parse()?;
        accounts.add_domain(ann.domain(), DomainKind::Local).await?;
        accounts
            .add_account(&ann, &Secret::new("change me"))
            .await?;
    }
    let builder = Server::builder("mail.example.com")
        .stores(EmbeddedStore::open(
            folder.join("mail"),
            EmbeddedOptions::default(),
        )?)
        .accounts(Arc::new(accounts))
        .outgoing(Outgoing::new().tls(provider)?)
        .tls(tls)
        .listen(smtp, Smtp::mx())
        .listen_tls(submissions, Smtp::submission())
        .listen(submission, Smtp::submission())
        .listen_tls(imaps, Imap::new());
    Ok(builder.start().await?)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = start(Path::new("."), [25, 465, 587, 993]).await?;
    tokio::signal::ctrl_c().await?;
    server.shutdown().await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use mailcore::mailbox::Uid;
    use mailcore::seams::SystemClock;
    use mailcore_imap::client::{
        Access, Changes, ClientConfig, Connector, Credentials, RemoteName,
    };
    use tokio::net::TcpStream;

    const MAIL: &str =
        "From: ann@example.com\r\nTo: ann@example.com\r\nSubject: hello\r\n\r\nHi.\r\n";

    #[tokio::test]
    async fn mail_outlives_a_restart_and_is_read_over_tls() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name| folder.path().join(name);
        let made = rcgen::generate_simple_self_signed(["mail.example.com".to_owned()]).unwrap();
        std::fs::write(file("fullchain.pem"), made.cert.pem()).unwrap();
        std::fs::write(file("privkey.pem"), made.signing_key.serialize_pem()).unwrap();
        let server = start(folder.path(), [0; 4]).await.unwrap();
        let sent = server.send(MAIL).await.unwrap().outcome().await.unwrap();
        assert!(sent.iter().all(|it| it.success), "{sent:?}");
        server.shutdown().await;

        let server = start(folder.path(), [0; 4]).await.unwrap();
        let mut roots = rustls::RootCertStore::empty();
        roots.add(made.cert.der().clone()).unwrap();
        let provider = Arc::new(aws_lc_rs::default_provider());
        let tls = mailcore_smtp::client::verified_config(provider, roots).unwrap();
        let port = server.address("imap").unwrap().port();
        let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let clock = Arc::new(SystemClock::new());
        let connector = Connector::new(ClientConfig::new(), clock).tls(tls);
        let host = "mail.example.com".parse().unwrap();
        let mut client = connector.over(stream, &host).await.unwrap();
        let login = Credentials::password("ann@example.com", "change me");
        client.login(&login).await.unwrap();
        let inbox = RemoteName::inbox();
        let opened = client.select(&inbox, Access::ReadOnly, &Changes::None);
        opened.await.unwrap();
        let mut read = Vec::new();
        client.download(Uid::MIN, &mut read).await.unwrap();
        assert!(String::from_utf8_lossy(&read).contains("Subject: hello"));
        client.logout().await;
        server.shutdown().await;
    }
}
