//! What the rules count, by whom: [`Counts`].

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::guesses::light;
use super::table::Table;
use super::window::Window;
use super::{Counted, Keyed, Rule};
use crate::account::Identity;
use crate::net::peer_group;
use crate::time::Monotonic;

/// Characters of a name that somebody tries: an address has no more (RFC 5321
/// section 4.5.3.1).
const MAX_LOGIN: usize = 320;

/// Who does something, as far as is known.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct Sender<'a> {
    /// From where.
    pub peer: Option<IpAddr>,
    /// As whom.
    pub identity: Option<&'a Identity>,
    /// As whom it tries to log in, where it has not.
    pub login: Option<&'a str>,
    /// By which protocol.
    pub protocol: &'a str,
}

impl<'a> Sender<'a> {
    /// Somebody at the other end of a connection.
    pub fn new(peer: Option<IpAddr>, protocol: &'a str) -> Self {
        Self {
            peer,
            protocol,
            ..Self::default()
        }
    }

    /// Who logged in.
    #[must_use]
    pub fn logged_in(mut self, identity: Option<&'a Identity>) -> Self {
        self.identity = identity;
        self
    }

    /// The name that somebody tries.
    #[must_use]
    pub fn trying(mut self, login: &'a str) -> Self {
        self.login = Some(login);
        self
    }

    fn key(&self, rule: Rule) -> Option<Subject> {
        match rule.keyed {
            Keyed::Address => self.peer.map(|peer| Subject::Address(peer_group(peer))),
            Keyed::Account => match (self.identity, self.login) {
                (Some(identity), _) => Some(Subject::Name(identity.account.as_str().into())),
                (None, login) => {
                    let login = plain(login?);
                    (!login.is_empty()).then(|| Subject::Name(login.into()))
                }
            },
            Keyed::Domain => {
                let login = self.identity.map_or(self.login, |it| Some(&it.login));
                let (_, domain) = login?.rsplit_once('@')?;
                Some(Subject::Name(domain.to_ascii_lowercase().into()))
            }
            Keyed::Protocol => Some(Subject::Name(self.protocol.into())),
        }
    }
}

/// The one form of a name that may be written in many: in other letters' case,
/// with a detail behind a plus. Cut where it is longer than any address.
fn plain(login: &str) -> String {
    let login: String = login.chars().take(MAX_LOGIN).collect();
    let login = login.trim().to_lowercase();
    let (local, domain) = match login.rsplit_once('@') {
        Some((local, domain)) => (local, Some(domain)),
        None => (login.as_str(), None),
    };
    let local = local.split_once('+').map_or(local, |(user, _)| user);
    match domain {
        Some(domain) => format!("{local}@{domain}"),
        None => local.to_owned(),
    }
}

/// Of whom something is counted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Subject {
    Address(IpAddr),
    Name(Arc<str>),
}

/// The counts of all rules.
#[derive(Debug)]
pub(super) struct Counts {
    /// Each rule has a table of its own: a flood of addresses must not drive out
    /// what is counted of accounts.
    rules: Vec<Counting>,
}

#[derive(Debug)]
struct Counting {
    rule: Rule,
    counters: Table<Subject, Counter>,
}

#[derive(Debug, Default)]
struct Counter {
    window: Window,
    /// That it is too much was told, and when it is to be told again.
    told_until: Option<Monotonic>,
}

/// A rule that something was too much for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Over {
    pub(super) rule: Rule,
    /// How many there would be.
    pub(super) count: u64,
    /// When it will pass; `None` for never.
    pub(super) opens: Option<Monotonic>,
    /// It is the first time in this while.
    pub(super) first: bool,
}

/// A count that is worth writing down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Noted {
    pub(super) key: String,
    pub(super) level: u64,
    pub(super) within: Duration,
}

/// What counting led to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Added {
    pub(super) noted: Vec<Noted>,
    pub(super) over: Option<Over>,
}

impl Counts {
    pub(super) fn new(rules: Vec<Rule>, remembered: usize) -> Self {
        let counting = |rule| Counting {
            rule,
            counters: Table::new(remembered),
        };
        Self {
            rules: rules.into_iter().map(counting).collect(),
        }
    }

    /// Counts by other rules from now on. What was counted stays, where the same
    /// is counted of the same within the same time.
    pub(super) fn replace(&mut self, rules: Vec<Rule>, remembered: usize) {
        let mut before = std::mem::replace(self, Self::new(rules, remembered));
        for counting in &mut self.rules {
            let same = |old: &Counting| prefix(old.rule) == prefix(counting.rule);
            if let Some(at) = before.rules.iter().position(same) {
                counting.counters = before.rules.swap_remove(at).counters;
                counting.counters.keep(remembered);
            }
        }
    }

