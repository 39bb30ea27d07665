//! What is collected between two mails of a rule, kept in the store's state.

use std::collections::BTreeMap;

use super::rule::MailRule;
use crate::batch::StateChange;
use crate::event::Event;
use crate::pack::{PackError, Packer, Unpacker};
use crate::seams::{State, StateKey, StoreError};
use crate::time::Timestamp;

/// Where windows are, and how their keys begin.
const NAMESPACE: &str = "events";
const PREFIX: &str = "mail-window:";
/// The form of a value.
const VERSION: u8 = 1;
/// Windows in all. Values beyond share one window of their rule.
const MAX_WINDOWS: usize = 1_000;
/// Characters of a field that tell windows apart.
const MAX_VALUE: usize = 100;
/// Octets of an event that is collected.
const MAX_EVENT: usize = 8 * 1024;
/// Entries read at a time.
const PAGE: usize = 256;

/// The windows of all rules.
#[derive(Debug, Default)]
pub(super) struct Windows(BTreeMap<StateKey, Window>);

/// A rule's time without mail.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Window {
    until: Timestamp,
    /// Events collected.
    more: u64,
    /// The last of them.
    last: Option<Event>,
}

/// What is to be done about an event.
#[derive(Debug)]
pub(super) enum Turn {
    /// Its mail is sent, and tells of so many more; then the change is made.
    Send {
        more: u64,
        key: Option<StateKey>,
        change: Option<StateChange>,
    },
    /// It was collected.
    Collect(StateChange),
}

/// What was collected and is to be told now.
#[derive(Debug)]
pub(super) struct Due {
    pub(super) rule: String,
    pub(super) event: Event,
    pub(super) more: u64,
    pub(super) key: StateKey,
}

impl Windows {
    /// Those that are kept.
    pub(super) async fn load(state: &dyn State) -> Result<Self, StoreError> {
        let mut windows = BTreeMap::new();
        let mut after: Option<String> = None;
        loop {
            let page = state
                .scan(NAMESPACE, PREFIX, after.as_deref(), PAGE)
                .await?;
            let Some((last, _)) = page.last() else {
                return Ok(Self(windows));
            };
            after = Some(last.key.to_string());
            for (key, value) in page {
                match Window::decode(&value.value) {
                    Ok(window) => drop(windows.insert(key, window)),
                    Err(error) => {
                        tracing::warn!(key = %key.key, %error, "what a mail rule collected is lost");
                    }
                }
            }
        }
    }

    /// What becomes of an event that a rule fits.
    pub(super) fn turn(&mut self, rule: &MailRule, event: &Event, now: Timestamp) -> Turn {
        let Some(interval) = rule.interval else {
            return Turn::Send {
                more: 0,
                key: None,
                change: None,
            };
        };
        let key = self.key(rule, event);
        let open = self.0.get_mut(&key);
        // A clock that was put back must not silence a rule for long.
        let open = open.filter(|it| now < it.until && it.until <= now.after(interval));
        if let Some(window) = open {
            window.more = window.more.saturating_add(1);
            window.last = Some(small(event));
            return Turn::Collect(window.put(key));
        }
        let more = self.0.get(&key).map_or(0, |window| window.more);
        let window = Window {
            until: now.after(interval),
            more: 0,
            last: None,
        };
        Turn::Send {
            more,
            change: Some(window.put(key.clone())),
            key: Some(key),
        }
    }

    /// A mail was sent (or could never be): its window begins.
    pub(super) fn begin(&mut self, key: StateKey, rule: &MailRule, now: Timestamp) {
        let until = now.after(rule.interval.unwrap_or_default());
        let window = Window {
            until,
            more: 0,
            last: None,
        };
        self.0.insert(key, window);
    }

    /// The change that [`Windows::begin`] makes.
    pub(super) fn begin_change(key: &StateKey, rule: &MailRule, now: Timestamp) -> StateChange {
        let until = now.after(rule.interval.unwrap_or_default());
        let window = Window {
            until,
            more: 0,
            last: None,
        };
        window.put(key.clone())
    }

    /// When the first window ends.
    pub(super) fn next(&self) -> Option<Timestamp> {
        self.0.values().map(|window| window.until).min()
    }

    /// Ends windows whose time is over: those to be told, and the changes for
    /// those that collected nothing.
    pub(super) fn over(&mut self, now: Timestamp) -> (Vec<Due>, Vec<StateChange>) {
        let (mut due, mut changes) = (Vec::new(), Vec::new());
        self.0.retain(|key, window| {
            if window.until > now {
                return true;
            }
            let rule = rule_of(key).map(str::to_owned);
            match (window.last.clone(), rule) {
                (Some(event), Some(rule)) => {
                    due.push(Due {
                        rule,
                        event,
                        more: window.more.saturating_sub(1),
                        key: key.clone(),
                    });
                    true
                }
                _ => {
                    changes.push(StateChange::Remove { key: key.clone() });
                    false
                }
            }
        });
        (due, changes)
    }

    /// Forgets a window of a rule that is no more.
    pub(super) fn remove(&mut self, key: &StateKey) -> StateChange {
        self.0.remove(key);
        StateChange::Remove { key: key.clone() }
    }

    fn key(&self, rule: &MailRule, event: &Event) -> StateKey {
        let value = rule.per.as_deref();
        let value = value.and_then(|field| super::condition::value(event, field));
        let value: String = value.unwrap_or_default().chars().take(MAX_VALUE).collect();
        let key = |value: &str| StateKey::new(NAMESPACE, &format!("{PREFIX}{}:{value}", rule.name));
        let own = key(&value);
        if self.0.len() >= MAX_WINDOWS && !self.0.contains_key(&own) {
            return key("");
        }
        own
    }
}

/// The rule whose window has a key.
fn rule_of(key: &StateKey) -> Option<&str> {
    let rest = key.key.strip_prefix(PREFIX)?;
    rest.split_once(':').map(|(rule, _)| rule)
}

/// An event without what makes it large.
fn small(event: &Event) -> Event {
    let mut event = event.clone();
    let octets = |event: &Event| {
        event
            .fields
            .iter()
            .map(|(_, value)| value.len())
            .sum::<usize>()
    };
    while octets(&event) > MAX_EVENT {
        let longest = event.fields.iter().map(|(_, value)| value.len()).max();
        event
            .fields
            .retain(|(_, value)| Some(value.len()) != longest);
    }
    event
}

impl Window {
    fn put(&self, key: StateKey) -> StateChange {
        let mut out = Packer::new(VERSION);
        out.i64(self.until.millis());
        out.u64(self.more);
        out.option(self.last.as_ref(), |out, event| out.octets(&event.encode()));
        StateChange::Put {
            key,
            value: out.finish(),
            expires: None,
        }
    }

    fn decode(octets: &[u8]) -> Result<Self, PackError> {
        let mut from = Unpacker::new(octets, VERSION)?;
        Ok(Self {
            until: Timestamp::from_millis(from.i64()?),
            more: from.u64()?,
            last: from.option(|from| Event::decode(from.octets()?))?,
        })
    }
}
