//! The header of a message on its way in: what it must look like, and what is
//! taken out of it before the message is kept (RFC 6409 sections 6 and 8).
//!
//! The header alone is held, within its limit; the body passes by. Most
//! messages need no change, and pass whole.

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use memchr::memchr_iter;

use super::forged::is_forged;
use super::policy::ForeignFrom;
use super::{Refusal, SessionKind, Transaction};
use crate::address::{Address, Domain};
use crate::message::{Field, Header, HeaderWriter, parse_addresses};
use crate::seams::DirectoryError;
use crate::status::Status;

/// Fields that a message has once at most (RFC 5322 section 3.6).
const SINGLE: [&str; 11] = [
    "From",
    "Sender",
    "Reply-To",
    "To",
    "Cc",
    "Bcc",
    "Message-ID",
    "In-Reply-To",
    "References",
    "Subject",
    "Date",
];
/// Addresses of a From field that are looked up.
const MAX_FROM: usize = 20;

/// The header as far as it came.
#[derive(Debug)]
pub(super) enum Head {
    /// Its end is not here.
    Coming {
        held: BytesMut,
        /// No line end before this octet is followed by an empty line.
        seen: usize,
    },
    /// It was looked at.
    Past,
}

/// What a piece of a message is.
pub(super) enum Piece {
    /// Part of the header, held back.
    Held,
    /// All that was held and this piece: the header ends at this octet.
    Header(Bytes, usize),
    /// Part of the body.
    Body(Bytes),
    /// The header has more octets than it may.
    TooLong,
}

impl Default for Head {
    fn default() -> Self {
        Self::Coming {
            held: BytesMut::new(),
            seen: 0,
        }
    }
}

impl Head {
    /// Takes the next octets of a message whose header may have `limit`. Each
    /// octet is looked at and copied a bounded number of times, however small
    /// the pieces are.
    pub(super) fn take(&mut self, octets: Bytes, limit: u64) -> Piece {
        let Self::Coming { held, seen } = self else {
            return Piece::Body(octets);
        };
        let within = |octets: usize| octets as u64 <= limit;
        if held.is_empty()
            && let Some(at) = end(&octets, 0)
            && within(at)
        {
            *self = Self::Past;
            return Piece::Header(octets, at);
        }
        held.extend_from_slice(&octets);
        match end(held, *seen) {
            Some(at) if within(at) => {
                let held = std::mem::take(held).freeze();
                *self = Self::Past;
                Piece::Header(held, at)
            }
            None if within(held.len()) => {
                // What follows the last two octets was not all here.
                *seen = held.len().saturating_sub(2);
                Piece::Held
            }
            _ => Piece::TooLong,
        }
    }

    /// The message is over: all that is held is header, and may be empty.
    pub(super) fn finish(&mut self) -> Option<Bytes> {
        match std::mem::replace(self, Self::Past) {
            Self::Coming { held, .. } => Some(held.freeze()),
            Self::Past => None,
        }
    }
}

/// Where the body starts: behind the first empty line, of which no line end
/// before `from` is the beginning.
fn end(octets: &[u8], from: usize) -> Option<usize> {
    let blank = |at: usize| match octets.get(at..).unwrap_or_default() {
        [b'\n', ..] => Some(at + 1),
        [b'\r', b'\n', ..] => Some(at + 2),
        _ => None,
    };
    let rest = octets.get(from..).unwrap_or_default();
    blank(0).or_else(|| memchr_iter(b'\n', rest).find_map(|at| blank(from + at + 1)))
}

/// Lines taken out of a header and put before it.
#[derive(Debug, Default)]
struct Edits {
    removed: Vec<Range<usize>>,
    added: Vec<u8>,
}

impl Edits {
    fn apply(mut self, header: &[u8]) -> Option<Vec<u8>> {
        if self.removed.is_empty() && self.added.is_empty() {
            return None;
        }
        self.removed.sort_by_key(|range| range.start);
        let mut edited = self.added;
        let mut from = 0;
        for range in self.removed {
            edited.extend_from_slice(header.get(from..range.start).unwrap_or_default());
            from = range.end.max(from);
        }
        edited.extend_from_slice(header.get(from..).unwrap_or_default());
        Some(edited)
    }
}

