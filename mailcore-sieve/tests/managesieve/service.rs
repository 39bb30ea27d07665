//! The service over a directory: what is uploaded is kept, and only that.

use std::sync::Arc;

use mailcore::account::Secret;
use mailcore::seams::{DirectoryWrite, DomainKind, OsEntropy, Scope, ScriptKind, Scripts};
use mailcore::server::{RunningServer, Server};
use mailcore::testing::VirtualClock;
use mailcore_sieve::engine::{CompileError, Position};
use mailcore_sieve::managesieve::{ManageSieve, ScriptCheck};
use mailcore_store::MemoryStore;
use mailcore_store::directory::{MemoryDirectory, PasswordHashing};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream};

/// Takes scripts that keep.
#[derive(Debug)]
struct Keeps;

impl ScriptCheck for Keeps {
    fn extensions(&self) -> Vec<String> {
        vec!["fileinto".into()]
    }

    fn check(&self, text: &[u8]) -> Result<Vec<String>, CompileError> {
        match text.starts_with(b"keep;") {
            true => Ok(Vec::new()),
            false => Err(CompileError::new(
                Position { line: 1, column: 1 },
                "write keep",
            )),
        }
    }
}

struct House {
    _server: RunningServer,
    directory: MemoryDirectory,
    owner: Scope,
    talk: BufReader<DuplexStream>,
}

impl House {
    async fn new() -> Self {
        Self::checked_by(Some(Arc::new(Keeps))).await
    }

    async fn checked_by(check: Option<Arc<dyn ScriptCheck>>) -> Self {
        let managesieve = match check {
            Some(check) => ManageSieve::new().checked_by(check),
            None => ManageSieve::new(),
        };
        let time = Arc::new(VirtualClock::new());
        let hashing = PasswordHashing::fast_for_tests();
        let directory = MemoryDirectory::with(hashing, time.clone(), Arc::new(OsEntropy)).unwrap();
        let domain = "a.test".parse().unwrap();
        let added = directory.add_domain(&domain, DomainKind::Local).await;
        added.unwrap();
        let ann = "ann@a.test".parse().unwrap();
        let account = directory.add_account(&ann, &Secret::new("secret")).await;
        let account = account.unwrap();
        let server = Server::builder("mx.a.test")
            .stores(Arc::new(MemoryStore::with(
                time.clone(),
                Arc::new(OsEntropy),
            )))
            .directory(Arc::new(directory.clone()))
            .authenticator(Arc::new(directory.clone()))
            .clock(time)
            .serve(managesieve)
            .start()
            .await
            .unwrap();
        let talk = BufReader::new(server.connect_managesieve().unwrap());
        Self {
            _server: server,
            directory,
            owner: Scope::Account(account),
            talk,
        }
    }

    /// Reads until a command is over; its last line.
    async fn completion(&mut self) -> String {
        loop {
            let mut line = String::new();
            assert!(self.talk.read_line(&mut line).await.unwrap() > 0, "closed");
            if ["OK", "NO", "BYE"].iter().any(|it| line.starts_with(it)) {
                return line;
            }
        }
    }

    async fn ask(&mut self, command: &str, begins: &str) {
        let octets = format!("{command}\r\n");
        self.talk.write_all(octets.as_bytes()).await.unwrap();
        let got = self.completion().await;
        assert!(got.starts_with(begins), "{command}: {got}");
    }

    async fn log_in(&mut self) {
        self.completion().await;
        // ann@a.test, secret.
        self.ask("AUTHENTICATE \"PLAIN\" \"AGFubkBhLnRlc3QAc2VjcmV0\"", "OK")
            .await;
    }

    async fn active(&self) -> Option<(Arc<str>, Arc<str>)> {
        let found = self.directory.active_script(&self.owner, ScriptKind::Sieve);
        found.await.unwrap()
    }
}

#[tokio::test]
async fn what_is_put_and_made_active_is_what_the_directory_has() {
    let mut house = House::new().await;
    house.log_in().await;
    house.ask("PUTSCRIPT \"a\" {5+}\r\nkeep;", "OK").await;
    house.ask("SETACTIVE \"a\"", "OK").await;
    let kept = house.active().await.unwrap();
    assert_eq!((&*kept.0, &*kept.1), ("a", "keep;"));
    // A script that is wrong leaves the one before (RFC 5804 section 2.6).
    house
        .ask(
            "PUTSCRIPT \"a\" {5+}\r\nstop;",
            "NO \"line 1, column 1: write keep\"",
        )
        .await;
    assert_eq!(&*house.active().await.unwrap().1, "keep;");
    house.ask("PUTSCRIPT \"a\" {6+}\r\nkeep;\u{7f}", "OK").await;
    house.ask("DELETESCRIPT \"a\"", "NO (ACTIVE)").await;
    house.ask("RENAMESCRIPT \"a\" \"b\"", "OK").await;
    assert_eq!(&*house.active().await.unwrap().0, "b");
    house
        .ask("RENAMESCRIPT \"b\" \"b\"", "NO (ALREADYEXISTS)")
        .await;
    house.ask("GETSCRIPT \"a\"", "NO (NONEXISTENT)").await;
    house.ask("SETACTIVE \"\"", "OK").await;
    house.ask("DELETESCRIPT \"b\"", "OK").await;
    assert_eq!(house.active().await, None);
}

#[tokio::test]
async fn a_script_in_no_charset_is_not_kept() {
    let mut house = House::new().await;
    house.log_in().await;
    let command = b"PUTSCRIPT \"a\" {6+}\r\nkeep;\xff\r\n";
    house.talk.write_all(command).await.unwrap();
    let refused = house.completion().await;
    assert!(
        refused.starts_with("NO \"a script is written in UTF-8"),
        "{refused}"
    );
    assert_eq!(house.active().await, None);
}

#[tokio::test]
async fn quotas_of_the_directory_are_told_by_their_code() {
    let mut house = House::new().await;
    house.log_in().await;
    let long = format!("keep;#{}", "x".repeat(300 * 1024));
    let put = format!("PUTSCRIPT \"a\" {{{}+}}\r\n{long}", long.len());
    house.ask(&put, "NO (QUOTA/MAXSIZE)").await;
    house
        .ask("HAVESPACE \"a\" 300000", "NO (QUOTA/MAXSIZE)")
        .await;
    for name in 0..50 {
        house
            .ask(&format!("PUTSCRIPT \"{name}\" \"keep;\""), "OK")
            .await;
    }
    house
        .ask("PUTSCRIPT \"one more\" \"keep;\"", "NO (QUOTA/MAXSCRIPTS)")
        .await;
    house
        .ask("HAVESPACE \"one more\" 5", "NO (QUOTA/MAXSCRIPTS)")
        .await;
    house.ask("PUTSCRIPT \"7\" \"keep; #new\"", "OK").await;
}

#[tokio::test]
async fn without_another_check_scripts_must_compile() {
    let mut house = House::checked_by(None).await;
    house.log_in().await;
    house.ask("CHECKSCRIPT \"keep;\"", "OK").await;
    house.ask("CHECKSCRIPT \"frobnicate;\"", "NO").await;
}
