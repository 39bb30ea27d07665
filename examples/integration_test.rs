//! An integration test of an application that sends mail: a whole server within
//! the test, no ports, nothing on disk, no accounts to set up.

use std::error::Error;

use mailcore::testing::MemoryServer;
use mailcore::testing::matchers::{subject, to};
use mailcore_imap::server::Imap;
use mailcore_smtp::server::Smtp;
use mailcore_store::MemoryStore;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const WELCOME: &str = "From: app@app.test\nSubject: welcome\n\nGlad to have you.";
const READ: &str = "1 LOGIN ann@app.test x\r\n2 SELECT INBOX\r\n3 FETCH 1 ALL\r\n4 LOGOUT\r\n";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = MemoryServer::builder("app.test")
        .stores(MemoryStore::with)
        .serve(Smtp::mx())
        .serve(Imap::new())
        .start()
        .await?;
    // The application under test sends with its own mail client, over
    // `server.connect_smtp()` or a port (`listen` in place of `serve`).
    server.send("app@app.test", "ann@app.test", WELCOME).await?;
    let wanted = to("ann@app.test").and(subject("welcome"));
    let mail = server.expect_mail(wanted).await;
    assert_eq!(mail.text.trim_end(), "Glad to have you.");
    // As the reader's mail client sees it; any password is right.
    let (mut imap, mut seen) = (server.connect_imap()?, String::new());
    imap.write_all(READ.as_bytes()).await?;
    imap.read_to_string(&mut seen).await?;
    assert!(seen.contains("\"welcome\""), "{seen}");
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_mail_arrives() {
        super::main().unwrap();
    }
}
