//! An integration test of an application that sends mail: a whole server within
//! the test, no ports, nothing on disk.

use std::error::Error;
use std::sync::Arc;

use mailcore::server::Server;
use mailcore_imap::server::Imap;
use mailcore_smtp::server::Smtp;
use mailcore_store::MemoryStore;
use mailcore_store::directory::MemoryDirectory;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream};

const MAIL: &str = "Subject: welcome\r\n\r\nGlad to have you.\r\n.";

/// Says `lines` one by one and returns the last line of each answer.
async fn say(stream: DuplexStream, lines: &[&str]) -> Result<Vec<String>, Box<dyn Error>> {
    let mut stream = BufReader::new(stream);
    let mut answers = Vec::new();
    let mut heard = String::new();
    stream.read_line(&mut heard).await?;
    for line in lines {
        stream
            .get_mut()
            .write_all(format!("{line}\r\n").as_bytes())
            .await?;
        loop {
            heard.clear();
            stream.read_line(&mut heard).await?;
            let untagged = heard.starts_with('*') || heard.get(3..4) == Some("-");
            answers.push(heard.trim_end().to_owned());
            if !untagged {
                break;
            }
        }
    }
    Ok(answers)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let directory = MemoryDirectory::for_tests(&[("reader@app.test", "secret")]).await?;
    let server = Server::builder("mail.app.test")
        .stores(Arc::new(MemoryStore::new()))
        .directory(directory.clone())
        .authenticator(directory)
        .serve(Smtp::mx())
        .serve(Imap::new())
        .start()
        .await?;
    // The application under test would send this with its own mail client, over
    // the same stream.
    let smtp = server.connect("smtp").ok_or("no SMTP")?;
    say(
        smtp,
        &[
            "EHLO app",
            "MAIL FROM:<app@app.test>",
            "RCPT TO:<reader@app.test>",
            "DATA",
            MAIL,
        ],
    )
    .await?;
    let imap = server.connect("imap").ok_or("no IMAP")?;
    let seen = say(
        imap,
        &[
            "a LOGIN reader@app.test secret",
            "b SELECT INBOX",
            "c FETCH 1 ENVELOPE",
        ],
    )
    .await?;
    assert!(
        seen.iter().any(|line| line.contains("\"welcome\"")),
        "{seen:#?}"
    );
    server.shutdown().await;
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_mail_arrives() {
        super::main().unwrap();
    }
}
