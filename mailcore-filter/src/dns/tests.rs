use std::sync::Arc;
use std::time::Duration;

use mailcore::address::Domain;
use mailcore::seams::DnsError;
use mailcore::testing::{FixedResolver, VirtualClock};

use super::*;

pub(super) fn domain(text: &str) -> Domain {
    Domain::parse(text).unwrap()
}

pub(super) fn subject(text: &str) -> Subject {
    match text.parse() {
        Ok(ip) => Subject::address(ip),
        Err(_) => Subject::host(&domain(text)),
    }
}

/// Lists in a resolver of the tests'.
pub(super) struct Scene {
    pub(super) dns: Arc<FixedResolver>,
    pub(super) clock: Arc<VirtualClock>,
    pub(super) lists: DnsLists,
}

impl Scene {
    pub(super) fn new() -> Self {
        let (dns, clock) = (
            Arc::new(FixedResolver::new()),
            Arc::new(VirtualClock::new()),
        );
        let lists = DnsLists::new(dns.clone(), clock.clone(), DnsListLimits::default());
        Self { dns, clock, lists }
    }

    /// A list with its test entries.
    pub(super) fn add_zone(&self, zone: &str) -> &Self {
        for name in ["2.0.0.127", "test"] {
            self.add(name, zone, "127.0.0.2");
        }
        let v6 = "2.0.0.0.0.0.f.7.f.f.f.f.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0";
        self.add(v6, zone, "127.0.0.2")
    }

    pub(super) fn add(&self, name: &str, zone: &str, answer: &str) -> &Self {
        let answer = answer.parse().unwrap();
        self.dns.add_address(&format!("{name}.{zone}"), answer);
        self
    }

    pub(super) fn say(&self, name: &str, zone: &str, text: &str) -> &Self {
        self.dns.add_txt(&format!("{name}.{zone}"), text);
        self
    }

    async fn ask(&self, zone: &Zone, subjects: &[&str]) -> Listings {
        let subjects: Vec<_> = subjects.iter().map(|it| subject(it)).collect();
        self.lists.ask(&[Arc::new(zone.clone())], &subjects).await
    }

    async fn is_listed(&self, zone: &Zone, of: &str) -> bool {
        !self.ask(zone, &[of]).await.found.is_empty()
    }
}

fn down() -> DnsError {
    DnsError::Temporary("SERVFAIL".into())
}

#[tokio::test]
async fn who_is_listed_is_found_with_the_lists_words() {
    let scene = Scene::new();
    scene
        .add_zone("bl.test")
        .add("9.2.0.192", "bl.test", "127.0.0.4");
    scene.say("9.2.0.192", "bl.test", "see\r\nhttps://bl.test/");
    let zone = Zone::addresses(domain("bl.test"));
    let listings = scene
        .ask(&zone, &["192.0.2.9", "192.0.2.10", "2001:db8::1"])
        .await;
    assert!(listings.silent.is_empty());
    let [listing] = &listings.found[..] else {
        panic!("{listings:?}");
    };
    assert_eq!(listing.subject, subject("192.0.2.9"));
    assert_eq!(listing.code, std::net::Ipv4Addr::new(127, 0, 0, 4));
    assert_eq!(listing.text.as_deref(), Some("see https://bl.test/"));
}

#[tokio::test]
async fn answers_are_kept_as_long_as_they_hold() {
    let scene = Scene::new();
    scene
        .add_zone("bl.test")
        .add("9.2.0.192", "bl.test", "127.0.0.4");
    let zone = Zone::addresses(domain("bl.test"));
    for _ in 0..5 {
        assert!(scene.is_listed(&zone, "192.0.2.9").await);
        assert!(!scene.is_listed(&zone, "192.0.2.10").await);
    }
    // Two test entries, two subjects, one text.
    assert_eq!(scene.dns.asked(), 5);
    scene.clock.advance(Duration::from_secs(301));
    assert!(scene.is_listed(&zone, "192.0.2.9").await);
    assert_eq!(scene.dns.asked(), 7);
}

