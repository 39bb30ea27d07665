//! Certificates as they were read, and what there is to say about them.

use std::collections::HashMap;
use std::fmt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use mailcore::net::{Acme, CertificateFacts, NamedCertificates};
use mailcore::time::Timestamp;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::{TlsError, chain, own, provider};
use crate::config::{Config, TlsFiles};
use crate::data::DataDir;
use crate::when;

/// So long before its end a certificate is warned of.
pub(super) const SOON: Duration = Duration::from_secs(14 * 24 * 60 * 60);

/// When files were changed, and how long they are; `None` for one that is gone.
pub(crate) type Stamps = HashMap<PathBuf, Option<(SystemTime, u64)>>;

/// Every certificate that is to be shown, the default one first.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) certificates: Vec<Read>,
    /// As the files were when they were read.
    pub(crate) stamps: Stamps,
}

/// One certificate and where it is from.
#[derive(Debug)]
pub(crate) struct Read {
    source: Source,
    pub(crate) facts: CertificateFacts,
    key: Arc<CertifiedKey>,
}

#[derive(Debug)]
enum Source {
    Files(TlsFiles),
    Own,
    Acme,
}

impl Loaded {
    /// Reads everything. Of files nothing may be wrong; what an authority is to
    /// give may not be there yet.
    pub(crate) async fn read(
        config: &Config,
        data: &DataDir,
        acme: Option<&Acme>,
        now: Timestamp,
    ) -> Result<Self, TlsError> {
        let mut loaded = Self::given(config, acme).await?;
        if loaded.needs_own(config) {
            let files = own(&config.hostname, data, now)?;
            loaded.show_first(Read::files(&files, Source::Own)?);
        }
        Ok(loaded)
    }

    /// Reads what is there, and makes nothing.
    pub(crate) async fn existing(
        config: &Config,
        data: &DataDir,
        acme: Option<&Acme>,
    ) -> Result<Self, TlsError> {
        let mut loaded = Self::given(config, acme).await?;
        let own = TlsFiles {
            certificate: data.certificate(),
            key: data.key(),
        };
        if loaded.needs_own(config) && own.certificate.exists() && own.key.exists() {
            loaded.show_first(Read::files(&own, Source::Own)?);
        }
        Ok(loaded)
    }

    /// What others made.
    async fn given(config: &Config, acme: Option<&Acme>) -> Result<Self, TlsError> {
        let mut loaded = Self::configured(config)?;
        let given = match acme {
            Some(acme) => acme.certificates().await?,
            None => Vec::new(),
        };
        loaded
            .certificates
            .extend(given.into_iter().map(|(facts, key)| Read {
                source: Source::Acme,
                facts,
                key,
            }));
        Ok(loaded)
    }

    fn needs_own(&self, config: &Config) -> bool {
        let is_given = config.tls.default.is_some() || config.acme.is_some();
        self.certificates.is_empty() || !is_given
    }

    fn show_first(&mut self, read: Read) {
        self.certificates.insert(0, read);
    }

    /// Reads the configured files alone.
    pub(crate) fn configured(config: &Config) -> Result<Self, TlsError> {
        // Before the files, so that a change meanwhile is seen later.
        let stamps = stamps(config);
        let read = |files: &TlsFiles| Read::files(files, Source::Files(files.clone()));
        Ok(Self {
            certificates: config.tls.files().map(read).collect::<Result<_, _>>()?,
            stamps,
        })
    }

    /// Which is shown for which name; `None` when there is none at all.
    pub(crate) fn named(&self) -> Option<NamedCertificates> {
        let default = self.certificates.first()?;
        let mut named = NamedCertificates::new(Arc::clone(&default.key));
        for read in &self.certificates {
            for name in &read.facts.names {
                named.add(name, &read.key);
            }
        }
        Some(named)
    }

