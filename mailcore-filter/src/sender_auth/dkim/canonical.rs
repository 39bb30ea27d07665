//! The forms in which headers and bodies are signed (RFC 6376 section 3.4).

use memchr::{memchr, memchr3};

/// How much a message may change on its way without harm to its signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Canonicalization {
    /// Next to nothing.
    Simple,
    /// White space.
    Relaxed,
}

impl Canonicalization {
    /// As in the tag `c`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Simple => "simple",
            Self::Relaxed => "relaxed",
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        match text {
            "simple" => Some(Self::Simple),
            "relaxed" => Some(Self::Relaxed),
            _ => None,
        }
    }

    /// Adds a field, as it lies in a header, to what is signed. It ends in CRLF
    /// then, whatever it ended in.
    pub(in crate::sender_auth) fn field(
        self,
        name: &[u8],
        field: &[u8],
        value: &[u8],
        out: &mut Vec<u8>,
    ) {
        match self {
            Self::Simple => {
                let line = field.strip_suffix(b"\n").unwrap_or(field);
                out.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
            }
            Self::Relaxed => {
                out.extend(name.iter().map(u8::to_ascii_lowercase));
                out.push(b':');
                let start = out.len();
                let mut between = false;
                for &octet in value {
                    match octet {
                        b' ' | b'\t' | b'\r' | b'\n' => between = true,
                        octet => {
                            if between && out.len() > start {
                                out.push(b' ');
                            }
                            between = false;
                            out.push(octet);
                        }
                    }
                }
            }
        }
        out.extend_from_slice(b"\r\n");
    }
}

/// Brings a body into its form, piece by piece, and hands it to a sink.
#[derive(Debug)]
pub(super) struct Body {
    form: Canonicalization,
    /// Line ends that count only when something follows.
    line_ends: u64,
    /// White space of a line that counts only when something follows.
    white: bool,
    /// A CR was the last octet.
    cr: bool,
    /// Something was written.
    any: bool,
}

impl Body {
    pub(super) fn new(form: Canonicalization) -> Self {
        Self {
            form,
            line_ends: 0,
            white: false,
            cr: false,
            any: false,
        }
    }

    pub(super) fn write(&mut self, octets: &[u8], sink: &mut impl FnMut(&[u8])) {
        let mut rest = octets;
        while let Some(&first) = rest.first() {
            if self.cr {
                self.cr = false;
                if first == b'\n' {
                    self.white = false;
                    self.line_ends += 1;
                    rest = rest.get(1..).unwrap_or_default();
                    continue;
                }
                // A CR of its own is like any other octet.
                self.text(b"\r", sink);
            }
            let relaxed = self.form == Canonicalization::Relaxed;
            match first {
                b'\r' => self.cr = true,
                b' ' | b'\t' if relaxed => self.white = true,
                _ => {
                    let end = if relaxed {
                        memchr3(b'\r', b' ', b'\t', rest)
                    } else {
                        memchr(b'\r', rest)
                    };
                    let (text, after) = rest
                        .split_at_checked(end.unwrap_or(rest.len()))
                        .unwrap_or((rest, b""));
                    self.text(text, sink);
                    rest = after;
                    continue;
                }
            }
            rest = rest.get(1..).unwrap_or_default();
        }
    }

    fn text(&mut self, text: &[u8], sink: &mut impl FnMut(&[u8])) {
        for _ in 0..std::mem::take(&mut self.line_ends) {
            sink(b"\r\n");
        }
        if std::mem::take(&mut self.white) {
            sink(b" ");
        }
        sink(text);
        self.any = true;
    }

    /// The body has ended: so does its last line. Empty lines at its end count
    /// for nothing.
    pub(super) fn finish(mut self, sink: &mut impl FnMut(&[u8])) {
        if self.cr {
            self.text(b"\r", sink);
        }
        if self.any || self.form == Canonicalization::Simple {
            sink(b"\r\n");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn body(form: Canonicalization, pieces: &[&[u8]]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut body = Body::new(form);
        for piece in pieces {
            body.write(piece, &mut |octets| out.extend_from_slice(octets));
        }
        body.finish(&mut |octets| out.extend_from_slice(octets));
        out
    }

    fn field(form: Canonicalization, field: &[u8]) -> Vec<u8> {
        let colon = memchr(b':', field).unwrap();
        let mut out = Vec::new();
        form.field(
            field[..colon].trim_ascii_end(),
            field,
            &field[colon + 1..],
            &mut out,
        );
        out
    }

    /// RFC 6376 section 3.4.5.
    #[test]
    fn the_examples_of_the_rfc_come_out_as_it_says() {
        use Canonicalization::{Relaxed, Simple};
        assert_eq!(field(Relaxed, b"A: X\r\n"), b"a:X\r\n");
        assert_eq!(field(Relaxed, b"B : Y\t\r\n\tZ  \r\n"), b"b:Y Z\r\n");
        assert_eq!(
            field(Simple, b"B : Y\t\r\n\tZ  \r\n"),
            b"B : Y\t\r\n\tZ  \r\n"
        );
        let text: &[u8] = b" C \r\nD \t E\r\n\r\n\r\n";
        assert_eq!(body(Relaxed, &[text]), b" C\r\nD E\r\n");
        assert_eq!(body(Simple, &[text]), b" C \r\nD \t E\r\n");
    }

    #[test]
    fn empty_lines_at_the_end_and_a_missing_line_end_are_nothing() {
        use Canonicalization::{Relaxed, Simple};
        for text in [&b""[..], b"\r\n", b"\r\n\r\n"] {
            assert_eq!(body(Simple, &[text]), b"\r\n");
            assert_eq!(body(Relaxed, &[text]), b"");
        }
        // Lines of white space alone are empty where white space counts for
        // nothing.
        assert_eq!(body(Relaxed, &[b"a\r\n \t\r\n\r\n"]), b"a\r\n");
        assert_eq!(body(Simple, &[b"a\r\n \r\n"]), b"a\r\n \r\n");
        assert_eq!(body(Relaxed, &[b"a"]), b"a\r\n");
        assert_eq!(body(Simple, &[b"a"]), b"a\r\n");
        assert_eq!(body(Simple, &[b"a\r"]), b"a\r\r\n");
    }

    proptest! {
        #[test]
        fn the_form_does_not_depend_on_how_a_body_is_cut(
            text in "[ab \t\r\n]{0,40}",
            cut in 0usize..41,
        ) {
            let text = text.as_bytes();
            let (a, b) = text.split_at(cut.min(text.len()));
            for form in [Canonicalization::Simple, Canonicalization::Relaxed] {
                let whole = body(form, &[text]);
                prop_assert_eq!(&body(form, &[a, b]), &whole);
                // What is in its form stays as it is.
                prop_assert_eq!(&body(form, &[&whole]), &whole);
            }
        }
    }
}
