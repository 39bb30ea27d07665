//! Other settings for a server that runs: what the next connection meets, and
//! what open sessions are spared.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use mailcore::limits::Limits;
use mailcore::server::{Builder, RunningServer, Server, ServiceState, StartError};
use mailcore_imap::server::Imap;
use mailcore_smtp::server::{Limits as SmtpLimits, Smtp};
use mailcore_store::MemoryStore;
use mailcore_store::directory::{MemoryDirectory, PasswordHashing};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

const ANY: &str = "127.0.0.1:0";

fn server() -> Builder {
    Server::builder("mx.a.test").deliver_to("orders@a.test", |_| async { Ok(()) })
}

fn sized(octets: u64) -> Builder {
    let (mut limits, mut smtp) = (Limits::default(), SmtpLimits::default());
    limits.message_size = octets;
    smtp.message_size = octets;
    server().limits(limits).listen(ANY, Smtp::mx().limits(smtp))
}

struct Client(BufReader<TcpStream>);

impl Client {
    async fn of(address: SocketAddr) -> Self {
        let mut client = Self(BufReader::new(TcpStream::connect(address).await.unwrap()));
        assert!(client.line().await.starts_with("220 "));
        client
    }

    /// The next line; empty at the end.
    async fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).await.unwrap();
        line
    }

    /// The whole reply to a command.
    async fn ask(&mut self, command: &str) -> String {
        let line = format!("{command}\r\n");
        self.0.get_mut().write_all(line.as_bytes()).await.unwrap();
        let mut reply = String::new();
        loop {
            let line = self.line().await;
            reply.push_str(&line);
            if line.as_bytes().get(3) != Some(&b'-') {
                return reply;
            }
        }
    }
}

fn at(server: &RunningServer) -> SocketAddr {
    server.address("smtp").unwrap()
}

#[tokio::test]
async fn the_next_connection_meets_new_limits_and_an_open_session_keeps_the_old() {
    let server = sized(111_111).start().await.unwrap();
    let address = at(&server);
    let mut old = Client::of(address).await;
    let done = server.reload(sized(222_222)).await.unwrap();
    assert!(done.added.is_empty() && done.removed.is_empty());
    assert_eq!(at(&server), address);
    assert!(old.ask("EHLO c.test").await.contains("SIZE 111111"));
    let mut new = Client::of(address).await;
    assert!(new.ask("EHLO c.test").await.contains("SIZE 222222"));
    server.shutdown().await;
    for session in [&mut old, &mut new] {
        assert!(session.line().await.starts_with("421 "));
    }
}

#[tokio::test]
async fn listeners_come_and_go_and_the_sessions_of_those_gone_live_on() {
    let server = server().listen(ANY, Smtp::mx()).start().await.unwrap();
    let first = at(&server);
    let mut old = Client::of(first).await;
    let directory = Arc::new(MemoryDirectory::new(PasswordHashing::fast_for_tests()).unwrap());
    let other = self::server()
        .authenticator(directory)
        .listen(ANY, Smtp::submission());
    let done = server.reload(other).await.unwrap();
    let [added] = done.added.as_slice() else {
        panic!("{done:?}")
    };
    Client::of(added.address().unwrap()).await;
    let [removed] = done.removed.as_slice() else {
        panic!("{done:?}")
    };
    assert_eq!(removed.state(), ServiceState::Retired);
    assert!(matches!(
        removed.start().await,
        Err(StartError::Retired { service: "smtp" })
    ));
    assert!(old.ask("NOOP").await.starts_with("250"));
    assert!(TcpStream::connect(first).await.is_err());
    // Its port is free for others, and for the server itself.
    let again = self::server().listen(first.to_string(), Smtp::mx());
    server.reload(again).await.unwrap();
    Client::of(first).await;
    server.shutdown().await;
    assert!(old.line().await.starts_with("421 "));
    assert_eq!(old.line().await, "");
}

#[tokio::test]
async fn a_reload_that_can_t_be_done_changes_nothing() {
    let server = sized(111_111).start().await.unwrap();
    let taken = TcpListener::bind(ANY).await.unwrap();
    let taken_at = taken.local_addr().unwrap().to_string();
    let free_at = {
        let free = TcpListener::bind(ANY).await.unwrap();
        free.local_addr().unwrap().to_string()
    };
    let wrong = [
        sized(222_222)
            .listen(free_at.as_str(), Smtp::mx())
            .listen(taken_at.as_str(), Smtp::mx()),
        sized(222_222).listen(free_at.as_str(), Imap::new()),
        sized(222_222).deliver_to("no address", |_| async { Ok(()) }),
        Server::builder("other.test").listen(ANY, Smtp::mx()),
    ];
    for builder in wrong {
        server.reload(builder).await.unwrap_err();
        assert_eq!(server.services().len(), 1);
        let mut client = Client::of(at(&server)).await;
        assert!(client.ask("EHLO c.test").await.contains("SIZE 111111"));
        TcpListener::bind(&free_at)
            .await
            .expect("no port stays bound");
    }
}

#[tokio::test]
async fn mail_goes_where_the_new_settings_lead() {
    let taken = Arc::new(Mutex::new(Vec::new()));
    let store = Arc::new(MemoryStore::new());
    let builder = |name: &'static str| {
        let taken = Arc::clone(&taken);
        Server::builder("mx.a.test")
            .stores(Arc::clone(&store))
            .deliver_to("orders@a.test", move |_| {
                taken.lock().unwrap().push(name);
                async { Ok(()) }
            })
            .listen(ANY, Smtp::mx())
    };
    let server = builder("old").start().await.unwrap();
    let send = async || {
        let mut client = Client::of(at(&server)).await;
        for command in ["HELO c.test", "MAIL FROM:<x@b.test>"] {
            assert!(client.ask(command).await.starts_with("250"));
        }
        assert!(
            client
                .ask("RCPT TO:<orders@a.test>")
                .await
                .starts_with("250")
        );
        assert!(client.ask("DATA").await.starts_with("354"));
        assert!(
            client
                .ask("Subject: x\r\n\r\nx\r\n.")
                .await
                .starts_with("250")
        );
    };
    send().await;
    server.reload(builder("new")).await.unwrap();
    send().await;
    assert_eq!(*taken.lock().unwrap(), ["old", "new"]);
}
