//! The stored form of a [`Summary`]: versioned, small, and read back without
//! trust.

use super::address_list::{HeaderAddress, HeaderMailbox};
use super::header_envelope::HeaderEnvelope;
use super::parameters::Parameter;
use super::part::{ContentFields, Disposition, Part, PartKind};
use super::summary::Summary;
use crate::pack::{PackError, Packer, Unpacker};

/// The newest form this program reads, and the one it writes.
const VERSION: u8 = 1;
/// Octets above which no summary is read.
const MAX_ENCODED: usize = 16 << 20;

/// Words frequent in Content-* fields, written as their number. Only ever
/// append: stored summaries refer to places in it.
const WORDS: [&str; 47] = [
    "text",
    "plain",
    "html",
    "multipart",
    "alternative",
    "mixed",
    "related",
    "signed",
    "report",
    "encrypted",
    "digest",
    "message",
    "rfc822",
    "delivery-status",
    "application",
    "octet-stream",
    "pdf",
    "zip",
    "pkcs7-signature",
    "pgp-signature",
    "image",
    "png",
    "jpeg",
    "gif",
    "calendar",
    "7bit",
    "8bit",
    "binary",
    "base64",
    "quoted-printable",
    "attachment",
    "inline",
    "charset",
    "utf-8",
    "us-ascii",
    "iso-8859-1",
    "boundary",
    "format",
    "flowed",
    "delsp",
    "name",
    "filename",
    "size",
    "type",
    "protocol",
    "micalg",
    "method",
];

type Read<T> = Result<T, PackError>;

impl Summary {
    /// The stored form: a few hundred octets for most messages.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Packer::new(VERSION);
        out.u64(self.size);
        write_envelope(&mut out, &self.envelope);
        out.list(&self.references, |out, id| out.octets(id));
        out.u64(self.parts.len() as u64);
        let mut before = 0;
        for (index, part) in self.parts.iter().enumerate() {
            out.u64(part.parent.map_or(0, |parent| index.saturating_sub(parent)) as u64);
            // Starts never decrease from one part to the next.
            out.u64(part.header_start.wrapping_sub(before));
            before = part.header_start;
            write_part(&mut out, part);
        }
        out.finish()
    }

    /// Reads what [`Summary::encode`] wrote.
    ///
    /// # Errors
    /// [`PackError`], for octets that are something else.
    pub fn decode(octets: &[u8]) -> Result<Self, PackError> {
        if octets.len() > MAX_ENCODED {
            return Err(PackError::Damaged);
        }
        let mut from = Unpacker::new(octets, VERSION)?;
        let size = from.u64()?;
        let envelope = read_envelope(&mut from)?;
        let references = from.list(|from| from.octets().map(<[u8]>::to_vec))?;
        let mut tree = Tree::default();
        for _ in 0..from.u64()? {
            tree.read(&mut from)?;
        }
        let parts = tree.finish()?;
        if from.rest().is_empty() {
            Ok(Self {
                size,
                envelope,
                references,
                parts,
            })
        } else {
            Err(PackError::Damaged)
        }
    }
}

fn write_part(out: &mut Packer, part: &Part) {
    out.u64(part.body_start.wrapping_sub(part.header_start));
    out.u64(part.body_end.wrapping_sub(part.body_start));
    out.u64(part.lines);
    match &part.kind {
        PartKind::Leaf => out.u64(0),
        PartKind::Multipart => out.u64(1),
        PartKind::Message(envelope) => {
            out.u64(2);
            write_envelope(out, envelope);
        }
    }
    write_content(out, &part.content);
}

/// Parts read so far. Their order and nesting must be what a scan gives:
/// readers rely on it.
#[derive(Default)]
struct Tree {
    parts: Vec<Part>,
    /// The path from the root to the last part.
    open: Vec<usize>,
}

