//! Receive mail for one address into a closure: no store, no directory.
//!
//! Run it, then: `swaks --to orders@example.com --server 127.0.0.1:2525`.
//! The sender is told that the mail arrived when the closure has returned `Ok`.

use std::error::Error;

use mailcore::intake::HookError;
use mailcore::server::{RunningServer, Server, StartError};
use mailcore_smtp::server::Smtp;

async fn start(address: &str) -> Result<RunningServer, StartError> {
    let server = Server::builder("mx.example.com").listen(address, Smtp::mx());
    let server = server.deliver_to("orders@example.com", |mail| async move {
        if !mail.subject().starts_with("Order ") {
            return Err(HookError::Refuse(
                "the subject must begin with: Order".into(),
            ));
        }
        println!("{} sends {:?}", mail.reverse_path, mail.subject());
        Ok(())
    });
    server.start().await
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = start("127.0.0.1:2525").await?;
    tokio::signal::ctrl_c().await?;
    server.shutdown().await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    /// Sends a whole dialogue at once and returns all that the server says.
    async fn talk(server: &RunningServer, subject: &str) -> String {
        let mut stream = TcpStream::connect(server.address("smtp").unwrap())
            .await
            .unwrap();
        let mut greeting = [0; 3];
        stream.read_exact(&mut greeting).await.unwrap();
        let mut said = String::new();
        let lines = [
            "EHLO me.test",
            "MAIL FROM:<me@me.test>",
            "RCPT TO:<orders@example.com>",
            "DATA",
        ];
        for line in lines {
            stream
                .write_all(format!("{line}\r\n").as_bytes())
                .await
                .unwrap();
        }
        let message = format!("Subject: {subject}\r\n\r\nTwo of them, please.\r\n.\r\nQUIT\r\n");
        stream.write_all(message.as_bytes()).await.unwrap();
        stream.read_to_string(&mut said).await.unwrap();
        said
    }

    #[tokio::test]
    async fn the_closure_decides_what_the_sender_is_told() {
        let server = start("127.0.0.1:0").await.unwrap();
        let taken = talk(&server, "Order 17").await;
        assert!(taken.contains("\r\n250 2.0.0 "), "{taken}");
        let refused = talk(&server, "Buy now").await;
        assert!(
            refused.contains("\r\n550 5.7.1 the subject must begin with: Order"),
            "{refused}"
        );
        server.shutdown().await;
    }
}
