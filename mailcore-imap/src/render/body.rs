//! BODY\[...\]: where a section's octets are, and header fields picked from a
//! header (RFC 3501 section 6.4.5).

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use mailcore::message::{Header, Section as Place, Summary};

use crate::codec::Encoder;
use crate::types::fetch::{BinaryItem, BodyItem, BodyName};
use crate::types::{Partial, Section, SectionText};

/// Where a section lies in its message; `None` when there is no such section.
/// For picked fields: the header they are picked from.
pub(crate) fn locate(summary: &Summary, section: &Section) -> Option<Range<u64>> {
    let place = match section.text {
        SectionText::Whole => Place::Body,
        SectionText::Header | SectionText::Fields(_) | SectionText::FieldsNot(_) => Place::Header,
        SectionText::Text => Place::Text,
        SectionText::Mime => Place::Mime,
    };
    summary.range(&section.part.0, place)
}

/// True when the section is made from a header rather than cut out.
pub(crate) fn picks_fields(section: &Section) -> bool {
    matches!(
        section.text,
        SectionText::Fields(_) | SectionText::FieldsNot(_)
    )
}

/// Fields of a header.
#[derive(Debug)]
pub(crate) struct Picked {
    header: Bytes,
    /// Where they lie; neighbours are one.
    places: Vec<Range<usize>>,
}

impl Picked {
    /// The fields that the section asks for.
    pub(crate) fn of(header: Bytes, section: &Section) -> Self {
        let (names, keep): (&[String], bool) = match &section.text {
            SectionText::Fields(names) => (names, true),
            SectionText::FieldsNot(names) => (names, false),
            _ => (&[], false),
        };
        let mut places: Vec<Range<usize>> = Vec::new();
        for field in Header::new(&header).fields() {
            // A line that is no field has no name and goes with "all but".
            if names.iter().any(|name| field.is(name)) != keep {
                continue;
            }
            match places.last_mut() {
                Some(last) if last.end == field.range.start => last.end = field.range.end,
                _ => places.push(field.range),
            }
        }
        Self { header, places }
    }

    /// Octets of all, with the empty line that ends a header.
    pub(crate) fn len(&self) -> u64 {
        let fields: usize = self.places.iter().map(ExactSizeIterator::len).sum();
        fields as u64 + 2
    }

    /// The fields and the empty line.
    pub(crate) fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        let fields = self.places.iter();
        let fields = fields.filter_map(|it| self.header.get(it.clone()));
        fields.chain(std::iter::once(&b"\r\n"[..]))
    }

    /// All of them in one.
    pub(crate) fn to_bytes(&self) -> Bytes {
        self.pieces().flatten().copied().collect()
    }
}

/// What of `range` the partial asks for.
pub(crate) fn narrow(range: Range<u64>, partial: Option<Partial>) -> Range<u64> {
    let Some(partial) = partial else { return range };
    let start = range.start.saturating_add(partial.start).min(range.end);
    let end = start.saturating_add(partial.length).min(range.end);
    start..end
}

/// As [`narrow`], of octets that are here.
pub(crate) fn cut(octets: &Bytes, partial: Option<Partial>) -> Bytes {
    let range = narrow(0..octets.len() as u64, partial);
    match (usize::try_from(range.start), usize::try_from(range.end)) {
        (Ok(start), Ok(end)) => octets.slice(start..end),
        _ => Bytes::new(),
    }
}

/// The name the response gives the octets, with the partial's origin and the
/// space after it.
pub(crate) fn name(item: &BodyItem) -> Bytes {
    let mut name = BytesMut::new();
    let mut out = Encoder::new(&mut name);
    match item.name {
        BodyName::Body => out.raw("BODY").display(&item.section),
        BodyName::Rfc822 => out.raw("RFC822"),
        BodyName::Rfc822Header => out.raw("RFC822.HEADER"),
        BodyName::Rfc822Text => out.raw("RFC822.TEXT"),
    };
    if let Some(partial) = item.partial {
        out.raw("<").number(partial.start).raw(">");
    }
    out.raw(" ");
    name.freeze()
}

/// As [`name`], of a decoded part.
pub(crate) fn write_binary_name(out: &mut Encoder<'_>, item: &BinaryItem) {
    out.raw(if item.size_only() {
        "BINARY.SIZE"
    } else {
        "BINARY"
    })
    .display(&item.section);
    if let Some(partial) = item.partial {
        out.raw("<").number(partial.start).raw(">");
    }
    out.raw(" ");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::PartPath;

    fn section(text: SectionText) -> Section {
        Section {
            part: PartPath::default(),
            text,
        }
    }

    #[test]
    fn fields_are_picked_whole_and_in_their_order() {
        let header = b"A: 1\r\nSubject: x\r\n y\r\nB: 2\r\nsubject: z\r\n\r\nbody";
        let header = Bytes::from_static(header);
        let names = vec!["SUBJECT".to_owned()];
        let fields = section(SectionText::Fields(names.clone()));
        let fields = Picked::of(header.clone(), &fields);
        assert_eq!(fields.to_bytes(), "Subject: x\r\n y\r\nsubject: z\r\n\r\n");
        assert_eq!(fields.len(), fields.to_bytes().len() as u64);
        let others = section(SectionText::FieldsNot(names));
        let others = Picked::of(header, &others);
        assert_eq!(others.to_bytes(), "A: 1\r\nB: 2\r\n\r\n");
    }

    #[test]
    fn a_partial_beyond_the_end_is_empty() {
        assert_eq!(
            narrow(
                10..20,
                Some(Partial {
                    start: 15,
                    length: 5
                })
            ),
            20..20
        );
        assert_eq!(
            narrow(
                10..20,
                Some(Partial {
                    start: 8,
                    length: 5
                })
            ),
            18..20
        );
    }
}
