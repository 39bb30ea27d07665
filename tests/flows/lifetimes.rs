//! A server is a value: as many as one likes in one process, on any runtime, gone
//! when dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use mailcore::account::AccountId;
use mailcore::mailbox::MailboxName;
use mailcore::seams::Storage;
use mailcore::server::{RunningServer, Server};
use mailcore_smtp::server::Smtp;
use mailcore_store::MemoryStore;
use mailcore_store::directory::MemoryDirectory;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};

const MAIL: &str = "From: a@b.test\r\nTo: ann@a.test\r\nSubject: x\r\n\r\n";

async fn counting(count: &Arc<AtomicU32>) -> RunningServer {
    let count = Arc::clone(count);
    let builder = Server::builder("mx.a.test").deliver_to("ann@a.test", move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        std::future::ready(Ok(()))
    });
    builder
        .listen("127.0.0.1:0", Smtp::mx())
        .start()
        .await
        .unwrap()
}

async fn keeping(store: &MemoryStore) -> RunningServer {
    let users = MemoryDirectory::for_tests(&[("ann@a.test", "secret")])
        .await
        .unwrap();
    let builder = Server::builder("mx.a.test")
        .stores(store.clone())
        .accounts(users);
    builder
        .listen("127.0.0.1:0", Smtp::mx())
        .start()
        .await
        .unwrap()
}

fn runtimes() -> [Runtime; 2] {
    let one = Builder::new_current_thread().enable_all().build();
    let many = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    [one.unwrap(), many.unwrap()]
}

fn messages(store: &MemoryStore) -> u32 {
    let runtime = Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let (ann, inbox) = (AccountId::new("ann@a.test"), MailboxName::inbox());
        let inbox = store.open(&ann, &inbox).await.unwrap();
        inbox.status().await.unwrap().messages
    })
}

#[tokio::test]
async fn two_servers_of_one_name_know_nothing_of_one_another() {
    let counts = [Arc::default(), Arc::default()];
    let (one, two) = (counting(&counts[0]).await, counting(&counts[1]).await);
    assert_ne!(one.address("smtp"), two.address("smtp"));
    two.send(MAIL).await.unwrap();
    one.shutdown().await;
    two.send(MAIL).await.unwrap();
    two.shutdown().await;
    let counted = counts.map(|count| count.load(Ordering::SeqCst));
    assert_eq!(counted, [0, 2]);
}

#[test]
fn a_server_dropped_outside_its_runtime_gives_its_port_back_and_keeps_its_mail() {
    for runtime in runtimes() {
        let store = MemoryStore::new();
        let server = runtime.block_on(async {
            let server = keeping(&store).await;
            server.send(MAIL).await.unwrap();
            server
        });
        let address = server.address("smtp").unwrap();
        drop(server);
        runtime.block_on(async {
            // The listener's task ends when it is next asked.
            while TcpStream::connect(address).await.is_ok() {
                tokio::task::yield_now().await;
            }
            TcpListener::bind(address).await.unwrap();
        });
        assert_eq!(messages(&store), 1);
    }
}

#[test]
fn a_server_outlives_its_runtime_without_harm() {
    for runtime in runtimes() {
        let store = MemoryStore::new();
        let server = runtime.block_on(async {
            let server = keeping(&store).await;
            server.send(MAIL).await.unwrap();
            server
        });
        drop(runtime);
        drop(server);
        assert_eq!(messages(&store), 1);
    }
}
