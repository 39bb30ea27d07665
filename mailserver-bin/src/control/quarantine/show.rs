//! Messages in quarantine, for people and as JSON.

use mailcore::plan::{QuarantinePlace, Releasable};
use mailcore::quarantine::{QuarantinedMail, QuarantinedRecipient};
use serde_json::{Value, json};

use crate::when;

/// Recipients that a line of the list names.
const NAMED: usize = 3;

fn place(mail: &QuarantinedMail) -> &'static str {
    match mail.place {
        QuarantinePlace::Admin => "admin",
        _ => "user",
    }
}

fn addresses(recipients: &[QuarantinedRecipient]) -> Vec<String> {
    let recipients = recipients.iter();
    recipients.map(|it| it.address.to_string()).collect()
}

/// A line of the list.
pub(super) fn row(mail: &QuarantinedMail) -> Vec<String> {
    let mut to = addresses(&mail.recipients);
    let others = to.len().saturating_sub(NAMED);
    to.truncate(NAMED);
    if others > 0 {
        to.push(format!("and {others} more"));
    }
    vec![
        mail.id.to_string(),
        when::shown(mail.at),
        place(mail).to_owned(),
        format!("{:.1}", mail.score),
        format!("<{}>", mail.from),
        to.join(" "),
        mail.subject.clone().unwrap_or_default(),
    ]
}

/// Everything about a message, for people.
pub(super) fn lines(mail: &QuarantinedMail) -> Vec<String> {
    let mut lines = Vec::new();
    let mut put = |name: &str, value: &dyn std::fmt::Display| {
        lines.push(format!("{name:<13} {value}"));
    };
    put("id", &mail.id);
    put("trace", &mail.trace);
    put("since", &when::shown(mail.at));
    put("place", &place(mail));
    put("reason", &mail.reason);
    if mail.release == Releasable::Never {
        put("release", &"never: it is harmful");
    }
    put("from", &format_args!("<{}>", mail.from));
    for address in addresses(&mail.recipients) {
        put("to", &address);
    }
    if let Some(subject) = &mail.subject {
        put("subject", subject);
    }
    put("size", &format_args!("{} octets", mail.size));
    if let Some(client) = &mail.client {
        let helo = mail.helo.as_deref().unwrap_or("nothing");
        put("client", &format_args!("{client}, calls itself {helo}"));
    }
    if let Some(account) = &mail.sent_by {
        put("sent by", account);
    }
    put("score", &format_args!("{:.1}", mail.score));
    for it in &mail.findings {
        let text = format!(
            "{} {} {} {:+} {}",
            it.stage, it.test, it.result, it.score, it.input
        );
        put("finding", &text.trim_end());
    }
    lines
}

/// Everything about a message. Names and meanings are in `docs/operations.md` and
/// stay; others may be added.
pub(super) fn json(mail: &QuarantinedMail) -> Value {
    let recipients = mail.recipients.iter().map(|it| {
        json!({
            "address": it.address.to_string(),
            "account": it.account.as_ref().map(ToString::to_string),
        })
    });
    let findings = mail.findings.iter().map(|it| {
        json!({
            "stage": it.stage,
            "test": it.test,
            "input": it.input,
            "result": it.result,
            "score": it.score,
        })
    });
    json!({
        "id": mail.id.to_string(),
        "trace": mail.trace.to_string(),
        "at": mail.at.millis(),
        "place": place(mail),
        "release": mail.release == Releasable::Yes,
        "reason": mail.reason,
        "from": mail.from.to_string(),
        "recipients": recipients.collect::<Vec<_>>(),
        "subject": mail.subject,
        "size": mail.size,
        "score": mail.score,
        "findings": findings.collect::<Vec<_>>(),
        "client": mail.client,
        "helo": mail.helo,
        "sent_by": mail.sent_by.as_ref().map(ToString::to_string),
    })
}
