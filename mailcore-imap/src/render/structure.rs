//! BODY and BODYSTRUCTURE (RFC 3501 section 7.4.2).

use mailcore::message::{ContentFields, Parameter, Part, PartKind, Summary};

use super::envelope::write_envelope;
use crate::codec::Encoder;

/// Whether extension data is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extension {
    /// BODYSTRUCTURE.
    Yes,
    /// BODY.
    No,
}

/// `body = "(" (body-type-1part / body-type-mpart) ")"` of the whole message.
pub(crate) fn write_structure(out: &mut Encoder<'_>, summary: &Summary, extension: Extension) {
    if let Some(root) = summary.parts.first() {
        write_part(out, summary, (0, root), extension);
    }
}

/// A part and what is in it. As deep as the summary, which the scanner bounds.
fn write_part(
    out: &mut Encoder<'_>,
    summary: &Summary,
    (index, part): (usize, &Part),
    extension: Extension,
) {
    out.raw("(");
    match &part.kind {
        PartKind::Multipart => {
            for child in summary.children(index) {
                write_part(out, summary, child, extension);
            }
            out.raw(" ").string(part.content.subtype.as_bytes());
            if extension == Extension::Yes {
                out.raw(" ");
                write_parameters(out, &part.content.parameters);
                write_common_extension(out, &part.content);
            }
        }
        // A client of RFC 3501 reads an envelope after message/rfc822 alone;
        // message/global is a basic type to it.
        PartKind::Message(envelope) if part.content.subtype == "rfc822" => {
            write_fields(out, part, "message", &part.content.subtype);
            out.raw(" ");
            write_envelope(out, envelope);
            out.raw(" ");
            for child in summary.children(index) {
                write_part(out, summary, child, extension);
            }
            out.raw(" ").number(part.lines);
            write_single_extension(out, part, extension);
        }
        PartKind::Leaf | PartKind::Message(_) => write_leaf(out, part, extension),
    }
    out.raw(")");
}

/// `body-type-basic / body-type-text`. A multipart or message whose inside is
/// not known can't be told as one: the grammar asks for what is in it.
fn write_leaf(out: &mut Encoder<'_>, part: &Part, extension: Extension) {
    let content = &part.content;
    let (media_type, subtype) = match content.media_type.as_str() {
        "multipart" => ("text", "plain"),
        "message" if content.subtype == "rfc822" => ("application", "octet-stream"),
        media_type => (media_type, content.subtype.as_str()),
    };
    write_fields(out, part, media_type, subtype);
    if media_type == "text" {
        out.raw(" ").number(part.lines);
    }
    write_single_extension(out, part, extension);
}

/// `media-type SP media-subtype SP body-fields`
fn write_fields(out: &mut Encoder<'_>, part: &Part, media_type: &str, subtype: &str) {
    let content = &part.content;
    out.string(media_type.as_bytes())
        .raw(" ")
        .string(subtype.as_bytes())
        .raw(" ");
    write_parameters(out, &content.parameters);
    out.raw(" ").nstring(content.id.as_deref());
    out.raw(" ").nstring(content.description.as_deref());
    out.raw(" ").string(content.encoding.as_bytes());
    out.raw(" ").number(part.body_len());
}

/// `body-fld-param = "(" string SP string *(SP string SP string) ")" / nil`
fn write_parameters(out: &mut Encoder<'_>, parameters: &[Parameter]) {
    if parameters.is_empty() {
        out.raw("NIL");
        return;
    }
    for (i, parameter) in parameters.iter().enumerate() {
        out.raw(if i > 0 { " " } else { "(" });
        out.string(parameter.name.as_bytes())
            .raw(" ")
            .string(&parameter.value);
    }
    out.raw(")");
}

/// `body-ext-1part`
fn write_single_extension(out: &mut Encoder<'_>, part: &Part, extension: Extension) {
    if extension == Extension::Yes {
        out.raw(" ").nstring(part.content.md5.as_deref());
        write_common_extension(out, &part.content);
    }
}

/// `SP body-fld-dsp SP body-fld-lang SP body-fld-loc`
fn write_common_extension(out: &mut Encoder<'_>, content: &ContentFields) {
    match &content.disposition {
        Some(disposition) => {
            out.raw(" (").string(disposition.kind.as_bytes()).raw(" ");
            write_parameters(out, &disposition.parameters);
            out.raw(")");
        }
        None => {
            out.raw(" NIL");
        }
    }
    match content.language.as_slice() {
        [] => out.raw(" NIL"),
        [only] => out.raw(" ").string(only),
        several => {
            for (i, tag) in several.iter().enumerate() {
                out.raw(if i > 0 { " " } else { " (" }).string(tag);
            }
            out.raw(")")
        }
    };
    out.raw(" ").nstring(content.location.as_deref());
}
