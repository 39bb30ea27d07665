//! The answer that somebody is away (RFC 5230 section 5).

use mailcore::address::{Address, ReversePath};

use super::body::Part;
use super::{LetterError, Letterhead, Written, address, sender, thread, with_text};
use crate::engine::Vacation;

/// The answer of `owner`'s script. It goes under the null reverse path (RFC 5230
/// section 5.1), so that nothing comes back from an address that does not exist.
///
/// # Errors
/// [`LetterError`]: an address that is none, a MIME part that can't be sent.
pub fn vacation(
    head: &Letterhead<'_>,
    answer: &Vacation,
    owner: &Address,
) -> Result<Written, LetterError> {
    let to = address(&answer.to)?;
    let (name, from) = match answer.from.trim() {
        "" => (String::new(), owner.clone()),
        from => sender(from)?,
    };
    let mut header = head.open((&name, &from), std::slice::from_ref(&to));
    header.text("Subject", &answer.subject);
    thread(
        &mut header,
        answer.in_reply_to.as_deref(),
        answer.references.iter().map(String::as_str),
    );
    header
        // RFC 5230 section 5.6, RFC 3834 section 5.
        .structured("Auto-Submitted", "auto-replied (vacation)");
    let message = match answer.mime {
        true => Part::parse(&answer.reason)?.under(header).into(),
        false => with_text(header, &answer.reason),
    };
    Ok(Written {
        reverse_path: ReversePath::Null,
        recipients: vec![to],
        message,
    })
}
