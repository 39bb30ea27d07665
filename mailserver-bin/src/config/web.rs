//! `[web]` and `[[mta_sts]]`: the names that pages are served for, and the
//! policies that other servers ask for.

use std::time::Duration;

use mailcore::address::Domain;
use mailcore_web::pages::{MtaStsMode, MtaStsPolicy};

use super::file::Section;

/// What HTTP listeners serve.
#[derive(Debug, Clone, Default)]
pub(crate) struct WebConfig {
    /// Names beside the host name.
    pub(crate) names: Vec<Domain>,
    pub(crate) policies: Vec<(Domain, MtaStsPolicy)>,
}

const MODES: [(&str, MtaStsMode); 3] = [
    ("enforce", MtaStsMode::Enforce),
    ("testing", MtaStsMode::Testing),
    ("none", MtaStsMode::None),
];
const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);

/// Reads the tables.
pub(super) fn web(root: &Section<'_, '_>, config: &mut WebConfig) {
    let section = root.section("web", "[web]");
    for text in section.strings("names").unwrap_or_default() {
        match Domain::parse(text.value) {
            Ok(name) => config.names.push(name),
            Err(error) => section.problem(text.line, format!("names: {error}")),
        }
    }
    section.finish();
    for section in root.sections("mta_sts", "[[mta_sts]]").unwrap_or_default() {
        if let Some(policy) = policy(&section) {
            config.policies.push(policy);
        }
        section.finish();
    }
}

fn policy(section: &Section<'_, '_>) -> Option<(Domain, MtaStsPolicy)> {
    let domain = section.required("domain").and_then(|text| {
        let domain = Domain::parse(text.value);
        domain
            .map_err(|error| section.problem(text.line, format!("domain: {error}")))
            .ok()
    });
    let mode = match section.string("mode") {
        Some(text) => section.word("mode", text, &MODES),
        None => Some(MtaStsMode::Testing),
    };
    let mut hosts = Vec::new();
    for text in section.strings("mx").unwrap_or_default() {
        let name = text.value.strip_prefix("*.").unwrap_or(text.value);
        match Domain::parse(name) {
            Ok(_) => hosts.push(text.value.to_ascii_lowercase()),
            Err(error) => section.problem(text.line, format!("mx: {error}")),
        }
    }
    // RFC 8461 section 3.2: at least one, but for a policy that is none.
    if hosts.is_empty() && mode != Some(MtaStsMode::None) {
        section.problem(
            section.line(),
            "mx must name the hosts that take the domain's mail",
        );
    }
    let max_age = section.duration("max_age").map_or(WEEK, |time| time.value);
    Some((domain?, MtaStsPolicy::new(mode?, hosts, max_age)))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::resolve::resolve;

    const SERVER: &str = "[server]\nhostname = \"mail.example.com\"\n";

    #[test]
    fn policies_are_read_and_checked() {
        let path = Path::new("mailserver.toml");
        let good = format!(
            "{SERVER}[[listener]]\nprotocol = \"http\"\naddress = \"127.0.0.1:8080\"\n\
             [web]\nnames = [\"www.example.com\"]\n\
             [[mta_sts]]\ndomain = \"example.com\"\nmode = \"enforce\"\nmx = [\"*.example.com\"]\n"
        );
        let config = resolve(path, &good).unwrap();
        let (domain, policy) = &config.web.policies[0];
        assert_eq!(domain.as_str(), "example.com");
        assert!(policy.to_string().contains("mx: *.example.com"));
        let bad = format!(
            "{SERVER}[[mta_sts]]\ndomain = \"example.com\"\nmode = \"force\"\nmx = [\"a b\"]\n\
             [[listener]]\nprotocol = \"http\"\naddress = \"127.0.0.1:80\"\ntls = \"starttls\"\n"
        );
        let problems = resolve(path, &bad).unwrap_err().to_string();
        for line in [":5: ", ":6: ", ":10: "] {
            assert!(problems.contains(line), "{problems}");
        }
    }
}
