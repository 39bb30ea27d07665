//! As much of XML as reports use: elements and their text.
//!
//! There are no entities but those that XML itself has, so that nothing grows
//! when it is read, and no document type, so that nothing else is fetched.
//! Attributes are passed over.

use std::borrow::Cow;

use thiserror::Error;

/// Elements within elements.
const DEEPEST: usize = 32;

/// Why a text is no XML that is read here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum XmlError {
    /// It ends within an element or a tag.
    #[error("it ends too early")]
    Truncated,
    /// A `<` that begins nothing known.
    #[error("a tag is not well-formed")]
    Tag,
    /// An element is ended that is not the one that began last.
    #[error("an element ends that did not begin there")]
    Nesting,
    /// Elements lie too deep within each other.
    #[error("elements lie more than {DEEPEST} deep")]
    Depth,
    /// It has a document type, which reports have no use for.
    #[error("it has a document type, which no report needs")]
    DocumentType,
    /// An entity that XML itself does not have.
    #[error("it uses an entity that XML does not have")]
    Entity,
    /// There is text outside of the element, or a second element.
    #[error("there is more than one element at the top")]
    Content,
}

/// What comes next in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// An element begins; without the prefix of its name.
    Open(&'a str),
    /// Text within the innermost element.
    Text(Cow<'a, str>),
    /// The innermost element ends.
    Close(&'a str),
}

/// Reads a text from its beginning to its end, in time that grows with its length
/// alone.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    rest: &'a str,
    open: Vec<&'a str>,
    /// An element that had no content ends.
    closing: Option<&'a str>,
    /// The element at the top has ended.
    done: bool,
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self {
            rest: text.trim_start_matches('\u{feff}'),
            open: Vec::new(),
            closing: None,
            done: false,
        }
    }

    /// The next token; `None` at the end of a text that is whole.
    pub(super) fn next(&mut self) -> Result<Option<Token<'a>>, XmlError> {
        if let Some(name) = self.closing.take() {
            return Ok(Some(Token::Close(name)));
        }
        loop {
            if self.rest.is_empty() {
                return if self.done {
                    Ok(None)
                } else {
                    Err(XmlError::Truncated)
                };
            }
            let end = self.rest.find('<').unwrap_or(self.rest.len());
            if end > 0 {
                let (text, rest) = self.rest.split_at(end);
                self.rest = rest;
                if !self.open.is_empty() {
                    return Ok(Some(Token::Text(unescaped(text)?)));
                }
                if !text.trim().is_empty() {
                    return Err(XmlError::Content);
                }
            } else if let Some(token) = self.markup()? {
                return Ok(Some(token));
            }
        }
    }

    /// What begins with `<`; `None` for what says nothing.
    fn markup(&mut self) -> Result<Option<Token<'a>>, XmlError> {
        for (opening, closing) in [("<?", "?>"), ("<!--", "-->")] {
            if self.rest.starts_with(opening) {
                self.until(opening.len(), closing)?;
                return Ok(None);
            }
        }
        if self.rest.starts_with("<![CDATA[") && !self.open.is_empty() {
            let text = self.until("<![CDATA[".len(), "]]>")?;
            return Ok(Some(Token::Text(Cow::Borrowed(text))));
        }
        if self.rest.starts_with("<!") {
            return Err(XmlError::DocumentType);
        }
        if self.rest.starts_with("</") {
            let name = local(self.until(2, ">")?.trim_end())?;
            if self.open.pop() != Some(name) {
                return Err(XmlError::Nesting);
            }
            self.done = self.open.is_empty();
            return Ok(Some(Token::Close(name)));
        }
        self.element().map(Some)
    }

    fn element(&mut self) -> Result<Token<'a>, XmlError> {
        if self.done {
            return Err(XmlError::Content);
        }
        let tag = self.tag()?;
        let (tag, is_empty) = match tag.strip_suffix('/') {
            Some(tag) => (tag, true),
            None => (tag, false),
        };
        let name = local(tag.split_ascii_whitespace().next().unwrap_or_default())?;
        if tag.starts_with(|c: char| c.is_ascii_whitespace()) {
            return Err(XmlError::Tag);
        }
        if is_empty {
            self.closing = Some(name);
            self.done = self.open.is_empty();
        } else if self.open.len() == DEEPEST {
            return Err(XmlError::Depth);
        } else {
            self.open.push(name);
        }
        Ok(Token::Open(name))
    }

    /// What is between `<` and `>`, a `>` in quotes not being its end.
    fn tag(&mut self) -> Result<&'a str, XmlError> {
        let mut quote = None;
        for (at, octet) in self.rest.bytes().enumerate().skip(1) {
            match (quote, octet) {
                (None, b'"' | b'\'') => quote = Some(octet),
                (Some(begun), octet) if octet == begun => quote = None,
                (None, b'<') => return Err(XmlError::Tag),
                (None, b'>') => {
                    let tag = self.rest.get(1..at).ok_or(XmlError::Tag)?;
                    self.rest = self.rest.get(at + 1..).unwrap_or_default();
                    return Ok(tag);
                }
                _ => {}
            }
        }
        Err(XmlError::Truncated)
    }

    /// What is between the first `from` octets and `end`.
    fn until(&mut self, from: usize, end: &str) -> Result<&'a str, XmlError> {
        let rest = self.rest.get(from..).unwrap_or_default();
        let (text, rest) = rest.split_once(end).ok_or(XmlError::Truncated)?;
        self.rest = rest;
        Ok(text)
    }
}

