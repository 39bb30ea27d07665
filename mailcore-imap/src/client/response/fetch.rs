//! [`Fetched`]: what a FETCH response tells of a message.

use mailcore::mailbox::{Flags, ModSeq, Uid};
use mailcore::message::{DateTime, HeaderEnvelope};

use super::reader::{Reader, STREAMED, Value};
use super::structure::{BodyStructure, structure};
use super::values::{date, flags};
use super::{MAX_VALUES, envelope, words};

/// What a FETCH response tells of a message. What was not asked for, or could
/// not be read, is absent.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Fetched {
    /// Its sequence number.
    pub number: u32,
    /// `UID`.
    pub uid: Option<Uid>,
    /// `FLAGS`, `\Recent` left out.
    pub flags: Option<Flags>,
    /// True when FLAGS named `\Recent`.
    pub recent: bool,
    /// `INTERNALDATE`.
    pub internal_date: Option<DateTime>,
    /// `RFC822.SIZE`.
    pub size: Option<u64>,
    /// `MODSEQ`.
    pub modseq: Option<ModSeq>,
    /// `EMAILID` (RFC 8474), or Gmail's `X-GM-MSGID`.
    pub email_id: Option<String>,
    /// `THREADID` (RFC 8474), or Gmail's `X-GM-THRID`.
    pub thread_id: Option<String>,
    /// `SAVEDATE` (RFC 8514).
    pub save_date: Option<DateTime>,
    /// `X-GM-LABELS`: Gmail's mailboxes and stars.
    pub gmail_labels: Vec<String>,
    /// `ENVELOPE`.
    pub envelope: Option<Box<HeaderEnvelope>>,
    /// `BODYSTRUCTURE`, or `BODY` without a section.
    pub structure: Option<Box<BodyStructure>>,
    /// `BINARY.SIZE`, by section.
    pub binary_sizes: Vec<(String, u64)>,
}

/// Which octets of a message came.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BodyKey {
    /// What stands between the brackets, in upper case: empty for the whole
    /// message, `HEADER`, `1.2`, `1.MIME`.
    pub section: String,
    /// The first octet's place, where a part of the section was asked for.
    pub origin: Option<u64>,
    /// Whether the transfer encoding was undone.
    pub encoding: Encoding,
}

impl BodyKey {
    /// True for the whole message.
    pub fn is_whole(&self) -> bool {
        self.section.is_empty() && self.origin.is_none()
    }

    fn of(section: &str) -> Self {
        Self {
            section: section.to_owned(),
            origin: None,
            encoding: Encoding::AsStored,
        }
    }
}

/// Whether a part's content transfer encoding was undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// `BODY`: as the message has it.
    AsStored,
    /// `BINARY`: decoded by the server (RFC 3516).
    Decoded,
}

/// The octets of one item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::client) enum Octets {
    /// There are none: `NIL`.
    Absent,
    /// In place, as a quoted string.
    Held(Vec<u8>),
    /// They came as a literal and were handed out.
    Streamed,
}

/// A response, and the octets within it.
#[derive(Debug, Clone, PartialEq, Default)]
pub(in crate::client) struct FetchResponse {
    pub(in crate::client) fetched: Fetched,
    pub(in crate::client) bodies: Vec<(BodyKey, Octets)>,
}

/// Reads what follows `FETCH`.
pub(super) fn fetch(number: u32, mut reader: Reader<'_>) -> FetchResponse {
    let mut response = FetchResponse::default();
    response.fetched.number = number;
    reader.spaces();
    reader.eat(b'(');
    for _ in 0..MAX_VALUES {
        reader.spaces();
        // Something unreadable, or a parenthesis too many: the items so far
        // are good.
        let Some(name) = item_name(&mut reader) else {
            return response;
        };
        reader.spaces();
        let value = reader.value();
        response.take(&name, value, &reader);
    }
    response
}

/// The item whose literal is announced where `head` ends, and what the response
/// said of the message before.
pub(in crate::client) fn head(head: &[u8], depth: usize) -> Option<(FetchResponse, BodyKey)> {
    let mut reader = Reader::new(head, depth);
    reader.word();
    let number = std::str::from_utf8(reader.word()).ok()?.parse().ok()?;
    reader.word();
    reader.spaces();
    reader.eat(b'(');
    let mut response = FetchResponse::default();
    response.fetched.number = number;
    loop {
        reader.spaces();
        let name = item_name(&mut reader)?;
        match reader.value() {
            None => return Some((response, body_key(&name)?)),
            value => response.take(&name, value, &reader),
        }
    }
}

