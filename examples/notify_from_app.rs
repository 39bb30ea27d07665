//! Send a notification when something happens in the host application: queued
//! durably, retried, with an outcome that the application can await.
//!
//! Put an address of yours in place of `a@b.example`: there is no such domain,
//! which is what the program says.

use std::error::Error;

use mailcore::server::{RunningServer, Server, Submission, SubmitError};
use mailcore_smtp::client::Outgoing;
use mailcore_store::embedded::{EmbeddedOptions, EmbeddedStore};

const SHIPPED: &str = "From: shop@shop.example.com\r\nSubject: It is on its way\r\n\r\nSoon!\r\n";

/// Tells the buyer; when this returns, the message is on stable storage.
async fn tell(server: &RunningServer, to: &str) -> Result<Submission, SubmitError> {
    server.send(format!("To: {to}\r\n{SHIPPED}")).await
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let store = EmbeddedStore::open("shop-mail", EmbeddedOptions::default())?;
    let builder = Server::builder("shop.example.com").stores(store);
    let server = builder.outgoing(Outgoing::new()).start().await?;
    println!("{:?}", tell(&server, "a@b.example").await?.outcome().await?);
    server.shutdown().await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use mailcore::intake::HookError;
    use mailcore_store::MemoryStore;

    #[tokio::test]
    async fn the_outcome_tells_who_got_it() {
        let server = Server::builder("shop.example.com")
            .stores(MemoryStore::new())
            .deliver_to("reader@here.test", |_| async { Ok(()) })
            .deliver_to("moved@here.test", |_| async {
                Err(HookError::Refuse("moved away".into()))
            })
            .start()
            .await
            .unwrap();
        let sent = tell(&server, "reader@here.test").await.unwrap();
        let outcomes = sent.outcome().await.unwrap();
        assert!(
            outcomes.iter().all(|outcome| outcome.success) && outcomes.len() == 1,
            "{outcomes:?}"
        );
        let refused = tell(&server, "moved@here.test").await.unwrap_err();
        assert_eq!(refused.to_string(), "refused: 5.7.1 moved away");
        server.shutdown().await;
    }
}
