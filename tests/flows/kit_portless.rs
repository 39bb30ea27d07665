//! A thousand servers in one process, none of which opens a socket or begins a
//! thread. The only test of its binary, since it counts what the process has.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::collections::BTreeSet;
use std::path::PathBuf;

use mailcore::testing::MemoryServer;
use mailcore::testing::matchers::{subject, to};
use mailcore_imap::server::Imap;
use mailcore_smtp::server::Smtp;
use mailcore_store::MemoryStore;
use mailcore_tests::Dialogue;

const SERVERS: usize = 1_000;
/// How many run at a time.
const AT_ONCE: usize = 100;

/// Every socket that the process has open.
fn sockets() -> BTreeSet<PathBuf> {
    let files = std::fs::read_dir("/proc/self/fd").unwrap();
    let targets = files.filter_map(|file| std::fs::read_link(file.ok()?.path()).ok());
    targets
        .filter(|it| it.to_string_lossy().starts_with("socket:"))
        .collect()
}

fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").unwrap().count()
}

async fn start(number: usize) -> MemoryServer {
    let domain = format!("app{number}.test");
    let server = MemoryServer::builder(&domain)
        .stores(MemoryStore::with)
        .serve(Smtp::mx())
        .serve(Imap::new())
        .start();
    server.await.unwrap()
}

/// A message in by SMTP, read by IMAP.
async fn used(server: &MemoryServer, number: usize) {
    let address = format!("ann@app{number}.test");
    let message = format!("Subject: number {number}\n\nhello");
    server.send("", &address, &message).await.unwrap();
    let wanted = to(&address).and(subject(format!("number {number}")));
    server.expect_mail(wanted).await;
    let mut imap = Dialogue::new(server.connect_imap().unwrap());
    imap.expect("* OK").await;
    imap.ask_all(&format!("1 LOGIN {address} x"), "1 OK").await;
    imap.ask_all("2 SELECT INBOX", "2 OK").await;
    let seen = imap.ask_all("3 FETCH 1 ENVELOPE", "3 OK").await;
    let subject = format!("\"number {number}\"");
    assert!(seen.iter().any(|line| line.contains(&subject)), "{seen:?}");
}

#[test]
fn a_thousand_servers_start_work_and_stop_without_a_socket_or_a_thread() {
    // Without the system's IO: a socket of tokio's would panic.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let before = (sockets(), threads());
    runtime.block_on(async {
        for group in 0..SERVERS / AT_ONCE {
            let numbers = group * AT_ONCE..(group + 1) * AT_ONCE;
            let mut servers = Vec::with_capacity(AT_ONCE);
            for number in numbers {
                let server = start(number).await;
                used(&server, number).await;
                servers.push(server);
            }
            assert_eq!((sockets(), threads()), before);
            for server in servers {
                server.shutdown().await;
            }
        }
    });
    assert_eq!((sockets(), threads()), before);
}
