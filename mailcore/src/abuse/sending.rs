//! How much somebody may send: the questions of the mail path, and what is done
//! about an account that sends too much.

use std::sync::Arc;
use std::time::Duration;

use super::rules::{Added, Counts, Over};
use super::{Consequence, Counted, Limiter, Rule, Sender};
use crate::account::{AccountId, Identity};
use crate::event::EventName;
use crate::seams::{AccountChange, DirectoryError};
use crate::time::Monotonic;

/// What somebody is about to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Load {
    /// Messages.
    pub messages: u64,
    /// Recipients of theirs.
    pub recipients: u64,
    /// Octets.
    pub octets: u64,
}

/// It is too much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Excess {
    /// The rule that says so.
    pub rule: Rule,
    /// How many there would have been with it.
    pub count: u64,
    /// How long until it will be fine; `None` for never.
    pub wait: Option<Duration>,
    /// Nobody was told of it yet: it has just begun.
    pub first: bool,
}

impl Load {
    fn each(self) -> [(Counted, u64); 3] {
        [
            (Counted::Messages, self.messages),
            (Counted::Recipients, self.recipients),
            (Counted::Octets, self.octets),
        ]
    }

    fn over(self, counts: &mut Counts, sender: &Sender<'_>, now: Monotonic) -> Option<Over> {
        let mut some = self.each().into_iter().filter(|(_, amount)| *amount > 0);
        some.find_map(|(counted, amount)| counts.over(counted, sender, amount, now))
    }

    fn count(self, counts: &mut Counts, sender: &Sender<'_>, now: Monotonic) -> Vec<Added> {
        let some = self.each().into_iter().filter(|(_, amount)| *amount > 0);
        some.map(|(counted, amount)| counts.add(counted, sender, amount, now))
            .collect()
    }
}

impl Limiter {
    /// Whether a load may come. Nothing is counted yet.
    ///
    /// # Errors
    /// [`Excess`], told of and acted on: what is left is to refuse.
    pub fn may_send(self: &Arc<Self>, sender: &Sender<'_>, load: Load) -> Result<(), Excess> {
        if self.sends_freely(sender) {
            return Ok(());
        }
        let now = self.seams.clock.monotonic();
        let over = load.over(&mut self.counts(), sender, now);
        self.allow_unless(over, sender, now)
    }

    /// Counts a load that comes, if it may: at once, so that sessions beside one
    /// another send no more than one would.
    ///
    /// # Errors
    /// As for [`Limiter::may_send`]: nothing is counted.
    pub fn begin_to_send(self: &Arc<Self>, sender: &Sender<'_>, load: Load) -> Result<(), Excess> {
        if self.sends_freely(sender) {
            return Ok(());
        }
        let now = self.seams.clock.monotonic();
        let (over, counted) = {
            let mut counts = self.counts();
            match load.over(&mut counts, sender, now) {
                None => (None, load.count(&mut counts, sender, now)),
                over => (over, Vec::new()),
            }
        };
        counted.into_iter().for_each(|it| self.note(it, sender));
        self.allow_unless(over, sender, now)
    }

    fn allow_unless(
        self: &Arc<Self>,
        over: Option<Over>,
        sender: &Sender<'_>,
        now: Monotonic,
    ) -> Result<(), Excess> {
        let Some(over) = over else {
            return Ok(());
        };
        let excess = Excess {
            rule: over.rule,
            count: over.count,
            wait: over.opens.map(|opens| opens.since(now)),
            first: over.first,
        };
        self.act(sender, &excess);
        Err(excess)
    }

    fn sends_freely(&self, sender: &Sender<'_>) -> bool {
        if sender.identity.is_some_and(|it| self.is_exempt_sender(it)) {
            return true;
        }
        sender.peer.is_some_and(|peer| self.is_exempt(peer))
    }

    fn is_exempt_sender(&self, identity: &Identity) -> bool {
        let login = identity.login.as_ref();
        let local_part = login.rsplit_once('@').map_or(login, |(local, _)| local);
        let config = self.config();
        let mut exempt = config.exempt_senders.iter();
        exempt.any(|it| it.eq_ignore_ascii_case(login) || it.eq_ignore_ascii_case(local_part))
    }

    fn act(self: &Arc<Self>, sender: &Sender<'_>, excess: &Excess) {
        if !excess.first {
            return;
        }
        let Rule {
            counted,
            rate,
            consequence,
            ..
        } = excess.rule;
        let account = sender.identity.map(|it| it.account.clone());
        tracing::warn!(
            account = account.as_ref().map(tracing::field::display),
            peer = sender.peer.map(tracing::field::display),
            %counted,
            count = excess.count,
            most = rate.most,
            seconds = rate.within.as_secs(),
            %consequence,
            "more is sent than may be"
        );
        if let Some(mut event) = self.seams.recorder.event(EventName::SendingLimited) {
            event.account.clone_from(&account);
            let mut event = event
                .with("counted", counted)
                .with("count", excess.count)
                .with("most", rate.most)
                .with("seconds", rate.within.as_secs())
                .with("consequence", consequence)
                .with("protocol", sender.protocol);
            if let Some(wait) = excess.wait {
                let until = self.seams.clock.now().after(wait);
                event = event.with("until", until.millis());
            }
            if let Some(identity) = sender.identity {
                event = event.with("login", &identity.login);
            }
            if let Some(peer) = sender.peer {
                event = event.with("peer", peer.to_canonical());
            }
            self.seams.recorder.record(event);
        }
        match (consequence, account, sender.peer) {
            (Consequence::CloseAccount, Some(account), _) => {
                let this = Arc::clone(self);
                tokio::spawn(async move { this.close_account(&account).await });
            }
            (Consequence::Ban, _, Some(peer)) => self.ban_for_excess(peer, &excess.rule),
            _ => {}
        }
    }

    async fn close_account(&self, account: &AccountId) {
        match self.try_close(account).await {
            Ok(()) => {
                tracing::warn!(%account, "the account is closed: it sent too much");
                self.end_sessions(account);
            }
            Err(error) => tracing::error!(%account, %error, "can't close the account"),
        }
    }

    async fn try_close(&self, account: &AccountId) -> Result<(), DirectoryError> {
        let missing = || DirectoryError::Unsupported("close accounts; see Builder::account_closer");
        let directory = self.seams.directory.as_ref().ok_or_else(missing)?;
        let administration = directory.administration().ok_or_else(missing)?;
        let Some(record) = directory.account(account).await? else {
            return Ok(());
        };
        let change = AccountChange {
            enabled: Some(false),
            ..AccountChange::default()
        };
        administration
            .change_account(&record.address, &change)
            .await
            .map(drop)
    }
}
