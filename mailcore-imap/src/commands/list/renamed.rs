//! LIST unasked: a name that became another (RFC 9051 section 6.3.9.7).

use mailcore::mailbox::MailboxName;

use crate::session::Context;

/// `"LIST" SP "()" SP DQUOTE "/" DQUOTE SP mailbox ["(" oldname ")"]`; the old
/// name where there is one.
pub(in crate::commands) fn tell(cx: &mut Context, name: &MailboxName, old: Option<&str>) {
    let mut out = cx.out.encoder();
    out.raw("* LIST () \"/\" ").mailbox(name);
    if let Some(old) = old {
        out.raw(" (\"OLDNAME\" (").mailbox_text(old).raw("))");
    }
    out.crlf();
}