#[tokio::test]
async fn a_list_without_its_test_entries_lists_nobody() {
    let scene = Scene::new();
    scene.add("9.2.0.192", "dead.test", "127.0.0.2");
    scene.add("spam.test", "dead.test", "127.0.0.2");
    let zone = Zone::addresses(domain("dead.test"));
    assert!(!scene.is_listed(&zone, "192.0.2.9").await);
    let names = Zone::names(domain("dead.test"));
    assert!(!scene.is_listed(&names, "spam.test").await);
    // As the operator says: it has none.
    let mut own = Zone::names(domain("dead.test"));
    own.proof = Proof::Nothing;
    scene.clock.advance(Duration::from_secs(3_601));
    assert!(scene.is_listed(&own, "spam.test").await);
}

#[tokio::test]
async fn a_list_may_fail_for_one_kind_of_subjects_and_serve_for_another() {
    let scene = Scene::new();
    scene.add("2.0.0.127", "v4.test", "127.0.0.2");
    scene.add("9.2.0.192", "v4.test", "127.0.0.2");
    let zone = Zone::addresses(domain("v4.test"));
    let listings = scene.ask(&zone, &["192.0.2.9", "2001:db8::1"]).await;
    assert_eq!(listings.found.len(), 1);
}

#[tokio::test]
async fn a_list_that_lists_everything_lists_nobody() {
    let scene = Scene::new();
    scene.add_zone("all.test");
    for name in ["1.0.0.127", "9.2.0.192", "invalid", "spam.test"] {
        scene.add(name, "all.test", "127.0.0.2");
    }
    assert!(
        !scene
            .is_listed(&Zone::addresses(domain("all.test")), "192.0.2.9")
            .await
    );
    assert!(
        !scene
            .is_listed(&Zone::names(domain("all.test")), "spam.test")
            .await
    );
}

#[tokio::test]
async fn a_list_is_off_until_a_test_finds_it_well() {
    let scene = Scene::new();
    scene.add("9.2.0.192", "bl.test", "127.0.0.2");
    let zone = Zone::addresses(domain("bl.test"));
    assert!(!scene.is_listed(&zone, "192.0.2.9").await);
    scene.add_zone("bl.test");
    assert!(!scene.is_listed(&zone, "192.0.2.9").await);
    let asked = scene.dns.asked();
    assert!(!scene.is_listed(&zone, "192.0.2.77").await);
    assert_eq!(scene.dns.asked(), asked, "a list that is off is not asked");
    scene.clock.advance(Duration::from_secs(3_600));
    assert!(scene.is_listed(&zone, "192.0.2.9").await);
    // It closes, and lists the world.
    scene.add("1.0.0.127", "bl.test", "127.0.0.2");
    scene.clock.advance(Duration::from_secs(3_600));
    assert!(!scene.is_listed(&zone, "192.0.2.9").await);
}

#[tokio::test]
async fn an_error_for_an_answer_turns_a_list_off_and_lists_nobody() {
    let scene = Scene::new();
    scene
        .add_zone("bl.test")
        .add("9.2.0.192", "bl.test", "127.0.0.2");
    scene.add("10.2.0.192", "bl.test", "127.255.255.254");
    let zone = Zone::addresses(domain("bl.test"));
    assert!(scene.is_listed(&zone, "192.0.2.9").await);
    assert!(!scene.is_listed(&zone, "192.0.2.10").await);
    assert!(!scene.is_listed(&zone, "192.0.2.9").await);
}

#[tokio::test]
async fn a_list_that_fails_again_and_again_is_no_longer_asked() {
    let scene = Scene::new();
    scene.add_zone("bl.test");
    let zone = Zone::addresses(domain("bl.test"));
    for last in 1..=5 {
        scene.dns.fail(&format!("{last}.2.0.192.bl.test"), down());
        let listings = scene.ask(&zone, &[&format!("192.0.2.{last}")]).await;
        assert_eq!(listings.silent.len(), 1);
    }
    let asked = scene.dns.asked();
    assert_eq!(scene.ask(&zone, &["192.0.2.9"]).await, Listings::default());
    assert_eq!(scene.dns.asked(), asked);
    scene.clock.advance(Duration::from_secs(60));
    assert!(!scene.is_listed(&zone, "192.0.2.9").await);
    assert!(scene.dns.asked() > asked);
}

