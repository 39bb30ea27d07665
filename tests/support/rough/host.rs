//! [`ScriptedHost`]: a bad SMTP peer, which remembers what it took.

use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mailcore::testing::faults::FaultPlan;
use mailcore::time::Timestamp;
use tokio::io::DuplexStream;

use super::manner::Manner;
use super::talk::Talk;

/// A message that a host took.
#[derive(Debug, Clone)]
pub struct Taken {
    /// When.
    pub at: Timestamp,
    /// The reverse-path, as MAIL gave it.
    pub from: String,
    /// The recipients.
    pub to: Vec<String>,
    /// The content, dots undone.
    pub message: Vec<u8>,
    /// False when the sender can't have been told: the connection broke before
    /// or with the reply.
    pub told: bool,
}

type Chooser = Arc<dyn Fn(u64) -> Manner + Send + Sync>;

/// A host by a script: a manner for each connection, the last one for all that
/// follow. Good until told otherwise.
pub struct ScriptedHost {
    /// Where it is.
    pub ip: IpAddr,
    /// Its name.
    pub name: String,
    pub(super) plan: FaultPlan,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    connections: u64,
    next: Vec<Manner>,
    always: Option<Manner>,
    chooser: Option<Chooser>,
    taken: Vec<Taken>,
    heard: Vec<String>,
}

impl fmt::Debug for ScriptedHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.name;
        f.debug_struct("ScriptedHost")
            .field("name", name)
            .finish_non_exhaustive()
    }
}

impl ScriptedHost {
    pub(super) fn new(name: &str, ip: IpAddr, plan: FaultPlan) -> Arc<Self> {
        Arc::new(Self {
            ip,
            name: name.to_owned(),
            plan,
            state: Mutex::default(),
        })
    }

    /// The next connection that has no manner yet gets this one.
    pub fn then(&self, manner: Manner) -> &Self {
        self.state().next.push(manner);
        self
    }

    /// Connections that have none of their own get this one.
    pub fn always(&self, manner: Manner) -> &Self {
        self.state().always = Some(manner);
        self
    }

    /// Connections that have none of their own get what this chooses, by their
    /// number from 1.
    pub fn by(&self, chooser: impl Fn(u64) -> Manner + Send + Sync + 'static) -> &Self {
        self.state().chooser = Some(Arc::new(chooser));
        self
    }

    /// Behaves well from now on.
    pub fn reform(&self) -> &Self {
        let mut state = self.state();
        state.next.clear();
        state.chooser = None;
        state.always = None;
        drop(state);
        self
    }

    /// What it took.
    pub fn taken(&self) -> Vec<Taken> {
        self.state().taken.clone()
    }

    /// How often it took a message for this recipient.
    pub fn copies(&self, recipient: &str) -> usize {
        let state = self.state();
        let copies = state.taken.iter();
        copies
            .filter(|taken| taken.to.iter().any(|to| to == recipient))
            .count()
    }

    /// Connections so far.
    pub fn connections(&self) -> u64 {
        self.state().connections
    }

    /// Commands heard so far that begin so.
    pub fn heard(&self, begin: &str) -> usize {
        let state = self.state();
        state
            .heard
            .iter()
            .filter(|line| line.starts_with(begin))
            .count()
    }

    pub(super) fn serve(self: &Arc<Self>, stream: DuplexStream) {
        let (manner, count) = {
            let mut state = self.state();
            state.connections += 1;
            let count = state.connections;
            let manner = match state.next.is_empty() {
                false => state.next.remove(0),
                true => match (&state.always, &state.chooser) {
                    (Some(manner), _) => manner.clone(),
                    (None, Some(choose)) => choose(count),
                    (None, None) => Manner::good(),
                },
            };
            (manner, count)
        };
        if manner.name != "good" {
            self.plan.note("host", &self.name, count, manner.name);
        }
        let talk = Talk::new(Arc::clone(self), stream, manner);
        tokio::spawn(async move {
            // A peer that leaves is no error here.
            let _ = talk.run().await;
        });
    }

    pub(super) fn hear(&self, line: &str) {
        self.plan.stir();
        self.state().heard.push(line.to_owned());
    }

    /// Keeps a message; its place.
    pub(super) fn take(&self, taken: Taken) -> usize {
        let mut state = self.state();
        state.taken.push(taken);
        state.taken.len() - 1
    }

    /// Whether the sender of that message was told.
    pub(super) fn tell(&self, at: usize, told: bool) {
        if let Some(taken) = self.state().taken.get_mut(at) {
            taken.told = told;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
