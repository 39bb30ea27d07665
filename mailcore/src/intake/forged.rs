//! Fields that only this server writes, and whoever else writes them forges.

use super::SessionKind;
use crate::address::Domain;
use crate::message::Field;

/// Return-Path, put on top at final delivery (RFC 5321 section 4.4); results
/// under this server's name (RFC 8601 section 5); where the picture of a sender is,
/// which the receiver alone says (draft-brand-indicators-for-message-identification).
pub(super) fn is_forged(field: &Field<'_>, kind: SessionKind, hostname: &Domain) -> bool {
    if field.is("Return-Path") {
        return true;
    }
    if kind == SessionKind::Local {
        return false;
    }
    let ours = || {
        let id = authserv_id(&field.value());
        let is = |name: &Domain| id.eq_ignore_ascii_case(name.as_str().as_bytes());
        is(hostname) || hostname.to_ascii().is_ok_and(|name| is(&name))
    };
    field.is("BIMI-Location")
        || field.is("BIMI-Indicator")
        || (kind == SessionKind::Mx && is_word_of_spam(field))
        || (field.is("Authentication-Results") && ours())
}

/// What filters here say of strangers' mail, and rules of users go by.
fn is_word_of_spam(field: &Field<'_>) -> bool {
    field.is("X-Spam-Status") || field.is("X-Spam-Flag")
}

/// `authserv-id = value` (RFC 8601 section 2.2) as readers understand it:
/// comments and quotes undone, no dot at the end.
fn authserv_id(value: &[u8]) -> Vec<u8> {
    let mut id = Vec::new();
    let (mut depth, mut quoted) = (0usize, false);
    let mut octets = value.iter().copied();
    while let Some(octet) = octets.next() {
        match octet {
            b'\\' if quoted || depth > 0 => {
                let escaped = octets.next();
                id.extend(escaped.filter(|_| quoted));
            }
            b'"' if depth == 0 => quoted = !quoted,
            _ if quoted => id.push(octet),
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            _ if depth > 0 => {}
            b' ' | b'\t' if id.is_empty() => {}
            b';' | b' ' | b'\t' => break,
            _ => id.push(octet),
        }
    }
    while id.last() == Some(&b'.') {
        id.pop();
    }
    id
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Header;

    #[test]
    fn a_stranger_says_of_no_mail_that_it_is_no_spam() {
        let ours = Domain::parse("mx.a.test").unwrap();
        for (text, forged) in [
            ("X-Spam-Status: No, score=-5.0\r\n", true),
            ("x-spam-flag: NO\r\n", true),
            ("X-Spam-Checker-Version: 4\r\n", false),
        ] {
            let field = Header::new(text.as_bytes()).fields().next().unwrap();
            assert_eq!(is_forged(&field, SessionKind::Mx, &ours), forged, "{text}");
            assert!(!is_forged(&field, SessionKind::Submission, &ours));
        }
    }

    #[test]
    fn results_under_this_name_are_forged_however_it_is_written() {
        let ours = Domain::parse("mx.a.test").unwrap();
        for (value, forged) in [
            ("mx.a.test; spf=pass", true),
            ("MX.A.test;none", true),
            ("mx.a.test 1; none", true),
            ("mx.a.test(c); none", true),
            ("(a (b) \\) c) mx.a.test; none", true),
            ("\"mx.a.test\"; none", true),
            ("\"mx\\.a.test\"; none", true),
            ("mx.a.test.; none", true),
            ("\r\n\tmx.a.test; none", true),
            ("other.test; spf=pass", false),
            ("mx.a.test.other.test; none", false),
            ("other.test (mx.a.test); none", false),
            ("; mx.a.test", false),
        ] {
            let text = format!("Authentication-Results: {value}\r\n");
            let field = Header::new(text.as_bytes()).fields().next().unwrap();
            assert_eq!(is_forged(&field, SessionKind::Mx, &ours), forged, "{value}");
            assert!(!is_forged(&field, SessionKind::Local, &ours));
        }
        let picture = Header::new(b"bimi-location: v=BIMI1; l=https://x.test/l.svg\r\n");
        let field = picture.fields().next().unwrap();
        assert!(is_forged(&field, SessionKind::Mx, &ours));
    }
}