#[tokio::test]
async fn a_silent_list_costs_one_session_its_time_and_the_next_none() {
    let (dns, clock) = (Arc::new(SilentResolver), Arc::new(VirtualClock::new()));
    let lists = DnsLists::new(dns, clock.clone(), DnsListLimits::default());
    let zone = Arc::new(Zone::addresses(domain("bl.test")));
    let asking = tokio::spawn({
        let (lists, zone) = (lists.clone(), Arc::clone(&zone));
        async move { lists.ask(&[zone], &[subject("192.0.2.9")]).await }
    });
    clock.until_someone_sleeps().await;
    clock.run_for(Duration::from_secs(3)).await;
    assert!(asking.await.unwrap().found.is_empty());
    // It would wait for ever, were the list asked.
    assert_eq!(
        lists.ask(&[zone], &[subject("192.0.2.9")]).await,
        Listings::default()
    );
}

#[tokio::test]
async fn sessions_that_come_while_one_tests_wait_for_it() {
    let scene = Scene::new();
    scene
        .add_zone("bl.test")
        .add("9.2.0.192", "bl.test", "127.0.0.2");
    let zone = Arc::new(Zone::addresses(domain("bl.test")));
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let (lists, zone) = (scene.lists.clone(), Arc::clone(&zone));
        asking.spawn(async move { lists.ask(&[zone], &[subject("192.0.2.9")]).await });
    }
    while let Some(listings) = asking.join_next().await {
        assert_eq!(listings.unwrap().found.len(), 1);
    }
}

#[derive(Debug, Default)]
struct Told(std::sync::Mutex<Vec<ZoneChange>>);

impl ListWatch for Told {
    fn changed(&self, change: &ZoneChange) {
        self.0.lock().unwrap().push(change.clone());
    }
}

#[tokio::test]
async fn who_watches_is_told_of_each_change_once() {
    let mut scene = Scene::new();
    let told = Arc::new(Told::default());
    scene.lists = scene.lists.watched_by(told.clone());
    let zone = Zone::addresses(domain("bl.test"));
    for hour in 0..6 {
        if hour == 3 {
            scene.add_zone("bl.test");
        }
        scene.is_listed(&zone, &format!("192.0.2.{hour}")).await;
        scene.clock.advance(Duration::from_secs(3_600));
    }
    let faults: Vec<_> = told.0.lock().unwrap().iter().map(|it| it.fault).collect();
    assert_eq!(faults, [Some(ZoneFault::NoTestEntry), None]);
}

#[derive(Debug)]
struct SilentResolver;

#[async_trait::async_trait]
impl mailcore::seams::Resolver for SilentResolver {
    async fn mx(
        &self,
        _: &Domain,
    ) -> Result<mailcore::seams::Lookup<mailcore::seams::Mx>, DnsError> {
        std::future::pending().await
    }
    async fn addresses(
        &self,
        _: &Domain,
    ) -> Result<mailcore::seams::Lookup<std::net::IpAddr>, DnsError> {
        std::future::pending().await
    }
    async fn txt(&self, _: &Domain) -> Result<mailcore::seams::Lookup<Vec<u8>>, DnsError> {
        std::future::pending().await
    }
    async fn ptr(&self, _: std::net::IpAddr) -> Result<mailcore::seams::Lookup<Domain>, DnsError> {
        std::future::pending().await
    }
    async fn tlsa(
        &self,
        _: &Domain,
    ) -> Result<mailcore::seams::Lookup<mailcore::seams::Tlsa>, DnsError> {
        std::future::pending().await
    }
}
