//! Whether the host of a sender's domain takes mail for the sender: asked of that
//! host as for a recipient, by MAIL from nobody and RCPT.
//!
//! It costs others' hosts a call for mail that may not be theirs, so that it is
//! for those who turn it on:
//!
//! - Nobody is called for mail without a sender, which is what such calls have
//!   themselves: two servers never call each other in turn. Nor is anybody for a
//!   sender of ours, or one whose domain says that the client is not one of its
//!   hosts.
//! - What a host said is remembered, and one domain is asked so often within an
//!   hour and no more.
//! - A domain is not asked whose hosts are not of the Internet at large: a stranger
//!   names it.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use mailcore::address::{Address, Domain};
use mailcore::intake::{Callout, CalloutConfig};
use mailcore::plan::Stage;
use mailcore::seams::{
    Clock, Directory, NextHop, RecipientCheck, RecipientQuery, Resolver, Standing, State,
};
use mailcore::status::Status;

use super::mx_check::is_reachable;
use crate::pipeline::{Look, Reaction, Said, Test};

const HOUR_SECS: i64 = 3_600;
/// Domains whose calls are counted; beyond them none is called within the hour.
const MOST_DOMAINS: usize = 10_000;

/// How hosts are asked for senders.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CallbackConfig {
    /// How long answers are remembered, and how long one may take.
    pub calls: CalloutConfig,
    /// Calls to the hosts of one domain within an hour; 60.
    pub per_domain: u32,
}

impl Default for CallbackConfig {
    fn default() -> Self {
        Self {
            calls: CalloutConfig::default(),
            per_domain: 60,
        }
    }
}

/// What a [`Callback`] uses.
#[derive(Clone)]
pub struct CallbackSeams {
    /// Asks hosts.
    pub check: Arc<dyn RecipientCheck>,
    /// The agent whose settings for hosts count: `smtp`.
    pub agent: Arc<str>,
    /// Tells where hosts are.
    pub resolver: Arc<dyn Resolver>,
    /// Knows which domains are ours.
    pub directory: Arc<dyn Directory>,
    /// Remembers answers.
    pub state: Arc<dyn State>,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

impl fmt::Debug for CallbackSeams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallbackSeams").finish_non_exhaustive()
    }
}

/// The test `callback`, asked at MAIL.
#[derive(Debug)]
pub struct Callback {
    callout: Callout,
    agent: Arc<str>,
    resolver: Arc<dyn Resolver>,
    directory: Arc<dyn Directory>,
}

impl Callback {
    /// Asks by the seams' check.
    pub fn new(seams: CallbackSeams, config: CallbackConfig) -> Self {
        let limited = Limited {
            inner: seams.check,
            clock: Arc::clone(&seams.clock),
            per_domain: config.per_domain,
            calls: Mutex::default(),
        };
        Self {
            callout: Callout::new(Arc::new(limited), seams.state, seams.clock, config.calls),
            agent: seams.agent,
            resolver: seams.resolver,
            directory: seams.directory,
        }
    }

    /// Whether somebody may be called for a sender.
    async fn may_call(&self, look: &Look<'_>, sender: &Address) -> bool {
        let findings = look.session.memory.findings();
        let disowned = |spf: &str| matches!(spf, "fail" | "softfail" | "permerror");
        let forged = (findings.iter()).any(|it| it.test == "spf" && disowned(&it.result));
        if forged || sender.domain().as_ip().is_some() || sender.local_part().is_empty() {
            return false;
        }
        // Unknown whether it is ours: our own hosts are not called either.
        let ours = self.directory.domain(sender.domain()).await;
        matches!(ours, Ok(None)) && is_reachable(self.resolver.as_ref(), sender.domain()).await
    }
}

#[async_trait]
impl Test for Callback {
    fn name(&self) -> &'static str {
        "callback"
    }

    fn stage(&self) -> Stage {
        Stage::Mail
    }

    /// What those refuse need not be asked for.
    fn after(&self) -> &'static [&'static str] {
        &["sender", "spf", "rhsbl"]
    }

    fn results(&self) -> &'static [&'static str] {
        &["unknown"]
    }

    fn reaction(&self, _: &str) -> Reaction {
        Reaction::score(5.0)
    }

    async fn look(&self, at: &Look<'_>) -> Vec<Said> {
        let Some(sender) = at.reverse_path.and_then(|path| path.address()) else {
            return Vec::new();
        };
        if !self.may_call(at, sender).await {
            return Vec::new();
        }
        let next_hop = NextHop::Mx(sender.domain().clone());
        let query = RecipientQuery::new(&self.agent, &next_hop, sender);
        match self.callout.standing(&query).await {
            Standing::Unknown(status) => {
                let words = format!(
                    "the sender's own host takes no mail for it: {}",
                    status.text
                );
                vec![Said::new("unknown", sender.to_string()).detail(words)]
            }
            Standing::Known | Standing::NoAnswer(_) => Vec::new(),
        }
    }
}

/// Counts calls, and makes no more than are allowed.
struct Limited {
    inner: Arc<dyn RecipientCheck>,
    clock: Arc<dyn Clock>,
    per_domain: u32,
    calls: Mutex<Calls>,
}

impl fmt::Debug for Limited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limited").finish_non_exhaustive()
    }
}

/// Calls of this hour.
#[derive(Debug, Default)]
struct Calls {
    hour: i64,
    of: HashMap<Domain, u32>,
}

impl Limited {
    fn may_call(&self, domain: &Domain) -> bool {
        let hour = self.clock.now().secs().div_euclid(HOUR_SECS);
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        if calls.hour != hour {
            *calls = Calls {
                hour,
                ..Calls::default()
            };
        }
        if calls.of.len() >= MOST_DOMAINS && !calls.of.contains_key(domain) {
            return false;
        }
        let count = calls.of.entry(domain.clone()).or_default();
        *count = count.saturating_add(1);
        *count <= self.per_domain
    }
}

#[async_trait]
impl RecipientCheck for Limited {
    async fn check(&self, query: &RecipientQuery<'_>) -> Standing {
        if self.may_call(query.recipient.domain()) {
            return self.inner.check(query).await;
        }
        Standing::NoAnswer(Status::transient(4, 5, "asked too often within the hour"))
    }
}

#[cfg(test)]
mod tests;
