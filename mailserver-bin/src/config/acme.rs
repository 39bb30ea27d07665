//! `[acme]`: certificates from an authority.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mailcore::account::Secret;
use mailcore::address::Domain;
use mailcore::net::{ExternalAccount, KeyChoice, OwnNetwork};

use super::file::{At, Section};
use super::tls::readable;

/// Let's Encrypt.
const DIRECTORY: &str = "https://acme-v02.api.letsencrypt.org/directory";
/// How long name servers take to show a record, unless the file says otherwise.
const DNS_DELAY: Duration = Duration::from_secs(30);

/// Which certificates are wanted, from whom, and how names are shown to be ours.
#[derive(Debug, Clone)]
pub(crate) struct AcmeSettings {
    pub(crate) directory: String,
    pub(crate) contacts: Vec<String>,
    pub(crate) certificates: Vec<Vec<String>>,
    pub(crate) challenge: AcmeChallenge,
    /// Where the page of HTTP-01 is shown.
    pub(crate) http_address: Option<SocketAddr>,
    pub(crate) external_account: Option<ExternalAccount>,
    pub(crate) dns_delay: Duration,
    pub(crate) keys: KeyChoice,
    /// Whom the authority's own certificate is from; `None` for the usual ones.
    pub(crate) roots: Option<PathBuf>,
    pub(crate) own_network: OwnNetwork,
}

/// How a name is shown to be ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AcmeChallenge {
    TlsAlpn01,
    Http01,
    /// By this program and its first arguments.
    Dns01(Vec<String>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    TlsAlpn01,
    Http01,
    Dns01,
}

const WORDS: [(&str, Word); 3] = [
    ("tls-alpn-01", Word::TlsAlpn01),
    ("http-01", Word::Http01),
    ("dns-01", Word::Dns01),
];

const KEYS: [(&str, KeyChoice); 3] = [
    ("fresh", KeyChoice::Fresh),
    ("kept", KeyChoice::Kept),
    ("announced", KeyChoice::Announced),
];

impl AcmeSettings {
    /// Every name that a certificate is wanted for.
    pub(crate) fn names(&self) -> impl Iterator<Item = &String> {
        self.certificates.iter().flatten()
    }
}

/// Reads the table; `None` when it is not there, or nothing can be made of it.
pub(super) fn acme(
    root: &Section<'_, '_>,
    folder: &Path,
    hostname: &Domain,
) -> Option<AcmeSettings> {
    let section = root.section("acme", "[acme]");
    if !section.is_present() {
        section.finish();
        return None;
    }
    if section.flag("agree_to_terms") != Some(true) {
        let problem = "agree_to_terms = true is missing in [acme]: read the authority's terms of \
                       service, and agree";
        section.problem(section.line(), problem);
    }
    let challenge = challenge(&section);
    let mut settings = AcmeSettings {
        directory: directory(&section),
        contacts: contacts(&section),
        certificates: certificates(&section, hostname),
        http_address: http_address(&section, &challenge),
        external_account: external_account(&section, folder),
        dns_delay: DNS_DELAY,
        keys: KeyChoice::default(),
        roots: section.string("roots").map(|file| {
            readable(&section, folder, file);
            folder.join(file.value)
        }),
        own_network: match section.flag("own_network") {
            Some(true) => OwnNetwork::Allowed,
            _ => OwnNetwork::Refused,
        },
        challenge,
    };
    if let Some(delay) = section.duration("dns_delay") {
        settings.dns_delay = delay.value;
    }
    if let Some(text) = section.string("keys") {
        settings.keys = section.word("keys", text, &KEYS).unwrap_or_default();
    }
    let wildcard = settings.names().find(|name| name.starts_with("*."));
    if let Some(name) = wildcard
        && !matches!(settings.challenge, AcmeChallenge::Dns01(_))
    {
        let problem = format!("{name}: a wildcard needs challenge = \"dns-01\"");
        section.problem(section.line(), problem);
    }
    section.finish();
    Some(settings)
}

