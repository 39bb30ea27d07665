//! A message of mailcore as scripts see it: [`MessageMail`].
//!
//! Its summary tells the parts, so that nothing is parsed again, and its octets are
//! read once, as far as scripts need them.

use std::borrow::Cow;

use bytes::Bytes;
use mailcore::message::{
    HeaderAddress, MAX_ADDRESSES, Message, Part, PartKind, Summary, TransferDecoder,
    TransferEncoding, decode, parse_addresses,
};
use mailcore::seams::StoreError;

use crate::engine::{self, Mail, PartInfo};

/// How much of a message is read for a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// The header alone.
    Header,
    /// All of it, within the limit.
    Whole,
}

/// A message with its summary, as much of it as was read in memory.
#[derive(Debug, Clone)]
pub struct MessageMail<'a> {
    summary: &'a Summary,
    octets: Bytes,
    parts: Vec<PartInfo>,
}

impl<'a> MessageMail<'a> {
    /// Reads a message that `summary` is of, `limit` octets of it at most.
    pub async fn load(
        message: &Message,
        summary: &'a Summary,
        extent: Extent,
        limit: u64,
    ) -> Result<Self, StoreError> {
        let end = match extent {
            Extent::Header => summary.header_len(),
            Extent::Whole => message.len(),
        };
        let octets = message.read(0..end.min(limit)).await?;
        Ok(Self {
            summary,
            octets,
            parts: summary.parts.iter().map(info).collect(),
        })
    }

    fn slice(&self, start: u64, end: u64) -> &[u8] {
        let at = |place: u64| {
            usize::try_from(place).map_or(self.octets.len(), |place| place.min(self.octets.len()))
        };
        self.octets.get(at(start)..at(end)).unwrap_or_default()
    }
}

fn info(part: &Part) -> PartInfo {
    let kind = match part.kind {
        PartKind::Leaf => engine::PartKind::Leaf,
        PartKind::Multipart => engine::PartKind::Multipart,
        PartKind::Message(_) => engine::PartKind::Message,
    };
    let media = (
        part.content.media_type.as_str(),
        part.content.subtype.as_str(),
    );
    PartInfo::new(part.parent, part.end, kind, media)
}

