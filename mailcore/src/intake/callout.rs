//! [`Callout`]: whether the host of a relayed domain knows a recipient, asked at
//! RCPT, so that mail for nobody is refused here instead of returned from the
//! queue to a sender who may be forged.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OnceCell, Semaphore};

use super::recipients::{Target, no_route};
use super::{Intake, Refusal, SessionInfo, SessionKind};
use crate::address::{Address, ReversePath};
use crate::batch::StateChange;
use crate::seams::{
    Clock, Demands, HostCheck, NextHop, RecipientCheck, RecipientQuery, Route, RouteQuery,
    Standing, State, StateKey, StateValue,
};
use crate::status::Status;

/// Where answers are remembered.
const NAMESPACE: &str = "callout";
/// Octets that the state takes as a key.
const MAX_KEY: usize = 512;
/// Characters of a host's words that are passed on.
const MAX_WORDS: usize = 200;

/// How hosts are asked for recipients.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CalloutConfig {
    /// How long a recipient counts as known.
    pub known_for: Duration,
    /// How long one counts as unknown: short, since a new mailbox is to get mail
    /// soon.
    pub unknown_for: Duration,
    /// How long the answer may take; a session waits for it.
    pub deadline: Duration,
    /// Hosts asked at a time.
    pub at_once: usize,
}

impl Default for CalloutConfig {
    fn default() -> Self {
        Self {
            known_for: Duration::from_secs(7 * 24 * 3_600),
            unknown_for: Duration::from_secs(3_600),
            deadline: Duration::from_secs(10),
            at_once: 20,
        }
    }
}

/// Asks hosts for recipients, and remembers what they say.
#[derive(Debug)]
pub struct Callout {
    check: Arc<dyn RecipientCheck>,
    state: Arc<dyn State>,
    clock: Arc<dyn Clock>,
    config: CalloutConfig,
    calls: Semaphore,
    running: Mutex<Running>,
}

/// Questions under way. Sessions that ask the same wait for one answer.
type Running = HashMap<String, Arc<OnceCell<Standing>>>;

impl Callout {
    /// Asks by `check`, remembers in `state`.
    pub fn new(
        check: Arc<dyn RecipientCheck>,
        state: Arc<dyn State>,
        clock: Arc<dyn Clock>,
        config: CalloutConfig,
    ) -> Self {
        Self {
            check,
            state,
            clock,
            calls: Semaphore::new(config.at_once.clamp(1, Semaphore::MAX_PERMITS)),
            config,
            running: Mutex::default(),
        }
    }

    /// What is known of a recipient, else what its host says.
    pub async fn standing(&self, query: &RecipientQuery<'_>) -> Standing {
        let place = place(query);
        let key = StateKey::new(NAMESPACE, &query.recipient.folded().to_string());
        let question = self.join(format!("{place} {}", key.key));
        let answer = question.cell.get_or_init(|| self.ask(query, &key, &place));
        answer.await.clone()
    }

    async fn ask(&self, query: &RecipientQuery<'_>, key: &StateKey, place: &str) -> Standing {
        if let Some(standing) = self.remembered(key, place).await {
            return standing;
        }
        let until = self.clock.monotonic().after(self.config.deadline);
        let call = async {
            // It is never closed, so that this only waits.
            let _permit = self.calls.acquire().await;
            short(self.check.check(query).await)
        };
        let standing = tokio::select! {
            biased;
            standing = call => standing,
            () = self.clock.sleep_until(until) => {
                Standing::NoAnswer(Status::transient(4, 1, "no answer in time"))
            }
        };
        self.remember(key, place, &standing).await;
        standing
    }

    async fn remembered(&self, key: &StateKey, place: &str) -> Option<Standing> {
        if key.key.len() > MAX_KEY {
            return None;
        }
        match self.state.read(key).await {
            Ok(value) => decode(&value?, place),
            Err(error) => {
                tracing::warn!(%error, "can't look up what a host said of a recipient");
                None
            }
        }
    }

