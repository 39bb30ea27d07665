//! `[tls]` and what listeners say of it: certificates, and clients' own.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::file::{At, Section};
use super::schedule::keep_or_never;

/// How often files are looked at unless the file says otherwise.
const WATCH: Duration = Duration::from_secs(60);

/// The certificates of the configuration.
#[derive(Debug, Clone)]
pub(crate) struct TlsSettings {
    /// For those who ask for no name, or for one that no other is for; `None`
    /// for one by ACME or of the server's own making.
    pub(crate) default: Option<TlsFiles>,
    pub(crate) more: Vec<TlsFiles>,
    /// How often the files are looked at; `None` for never.
    pub(crate) watch: Option<Duration>,
}

/// A certificate chain and its key, both PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TlsFiles {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

/// Whether a listener asks clients for certificates, and whose it believes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum ClientCertificateUse {
    #[default]
    Off,
    Optional(PathBuf),
    Required(PathBuf),
}

#[derive(Debug, Clone, Copy)]
enum Word {
    Off,
    Optional,
    Required,
}

const WORDS: [(&str, Word); 3] = [
    ("off", Word::Off),
    ("optional", Word::Optional),
    ("required", Word::Required),
];

impl Default for TlsSettings {
    fn default() -> Self {
        Self {
            default: None,
            more: Vec::new(),
            watch: Some(WATCH),
        }
    }
}

impl TlsSettings {
    /// All files, the default one's first.
    pub(crate) fn files(&self) -> impl Iterator<Item = &TlsFiles> {
        self.default.iter().chain(&self.more)
    }
}

/// Reads the table.
pub(super) fn tls(root: &Section<'_, '_>, folder: &Path, settings: &mut TlsSettings) {
    let section = root.section("tls", "[tls]");
    if section.has("certificate") || section.has("key") {
        settings.default = files(&section, folder);
    }
    let more = section.sections("certificates", "[[tls.certificates]]");
    for one in more.unwrap_or_default() {
        settings.more.extend(files(&one, folder));
        one.finish();
    }
    if let Some(every) = keep_or_never(&section, "watch") {
        settings.watch = (!every.is_zero()).then_some(every);
    }
    section.finish();
}

fn files(section: &Section<'_, '_>, folder: &Path) -> Option<TlsFiles> {
    let (certificate, key) = (section.required("certificate"), section.required("key"));
    let (certificate, key) = (certificate?, key?);
    for file in [certificate, key] {
        readable(section, folder, file);
    }
    Some(TlsFiles {
        certificate: folder.join(certificate.value),
        key: folder.join(key.value),
    })
}

/// Reads a listener's keys about certificates of clients.
pub(super) fn clients(section: &Section<'_, '_>, folder: &Path) -> ClientCertificateUse {
    let authorities = section.string("client_authorities");
    let word = section
        .string("client_certificates")
        .and_then(|text| section.word("client_certificates", text, &WORDS));
    let Some(path) = authorities else {
        if let Some(Word::Optional | Word::Required) = word {
            let line = section.line();
            section.problem(
                line,
                "client_certificates needs client_authorities, a PEM file",
            );
        }
        return ClientCertificateUse::Off;
    };
    readable(section, folder, path);
    let file = folder.join(path.value);
    match word {
        Some(Word::Optional) => ClientCertificateUse::Optional(file),
        Some(Word::Required) => ClientCertificateUse::Required(file),
        Some(Word::Off) | None => ClientCertificateUse::Off,
    }
}

pub(super) fn readable(section: &Section<'_, '_>, folder: &Path, file: At<&str>) {
    let path = folder.join(file.value);
    if let Err(error) = std::fs::File::open(&path) {
        section.problem(file.line, format!("can't read {}: {error}", path.display()));
    }
}
