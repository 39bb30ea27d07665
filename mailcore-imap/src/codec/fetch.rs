//! Reads FETCH items and sections.

use std::sync::Arc;

use super::{Cursor, ParseError};
use crate::types::fetch::{BinaryItem, BinaryWants, BodyItem, BodyName, SetSeen};
use crate::types::section::MAX_PART_DEPTH;
use crate::types::{FetchItem, FetchItems, PartPath, Partial, Section, SectionText};

/// Items allowed in one FETCH.
const MAX_ITEMS: usize = 200;
/// Field names allowed in one section.
const MAX_FIELDS: usize = 500;

impl Cursor<'_> {
    /// ```text
    /// "ALL" / "FULL" / "FAST" / fetch-att / "(" fetch-att *(SP fetch-att) ")"
    /// ```
    ///
    /// # Errors
    /// [`ParseError::Expected`], [`ParseError::TooMuch`].
    pub fn fetch_items(&mut self) -> Result<FetchItems, ParseError> {
        for (name, items) in [
            ("ALL", FetchItems::all()),
            ("FAST", FetchItems::fast()),
            ("FULL", FetchItems::full()),
        ] {
            if self.eat_word(name) {
                return Ok(items);
            }
        }
        let mut items = FetchItems::default();
        if !self.eat(b'(') {
            items.push(self.fetch_item()?);
            return Ok(items);
        }
        for _ in 0..MAX_ITEMS {
            items.push(self.fetch_item()?);
            if self.eat(b')') {
                return Ok(items);
            }
            self.space()?;
        }
        Err(ParseError::TooMuch("items"))
    }

    /// `fetch-att`
    fn fetch_item(&mut self) -> Result<FetchItem, ParseError> {
        let name = self
            .take_while(|b| b.is_ascii_alphanumeric() || b == b'.')
            .to_ascii_uppercase();
        Ok(match name.as_slice() {
            b"UID" => FetchItem::Uid,
            b"FLAGS" => FetchItem::Flags,
            b"INTERNALDATE" => FetchItem::InternalDate,
            b"RFC822.SIZE" => FetchItem::Size,
            b"MODSEQ" => FetchItem::ModSeq,
            b"SAVEDATE" => FetchItem::SaveDate,
            b"EMAILID" => FetchItem::EmailId,
            b"THREADID" => FetchItem::ThreadId,
            b"ENVELOPE" => FetchItem::Envelope,
            b"BODYSTRUCTURE" => FetchItem::ExtendedStructure,
            b"RFC822" => older(BodyName::Rfc822, SectionText::Whole, SetSeen::Set),
            b"RFC822.HEADER" => older(BodyName::Rfc822Header, SectionText::Header, SetSeen::Peek),
            b"RFC822.TEXT" => older(BodyName::Rfc822Text, SectionText::Text, SetSeen::Set),
            b"BODY" if self.peek() != Some(b'[') => FetchItem::Structure,
            b"BODY" => self.body_item(SetSeen::Set)?,
            b"BODY.PEEK" => self.body_item(SetSeen::Peek)?,
            b"BINARY" => self.binary_item(BinaryWants::Octets(SetSeen::Set))?,
            b"BINARY.PEEK" => self.binary_item(BinaryWants::Octets(SetSeen::Peek))?,
            b"BINARY.SIZE" => self.binary_item(BinaryWants::Size)?,
            _ => return Err(ParseError::Expected("a FETCH item")),
        })
    }

    /// `section ["<" number "." nz-number ">"]`
    fn body_item(&mut self, seen: SetSeen) -> Result<FetchItem, ParseError> {
        let section = self.section()?;
        let partial = self.partial()?;
        Ok(FetchItem::Body(Arc::new(BodyItem {
            section,
            partial,
            seen,
            name: BodyName::Body,
        })))
    }

    /// `section-binary [partial]`, where `section-binary = "[" [section-part] "]"`
    /// (RFC 3516 section 7)
    fn binary_item(&mut self, wants: BinaryWants) -> Result<FetchItem, ParseError> {
        let section = self.section()?;
        if section.text != SectionText::Whole {
            return Err(ParseError::Expected("a part's number"));
        }
        let partial = match wants {
            BinaryWants::Octets(_) => self.partial()?,
            BinaryWants::Size => None,
        };
        Ok(FetchItem::Binary(Arc::new(BinaryItem {
            section,
            partial,
            wants,
        })))
    }

    /// `["<" number64 "." nz-number64 ">"]`
    fn partial(&mut self) -> Result<Option<Partial>, ParseError> {
        if !self.eat(b'<') {
            return Ok(None);
        }
        let start = self.number64()?;
        self.expect(b'.', "the length of the partial")?;
        let length = self.number64()?;
        self.expect(b'>', "the end of the partial")?;
        if length == 0 {
            return Err(ParseError::Expected("a length above zero"));
        }
        Ok(Some(Partial { start, length }))
    }

    /// `section = "[" [section-spec] "]"`
    pub(crate) fn section(&mut self) -> Result<Section, ParseError> {
        self.expect(b'[', "a section")?;
        let mut part = PartPath::default();
        let mut text = SectionText::Whole;
        while self.peek().is_some_and(|b| b.is_ascii_digit()) {
            if part.0.len() >= MAX_PART_DEPTH {
                return Err(ParseError::TooMuch("parts in a section"));
            }
            match self.number()? {
                0 => return Err(ParseError::Expected("a part number above zero")),
                number => part.0.push(number),
            }
            if !self.eat(b'.') {
                self.expect(b']', "the end of the section")?;
                return Ok(Section { part, text });
            }
        }
        if part.is_whole() && self.eat(b']') {
            return Ok(Section { part, text });
        }
        text = self.section_text(&part)?;
        self.expect(b']', "the end of the section")?;
        Ok(Section { part, text })
    }

    /// `section-text = section-msgtext / "MIME"`
    fn section_text(&mut self, part: &PartPath) -> Result<SectionText, ParseError> {
        let name = self
            .take_while(|b| b.is_ascii_alphabetic() || b == b'.')
            .to_ascii_uppercase();
        Ok(match name.as_slice() {
            b"HEADER" => SectionText::Header,
            b"TEXT" => SectionText::Text,
            b"MIME" if !part.is_whole() => SectionText::Mime,
            b"HEADER.FIELDS" => SectionText::Fields(self.header_list()?),
            b"HEADER.FIELDS.NOT" => SectionText::FieldsNot(self.header_list()?),
            _ => {
                return Err(ParseError::Expected(
                    "HEADER, HEADER.FIELDS, TEXT or MIME of a part",
                ));
            }
        })
    }

    /// `SP header-list = "(" header-fld-name *(SP header-fld-name) ")"`
    fn header_list(&mut self) -> Result<Vec<String>, ParseError> {
        self.space()?;
        self.expect(b'(', "a list of header fields")?;
        let mut names = Vec::new();
        for _ in 0..MAX_FIELDS {
            let name = self.astring_utf8()?;
            // The response repeats the name, in a quoted string at most.
            if name.chars().any(char::is_control) || !name.is_ascii() {
                return Err(ParseError::Expected("a header field's name"));
            }
            names.push(name);
            if self.eat(b')') {
                return Ok(names);
            }
            self.space()?;
        }
        Err(ParseError::TooMuch("header fields"))
    }
}

