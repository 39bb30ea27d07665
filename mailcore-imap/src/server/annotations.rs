//! Questions about annotations (RFC 5464).

use std::collections::BTreeSet;

use mailcore::account::AccountId;
use mailcore::mailbox::{EntryName, MailboxName};
use mailcore::seams::{Metadata, Storage, StoreError};

use super::host::{Answered, log};
use crate::session::{Answer, Question};

/// Only its owner is shown a mailbox, who has every right to it.
pub(super) async fn answer(
    storage: &dyn Storage,
    account: &AccountId,
    question: Question,
) -> Answered {
    let metadata = storage.metadata();
    let metadata = metadata.ok_or(StoreError::Unsupported("annotations"))?;
    match question {
        Question::Annotations(mailbox) => {
            let found = metadata.annotations(account, mailbox.as_ref()).await?;
            Ok(Answer::Annotations(found))
        }
        Question::Annotate {
            mailbox,
            changes,
            limit,
        } => annotate(metadata, account, (mailbox, limit), changes).await,
        _ => Err(StoreError::Unsupported("question")),
    }
}

/// Forgets what was noted on mailboxes that are gone. They are gone whatever
/// becomes of that: what is left goes with the next one.
pub(super) async fn tidy(storage: &dyn Storage, account: &AccountId) {
    if let Some(metadata) = storage.metadata()
        && let Err(error) = metadata.tidy(account).await
    {
        log(&error);
    }
}

/// Sets annotations, unless there would be more than `limit`.
async fn annotate(
    metadata: &dyn Metadata,
    account: &AccountId,
    (mailbox, limit): (Option<MailboxName>, usize),
    changes: Vec<(EntryName, Option<Vec<u8>>)>,
) -> Answered {
    let kept = metadata.annotations(account, mailbox.as_ref()).await?;
    let mut entries: BTreeSet<&EntryName> = kept.iter().map(|it| &it.entry).collect();
    let before = entries.len();
    for (entry, value) in &changes {
        match value {
            Some(_) => entries.insert(entry),
            None => entries.remove(entry),
        };
    }
    // Who is over a limit that was lowered may still change what is there.
    if entries.len() > limit.max(before) {
        return Ok(Answer::TooManyAnnotations);
    }
    let mailbox = mailbox.as_ref();
    metadata.annotate(account, mailbox, changes).await?;
    Ok(Answer::Done)
}