fn directory(section: &Section<'_, '_>) -> String {
    let Some(url) = section.string("directory") else {
        return DIRECTORY.to_owned();
    };
    if !url.value.starts_with("https://") {
        section.problem(url.line, "directory must be a URL with https");
    }
    url.value.to_owned()
}

fn contacts(section: &Section<'_, '_>) -> Vec<String> {
    let contacts = section.strings_or_string("contact").unwrap_or_default();
    let url = |contact: At<&str>| match contact.value.contains(':') {
        true => contact.value.to_owned(),
        false => format!("mailto:{}", contact.value),
    };
    contacts.into_iter().map(url).collect()
}

fn challenge(section: &Section<'_, '_>) -> AcmeChallenge {
    let word = match section.string("challenge") {
        Some(text) => section.word("challenge", text, &WORDS),
        None => Some(Word::TlsAlpn01),
    };
    let hook = section.strings_or_string("dns_hook");
    let hook: Option<Vec<_>> = hook.map(|words| {
        words
            .into_iter()
            .map(|word| word.value.to_owned())
            .collect()
    });
    match (word, hook) {
        (Some(Word::Dns01), Some(command)) if !command.is_empty() => AcmeChallenge::Dns01(command),
        (Some(Word::Dns01), _) => {
            let problem = "challenge \"dns-01\" needs dns_hook, a program and its arguments";
            section.problem(section.line(), problem);
            AcmeChallenge::TlsAlpn01
        }
        (_, Some(_)) => {
            section.problem(section.line(), "dns_hook needs challenge = \"dns-01\"");
            AcmeChallenge::TlsAlpn01
        }
        (Some(Word::Http01), None) => AcmeChallenge::Http01,
        (Some(Word::TlsAlpn01) | None, None) => AcmeChallenge::TlsAlpn01,
    }
}

fn http_address(section: &Section<'_, '_>, challenge: &AcmeChallenge) -> Option<SocketAddr> {
    let text = section.string("http_address");
    let needed = *challenge == AcmeChallenge::Http01;
    let Some(text) = text else {
        if needed {
            let problem = "challenge \"http-01\" needs http_address: \"0.0.0.0:80\"";
            section.problem(section.line(), problem);
        }
        return None;
    };
    if !needed {
        section.problem(text.line, "http_address needs challenge = \"http-01\"");
    }
    let address = text.value.parse();
    if address.is_err() {
        let problem = format!("http_address \"{}\" is not IP:port", text.value);
        section.problem(text.line, problem);
    }
    address.ok()
}

/// `names` of one certificate, or a list of names for each of several.
fn certificates(section: &Section<'_, '_>, hostname: &Domain) -> Vec<Vec<String>> {
    let mut certificates = Vec::new();
    if let Some(names) = section.strings("names") {
        certificates.push(checked(section, names));
    }
    let more = section.sections("certificate", "[[acme.certificate]]");
    for one in more.into_iter().flatten() {
        certificates.push(checked(&one, one.strings("names").unwrap_or_default()));
        one.finish();
    }
    // What is kept of a certificate is named after its first name.
    let mut first: Vec<&String> = certificates
        .iter()
        .filter_map(|names| names.first())
        .collect();
    first.sort();
    if let Some([name, _]) = first.array_windows().find(|[one, next]| one == next) {
        let problem = format!("two certificates begin with {name}; begin one with another name");
        section.problem(section.line(), problem);
    }
    if certificates.is_empty() {
        let name = hostname.to_ascii().unwrap_or_else(|_| hostname.clone());
        certificates.push(vec![name.to_string()]);
    }
    certificates
}

fn checked(section: &Section<'_, '_>, names: Vec<At<&str>>) -> Vec<String> {
    if names.is_empty() {
        section.problem(section.line(), "names must list one name or more");
    }
    let mut good = Vec::new();
    for name in names {
        let plain = name.value.strip_prefix("*.").unwrap_or(name.value);
        let domain = Domain::parse(plain).and_then(|domain| domain.to_ascii());
        match domain {
            Ok(domain) => {
                let star = if plain == name.value { "" } else { "*." };
                good.push(format!("{star}{}", domain.as_str().to_ascii_lowercase()));
            }
            Err(error) => section.problem(name.line, format!("names: \"{}\": {error}", name.value)),
        }
    }
    good
}

