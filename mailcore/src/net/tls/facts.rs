//! What a certificate says of itself.

use rustls_pki_types::CertificateDer;
use thiserror::Error;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::time::Timestamp;

/// For whom a certificate is, and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CertificateFacts {
    /// Its names, wildcards among them, in lower case; those of the subject
    /// alternative name alone, as clients look at no others (RFC 9525 section
    /// 6.3).
    pub names: Vec<String>,
    /// When it begins to hold.
    pub not_before: Timestamp,
    /// When it ends.
    pub not_after: Timestamp,
}

/// Octets that are not a certificate.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the certificate can't be read: {0}; it must be X.509 in DER, or in PEM of a file")]
pub struct CertificateError(String);

impl CertificateFacts {
    /// Reads a certificate, without judging it.
    ///
    /// # Errors
    /// [`CertificateError`].
    pub fn of(certificate: &CertificateDer<'_>) -> Result<Self, CertificateError> {
        let wrong = |error: &dyn std::fmt::Display| CertificateError(error.to_string());
        let (_, read) = X509Certificate::from_der(certificate).map_err(|error| wrong(&error))?;
        let names = read
            .subject_alternative_name()
            .map_err(|error| wrong(&error))?
            .into_iter()
            .flat_map(|names| &names.value.general_names)
            .filter_map(|name| match name {
                GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
                _ => None,
            });
        Ok(Self {
            names: names.collect(),
            not_before: Timestamp::from_secs(read.validity().not_before.timestamp()),
            not_after: Timestamp::from_secs(read.validity().not_after.timestamp()),
        })
    }

    /// True when it stands for this name, by itself or by a wildcard.
    pub fn covers(&self, name: &str) -> bool {
        let name = name.to_ascii_lowercase();
        self.names.iter().any(|own| match own.strip_prefix("*.") {
            Some(parent) => name.split_once('.').is_some_and(|(_, rest)| rest == parent),
            None => *own == name,
        })
    }

    /// When it should be replaced by a newer one if nobody says otherwise: two
    /// thirds through its time, so that there is a third to try in.
    pub fn renewal_due(&self) -> Timestamp {
        let time = self.not_after.since(self.not_before);
        self.not_before.after(time / 3 * 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_tells_its_names_and_its_time() {
        let names = ["Mail.Example.test", "*.example.test", "127.0.0.1"].map(str::to_owned);
        let mut params = rcgen::CertificateParams::new(names).unwrap();
        params.not_before = rcgen::date_time_ymd(2026, 1, 1);
        params.not_after = rcgen::date_time_ymd(2026, 4, 1);
        let key = rcgen::KeyPair::generate().unwrap();
        let made = params.self_signed(&key).unwrap();
        let facts = CertificateFacts::of(made.der()).unwrap();
        assert_eq!(facts.names, ["mail.example.test", "*.example.test"]);
        assert_eq!(facts.not_before, Timestamp::from_secs(1_767_225_600));
        assert_eq!(
            facts.renewal_due(),
            Timestamp::from_secs(1_767_225_600 + 60 * 86_400)
        );
        for (name, covered) in [
            ("mail.example.test", true),
            ("IMAP.example.test", true),
            ("a.b.example.test", false),
            ("example.test", false),
        ] {
            assert_eq!(facts.covers(name), covered, "{name}");
        }
    }

    #[test]
    fn other_octets_are_no_certificate() {
        for octets in [&b""[..], b"0", &[0x30, 0x82, 0xff, 0xff], &[0x30, 0x80]] {
            CertificateFacts::of(&CertificateDer::from(octets)).unwrap_err();
        }
    }
}
