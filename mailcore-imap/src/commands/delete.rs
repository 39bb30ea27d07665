//! DELETE (RFC 9051 section 6.3.5, RFC 3501 section 6.3.4).

use mailcore::mailbox::MailboxName;
use mailcore::seams::StoreError;

use super::{Progress, Run, Started, failure};
use crate::codec::{Cursor, ParseError};
use crate::session::{Answer, Context, Question};
use crate::types::ResponseCode;
use crate::wording::{self, Status};

/// `delete = "DELETE" SP mailbox`
pub(super) fn start(cursor: &mut Cursor<'_>, cx: &mut Context) -> Result<Started, ParseError> {
    cursor.space()?;
    let name = cursor.mailbox()?;
    cursor.end()?;
    if name.is_inbox() {
        return Started::done(Status::no(ResponseCode::Cannot, "INBOX can't be deleted"));
    }
    if let Some(selected) = cx.state.selected() {
        selected.deletes = true;
    }
    Started::run(Delete {
        name,
        next: Next::Ask,
    })
}

#[derive(Debug)]
struct Delete {
    name: MailboxName,
    next: Next,
}

#[derive(Debug, Clone, Copy)]
enum Next {
    Ask,
    Deleted,
    /// There is no such mailbox; LIST may name it all the same.
    Missing,
}

impl Run for Delete {
    fn resume(&mut self, _cx: &mut Context, answer: Option<Answer>) -> Progress {
        let status = match (self.next, answer) {
            (Next::Ask, _) => {
                self.next = Next::Deleted;
                return Progress::Ask(Question::Delete(self.name.clone()));
            }
            (Next::Deleted, Some(Answer::Done)) => Status::ok("DELETE completed"),
            (Next::Deleted, Some(Answer::Failed(StoreError::NoSuchMailbox))) => {
                self.next = Next::Missing;
                return Progress::Ask(Question::Mailboxes);
            }
            // A name that is there for those below it can't go before them.
            (Next::Missing, Some(Answer::Mailboxes(entries)))
                if entries
                    .iter()
                    .any(|entry| entry.id.is_some() && entry.name.is_below(&self.name)) =>
            {
                Status::no(ResponseCode::HasChildren, "There are mailboxes below it")
            }
            (Next::Missing, Some(_)) => wording::store_failed(&StoreError::NoSuchMailbox),
            (Next::Deleted, Some(other)) => failure(&other),
            (_, None) => wording::server_bug(),
        };
        Progress::Done(status.into())
    }
}
