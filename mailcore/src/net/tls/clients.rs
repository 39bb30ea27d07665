//! The certificate that a client showed, as sessions get it. That it is from a
//! trusted authority was checked in the handshake.

use rustls_pki_types::CertificateDer;

use crate::wire::ClientCertificate;

/// With the names that it has; without feature `x509` with none.
pub(super) fn client_certificate(leaf: &CertificateDer<'_>) -> ClientCertificate {
    #[cfg_attr(
        not(feature = "x509"),
        expect(unused_mut, reason = "nobody reads its names")
    )]
    let mut certificate = ClientCertificate::new(leaf.to_vec());
    #[cfg(feature = "x509")]
    names::read(leaf, &mut certificate);
    certificate
}

#[cfg(feature = "x509")]
mod names {
    use x509_parser::asn1_rs::{Any, ToDer};
    use x509_parser::extensions::GeneralName;
    use x509_parser::objects::{oid_registry, oid2abbrev};
    use x509_parser::prelude::{FromDer, X509Certificate, X509Name};

    use super::{CertificateDer, ClientCertificate};

    pub(super) fn read(leaf: &CertificateDer<'_>, into: &mut ClientCertificate) {
        let Ok((_, read)) = X509Certificate::from_der(leaf) else {
            return;
        };
        into.subject = subject(read.subject());
        let Ok(Some(names)) = read.subject_alternative_name() else {
            return;
        };
        let addresses = names
            .value
            .general_names
            .iter()
            .filter_map(|name| match name {
                GeneralName::RFC822Name(address) => Some((*address).to_owned()),
                _ => None,
            });
        into.addresses = addresses.collect();
    }

    /// RFC 4514 section 2: the last comes first.
    fn subject(name: &X509Name<'_>) -> String {
        let mut parts: Vec<String> = name
            .iter_rdn()
            .map(|rdn| {
                let pairs = rdn.iter().map(|attribute| {
                    let oid = attribute.attr_type();
                    let kind = oid2abbrev(oid, oid_registry());
                    let kind = kind.map_or_else(|_| oid.to_id_string(), str::to_owned);
                    // Whose text has another alphabet than ours must not look
                    // like anybody else.
                    let value = match attribute.as_str() {
                        Ok(text) => escaped(text),
                        Err(_) => hexadecimal(attribute.attr_value()),
                    };
                    format!("{kind}={value}")
                });
                pairs.collect::<Vec<_>>().join("+")
            })
            .collect();
        parts.reverse();
        parts.join(",")
    }

    /// What is no string of ours (RFC 4514 section 2.4): `#`, and the octets of
    /// its encoding.
    fn hexadecimal(value: &Any<'_>) -> String {
        let octets = value.to_der_vec().unwrap_or_default();
        let digits = octets.iter().map(|octet| format!("{octet:02x}"));
        std::iter::once("#".to_owned()).chain(digits).collect()
    }

    /// RFC 4514 section 2.4.
    pub(super) fn escaped(value: &str) -> String {
        let mut out = String::with_capacity(value.len());
        let last = value.chars().count().saturating_sub(1);
        for (i, sign) in value.chars().enumerate() {
            match sign {
                '\0' => out.push_str("\\00"),
                '"' | '+' | ',' | ';' | '<' | '>' | '\\' => out.extend(['\\', sign]),
                '#' if i == 0 => out.push_str("\\#"),
                ' ' if i == 0 || i == last => out.push_str("\\ "),
                _ => out.push(sign),
            }
        }
        out
    }
}

#[cfg(all(test, feature = "x509"))]
mod tests {
    use rcgen::string::BmpString;
    use rcgen::{CertificateParams, DnType, DnValue, KeyPair, SanType};

    use super::*;

    #[test]
    fn a_clients_names_are_read_as_rfc_4514_writes_them() {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        let name = &mut params.distinguished_name;
        name.push(DnType::OrganizationName, "Example, Inc.");
        name.push(DnType::CommonName, " Ann");
        let address = "ann@example.test".try_into().unwrap();
        params.subject_alt_names = vec![SanType::Rfc822Name(address)];
        let key = KeyPair::generate().unwrap();
        let made = params.self_signed(&key).unwrap();
        let read = client_certificate(made.der());
        assert_eq!(read.subject, "CN=\\ Ann,O=Example\\, Inc.");
        assert_eq!(read.addresses, ["ann@example.test"]);
        assert_eq!(read.der, made.der().as_ref());
        assert_eq!(names::escaped("#a b "), "\\#a b\\ ");
    }

    #[test]
    fn names_in_other_alphabets_are_not_all_the_same() {
        let subject = |name: &str| {
            let mut params = CertificateParams::default();
            params.distinguished_name = rcgen::DistinguishedName::new();
            let wide = name.encode_utf16().flat_map(u16::to_be_bytes).collect();
            let wide = DnValue::BmpString(BmpString::from_utf16be(wide).unwrap());
            params.distinguished_name.push(DnType::CommonName, wide);
            let key = KeyPair::generate().unwrap();
            client_certificate(params.self_signed(&key).unwrap().der()).subject
        };
        assert_eq!(subject("Ann"), "CN=#1e060041006e006e");
        assert_ne!(subject("Ann"), subject("Bob"));
    }
}
