//! QUIT (RFC 1939 sections 5 and 6): the one way into the UPDATE state.

use super::Refusal;
use crate::arguments::Argument;
use crate::session::{Phase, Question, Session};
use crate::wording;

pub(super) fn start(session: &mut Session, argument: Argument<'_>) -> Result<(), Refusal> {
    argument.none()?;
    if let Phase::Transaction(open) = &session.phase {
        session.question = Some(Question::Update {
            deleted: open.maildrop.deleted(),
        });
        session.phase = Phase::Update;
    } else {
        let goodbye = wording::goodbye(session.config.hostname.as_str());
        session.reply(&goodbye);
        session.phase = Phase::Closing;
    }
    Ok(())
}
