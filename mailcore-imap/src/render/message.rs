//! FETCH responses from a message's row, and the FLAGS response.

use mailcore::mailbox::{MessageInfo, SystemFlag, Uid};
use mailcore::message::DateTime;

use crate::codec::Encoder;
use crate::codec::Recent;
use crate::session::{Naming, Selected};
use crate::types::FetchItem;

/// `"*" SP nz-number SP "FETCH" SP "("`, or `"*" SP uniqueid SP "UIDFETCH" SP
/// "("` (RFC 9586 section 3.3). False, and nothing, for a message that is not in
/// the view.
pub(crate) fn begin_fetch(out: &mut Encoder<'_>, selected: &Selected, uid: Uid) -> bool {
    let Some(seq) = selected.view.seq(uid) else {
        return false;
    };
    let (number, name) = match selected.naming {
        Naming::Numbers => (seq.value(), " FETCH ("),
        Naming::Uids => (uid.value(), " UIDFETCH ("),
    };
    out.raw("* ").number(u64::from(number)).raw(name);
    true
}

/// A message's response, of items that need the row alone. Nothing for a message
/// that is not in the view.
pub(crate) fn write_row(
    out: &mut Encoder<'_>,
    selected: &Selected,
    row: &MessageInfo,
    items: &[FetchItem],
) {
    if !begin_fetch(out, selected, row.uid) {
        return;
    }
    for (i, item) in items.iter().enumerate() {
        out.raw(if i > 0 { " " } else { "" });
        write_row_item(out, selected, row, item);
    }
    out.raw(")\r\n");
}

/// One item from the row; nothing for others.
pub(crate) fn write_row_item(
    out: &mut Encoder<'_>,
    selected: &Selected,
    row: &MessageInfo,
    item: &FetchItem,
) {
    match item {
        FetchItem::Uid => out.raw("UID ").number(u64::from(row.uid.value())),
        FetchItem::Flags => {
            let recent = if selected.view.is_recent(row.uid) {
                Recent::Yes
            } else {
                Recent::No
            };
            out.raw("FLAGS ").flags(&row.flags, recent)
        }
        FetchItem::InternalDate => {
            let date = DateTime::utc(row.internal_date).to_imap_octets();
            out.raw("INTERNALDATE \"").octets(&date).raw("\"")
        }
        FetchItem::Size => out.raw("RFC822.SIZE ").number(row.size),
        FetchItem::SaveDate => {
            let date = DateTime::utc(row.save_date).to_imap();
            out.raw("SAVEDATE \"").raw(&date).raw("\"")
        }
        FetchItem::EmailId => out.raw("EMAILID (").display(row.email_id).raw(")"),
        FetchItem::ThreadId => match row.thread_id {
            Some(thread) => out.raw("THREADID (").display(thread).raw(")"),
            None => out.raw("THREADID NIL"),
        },
        FetchItem::ModSeq => out.raw("MODSEQ (").number(row.modseq.value()).raw(")"),
        FetchItem::Envelope
        | FetchItem::Structure
        | FetchItem::ExtendedStructure
        | FetchItem::Body(_)
        | FetchItem::Binary(_) => out,
    };
}

/// `"*" SP "FLAGS" SP flag-list`: the system flags and the keywords that the
/// session has met.
pub(crate) fn write_flags_list(out: &mut Encoder<'_>, selected: &Selected) {
    out.raw("* FLAGS (");
    for (i, flag) in SystemFlag::ALL.into_iter().enumerate() {
        out.raw(if i > 0 { " " } else { "" }).raw(flag.as_str());
    }
    for keyword in selected.known_keywords() {
        out.raw(" ").raw(keyword.as_str());
    }
    out.raw(")\r\n");
}
