//! Edits that change the header which the copies of a message share: such a copy
//! has content of its own.
//!
//! They break the signatures (DKIM, RFC 6376 section 3.5) that cover the fields
//! they change. Fields put on top break none, and cost no content.

use std::sync::Arc;

use super::Mail;
use super::form::copy_rest;
use crate::message::decode::header_text;
use crate::message::{ContentWriter, Header, HeaderEnvelope, HeaderWriter, LINE_LENGTH, Message};
use crate::plan::Edit;
use crate::seams::{Commit, StoreError};

impl Edit {
    /// True when the content itself has to change.
    pub(super) fn is_of_content(&self) -> bool {
        !matches!(self, Self::AddHeader { .. })
    }
}

impl Mail {
    /// This message with its header changed, its content written anew through
    /// `commit`; `None` when the edits change nothing.
    pub(super) async fn rewritten(
        &self,
        edits: &[Edit],
        commit: Option<Arc<dyn Commit>>,
    ) -> Result<Option<Self>, StoreError> {
        let (prefix, content) = (self.message.prefix(), self.message.content());
        let start = self.summary.header_len();
        let start = start.saturating_sub(prefix.len() as u64).min(content.len());
        let header = content.read(0..start).await?;
        let removed =
            |edit: &&Edit| matches!(edit, Edit::RemoveHeader { .. } | Edit::SetHeader { .. });
        let of_prefix = edits.iter().filter(removed).fold(None, |octets, edit| {
            let now = octets.as_deref().unwrap_or(prefix.as_ref());
            without(now, edit.name()).or(octets)
        });
        let of_content = edited(&header, edits);
        if of_prefix.is_none() && of_content.is_none() {
            return Ok(None);
        }
        let mut writer = ContentWriter::new(commit, u64::MAX);
        writer.write(of_content.map_or(header, Into::into)).await?;
        copy_rest(&Message::new(content.clone()), start, &mut writer).await?;
        let (content, mut summary) = writer.finish().await?;
        let prefix = of_prefix.map_or_else(|| prefix.clone(), Into::into);
        // What was added for the sender is known from the prefix alone.
        let given = HeaderEnvelope::parse(&Header::new(&prefix));
        summary.envelope.date = summary.envelope.date.or(given.date);
        summary.envelope.message_id = summary.envelope.message_id.or(given.message_id);
        Ok(Some(Self {
            summary: Arc::new(summary.with_prefix(prefix.len() as u64)),
            message: Message::new(content).with_prefix(prefix),
            ..self.clone()
        }))
    }
}

impl Edit {
    fn name(&self) -> &str {
        match self {
            Self::AddHeader { name, .. }
            | Self::RemoveHeader { name }
            | Self::SetHeader { name, .. } => name,
            Self::TagSubject { .. } => "Subject",
        }
    }
}

/// A header after the edits, in their order; `None` when it is as it was.
fn edited(header: &[u8], edits: &[Edit]) -> Option<Vec<u8>> {
    let mut changed: Option<Vec<u8>> = None;
    for edit in edits {
        let now = changed.as_deref().unwrap_or(header);
        let next = match edit {
            Edit::AddHeader { .. } => None,
            Edit::RemoveHeader { name } => without(now, name),
            Edit::SetHeader { name, value } => set(now, name, value),
            Edit::TagSubject { text } => tagged(now, text),
        };
        changed = next.or(changed);
    }
    changed
}

/// A header without the fields of a name. Received fields stay: by their number
/// loops are seen (RFC 5321 section 6.3).
fn without(header: &[u8], name: &str) -> Option<Vec<u8>> {
    if name.is_empty() || name.eq_ignore_ascii_case("Received") {
        return None;
    }
    let mut kept = Vec::with_capacity(header.len());
    let mut from = 0;
    for field in Header::new(header).all(name) {
        kept.extend_from_slice(header.get(from..field.range.start).unwrap_or_default());
        from = field.range.end;
    }
    (from > 0).then(|| {
        kept.extend_from_slice(header.get(from..).unwrap_or_default());
        kept
    })
}

/// A header with one field of a name, on top.
fn set(header: &[u8], name: &str, value: &str) -> Option<Vec<u8>> {
    let is_name = |octet: u8| octet.is_ascii_graphic() && octet != b':';
    if name.is_empty() || !name.bytes().all(is_name) || name.eq_ignore_ascii_case("Received") {
        return None;
    }
    let mut field = HeaderWriter::new();
    field.text(name, value);
    let mut octets = field.finish();
    let rest = without(header, name);
    octets.extend_from_slice(rest.as_deref().unwrap_or(header));
    Some(octets)
}