impl Transaction {
    /// The header is whole: its new octets, when it was changed.
    pub(super) async fn admit_header(&mut self, octets: &[u8]) -> Result<Option<Vec<u8>>, Refusal> {
        let header = Header::new(octets);
        let mut edits = Edits::default();
        let kind = self.session.filter.door;
        // Binary content may hold any octets, its header not (RFC 3030 section
        // 3): others could read other fields in it.
        if kind != SessionKind::Local && !is_of_lines(octets) {
            let why = "the header holds a NUL, or a line that does not end with CRLF";
            return Err(Status::permanent(6, 0, why).into());
        }
        let hostname = &self.intake.parts.hostname;
        for field in header.fields() {
            // Whoever reads the message must not see who had a blind copy (RFC
            // 5322 sections 3.6.3 and 3.6.6); the envelope has the recipients.
            let blind = field.is("Bcc") || field.is("Resent-Bcc");
            if is_forged(&field, kind, hostname) || (blind && kind.is_of_the_house()) {
                edits.removed.push(field.range);
            }
        }
        match kind {
            SessionKind::Submission => self.check_submitted(octets, &mut edits).await?,
            SessionKind::Mx if header.all("From").nth(1).is_some() => {
                // Readers show one and filters judge the other.
                return Err(twice("From"));
            }
            SessionKind::Mx | SessionKind::Lmtp | SessionKind::Local => {}
        }
        Ok(edits.apply(octets))
    }

    async fn check_submitted(&mut self, octets: &[u8], edits: &mut Edits) -> Result<(), Refusal> {
        let header = Header::new(octets);
        let stray =
            |octet: &u8| octet.is_ascii_control() && !matches!(octet, b'\r' | b'\n' | b'\t');
        if header
            .fields()
            .any(|field| field.name.iter().chain(field.raw).any(stray))
        {
            let why = "a header field holds a control character; encode it (RFC 2047)";
            return Err(Status::permanent(6, 0, why).into());
        }
        for name in SINGLE {
            if header.all(name).nth(1).is_some() {
                return Err(twice(name));
            }
        }
        let Some(from) = header.first("From") else {
            return self.add_from(edits).await;
        };
        let from = mailboxes(&from)?;
        let sender = header.first("Sender");
        let mut own = true;
        for address in &from {
            own &= self.is_own(address.as_ref()).await?;
        }
        let sender_is_own = match &sender {
            Some(field) => match mailboxes(field)?.as_slice() {
                [address] => self.is_own(address.as_ref()).await?,
                _ => false,
            },
            None => true,
        };
        let lacks_sender = from.len() > 1 && sender.is_none();
        match self.intake.policy.from {
            ForeignFrom::Refuse if !own => Err(foreign("From")),
            ForeignFrom::Refuse if !sender_is_own => Err(foreign("Sender")),
            ForeignFrom::Refuse if lacks_sender => {
                let why = "several From addresses need a Sender field (RFC 5322 section 3.6.2)";
                Err(Status::permanent(6, 0, why).into())
            }
            ForeignFrom::AddSender
                if !sender_is_own || lacks_sender || (!own && sender.is_none()) =>
            {
                edits.removed.extend(sender.map(|field| field.range));
                self.add_address("Sender", edits).await
            }
            ForeignFrom::Refuse | ForeignFrom::AddSender => Ok(()),
        }
    }

    /// A message without author is its sender's (RFC 6409 section 8).
    async fn add_from(&mut self, edits: &mut Edits) -> Result<(), Refusal> {
        if let Some(address) = self.envelope.reverse_path.address() {
            let mut writer = HeaderWriter::new();
            writer.structured("From", format_args!("<{address}>"));
            edits.added.extend(writer.finish());
            return Ok(());
        }
        self.add_address("From", edits).await
    }

    /// A field with the address of whoever logged in.
    async fn add_address(&mut self, name: &str, edits: &mut Edits) -> Result<(), Refusal> {
        let (Some(identity), Some(directory)) =
            (&self.session.filter.identity, &self.intake.parts.directory)
        else {
            return Ok(());
        };
        let account = directory.account(&identity.account).await.map_err(down)?;
        if let Some(account) = account {
            let mut writer = HeaderWriter::new();
            writer.structured(name, format_args!("<{}>", account.address));
            edits.added.extend(writer.finish());
        }
        Ok(())
    }

    /// True when whoever logged in may write as this address; `None` is one that
    /// nobody can have.
    async fn is_own(&mut self, address: Option<&Address>) -> Result<bool, Refusal> {
        let (Some(identity), Some(directory)) =
            (&self.session.filter.identity, &self.intake.parts.directory)
        else {
            return Ok(true);
        };
        match address {
            Some(address) => directory
                .may_send_as(&identity.account, address)
                .await
                .map_err(down),
            None => Ok(false),
        }
    }
}

impl SessionKind {
    /// True for mail that our own users and programs write.
    fn is_of_the_house(self) -> bool {
        matches!(self, Self::Submission | Self::Local)
    }
}

