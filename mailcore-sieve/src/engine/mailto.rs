//! [`Mailto`]: a `mailto:` URI (RFC 6068) as the notices of scripts use it
//! (RFC 5436). What a URI may not set in a notice is left out here, so that no
//! host can forget to.

use thiserror::Error;

/// Recipients of one URI.
const MAX_RECIPIENTS: usize = 16;
/// Header fields of one URI.
const MAX_FIELDS: usize = 16;

/// Fields that the notice makes itself, or that would have others take it for
/// what it is not (RFC 5436 section 2.7).
const OURS: &[&str] = &[
    "apparently-to",
    "authentication-results",
    "auto-submitted",
    "date",
    "delivered-to",
    "dkim-signature",
    "from",
    "message-id",
    "mime-version",
    "precedence",
    "received",
    "return-path",
    "sender",
];

/// Whom a notice goes to, and what it says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Mailto {
    /// Those that `To` names.
    pub to: Vec<String>,
    /// Those that `Cc` names.
    pub cc: Vec<String>,
    /// Those that no field names.
    pub bcc: Vec<String>,
    /// The subject, where the script says none.
    pub subject: Option<String>,
    /// The body; lines end at CRLF or LF.
    pub body: Option<String>,
    /// More fields, each name with a capital letter; values are not folded.
    pub fields: Vec<(String, String)>,
}

/// Why an URI names nobody that a notice can be sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MailtoError {
    /// It is of another scheme.
    #[error("only \"mailto:\" URIs are notified; write \"mailto:user@example.org\"")]
    Scheme,
    /// A `%` is not followed by two hexadecimal digits, or they make no UTF-8.
    #[error("write each \"%\" with two hexadecimal digits of a UTF-8 octet")]
    Escape,
    /// A part after `?` is no `name=value` with a field's name.
    #[error("write \"?name=value\", joined by \"&\", each name being a header field's")]
    Field,
    /// A value would break out of its header field.
    #[error("a header field's value has no line ends or control characters")]
    Value,
    /// What should be an address is none.
    #[error("write addresses as user@example.org, a \"%\" or a \"?\" in them as %25 and %3F")]
    Address,
    /// It names nobody.
    #[error("name whom to notify: \"mailto:user@example.org\"")]
    Nobody,
    /// It names too many, or has too many fields.
    #[error("name {MAX_RECIPIENTS} recipients and {MAX_FIELDS} fields at most")]
    TooMany,
}

impl Mailto {
    /// Reads an URI (RFC 6068 section 2).
    pub fn parse(uri: &str) -> Result<Self, MailtoError> {
        let rest = match uri.split_at_checked(7) {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("mailto:") => rest,
            _ => return Err(MailtoError::Scheme),
        };
        // A fragment means nothing to mail (RFC 6068 section 2).
        let rest = rest.split_once('#').map_or(rest, |(before, _)| before);
        let (to, headers) = rest.split_once('?').unwrap_or((rest, ""));
        let mut mailto = Self::default();
        read_addresses(to, &mut mailto.to)?;
        for (at, header) in headers.split('&').filter(|it| !it.is_empty()).enumerate() {
            if at == MAX_FIELDS {
                return Err(MailtoError::TooMany);
            }
            mailto.read_header(header)?;
        }
        match mailto.recipients().count() {
            0 => Err(MailtoError::Nobody),
            1..=MAX_RECIPIENTS => Ok(mailto),
            _ => Err(MailtoError::TooMany),
        }
    }

    /// Everybody that it names.
    pub fn recipients(&self) -> impl Iterator<Item = &str> {
        self.to
            .iter()
            .chain(&self.cc)
            .chain(&self.bcc)
            .map(String::as_str)
    }

    fn read_header(&mut self, header: &str) -> Result<(), MailtoError> {
        let (name, value) = header.split_once('=').ok_or(MailtoError::Field)?;
        let name = decode(name)?.to_ascii_lowercase();
        let is_name = |b: u8| b.is_ascii_graphic() && b != b':';
        if name.is_empty() || !name.bytes().all(is_name) {
            return Err(MailtoError::Field);
        }
        match name.as_str() {
            "to" => return read_addresses(value, &mut self.to),
            "cc" => return read_addresses(value, &mut self.cc),
            "bcc" => return read_addresses(value, &mut self.bcc),
            "body" => {
                self.body = Some(decode(value)?);
                return Ok(());
            }
            _ => {}
        }
        let value = decode(value)?;
        if value.chars().any(char::is_control) {
            return Err(MailtoError::Value);
        }
        if name == "subject" {
            self.subject = Some(value);
        } else if !is_ours(&name) {
            self.fields.push((capitalized(&name), value));
        }
        Ok(())
    }
}

fn is_ours(name: &str) -> bool {
    OURS.contains(&name)
        || ["arc-", "content-", "list-", "resent-"]
            .iter()
            .any(|prefix| name.starts_with(prefix))
}

/// `x-priority` as `X-Priority`.
fn capitalized(name: &str) -> String {
    let mut first = true;
    name.chars()
        .map(|c| {
            let shown = if first { c.to_ascii_uppercase() } else { c };
            first = c == '-';
            shown
        })
        .collect()
}