/// The names that came before sections.
fn older(name: BodyName, text: SectionText, seen: SetSeen) -> FetchItem {
    let section = Section {
        part: PartPath::default(),
        text,
    };
    FetchItem::Body(Arc::new(BodyItem {
        section,
        partial: None,
        seen,
        name,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section_of(text: &str) -> Option<String> {
        let mut cursor = Cursor::new(text.as_bytes());
        let items = cursor.fetch_items().ok()?;
        cursor.end().ok()?;
        match items.at(0)? {
            FetchItem::Body(body) => Some(body.section.to_string()),
            _ => None,
        }
    }

    #[test]
    fn sections_are_repeated_as_asked() {
        for same in [
            "[]",
            "[HEADER]",
            "[TEXT]",
            "[1]",
            "[1.2.3]",
            "[4.1.MIME]",
            "[4.HEADER]",
            "[HEADER.FIELDS (From To)]",
        ] {
            assert_eq!(
                section_of(&format!("BODY.PEEK{same}")).as_deref(),
                Some(same)
            );
        }
        assert_eq!(
            section_of("BODY[header.fields.not (\"X Y\")]<3.9>").unwrap(),
            "[HEADER.FIELDS.NOT (\"X Y\")]"
        );
    }

    #[test]
    fn sections_off_the_grammar_are_refused() {
        for bad in [
            "BODY[MIME]",
            "BODY[0]",
            "BODY[1.]",
            "BODY[.1]",
            "BODY[1.FOO]",
            "BODY[]<0.0>",
            "BODY[]<1>",
            "BODY[HEADER.FIELDS ()]",
            "(FLAGS",
            "()",
            "FLAGSX",
        ] {
            let mut cursor = Cursor::new(bad.as_bytes());
            let read = cursor.fetch_items().and_then(|_| cursor.end());
            assert!(read.is_err(), "{bad}");
        }
    }
}
