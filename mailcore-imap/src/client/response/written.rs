//! What the server of this crate writes is read back as it was meant.

use bytes::BytesMut;
use mailcore::mailbox::{Flags, Keyword, MailboxName};
use mailcore::message::Header;
use proptest::prelude::*;

use super::*;
use crate::client::RemoteName;
use crate::codec::{Encoder, Recent};
use crate::render::envelope::write_envelope;

fn read(write: impl FnOnce(&mut Encoder<'_>)) -> Response {
    let mut out = BytesMut::new();
    write(&mut Encoder::new(&mut out));
    Response::parse(&out, &Settings::default())
}

fn line() -> impl Strategy<Value = String> {
    "(Subject|Date|From|To|Cc|Message-ID|In-Reply-To): [ -~\u{e4}\u{416}\u{7}]{0,40}"
}

proptest! {
    #[test]
    fn envelopes(lines in proptest::collection::vec(line(), 0..8)) {
        let text = lines.join("\r\n");
        let mut envelope = mailcore::message::HeaderEnvelope::parse(&Header::new(text.as_bytes()));
        let Response::Fetch(response) = read(|out| {
            out.raw("* 7 FETCH (ENVELOPE ");
            write_envelope(out, &envelope);
            out.raw(" UID 9)");
        }) else {
            panic!("no FETCH")
        };
        // Written where the field is missing (RFC 9051 section 7.5.2).
        envelope.sender = envelope.sender_or_from().to_vec();
        envelope.reply_to = envelope.reply_to_or_from().to_vec();
        prop_assert_eq!(response.fetched.uid.map(|uid| uid.value()), Some(9));
        prop_assert_eq!(*response.fetched.envelope.unwrap(), envelope);
    }

    #[test]
    fn flags_and_names(
        system in 0u8..32,
        keywords in proptest::collection::vec("[a-zA-Z$][a-zA-Z0-9._-]{0,10}", 0..5),
        name in "[ -~\u{a0}-\u{4ff}]{1,20}",
    ) {
        let keywords = keywords.iter().filter_map(|text| Keyword::new(text));
        // A keyword called NIL can't be told from nothing.
        let keywords = keywords.filter(|it| !it.as_str().eq_ignore_ascii_case("NIL"));
        let flags = Flags::from_parts(system, keywords);
        let Response::Fetch(response) = read(|out| {
            out.raw("* 7 FETCH (FLAGS ").flags(&flags, Recent::Yes).raw(")");
        }) else {
            panic!("no FETCH")
        };
        prop_assert!(response.fetched.recent);
        prop_assert_eq!(response.fetched.flags, Some(flags));

        let Ok(name) = MailboxName::parse(&name) else { return Ok(()) };
        let Response::Data(Data::List(listed)) = read(|out| {
            out.raw("* LIST (\\HasNoChildren) \"/\" ").mailbox(&name);
        }) else {
            panic!("no LIST")
        };
        prop_assert_eq!(listed.name, RemoteName::from(&name));
    }
}
