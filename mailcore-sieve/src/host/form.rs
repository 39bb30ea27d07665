//! What scripts made of a message, as octets: header edits applied, and what one
//! script changed under what the next one does.

use bytes::Bytes;
use mailcore::message::Header;
use mailcore::plan::Form;

use crate::engine::{self, HeaderEdit};

/// A form of a script's outcome; `header` is the header section of the message
/// that it ran on.
pub(super) fn rendered(form: &engine::Form, header: &[u8]) -> Form {
    match form {
        engine::Form::Unchanged => Form::Unchanged,
        engine::Form::Written(octets) => Form::Written(Bytes::copy_from_slice(octets)),
        engine::Form::Edited(edits) => edited(form, edits, header),
    }
}

/// `form`, made of a message that had been given the form `base` before.
pub(super) fn over(base: &Form, form: Form) -> Form {
    match (base, form) {
        (base, Form::Unchanged) => base.clone(),
        (Form::Unchanged, form) => form,
        // A whole header or message holds what was there before.
        (Form::OnTop(_) | Form::Header(_), form @ (Form::Header(_) | Form::Written(_))) => form,
        (_, form @ Form::Written(_)) => form,
        (Form::OnTop(base), Form::OnTop(fields)) => Form::OnTop(joined(&fields, base)),
        (Form::Header(base), Form::OnTop(fields)) => Form::Header(joined(&fields, base)),
        (Form::Written(base), Form::OnTop(fields)) => Form::Written(joined(&fields, base)),
        (Form::Written(base), Form::Header(header)) => {
            let body = base
                .get(Header::new(base).section_len()..)
                .unwrap_or_default();
            Form::Written(joined(&header, body))
        }
        (_, form) => form,
    }
}

/// The header section of a form, its empty line included where it has one.
pub(super) fn header_of(form: &Form, header: &[u8]) -> Bytes {
    match form {
        Form::OnTop(fields) => joined(fields, header),
        Form::Header(header) => header.clone(),
        Form::Written(octets) => octets.slice(..Header::new(octets).section_len()),
        _ => Bytes::copy_from_slice(header),
    }
}

fn joined(first: &[u8], second: &[u8]) -> Bytes {
    let mut octets = Vec::with_capacity(first.len() + second.len());
    octets.extend_from_slice(first);
    octets.extend_from_slice(second);
    octets.into()
}

fn edited(form: &engine::Form, edits: &[HeaderEdit], header: &[u8]) -> Form {
    let on_top = |edit: &HeaderEdit| matches!(edit, HeaderEdit::First { .. });
    if edits.iter().all(on_top) {
        let fields = form.header(b"").unwrap_or_default();
        return Form::OnTop(fields.into());
    }
    let mut section = form.header(header).unwrap_or_default();
    if Header::new(&section).closed_len().is_none() {
        section.extend_from_slice(b"\r\n");
    }
    Form::Header(section.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &[u8] = b"A: 1\r\nB: 2\r\n folded\r\nC: 3\r\n\r\n";

    fn first(name: &str) -> HeaderEdit {
        HeaderEdit::First {
            name: name.into(),
            value: "v".into(),
        }
    }

    #[test]
    fn fields_on_top_leave_the_header_alone() {
        let form = engine::Form::Edited([first("X"), first("Y")].into());
        let wanted = Bytes::from_static(b"Y: v\r\nX: v\r\n");
        assert_eq!(rendered(&form, HEADER), Form::OnTop(wanted));
    }

    #[test]
    fn edits_count_the_fields_as_those_before_left_them() {
        let last = HeaderEdit::Last {
            name: "Z".into(),
            value: "v".into(),
        };
        let edits = [first("X"), HeaderEdit::Remove(vec![0, 2]), last];
        let form = engine::Form::Edited(edits.into());
        let wanted = Bytes::from_static(b"A: 1\r\nC: 3\r\nZ: v\r\n\r\n");
        assert_eq!(rendered(&form, HEADER), Form::Header(wanted));
    }

    #[test]
    fn what_a_script_changes_lies_over_what_others_did_before() {
        let base = Form::OnTop(Bytes::from_static(b"X: v\r\n"));
        let header = header_of(&base, HEADER);
        assert!(header.starts_with(b"X: v\r\nA: 1\r\n"));
        let again = Form::OnTop(Bytes::from_static(b"Y: v\r\n"));
        let wanted = Form::OnTop(Bytes::from_static(b"Y: v\r\nX: v\r\n"));
        assert_eq!(over(&base, again.clone()), wanted);
        let whole = Form::Written(Bytes::from_static(b"A: 1\r\n\r\nbody\r\n"));
        assert_eq!(
            over(&whole, again),
            Form::Written(Bytes::from_static(b"Y: v\r\nA: 1\r\n\r\nbody\r\n"))
        );
        let header = Form::Header(Bytes::from_static(b"B: 1\r\n\r\n"));
        assert_eq!(
            over(&whole, header),
            Form::Written(Bytes::from_static(b"B: 1\r\n\r\nbody\r\n"))
        );
    }
}
