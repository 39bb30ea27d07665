//! The certificate of the server's own making, for a first start and for hosts
//! that nobody outside knows.

use std::time::Duration;

use mailcore::address::Domain;
use mailcore::net::CertificateFacts;
use mailcore::time::Timestamp;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, date_time_ymd};

use super::{TlsError, chain};
use crate::config::TlsFiles;
use crate::data::DataDir;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// How long one holds: what Apple's clients still take of an authority that
/// their user added.
const HOLDS: Duration = Duration::from_secs(825 * 24 * 60 * 60);
/// A new one is made so long before the old one ends.
const BEFORE_END: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// The server's own certificate: made when it is not there, and again when it is
/// about to end or the server was given another name.
pub(crate) fn own(hostname: &Domain, data: &DataDir, now: Timestamp) -> Result<TlsFiles, TlsError> {
    let files = TlsFiles {
        certificate: data.certificate(),
        key: data.key(),
    };
    let name = hostname.to_ascii().unwrap_or_else(|_| hostname.clone());
    let name = name.as_str();
    if files.certificate.exists() && files.key.exists() && is_good(&files, name, now) {
        return Ok(files);
    }
    let names = [name, "localhost", "127.0.0.1", "::1"].map(str::to_owned);
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    let now = Duration::from_secs(now.secs().max(0).unsigned_abs());
    // A client whose clock is behind should not find it in the future.
    params.not_before = date_time_ymd(1970, 1, 1) + now.saturating_sub(DAY);
    params.not_after = date_time_ymd(1970, 1, 1) + now.saturating_add(HOLDS);
    let key = KeyPair::generate()?;
    let made = params.self_signed(&key)?;
    data.write_private(&files.key, key.serialize_pem().as_bytes())?;
    data.write_private(&files.certificate, made.pem().as_bytes())?;
    Ok(files)
}

/// What can't be read is not good either: nobody but this server writes it.
fn is_good(files: &TlsFiles, name: &str, now: Timestamp) -> bool {
    let leaf = chain(&files.certificate)
        .ok()
        .and_then(|chain| chain.into_iter().next());
    let facts = leaf.and_then(|leaf| CertificateFacts::of(&leaf).ok());
    facts.is_some_and(|facts| facts.covers(name) && facts.not_after > now.after(BEFORE_END))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_made_certificate_is_kept_private_until_it_ends_or_the_name_changes() {
        let folder = tempfile::tempdir().unwrap();
        let data = DataDir::new(folder.path());
        let name = Domain::parse("mail.example.test").unwrap();
        let now = Timestamp::from_secs(1_800_000_000);
        let made = |name: &Domain, now: Timestamp| {
            let files = own(name, &data, now).unwrap();
            let mode = std::fs::metadata(&files.key).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
            let leaf = chain(&files.certificate).unwrap().remove(0);
            (CertificateFacts::of(&leaf).unwrap(), leaf)
        };
        let (facts, first) = made(&name, now);
        assert_eq!(facts.names, ["mail.example.test", "localhost"]);
        assert!(facts.not_before < now && facts.not_after > now.after(HOLDS - DAY));
        assert_eq!(made(&name, now.after(700 * DAY)).1, first);
        let (facts, second) = made(&name, now.after(800 * DAY));
        assert!(second != first && facts.not_after > now.after(1_600 * DAY));
        let other = Domain::parse("mx.example.test").unwrap();
        assert!(
            made(&other, now.after(800 * DAY))
                .0
                .covers("mx.example.test")
        );
    }
}