    async fn remember(&self, key: &StateKey, place: &str, standing: &Standing) {
        let (value, keep_for) = match standing {
            Standing::Known => (format!("{place}\nknown"), self.config.known_for),
            Standing::Unknown(Status { code, text }) => {
                let value = format!("{place}\nunknown\n{code}\n{text}");
                (value, self.config.unknown_for)
            }
            Standing::NoAnswer(_) => return,
        };
        if key.key.len() > MAX_KEY || keep_for.is_zero() {
            return;
        }
        let change = StateChange::Put {
            key: key.clone(),
            value: value.into_bytes(),
            expires: Some(self.clock.now().after(keep_for)),
        };
        if let Err(error) = self.state.change(vec![change]).await {
            tracing::warn!(%error, "can't remember what a host said of a recipient");
        }
    }

    fn join(&self, key: String) -> Question<'_> {
        let cell = Arc::clone(self.running().entry(key.clone()).or_default());
        Question {
            callout: self,
            key,
            cell,
        }
    }

    fn running(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A session's part in a question. The last one to leave takes the question
/// away, also when its session ended before the answer came.
struct Question<'a> {
    callout: &'a Callout,
    key: String,
    cell: Arc<OnceCell<Standing>>,
}

impl Drop for Question<'_> {
    fn drop(&mut self) {
        let mut running = self.callout.running();
        // The table's and this one.
        let last = Arc::strong_count(&self.cell) <= 2;
        let same = (running.get(&self.key)).is_some_and(|cell| Arc::ptr_eq(cell, &self.cell));
        if same && (last || self.cell.initialized()) {
            running.remove(&self.key);
        }
    }
}

/// A host says as much as it likes; a reply and the state hold less.
fn short(standing: Standing) -> Standing {
    match standing {
        Standing::Unknown(Status { code, text }) => {
            let words: String = text.chars().take(MAX_WORDS).collect();
            Standing::Unknown(Status::new(code, words))
        }
        other => other,
    }
}

/// The host that is asked: what another one said before does not count.
fn place(query: &RecipientQuery<'_>) -> String {
    let agent = query.agent;
    match query.next_hop {
        NextHop::Mx(domain) => format!("{agent} mx {domain}"),
        NextHop::Host { host, port } => format!("{agent} host {host}:{port}"),
        NextHop::Local => format!("{agent} local"),
    }
}

fn decode(value: &StateValue, place: &str) -> Option<Standing> {
    let text = std::str::from_utf8(&value.value).ok()?;
    let mut lines = text.splitn(4, '\n');
    if lines.next() != Some(place) {
        return None;
    }
    match lines.next()? {
        "known" => Some(Standing::Known),
        "unknown" => {
            let code = lines.next()?.parse().ok()?;
            Some(Standing::Unknown(Status::new(code, lines.next()?)))
        }
        _ => None,
    }
}

impl Intake {
    /// Refuses a recipient whom the host of its relayed domain does not know.
    /// Who submits mail is told by a notice instead, as of any other host: most
    /// programs give a whole message up when one recipient is refused.
    pub(super) async fn ask_host(
        &self,
        session: &SessionInfo,
        sender: &ReversePath,
        address: &Address,
        (targets, demands): (&[Target], &Demands),
    ) -> Result<(), Refusal> {
        let inside = matches!(
            session.filter.door,
            SessionKind::Submission | SessionKind::Local
        );
        if demands.host_check == HostCheck::NotAsked || inside {
            return Ok(());
        }
        let target = match targets {
            [only] => Some(only),
            several => several.iter().find(|target| target.address() == address),
        };
        let (Some(callout), Some(Target::Queue { address, .. })) = (&self.parts.callout, target)
        else {
            return Ok(());
        };
        let query = RouteQuery::new(address).from_sender(sender);
        let route = self.parts.router.route(&query).await.map_err(no_route)?;
        let Some((agent, next_hop)) = other_host(&route) else {
            return Ok(());
        };
        let query = RecipientQuery::new(agent, next_hop, address);
        match callout.standing(&query).await {
            Standing::Known => Ok(()),
            Standing::Unknown(status) => Err(status.into()),
            Standing::NoAnswer(status) => {
                tracing::info!(%address, %status, "a recipient can't be checked now");
                let words = "this address can't be checked now; try again later";
                Err(Status::transient(4, 1, words).into())
            }
        }
    }
}

/// The host that an agent would take mail to.
fn other_host(route: &Route) -> Option<(&Arc<str>, &NextHop)> {
    match route {
        Route::Agent { agent, next_hop } => {
            (*next_hop != NextHop::Local).then_some((agent, next_hop))
        }
        Route::Copied { route, .. } => other_host(route),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
