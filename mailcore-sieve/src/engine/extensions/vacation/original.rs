//! The message that is answered, as far as an answer needs it.

use crate::engine::Mail;
use crate::engine::correspondent::{OwnAddresses, names_recipients, wants_no_answer};
use crate::engine::mime::header::unfold;
use crate::engine::run::Header;

/// Octets of the subject that an answer repeats.
const MOST_SUBJECT: usize = 200;
/// Ids that an answer refers to: the thread's first, and the last ones.
const MOST_REFERENCES: usize = 20;

/// A message that may be answered.
#[derive(Debug, Default)]
pub(super) struct Original {
    /// Its subject, decoded.
    pub(super) subject: String,
    /// Its id, `<id>`.
    pub(super) message_id: Option<String>,
    /// The ids that an answer refers to, its own being the last (RFC 5322 section
    /// 3.6.4).
    pub(super) references: Vec<String>,
}

impl Original {
    /// The message; `None` where it is not written to one of these addresses
    /// (RFC 5230 section 4.5), or wants no answer (section 4.6).
    pub(super) fn read(mail: &dyn Mail, header: &[u8], own: &OwnAddresses) -> Option<Self> {
        let mut original = Self::default();
        let mut replied = Vec::new();
        let mut to_owner = false;
        for field in Header::split(header).fields {
            let value = unfold(&field.raw);
            let text = String::from_utf8_lossy(&value);
            if wants_no_answer(&field.name, &text) {
                return None;
            }
            if !to_owner && names_recipients(&field.name) {
                let mut named = mail.addresses(&value).into_iter();
                to_owner = named.any(|address| own.contains(&address));
            } else if field.is("subject") && original.subject.is_empty() {
                original.subject = shortened(&mail.text(&value));
            } else if field.is("message-id") && original.message_id.is_none() {
                original.message_id = ids(&text).pop();
            } else if field.is("references") {
                original.references = ids(&text);
            } else if field.is("in-reply-to") {
                replied = ids(&text);
            }
        }
        // Where more than one is named it is not clear which one is answered.
        if original.references.is_empty() && replied.len() == 1 {
            original.references = replied;
        }
        original.references.extend(original.message_id.clone());
        let over = original.references.len().saturating_sub(MOST_REFERENCES);
        original.references.drain(over.min(1)..over.min(1) + over);
        to_owner.then_some(original)
    }
}

fn shortened(subject: &str) -> String {
    let line = super::one_line(subject);
    match line.char_indices().find(|(at, _)| *at >= MOST_SUBJECT) {
        Some((at, _)) => format!("{}...", line.get(..at).unwrap_or_default()),
        None => line,
    }
}

/// The message ids of a text.
fn ids(text: &str) -> Vec<String> {
    let whole = |id: &&str| {
        let inner = id.trim_matches(['<', '>']);
        id.starts_with('<') && id.ends_with('>') && !inner.is_empty() && id.len() < 1_000
    };
    text.split_inclusive('>')
        .filter_map(|part| part.find('<').and_then(|at| part.get(at..)))
        .filter(whole)
        .filter(|id| id.bytes().all(|octet| octet.is_ascii_graphic()))
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_from_any_text() {
        assert_eq!(ids("<a@b> (x) <c@d>"), ["<a@b>", "<c@d>"]);
        assert_eq!(ids("<a b@c> <> none <d"), [] as [&str; 0]);
    }
}
