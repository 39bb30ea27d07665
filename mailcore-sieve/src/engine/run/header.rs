//! Header sections as tests see them: split once, decoded where it is asked for.

use std::borrow::Cow;
use std::sync::Arc;

use super::{Context, Fault};
use crate::engine::Mail;
use crate::engine::mime::header::{fields, unfold};

/// Fields of one section that tests look at; sound mail has no more, and each takes
/// memory.
const MAX_FIELDS: usize = 100_000;

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
        let fields = fields(section).filter_map(|field| {
            let name = std::str::from_utf8(field.name).ok()?;
            (!name.is_empty()).then(|| Field::new(name, field.raw))
        });
        // Most fields take more than 32 octets, so that this rarely grows.
        let mut all = Vec::with_capacity((section.len() / 32).min(1024));
        all.extend(fields.take(MAX_FIELDS));
        Self { fields: all }
    }

    /// The fields of a section that the run itself holds.
    fn owned(section: &[u8]) -> Self {
        let own = |field: Field<'_>| Field {
            name: Cow::Owned(field.name.into_owned()),
            raw: Cow::Owned(field.raw.into_owned()),
            text: None,
            addresses: None,
        };
        let split = Header::split(section).fields;
        Self {
            fields: split.into_iter().map(own).collect(),
        }
    }
}

impl<'a> Context<'a> {
    /// The header of a part, 0 being the message; as edits left it.
    pub(crate) fn header(&mut self, part: usize) -> Result<&mut Header<'a>, Fault> {
        if self.headers.len() <= part {
            self.headers.resize_with(part + 1, || None);
        }
        if !matches!(self.headers.get(part), Some(Some(_))) {
            let length = self.message().header(part).len();
            self.look(length)?;
            let header = match self.written() {
                None => Header::split(self.mail.header(part)),
                Some(written) => Header::owned(written.header(part)),
            };
            if let Some(place) = self.headers.get_mut(part) {
                *place = Some(header);
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

    /// A field of a part as it stands in the message.
    pub(crate) fn field_raw(&mut self, part: usize, index: usize) -> Result<Vec<u8>, Fault> {
        let field = self.header(part)?.fields.get(index);
        let raw = field.map(|field| field.raw.to_vec()).unwrap_or_default();
        self.look(raw.len())?;
        Ok(raw)
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
