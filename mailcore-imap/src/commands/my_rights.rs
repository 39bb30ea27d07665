//! MYRIGHTS (RFC 4314 section 3.5), which LIST returns, too (RFC 8440).

use mailcore::mailbox::{MailboxName, Rights};

use super::{Started, failure};
use crate::codec::{Cursor, Encoder, ParseError};
use crate::session::{Answer, Context, Question};
use crate::wording::Status;

/// `myrights = "MYRIGHTS" SP mailbox`
pub(super) fn start(cursor: &mut Cursor<'_>, _cx: &mut Context) -> Result<Started, ParseError> {
    cursor.space()?;
    let name = cursor.mailbox()?;
    cursor.end()?;
    Started::ask(
        Question::MyRights(name.clone()),
        move |cx, answer| match answer {
            Answer::Rights(rights) => {
                respond(&mut cx.out.encoder(), &name, rights);
                Status::ok("MYRIGHTS completed")
            }
            other => failure(&other),
        },
    )
}

/// `"MYRIGHTS" SP mailbox SP rights`
pub(super) fn respond(out: &mut Encoder<'_>, name: &MailboxName, rights: Rights) {
    out.raw("* MYRIGHTS ")
        .mailbox(name)
        .raw(" ")
        .raw(&rights.with_obsolete())
        .crlf();
}