    /// The first rule for which `amount` more is too much. Nothing is counted.
    pub(super) fn over(
        &mut self,
        counted: Counted,
        sender: &Sender<'_>,
        amount: u64,
        now: Monotonic,
    ) -> Option<Over> {
        self.of(counted).find_map(|counting| {
            let rule = counting.rule;
            let counter = counting.counter(sender.key(rule)?, now)?;
            let level = counter.window.level(rule.rate, now);
            // A message that is too long by itself passes alone: it would never
            // else. Its recipients can be written to one after the other.
            let alone = level == 0 && counted == Counted::Octets;
            let count = level.saturating_add(amount);
            if alone || count <= rule.rate.most {
                return None;
            }
            let opens = counter.window.opens(amount, rule.rate, now);
            let first = counter.told_until.is_none_or(|until| until <= now);
            if first {
                counter.told_until = Some(now.after(rule.rate.within));
            }
            Some(Over {
                rule,
                count,
                opens,
                first,
            })
        })
    }

    /// True when a rule is reached already. Nothing is counted, nor told.
    pub(super) fn is_reached(
        &mut self,
        counted: Counted,
        sender: &Sender<'_>,
        now: Monotonic,
    ) -> bool {
        self.of(counted).any(|Counting { rule, counters }| {
            let counter = sender
                .key(*rule)
                .and_then(|subject| counters.find(&subject));
            counter.is_some_and(|it| it.window.level(rule.rate, now) >= rule.rate.most)
        })
    }

    /// Counts. What is worth writing down, and the rule that it was too much
    /// for: reached where it is counted for what is bad by itself, else passed.
    pub(super) fn add(
        &mut self,
        counted: Counted,
        sender: &Sender<'_>,
        amount: u64,
        now: Monotonic,
    ) -> Added {
        let bad = counted.is_bad();
        let (mut noted, mut over) = (Vec::new(), None);
        for counting in self.of(counted) {
            let rule = counting.rule;
            let Some(subject) = sender.key(rule) else {
                continue;
            };
            let key = written(rule, &subject);
            let Some(counter) = counting.counter(subject, now) else {
                continue;
            };
            let before = counter.window.level(rule.rate, now);
            let count = counter.window.add(amount, rule.rate, now);
            if count.saturating_mul(2) >= rule.rate.most {
                noted.push(Noted {
                    key,
                    level: count,
                    within: rule.rate.within,
                });
            }
            let enough = rule.rate.most.saturating_add(u64::from(!bad));
            if count >= enough {
                over.get_or_insert(Over {
                    rule,
                    count,
                    opens: counter.window.opens(1, rule.rate, now),
                    first: before < enough,
                });
            }
        }
        Added { noted, over }
    }

    /// Forgets what was counted of an address; the names under which it may be
    /// written down.
    pub(super) fn forget(&mut self, address: IpAddr) -> Vec<String> {
        let subject = Subject::Address(peer_group(address));
        let mut names = Vec::new();
        for Counting { rule, counters } in &mut self.rules {
            if let Some(counter) = counters.find(&subject) {
                *counter = Counter::default();
                names.push(written(*rule, &subject));
            }
        }
        names
    }

    /// Takes up a count that was written down, for every rule that counts so.
    pub(super) fn restore(&mut self, key: &str, level: u64, now: Monotonic) {
        for counting in &mut self.rules {
            if let Some(subject) = read(counting.rule, key)
                && let Some(counter) = counting.counter(subject, now)
            {
                counter.window = Window::with(level, now);
            }
        }
    }

    fn of(&mut self, counted: Counted) -> impl Iterator<Item = &mut Counting> {
        let rules = self.rules.iter_mut();
        rules.filter(move |counting| counting.rule.counted == counted)
    }
}

impl Counting {
    fn counter(&mut self, subject: Subject, now: Monotonic) -> Option<&mut Counter> {
        let rate = self.rule.rate;
        let guilt = move |counter: &mut Counter| light(&mut counter.window, rate, now);
        self.counters.entry(&subject, Counter::default, guilt)
    }
}

/// The name of a count: `messages/account/3600/ann@example.com`.
fn written(rule: Rule, subject: &Subject) -> String {
    match subject {
        Subject::Address(address) => format!("{}{address}", prefix(rule)),
        Subject::Name(name) => format!("{}{name}", prefix(rule)),
    }
}

fn prefix(rule: Rule) -> String {
    let Rule { counted, keyed, .. } = rule;
    format!("{counted}/{keyed}/{}/", rule.rate.within.as_secs())
}

fn read(rule: Rule, key: &str) -> Option<Subject> {
    let name = key.strip_prefix(&prefix(rule))?;
    match rule.keyed {
        Keyed::Address => name.parse().ok().map(Subject::Address),
        _ => Some(Subject::Name(name.into())),
    }
}

#[cfg(test)]
mod tests;
