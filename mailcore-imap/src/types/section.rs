//! [`Section`]: which octets of a message BODY\[...\] asks for.

use std::fmt;

/// Levels allowed in a part path: as deep as the part tree goes.
pub const MAX_PART_DEPTH: usize = 100;

/// `section-part = nz-number *("." nz-number)`; empty is the whole message.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PartPath(pub Vec<u32>);

impl PartPath {
    /// True when the path names the message itself.
    pub fn is_whole(&self) -> bool {
        self.0.is_empty()
    }
}

/// ```text
/// section-spec = section-msgtext / (section-part ["." section-text])
/// ```
/// RFC 3501 section 6.4.5.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// The part; the message itself when empty.
    pub part: PartPath,
    /// What of the part.
    pub text: SectionText,
}

impl Section {
    /// True when this is the whole message.
    pub fn is_whole(&self) -> bool {
        self.part.is_whole() && self.text == SectionText::Whole
    }

    /// True when this is the message's own header, or fields of it.
    pub fn is_in_header(&self) -> bool {
        let header = matches!(
            self.text,
            SectionText::Header | SectionText::Fields(_) | SectionText::FieldsNot(_)
        );
        self.part.is_whole() && header
    }
}

/// ```text
/// section-msgtext = "HEADER" / "HEADER.FIELDS" [".NOT"] SP header-list / "TEXT"
/// section-text    = section-msgtext / "MIME"
/// header-list     = "(" header-fld-name *(SP header-fld-name) ")"
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SectionText {
    /// No text specifier: the part's body, or the whole message.
    Whole,
    /// `HEADER` of the message or of a message/rfc822 part.
    Header,
    /// `HEADER.FIELDS`: only these fields. Names as the client wrote them.
    Fields(Vec<String>),
    /// `HEADER.FIELDS.NOT`: all but these fields.
    FieldsNot(Vec<String>),
    /// `TEXT`: what follows the header.
    Text,
    /// `MIME`: the part's own header.
    Mime,
}

/// `"<" number64 "." nz-number64 ">"`: octets from `start`, at most `length`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Partial {
    /// The first octet, from 0.
    pub start: u64,
    /// How many octets at most.
    pub length: u64,
}

/// As the response repeats it, brackets included.
impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (i, number) in self.part.0.iter().enumerate() {
            write!(f, "{}{number}", if i > 0 { "." } else { "" })?;
        }
        if !self.part.is_whole() && self.text != SectionText::Whole {
            f.write_str(".")?;
        }
        match &self.text {
            SectionText::Whole => {}
            SectionText::Header => f.write_str("HEADER")?,
            SectionText::Fields(names) => fields(f, "HEADER.FIELDS", names)?,
            SectionText::FieldsNot(names) => fields(f, "HEADER.FIELDS.NOT", names)?,
            SectionText::Text => f.write_str("TEXT")?,
            SectionText::Mime => f.write_str("MIME")?,
        }
        f.write_str("]")
    }
}

/// Names that are no atoms are quoted; the parser lets in only what fits a
/// quoted string.
fn fields(f: &mut fmt::Formatter<'_>, keyword: &str, names: &[String]) -> fmt::Result {
    write!(f, "{keyword} (")?;
    for (i, name) in names.iter().enumerate() {
        let space = if i > 0 { " " } else { "" };
        if name.bytes().all(crate::codec::is_astring_char) {
            write!(f, "{space}{name}")?;
        } else {
            write!(
                f,
                "{space}\"{}\"",
                name.replace('\\', "\\\\").replace('"', "\\\"")
            )?;
        }
    }
    f.write_str(")")
}
