//! `[auth]`: how users log in.

use std::path::Path;

use mailcore::oauth::OAuthSettings;
use mailcore::sasl::{InClear, Mechanism};
use mailcore_store::directory::CodeLogin;

use super::file::{At, Section};
use super::oauth;
use super::problems::nearest;

/// By which mechanisms, which of them without TLS, and with what else than
/// passwords.
#[derive(Debug, Clone)]
pub(crate) struct AuthConfig {
    pub(crate) mechanisms: Vec<Mechanism>,
    pub(crate) in_clear: InClear,
    pub(crate) codes: CodeLogin,
    /// Whose access tokens log in.
    pub(crate) oauth: Option<OAuthSettings>,
}

impl Default for AuthConfig {
    fn default() -> Self {
        Self {
            mechanisms: Mechanism::USUAL.to_vec(),
            in_clear: InClear::default(),
            codes: CodeLogin::default(),
            oauth: None,
        }
    }
}

const IN_CLEAR: [(&str, InClear); 2] = [
    ("nothing", InClear::Nothing),
    ("challenges", InClear::Challenges),
];

const CODES: [(&str, CodeLogin); 2] = [
    ("app-passwords", CodeLogin::AppPasswords),
    ("appended", CodeLogin::CodeAppended),
];

/// Reads the table.
pub(super) fn auth(root: &Section<'_, '_>, folder: &Path, config: &mut AuthConfig) {
    let section = root.section("auth", "[auth]");
    if let Some(names) = section.strings("mechanisms") {
        let known = names.iter().filter_map(|&name| mechanism(&section, name));
        config.mechanisms = known.collect();
    }
    if let Some(text) = section.string("without_tls") {
        let in_clear = section.word("without_tls", text, &IN_CLEAR);
        config.in_clear = in_clear.unwrap_or_default();
    }
    if let Some(text) = section.string("codes") {
        config.codes = section.word("codes", text, &CODES).unwrap_or_default();
    }
    config.oauth = oauth::oauth(&section, folder);
    section.finish();
}

/// Nobody is anonymous to this server's directory.
fn mechanism(section: &Section<'_, '_>, name: At<&str>) -> Option<Mechanism> {
    let found = Mechanism::parse(name.value).filter(|it| *it != Mechanism::Anonymous);
    if found.is_none() {
        let known: Vec<&str> = Mechanism::ALL
            .into_iter()
            .filter(|it| *it != Mechanism::Anonymous)
            .map(Mechanism::as_str)
            .collect();
        let upper = name.value.to_ascii_uppercase();
        let hint = match nearest(&upper, &known) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => format!("use some of {}", known.join(", ")),
        };
        let problem = format!("mechanisms: \"{}\" is not known; {hint}", name.value);
        section.problem(name.line, problem);
    }
    found
}
