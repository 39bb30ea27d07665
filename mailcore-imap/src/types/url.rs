//! [`MessageUrl`]: a message or part of one, by URL (RFC 5092).

use mailcore::mailbox::{MailboxName, Uid, UidValidity};

use super::{Partial, Section};
use crate::codec::Cursor;

/// A URL without scheme and server: what CATENATE takes (RFC 4469 section 3).
///
/// ```text
/// [ "/" enc-mailbox [";UIDVALIDITY=" nz-number] ] "/;UID=" nz-number
/// [ "/;SECTION=" enc-section ] [ "/;PARTIAL=" number [ "." nz-number ] ]
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MessageUrl {
    /// The mailbox; the selected one when none is named.
    pub mailbox: Option<MailboxName>,
    /// What its UIDVALIDITY must be.
    pub uid_validity: Option<UidValidity>,
    /// The message.
    pub uid: Uid,
    /// What of it; all of it when whole.
    pub section: Section,
    /// Which octets of that.
    pub partial: Option<Partial>,
}

impl MessageUrl {
    /// Reads a URL; `None` for any that names something else or is none.
    pub fn parse(url: &str) -> Option<Self> {
        let (path, rest) = split_before(url, ";UID=")?;
        let (mailbox, uid_validity) = match path.strip_suffix('/').unwrap_or(path) {
            "" => (None, None),
            path => mailbox(path.strip_prefix('/')?)?,
        };
        let (uid, rest) = rest.split_once('/').unwrap_or((rest, ""));
        let (section, partial) = match strip(rest, ";SECTION=") {
            Some(rest) => split_before(rest, "/;PARTIAL=")
                .map_or((rest, None), |(section, it)| (section, Some(it))),
            None if rest.is_empty() => ("", None),
            None => ("", Some(strip(rest, ";PARTIAL=")?)),
        };
        let section = format!("[{}]", decode(section)?);
        let mut cursor = Cursor::new(section.as_bytes());
        let section = cursor.section().ok()?;
        cursor.end().ok()?;
        Some(Self {
            mailbox,
            uid_validity,
            uid: Uid::new(number(uid)?)?,
            section,
            partial: match partial {
                Some(text) => Some(self::partial(text)?),
                None => None,
            },
        })
    }
}

/// `enc-mailbox [uidvalidity]`
fn mailbox(path: &str) -> Option<(Option<MailboxName>, Option<UidValidity>)> {
    let (name, validity) = match split_before(path, ";UIDVALIDITY=") {
        Some((name, validity)) => (name, Some(UidValidity::new(number(validity)?)?)),
        None => (path, None),
    };
    let name = MailboxName::parse(&decode(name)?).ok()?;
    Some((Some(name), validity))
}

/// `number ["." nz-number]`
fn partial(text: &str) -> Option<Partial> {
    let (start, length) = match text.split_once('.') {
        Some((start, length)) => (start, u64::from(number(length)?)),
        None => (text, u64::MAX),
    };
    (length > 0).then_some(Partial {
        start: u64::from(number(start)?),
        length,
    })
}

fn number(text: &str) -> Option<u32> {
    let is_number = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}

/// Splits at the first `mark`, in any case, and drops it.
fn split_before<'a>(text: &'a str, mark: &str) -> Option<(&'a str, &'a str)> {
    let at = text
        .as_bytes()
        .windows(mark.len())
        .position(|it| it.eq_ignore_ascii_case(mark.as_bytes()))?;
    Some((text.get(..at)?, text.get(at + mark.len()..)?))
}

fn strip<'a>(text: &'a str, mark: &str) -> Option<&'a str> {
    split_before(text, mark)
        .filter(|(before, _)| before.is_empty())
        .map(|(_, rest)| rest)
}

/// Undoes `pct-encoded`. What stands unencoded though it should not be is
/// taken; a query, fragment or parameter is none of this.
fn decode(text: &str) -> Option<String> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(octet) = rest.next() {
        octets.push(match octet {
            b'%' => hex(rest.next()?)? << 4 | hex(rest.next()?)?,
            b';' | b'?' | b'#' => return None,
            octet => octet,
        });
    }
    String::from_utf8(octets).ok()
}

fn hex(digit: u8) -> Option<u8> {
    let value = char::from(digit).to_digit(16)?;
    u8::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_urls_of_the_rfc_are_read() {
        let url = "/Drafts;UIDVALIDITY=385759045/;UID=20/;section=1.MIME";
        let url = MessageUrl::parse(url).unwrap();
        assert_eq!(url.mailbox, MailboxName::parse("Drafts").ok());
        assert_eq!(url.uid_validity, UidValidity::new(385_759_045));
        assert_eq!(
            (Some(url.uid), url.section.to_string().as_str()),
            (Uid::new(20), "[1.MIME]")
        );
        let url = MessageUrl::parse("/a/b%20%C3%A4/;UID=3/;PARTIAL=7.9").unwrap();
        assert_eq!(url.mailbox, MailboxName::parse("a/b ä").ok());
        assert_eq!(
            url.partial,
            Some(Partial {
                start: 7,
                length: 9
            })
        );
        let url = MessageUrl::parse("/;uid=1/;SECTION=HEADER.FIELDS%20(To)/;PARTIAL=1").unwrap();
        assert_eq!(
            (url.mailbox, url.section.to_string().as_str()),
            (None, "[HEADER.FIELDS (To)]")
        );
        assert!(MessageUrl::parse(";UID=1").is_some());
    }

    #[test]
    fn what_names_no_message_here_is_refused() {
        for bad in [
            "",
            "/Drafts",
            "imap://host/Drafts/;UID=1",
            "//host/Drafts;UIDVALIDITY=1/;UID=1?x",
            "/Drafts/;UID=0",
            "/Drafts/;UID=1/;SECTION=0",
            "/Drafts/;UID=1/;URLAUTH=anonymous",
            "/Drafts;UIDVALIDITY=x/;UID=1",
            "/Dr%zzafts/;UID=1",
            "/Drafts/;UID=1/;PARTIAL=1.0",
            "/Drafts/;UID=4294967296",
        ] {
            assert_eq!(MessageUrl::parse(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "(/|;UID=|;SECTION=|[a-z0-9%;.ä\\[\\]]){0,20}") {
            MessageUrl::parse(&text);
        }
    }
}
