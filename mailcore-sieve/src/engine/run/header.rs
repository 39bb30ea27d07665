//! Header sections as tests see them: split once, decoded where it is asked for.

use std::borrow::Cow;
use std::sync::Arc;

use super::{Context, Fault};

/// A header section. Edits change its fields.
#[derive(Debug)]
pub(crate) struct Header<'a> {
    pub(crate) fields: Vec<Field<'a>>,
}

/// A header field.
#[derive(Debug, Clone)]
pub(crate) struct Field<'a> {
    /// Its name, white space before the colon left out.
    pub(crate) name: Cow<'a, str>,
    /// Its value as it stands in the message, folds and all.
    pub(crate) raw: Cow<'a, [u8]>,
    text: Option<Arc<str>>,
    addresses: Option<Arc<[String]>>,
}

impl<'a> Field<'a> {
    /// A field of the message.
    fn new(name: &'a str, raw: &'a [u8]) -> Self {
        Self {
            name: Cow::Borrowed(name),
            raw: Cow::Borrowed(raw),
            text: None,
            addresses: None,
        }
    }

    /// A field that a script added; its value is neither folded nor encoded.
    pub(crate) fn added(name: String, value: &str) -> Self {
        Self {
            name: Cow::Owned(name),
            raw: Cow::Owned(value.as_bytes().to_vec()),
            text: Some(value.trim().into()),
            addresses: None,
        }
    }

    /// Whether this is its name (RFC 5228 section 2.7).
    pub(crate) fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }
}

impl<'a> Header<'a> {
    /// The fields of a header section. Lines that are no field are left out.
    pub(crate) fn split(section: &'a [u8]) -> Self {
        let mut fields = Vec::new();
        let mut rest = section;
        while !rest.is_empty() {
            let (field, after) = rest
                .split_at_checked(field_len(rest))
                .unwrap_or((rest, &[]));
            rest = after;
            if let Some(colon) = memchr::memchr(b':', field) {
                let name = field.get(..colon).unwrap_or_default().trim_ascii_end();
                let value = field.get(colon + 1..).unwrap_or_default();
                match std::str::from_utf8(name) {
                    Ok(name) if !name.is_empty() => fields.push(Field::new(name, value)),
                    _ => {}
                }
            }
        }
        Self { fields }
    }
}

/// Length of the field that this begins with, with its folded lines.
fn field_len(text: &[u8]) -> usize {
    let mut end = 0;
    for line_end in memchr::memchr_iter(b'\n', text) {
        end = line_end + 1;
        if !matches!(text.get(end), Some(b' ' | b'\t')) {
            return end;
        }
    }
    text.len().max(end)
}

/// A value without its folds (RFC 5322 section 2.2.3) and the space around it.
pub(crate) fn unfold(raw: &[u8]) -> Cow<'_, [u8]> {
    let trimmed = raw.trim_ascii();
    if memchr::memchr2(b'\r', b'\n', trimmed).is_none() {
        return Cow::Borrowed(trimmed);
    }
    trimmed
        .iter()
        .copied()
        .filter(|octet| !matches!(octet, b'\r' | b'\n'))
        .collect::<Vec<_>>()
        .into()
}

impl<'a> Context<'a> {
    /// The header of a part, 0 being the message; as edits left it.
    pub(crate) fn header(&mut self, part: usize) -> Result<&mut Header<'a>, Fault> {
        if self.headers.len() <= part {
            self.headers.resize_with(part + 1, || None);
        }
        if !matches!(self.headers.get(part), Some(Some(_))) {
            let section = self.mail.header(part);
            self.look(section.len())?;
            if let Some(place) = self.headers.get_mut(part) {
                *place = Some(Header::split(section));
            }
        }
        match self.headers.get_mut(part) {
            Some(Some(header)) => Ok(header),
            _ => Err(Fault::new("there is no such part")),
        }
    }

    /// The decoded text of a field of a part; the empty text where it is not there.
    pub(crate) fn field_text(&mut self, part: usize, index: usize) -> Result<Arc<str>, Fault> {
        let mail = self.mail;
        let Some(field) = self.header(part)?.fields.get_mut(index) else {
            return Ok(Arc::default());
        };
        if let Some(text) = &field.text {
            return Ok(Arc::clone(text));
        }
        let text: Arc<str> = mail.text(&unfold(&field.raw)).trim().into();
        field.text = Some(Arc::clone(&text));
        self.look(text.len())?;
        Ok(text)
    }

    /// The addresses of a field of a part.
    pub(crate) fn field_addresses(
        &mut self,
        part: usize,
        index: usize,
    ) -> Result<Arc<[String]>, Fault> {
        let mail = self.mail;
        let Some(field) = self.header(part)?.fields.get_mut(index) else {
            return Ok(Arc::default());
        };
        if let Some(addresses) = &field.addresses {
            return Ok(Arc::clone(addresses));
        }
        let addresses: Arc<[String]> = mail.addresses(&unfold(&field.raw)).into();
        field.addresses = Some(Arc::clone(&addresses));
        let octets = field.raw.len();
        self.look(octets)?;
        Ok(addresses)
    }

    /// The fields of this name in a part, by their index.
    pub(crate) fn fields_named(&mut self, part: usize, name: &str) -> Result<Vec<usize>, Fault> {
        // A field takes about as long as 16 octets of text.
        let header = self.header(part)?;
        let octets = header.fields.len() * 16;
        let found = header
            .fields
            .iter()
            .enumerate()
            .filter(|(_, field)| field.is(name))
            .map(|(index, _)| index)
            .collect();
        self.look(octets)?;
        Ok(found)
    }
}
