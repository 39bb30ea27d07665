//! The header fields that IMAP's ENVELOPE, sorting and threading need:
//! [`HeaderEnvelope`] (RFC 9051 section 7.5.2), [`message_ids`].
//!
//! Values are kept as sent, unfolded; turning them into text for people is
//! [`super::decode`]'s task. The SMTP envelope is [`crate::envelope`].

use super::address_list::{HeaderAddress, HeaderMailbox, parse_addresses};
use super::date::DateTime;
use super::header::{Field, Header};
use super::part::Budget;

/// Message ids kept of a References field: the first, which is the thread's
/// root, and the last ones.
pub const MAX_REFERENCES: usize = 100;

/// A message's own header, as far as lists of messages show it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HeaderEnvelope {
    /// Date, as sent.
    pub date: Option<Vec<u8>>,
    /// Subject, encoded-words not decoded.
    pub subject: Option<Vec<u8>>,
    /// From.
    pub from: Vec<HeaderAddress>,
    /// Sender; see [`HeaderEnvelope::sender_or_from`].
    pub sender: Vec<HeaderAddress>,
    /// Reply-To; see [`HeaderEnvelope::reply_to_or_from`].
    pub reply_to: Vec<HeaderAddress>,
    /// To, all of them where the field is repeated.
    pub to: Vec<HeaderAddress>,
    /// Cc, all of them where the field is repeated.
    pub cc: Vec<HeaderAddress>,
    /// Bcc, all of them where the field is repeated.
    pub bcc: Vec<HeaderAddress>,
    /// In-Reply-To, as sent.
    pub in_reply_to: Option<Vec<u8>>,
    /// Message-ID, as sent.
    pub message_id: Option<Vec<u8>>,
}

impl HeaderEnvelope {
    /// Reads the envelope of `header` within the default limits.
    pub fn parse(header: &Header<'_>) -> Self {
        Self::read(header, &mut Budget::default())
    }

    pub(super) fn read(header: &Header<'_>, budget: &mut Budget) -> Self {
        let mut envelope = Self::default();
        for field in header.fields() {
            envelope.take(&field, budget);
        }
        envelope
    }

    fn take(&mut self, field: &Field<'_>, budget: &mut Budget) {
        // The first letter sorts out nearly every field at once.
        match field.name.first().map(u8::to_ascii_lowercase) {
            Some(b'd') if field.is("Date") => keep_text(&mut self.date, field, budget),
            Some(b's') if field.is("Subject") => keep_text(&mut self.subject, field, budget),
            Some(b'i') if field.is("In-Reply-To") => {
                keep_text(&mut self.in_reply_to, field, budget);
            }
            Some(b'm') if field.is("Message-ID") => keep_text(&mut self.message_id, field, budget),
            Some(b'f') if field.is("From") => keep_first(&mut self.from, field, budget),
            Some(b's') if field.is("Sender") => keep_first(&mut self.sender, field, budget),
            Some(b'r') if field.is("Reply-To") => keep_first(&mut self.reply_to, field, budget),
            Some(b't') if field.is("To") => keep_all(&mut self.to, field, budget),
            Some(b'c') if field.is("Cc") => keep_all(&mut self.cc, field, budget),
            Some(b'b') if field.is("Bcc") => keep_all(&mut self.bcc, field, budget),
            _ => {}
        }
    }

    /// Sender, or From where there is none, as ENVELOPE reports it.
    pub fn sender_or_from(&self) -> &[HeaderAddress] {
        if self.sender.is_empty() {
            &self.from
        } else {
            &self.sender
        }
    }

    /// Reply-To, or From where there is none, as ENVELOPE reports it.
    pub fn reply_to_or_from(&self) -> &[HeaderAddress] {
        if self.reply_to.is_empty() {
            &self.from
        } else {
            &self.reply_to
        }
    }

    /// Date as a moment and a zone; none when it is missing or unreadable.
    pub fn sent(&self) -> Option<DateTime> {
        DateTime::parse(self.date.as_deref()?)
    }

