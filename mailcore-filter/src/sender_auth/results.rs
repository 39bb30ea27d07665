//! [`AuthenticationResults`]: the value of an Authentication-Results field (RFC 8601
//! section 2.2), of parts that may hold anything.
//!
//! Most of what it tells comes from whoever sent the message. None of it can end
//! a part, begin another or leave the field, and each is cut to a length.

use std::fmt::{Display, Write};

/// Octets of one value or comment.
const MOST_VALUE: usize = 255;

/// A field's value, as it grows: the host, then what each method came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthenticationResults {
    text: String,
    methods: usize,
}

impl AuthenticationResults {
    /// What the host of this name found (`authserv-id`).
    pub fn new(authserv_id: impl Display) -> Self {
        Self {
            text: value(&authserv_id.to_string()),
            methods: 0,
        }
    }

    /// What a method came to; both are keywords.
    pub fn method(&mut self, method: &'static str, result: &str) -> &mut Self {
        self.methods += 1;
        let result = if is_keyword(result) {
            result
        } else {
            "permerror"
        };
        let _ = write!(self.text, "; {method}={result}");
        self
    }

    /// Words for people about the method told last.
    pub fn comment(&mut self, words: impl Display) -> &mut Self {
        let words = comment(&words.to_string());
        if !words.is_empty() {
            let _ = write!(self.text, " ({words})");
        }
        self
    }

    /// Why it came to that (`reasonspec`): before its properties.
    pub fn reason(&mut self, words: impl Display) -> &mut Self {
        self.property("reason", words)
    }

    /// What it looked at (`propspec`): `header.d`, and its value.
    pub fn property(&mut self, name: &'static str, of: impl Display) -> &mut Self {
        let _ = write!(self.text, " {name}={}", value(&of.to_string()));
        self
    }

    /// As [`AuthenticationResults::property`], for an address: `local-part@domain`,
    /// or the domain alone where the local part is more than a word.
    pub fn mailbox(&mut self, name: &'static str, (local_part, domain): (&str, &str)) -> &mut Self {
        let is_word = |text: &str| !text.is_empty() && text.bytes().all(is_atext_or_dot);
        if is_word(local_part) && is_token(domain) && !local_part.contains("=?") {
            let _ = write!(self.text, " {name}={local_part}@{domain}");
            self
        } else {
            self.property(name, domain)
        }
    }

    /// True when no method is told of.
    pub fn is_empty(&self) -> bool {
        self.methods == 0
    }

    /// The value, in one line of ASCII.
    pub fn finish(mut self) -> String {
        if self.is_empty() {
            self.text.push_str("; none");
        }
        self.text
    }
}

/// `value` (RFC 2045 section 5.1): a token, or else a quoted string.
pub(super) fn value(text: &str) -> String {
    if is_token(text) && text.len() <= MOST_VALUE {
        text.to_owned()
    } else {
        quoted(text)
    }
}

/// A quoted string of printable ASCII. No encoded-word is among its words: readers
/// that decode them everywhere would read other words.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::from('"');
    for c in plain(text) {
        if matches!(c, '"' | '\\') || (c == '?' && out.ends_with('=')) {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
    out
}

/// The words of a comment, as [`quoted`].
pub(super) fn comment(text: &str) -> String {
    let mut out = String::new();
    for c in plain(text).filter(|c| !"()\\".contains(*c)) {
        if c == '?' && out.ends_with('=') {
            out.push(' ');
        }
        out.push(c);
    }
    out.trim().to_owned()
}

fn plain(text: &str) -> impl Iterator<Item = char> {
    let shown = |c| if matches!(c, ' '..='~') { c } else { '?' };
    text.chars().map(shown).take(MOST_VALUE)
}

fn is_token(text: &str) -> bool {
    let special = |octet: u8| b"()<>@,;:\\\"/[]?=".contains(&octet);
    let fits = |octet: u8| octet.is_ascii_graphic() && !special(octet);
    !text.is_empty() && text.bytes().all(fits)
}

/// `Keyword` (RFC 5321 section 4.1.2).
fn is_keyword(text: &str) -> bool {
    let fits = |octet: u8| octet.is_ascii_alphanumeric() || octet == b'-';
    !text.is_empty() && text.bytes().all(fits)
}

fn is_atext_or_dot(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~.".contains(&octet)
}

#[cfg(test)]
mod tests {
    use mailcore::message::{Header, HeaderWriter};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_told_is_one_field_that_says_no_more() {
        let mut results = AuthenticationResults::new("mx.here.test");
        results
            .method("spf", "pass")
            .mailbox("smtp.mailfrom", ("x", "a.test"))
            .method("dkim", "fail")
            .reason("the body \"was\" changed")
            .property("header.d", "a.test")
            .property("header.b", "a/b+cdef=")
            .method("dmarc", "fail")
            .comment("p=none; (odd) \\")
            .mailbox("smtp.mailfrom", ("a b", "a.test"))
            .property("smtp.helo", "x\r\nBcc: y=?utf-8?q?z?=");
        assert_eq!(
            results.finish(),
            "mx.here.test; spf=pass smtp.mailfrom=x@a.test; dkim=fail \
             reason=\"the body \\\"was\\\" changed\" header.d=a.test header.b=\"a/b+cdef=\"; \
             dmarc=fail (p=none; odd) smtp.mailfrom=a.test \
             smtp.helo=\"x??Bcc: y=\\?utf-8?q?z?=\""
        );
        let none = AuthenticationResults::new("[192.0.2.1]");
        assert_eq!(none.finish(), "\"[192.0.2.1]\"; none");
    }

    /// Takes a value apart as a reader does: parts at `;`, without what is quoted.
    fn parts(value: &str) -> usize {
        let (mut parts, mut quoted, mut depth) = (1, false, 0usize);
        let mut chars = value.chars();
        while let Some(c) = chars.next() {
            match c {
                '\\' if quoted || depth > 0 => drop(chars.next()),
                '"' if depth == 0 => quoted = !quoted,
                '(' if !quoted => depth += 1,
                ')' if !quoted => depth = depth.saturating_sub(1),
                ';' if !quoted && depth == 0 => parts += 1,
                _ => {}
            }
        }
        assert!(!quoted && depth == 0, "{value}");
        parts
    }

    proptest! {
        #[test]
        fn nothing_told_adds_a_result(
            words in proptest::collection::vec("[ -~]{0,40}|\\PC{0,40}|[\\r\\n\\x00();\"\\\\=?@]{0,9}", 5),
        ) {
            let [a, b, c, d, e] = &words[..] else { unreachable!() };
            let mut results = AuthenticationResults::new("mx.here.test");
            results.method("spf", a).reason(b).mailbox("smtp.mailfrom", (c, d)).comment(e);
            results.method("iprev", "pass").property("policy.iprev", e);
            let text = results.finish();
            prop_assert!(text.bytes().all(|octet| matches!(octet, b' '..=b'~')));
            prop_assert!(!text.contains("=?"));
            prop_assert_eq!(parts(&text), 3);
            let mut writer = HeaderWriter::new();
            writer.text("Authentication-Results", &text);
            let octets = writer.finish();
            let fields: Vec<_> = Header::new(&octets).fields().collect();
            prop_assert_eq!(fields.len(), 1);
            let squeezed = |text: &str| text.replace(' ', "");
            let read = String::from_utf8(fields[0].value().into_owned()).unwrap();
            prop_assert_eq!(squeezed(&read), squeezed(&text));
        }
    }
}