/// A name without its prefix.
fn local(name: &str) -> Result<&str, XmlError> {
    let name = name.rsplit(':').next().unwrap_or_default();
    let fits = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    if name.is_empty() || !name.chars().all(fits) {
        return Err(XmlError::Tag);
    }
    Ok(name)
}

fn unescaped(text: &str) -> Result<Cow<'_, str>, XmlError> {
    let Some(first) = text.find('&') else {
        return Ok(Cow::Borrowed(text));
    };
    let (plain, mut rest) = text.split_at(first);
    let mut out = String::with_capacity(text.len());
    out.push_str(plain);
    while let Some(after) = rest.strip_prefix('&') {
        let (name, after) = after.split_once(';').ok_or(XmlError::Entity)?;
        out.push(entity(name).ok_or(XmlError::Entity)?);
        let end = after.find('&').unwrap_or(after.len());
        let (plain, next) = after.split_at(end);
        out.push_str(plain);
        rest = next;
    }
    Ok(Cow::Owned(out))
}

fn entity(name: &str) -> Option<char> {
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix('x') {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code)
        }
    }
}

/// Puts text into an element; what XML can't hold is left out.
pub(super) fn escape(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => {}
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<String, XmlError> {
        let mut reader = Reader::new(text);
        let mut told = String::new();
        while let Some(token) = reader.next()? {
            told += &match token {
                Token::Open(name) => format!("<{name}>"),
                Token::Text(text) => text.into_owned(),
                Token::Close(name) => format!("</{name}>"),
            };
        }
        Ok(told)
    }

    #[test]
    fn elements_and_their_text_are_read() {
        let text = "\u{feff}<?xml version='1.0'?>\n<!-- a <b> --><x:a k=\"1>2\" ><b/>&lt;&#65;&#x42; \
                    <![CDATA[<c>&amp;]]></x:a > \n";
        assert_eq!(read(text).unwrap(), "<a><b></b><AB <c>&amp;</a>");
    }

    #[test]
    fn what_is_no_report_is_refused_in_few_words() {
        let bomb = "<!DOCTYPE a [<!ENTITY b \"bbbbbb\">]><a>&b;</a>";
        assert_eq!(read(bomb), Err(XmlError::DocumentType));
        assert_eq!(read("<a>&b;</a>"), Err(XmlError::Entity));
        assert_eq!(read("<a><b></a></b>"), Err(XmlError::Nesting));
        assert_eq!(read("<a>"), Err(XmlError::Truncated));
        assert_eq!(read(""), Err(XmlError::Truncated));
        assert_eq!(read("<a></a><b></b>"), Err(XmlError::Content));
        assert_eq!(read("<a/>text"), Err(XmlError::Content));
        assert_eq!(read("<a <b>"), Err(XmlError::Tag));
        assert_eq!(read(&"<a>".repeat(100)), Err(XmlError::Depth));
    }

    proptest! {
        #[test]
        fn whatever_comes_is_read_or_refused(text in "[<>/!?&;a-c\"'=\\[\\] \\-#x:C]{0,80}|\\PC{0,80}") {
            let _ = read(&text);
        }

        #[test]
        fn text_that_is_put_in_comes_out(text in "\\PC{0,60}") {
            let mut xml = String::from("<a>");
            escape(&text, &mut xml);
            xml.push_str("</a>");
            let kept: String = text.chars().filter(|c| !matches!(c, '\u{fffe}' | '\u{ffff}')).collect();
            prop_assert_eq!(read(&xml).unwrap(), format!("<a>{kept}</a>"));
        }
    }
}