/// `msg-att` up to its value: a word, a section in brackets, an origin.
fn item_name(reader: &mut Reader<'_>) -> Option<String> {
    let mut name = reader
        .take_while(|b| !matches!(b, b' ' | b'(' | b')' | b'[' | b'"' | STREAMED))
        .to_ascii_uppercase();
    if reader.peek() == Some(b'[') {
        name.extend(reader.take_while(|b| b != b']').to_ascii_uppercase());
        reader.eat(b']');
        name.push(b']');
        if reader.peek() == Some(b'<') {
            name.extend(reader.take_while(|b| !matches!(b, b' ' | b')')));
        }
    }
    (!name.is_empty()).then(|| String::from_utf8_lossy(&name).into_owned())
}

/// The octets an item names, if it names some.
fn body_key(name: &str) -> Option<BodyKey> {
    let (head, rest) = match name {
        "RFC822" => return Some(BodyKey::of("")),
        "RFC822.HEADER" => return Some(BodyKey::of("HEADER")),
        "RFC822.TEXT" => return Some(BodyKey::of("TEXT")),
        _ => name.split_once('[')?,
    };
    let encoding = match head {
        "BODY" | "BODY.PEEK" => Encoding::AsStored,
        "BINARY" | "BINARY.PEEK" => Encoding::Decoded,
        _ => return None,
    };
    let (section, origin) = rest.rsplit_once(']')?;
    let origin = origin.strip_prefix('<').and_then(|it| it.strip_suffix('>'));
    Some(BodyKey {
        section: section.to_owned(),
        origin: origin.and_then(|origin| origin.split('.').next()?.parse().ok()),
        encoding,
    })
}

impl FetchResponse {
    fn take(&mut self, name: &str, value: Option<Value<'_>>, reader: &Reader<'_>) {
        let Some(value) = value else { return };
        if let Some(key) = body_key(name) {
            let octets = match value {
                Value::Streamed(_) => Octets::Streamed,
                other => match other.octets() {
                    Some(octets) => Octets::Held(octets.into_owned()),
                    None => Octets::Absent,
                },
            };
            return self.bodies.push((key, octets));
        }
        self.fetched.take(name, value, reader);
    }
}

impl Fetched {
    fn take(&mut self, name: &str, value: Value<'_>, reader: &Reader<'_>) {
        match name {
            "UID" => self.uid = value.number32().and_then(Uid::new),
            "FLAGS" => {
                let (flags, marks) = flags(value);
                (self.flags, self.recent) = (Some(flags), marks.recent);
            }
            "INTERNALDATE" => self.internal_date = date(value),
            "RFC822.SIZE" => self.size = value.number(),
            "MODSEQ" => self.modseq = value.number().and_then(ModSeq::new),
            "EMAILID" | "X-GM-MSGID" => self.email_id = id(value),
            "THREADID" | "X-GM-THRID" => self.thread_id = id(value),
            "SAVEDATE" => self.save_date = date(value),
            "X-GM-LABELS" => {
                if let Value::List(inner) = value {
                    let labels = Reader::new(inner, 1).values();
                    self.gmail_labels = labels.filter_map(Value::text).take(MAX_VALUES).collect();
                }
            }
            "ENVELOPE" => {
                if let Some(inner) = enter(reader, &value) {
                    self.envelope = Some(Box::new(envelope::envelope(inner)));
                }
            }
            "BODY" | "BODYSTRUCTURE" => {
                let inner = enter(reader, &value);
                self.structure = inner.and_then(structure).map(Box::new);
            }
            _ => {
                let section = name.strip_prefix("BINARY.SIZE[");
                if let (Some(section), Some(size)) = (section, value.number()) {
                    let section = section.trim_end_matches(']').to_owned();
                    self.binary_sizes.push((section, size));
                }
            }
        }
    }
}

fn enter<'a>(reader: &Reader<'_>, value: &Value<'a>) -> Option<Reader<'a>> {
    match value {
        Value::List(inner) => Reader::new(inner, reader.depth()).enter(inner),
        _ => None,
    }
}

/// `(id)`, `id` or NIL.
fn id(value: Value<'_>) -> Option<String> {
    match value {
        Value::List(inner) => words(Reader::new(inner, 1))
            .next()
            .map(|id| String::from_utf8_lossy(id).into_owned()),
        other => other.text(),
    }
}
