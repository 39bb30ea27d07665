//! The notice that mail has come (RFC 5436 section 2.7).

use mailcore::address::ReversePath;

use super::{LetterError, Letterhead, Mailto, Trigger, Written, sender, thread, with_text};
use crate::engine::{Importance, Notify};

/// Characters of a sender or subject that a notice repeats.
const MAX_EXCERPT: usize = 200;

/// The notice of a script of `trigger`'s recipient.
///
/// # Errors
/// [`LetterError`]: a method that is not `mailto:`, an address that is none.
pub fn notification(
    head: &Letterhead<'_>,
    notice: &Notify,
    trigger: &Trigger<'_>,
) -> Result<Written, LetterError> {
    let mailto = Mailto::parse(&notice.method)?;
    let owner = trigger.recipient;
    let (name, from) = match &notice.from {
        Some(from) => sender(from)?,
        None => (String::new(), owner.clone()),
    };
    let mut header = head.open((&name, &from), &mailto.to);
    if !mailto.cc.is_empty() {
        header.addresses("Cc", mailto.cc.iter().map(|cc| ("", cc)));
    }
    let subject = notice.message.clone();
    let subject = subject.or_else(|| mailto.subject.clone());
    let subject = subject.or_else(|| trigger.text("Subject"));
    header.text("Subject", &subject.unwrap_or_else(|| "New mail".to_owned()));
    let id = trigger.message_id();
    thread(&mut header, None, id.as_deref().into_iter());
    // The parameter is a quoted string (RFC 5436 section 2.7.1).
    let shown = owner.to_string().replace(['"', '\\'], "");
    header.structured(
        "Auto-Submitted",
        format_args!("auto-notified; owner-email=\"{shown}\""),
    );
    match notice.importance {
        Importance::High => header.structured("Importance", "high"),
        Importance::Normal => &mut header,
        Importance::Low => header.structured("Importance", "low"),
    };
    for (name, value) in &mailto.fields {
        header.text(name, value);
    }
    let text = mailto.body.clone().unwrap_or_else(|| excerpt(trigger));
    Ok(Written {
        // A bounce of a notice about a bounce would come here again.
        reverse_path: match trigger.reverse_path.is_null() {
            true => ReversePath::Null,
            false => ReversePath::Address(owner.clone()),
        },
        recipients: mailto.recipients(),
        message: with_text(header, &text),
    })
}

/// What the notice says where the script does not.
fn excerpt(trigger: &Trigger<'_>) -> String {
    let mut text = format!("New mail for {}\n", trigger.recipient);
    for name in ["From", "Subject"] {
        if let Some(value) = trigger.text(name) {
            let value: String = value.chars().take(MAX_EXCERPT).collect();
            text.push_str(&format!("{name}: {value}\n"));
        }
    }
    text
}
