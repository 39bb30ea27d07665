//! STATUS (RFC 3501 section 6.3.10).

use mailcore::mailbox::{MailboxName, MailboxStatus};

use super::{Started, failure};
use crate::codec::{Cursor, ParseError};
use crate::session::{Answer, Context, Question};
use crate::types::StatusItem;
use crate::wording::Status;

/// `status = "STATUS" SP mailbox SP "(" status-att *(SP status-att) ")"`
pub(super) fn start(cursor: &mut Cursor<'_>, cx: &mut Context) -> Result<Started, ParseError> {
    cursor.space()?;
    let name = cursor.mailbox()?;
    cursor.space()?;
    let items = items(cursor)?;
    cursor.end()?;
    if items.contains(&StatusItem::HighestModSeq) {
        cx.enable_condstore();
    }
    Started::ask(
        Question::Status(name.clone()),
        move |cx, answer| match answer {
            Answer::Status(status) => {
                respond(cx, &name, &items, &status);
                Status::ok("STATUS completed")
            }
            other => failure(&other),
        },
    )
}

pub(super) fn items(cursor: &mut Cursor<'_>) -> Result<Vec<StatusItem>, ParseError> {
    cursor.expect(b'(', "a list of STATUS items")?;
    let mut items = Vec::new();
    loop {
        let item = StatusItem::parse(cursor.atom()?.as_bytes())
            .ok_or(ParseError::Expected("a STATUS item"))?;
        if !items.contains(&item) {
            items.push(item);
        }
        if cursor.eat(b')') {
            return Ok(items);
        }
        cursor.space()?;
    }
}

/// `"STATUS" SP mailbox SP "(" [status-att-list] ")"`
pub(crate) fn respond(
    cx: &mut Context,
    name: &MailboxName,
    items: &[StatusItem],
    status: &MailboxStatus,
) {
    let append_limit = cx.config.append_limit;
    let keeps_modseq = cx.abilities.mod_seq;
    let mut out = cx.out.encoder();
    out.raw("* STATUS ").mailbox(name).raw(" (");
    for (i, item) in items.iter().enumerate() {
        out.raw(if i > 0 { " " } else { "" })
            .raw(item.as_str())
            .raw(" ");
        let number = match item {
            StatusItem::Messages => u64::from(status.messages),
            // Only a session that selects the mailbox can tell, by claiming.
            StatusItem::Recent => 0,
            // A full mailbox has no next UID and the grammar no word for that.
            StatusItem::UidNext => status
                .uid_next
                .map_or(u64::from(u32::MAX), |uid| u64::from(uid.value())),
            StatusItem::UidValidity => u64::from(status.uid_validity.value()),
            StatusItem::Unseen => u64::from(status.unseen),
            StatusItem::Deleted => u64::from(status.deleted),
            StatusItem::Size => status.size,
            // 0 says that the store keeps none (RFC 7162 section 3.1.7).
            StatusItem::HighestModSeq if !keeps_modseq => 0,
            StatusItem::HighestModSeq => status.highest_modseq.value(),
            // One for all mailboxes (RFC 7889 section 2).
            StatusItem::AppendLimit => append_limit,
            StatusItem::MailboxId => {
                out.raw("(").display(status.id).raw(")");
                continue;
            }
        };
        out.number(number);
    }
    out.raw(")\r\n");
}
