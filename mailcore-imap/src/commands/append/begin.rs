//! How an APPEND begins: by its whole text when no message comes as a literal,
//! and otherwise by taking the command over from the framer at the first one.

use mailcore::mailbox::MailboxName;

use super::arguments::{self, Place, Stretch};
use super::refuse::{MAX_SKIPPED, give_up};
use super::replace::{self, Purpose};
use super::{Append, Phase};
use crate::codec::framer::Synchronising;
use crate::codec::{Cursor, ParseError};
use crate::commands::{Legal, Started};
use crate::session::Context;
use crate::types::Tag;
use crate::wording;

/// An APPEND without literals that are part of a message: one made of URLs
/// alone, or a syntax error.
pub(in crate::commands) fn start(
    cursor: &mut Cursor<'_>,
    cx: &mut Context,
) -> Result<Started, ParseError> {
    without_literals(cursor, cx, Purpose::Add)
}

pub(super) fn without_literals(
    cursor: &mut Cursor<'_>,
    cx: &mut Context,
    purpose: Purpose,
) -> Result<Started, ParseError> {
    cursor.space()?;
    let mut append = Append::new(cursor.mailbox()?, purpose);
    match arguments::read(cursor, Place::First, append.messages(cx))? {
        Stretch::Last(elements) => {
            append.is_read = true;
            append.elements = elements;
            Started::run(append)
        }
        _ => Err(ParseError::Expected("the message as a literal")),
    }
}

/// Looks whether the announced literal is one of an APPEND's messages, and if so
/// takes the command over from the framer.
pub(crate) fn begin(cx: &mut Context, length: u64, sync: Synchronising) -> Option<(Tag, Started)> {
    if Legal::LoggedIn.refusal(cx).is_some() {
        return None;
    }
    let tag = cx.framer.pending_tag()?;
    let texts = cx.texts();
    let pending = cx.framer.pending().get(tag.as_str().len()..)?.to_vec();
    let mut cursor = Cursor::new(&pending).texts(texts);
    let purpose = cursor
        .eat(b' ')
        .then(|| replace::purpose(&mut cursor, cx))??;
    let (purpose, unfit, wrong) = match purpose {
        Ok(Ok(purpose)) => (purpose, None, None),
        Ok(Err(refusal)) => (Purpose::Add, Some(refusal), None),
        Err(error) => (Purpose::Add, None, Some(error)),
    };
    let is_named = wrong.is_none() && cursor.eat(b' ');
    // A mailbox name as literal is collected like any other.
    if is_named && arguments::is_announcement(cursor.rest()) {
        return None;
    }
    let mut append = Append::new(MailboxName::inbox(), purpose);
    let stretch = match (wrong, is_named) {
        (Some(error), _) => Err(error),
        (None, false) => Err(ParseError::Expected("a mailbox")),
        (None, true) => cursor.mailbox().and_then(|to| {
            append.to = to;
            arguments::read(&mut cursor, Place::First, append.messages(cx))
        }),
    };
    if stretch == Ok(Stretch::Url) {
        return None;
    }
    append.announced = Some((length, sync));
    cx.framer.stream();
    let refusal = match stretch {
        Ok(Stretch::Octets(elements, place)) => {
            append.elements = elements;
            append.place = place;
            unfit.or_else(|| append.refusal(cx))
        }
        Ok(_) => Some(wording::server_bug()),
        Err(error) => Some(wording::unreadable(error)),
    };
    let started = match (refusal, sync) {
        (Some(status), Synchronising::Yes) => Started::Done(status.into()),
        (Some(status), Synchronising::No) if length > MAX_SKIPPED => {
            Started::Done(give_up(cx, status))
        }
        (Some(status), Synchronising::No) => {
            append.left = length;
            append.announced = None;
            append.phase = Phase::Skip(status);
            Started::Run(Box::new(append))
        }
        (None, _) => Started::Run(Box::new(append)),
    };
    Some((tag, started))
}
