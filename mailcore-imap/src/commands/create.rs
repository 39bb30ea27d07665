//! CREATE (RFC 9051 section 6.3.4, RFC 3501 section 6.3.3).

use mailcore::mailbox::SpecialUse;

use super::list::renamed;
use super::{Started, failure};
use crate::codec::{Cursor, ParseError};
use crate::session::{Answer, Context, Question, is_announced};
use crate::types::{Capability, ResponseCode};
use crate::wording::Status;

/// `create = "CREATE" SP mailbox [SP "(" "USE" SP "(" use-attr ")" ")"]`
/// (RFC 6154 section 3). A mailbox here has one use at most.
pub(super) fn start(cursor: &mut Cursor<'_>, cx: &mut Context) -> Result<Started, ParseError> {
    cursor.space()?;
    let (name, given) = cursor.mailbox_as_given()?;
    let given = given.filter(|_| cx.revision().tells_oldname());
    let special_use = if cursor.eat(b' ') {
        Some(special_use(cursor)?)
    } else {
        None
    };
    cursor.end()?;
    if special_use.is_some() && !cx.abilities.special_use {
        return Started::done(Status::no(ResponseCode::UseAttr, "Uses are not kept here"));
    }
    Started::ask(
        Question::Create {
            name: name.clone(),
            special_use,
        },
        move |cx, answer| match answer {
            Answer::Created(id) => {
                if given.is_some() {
                    renamed::tell(cx, &name, given.as_deref());
                }
                let status = Status::ok("CREATE completed");
                match is_announced(Capability::ObjectId, cx) {
                    true => status.with(ResponseCode::MailboxId(id)),
                    false => status,
                }
            }
            other => failure(&other),
        },
    )
}

fn special_use(cursor: &mut Cursor<'_>) -> Result<SpecialUse, ParseError> {
    cursor.expect(b'(', "parameters")?;
    if !cursor.eat_word("USE") {
        return Err(ParseError::Expected("USE"));
    }
    cursor.space()?;
    cursor.expect(b'(', "a use")?;
    cursor.expect(b'\\', "a use such as \\Sent")?;
    let name = format!("\\{}", cursor.atom()?);
    let special_use = SpecialUse::parse(&name).ok_or(ParseError::Expected("a known use"))?;
    cursor.expect(b')', "one use")?;
    cursor.expect(b')', "the end of the parameters")?;
    Ok(special_use)
}
