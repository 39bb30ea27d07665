//! SELECT (RFC 9051 section 6.3.2, RFC 3501 section 6.3.1), and EXAMINE's
//! common part.

mod resync;

use mailcore::mailbox::MailboxName;

use self::resync::{Knowledge, Parameters};
use super::fetch::Fetch;
use super::list::renamed;
use super::{Progress, Run, Started, failure};
use crate::codec::{Cursor, ParseError};
use crate::render::message::write_flags_list;
use crate::session::{
    Access, Answer, Context, Naming, Opened, Question, Selected, is_announced, write_counts,
};
use crate::types::{Capability, ResponseCode};
use crate::view::View;
use crate::wording::{self, Condition, Status};

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
    let parameters = Parameters::parse(cursor)?;
    cursor.end()?;
    if let Some(refusal) = parameters.refusal(cx) {
        return Started::done(refusal);
    }
    if cx.state.selected().is_some() && cx.revision().tells_closed(cx.abilities) {
        // Before anything that is about the next mailbox.
        cx.out
            .untagged_ok(&ResponseCode::Closed, "Previous mailbox is closed");
    }
    cx.state.select(None);
    if parameters.condstore {
        cx.enable_condstore();
    }
    Started::run(Select {
        name,
        given,
        access,
        knowledge: parameters.resync,
        phase: Phase::Open,
    })
}

/// How far it is.
#[derive(Debug)]
enum Phase {
    Open,
    Opening,
    /// What the client missed is told; then the code.
    Resync(Box<Fetch>, ResponseCode),
}

#[derive(Debug)]
struct Select {
    name: MailboxName,
    given: Option<String>,
    access: Access,
    knowledge: Option<Knowledge>,
    phase: Phase,
}

impl Run for Select {
    fn resume(&mut self, cx: &mut Context, answer: Option<Answer>) -> Progress {
        if let Phase::Resync(..) = self.phase {
            return self.resync(cx, answer);
        }
        match answer {
            Some(Answer::Opened(opened)) => self.opened(cx, &opened),
            Some(other) => Progress::Done(failure(&other).into()),
            None if matches!(self.phase, Phase::Opening) => {
                Progress::Done(wording::server_bug().into())
            }
            None => {
                self.phase = Phase::Opening;
                Progress::Ask(Question::Open {
                    name: self.name.clone(),
                    access: self.access,
                    known: self.knowledge.as_ref().map(|it| it.known),
                })
            }
        }
    }
}

impl Select {
    fn opened(&mut self, cx: &mut Context, opened: &Opened) -> Progress {
        let code = select(cx, &self.name, self.given.as_deref(), opened);
        let missed = cx.state.selected().and_then(|selected| {
            let knowledge = self.knowledge.as_ref()?;
            knowledge.missed(opened, &selected.view)
        });
        match missed {
            Some(missed) => {
                let fetch = Fetch::resync(cx, &missed.vanished, &missed.changed);
                self.phase = Phase::Resync(Box::new(fetch), code);
                self.resync(cx, None)
            }
            None => Progress::Done(self.done(code).into()),
        }
    }

    /// When what was missed can't be told, the mailbox is not selected: the
    /// client would take itself to know all.
    fn resync(&mut self, cx: &mut Context, answer: Option<Answer>) -> Progress {
        let Phase::Resync(fetch, code) = &mut self.phase else {
            return Progress::Done(wording::server_bug().into());
        };
        match fetch.resume(cx, answer) {
            Progress::Done(done) if done.status.condition == Condition::Ok => {
                let code = code.clone();
                Progress::Done(self.done(code).into())
            }
            Progress::Done(done) => {
                cx.state.select(None);
                Progress::Done(done)
            }
            other => other,
        }
    }

    fn done(&self, code: ResponseCode) -> Status {
        match self.access {
            Access::ReadWrite => Status::ok("SELECT completed").with(code),
            Access::ReadOnly => Status::ok("EXAMINE completed").with(code),
        }
    }
}

/// Tells what is in the mailbox; the code says what may be done with it.
fn select(
    cx: &mut Context,
    name: &MailboxName,
    given: Option<&str>,
    opened: &Opened,
) -> ResponseCode {
    let revision = cx.revision();
    // UNSEEN tells a message number (RFC 9586 section 3).
    let numberless = cx.naming() == Naming::Uids;
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
    let mut selected = Box::new(Selected::new(access, view, status.highest_modseq));
    selected.naming = cx.naming();
    selected.id = Some(status.id);
    let mut out = cx.out.encoder();
    write_flags_list(&mut out, &selected);
    write_counts(&mut out, &selected, revision);
    out.raw(match access {
        Access::ReadWrite => {
            "* OK [PERMANENTFLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft \\*)] Flags are kept\r\n"
        }
        Access::ReadOnly => "* OK [PERMANENTFLAGS ()] No flags are kept\r\n",
    });
    if let Some(seq) = first_unseen.filter(|_| revision.tells_unseen() && !numberless) {
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
    if is_announced(Capability::ObjectId, cx) {
        cx.out
            .untagged_ok(&ResponseCode::MailboxId(status.id), "Same after a rename");
    }
    if revision.lists_selected() {
        renamed::tell(cx, name, given);
    }
    cx.state.select(Some(selected));
    match access {
        Access::ReadWrite => ResponseCode::ReadWrite,
        Access::ReadOnly => ResponseCode::ReadOnly,
    }
}