    /// What an operator should look at, and the server can live with.
    pub(crate) fn warnings(&self, config: &Config, now: Timestamp) -> Vec<String> {
        let mut warnings = Vec::new();
        for read in &self.certificates {
            let until = when::shown(read.facts.not_after);
            if read.facts.not_after <= now {
                warnings.push(format!(
                    "{read} ended on {until}: clients refuse it; renew it"
                ));
            } else if read.facts.not_after <= now.after(SOON) {
                warnings.push(format!("{read} ends on {until}; renew it"));
            }
            if read.facts.not_before > now {
                let from = when::shown(read.facts.not_before);
                warnings.push(format!("{read} does not hold before {from}"));
            }
            if let Source::Files(files) = &read.source {
                warnings.extend(exposed(&files.key));
            }
        }
        let covered = |name: &str| self.certificates.iter().any(|it| it.facts.covers(name));
        let ordered: Vec<&String> = config.acme.iter().flat_map(|it| it.names()).collect();
        let name = config.hostname.to_ascii();
        let name = name.as_ref().unwrap_or(&config.hostname).as_str();
        if !self.certificates.is_empty() && !covered(name) && !ordered.iter().any(|it| *it == name)
        {
            warnings.push(format!(
                "no certificate is for {name}, this server's name: other hosts and clients that \
                 check names refuse it"
            ));
        }
        warnings
    }

    /// A line for each that is not among `before`.
    pub(crate) fn news(&self, before: &[CertificateDer<'static>]) -> Vec<String> {
        let new = |read: &&Read| read.leaf().is_none_or(|leaf| !before.contains(leaf));
        let line = |read: &Read| format!("{read}, until {}", when::shown(read.facts.not_after));
        self.certificates.iter().filter(new).map(line).collect()
    }

    /// The certificates themselves, to compare others with.
    pub(crate) fn leaves(&self) -> Vec<CertificateDer<'static>> {
        let leaves = self.certificates.iter().filter_map(Read::leaf);
        leaves.cloned().collect()
    }
}

impl Read {
    fn files(files: &TlsFiles, source: Source) -> Result<Self, TlsError> {
        let chain = chain(&files.certificate)?;
        let shown = |path: &Path| path.display().to_string();
        let facts = chain.first().map(CertificateFacts::of).transpose();
        let facts = facts.map_err(|source| TlsError::Unreadable {
            path: shown(&files.certificate),
            source,
        })?;
        let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|source| TlsError::Pem {
            path: shown(&files.key),
            source,
        })?;
        let key = CertifiedKey::from_der(chain, key, &provider());
        let key = key.map_err(|source| TlsError::Pair {
            certificate: shown(&files.certificate),
            key: shown(&files.key),
            source,
        })?;
        Ok(Self {
            source,
            facts: facts.ok_or_else(|| TlsError::NoCertificate {
                path: shown(&files.certificate),
            })?,
            key: Arc::new(key),
        })
    }

    fn leaf(&self) -> Option<&CertificateDer<'static>> {
        self.key.cert.first()
    }
}

impl fmt::Display for Read {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            Source::Files(files) => write!(f, "certificate {}", files.certificate.display())?,
            Source::Own => f.write_str("certificate of the server's own making")?,
            Source::Acme => f.write_str("certificate by ACME")?,
        }
        match self.facts.names.as_slice() {
            [] => f.write_str(" without a name"),
            names => write!(f, " for {}", names.join(", ")),
        }
    }
}

/// What the configured files look like now.
pub(crate) fn stamps(config: &Config) -> Stamps {
    let files = config.tls.files();
    let paths = files.flat_map(|files| [&files.certificate, &files.key]);
    let stamp = |path: &PathBuf| {
        let data = std::fs::metadata(path).ok()?;
        Some((data.modified().ok()?, data.len()))
    };
    paths.map(|path| (path.clone(), stamp(path))).collect()
}

/// A key that others than its owner and its group can read is no secret.
fn exposed(key: &Path) -> Option<String> {
    let mode = std::fs::metadata(key).ok()?.permissions().mode();
    (mode & 0o007 != 0).then(|| {
        format!(
            "anybody on this machine may use {}: chmod o= {0}",
            key.display()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::own::own;

    #[test]
    fn a_key_of_another_certificate_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let name = "mail.example.test".parse().unwrap();
        let make = |name_of: &str| {
            let data = DataDir::new(&folder.path().join(name_of));
            data.create().unwrap();
            own(&name, &data, Timestamp::from_secs(1_800_000_000)).unwrap()
        };
        let mixed = TlsFiles {
            certificate: make("a").certificate,
            key: make("b").key,
        };
        let read = Read::files(&mixed, Source::Own);
        assert!(matches!(read, Err(TlsError::Pair { .. })));
    }
}
