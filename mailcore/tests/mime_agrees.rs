//! Our reading of MIME against mail-parser's, on messages that mail-builder
//! makes: the same subject, addresses, parts and texts.
#![allow(clippy::unwrap_used, reason = "tests")]

use mail_builder::MessageBuilder;
use mail_parser::MessageParser;
use mailcore::message::decode::{body_text, header_text};
use mailcore::message::{Limits, PartKind, Scanner, Summary};
use proptest::prelude::*;

fn scan(octets: &[u8], cut: usize) -> Summary {
    let mut scanner = Scanner::new(Limits::default());
    let (head, tail) = octets.split_at(cut.min(octets.len()));
    scanner.push(head);
    scanner.push(tail);
    scanner.finish()
}

proptest! {
    #[test]
    fn the_same_message_is_read(
        subject in "[a-zA-Zäöüщ€ ]{0,60}[a-z]",
        name in "[a-zA-Zéж]{1,20}",
        text in "([a-zA-Z0-9 .=éß€\\-]{0,120}\r\n){0,20}",
        attachments in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 0..4),
        cut in 0usize..2_000,
    ) {
        let mut builder = MessageBuilder::new()
            .from((name.as_str(), "a@x.test"))
            .to("b@y.test")
            .subject(subject.as_str())
            .text_body(text.as_str());
        for octets in &attachments {
            builder = builder.attachment("application/octet-stream", "data.bin", octets.as_slice());
        }
        let octets = builder.write_to_vec().unwrap();
        let theirs = MessageParser::default().parse(octets.as_slice()).unwrap();
        let ours = scan(&octets, cut);

        let our_subject = header_text(ours.envelope.subject.as_deref().unwrap());
        prop_assert_eq!(our_subject.trim(), theirs.subject().unwrap().trim());
        let from = ours.envelope.from.first().and_then(|from| from.mailbox()).unwrap();
        prop_assert_eq!(from.address(), b"a@x.test");
        let leaves: Vec<_> = ours.parts.iter().filter(|part| part.kind == PartKind::Leaf).collect();
        prop_assert_eq!(leaves.len(), 1 + attachments.len());
        prop_assert_eq!(theirs.attachment_count(), attachments.len());
        let first = leaves.first().unwrap();
        let range = first.body_range();
        let body = octets.get(usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()).unwrap();
        let our_text = body_text(&first.content, body, usize::MAX);
        let their_text = theirs.body_text(0).unwrap_or_default();
        prop_assert_eq!(our_text.trim_end(), their_text.trim_end());
    }
}
