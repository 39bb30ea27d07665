//! The notice that mail has come (RFC 5436 section 2.7).

use mailcore::address::{Address, ReversePath};

use super::{LetterError, Letterhead, Trigger, Written, address, sender, thread, with_text};
use crate::engine::{Importance, Mailto, Notify};

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
    let (to, cc) = (addresses(&mailto.to)?, addresses(&mailto.cc)?);
    let mut recipients: Vec<Address> = Vec::new();
    for address in to.iter().chain(&cc).chain(&addresses(&mailto.bcc)?) {
        if !recipients
            .iter()
            .any(|known| known.folded() == address.folded())
        {
            recipients.push(address.clone());
        }
    }
    let mut header = head.open((&name, &from), &to);
    if !cc.is_empty() {
        header.addresses("Cc", cc.iter().map(|cc| ("", cc)));
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
    let sets = |name: &str| {
        mailto
            .fields
            .iter()
            .any(|(set, _)| set.eq_ignore_ascii_case(name))
    };
    match notice.importance {
        _ if sets("Importance") => &mut header,
        Importance::High => header.structured("Importance", "high"),
        Importance::Normal => &mut header,
        Importance::Low => header.structured("Importance", "low"),
    };
    for (name, value) in mailto.fields.iter().filter(|(name, _)| !is_written(name)) {
        header.text(name, value);
    }
    let text = mailto.body.clone().unwrap_or_else(|| excerpt(trigger));
    Ok(Written {
        // A bounce of a notice about a bounce would come here again.
        reverse_path: match trigger.reverse_path.is_null() {
            true => ReversePath::Null,
            false => ReversePath::Address(owner.clone()),
        },
        recipients,
        message: with_text(header, &text),
    })
}

/// Addresses of SMTP's form.
fn addresses(list: &[String]) -> Result<Vec<Address>, LetterError> {
    list.iter().map(|text| address(text)).collect()
}

/// True for fields that the notice has already.
fn is_written(name: &str) -> bool {
    let threads = ["References", "In-Reply-To"];
    threads
        .iter()
        .any(|written| written.eq_ignore_ascii_case(name))
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
