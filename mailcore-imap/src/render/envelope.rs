//! ENVELOPE (RFC 3501 section 7.4.2).

use mailcore::message::{HeaderAddress, HeaderEnvelope};

use crate::codec::Encoder;

/// ```text
/// envelope = "(" env-date SP env-subject SP env-from SP env-sender SP
///            env-reply-to SP env-to SP env-cc SP env-bcc SP
///            env-in-reply-to SP env-message-id ")"
/// ```
pub(crate) fn write_envelope(out: &mut Encoder<'_>, envelope: &HeaderEnvelope) {
    out.raw("(").nstring(envelope.date.as_deref());
    out.raw(" ").nstring(envelope.subject.as_deref());
    let lists = [
        envelope.from.as_slice(),
        envelope.sender_or_from(),
        envelope.reply_to_or_from(),
        &envelope.to,
        &envelope.cc,
        &envelope.bcc,
    ];
    for list in lists {
        out.raw(" ");
        write_addresses(out, list);
    }
    out.raw(" ").nstring(envelope.in_reply_to.as_deref());
    out.raw(" ")
        .nstring(envelope.message_id.as_deref())
        .raw(")");
}

/// `"(" 1*address ")" / nil`
fn write_addresses(out: &mut Encoder<'_>, list: &[HeaderAddress]) {
    if list.is_empty() {
        out.raw("NIL");
        return;
    }
    out.raw("(");
    for address in list {
        // address = "(" addr-name SP addr-adl SP addr-mailbox SP addr-host ")"
        match address {
            HeaderAddress::Mailbox(mailbox) => {
                out.raw("(").nstring(mailbox.name.as_deref());
                out.raw(" ").nstring(mailbox.route.as_deref());
                out.raw(" ").string(&mailbox.local_part);
                // NIL would make a group of an address without a domain.
                out.raw(" ").string(&mailbox.host).raw(")");
            }
            HeaderAddress::GroupStart(name) => {
                out.raw("(NIL NIL ").string(name).raw(" NIL)");
            }
            HeaderAddress::GroupEnd => {
                out.raw("(NIL NIL NIL NIL)");
            }
        }
    }
    out.raw(")");
}
