//! Messages for very many.

use mailcore_tests::StoreKind;
use mailcore_tests::rough::{Act, Manner};

use super::Scene;

/// Every 50th domain's host is down for the first hour, every 7th recipient is
/// refused.
#[tokio::test]
async fn mail_for_25000_recipients_reaches_each_once_or_tells_of_them() {
    let scene = Scene::new(StoreKind::Memory).await;
    let mut hosts = Vec::new();
    for domain in 0..50 {
        let host = scene.world.host(&format!("d{domain}.test"));
        let picky = Manner::refuses_recipients("no", "550 5.1.1 nobody");
        host.always(picky);
        if domain % 10 == 0 {
            host.then(Manner::busy()).then(Manner::busy());
        }
        hosts.push(host);
    }
    let to: Vec<String> = (0..25_000)
        .map(|n| match n % 7 {
            0 => format!("no{n}@d{}.test", n % 50),
            _ => format!("x{n}@d{}.test", n % 50),
        })
        .collect();
    let more: Vec<String> = (0..30_001).map(|n| format!("y{n}@d0.test")).collect();
    assert!(
        scene.office.submit(&more).await.is_err(),
        "the limit is 30,000"
    );
    assert!(
        scene.office.queue().await.is_empty(),
        "all of it or nothing"
    );
    scene.office.submit(&to).await.unwrap();
    scene.world.days(1).await;
    let fates = scene.office.fates(to, &hosts).await;
    assert_eq!(fates.problems(), [""; 0]);
    assert_eq!(fates.count(), (21_428, 3_572, 0));
    assert!(scene.office.queue().await.is_empty());
}

#[tokio::test]
async fn a_client_that_names_too_many_recipients_is_told_so_and_the_rest_are_served() {
    let scene = Scene::new(StoreKind::Memory).await;
    scene
        .host
        .always(Manner::good().at("RCPT TO:<x3", Act::say("451 4.2.0 not now")));
    let mut smtp = scene.office.alice().await;
    smtp.ask("MAIL FROM:<alice@a.test>", "250").await;
    let mut taken = Vec::new();
    for n in 0..1_010 {
        let to = format!("x{n}@far.test");
        smtp.send(&format!("RCPT TO:<{to}>")).await;
        let reply = smtp.line().await;
        match reply.get(..3) {
            Some("250") => taken.push(to),
            _ => assert!(reply.starts_with("452 4.5.3"), "{reply}"),
        }
    }
    assert_eq!(taken.len(), 1_000);
    smtp.ask("DATA", "354").await;
    smtp.ask("Subject: x\r\n\r\nhello\r\n.", "250").await;
    scene.world.wait(60).await;
    scene.host.reform();
    scene.world.days(1).await;
    let hosts = [std::sync::Arc::clone(&scene.host)];
    let fates = scene.office.fates(taken, &hosts).await;
    assert_eq!(fates.problems(), [""; 0]);
    assert_eq!(fates.count(), (1_000, 0, 0));
}