impl Tree {
    fn read(&mut self, from: &mut Unpacker<'_>) -> Read<()> {
        let index = self.parts.len();
        let up = usize::try_from(from.u64()?).map_err(|_| PackError::Damaged)?;
        let parent = match up {
            0 => None,
            _ => Some(index.checked_sub(up).ok_or(PackError::Damaged)?),
        };
        if parent.is_none() != (index == 0) {
            return Err(PackError::Damaged);
        }
        self.close(parent)?;
        let before = self.parts.last().map_or(0, |last| last.header_start);
        let header_start = read_after(from, before)?;
        let body_start = read_after(from, header_start)?;
        let body_end = read_after(from, body_start)?;
        let lines = from.u64()?;
        let kind = match from.u64()? {
            0 => PartKind::Leaf,
            1 => PartKind::Multipart,
            2 => PartKind::Message(Box::new(read_envelope(from)?)),
            _ => return Err(PackError::Damaged),
        };
        let content = read_content(from)?;
        self.open.push(index);
        let end = index + 1;
        let part = Part {
            parent,
            end,
            kind,
            header_start,
            body_start,
            body_end,
            lines,
            content,
        };
        self.parts.push(part);
        Ok(())
    }

    /// Closes parts until `parent` is the innermost open one.
    fn close(&mut self, parent: Option<usize>) -> Read<()> {
        while self.open.last().copied() != parent {
            let closed = self.open.pop().ok_or(PackError::Damaged)?;
            let end = self.parts.len();
            let part = self.parts.get_mut(closed).ok_or(PackError::Damaged)?;
            part.end = end;
            let within = end - closed - 1;
            let sound = match part.kind {
                PartKind::Leaf => within == 0,
                PartKind::Multipart => within > 0,
                PartKind::Message(_) => {
                    let root = self.parts.get(closed + 1).ok_or(PackError::Damaged)?;
                    root.parent == Some(closed) && root.end == end
                }
            };
            if !sound {
                return Err(PackError::Damaged);
            }
        }
        Ok(())
    }

    fn finish(mut self) -> Read<Vec<Part>> {
        self.close(None)?;
        if self.parts.is_empty() {
            Err(PackError::Damaged)
        } else {
            Ok(self.parts)
        }
    }
}

fn read_after(from: &mut Unpacker<'_>, start: u64) -> Read<u64> {
    start.checked_add(from.u64()?).ok_or(PackError::Damaged)
}

fn write_content(out: &mut Packer, content: &ContentFields) {
    write_word(out, &content.media_type);
    write_word(out, &content.subtype);
    write_parameters(out, &content.parameters);
    write_word(out, &content.encoding);
    let optional = [
        &content.id,
        &content.description,
        &content.location,
        &content.md5,
    ];
    let mut present = u64::from(content.disposition.is_some());
    present |= u64::from(!content.language.is_empty()) << 1;
    for (bit, text) in optional.iter().enumerate() {
        present |= u64::from(text.is_some()) << (bit + 2);
    }
    out.u64(present);
    if let Some(disposition) = &content.disposition {
        write_word(out, &disposition.kind);
        write_parameters(out, &disposition.parameters);
    }
    if !content.language.is_empty() {
        out.list(&content.language, |out, tag| out.octets(tag));
    }
    optional
        .into_iter()
        .flatten()
        .for_each(|text| out.octets(text));
}

fn read_content(from: &mut Unpacker<'_>) -> Read<ContentFields> {
    let media_type = read_word(from)?;
    let subtype = read_word(from)?;
    let parameters = from.list(read_parameter)?;
    let encoding = read_word(from)?;
    let present = from.u64()?;
    let has = |bit: u32| present >> bit & 1 == 1;
    let disposition = match has(0) {
        true => Some(Disposition {
            kind: read_word(from)?,
            parameters: from.list(read_parameter)?,
        }),
        false => None,
    };
    let language = match has(1) {
        true => from.list(|from| from.octets().map(<[u8]>::to_vec))?,
        false => Vec::new(),
    };
    let mut text = |bit| read_if(has(bit), from);
    let (id, description, location, md5) = (text(2)?, text(3)?, text(4)?, text(5)?);
    Ok(ContentFields {
        media_type,
        subtype,
        parameters,
        id,
        description,
        encoding,
        disposition,
        language,
        location,
        md5,
    })
}

