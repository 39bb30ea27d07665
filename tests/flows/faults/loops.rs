//! Mail that comes round again.

use mailcore_tests::StoreKind;
use mailcore_tests::rough::{Rough, Setup};

use super::{STORES, Scene, once, returned};

#[tokio::test]
async fn two_servers_that_forward_to_each_other_end_it_with_one_notice() {
    let world = Rough::seeded(1);
    let a = world.office(Setup::of("a.test", StoreKind::Memory)).await;
    let b = world.office(Setup::of("b.test", StoreKind::Embedded)).await;
    a.alias("round", &["round@b.test"]).await;
    b.alias("round", &["round@a.test"]).await;
    a.submit(&["round@b.test"]).await.unwrap();
    world.days(9).await;
    assert!(a.queue().await.is_empty() && b.queue().await.is_empty());
    let notices = a.inbox("alice").await;
    assert_eq!(notices.len(), 1, "{notices:?}");
    assert!(notices[0].contains("Action: failed"), "{notices:?}");
}

#[tokio::test]
async fn aliases_in_a_circle_serve_those_who_hang_on_it_once() {
    for store in STORES {
        let scene = Scene::new(store).await;
        scene.office.alias("x", &["y@a.test"]).await;
        scene.office.alias("y", &["z@a.test", "w@far.test"]).await;
        scene.office.alias("z", &["x@a.test"]).await;
        scene.send(&["x@a.test"]).await;
        scene.world.wait(60).await;
        assert_eq!(scene.fate("w@far.test").await, once());
        assert!(scene.office.queue().await.is_empty());
    }
}

#[tokio::test]
async fn a_circle_of_aliases_with_nobody_on_it_is_refused() {
    let scene = Scene::new(StoreKind::Memory).await;
    scene.office.alias("x", &["y@a.test"]).await;
    scene.office.alias("y", &["x@a.test"]).await;
    let mut smtp = scene.office.smtp("smtp").await;
    smtp.ask("MAIL FROM:<x@else.test>", "250").await;
    smtp.ask("RCPT TO:<x@a.test>", "554 5.4.6").await;
    assert!(scene.office.submit(&["x@a.test"]).await.is_err());
}

#[tokio::test]
async fn a_domain_that_names_a_stranger_as_its_mail_host_is_refused_there_and_returned() {
    let world = Rough::seeded(1);
    let a = world.office(Setup::of("a.test", StoreKind::Memory)).await;
    let b = world.office(Setup::of("b.test", StoreKind::Memory)).await;
    world.zone.add_mx("c.test", 10, "mx.b.test");
    a.submit(&["x@c.test"]).await.unwrap();
    world.wait(60).await;
    assert_eq!(a.fates(["x@c.test"], &[]).await.of("x@c.test"), returned());
    assert!(b.queue().await.is_empty());
}
