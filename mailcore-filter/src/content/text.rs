//! The texts of a message: [`FieldText`] of its header, [`Text`] of its parts.

use mailcore::message::{ContentFields, Field, decode::header_text};

use super::html::Html;

/// A header field as text.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FieldText {
    /// Its name, as written; empty for a line that is no field.
    pub name: String,
    /// Its value on one line, as written; octets that are no UTF-8 as U+FFFD.
    pub raw: String,
    /// The same with its encoded-words decoded (RFC 2047).
    pub text: String,
}

impl FieldText {
    pub(super) fn read(field: &Field<'_>) -> Self {
        let value = field.value();
        Self {
            name: String::from_utf8_lossy(field.name).into_owned(),
            raw: String::from_utf8_lossy(&value).into_owned(),
            text: header_text(&value),
        }
    }
}

/// The text of one part.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Text {
    /// Which of [`Summary::parts`](mailcore::message::Summary::parts) it is.
    pub part: usize,
    /// Where it stands.
    pub placement: Placement,
    /// What it says.
    pub body: TextBody,
}

/// Where a text stands in its message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// It is what the message says.
    Inline,
    /// It is a file that comes with the message.
    Attached,
    /// It is in a message that comes with the message.
    Nested,
}

/// A text in its form.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TextBody {
    /// Text that stands for itself.
    Plain(String),
    /// What is shown of a page.
    Html(Box<Html>),
}

impl Text {
    /// The text that people see.
    pub fn seen(&self) -> &str {
        match &self.body {
            TextBody::Plain(text) => text,
            TextBody::Html(html) => &html.text,
        }
    }

    /// What of it is a page.
    pub fn html(&self) -> Option<&Html> {
        match &self.body {
            TextBody::Plain(_) => None,
            TextBody::Html(html) => Some(html),
        }
    }
}

/// True for a part whose text is a page.
pub(super) fn is_html(content: &ContentFields) -> bool {
    let subtype = content.subtype.as_str();
    matches!(content.media_type.as_str(), "text" | "application")
        && matches!(subtype, "html" | "x-amp-html" | "xhtml+xml")
}

/// True for a part that is read as text.
pub(super) fn is_text(content: &ContentFields) -> bool {
    let is_code = matches!(content.subtype.as_str(), "css" | "javascript" | "rtf");
    is_html(content) || content.media_type == "text" && !is_code
}

/// True for a part that is shown as a file.
pub(super) fn is_file(content: &ContentFields) -> bool {
    let disposition = content.disposition.as_ref();
    disposition.is_some_and(|it| it.kind == "attachment") || content.file_name().is_some()
}