fn read_if(present: bool, from: &mut Unpacker<'_>) -> Read<Option<Vec<u8>>> {
    match present {
        true => from.octets().map(|text| Some(text.to_vec())),
        false => Ok(None),
    }
}

fn write_parameters(out: &mut Packer, parameters: &[Parameter]) {
    out.list(parameters, |out, parameter| {
        write_word(out, &parameter.name);
        out.u64(u64::from(parameter.extended));
        match std::str::from_utf8(&parameter.value) {
            Ok(text) => write_word(out, text),
            Err(_) => {
                out.u64(1);
                out.octets(&parameter.value);
            }
        }
    });
}

fn read_parameter(from: &mut Unpacker<'_>) -> Read<Parameter> {
    let name = read_word(from)?;
    let extended = match from.u64()? {
        0 => false,
        1 => true,
        _ => return Err(PackError::Damaged),
    };
    let value = match from.u64()? {
        0 => from.text()?.as_bytes().to_vec(),
        1 => from.octets()?.to_vec(),
        number => word(number)?.as_bytes().to_vec(),
    };
    Ok(Parameter {
        name,
        value,
        extended,
    })
}

/// A word: 0 and a text, or its place in [`WORDS`] plus 2. (1 marks octets
/// that are no text, in values alone.)
fn write_word(out: &mut Packer, text: &str) {
    match WORDS.iter().position(|word| *word == text) {
        Some(index) => out.u64(index as u64 + 2),
        None => {
            out.u64(0);
            out.text(text);
        }
    }
}

fn read_word(from: &mut Unpacker<'_>) -> Read<String> {
    match from.u64()? {
        0 => from.text().map(str::to_owned),
        number => word(number).map(str::to_owned),
    }
}

fn word(number: u64) -> Read<&'static str> {
    let index = number
        .checked_sub(2)
        .and_then(|index| usize::try_from(index).ok());
    index
        .and_then(|index| WORDS.get(index))
        .copied()
        .ok_or(PackError::Damaged)
}

fn write_envelope(out: &mut Packer, envelope: &HeaderEnvelope) {
    let texts = [
        &envelope.date,
        &envelope.subject,
        &envelope.in_reply_to,
        &envelope.message_id,
    ];
    let lists = [
        &envelope.from,
        &envelope.sender,
        &envelope.reply_to,
        &envelope.to,
        &envelope.cc,
        &envelope.bcc,
    ];
    let mut present = 0;
    for (bit, text) in texts.iter().enumerate() {
        present |= u64::from(text.is_some()) << bit;
    }
    for (bit, list) in lists.iter().enumerate() {
        present |= u64::from(!list.is_empty()) << (bit + texts.len());
    }
    out.u64(present);
    texts
        .into_iter()
        .flatten()
        .for_each(|text| out.octets(text));
    for list in lists.into_iter().filter(|list| !list.is_empty()) {
        out.list(list, write_address);
    }
}

fn read_envelope(from: &mut Unpacker<'_>) -> Read<HeaderEnvelope> {
    let present = from.u64()?;
    let has = |bit: u32| present >> bit & 1 == 1;
    let mut text = |bit| read_if(has(bit), from);
    let (date, subject, in_reply_to, message_id) = (text(0)?, text(1)?, text(2)?, text(3)?);
    let mut list = |bit| match has(bit) {
        true => from.list(read_address),
        false => Ok(Vec::new()),
    };
    Ok(HeaderEnvelope {
        date,
        subject,
        from: list(4)?,
        sender: list(5)?,
        reply_to: list(6)?,
        to: list(7)?,
        cc: list(8)?,
        bcc: list(9)?,
        in_reply_to,
        message_id,
    })
}