fn external_account(section: &Section<'_, '_>, folder: &Path) -> Option<ExternalAccount> {
    let (id, file) = (section.string("eab_key_id"), section.string("eab_key_file"));
    let (Some(id), Some(file)) = (id, file) else {
        if let Some(one) = id.or(file) {
            section.problem(one.line, "eab_key_id and eab_key_file go together");
        }
        return None;
    };
    let path = folder.join(file.value);
    let key = std::fs::read_to_string(&path).map_err(|error| error.to_string());
    match key.and_then(|text| decode(text.trim())) {
        Ok(key) => Some(ExternalAccount {
            key_id: id.value.to_owned(),
            key: Secret::new(key),
        }),
        Err(error) => {
            let problem = format!("eab_key_file {}: {error}", path.display());
            section.problem(file.line, problem);
            None
        }
    }
}

/// Authorities hand the key out in base64url without padding.
fn decode(text: &str) -> Result<Vec<u8>, String> {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let decoded = URL_SAFE_NO_PAD.decode(text.trim_end_matches('='));
    decoded.map_err(|error| format!("it is not base64url: {error}"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{AcmeChallenge, KeyChoice};
    use crate::config::resolve::resolve;

    const START: &str = "[server]\nhostname = \"mx.example.com\"\n[acme]\n";

    #[test]
    fn the_servers_name_is_ordered_unless_names_are_given() {
        let read = |more: &str| {
            let text = format!("{START}agree_to_terms = true\n{more}");
            resolve(Path::new("m.toml"), &text).unwrap().acme.unwrap()
        };
        assert_eq!(read("").certificates, [["mx.example.com"]]);
        let more = "challenge = \"dns-01\"\ndns_hook = [\"/bin/hook\", \"x\"]\n\
                    contact = \"me@example.com\"\nnames = [\"Example.com\", \"*.example.com\"]\n\
                    [[acme.certificate]]\nnames = [\"mx.example.org\"]\n";
        let settings = read(more);
        assert_eq!(settings.certificates[0], ["example.com", "*.example.com"]);
        assert_eq!(settings.certificates[1], ["mx.example.org"]);
        assert_eq!(settings.contacts, ["mailto:me@example.com"]);
        let hook = ["/bin/hook", "x"].map(str::to_owned).to_vec();
        assert_eq!(settings.challenge, AcmeChallenge::Dns01(hook));
    }

    #[test]
    fn certificates_need_first_names_of_their_own_and_keys_are_chosen() {
        let good = format!("{START}agree_to_terms = true\nkeys = \"announced\"\n");
        let settings = resolve(Path::new("m.toml"), &good).unwrap().acme.unwrap();
        assert_eq!(settings.keys, KeyChoice::Announced);
        let twice = format!(
            "{START}agree_to_terms = true\nnames = [\"a.test\"]\n\
             [[acme.certificate]]\nnames = [\"A.test\", \"b.test\"]\n"
        );
        let told = resolve(Path::new("m.toml"), &twice)
            .unwrap_err()
            .to_string();
        assert!(
            told.contains("m.toml:3: two certificates begin with a.test"),
            "{told}"
        );
    }

    #[test]
    fn what_does_not_fit_together_is_told() {
        let text = format!(
            "{START}directory = \"http://acme.test\"\nnames = [\"*.example.com\", \"a b\"]\n\
             http_address = \"0.0.0.0:80\"\neab_key_id = \"x\"\n"
        );
        let told = resolve(Path::new("m.toml"), &text).unwrap_err().to_string();
        for words in [
            "m.toml:3: agree_to_terms = true is missing",
            "m.toml:3: *.example.com: a wildcard needs challenge = \"dns-01\"",
            "m.toml:4: directory must be a URL with https",
            "m.toml:5: names: \"a b\"",
            "m.toml:6: http_address needs challenge = \"http-01\"",
            "m.toml:7: eab_key_id and eab_key_file go together",
        ] {
            assert!(told.contains(words), "{words} in\n{told}");
        }
    }
}
