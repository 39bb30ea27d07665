//! What runs when the client changes a mailbox (RFC 6785): looks at what a question
//! changes, and tells the rules once it has.

use std::sync::Arc;

use mailcore::account::AccountId;
use mailcore::envelope::{Envelope, Recipient};
use mailcore::intake::Intake;
use mailcore::mailbox::{Flags, MailboxId, MailboxName, Uid};
use mailcore::seams::{
    Letter, Mailbox, MailboxCause, MailboxChange, MailboxRules, Storage, StoreError,
};

use super::SessionHost;
use super::host::{Answered, log};
use crate::session::{Answer, Question};

/// Messages of one question that rules are told of: a client waits for them. A long
/// command asks several.
const MOST_MESSAGES: usize = 1_000;

/// The rules, and where mail goes that comes of them.
#[derive(Debug, Clone)]
pub(super) struct Ruled {
    pub(super) rules: Arc<dyn MailboxRules>,
    pub(super) intake: Option<Arc<Intake>>,
}

/// What a question is about to change.
enum Foreseen {
    /// The flags of these messages, of which these are their flags so far.
    Flags(MailboxName, Vec<(Uid, Flags)>),
    /// Messages come to this mailbox.
    Copies(MailboxName),
}

/// Messages that were added or changed.
type Changes = Vec<(Uid, Flags)>;

impl SessionHost {
    /// Questions about the open mailbox.
    pub(super) async fn on_mailbox(&mut self, account: &AccountId, question: Question) -> Answered {
        let Some(ruled) = self.ruled.clone() else {
            return self.in_mailbox(account, question).await;
        };
        let foreseen = self.foresee(&ruled, account, &question).await;
        let answer = self.in_mailbox(account, question).await?;
        match (foreseen, &answer) {
            (Some(Foreseen::Flags(name, before)), Answer::Stored(receipt)) => {
                let rows = receipt.messages.iter();
                let changes = rows.filter_map(|row| {
                    let place = before.binary_search_by_key(&row.uid, |it| it.0).ok()?;
                    let flags = difference(&before.get(place)?.1, &row.flags);
                    let is_changed = flags != Flags::NONE && !receipt.modified.contains(row.uid);
                    is_changed.then_some((row.uid, flags))
                });
                let changes = changes.collect();
                self.tell(&ruled, (account, &name), MailboxCause::Flag, changes)
                    .await;
            }
            (Some(Foreseen::Copies(name)), Answer::Copied(receipt)) => {
                let pairs = receipt.pairs.iter();
                let changes = pairs.map(|(_, new)| (*new, Flags::NONE)).collect();
                self.tell(&ruled, (account, &name), MailboxCause::Copy, changes)
                    .await;
            }
            _ => {}
        }
        Ok(answer)
    }

    /// Messages were added to a mailbox.
    pub(super) async fn added(
        &mut self,
        account: &AccountId,
        name: &MailboxName,
        uids: impl Iterator<Item = Uid> + Send,
    ) {
        let Some(ruled) = self.ruled.clone() else {
            return;
        };
        if ruled.rules.concerns(account, name).await {
            let changes = uids.map(|uid| (uid, Flags::NONE)).collect();
            self.tell(&ruled, (account, name), MailboxCause::Append, changes)
                .await;
        }
    }

    /// Mailboxes or their annotations were changed.
    pub(super) fn forget_rules(&self, account: &AccountId) {
        if let Some(ruled) = &self.ruled {
            ruled.rules.forget(account);
        }
    }

    /// None where nothing runs.
    async fn foresee(
        &mut self,
        ruled: &Ruled,
        account: &AccountId,
        question: &Question,
    ) -> Option<Foreseen> {
        match question {
            Question::Store { uids, .. } => {
                let open = self.open.as_ref()?;
                let mailbox = Arc::clone(&open.mailbox);
                let known = (open.name.clone(), open.id);
                let name = name_now(known, &*self.storage, account).await?;
                if !ruled.rules.concerns(account, &name).await {
                    return None;
                }
                let rows = mailbox.messages(uids).await.ok()?;
                let before = rows.into_iter().map(|row| (row.uid, row.flags)).collect();
                Some(Foreseen::Flags(name, before))
            }
            Question::Copy { to, .. } | Question::Move { to, .. } => {
                let concerns = ruled.rules.concerns(account, to).await;
                concerns.then(|| Foreseen::Copies(to.clone()))
            }
            _ => None,
        }
    }

    /// Tells the rules of each message, and sends what comes of it.
    async fn tell(
        &mut self,
        ruled: &Ruled,
        (account, name): (&AccountId, &MailboxName),
        cause: MailboxCause,
        changes: Changes,
    ) {
        if changes.is_empty() {
            return;
        }
        let mailbox = match self.storage.open(account, name).await {
            Ok(mailbox) => mailbox,
            Err(error) => return log(&error),
        };
        if changes.len() > MOST_MESSAGES {
            tracing::warn!(%account, mailbox = %name, "one command changed more messages than scripts run for");
        }
        for (uid, flags) in changes.iter().take(MOST_MESSAGES) {
            let who = (account, &*self.login);
            let place = (name, &*mailbox as &dyn Mailbox);
            let change = MailboxChange::new(who, place, *uid, (cause, flags));
            for letter in ruled.rules.changed(&change).await {
                ruled.send(account, letter).await;
            }
            // A command on many messages must not hold up other sessions.
            tokio::task::yield_now().await;
        }
    }
}

impl Ruled {
    /// Mail of a script is submitted (RFC 6785 section 3.4).
    async fn send(&self, account: &AccountId, letter: Letter) {
        let Some(intake) = &self.intake else {
            return;
        };
        let mut envelope = Envelope::from_sender(letter.reverse_path);
        envelope.recipients = letter.recipients.into_iter().map(Recipient::new).collect();
        if let Err(refusal) = intake.submit(envelope, letter.message).await {
            tracing::warn!(%account, %refusal, "mail of a mailbox's script was refused");
        }
    }
}

/// What the open mailbox is called now: others may have renamed it, and have given
/// its name to another one since. `None` where it is gone.
async fn name_now(
    (name, id): (MailboxName, MailboxId),
    storage: &dyn Storage,
    account: &AccountId,
) -> Option<MailboxName> {
    let named = async {
        let mailbox = storage.open(account, &name).await?;
        Ok::<_, StoreError>(mailbox.status().await?.id)
    };
    if matches!(named.await, Ok(now) if now == id) {
        return Some(name);
    }
    let all = storage.list(account).await.ok()?;
    let found = all.into_iter().find(|it| it.id == Some(id))?;
    Some(found.name)
}

/// The flags that only one has.
fn difference(before: &Flags, after: &Flags) -> Flags {
    let (mut set, mut removed) = (after.clone(), before.clone());
    set.remove_all(before);
    removed.remove_all(after);
    set.add_all(&removed);
    set
}