fn write_address(out: &mut Packer, address: &HeaderAddress) {
    match address {
        HeaderAddress::GroupEnd => out.u64(0),
        HeaderAddress::GroupStart(name) => {
            out.u64(1);
            out.octets(name);
        }
        HeaderAddress::Mailbox(mailbox) => {
            let name = u64::from(mailbox.name.is_some());
            out.u64(2 | name << 2 | u64::from(mailbox.route.is_some()) << 3);
            [&mailbox.name, &mailbox.route]
                .into_iter()
                .flatten()
                .for_each(|text| out.octets(text));
            out.octets(&mailbox.local_part);
            out.octets(&mailbox.host);
        }
    }
}

fn read_address(from: &mut Unpacker<'_>) -> Read<HeaderAddress> {
    match from.u64()? {
        0 => Ok(HeaderAddress::GroupEnd),
        1 => from
            .octets()
            .map(|name| HeaderAddress::GroupStart(name.to_vec())),
        form if form & !0b1100 == 2 => Ok(HeaderAddress::Mailbox(HeaderMailbox {
            name: read_if(form & 4 != 0, from)?,
            route: read_if(form & 8 != 0, from)?,
            local_part: from.octets()?.to_vec(),
            host: from.octets()?.to_vec(),
        })),
        _ => Err(PackError::Damaged),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::skeleton::tests::arbitrary_message;
    use proptest::prelude::*;

    #[test]
    fn plain_mail_is_small() {
        let summary = Summary::scan(
            b"Date: Sun, 22 Nov 2026 01:44:00 +0000\r\nFrom: Ann Example <ann@example.org>\r\n\
              To: Bob <bob@example.net>\r\nSubject: Lunch\r\nMessage-ID: <1@example.org>\r\n\
              Content-Type: text/plain; charset=utf-8\r\n\r\nNoon?\r\n",
        );
        let encoded = summary.encode();
        assert!(encoded.len() < 160, "{}", encoded.len());
        assert_eq!(Summary::decode(&encoded), Ok(summary));
    }

    /// Stored summaries outlive programs: what version 1 wrote stays readable.
    #[test]
    fn version_1_stays_readable() {
        let octets = b"Subject: s\nFrom: g: A <a@b>;\nReferences: <r@x>\n\
            Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: message/rfc822\n\
            Content-Disposition: attachment; filename*=utf-8''%C3%A9\n\nTo: <@h:c@d>\n\nx\n--b--\n";
        let stored: &[u8] = b"\x01\xcb\x01\x12\x01s\x03\x01\x01g\x06\x01A\x01a\x01b\x00\x01\x03r@x\
            \x03\x00\x00Zq\x08\x01\x05\x07\x01&\x00\x00\x01b\x1b\x00\
            \x01^W\x0f\x02\x02\x80\x01\x01\n\x02@h\x01c\x01d\r\x0e\x00\x1b\x01\x20\x01+\x01\x00\x02\xc3\xa9\
            \x01W\x0e\x01\x00\x00\x02\x03\x01\"\x00$\x1b\x00";
        let summary = Summary::scan(octets);
        assert_eq!(
            summary.encode(),
            stored,
            "{}",
            summary.encode().escape_ascii()
        );
        assert_eq!(Summary::decode(stored), Ok(summary));
    }

    proptest! {
        #[test]
        fn decode_reads_what_encode_wrote(message in arbitrary_message()) {
            let summary = Summary::scan(&message);
            prop_assert_eq!(Summary::decode(&summary.encode()), Ok(summary));
        }

        #[test]
        fn decode_survives_damage(message in arbitrary_message(), at: prop::sample::Index, to: u8) {
            let mut encoded = Summary::scan(&message).encode();
            let at = at.index(encoded.len());
            encoded[at] = to;
            if let Ok(summary) = Summary::decode(&encoded) {
                prop_assert_eq!(Summary::decode(&summary.encode()), Ok(summary));
            }
            encoded.truncate(at);
            prop_assert!(Summary::decode(&encoded).is_err());
        }

        #[test]
        fn decode_survives_noise(noise: Vec<u8>) {
            let _ = Summary::decode(&[&[VERSION], noise.as_slice()].concat());
        }
    }
}
