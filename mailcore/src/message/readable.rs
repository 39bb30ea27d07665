//! [`Readable`]: a message as people see it.

use super::decode::{body_text, header_text};
use super::{Part, PartKind, Summary, TransferDecoder, TransferEncoding};

/// Octets of decoded text kept of one message.
const TEXT: usize = 4 * 1024 * 1024;

/// What a message says and what it brings with it, decoded. Holds at most the
/// message's own size in attachments and 4 MiB of each kind of text.
///
/// ```
/// use mailcore::message::{Readable, Summary};
///
/// let octets = b"Content-Type: text/plain; charset=iso-8859-1\r\n\r\nSch\xf6n\r\n";
/// let read = Readable::new(octets, &Summary::scan(octets));
/// assert_eq!(read.text, "Sch\u{f6}n\r\n");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Readable {
    /// The parts of `text/plain` that are no attachments.
    pub text: String,
    /// The same of `text/html`; empty where there is none.
    pub html: String,
    /// Everything else.
    pub attachments: Vec<Attachment>,
}

/// A part that is a file, or has a file's name.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attachment {
    /// Its file name, decoded; empty without one. In the sender's words: look at
    /// it before it names a file of yours.
    pub name: String,
    /// `application/pdf`, in lower case.
    pub media_type: String,
    /// Its octets, decoded.
    pub octets: Vec<u8>,
}

impl Readable {
    /// Reads `octets`, of which `summary` is.
    pub fn new(octets: &[u8], summary: &Summary) -> Self {
        let mut readable = Self::default();
        let mut within = 0;
        for (index, part) in summary.parts.iter().enumerate() {
            match part.kind {
                PartKind::Leaf if index >= within => readable.take(part, body(octets, part)),
                // What an attached message says is not this message's text.
                PartKind::Message(_) if index >= within => {
                    within = part.end;
                    readable.attach(part, body(octets, part));
                }
                _ => {}
            }
        }
        readable
    }

    fn take(&mut self, part: &Part, body: &[u8]) {
        let content = &part.content;
        let is_attached =
            content.disposition.as_ref().map(|it| it.kind.as_str()) == Some("attachment");
        let named = content.file_name().is_some();
        let text = match (is_attached || named, content.media_type.as_str()) {
            (false, "text") if content.subtype == "html" => &mut self.html,
            (false, "text") if content.subtype == "plain" => &mut self.text,
            _ => return self.attach(part, body),
        };
        // Of many parts each has its share of what is left.
        let room = TEXT.saturating_sub(text.len());
        text.push_str(&body_text(content, body, room));
    }

    fn attach(&mut self, part: &Part, body: &[u8]) {
        let content = &part.content;
        self.attachments.push(Attachment {
            name: content.file_name().map(header_text).unwrap_or_default(),
            media_type: format!("{}/{}", content.media_type, content.subtype),
            octets: decoded(&content.encoding, body),
        });
    }
}

fn body<'a>(octets: &'a [u8], part: &Part) -> &'a [u8] {
    let range = part.body_range();
    let at = |place: u64| {
        usize::try_from(place)
            .unwrap_or(usize::MAX)
            .min(octets.len())
    };
    octets
        .get(at(range.start)..at(range.end))
        .unwrap_or_default()
}

fn decoded(encoding: &str, body: &[u8]) -> Vec<u8> {
    let encoding = TransferEncoding::parse(encoding).unwrap_or(TransferEncoding::Identity);
    let mut decoder = TransferDecoder::new(encoding);
    let mut octets = Vec::with_capacity(body.len());
    decoder.push(body, &mut octets);
    decoder.finish(&mut octets);
    octets
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAIL: &[u8] = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n\
        --b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nSch=C3=B6n\r\n\
        --b\r\nContent-Type: text/html\r\n\r\n<p>Nice</p>\r\n\
        --b\r\nContent-Type: application/pdf; name=\"bill.pdf\"\r\nContent-Transfer-Encoding: base64\r\n\r\nUERG\r\n\
        --b\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\nNot my text\r\n--b--\r\n";

    #[test]
    fn texts_files_and_attached_messages_are_told_apart() {
        let read = Readable::new(MAIL, &Summary::scan(MAIL));
        assert_eq!(read.text.trim_end(), "Sch\u{f6}n");
        assert_eq!(read.html.trim_end(), "<p>Nice</p>");
        let types: Vec<_> = read.attachments.iter().map(|it| &*it.media_type).collect();
        assert_eq!(types, ["application/pdf", "message/rfc822"]);
        assert_eq!(read.attachments[0].name, "bill.pdf");
        assert_eq!(read.attachments[0].octets, b"PDF");
    }

    #[test]
    fn a_summary_of_another_message_reads_nothing_beyond_the_octets() {
        let read = Readable::new(b"short", &Summary::scan(MAIL));
        assert_eq!(read.text, "");
    }

    #[test]
    fn many_texts_are_cut_off_together() {
        let part = "--b\r\n\r\n".to_owned() + &"x".repeat(1 << 20) + "\r\n";
        let mail = "Content-Type: multipart/mixed; boundary=b\r\n\r\n".to_owned()
            + &part.repeat(6)
            + "--b--\r\n";
        let read = Readable::new(mail.as_bytes(), &Summary::scan(mail.as_bytes()));
        assert!(read.text.len() <= TEXT + 8, "{}", read.text.len());
    }
}
