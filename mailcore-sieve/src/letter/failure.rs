//! Word to its owner that a script failed (RFC 5228 section 2.10.6).

use mailcore::address::{Address, ReversePath};

use super::{Letterhead, Trigger, Written, with_text};

/// Word of a failure: `reason` names script and line. The mail itself is in the
/// inbox.
pub fn failure(head: &Letterhead<'_>, reason: &str, trigger: &Trigger<'_>) -> Option<Written> {
    let owner = trigger.recipient;
    let postmaster = Address::new("postmaster", head.host()).ok()?;
    let mut header = head.open(
        ("Mail Delivery System", &postmaster),
        std::slice::from_ref(owner),
    );
    header
        .text("Subject", "Your mail filter failed")
        // RFC 3834 section 5: nothing that answers by itself answers this.
        .structured("Auto-Submitted", "auto-generated");
    let text = text(reason, trigger, head);
    Some(Written {
        reverse_path: ReversePath::Null,
        recipients: vec![owner.clone()],
        message: with_text(header, &text),
    })
}

fn text(reason: &str, trigger: &Trigger<'_>, head: &Letterhead<'_>) -> String {
    let mut text = format!(
        "This is the mail server {}.\n\n\
         The filter of {} failed, and a message was kept in the inbox instead:\n\n  {reason}\n\n",
        head.hostname, trigger.recipient
    );
    for name in ["From", "Subject", "Message-ID"] {
        if let Some(value) = trigger.text(name) {
            let value: String = value.chars().take(200).collect();
            text.push_str(&format!("  {name}: {value}\n"));
        }
    }
    text.push_str(
        "\nMail goes on to be kept where the filter fails. Of further failures you \
         are told once a day; correct the script, or have another one active.\n",
    );
    text
}
