//! A relayed domain whose host is asked for recipients at RCPT.

use mailcore::route::keys;
use mailcore::seams::{DirectoryWrite, DomainKind, Scope, Settings};
use mailcore_tests::{StoreKind, World};

#[tokio::test]
async fn a_relayed_domains_host_is_asked_once_for_each_recipient() {
    let world = World::new();
    let inner = (world.house(
        "mx.inner.test",
        "inner.test",
        &["ann", "bob"],
        StoreKind::Memory,
    ))
    .await;
    let front = (world.house("mx.front.test", "front.test", &[], StoreKind::Memory)).await;
    let relay = DomainKind::Relay {
        host: "mx.inner.test".parse().unwrap(),
        port: 25,
    };
    let domain = "inner.test".parse().unwrap();
    front.directory().add_domain(&domain, relay).await.unwrap();
    let mut smtp = front.smtp("smtp").await;
    smtp.ask("MAIL FROM:<x@far.test>", "250").await;
    smtp.ask("RCPT TO:<nobody@inner.test>", "250").await;
    let scope = Scope::Domain(domain);
    let on = front.directory().set(&scope, keys::CALLOUT, Some("yes"));
    on.await.unwrap();
    for _ in 0..2 {
        smtp.ask(
            "RCPT TO:<nobody@inner.test>",
            "550 5.1.1 mx.inner.test says: ",
        )
        .await;
        smtp.ask("RCPT TO:<ann@inner.test>", "250").await;
    }
    // What it said is remembered while it is gone; what it did not say can't be
    // known.
    world.cut(&inner);
    inner.shutdown().await;
    smtp.ask("RCPT TO:<Ann@inner.test>", "250").await;
    smtp.ask("RCPT TO:<nobody@inner.test>", "550 5.1.1").await;
    smtp.ask("RCPT TO:<bob@inner.test>", "450 4.4.1").await;
    front.shutdown().await;
}
