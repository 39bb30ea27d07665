//! [`BodyStructure`]: the tree of a message's parts, as BODYSTRUCTURE tells it
//! (RFC 9051 section 7.5.2).

use mailcore::message::HeaderEnvelope;

use super::MAX_VALUES;
use super::envelope::envelope;
use super::reader::{Reader, Value};

/// Parts read of one message; the rest is left out.
const MAX_PARTS: usize = 10_000;

/// A part and those within it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum BodyStructure {
    /// Parts side by side.
    Multipart {
        /// `mixed`, `alternative`, in the server's case.
        subtype: String,
        /// The parts, in order.
        parts: Vec<BodyStructure>,
        /// Content-Type's parameters, where the server tells them.
        parameters: Vec<(String, String)>,
    },
    /// A part without parts.
    Single(Box<SinglePart>),
}

/// A part without parts, or a message within the message.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct SinglePart {
    /// `text`, `image`, in the server's case.
    pub media_type: String,
    /// `plain`, `png`, in the server's case.
    pub subtype: String,
    /// Content-Type's parameters.
    pub parameters: Vec<(String, String)>,
    /// Content-ID.
    pub id: Option<String>,
    /// Content-Description.
    pub description: Option<String>,
    /// Content-Transfer-Encoding.
    pub encoding: Option<String>,
    /// Octets as transferred, where the server knows.
    pub size: Option<u64>,
    /// Lines, of text and of messages.
    pub lines: Option<u64>,
    /// The message within, for `message/rfc822` and `message/global`.
    pub message: Option<(HeaderEnvelope, BodyStructure)>,
    /// Content-Disposition and its parameters.
    pub disposition: Option<(String, Vec<(String, String)>)>,
}

/// Reads what stands between the parentheses. None for what is too deep or no
/// structure.
pub(super) fn structure(reader: Reader<'_>) -> Option<BodyStructure> {
    part(reader, &mut { MAX_PARTS })
}

fn part(mut reader: Reader<'_>, left: &mut usize) -> Option<BodyStructure> {
    *left = left.checked_sub(1)?;
    reader.spaces();
    if reader.peek() != Some(b'(') {
        return single(reader, left).map(|part| BodyStructure::Single(Box::new(part)));
    }
    let mut parts = Vec::new();
    while reader.peek() == Some(b'(') {
        let Some(Value::List(inner)) = reader.value() else {
            return None;
        };
        parts.push(part(reader.enter(inner)?, left)?);
        reader.spaces();
    }
    Some(BodyStructure::Multipart {
        subtype: text(&mut reader).unwrap_or_default(),
        parameters: parameters(&mut reader),
        parts,
    })
}

fn single(mut reader: Reader<'_>, left: &mut usize) -> Option<SinglePart> {
    let mut part = SinglePart {
        media_type: text(&mut reader).unwrap_or_default(),
        subtype: text(&mut reader).unwrap_or_default(),
        parameters: parameters(&mut reader),
        id: text(&mut reader),
        description: text(&mut reader),
        encoding: text(&mut reader),
        size: reader.value().and_then(Value::number),
        ..SinglePart::default()
    };
    if part.media_type.eq_ignore_ascii_case("message") {
        // Some servers leave these out, and the extension data follows.
        let mut ahead = reader.clone();
        if let (Some(Value::List(head)), Some(Value::List(body))) = (ahead.value(), ahead.value()) {
            let head = envelope(reader.enter(head)?);
            part.message = Some((head, self::part(reader.enter(body)?, left)?));
            part.lines = ahead.value().and_then(Value::number);
            reader = ahead;
        }
    } else if part.media_type.eq_ignore_ascii_case("text") {
        part.lines = reader.value().and_then(Value::number);
    }
    // body-ext-1part: MD5, disposition, language, location.
    reader.value();
    part.disposition = disposition(&mut reader);
    Some(part)
}

fn text(reader: &mut Reader<'_>) -> Option<String> {
    reader.value()?.text()
}

fn parameters(reader: &mut Reader<'_>) -> Vec<(String, String)> {
    let Some(Value::List(inner)) = reader.value() else {
        return Vec::new();
    };
    let mut values = Reader::new(inner, 1).values();
    let pair = || {
        let name = values.next()?.text().unwrap_or_default();
        let value = values.next()?.text().unwrap_or_default();
        Some((name, value))
    };
    std::iter::from_fn(pair).take(MAX_VALUES).collect()
}

fn disposition(reader: &mut Reader<'_>) -> Option<(String, Vec<(String, String)>)> {
    match reader.value()? {
        Value::List(inner) => {
            let mut reader = reader.enter(inner)?;
            Some((text(&mut reader)?, parameters(&mut reader)))
        }
        other => Some((other.text()?, Vec::new())),
    }
}

impl BodyStructure {
    /// The part of this number, counted as in `BODY[1.2]`.
    pub fn at(&self, path: &[u32]) -> Option<&Self> {
        let Some((&number, rest)) = path.split_first() else {
            return Some(self);
        };
        let index = usize::try_from(number.checked_sub(1)?).ok()?;
        match self {
            Self::Multipart { parts, .. } => parts.get(index)?.at(rest),
            Self::Single(part) => match &part.message {
                Some((_, inner @ Self::Multipart { .. })) => inner.at(path),
                Some((_, inner)) if index == 0 => inner.at(rest),
                None if index == 0 && rest.is_empty() => Some(self),
                _ => None,
            },
        }
    }
}
