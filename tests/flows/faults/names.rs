//! Name servers that fail, keep silent, or lead astray.

use mailcore::testing::faults::DnsFault;
use mailcore_tests::StoreKind;

use super::{STORES, Scene, once, returned};

const HOUR: u64 = 3_600;

/// DNS is wrong so for 5 hours and then right: the mail waits for the reason
/// given and then arrives.
async fn is_sat_out(name: &str, fault: DnsFault, reason: &str) {
    for store in STORES {
        let scene = Scene::new(store).await;
        scene.world.dns.on(name, fault.clone());
        scene.send(&["x@far.test"]).await;
        scene.world.wait(2 * HOUR).await;
        let waiting = scene.fate("x@far.test").await.waiting;
        assert!(waiting[0].contains(reason), "{fault:?}: {waiting:?}");
        scene.world.wait(3 * HOUR).await;
        scene.world.dns.heal(name);
        scene.world.wait(8 * HOUR).await;
        assert_eq!(scene.fate("x@far.test").await, once(), "{fault:?}");
    }
}

/// DNS says that there is nowhere to go: the sender is told at once, with this
/// status.
async fn is_final(name: &str, fault: DnsFault, status: &str) {
    let scene = Scene::new(StoreKind::Memory).await;
    scene.world.dns.on(name, fault.clone());
    scene.send(&["x@far.test"]).await;
    scene.world.wait(60).await;
    assert_eq!(scene.fate("x@far.test").await, returned(), "{fault:?}");
    let notice = scene.office.inbox("alice").await.join("\n");
    assert!(
        notice.contains(&format!("\r\nStatus: {status}\r\n")),
        "{notice}"
    );
    assert_eq!(scene.host.connections(), 0);
}

#[tokio::test]
async fn mail_waits_while_dns_fails_and_then_arrives() {
    is_sat_out("far.test", DnsFault::ServFail, "SERVFAIL").await;
    is_sat_out("far.test", DnsFault::CnameLoop, "circle").await;
    is_sat_out("far.test", DnsFault::Bogus, "DNSSEC").await;
    is_sat_out("mx.far.test", DnsFault::ServFail, "mx.far.test").await;
    is_sat_out("far.test", DnsFault::Silence, "did not answer in time").await;
    let private = DnsFault::Addresses(vec!["10.1.2.3".parse().unwrap()]);
    is_sat_out("mx.far.test", private, "10.1.2.3").await;
}

#[tokio::test]
async fn dns_that_says_no_is_told_to_the_sender_at_once() {
    is_final("far.test", DnsFault::NullMx, "5.1.10").await;
    is_final("mx.far.test", DnsFault::NoAddresses, "5.4.4").await;
    let nowhere = Scene::new(StoreKind::Memory).await;
    nowhere.send(&["x@no-such-domain.test"]).await;
    nowhere.world.wait(60).await;
    assert_eq!(nowhere.fate("x@no-such-domain.test").await, returned());
}

#[tokio::test]
async fn mail_for_a_domain_whose_mail_host_is_ourselves_is_returned_and_never_sent() {
    let own = "mx.a.test".parse().unwrap();
    is_final("far.test", DnsFault::MxOf(own), "5.4.6").await;
    // The same under another name.
    let scene = Scene::new(StoreKind::Memory).await;
    let ours = scene.office.ip();
    let lie = DnsFault::Addresses(vec![ours]);
    scene.world.dns.on("mx.far.test", lie);
    scene.send(&["x@far.test"]).await;
    scene.world.wait(60).await;
    assert_eq!(scene.fate("x@far.test").await, returned());
}

#[tokio::test]
async fn of_fifty_mail_hosts_the_first_that_works_gets_the_mail_and_not_all_are_called() {
    let scene = Scene::new(StoreKind::Memory).await;
    scene.world.dns.on("many.test", DnsFault::ManyMx(50));
    let hosts: Vec<_> = (1..=50)
        .map(|n| scene.world.host_named(&format!("mx{n}.many.test")))
        .collect();
    for host in &hosts {
        host.always(mailcore_tests::rough::Manner::busy());
    }
    scene.send(&["x@many.test"]).await;
    scene.world.wait(60).await;
    let called: u64 = hosts.iter().map(|host| host.connections()).sum();
    assert_eq!(called, 10, "an attempt has its limit");
    hosts[3].reform();
    scene.world.wait(HOUR).await;
    assert_eq!(hosts[3].copies("x@many.test"), 1);
    assert_eq!(
        hosts[4].connections(),
        1,
        "nobody is asked after the one that took it"
    );
    let fates = scene.office.fates(["x@many.test"], &hosts).await;
    assert_eq!(fates.of("x@many.test"), once());
}

#[tokio::test]
async fn an_answer_that_comes_and_goes_at_random_loses_and_doubles_nothing() {
    for store in STORES {
        let scene = Scene::new(store).await;
        let faults = [DnsFault::ServFail, DnsFault::CnameLoop, DnsFault::Bogus];
        scene.world.dns.sometimes(2, &faults);
        let to: Vec<String> = (0..40).map(|n| format!("x{n}@far.test")).collect();
        for to in &to {
            scene.send(&[to]).await;
            scene.world.wait(600).await;
        }
        scene.world.days(2).await;
        scene.world.plan.calm();
        scene.world.days(1).await;
        let hosts = [scene.host.clone()];
        let fates = scene.office.fates(to, &hosts).await;
        assert_eq!(fates.problems(), [""; 0]);
        assert_eq!(fates.count(), (40, 0, 0));
        assert!(scene.world.plan.record().len() > 20);
    }
}
