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

/// Who does something, as far as is known.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct Sender<'a> {
    /// From where.
    pub peer: Option<IpAddr>,
    /// As whom.
    pub identity: Option<&'a Identity>,
    /// By which protocol.
    pub protocol: &'a str,
}

impl<'a> Sender<'a> {
    /// Somebody at the other end of a connection.
    pub fn new(peer: Option<IpAddr>, protocol: &'a str) -> Self {
        Self {
            peer,
            identity: None,
            protocol,
        }
    }

    /// Who logged in.
    #[must_use]
    pub fn logged_in(mut self, identity: Option<&'a Identity>) -> Self {
        self.identity = identity;
        self
    }

    fn key(&self, keyed: Keyed) -> Option<Subject> {
        match keyed {
            Keyed::Address => self.peer.map(|peer| Subject::Address(peer_group(peer))),
            Keyed::Account => {
                let identity = self.identity?;
                Some(Subject::Name(identity.account.as_str().into()))
            }
            Keyed::Domain => {
                let (_, domain) = self.identity?.login.rsplit_once('@')?;
                Some(Subject::Name(domain.to_ascii_lowercase().into()))
            }
            Keyed::Protocol => Some(Subject::Name(self.protocol.into())),
        }
    }
}

/// Of whom something is counted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Subject {
    Address(IpAddr),
    Name(Arc<str>),
}

/// Which rule, by its place, and whom.
type Key = (usize, Subject);

/// The counts of all rules.
#[derive(Debug)]
pub(super) struct Counts {
    rules: Vec<Rule>,
    counts: Table<Key, Counter>,
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

impl Counts {
    pub(super) fn new(rules: Vec<Rule>, remembered: usize) -> Self {
        Self {
            rules,
            counts: Table::new(remembered),
        }
    }

    /// True when nothing of this kind is counted.
    pub(super) fn ignores(&self, counted: Counted) -> bool {
        !self.rules.iter().any(|rule| rule.counted == counted)
    }

    /// The first rule for which `amount` more is too much. Nothing is counted.
    pub(super) fn over(
        &mut self,
        counted: Counted,
        sender: &Sender<'_>,
        amount: u64,
        now: Monotonic,
    ) -> Option<Over> {
        let rules: Vec<(usize, Rule)> = self.of(counted).collect();
        rules.into_iter().find_map(|(place, rule)| {
            let counter = self.counter((place, rule), sender.key(rule.keyed)?, now)?;
            let level = counter.window.level(rule.rate, now);
            // What is too much by itself passes alone: it would never else.
            let room = level == 0 || level.saturating_add(amount) <= rule.rate.most;
            if room {
                return None;
            }
            let opens = counter
                .window
                .opens(amount.min(rule.rate.most), rule.rate, now);
            let first = counter.told_until.is_none_or(|until| until <= now);
            if first {
                counter.told_until = Some(now.after(rule.rate.within));
            }
            Some(Over { rule, opens, first })
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
    ) -> (Vec<Noted>, Option<Over>) {
        let bad = matches!(counted, Counted::Errors | Counted::UnknownRecipients);
        let rules: Vec<(usize, Rule)> = self.of(counted).collect();
        let (mut noted, mut over) = (Vec::new(), None);
        for (place, rule) in rules {
            let Some(subject) = sender.key(rule.keyed) else {
                continue;
            };
            let key = written(rule, &subject);
            let Some(counter) = self.counter((place, rule), subject, now) else {
                continue;
            };
            let level = counter.window.add(amount, rule.rate, now);
            if level.saturating_mul(2) >= rule.rate.most {
                noted.push(Noted {
                    key,
                    level,
                    within: rule.rate.within,
                });
            }
            if level > rule.rate.most || (bad && level == rule.rate.most) {
                let opens = counter.window.opens(1, rule.rate, now);
                over.get_or_insert(Over {
                    rule,
                    opens,
                    first: true,
                });
            }
        }
        (noted, over)
    }

    /// Forgets what was counted of an address.
    pub(super) fn forget(&mut self, address: IpAddr) {
        for place in 0..self.rules.len() {
            let key = (place, Subject::Address(peer_group(address)));
            if let Some(counter) = self.counts.find(&key) {
                *counter = Counter::default();
            }
        }
    }

    /// Takes up a count that was written down.
    pub(super) fn restore(&mut self, key: &str, level: u64, now: Monotonic) {
        let mut rules = self.rules.iter().copied().enumerate();
        let found = rules.find_map(|(place, rule)| {
            let subject = read(rule, key)?;
            Some(((place, rule), subject))
        });
        if let Some((rule, subject)) = found
            && let Some(counter) = self.counter(rule, subject, now)
        {
            counter.window = Window::with(level, now);
        }
    }

    fn of(&self, counted: Counted) -> impl Iterator<Item = (usize, Rule)> {
        let rules = self.rules.iter().copied().enumerate();
        rules.filter(move |(_, rule)| rule.counted == counted)
    }

    fn counter(
        &mut self,
        (place, rule): (usize, Rule),
        subject: Subject,
        now: Monotonic,
    ) -> Option<&mut Counter> {
        let guilt = move |counter: &mut Counter| light(&mut counter.window, rule.rate, now);
        self.counts
            .entry(&(place, subject), Counter::default, guilt)
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
