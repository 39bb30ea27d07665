//! Channel bindings: what SCRAM's `-PLUS` mechanisms tie a proof to.

use std::sync::{Arc, OnceLock};

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ClientConnection, ConnectionCommon, ProtocolVersion, ServerConnection, SideData};
use sha2::{Digest as _, Sha256, Sha384, Sha512};

use crate::account::Secret;
use crate::wire::ChannelBindings;

tokio::task_local! {
    /// Where [`Witness`] leaves the certificate of the handshake that this task
    /// is doing: rustls does not tell afterwards which one it was.
    pub(super) static CHOSEN: Arc<OnceLock<Arc<CertifiedKey>>>;
}

/// Remembers which certificate was chosen.
#[derive(Debug)]
pub(super) struct Witness(pub(super) Arc<dyn ResolvesServerCert>);

impl ResolvesServerCert for Witness {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let key = self.0.resolve(hello)?;
        // Outside of an acceptor nobody asks.
        let _ = CHOSEN.try_with(|chosen| chosen.set(Arc::clone(&key)));
        Some(key)
    }

    fn only_raw_public_keys(&self) -> bool {
        self.0.only_raw_public_keys()
    }
}

/// The bindings of a server's connection whose handshake is done.
pub(super) fn bindings(
    connection: &ServerConnection,
    chosen: Option<&CertifiedKey>,
) -> ChannelBindings {
    let certificate = chosen.and_then(|key| key.cert.first());
    ChannelBindings {
        exporter: exporter(connection),
        server_end_point: certificate
            .and_then(|certificate| end_point(certificate))
            .map(Secret::new),
    }
}

/// The bindings of a client's connection whose handshake is done.
pub fn client_bindings(connection: &ClientConnection) -> ChannelBindings {
    let certificate = connection.peer_certificates().and_then(<[_]>::first);
    ChannelBindings {
        exporter: exporter(connection),
        server_end_point: certificate
            .and_then(|certificate| end_point(certificate))
            .map(Secret::new),
    }
}

/// RFC 9266 section 4.2: within TLS 1.2 it needs the extended master secret,
/// of which rustls does not tell.
fn exporter<T: SideData>(connection: &ConnectionCommon<T>) -> Option<Secret> {
    if connection.protocol_version() != Some(ProtocolVersion::TLSv1_3) {
        return None;
    }
    connection
        .export_keying_material([0; 32], b"EXPORTER-Channel-Binding", Some(b""))
        .ok()
        .map(Secret::new)
}

/// RFC 5929 section 4.1: the certificate hashed as its own signature hashes,
/// SHA-256 in place of MD5 and SHA-1.
pub(super) fn end_point(certificate: &[u8]) -> Option<Vec<u8>> {
    Some(match signature_hash(certificate)? {
        Hash::Sha256 => Sha256::digest(certificate).to_vec(),
        Hash::Sha384 => Sha384::digest(certificate).to_vec(),
        Hash::Sha512 => Sha512::digest(certificate).to_vec(),
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

/// The hash of a certificate's signature algorithm:
///
/// ```text
/// Certificate ::= SEQUENCE { tbsCertificate SEQUENCE, signatureAlgorithm
///     SEQUENCE { algorithm OBJECT IDENTIFIER, parameters ANY OPTIONAL }, .. }
/// ```
fn signature_hash(certificate: &[u8]) -> Option<Hash> {
    const SEQUENCE: u8 = 0x30;
    const OID: u8 = 0x06;
    let (outer, _) = element(certificate, SEQUENCE)?;
    let (_, rest) = element(outer, SEQUENCE)?;
    let (algorithm, _) = element(rest, SEQUENCE)?;
    let (identifier, parameters) = element(algorithm, OID)?;
    let hash = match identifier {
        // RSASSA-PSS names its hash in its parameters, SHA-1 when absent
        // (RFC 4055 section 3.1).
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0a] => {
            let (parameters, _) = element(parameters, SEQUENCE)?;
            let Some((explicit, _)) = element(parameters, 0xa0) else {
                return Some(Hash::Sha256);
            };
            let (algorithm, _) = element(explicit, SEQUENCE)?;
            let (identifier, _) = element(algorithm, OID)?;
            let [0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, hash] = identifier else {
                return None;
            };
            // RFC 5754 section 2.
            match hash {
                1 => Hash::Sha256,
                2 => Hash::Sha384,
                3 => Hash::Sha512,
                _ => return None,
            }
        }
        // RSA with MD5, SHA-1, SHA-256, SHA-384, SHA-512 (RFC 8017 appendix C).
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, hash] => match hash {
            4 | 5 | 11 => Hash::Sha256,
            12 => Hash::Sha384,
            13 => Hash::Sha512,
            _ => return None,
        },
        // ECDSA with SHA-1; with SHA-2 (RFC 5758 section 3.2).
        [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x01] => Hash::Sha256,
        [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, hash] => match hash {
            2 => Hash::Sha256,
            3 => Hash::Sha384,
            4 => Hash::Sha512,
            _ => return None,
        },
        // Ed25519 and Ed448 hash in a way of their own: RFC 5929 leaves them
        // without a binding.
        _ => return None,
    };
    Some(hash)
}

/// The contents of a DER element with this tag, and what follows it.
fn element(octets: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&[found, first], rest) = octets.split_first_chunk::<2>()?;
    if found != tag {
        return None;
    }
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (length, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            let length = length
                .iter()
                .fold(0_usize, |sum, &octet| sum << 8 | usize::from(octet));
            (length, rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{
        CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519,
        SignatureAlgorithm,
    };

    use super::*;

    fn certificate(algorithm: &'static SignatureAlgorithm) -> Vec<u8> {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let params = CertificateParams::new(["mx.test".to_owned()]).unwrap();
        params.self_signed(&key).unwrap().der().to_vec()
    }

    #[test]
    fn the_end_point_is_hashed_as_the_certificate_was_signed() {
        let p256 = certificate(&PKCS_ECDSA_P256_SHA256);
        assert_eq!(end_point(&p256), Some(Sha256::digest(&p256).to_vec()));
        let p384 = certificate(&PKCS_ECDSA_P384_SHA384);
        assert_eq!(end_point(&p384), Some(Sha384::digest(&p384).to_vec()));
        assert_eq!(end_point(&certificate(&PKCS_ED25519)), None);
    }

    #[test]
    fn a_certificate_cut_short_has_no_end_point() {
        let whole = certificate(&PKCS_ECDSA_P256_SHA256);
        for end in 0..whole.len() {
            assert_eq!(end_point(&whole[..end]), None, "{end}");
        }
    }

    proptest! {
        #[test]
        fn octets_that_are_no_certificate_do_no_harm(octets: Vec<u8>) {
            end_point(&octets);
        }
    }
}
