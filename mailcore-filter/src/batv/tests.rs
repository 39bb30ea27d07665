use std::collections::HashMap;

use async_trait::async_trait;
use mailcore::address::ReversePath;
use mailcore::batch::{Batch, Receipt};
use mailcore::route::MarkKey;
use mailcore::seams::{
    Commit, CommitError, FilterSession, Route, RouteError, RouteQuery, Router, Stage, StateValue,
};
use mailcore::testing::{SeededEntropy, VirtualClock};

use super::*;
use crate::pipeline::{Look, Test};

/// Tells texts and keys apart, which is all that these tests ask of it.
pub(super) fn mac(key: &MarkKey, text: &[u8]) -> [u8; 32] {
    let mut sum = 0xcbf2_9ce4_8422_2325_u64;
    for octet in key.iter().chain(text) {
        sum = (sum ^ u64::from(*octet)).wrapping_mul(0x0100_0000_01b3);
    }
    let mut mac = [0; 32];
    mac[..8].copy_from_slice(&sum.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    mac
}

/// Keeps values for ever.
#[derive(Debug, Default)]
struct Memory {
    values: Mutex<HashMap<StateKey, StateValue>>,
}

impl Memory {
    fn put(&self, changes: Vec<StateChange>) {
        for change in changes {
            let StateChange::Put {
                key,
                value,
                expires,
            } = change
            else {
                panic!("another change");
            };
            let value = StateValue {
                value,
                version: 1,
                expires,
            };
            self.values.lock().unwrap().insert(key, value);
        }
    }
}

#[async_trait]
impl State for Memory {
    async fn read(&self, key: &StateKey) -> Result<Option<StateValue>, StoreError> {
        Ok(self.values.lock().unwrap().get(key).cloned())
    }

    async fn change(
        &self,
        changes: Vec<StateChange>,
    ) -> Result<Vec<Option<StateValue>>, StoreError> {
        self.put(changes);
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

#[async_trait]
impl Commit for Memory {
    async fn commit(&self, batch: Batch) -> Result<Receipt, CommitError> {
        self.put(batch.state);
        Ok(Receipt::default())
    }

    async fn stage(&self) -> Result<Box<dyn Stage>, StoreError> {
        Err(StoreError::Unsupported("stages"))
    }
}

/// Knows nobody.
#[derive(Debug)]
struct Nobody;

#[async_trait]
impl Router for Nobody {
    async fn route(&self, _: &RouteQuery<'_>) -> Result<Route, RouteError> {
        Ok(Route::Unknown)
    }
}

fn batv(clock: &VirtualClock) -> Arc<Batv> {
    let memory = Arc::new(Memory::default());
    let seams = KeyRingSeams {
        state: Arc::clone(&memory) as _,
        commit: memory,
        clock: Arc::new(clock.clone()),
        entropy: Arc::new(SeededEntropy::new(1)),
    };
    let mut config = BatvConfig::default();
    config.domains.insert("a.test".parse().unwrap());
    Batv::new(config, seams, mac)
}

fn address(text: &str) -> Address {
    text.parse().unwrap()
}

fn days(days: u64) -> Duration {
    Duration::from_secs(days * 24 * 3_600)
}

#[tokio::test]
async fn a_signed_sender_leads_back_for_a_week_over_a_change_of_keys() {
    let clock = VirtualClock::new();
    let batv = batv(&clock);
    let router = BatvRouter::new(Arc::new(Nobody), Arc::clone(&batv));
    let ann = address("ann@a.test");
    batv.sign(&ann).await.unwrap();
    clock.advance(days(29));
    let signed = batv.sign(&ann).await.unwrap();
    // Signed once, by whatever number of hosts of the house.
    assert_eq!(batv.sign(&signed).await.unwrap(), signed);
    clock.advance(days(2));
    assert_ne!(batv.sign(&ann).await.unwrap(), signed);
    let route = async |address: &Address| router.route(&RouteQuery::new(address)).await.unwrap();
    let to = vec![ann.clone()];
    assert_eq!(route(&signed).await, Route::Expand { to });
    clock.advance(days(6));
    assert!(matches!(route(&signed).await, Route::Refused { .. }));
    assert_eq!(route(&ann).await, Route::Unknown);
    // Not ours to look into.
    assert_eq!(
        route(&address("prvs=0123abcdef=x@b.test")).await,
        Route::Unknown
    );
}

#[tokio::test]
async fn an_unsigned_notice_counts_once_all_mail_left_signed() {
    let clock = VirtualClock::new();
    let batv = batv(&clock);
    let check = BatvCheck::new(Arc::clone(&batv));
    let session = FilterSession::new(None);
    let said = async |sender: &str, recipient: &str| {
        let (sender, recipient) = (ReversePath::parse(sender).unwrap(), address(recipient));
        let look = Look::at(&session).from(&sender).to(&recipient);
        let said = check.look(&look).await;
        said.into_iter().map(|said| said.result).collect::<Vec<_>>()
    };
    clock.advance(days(30));
    assert!(said("<>", "ann@a.test").await.is_empty());
    let signed = batv.sign(&address("ann@a.test")).await.unwrap().to_string();
    clock.advance(days(6));
    assert!(said("<>", "ann@a.test").await.is_empty());
    clock.advance(days(1));
    assert_eq!(said("<>", "ann@a.test").await, ["unsigned"]);
    assert!(said("<>", &signed).await.is_empty());
    assert!(said("<bob@b.test>", "ann@a.test").await.is_empty());
    assert!(said("<>", "ann@b.test").await.is_empty());
    assert!(said("<>", "postmaster@a.test").await.is_empty());
}
