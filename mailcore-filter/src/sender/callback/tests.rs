use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use mailcore::account::AccountId;
use mailcore::address::ReversePath;
use mailcore::batch::StateChange;
use mailcore::plan::Finding;
use mailcore::seams::{
    AccountRecord, DirectoryError, DomainKind, DomainRecord, FilterSession, Resolution, StateKey,
    StateValue, StoreError,
};
use mailcore::testing::{FixedResolver, VirtualClock};

use super::*;

/// Knows `bob` alone, and counts.
#[derive(Debug, Default)]
struct Host(AtomicU32);

#[async_trait]
impl RecipientCheck for Host {
    async fn check(&self, query: &RecipientQuery<'_>) -> Standing {
        self.0.fetch_add(1, Ordering::Relaxed);
        match query.recipient.local_part() {
            "bob" => Standing::Known,
            _ => Standing::Unknown(Status::permanent(1, 1, "no such user")),
        }
    }
}

/// Serves `here.test`.
#[derive(Debug)]
struct Here;

#[async_trait]
impl Directory for Here {
    async fn domain(&self, domain: &Domain) -> Result<Option<DomainRecord>, DirectoryError> {
        Ok((domain.as_str() == "here.test").then(|| DomainRecord {
            domain: domain.clone(),
            kind: DomainKind::Local,
        }))
    }

    async fn resolve(&self, _: &Address) -> Result<Resolution, DirectoryError> {
        Ok(Resolution::Unknown)
    }

    async fn account(&self, _: &AccountId) -> Result<Option<AccountRecord>, DirectoryError> {
        Ok(None)
    }

    async fn may_send_as(&self, _: &AccountId, _: &Address) -> Result<bool, DirectoryError> {
        Ok(false)
    }

    async fn domains(&self) -> Result<Vec<DomainRecord>, DirectoryError> {
        Ok(Vec::new())
    }
}

/// Keeps values for ever.
#[derive(Debug, Default)]
struct Memory(Mutex<HashMap<StateKey, StateValue>>);

#[async_trait]
impl State for Memory {
    async fn read(&self, key: &StateKey) -> Result<Option<StateValue>, StoreError> {
        Ok(self.0.lock().unwrap().get(key).cloned())
    }

    async fn change(
        &self,
        changes: Vec<StateChange>,
    ) -> Result<Vec<Option<StateValue>>, StoreError> {
        for change in changes {
            if let StateChange::Put { key, value, .. } = change {
                let version = 1;
                let expires = None;
                let value = StateValue {
                    value,
                    version,
                    expires,
                };
                self.0.lock().unwrap().insert(key, value);
            }
        }
        Ok(Vec::new())
    }

    async fn scan(
        &self,
        _: &str,
        _: &str,
        _: Option<&str>,
        _: usize,
    ) -> Result<Vec<(StateKey, StateValue)>, StoreError> {
        Err(StoreError::Unsupported("scans"))
    }
}

struct Bench {
    host: Arc<Host>,
    clock: VirtualClock,
    test: Callback,
}

fn bench() -> Bench {
    let dns = FixedResolver::new();
    dns.add_mx("a.test", 10, "mx.a.test")
        .add_address("mx.a.test", "8.8.8.8".parse().unwrap())
        .add_address("inside.test", "10.0.0.1".parse().unwrap())
        .add_mx("both.test", 10, "mx.a.test")
        .add_mx("both.test", 20, "inside.test");
    let (host, clock) = (Arc::new(Host::default()), VirtualClock::new());
    let seams = CallbackSeams {
        check: Arc::clone(&host) as _,
        agent: "smtp".into(),
        resolver: Arc::new(dns),
        directory: Arc::new(Here),
        state: Arc::new(Memory::default()),
        clock: Arc::new(clock.clone()),
    };
    let config = CallbackConfig {
        per_domain: 3,
        ..CallbackConfig::default()
    };
    Bench {
        host,
        clock,
        test: Callback::new(seams, config),
    }
}

impl Bench {
    async fn said(&self, sender: &str, spf: &str) -> Vec<&'static str> {
        let session = FilterSession::new(Some("192.0.2.1:25".parse().unwrap()));
        session.memory.note(Finding::new(Stage::Mail, "spf", spf));
        let sender = ReversePath::parse(sender).unwrap();
        let said = self.test.look(&Look::at(&session).from(&sender)).await;
        said.into_iter().map(|said| said.result).collect()
    }

    fn calls(&self) -> u32 {
        self.host.0.load(Ordering::Relaxed)
    }
}

#[tokio::test]
async fn a_sender_whom_his_own_host_does_not_know_is_told_of_and_asked_for_once() {
    let bench = bench();
    for _ in 0..2 {
        assert!(bench.said("<bob@a.test>", "none").await.is_empty());
        assert_eq!(bench.said("<eve@a.test>", "pass").await, ["unknown"]);
    }
    assert_eq!(bench.calls(), 2);
}

#[tokio::test]
async fn nobody_is_called_for_whom_a_call_would_be_a_loop_or_a_nuisance() {
    let bench = bench();
    for (sender, spf) in [
        ("<>", "none"),
        ("<eve@here.test>", "none"),
        ("<eve@[192.0.2.1]>", "none"),
        ("<eve@a.test>", "fail"),
        ("<eve@inside.test>", "none"),
        ("<eve@both.test>", "none"),
        ("<eve@nowhere.test>", "none"),
    ] {
        assert!(bench.said(sender, spf).await.is_empty(), "{sender}");
    }
    assert_eq!(bench.calls(), 0);
}

#[tokio::test]
async fn one_domain_is_asked_so_often_within_an_hour_and_no_more() {
    let bench = bench();
    for name in ["a", "b", "c", "d", "e"] {
        bench.said(&format!("<{name}@a.test>"), "none").await;
    }
    assert_eq!(bench.calls(), 3);
    bench.clock.advance(Duration::from_secs(3_600));
    assert_eq!(bench.said("<e@a.test>", "none").await, ["unknown"]);
    assert_eq!(bench.calls(), 4);
}
