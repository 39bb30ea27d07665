//! One seed, one life.

use std::time::Duration;

use mailcore::testing::faults::{DialFault, DnsFault, StoreFault};
use mailcore_tests::StoreKind;
use mailcore_tests::rough::{Act, END, Manner, Rough, Setup};

/// Everything that was injected, said and written down in a life of 3 days.
async fn life(seed: u64) -> (String, String, Vec<Vec<u8>>) {
    let world = Rough::seeded(seed);
    let office = world.office(Setup::of("a.test", StoreKind::Memory)).await;
    world
        .dns
        .sometimes(9, &[DnsFault::ServFail, DnsFault::NullMx]);
    let slow = DialFault::Slow(Duration::from_secs(2));
    let cut = DialFault::CutAfterReceived(200);
    world.dialer.sometimes(5, &[DialFault::Refused, slow, cut]);
    office
        .commit
        .sometimes(7, &[StoreFault::DiskFull, StoreFault::Io]);
    let mut hosts = Vec::new();
    for domain in 0..4 {
        let host = world.host(&format!("d{domain}.test"));
        host.by(move |count| match count % 4 {
            domain if domain == count % 3 => Manner::cuts_after_dot(),
            1 => Manner::good().at(END, Act::say("451 4.3.0 not now")),
            2 => Manner::busy(),
            _ => Manner::good(),
        });
        hosts.push(host);
    }
    for n in 0..20 {
        let to: Vec<String> = (0..4)
            .map(|domain| format!("x{n}@d{domain}.test"))
            .collect();
        let _ = office.submit(&to).await;
        world.wait(1_000).await;
    }
    world.days(3).await;
    let events = office.events().await;
    let events = events.iter().map(|stored| stored.event.encode()).collect();
    let said: Vec<String> = hosts
        .iter()
        .flat_map(|host| host.taken())
        .map(|taken| format!("{taken:?}"))
        .collect();
    (world.plan.transcript(), said.join("\n"), events)
}

#[tokio::test]
async fn the_same_seed_gives_the_same_faults_the_same_mail_and_the_same_events() {
    let first = life(7).await;
    let second = life(7).await;
    assert!(first.0.lines().count() > 30 && first.2.len() > 100);
    assert!(first.0 == second.0, "other faults");
    assert!(first.1 == second.1, "other mail");
    assert!(first.2 == second.2, "other events");
    assert!(life(8).await.0 != first.0);
}