impl Mail for MessageMail<'_> {
    fn size(&self) -> u64 {
        self.summary.size
    }

    fn header(&self, part: usize) -> &[u8] {
        let part = self.summary.parts.get(part);
        part.map_or(b"", |part| self.slice(part.header_start, part.body_start))
    }

    fn parts(&self) -> &[PartInfo] {
        &self.parts
    }

    fn body(&self, part: usize) -> &[u8] {
        let part = self.summary.parts.get(part);
        part.map_or(b"", |part| self.slice(part.body_start, part.body_end))
    }

    fn content(&self, part: usize, limit: usize) -> Cow<'_, [u8]> {
        let Some(fields) = self.summary.parts.get(part).map(|part| &part.content) else {
            return Cow::Borrowed(b"");
        };
        let body = self.body(part);
        if fields.media_type == "text" {
            return Cow::Owned(decode::body_text(fields, body, limit).into_bytes());
        }
        let encoding =
            TransferEncoding::parse(&fields.encoding).unwrap_or(TransferEncoding::Identity);
        if encoding == TransferEncoding::Identity {
            return Cow::Borrowed(body.get(..limit).unwrap_or(body));
        }
        let mut decoder = TransferDecoder::new(encoding);
        let mut decoded = Vec::new();
        for chunk in body.chunks(8 * 1024) {
            decoder.push(chunk, &mut decoded);
            if decoded.len() >= limit {
                break;
            }
        }
        decoder.finish(&mut decoded);
        decoded.truncate(limit);
        Cow::Owned(decoded)
    }

    fn text<'a>(&self, value: &'a [u8]) -> Cow<'a, str> {
        let plain = |&octet: &u8| matches!(octet, b' '..=b'~');
        match std::str::from_utf8(value) {
            // Nothing is encoded in what most values are.
            Ok(text) if value.iter().all(plain) && !text.contains("=?") => Cow::Borrowed(text),
            _ => Cow::Owned(decode::header_text(value)),
        }
    }

    fn addresses(&self, value: &[u8]) -> Vec<String> {
        parse_addresses(value, MAX_ADDRESSES)
            .iter()
            .filter_map(HeaderAddress::mailbox)
            .map(|mailbox| String::from_utf8_lossy(&mailbox.address()).into_owned())
            .filter(|address| !address.is_empty())
            .collect()
    }

    fn to_utf8<'a>(&self, label: &[u8], octets: &'a [u8]) -> Option<Cow<'a, str>> {
        let ascii = label.eq_ignore_ascii_case(b"us-ascii") || label.is_empty();
        let label = if ascii { b"utf-8" } else { label };
        decode::charset_text(label, octets).map(Cow::Owned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::PlainMail;
    use proptest::prelude::*;

    const LIMIT: u64 = 64 << 20;

    /// Both ways of reading a message.
    fn both(octets: &[u8], compare: impl FnOnce(&MessageMail<'_>, &PlainMail)) {
        let summary = Summary::scan(octets);
        let message = Message::from_bytes(octets.to_vec());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let load = MessageMail::load(&message, &summary, Extent::Whole, LIMIT);
        let mail = runtime.block_on(load).unwrap();
        compare(&mail, &PlainMail::new(octets));
    }

    fn same(octets: &[u8]) {
        both(octets, |message, plain| {
            assert_eq!(message.size(), plain.size());
            assert_eq!(message.parts(), plain.parts());
            for part in 0..=message.parts().len() {
                let place = |what: &str| format!("{what} of part {part}");
                assert_eq!(
                    message.header(part),
                    plain.header(part),
                    "{}",
                    place("header")
                );
                assert_eq!(message.body(part), plain.body(part), "{}", place("body"));
                for limit in [3, 1 << 20] {
                    assert_eq!(
                        String::from_utf8_lossy(&message.content(part, limit)),
                        String::from_utf8_lossy(&plain.content(part, limit)),
                        "{}",
                        place("content")
                    );
                }
            }
        });
    }

    fn message() -> impl Strategy<Value = Vec<u8>> {
        let boundary = prop_oneof![Just("a"), Just("ab"), Just("b--"), Just("\"c d\"")];
        let line = prop_oneof![
            boundary
                .clone()
                .prop_map(|name| format!("Content-Type: multipart/mixed; boundary={name}")),
            boundary
                .clone()
                .prop_map(|name| format!("--{}", name.trim_matches('"'))),
            boundary.prop_map(|name| format!("--{}--", name.trim_matches('"'))),
            Just("Content-Type: message/rfc822".to_owned()),
            Just("Content-Type: multipart/digest; boundary=a".to_owned()),
            Just("Content-Type: text/html (x); charset*0=iso-; charset*1=8859-1".to_owned()),
            Just("Content-Type: image/png; name=\"a\\\"b\"".to_owned()),
            Just("Content-Transfer-Encoding: base64".to_owned()),
            Just("Content-Transfer-Encoding: (c) Quoted-Printable".to_owned()),
            Just("Subject : one\r\n\ttwo".to_owned()),
            Just("YWJj4oKs=20=\r\n=E9=XY = ".to_owned()),
            Just("=E9\u{e9}YQ==YWI=".to_owned()),
            Just(String::new()),
            Just(String::new()),
            "[ -~]{0,20}",
        ];
        let end = prop_oneof![4 => Just("\r\n"), 2 => Just("\n"), 1 => Just("")];
        let lines = proptest::collection::vec((line, end), 0..40);
        lines.prop_map(|lines| {
            let lines = lines.iter().map(|(line, end)| format!("{line}{end}"));
            lines.collect::<String>().into_bytes()
        })
    }

    proptest! {
        #[test]
        fn the_engine_reads_messages_as_mailcore_does(octets in message()) {
            same(&octets);
        }

        #[test]
        fn values_are_read_alike(value in proptest::collection::vec(
            prop_oneof![
                8 => proptest::sample::select(b"<>@,:;\"()\\. ab=?_Qq[]".to_vec()).prop_map(|octet| vec![octet]),
                1 => Just("é".as_bytes().to_vec()),
                1 => Just(b"=?utf-8?Q?=C3=A9_?=".to_vec()),
                1 => Just(b"=?ISO-8859-1?b?6Q==?=".to_vec()),
                1 => Just(b"\xe9".to_vec()),
            ],
            0..40
        )) {
            let value = value.concat();
            both(b"", |message, plain| {
                assert_eq!(message.text(&value), plain.text(&value));
                assert_eq!(message.addresses(&value), plain.addresses(&value));
            });
        }
    }

    #[test]
    fn hostile_messages_are_read_alike() {
        let deep = "Content-Type: message/rfc822\r\n\r\n".repeat(300);
        same(deep.as_bytes());
        let many = format!(
            "Content-Type: multipart/mixed; boundary=b\r\n\r\n{}",
            "--b\r\n\r\nx\r\n".repeat(10_500)
        );
        same(many.as_bytes());
        same("X: y\r\n".repeat(100_000).as_bytes());
        same(
            &[
                b"X: ".as_slice(),
                &[b'x'; 1 << 20],
                b"\r\n\r\n",
                &[b'-'; 1 << 20],
            ]
            .concat(),
        );
    }

    #[test]
    fn of_a_header_alone_the_parts_are_known_and_empty() {
        let octets = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: image/gif\r\n\r\nx\r\n--b--\r\n";
        let summary = Summary::scan(octets);
        let message = Message::from_bytes(octets.to_vec());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let load = MessageMail::load(&message, &summary, Extent::Header, LIMIT);
        let mail = runtime.block_on(load).unwrap();
        assert_eq!(mail.parts()[1].media_type, "image");
        assert!(mail.header(0).ends_with(b"\r\n\r\n") && mail.header(1).is_empty());
        assert!(mail.body(0).is_empty() && mail.content(1, 99).is_empty());
    }
}