    /// The first address of `list`, as SORT compares it.
    pub fn first_mailbox(list: &[HeaderAddress]) -> Option<&HeaderMailbox> {
        list.iter().find_map(HeaderAddress::mailbox)
    }
}

/// The message ids of References in order, for threading (RFC 5256), at most
/// [`MAX_REFERENCES`]. Brackets are dropped.
pub(super) fn read_references(header: &Header<'_>, budget: &mut Budget) -> Vec<Vec<u8>> {
    let Some(field) = header.first("References") else {
        return Vec::new();
    };
    let value = field.value();
    let ids: Vec<&[u8]> = message_ids(&value).collect();
    let surplus = ids.len().saturating_sub(MAX_REFERENCES);
    let kept = ids
        .iter()
        .enumerate()
        .filter(|(index, _)| *index == 0 || *index > surplus);
    kept.map(|(_, id)| *id)
        .filter(|id| budget.take(id.len()))
        .map(<[u8]>::to_vec)
        .collect()
}

/// The message ids in an unfolded In-Reply-To, References or Message-ID value,
/// without their angle brackets. Text around them is passed over.
pub fn message_ids(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = value;
    std::iter::from_fn(move || {
        loop {
            let open = memchr::memchr(b'<', rest)?;
            rest = rest.get(open + 1..)?;
            let close = memchr::memchr(b'>', rest)?;
            let (id, after) = rest.split_at_checked(close)?;
            rest = after;
            // `<a <b>`: the innermost bracket opens the id.
            let id = id.rsplit(|&octet| octet == b'<').next().unwrap_or_default();
            if !id.is_empty() {
                return Some(id);
            }
        }
    })
}

/// The first field of a name counts.
fn keep_text(slot: &mut Option<Vec<u8>>, field: &Field<'_>, budget: &mut Budget) {
    if slot.is_none() {
        let value = field.value();
        if budget.take(value.len()) {
            *slot = Some(value.into_owned());
        }
    }
}

fn keep_first(slot: &mut Vec<HeaderAddress>, field: &Field<'_>, budget: &mut Budget) {
    if slot.is_empty() {
        keep_all(slot, field, budget);
    }
}

fn keep_all(slot: &mut Vec<HeaderAddress>, field: &Field<'_>, budget: &mut Budget) {
    if budget.addresses > 0 && budget.take(field.raw.len()) {
        let list = parse_addresses(field.raw, budget.addresses);
        budget.addresses = budget.addresses.saturating_sub(list.len());
        slot.extend(list);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sender_and_reply_to_fall_back_to_from() {
        let octets = b"From: a@b.test\r\nTo: c@d.test\r\nTo: e@f.test\r\nSubject: x\r\n y\r\n\r\n";
        let envelope = HeaderEnvelope::parse(&Header::new(octets));
        assert_eq!(envelope.sender_or_from(), envelope.from);
        assert_eq!(envelope.reply_to_or_from().len(), 1);
        assert_eq!(envelope.to.len(), 2);
        assert_eq!(envelope.subject.as_deref(), Some(b"x y".as_slice()));
    }

    #[test]
    fn references_keep_root_and_latest() {
        let ids: Vec<String> = (0..150).map(|index| format!("<{index}@x>")).collect();
        let octets = format!("References: {}\r\n\r\n", ids.join("\r\n "));
        let kept = read_references(&Header::new(octets.as_bytes()), &mut Budget::default());
        assert_eq!(kept.len(), MAX_REFERENCES);
        assert_eq!(kept[0], b"0@x");
        assert_eq!(kept[1], b"51@x");
        assert_eq!(kept[99], b"149@x");
    }

    #[test]
    fn ids_are_found_among_text() {
        let value = b"Your message of <old <a@b> and <> <c@d>.";
        assert_eq!(
            message_ids(value).collect::<Vec<_>>(),
            [b"a@b".as_slice(), b"c@d"]
        );
    }
}
