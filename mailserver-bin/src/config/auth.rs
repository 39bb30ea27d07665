//! `[auth]`: how users log in.

use mailcore::sasl::{InClear, Mechanism};

use super::file::{At, Section};
use super::problems::nearest;

/// By which mechanisms, and which of them without TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AuthConfig {
    pub(crate) mechanisms: Vec<Mechanism>,
    pub(crate) in_clear: InClear,
}

impl Default for AuthConfig {
    fn default() -> Self {
        Self {
            mechanisms: Mechanism::USUAL.to_vec(),
            in_clear: InClear::default(),
        }
    }
}

const IN_CLEAR: [(&str, InClear); 2] = [
    ("nothing", InClear::Nothing),
    ("challenges", InClear::Challenges),
];

/// Reads the table.
pub(super) fn auth(root: &Section<'_, '_>, config: &mut AuthConfig) {
    let section = root.section("auth", "[auth]");
    if let Some(names) = section.strings("mechanisms") {
        let known = names.iter().filter_map(|&name| mechanism(&section, name));
        config.mechanisms = known.collect();
    }
    if let Some(text) = section.string("without_tls") {
        let in_clear = section.word("without_tls", text, &IN_CLEAR);
        config.in_clear = in_clear.unwrap_or_default();
    }
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
