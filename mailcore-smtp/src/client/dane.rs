//! DANE for SMTP (RFC 7672): whether a certificate is one that TLSA records
//! name. Pure: records and certificates in, a verdict out.
//!
//! How the records are found, and what follows from a verdict, is decided
//! elsewhere.

use mailcore::seams::Tlsa;
use rustls::RootCertStore;
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::pki_types::{CertificateDer, ServerName, SignatureVerificationAlgorithm, UnixTime};
use rustls::server::ParsedCertificate;
use sha2::{Digest, Sha256, Sha512};

use super::error::TlsFaultKind;

/// Records looked at; a zone that has more names none of its keys by them.
const MAX_RECORDS: usize = 32;

/// RFC 6698 section 2.1.1: an authority of the zone's own.
const TRUST_ANCHOR: u8 = 2;
/// RFC 6698 section 2.1.1: the host's own certificate.
const END_ENTITY: u8 = 3;
const WHOLE_CERTIFICATE: u8 = 0;
const PUBLIC_KEY: u8 = 1;

/// What a host presented.
#[derive(Debug)]
pub(super) struct Presented<'a> {
    pub(super) certificate: &'a CertificateDer<'a>,
    pub(super) chain: &'a [CertificateDer<'a>],
    pub(super) now: UnixTime,
    pub(super) algorithms: &'a [&'static dyn SignatureVerificationAlgorithm],
}

/// The records that can be used with SMTP: usages 2 and 3 (RFC 7672 section
/// 3.1.3), known selectors, digests of the right length, and of digests of one
/// kind the strongest alone (RFC 7671 section 9).
pub(super) fn usable(records: &[Tlsa]) -> Vec<Tlsa> {
    let known = |record: &&Tlsa| {
        let length = match record.matching {
            0 => !record.data.is_empty(),
            1 => record.data.len() == 32,
            2 => record.data.len() == 64,
            _ => false,
        };
        let usage = matches!(record.usage, TRUST_ANCHOR | END_ENTITY);
        length && usage && matches!(record.selector, WHOLE_CERTIFICATE | PUBLIC_KEY)
    };
    let known: Vec<&Tlsa> = records.iter().filter(known).take(MAX_RECORDS).collect();
    let outdone = |record: &Tlsa| {
        record.matching == 1
            && known.iter().any(|other| {
                (other.usage, other.selector, other.matching) == (record.usage, record.selector, 2)
            })
    };
    let best = known.iter().filter(|record| !outdone(record));
    best.map(|record| (*record).clone()).collect()
}

/// Whether one of the records names what was presented. `names` are those of
/// which one must be in the certificate where an authority is named; where the
/// certificate itself is, names and dates do not matter (RFC 7672 section
/// 3.1.1).
///
/// # Errors
/// What was wrong with it.
pub(super) fn verify(
    records: &[Tlsa],
    presented: &Presented<'_>,
    names: &[ServerName<'_>],
) -> Result<(), TlsFaultKind> {
    let mut fault = TlsFaultKind::Tlsa;
    let end_entity = records.iter().filter(|record| record.usage == END_ENTITY);
    for record in end_entity {
        if matches(record, presented.certificate) {
            return Ok(());
        }
    }
    for record in records.iter().filter(|record| record.usage == TRUST_ANCHOR) {
        match by_anchor(record, presented, names) {
            Ok(()) => return Ok(()),
            Err(found) if fault == TlsFaultKind::Tlsa => fault = found,
            Err(_) => {}
        }
    }
    Err(fault)
}

fn by_anchor(
    record: &Tlsa,
    presented: &Presented<'_>,
    names: &[ServerName<'_>],
) -> Result<(), TlsFaultKind> {
    let mut roots = RootCertStore::empty();
    for certificate in presented.chain {
        if matches(record, certificate) {
            // One that cannot be an anchor leads to no chain.
            let _ = roots.add(certificate.clone().into_owned());
        }
    }
    if record.selector == WHOLE_CERTIFICATE && record.matching == 0 {
        // RFC 7672 section 3.1.2: the record itself is the authority's
        // certificate, which the host need not send then.
        let _ = roots.add(CertificateDer::from(record.data.clone()));
    }
    if roots.is_empty() {
        return Err(TlsFaultKind::Tlsa);
    }
    let certificate =
        ParsedCertificate::try_from(presented.certificate).map_err(|_| TlsFaultKind::Handshake)?;
    let Presented { chain, now, .. } = presented;
    verify_server_cert_signed_by_trust_anchor(
        &certificate,
        &roots,
        chain,
        *now,
        presented.algorithms,
    )
    .map_err(|error| super::tls::fault_kind(&error))?;
    let mut names = names.iter();
    if names.any(|name| verify_server_name(&certificate, name).is_ok()) {
        Ok(())
    } else {
        Err(TlsFaultKind::HostMismatch)
    }
}

/// RFC 6698 section 2.1.3.
fn matches(record: &Tlsa, certificate: &CertificateDer<'_>) -> bool {
    let public_key;
    let selected: &[u8] = if record.selector == PUBLIC_KEY {
        let Ok(parsed) = ParsedCertificate::try_from(certificate) else {
            return false;
        };
        public_key = parsed.subject_public_key_info();
        &public_key
    } else {
        certificate
    };
    match record.matching {
        0 => record.data == selected,
        1 => record.data == Sha256::digest(selected).as_slice(),
        _ => record.data == Sha512::digest(selected).as_slice(),
    }
}
