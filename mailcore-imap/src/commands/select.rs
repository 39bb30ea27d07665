//! SELECT (RFC 9051 section 6.3.2, RFC 3501 section 6.3.1), and EXAMINE's
//! common part.

use mailcore::mailbox::MailboxName;

use super::list::renamed;
use super::{Started, failure};
use crate::codec::{Cursor, ParseError};
use crate::render::message::write_flags_list;
use crate::session::{Access, Answer, Context, Opened, Question, Selected, write_counts};
use crate::types::ResponseCode;
use crate::view::View;
use crate::wording::Status;

/// `select = "SELECT" SP mailbox`
pub(super) fn start(cursor: &mut Cursor<'_>, cx: &mut Context) -> Result<Started, ParseError> {
    begin(cursor, cx, Access::ReadWrite)
}

/// Leaves the mailbox selected now, even when the next can't be opened.
pub(super) fn begin(
    cursor: &mut Cursor<'_>,
    cx: &mut Context,
    access: Access,
) -> Result<Started, ParseError> {
    cursor.space()?;
    let (name, given) = cursor.mailbox_as_given()?;
    let condstore = parameters(cursor)?;
    cursor.end()?;
    if condstore {
        cx.enable_condstore();
    }
    if cx.state.selected().is_some() && cx.revision().tells_closed(cx.enabled) {
        // Before anything that is about the next mailbox.
        cx.out
            .untagged_ok(&ResponseCode::Closed, "Previous mailbox is closed");
    }
    cx.state.select(None);
    let question = Question::Open {
        name: name.clone(),
        access,
        known: None,
    };
    Started::ask(question, move |cx, answer| match answer {
        Answer::Opened(opened) => {
            let code = select(cx, &name, given.as_deref(), &opened);
            match access {
                Access::ReadWrite => Status::ok("SELECT completed").with(code),
                Access::ReadOnly => Status::ok("EXAMINE completed").with(code),
            }
        }
        other => failure(&other),
    })
}

/// `select-param = SP "(" "CONDSTORE" ")"` (RFC 7162 section 3.1.8); true when it
/// is there.
fn parameters(cursor: &mut Cursor<'_>) -> Result<bool, ParseError> {
    if !cursor.eat(b' ') {
        return Ok(false);
    }
    cursor.expect(b'(', "parameters")?;
    if !cursor.eat_word("CONDSTORE") {
        return Err(ParseError::Expected("CONDSTORE"));
    }
    cursor.expect(b')', "the end of the parameters")?;
    Ok(true)
}

/// Tells what is in the mailbox; the code says what may be done with it.
fn select(
    cx: &mut Context,
    name: &MailboxName,
    given: Option<&str>,
    opened: &Opened,
) -> ResponseCode {
    let revision = cx.revision();
    let access = opened.access;
    let status = &opened.status;
    let mut view = View::new(&opened.uids);
    if let Some(from) = opened.recent_from.filter(|_| revision.tells_recent()) {
        view.claim_recent(from);
    }
    let uid_next = match (view.last_uid(), status.uid_next) {
        (Some(last), Some(next)) if next <= last => last.next(),
        (_, next) => next,
    };
    let first_unseen = opened.first_unseen.and_then(|uid| view.seq(uid));
    let selected = Box::new(Selected::new(access, view, status.highest_modseq));
    let mut out = cx.out.encoder();
    write_flags_list(&mut out, &selected);
    write_counts(&mut out, &selected, revision);
    out.raw(match access {
        Access::ReadWrite => {
            "* OK [PERMANENTFLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft \\*)] Flags are kept\r\n"
        }
        Access::ReadOnly => "* OK [PERMANENTFLAGS ()] No flags are kept\r\n",
    });
    if let Some(seq) = first_unseen.filter(|_| revision.tells_unseen()) {
        cx.out
            .untagged_ok(&ResponseCode::Unseen(seq), "First unseen message");
    }
    cx.out.untagged_ok(
        &ResponseCode::UidValidity(status.uid_validity),
        "UIDs are valid",
    );
    if let Some(next) = uid_next {
        cx.out
            .untagged_ok(&ResponseCode::UidNext(next), "Predicted next UID");
    }
    let modseq = match cx.abilities.mod_seq {
        true => ResponseCode::HighestModSeq(status.highest_modseq),
        false => ResponseCode::NoModSeq,
    };
    cx.out.untagged_ok(&modseq, "Highest ModSeq");
    if revision.lists_selected() {
        renamed::tell(cx, name, given);
    }
    cx.state.select(Some(selected));
    match access {
        Access::ReadWrite => ResponseCode::ReadWrite,
        Access::ReadOnly => ResponseCode::ReadOnly,
    }
}
