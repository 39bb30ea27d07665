//! Bringing removed messages back, and giving them up.

use std::collections::{BTreeMap, BTreeSet};

use mailcore::account::AccountId;
use mailcore::event::EventName;
use mailcore::mailbox::{MailboxId, MailboxName, ModSeq, SystemFlag, Uid, UidSet};
use mailcore::seams::{Appended, QuotaLimit, QuotaUsage, RemovedId, StoreError};

use super::{FULL, MAX_MAILBOXES, MailboxState, Refusal, Sequencer};
use crate::embedded::index::read;
use crate::embedded::index::removed::{RemovedRow, removed_by_id};
use crate::embedded::record::{Effect, Filed};

/// Where a message is brought back to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Target {
    There(u64),
    /// To be made.
    Missing(MailboxName),
}

impl Sequencer<'_> {
    /// Brings removed messages back, all or none.
    pub(crate) fn restore(
        &mut self,
        account: &AccountId,
        messages: &[RemovedId],
        into: Option<&MailboxName>,
        quota: QuotaLimit,
    ) -> Result<Vec<Appended>, Refusal> {
        self.within_limit(messages.len() as u64)?;
        let rows = self.removed_rows(account, messages)?;
        let more = rows.iter().map(|it| it.message.usage()).sum();
        self.within_quota(account.as_str(), quota, (more, QuotaUsage::default()))?;
        let mut targets = Vec::with_capacity(rows.len());
        for row in &rows {
            targets.push(self.restore_target(account, row, into)?);
        }
        self.check_targets(account, &targets)?;
        // From here on nothing is refused any more.
        let mut states = BTreeMap::new();
        for target in targets.iter().collect::<BTreeSet<_>>() {
            states.insert(target, self.restore_state(account, target)?);
        }
        let mut done = Vec::with_capacity(rows.len());
        for (row, target) in rows.iter().zip(&targets) {
            let state = states.get_mut(target).ok_or(StoreError::NotFound)?;
            done.push(self.refile(row, state)?);
        }
        self.forget(messages)?;
        for (_, state) in states {
            let here = done.iter().filter(|it| it.mailbox.0 == state.id);
            let uids: UidSet = here.map(|it| it.uid).collect();
            let event = self.mailbox_event(EventName::MessageRestore, &state);
            self.uids_event(&event, &uids)?;
        }
        Ok(done)
    }

    fn removed_rows(
        &self,
        account: &AccountId,
        messages: &[RemovedId],
    ) -> Result<Vec<RemovedRow>, Refusal> {
        let until = self.shared.removed_until();
        let mut asked = BTreeSet::new();
        let mut rows = Vec::with_capacity(messages.len());
        for id in messages {
            let row = removed_by_id(self.index.connection(), account.as_str(), *id, until)?;
            match row.filter(|_| asked.insert(*id)) {
                Some(row) => rows.push(row),
                None => return Err(StoreError::NotFound.into()),
            }
        }
        Ok(rows)
    }

    fn restore_target(
        &mut self,
        account: &AccountId,
        row: &RemovedRow,
        into: Option<&MailboxName>,
    ) -> Result<Target, Refusal> {
        let name = match into {
            Some(name) => name.clone(),
            None => {
                if let Some(state) = self.index.mailbox(row.id.mailbox.0)? {
                    return Ok(Target::There(state.id));
                }
                MailboxName::parse(&row.name).unwrap_or_else(|_| MailboxName::inbox())
            }
        };
        Ok(match self.mailbox_named(account, name.as_str())? {
            Some(state) => Target::There(state.id),
            None => Target::Missing(name),
        })
    }

    /// Whether the mailboxes have room, and the account for new ones.
    fn check_targets(&mut self, account: &AccountId, targets: &[Target]) -> Result<(), Refusal> {
        let mut missing = BTreeSet::new();
        let mut counts = BTreeMap::new();
        for target in targets {
            match target {
                Target::There(id) => *counts.entry(*id).or_insert(0usize) += 1,
                Target::Missing(name) => {
                    missing.extend(std::iter::successors(
                        Some(name.clone()),
                        MailboxName::parent,
                    ));
                }
            }
        }
        for (id, count) in counts {
            let state = self.mailbox(id)?;
            self.room(&state, count)?;
        }
        let there = read::mailboxes_of(self.index.connection(), account.as_str())?.len();
        match !missing.is_empty() && there + missing.len() > MAX_MAILBOXES {
            true => Err(StoreError::Limit("mailboxes of an account").into()),
            false => Ok(()),
        }
    }

    fn restore_state(
        &mut self,
        account: &AccountId,
        target: &Target,
    ) -> Result<MailboxState, Refusal> {
        let name = match target {
            Target::There(id) => return self.mailbox(*id),
            Target::Missing(name) => name,
        };
        if name.is_inbox() {
            return self.inbox(account);
        }
        self.create_parents(account, name)?;
        // It may have been made as the parent of another.
        match self.mailbox_named(account, name.as_str())? {
            Some(state) => Ok(state),
            None => self.make(account, name, None),
        }
    }

    /// Files a removed message under the next UID; `state` is the mailbox as it
    /// was before this change, but for its next UID.
    fn refile(&mut self, row: &RemovedRow, state: &mut MailboxState) -> Result<Appended, Refusal> {
        let info = &row.message.info;
        let uid = u32::try_from(state.uid_next).ok().and_then(Uid::new);
        let uid = uid.ok_or(FULL)?;
        let modseq = ModSeq::new(state.modseq + 1).ok_or(FULL)?;
        let mut flags = info.flags.clone();
        flags.remove(SystemFlag::Deleted);
        self.emit(Effect::File(Filed {
            mailbox: state.id,
            uid: uid.value(),
            modseq: modseq.value(),
            content: row.message.content,
            flags,
            size: info.size,
            internal_date: info.internal_date.millis(),
            save_date: self.now.millis(),
            email_id: info.email_id.0,
            thread: info.thread_id.map(|it| it.0),
            thread_key: None,
        }))?;
        state.uid_next += 1;
        Ok(Appended {
            mailbox: MailboxId(state.id),
            uid_validity: state.uid_validity,
            uid,
            modseq,
        })
    }

    /// Gives removed messages up; how many there were.
    pub(crate) fn purge(
        &mut self,
        account: &AccountId,
        messages: &[RemovedId],
    ) -> Result<u64, Refusal> {
        self.within_limit(messages.len() as u64)?;
        let mut there = BTreeSet::new();
        for id in messages {
            let conn = self.index.connection();
            if removed_by_id(conn, account.as_str(), *id, i64::MIN)?.is_some() {
                there.insert(*id);
            }
        }
        let there: Vec<RemovedId> = there.into_iter().collect();
        self.forget(&there)?;
        Ok(there.len() as u64)
    }

    fn forget(&mut self, messages: &[RemovedId]) -> Result<(), Refusal> {
        let mut by_mailbox: BTreeMap<u64, Vec<Uid>> = BTreeMap::new();
        for id in messages {
            by_mailbox.entry(id.mailbox.0).or_default().push(id.uid);
        }
        for (mailbox, uids) in by_mailbox {
            let uids: UidSet = uids.into_iter().collect();
            let uids = uids
                .ranges()
                .map(|(first, last)| (first.value(), last.value()))
                .collect();
            self.emit(Effect::Forget { mailbox, uids })?;
        }
        Ok(())
    }
}