/// A header whose subject begins with `tag`; `None` when the tag is in it.
fn tagged(header: &[u8], tag: &str) -> Option<Vec<u8>> {
    let tag = tag.trim();
    if tag.is_empty() {
        return None;
    }
    let Some(field) = Header::new(header).first("Subject") else {
        return set(header, "Subject", tag);
    };
    let subject = header_text(&field.value());
    if subject.contains(tag) {
        return None;
    }
    let mut line = HeaderWriter::new();
    // What the sender wrote stays octet for octet. Between two encoded-words
    // white space counts for nothing (RFC 2047 section 6.2), so that a tag that
    // needs one can't be put before another.
    let is_plain = tag.bytes().all(|octet| (b' '..=b'~').contains(&octet)) && !tag.contains("=?");
    let line = match is_plain {
        true => {
            let mut octets = format!("Subject: {tag}").into_bytes();
            let raw = field.raw.trim_ascii_start();
            let first = raw.split(|octet| *octet == b'\n').next().unwrap_or(raw);
            if octets.len() + 1 + first.len() > LINE_LENGTH {
                octets.extend_from_slice(b"\r\n");
            }
            octets.push(b' ');
            octets.extend_from_slice(raw);
            if !octets.ends_with(b"\n") {
                octets.extend_from_slice(b"\r\n");
            }
            octets
        }
        false => {
            line.text("Subject", &format!("{tag} {subject}"));
            line.finish()
        }
    };
    let mut octets = header.get(..field.range.start)?.to_vec();
    octets.extend_from_slice(&line);
    octets.extend_from_slice(header.get(field.range.end..).unwrap_or_default());
    Some(octets)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tag(header: &str, text: &str) -> Option<String> {
        let text = text.to_owned();
        edited(header.as_bytes(), &[Edit::TagSubject { text }])
            .map(|octets| String::from_utf8(octets).unwrap())
    }

    #[test]
    fn a_subject_is_tagged_once_and_stays_what_its_sender_wrote() {
        let encoded = "From: a@b.test\r\nSubject: =?utf-8?q?caf=C3=A9?=\r\n =?utf-8?q?_noir?=\r\nTo: c\r\n\r\n";
        let once = tag(encoded, "[SPAM]").unwrap();
        assert_eq!(once, encoded.replace("Subject: ", "Subject: [SPAM] "));
        assert_eq!(tag(&once, "[SPAM]"), None);
        assert_eq!(tag("Subject: Re: [SPAM] x\r\n\r\n", "[SPAM]"), None);
        assert_eq!(tag("\r\n", "[SPAM]").unwrap(), "Subject: [SPAM]\r\n\r\n");
        assert_eq!(
            tag("A: b\r\nSubject:\r\n\r\n", "x").unwrap(),
            "A: b\r\nSubject: x \r\n\r\n"
        );
    }

    #[test]
    fn a_tag_that_is_not_ascii_is_encoded_with_the_subject() {
        let header = "Subject: =?utf-8?q?caf=C3=A9?=\r\n\r\n";
        let once = tag(header, "[Müll]").unwrap();
        assert!(once.is_ascii(), "{once}");
        let field = Header::new(once.as_bytes()).first("Subject").unwrap();
        assert_eq!(header_text(&field.value()), "[Müll] café");
        assert_eq!(tag(&once, "[Müll]"), None);
    }

    #[test]
    fn a_long_subject_is_folded_behind_its_tag() {
        let long = format!("Subject: {}\r\n\r\n", "word ".repeat(14).trim());
        let once = tag(&long, "[this is spam]").unwrap();
        assert!(
            once.starts_with("Subject: [this is spam]\r\n word"),
            "{once}"
        );
        assert!(once.lines().all(|line| line.len() <= LINE_LENGTH));
    }

    #[test]
    fn fields_go_and_come_but_for_those_that_show_loops() {
        let header = b"Received: a\r\nX-A: 1\r\nB: 2\r\nx-a: 3\r\n 4\r\n\r\n";
        let edit = |edits: &[Edit]| edited(header, edits).map(|it| String::from_utf8(it).unwrap());
        let remove = |name: &str| Edit::RemoveHeader { name: name.into() };
        let one = edit(&[remove("X-A")]).unwrap();
        assert_eq!(one, "Received: a\r\nB: 2\r\n\r\n");
        assert_eq!(edit(&[remove("Received"), remove("none")]), None);
        let set = |name: &str| Edit::SetHeader {
            name: name.into(),
            value: "5\r\nEvil: 6".into(),
        };
        let one = edit(&[set("X-A")]).unwrap();
        assert_eq!(one, "X-A: 5  Evil: 6\r\nReceived: a\r\nB: 2\r\n\r\n");
        assert_eq!(edit(&[set("a b"), set("a:b"), set("Received")]), None);
    }

    proptest! {
        #[test]
        fn whatever_a_header_holds_its_other_fields_and_its_end_stay(
            fields in proptest::collection::vec("[A-Ca-c]{1,3}: ?[ -~é]{0,90}(\r\n [ -~]{1,9})?", 0..6),
            subject in "[ -~é]{0,90}",
            text in "[!-~é]{1,20}",
        ) {
            let others = fields.join("\r\n") + if fields.is_empty() { "" } else { "\r\n" };
            let header = format!("{others}Subject: {subject}\r\n\r\n");
            let once = tag(&header, &text);
            let now = once.as_deref().unwrap_or(&header);
            let read = Header::new(now.as_bytes());
            prop_assert_eq!(read.section_len(), now.len());
            prop_assert!(now.starts_with(&others));
            prop_assert_eq!(read.fields().count(), fields.len() + 1);
            let field = read.first("Subject").unwrap();
            prop_assert!(header_text(&field.value()).contains(&text), "{now:?}");
            prop_assert_eq!(tag(now, &text), None);
        }
    }
}