/// True when every CR is followed by LF and every LF preceded by CR, and there
/// is no NUL.
fn is_of_lines(octets: &[u8]) -> bool {
    let mut before = 0;
    for octet in octets {
        if (before == b'\r') != (*octet == b'\n') || *octet == 0 {
            return false;
        }
        before = *octet;
    }
    before != b'\r'
}

/// The addresses of a field; at least one.
fn mailboxes(field: &Field<'_>) -> Result<Vec<Option<Address>>, Refusal> {
    let all = parse_addresses(field.raw, 2 * MAX_FROM + 2);
    let found: Vec<Option<Address>> = all
        .iter()
        .filter_map(|entry| entry.mailbox())
        .map(|mailbox| {
            let local = std::str::from_utf8(&mailbox.local_part).ok()?;
            let host = std::str::from_utf8(&mailbox.host).ok()?;
            Address::new(local, Domain::parse(host).ok()?).ok()
        })
        .collect();
    if (1..=MAX_FROM).contains(&found.len()) {
        return Ok(found);
    }
    let name = String::from_utf8_lossy(field.name);
    let why = format!("the {name} field must name one to {MAX_FROM} addresses");
    Err(Status::permanent(6, 0, why).into())
}

fn twice(name: &str) -> Refusal {
    let why = format!("the message has two {name} fields (RFC 5322 section 3.6)");
    Status::permanent(6, 0, why).into()
}

fn foreign(name: &str) -> Refusal {
    let why = format!("an address in the {name} field is not yours");
    Status::permanent(7, 1, why).into()
}

fn down(error: DirectoryError) -> Refusal {
    tracing::warn!(%error, "can't check the author");
    Status::transient(4, 3, "the directory does not answer; try again").into()
}

pub(super) fn too_long(limit: u64) -> Refusal {
    let why = format!("the header is larger than {limit} octets");
    Status::permanent(3, 4, why).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_lines_taken_out_are_gone_and_the_rest_is_as_it_was() {
        let header = b"A: 1\r\nBcc: x\r\n y\r\nB: 2\r\nReturn-Path: <>\r\n\r\n";
        let mut edits = Edits::default();
        for field in Header::new(header).fields() {
            if field.is("Bcc") || field.is("Return-Path") {
                edits.removed.push(field.range);
            }
        }
        edits.added.extend(b"Sender: <s@x.test>\r\n");
        let edited = edits.apply(header).unwrap();
        assert_eq!(edited, b"Sender: <s@x.test>\r\nA: 1\r\nB: 2\r\n\r\n");
        assert!(Edits::default().apply(header).is_none());
    }

    #[test]
    fn a_header_that_comes_octet_by_octet_is_searched_once() {
        let mut head = Head::default();
        let lines = "a\r\n".repeat(100_000);
        for octet in lines.into_bytes() {
            let piece = head.take(Bytes::from(vec![octet]), 1_000_000);
            assert!(matches!(piece, Piece::Held));
        }
        let Head::Coming { held, seen } = &head else {
            panic!("{head:?}");
        };
        assert_eq!(held.len() - seen, 2);
        let piece = head.take(Bytes::from_static(b"\r\nbody"), 1_000_000);
        assert!(matches!(piece, Piece::Header(all, 300_002) if all.ends_with(b"\r\n\r\nbody")));
    }

    #[test]
    fn only_crlf_ends_the_lines_of_a_header() {
        for (text, of_lines) in [
            (&b""[..], true),
            (b"a\r\nb\r\n\r\n", true),
            (b"a", true),
            (b"a\r\nb\n\r\n", false),
            (b"\n", false),
            (b"a\rb\r\n", false),
            (b"a\r\r\n", false),
            (b"a\r", false),
            (b"a\0\r\n", false),
        ] {
            assert_eq!(is_of_lines(text), of_lines, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn a_header_ends_where_its_reader_says_at_any_split(
            text in "([a-c]{0,3}\r\n){0,6}[a-c\r\n]{0,9}",
            sizes in proptest::collection::vec(1usize..6, 1..8),
        ) {
            let mut head = Head::default();
            let mut rest = Bytes::from(text.clone());
            let mut sizes = sizes.iter().cycle();
            let mut ends = None;
            while !rest.is_empty() && ends.is_none() {
                let piece = rest.split_to((*sizes.next().unwrap()).min(rest.len()));
                if let Piece::Header(_, at) = head.take(piece, 1_000) {
                    ends = Some(at);
                }
            }
            let whole = Header::new(text.as_bytes()).section_len();
            prop_assert_eq!(ends.or(head.finish().map(|held| held.len())), Some(whole));
        }
    }
}