/// Addresses between commas; a comma within one is written `%2C`.
fn read_addresses(text: &str, into: &mut Vec<String>) -> Result<(), MailtoError> {
    for address in text.split(',').filter(|it| !it.is_empty()) {
        let address = decode(address)?;
        let address = address.trim();
        if !is_address(address) {
            return Err(MailtoError::Address);
        }
        into.push(address.to_owned());
    }
    Ok(())
}

/// True for what may be an address: the host that sends to it reads it strictly.
fn is_address(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else {
        return false;
    };
    let quoted = local.len() > 1 && local.starts_with('"') && local.ends_with('"');
    let plain = !local.is_empty()
        && !local.contains(|c: char| c.is_whitespace() || "()<>[]:;@\\,\"".contains(c));
    let labels = domain.split('.').all(|label| {
        !label.is_empty()
            && !label.contains(|c: char| c.is_whitespace() || "()<>:;@\\,\"".contains(c))
    });
    (quoted || plain) && labels && !text.chars().any(char::is_control)
}

fn decode(text: &str) -> Result<String, MailtoError> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(octet) = rest.next() {
        if octet == b'%' {
            let high = rest.next().and_then(hex).ok_or(MailtoError::Escape)?;
            let low = rest.next().and_then(hex).ok_or(MailtoError::Escape)?;
            octets.push(high << 4 | low);
        } else {
            octets.push(octet);
        }
    }
    String::from_utf8(octets).map_err(|_| MailtoError::Escape)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_uri_of_rfc_5436_section_3_names_two() {
        let uri = "mailto:0123456789@sms.example.net?to=backup@example.com";
        let mailto = Mailto::parse(uri).unwrap();
        assert_eq!(
            mailto.to,
            ["0123456789@sms.example.net", "backup@example.com"]
        );
    }

    #[test]
    fn what_is_percent_encoded_is_read_back() {
        let uri = "MAILTO:joe%40home@example.org,%22a%2Cb%22@example.org?\
                   subject=caf%C3%A9%20%26%20more&body=one%0D%0Atwo&x-priority=1";
        let error = Mailto::parse(uri).unwrap_err();
        assert_eq!(error, MailtoError::Address, "an @ belongs into quotes");
        let uri = "MAILTO:%22a%2Cb%22@example.org?\
                   Subject=caf%C3%A9%20%26%20more&body=one%0D%0Atwo&x-priority=1#part";
        let mailto = Mailto::parse(uri).unwrap();
        assert_eq!(mailto.to, ["\"a,b\"@example.org"]);
        assert_eq!(mailto.subject.as_deref(), Some("café & more"));
        assert_eq!(mailto.body.as_deref(), Some("one\r\ntwo"));
        assert_eq!(mailto.fields, [("X-Priority".into(), "1".into())]);
    }

    #[test]
    fn fields_that_a_notice_makes_itself_are_left_out() {
        let uri = "mailto:a@example.org?from=b@example.org&Auto-Submitted=no\
                   &received=x&Message-ID=y&date=z&resent-to=c@example.org&content-type=text/html";
        let mailto = Mailto::parse(uri).unwrap();
        assert_eq!(mailto.fields, []);
        assert_eq!(mailto.recipients().collect::<Vec<_>>(), ["a@example.org"]);
    }

    #[test]
    fn what_names_nobody_or_breaks_out_is_refused() {
        let refused = |uri: &str| Mailto::parse(uri).unwrap_err();
        assert_eq!(refused("mailto:"), MailtoError::Nobody);
        assert_eq!(refused("tel:+14085551212"), MailtoError::Scheme);
        assert_eq!(refused("mailto"), MailtoError::Scheme);
        assert_eq!(refused("mailto:a@b%0d%0aX:y"), MailtoError::Address);
        assert_eq!(
            refused("mailto:a@example.org?subject=x%0aBcc:%20b@c.example"),
            MailtoError::Value
        );
        assert_eq!(refused("mailto:a@example.org?subject"), MailtoError::Field);
        assert_eq!(refused("mailto:a@example.org?%0a=b"), MailtoError::Field);
        assert_eq!(refused("mailto:a%4@example.org"), MailtoError::Escape);
        assert_eq!(refused("mailto:%ff@example.org"), MailtoError::Escape);
        let many = format!("mailto:{}", "a@example.org,".repeat(17));
        assert_eq!(refused(&many), MailtoError::TooMany);
    }

    proptest! {
        #[test]
        fn no_uri_brings_a_line_end_into_a_header(uri in "(mailto:)?[a-c@.,?&=%0-9A-D\"]{0,60}") {
            if let Ok(mailto) = Mailto::parse(&uri) {
                let shown = mailto.recipients().map(str::to_owned).chain(mailto.subject.clone());
                let shown = shown.chain(mailto.fields.iter().map(|(n, v)| format!("{n}{v}")));
                prop_assert!(shown.into_iter().all(|it| !it.contains(['\r', '\n'])));
            }
        }
    }
}
