//! Send a notification when something happens in the host application: queued
//! durably, retried, with an outcome that the application can await.
//!
//! Run it with an address: `cargo run --example notify_from_app -- you@example.org`.

use std::error::Error;
use std::sync::Arc;

use mail_builder::MessageBuilder;
use mailcore::address::ReversePath;
use mailcore::envelope::Envelope;
use mailcore::net::HickoryResolver;
use mailcore::seams::{OsEntropy, SystemClock, TcpDialer};
use mailcore::server::{Delivered, RunningServer, Server};
use mailcore_smtp::client::{RemoteAgent, RemoteSeams};
use mailcore_store::embedded::{EmbeddedOptions, EmbeddedStore};

/// Tells `to` that the order was shipped; returns when it has arrived or will
/// not.
async fn shipped(
    server: &RunningServer,
    to: &str,
) -> Result<Vec<Delivered>, Box<dyn Error + Send + Sync>> {
    let message = MessageBuilder::new()
        .from(("The shop", "shop@shop.example.com"))
        .to(to)
        .subject("Order 17 is on its way")
        .text_body("It should be with you tomorrow.\r\n")
        .write_to_vec()?;
    let envelope = Envelope::new(
        ReversePath::Address("shop@shop.example.com".parse()?),
        [to.parse()?],
    );
    let sent = server.submit(envelope, message).await?; // on stable storage from here on
    Ok(sent.outcome().await?)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let to = std::env::args()
        .nth(1)
        .ok_or("say to whom: notify_from_app ADDRESS")?;
    let seams = RemoteSeams {
        resolver: Arc::new(HickoryResolver::from_system()?),
        dialer: Arc::new(TcpDialer::default()),
        clock: Arc::new(SystemClock::new()),
        entropy: Arc::new(OsEntropy),
    };
    let agent = RemoteAgent::builder("shop.example.com".parse()?, seams).build();
    let store = EmbeddedStore::open("shop-mail", EmbeddedOptions::default())?;
    let server = Server::builder("shop.example.com")
        .stores(Arc::new(store))
        .agent("smtp", agent)
        .start()
        .await?;
    for outcome in shipped(&server, &to).await? {
        println!("{}: {}", outcome.recipient, outcome.status);
    }
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
            .stores(Arc::new(MemoryStore::new()))
            .deliver_to("reader@here.test", |_| async { Ok(()) })
            .deliver_to("moved@here.test", |_| async {
                Err(HookError::Refuse("moved away".into()))
            })
            .start()
            .await
            .unwrap();
        let outcomes = shipped(&server, "reader@here.test").await.unwrap();
        assert!(
            outcomes.iter().all(|outcome| outcome.success) && outcomes.len() == 1,
            "{outcomes:?}"
        );
        let refused = shipped(&server, "moved@here.test")
            .await
            .unwrap_err()
            .to_string();
        assert_eq!(refused, "refused: 5.7.1 moved away");
        server.shutdown().await;
    }
}
