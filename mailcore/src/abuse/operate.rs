//! What operators do: ban, lift bans, allow, list.

use super::ban::ALLOWED;
use super::{Ban, BanError, Limiter};
use crate::batch::StateChange;
use crate::net::Network;
use crate::seams::StateKey;

impl Limiter {
    /// Those who are banned now, whose time ends first before the others.
    pub fn banned(&self) -> Vec<Ban> {
        self.bans().list(self.seams.clock.now())
    }

    /// Those who are never banned.
    pub fn allowed(&self) -> Vec<Network> {
        self.bans().allowed()
    }

    /// Bans; durable when this returns. Sessions end within a few seconds where
    /// the ban is from everything.
    ///
    /// # Errors
    /// [`BanError`]: nobody is banned.
    pub async fn ban(&self, ban: Ban) -> Result<(), BanError> {
        let change = StateChange::Put {
            key: Ban::key(&ban.who),
            value: ban.encode(),
            expires: ban.until,
        };
        // A rule's ban that waits to be written would take this one's place.
        self.kept.forget(&Ban::key(&ban.who));
        self.change(change).await?;
        let who = ban.who;
        self.bans_mut().put(ban);
        self.living.tell(&who);
        Ok(())
    }

    /// Lifts a ban, and forgets what led to it; false when there is none.
    ///
    /// # Errors
    /// [`BanError`]: the ban holds on.
    pub async fn unban(&self, who: &Network) -> Result<bool, BanError> {
        let key = Ban::key(who);
        self.kept.forget(&key);
        self.change(StateChange::Remove { key }).await?;
        self.pardon(who.address());
        Ok(self.bans_mut().lift(who))
    }

    /// Never bans this network, nor counts what it does.
    ///
    /// # Errors
    /// [`BanError`]: it is as it was.
    pub async fn allow(&self, who: Network) -> Result<(), BanError> {
        let change = StateChange::Put {
            key: StateKey::new(ALLOWED, &who.to_string()),
            value: Vec::new(),
            expires: None,
        };
        self.change(change).await?;
        self.bans_mut().allow(who);
        Ok(())
    }

    /// Counts it again; false when it was not allowed.
    ///
    /// # Errors
    /// [`BanError`]: it is as it was.
    pub async fn disallow(&self, who: &Network) -> Result<bool, BanError> {
        let key = StateKey::new(ALLOWED, &who.to_string());
        self.change(StateChange::Remove { key }).await?;
        Ok(self.bans_mut().disallow(who))
    }

    async fn change(&self, change: StateChange) -> Result<(), BanError> {
        if let Some(state) = &self.seams.state {
            state.change(vec![change]).await?;
        }
        Ok(())
    }
}
