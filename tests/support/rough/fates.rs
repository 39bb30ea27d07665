//! [`Fates`]: what became of every recipient.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::host::ScriptedHost;
use super::office::Office;

/// What became of one recipient.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fate {
    /// Copies whose taking the sender was told of.
    pub delivered: usize,
    /// Copies that were taken and whose reply was lost: RFC 5321 section 6.1
    /// leaves no choice but to send again.
    pub untold: usize,
    /// Notices of failure that name it.
    pub returned: usize,
    /// Why it still waits, an entry each.
    pub waiting: Vec<String>,
    /// True when a kill came between delivery and its record.
    pub interrupted: bool,
}

impl Fate {
    /// What is wrong with it, if anything.
    fn problem(&self) -> Option<&'static str> {
        let ends = self.delivered.min(1) + self.returned + self.waiting.len();
        if ends == 0 && self.untold == 0 {
            return Some("lost");
        }
        if ends == 0 {
            return Some("given up though nobody said that it was taken");
        }
        if self.waiting.iter().any(String::is_empty) {
            return Some("waits without a reason");
        }
        let excess = ends + self.delivered.saturating_sub(1) - 1;
        (excess > usize::from(self.interrupted)).then_some("ended more than once")
    }
}

/// What became of everybody.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fates(BTreeMap<String, Fate>);

impl Office {
    /// What became of these recipients of mail from alice, as the hosts, her
    /// mailbox and the queue tell.
    pub async fn fates(
        &self,
        recipients: impl IntoIterator<Item = impl Into<String>>,
        hosts: &[Arc<ScriptedHost>],
    ) -> Fates {
        let recipients = recipients.into_iter();
        let mut fates: BTreeMap<String, Fate> = recipients
            .map(|recipient| (recipient.into(), Fate::default()))
            .collect();
        for taken in hosts.iter().flat_map(|host| host.taken()) {
            for to in &taken.to {
                let Some(fate) = fates.get_mut(to) else {
                    continue;
                };
                match taken.told {
                    true => fate.delivered += 1,
                    false => fate.untold += 1,
                }
            }
        }
        for notice in self.inbox("alice").await {
            for recipient in failed(&notice) {
                if let Some(fate) = fates.get_mut(recipient) {
                    fate.returned += 1;
                }
            }
        }
        for row in self.queue().await {
            for queued in &row.entry.progress.recipients {
                let name = queued.recipient.address.to_string();
                let Some(fate) = fates.get_mut(&name) else {
                    continue;
                };
                let why = queued.last_failure.as_ref();
                let why = why.map_or("not tried yet".to_owned(), |why| why.status.to_string());
                fate.waiting.push(why);
            }
        }
        for name in &self.interrupted {
            if let Some(fate) = fates.get_mut(name) {
                fate.interrupted = true;
            }
        }
        Fates(fates)
    }
}

/// The recipients that a notice says failed (RFC 3464 section 2.3).
fn failed(notice: &str) -> impl Iterator<Item = &str> {
    let groups = notice.split("\r\n\r\n");
    groups.filter_map(|group| {
        let field = |name: &str| group.lines().find_map(|line| line.strip_prefix(name));
        let to = field("Final-Recipient: rfc822; ")?;
        (field("Action: ")? == "failed").then_some(to)
    })
}

impl Fates {
    /// One of them.
    pub fn of(&self, recipient: &str) -> Fate {
        self.0.get(recipient).cloned().unwrap_or_default()
    }

    /// Everyone who was lost, ended more than once, or waits without a reason.
    pub fn problems(&self) -> Vec<String> {
        let all = self.0.iter();
        all.filter_map(|(name, fate)| {
            let problem = fate.problem()?;
            Some(format!("{name}: {problem}: {fate:?}"))
        })
        .collect()
    }

    /// How many were delivered, were returned, and wait.
    pub fn count(&self) -> (usize, usize, usize) {
        let count = |is: fn(&Fate) -> bool| self.0.values().filter(|fate| is(fate)).count();
        (
            count(|fate| fate.delivered > 0),
            count(|fate| fate.returned > 0),
            count(|fate| !fate.waiting.is_empty()),
        )
    }

    /// Copies sent again since a reply was lost or a kill came.
    pub fn again(&self) -> usize {
        let again = |fate: &Fate| (fate.delivered + fate.untold).saturating_sub(1);
        self.0.values().map(again).sum()
    }
}
