//! Names and passwords as clients send them.

use stringprep::{saslprep, tables};
use unicode_normalization::UnicodeNormalization as _;

use super::SaslError;
use crate::account::Secret;
use crate::seams::Proof;

/// Octets allowed in a user name.
pub const MAX_LOGIN: usize = 512;
/// Octets allowed in a password or a token.
pub const MAX_PASSWORD: usize = 1_024;

/// A user name: UTF-8 without control characters, which have no place in logs,
/// prepared by SASLprep (RFC 4013), so that the ways to write one name are one.
pub(super) fn login_name(octets: &[u8]) -> Result<String, SaslError> {
    if octets.len() > MAX_LOGIN {
        return Err(SaslError::TooLong);
    }
    let name = std::str::from_utf8(octets).map_err(|_| SaslError::Malformed)?;
    let name = prepared(name).ok_or(SaslError::Malformed)?;
    if name.is_empty() || name.chars().any(char::is_control) {
        return Err(SaslError::Malformed);
    }
    Ok(name)
}

/// A password: any octets but NUL, and at least one.
pub(super) fn password(octets: &[u8]) -> Result<Proof, SaslError> {
    if octets.len() > MAX_PASSWORD {
        return Err(SaslError::TooLong);
    }
    if octets.is_empty() || octets.contains(&0) {
        return Err(SaslError::Malformed);
    }
    Ok(Proof::Password(Secret::new(octets)))
}

/// SASLprep for a query (RFC 3454 section 7): characters younger than its
/// tables of 2002 may stand in a name that is looked up.
fn prepared(name: &str) -> Option<String> {
    if name.is_ascii() {
        return Some(name.to_owned());
    }
    let known: String = name
        .chars()
        .filter(|&c| !tables::unassigned_code_point(c))
        .collect();
    saslprep(&known).ok()?;
    let mapped = name
        .chars()
        .filter(|&c| !tables::commonly_mapped_to_nothing(c))
        .map(|c| match tables::non_ascii_space_character(c) {
            true => ' ',
            false => c,
        });
    Some(mapped.nfkc().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Option<String> {
        login_name(text.as_bytes()).ok()
    }

    #[test]
    fn a_name_is_one_however_it_is_written() {
        assert_eq!(name("ann@x.test").as_deref(), Some("ann@x.test"));
        assert_eq!(name("u\u{308}mit").as_deref(), Some("\u{fc}mit"));
        assert_eq!(name("\u{ff41}nn").as_deref(), Some("ann"));
        // RFC 4013 section 3.
        assert_eq!(name("I\u{ad}X").as_deref(), Some("IX"));
        assert_eq!(name("\u{aa}").as_deref(), Some("a"));
        assert_eq!(name("\u{2168}").as_deref(), Some("IX"));
        assert_eq!(name("\u{1f980}").as_deref(), Some("\u{1f980}"));
    }

    #[test]
    fn names_that_deceive_are_refused() {
        // RFC 4013 section 3.
        for bad in [
            "",
            "\u{7}",
            "\u{627}\u{31}",
            "\u{ad}",
            "a\u{202e}b",
            "\u{e000}",
        ] {
            assert_eq!(name(bad), None, "{bad:?}");
        }
        assert!(matches!(login_name(b"\xff"), Err(SaslError::Malformed)));
        assert!(matches!(login_name(&[b'a'; 513]), Err(SaslError::TooLong)));
    }
}
