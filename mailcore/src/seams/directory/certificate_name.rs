//! [`CertificateName`]: what a client's certificate is known by.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::address::Address;

/// Octets of a subject.
const MAX_SUBJECT: usize = 1_024;

/// By what a client's certificate is known to stand for an account (SASL
/// EXTERNAL, RFC 4422 appendix A). Written `sha256:` and 64 hexadecimal digits,
/// `address:ann@example.com`, or `subject:CN=Ann,O=Example`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum CertificateName {
    /// SHA-256 of the certificate in DER: this one alone.
    Sha256([u8; 32]),
    /// One that names this address (`rfc822Name`, RFC 5280 section 4.2.1.6),
    /// whoever issued it of those that the listener trusts.
    Address(Address),
    /// One with this subject, as RFC 4514 writes it.
    Subject(String),
}

/// Why a text names no certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "write sha256: and the certificate's fingerprint of 64 hexadecimal digits, address: and a \
     mail address, or subject: and the whole subject"
)]
pub struct CertificateNameError;

impl fmt::Display for CertificateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sha256(digest) => {
                f.write_str("sha256:")?;
                digest.iter().try_for_each(|it| write!(f, "{it:02x}"))
            }
            Self::Address(address) => write!(f, "address:{address}"),
            Self::Subject(subject) => write!(f, "subject:{subject}"),
        }
    }
}

impl FromStr for CertificateName {
    type Err = CertificateNameError;

    fn from_str(text: &str) -> Result<Self, CertificateNameError> {
        let (kind, name) = text.split_once(':').ok_or(CertificateNameError)?;
        match kind.to_ascii_lowercase().as_str() {
            "sha256" => fingerprint(name).map(Self::Sha256),
            "address" => Address::parse(name)
                .ok()
                .map(|it| Self::Address(it.folded())),
            "subject" => {
                let odd = name.is_empty() || name.len() > MAX_SUBJECT;
                let odd = odd || name.contains(char::is_control);
                (!odd).then(|| Self::Subject(name.to_owned()))
            }
            _ => None,
        }
        .ok_or(CertificateNameError)
    }
}

/// Digits with or without colons, as openssl prints them.
fn fingerprint(text: &str) -> Option<[u8; 32]> {
    let digits: Vec<u32> = text
        .chars()
        .filter(|it| *it != ':')
        .map(|it| it.to_digit(16))
        .collect::<Option<_>>()?;
    if digits.len() != 64 {
        return None;
    }
    let mut digest = [0; 32];
    for (octet, pair) in digest.iter_mut().zip(digits.chunks_exact(2)) {
        let [high, low] = pair else { return None };
        *octet = u8::try_from(high * 16 + low).ok()?;
    }
    Some(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let digits = "0A:".repeat(31) + "0a";
        for (text, shown) in [
            (
                format!("sha256:{digits}"),
                format!("sha256:{}", "0a".repeat(32)),
            ),
            ("address:Ann@X.test".into(), "address:ann@x.test".into()),
            ("subject:CN=Ann, O=X".into(), "subject:CN=Ann, O=X".into()),
        ] {
            let name: CertificateName = text.parse().unwrap();
            assert_eq!(name.to_string(), shown);
            assert_eq!(shown.parse(), Ok(name));
        }
        for text in [
            "",
            "sha256:0a",
            "address:ann",
            "subject:",
            "sha1:00",
            &digits,
        ] {
            assert_eq!(
                text.parse::<CertificateName>(),
                Err(CertificateNameError),
                "{text}"
            );
        }
    }
}
