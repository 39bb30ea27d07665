//! What is remembered of triplets, and what follows from it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mailcore::address::{Address, ReversePath};
use mailcore::batch::StateChange;
use mailcore::net::Network;
use mailcore::seams::{Clock, State, StateKey, StateValue, StoreError};
use mailcore::time::Timestamp;

use super::GreylistConfig;
use super::client::GreylistClient;
use super::fold::fold;
use super::fresh::{Fresh, Room};

/// Where it is kept.
const NAMESPACE: &str = "greylist";
/// Octets that the state takes as a key.
const MAX_KEY: usize = 512;
/// How often the end of a record is moved: each move is a write.
const REFRESH: Duration = Duration::from_secs(24 * 3_600);

/// Triplets and clients, kept in [`State`].
#[derive(Debug)]
pub(super) struct Ledger {
    state: Arc<dyn State>,
    clock: Arc<dyn Clock>,
    config: GreylistConfig,
    fresh: Mutex<Fresh>,
}

/// One attempt at delivery.
#[derive(Debug, Clone)]
pub(super) struct Attempt<'a> {
    pub(super) client: GreylistClient,
    /// Of the client, whatever stands for it in the triplet.
    pub(super) network: Network,
    pub(super) sender: &'a ReversePath,
    pub(super) recipient: &'a Address,
}

/// What becomes of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    /// The client has shown that it comes again.
    KnownClient,
    /// This sender and recipient have.
    KnownTriplet,
    /// It came again in time.
    Passed,
    /// It is to come again, in no less than this.
    Wait(Duration),
    /// As many triplets as are remembered came from its network within the hour:
    /// to come again, and not remembered.
    Crowded,
    /// There are too many new ones from everywhere to remember any.
    NotAsked,
}

impl Ledger {
    pub(super) fn new(
        state: Arc<dyn State>,
        clock: Arc<dyn Clock>,
        config: GreylistConfig,
    ) -> Self {
        Self {
            state,
            clock,
            config,
            fresh: Mutex::default(),
        }
    }

    /// Decides, and remembers, by one write at most.
    pub(super) async fn decide(&self, attempt: &Attempt<'_>) -> Result<Decision, StoreError> {
        let now = self.clock.now();
        let client_key = client_key(attempt.network);
        let client = self.state.read(&client_key).await?;
        let client = client.as_ref().and_then(Client::decode).unwrap_or_default();
        if self.config.allow_after > 0 && client.passed >= self.config.allow_after {
            if now.since(client.written) >= REFRESH {
                self.write(vec![self.put(&client_key, client.at(now).encode(), now)])
                    .await?;
            }
            return Ok(Decision::KnownClient);
        }
        let key = triplet_key(attempt);
        let known = self.state.read(&key).await?;
        let Some(known) = known.as_ref().and_then(Triplet::decode) else {
            return self.begin(attempt.network, &key, now).await;
        };
        if let Some(passed) = known.passed {
            if now.since(passed) >= REFRESH {
                self.write(vec![self.put(&key, known.passed_at(now).encode(), now)])
                    .await?;
            }
            return Ok(Decision::KnownTriplet);
        }
        let waited = now.since(known.first);
        if waited < self.config.delay {
            return Ok(Decision::Wait(self.config.delay.saturating_sub(waited)));
        }
        let client = client.once_more().at(now);
        self.write(vec![
            self.put(&key, known.passed_at(now).encode(), now),
            self.put(&client_key, client.encode(), now),
        ])
        .await?;
        Ok(Decision::Passed)
    }

    async fn begin(
        &self,
        network: Network,
        key: &StateKey,
        now: Timestamp,
    ) -> Result<Decision, StoreError> {
        let room = {
            let mut fresh = self.fresh.lock().unwrap_or_else(PoisonError::into_inner);
            fresh.take(network, now, &self.config)
        };
        match room {
            Room::Yes => {}
            Room::NoneForNetwork => return Ok(Decision::Crowded),
            Room::None => return Ok(Decision::NotAsked),
        }
        let value = Triplet {
            first: now,
            passed: None,
        };
        self.write(vec![StateChange::Put {
            key: key.clone(),
            value: value.encode(),
            expires: Some(now.after(self.config.retry_within)),
        }])
        .await?;
        Ok(Decision::Wait(self.config.delay))
    }

    fn put(&self, key: &StateKey, value: Vec<u8>, now: Timestamp) -> StateChange {
        StateChange::Put {
            key: key.clone(),
            value,
            expires: Some(now.after(self.config.expire)),
        }
    }

    async fn write(&self, changes: Vec<StateChange>) -> Result<(), StoreError> {
        self.state.change(changes).await.map(drop)
    }
}

/// Client and recipient are whole in it; of the sender as much as fits.
fn triplet_key(attempt: &Attempt<'_>) -> StateKey {
    let sender = fold(attempt.sender, attempt.recipient);
    let recipient = attempt.recipient.folded();
    let mut key = format!("t {} {recipient} {sender}", attempt.client);
    while key.len() > MAX_KEY {
        key.pop();
    }
    StateKey::new(NAMESPACE, &key)
}

fn client_key(network: Network) -> StateKey {
    StateKey::new(NAMESPACE, &format!("c {network}"))
}

/// A sender that writes to a recipient.
#[derive(Debug, Clone, Copy)]
struct Triplet {
    first: Timestamp,
    /// When it was last let through, to the day.
    passed: Option<Timestamp>,
}

impl Triplet {
    fn passed_at(mut self, now: Timestamp) -> Self {
        self.passed = Some(now);
        self
    }

    fn encode(self) -> Vec<u8> {
        let mut octets = self.first.millis().to_be_bytes().to_vec();
        if let Some(passed) = self.passed {
            octets.extend_from_slice(&passed.millis().to_be_bytes());
        }
        octets
    }

    fn decode(value: &StateValue) -> Option<Self> {
        let (first, rest) = value.value.split_first_chunk()?;
        let passed = rest.split_first_chunk().map(|(passed, _)| *passed);
        Some(Self {
            first: Timestamp::from_millis(i64::from_be_bytes(*first)),
            passed: passed.map(|passed| Timestamp::from_millis(i64::from_be_bytes(passed))),
        })
    }
}

/// A network whose hosts came again.
#[derive(Debug, Clone, Copy, Default)]
struct Client {
    passed: u32,
    written: Timestamp,
}

impl Client {
    fn once_more(mut self) -> Self {
        self.passed = self.passed.saturating_add(1);
        self
    }

    fn at(mut self, now: Timestamp) -> Self {
        self.written = now;
        self
    }

    fn encode(self) -> Vec<u8> {
        let mut octets = self.passed.to_be_bytes().to_vec();
        octets.extend_from_slice(&self.written.millis().to_be_bytes());
        octets
    }

    fn decode(value: &StateValue) -> Option<Self> {
        let (passed, rest) = value.value.split_first_chunk()?;
        let (written, _) = rest.split_first_chunk()?;
        Some(Self {
            passed: u32::from_be_bytes(*passed),
            written: Timestamp::from_millis(i64::from_be_bytes(*written)),
        })
    }
}
