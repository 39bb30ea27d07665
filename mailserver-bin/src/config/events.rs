//! `[events]`, `[[event]]` and `[[webhook]]`: how long events are kept, which
//! send mail, and who else is told of them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use mailcore::account::{AccountId, Secret};
use mailcore::address::{Address, Domain, ReversePath};
use mailcore::event::send_mail::{Condition, MailRule, MailTo, Sense, Test};
use mailcore::event::webhook::{Webhook, WebhookConfig};
use mailcore::event::{EventFilter, EventName, StartAt};
use mailcore::net::OwnNetwork;

use super::file::{At, Section};
use super::problems::nearest;
use super::resolve::secret_of;
use super::tls::readable;

/// Begins the names of the server's own rules.
pub(crate) const NOTICE: &str = "notice.";

/// What is done with events.
#[derive(Debug, Clone, Default)]
pub(crate) struct EventsConfig {
    /// How long, and how many, the store keeps; `None` for its default.
    pub(crate) keep: Option<Duration>,
    pub(crate) most: Option<u64>,
    pub(crate) rules: Vec<MailRule>,
    pub(crate) webhooks: Vec<WebhookSettings>,
}

/// A web hook as configured: its client is made when the server is.
#[derive(Debug, Clone)]
pub(crate) struct WebhookSettings {
    pub(crate) name: String,
    pub(crate) url: String,
    pub(crate) secrets: Vec<Secret>,
    pub(crate) filter: EventFilter,
    pub(crate) start: StartAt,
    pub(crate) own_network: OwnNetwork,
    /// Whom the web server's certificate is from; `None` for the usual ones.
    pub(crate) roots: Option<PathBuf>,
    pub(crate) config: WebhookConfig,
}

/// Reads the tables.
pub(super) fn events(root: &Section<'_, '_>, folder: &Path, config: &mut EventsConfig) {
    let section = root.section("events", "[events]");
    config.keep = section.duration("keep").map(|at| at.value);
    config.most = section.count("most").map(|most| most as u64);
    section.finish();
    for section in root.sections("event", "[[event]]").unwrap_or_default() {
        if let Some(rule) = rule(&section, folder, &config.rules) {
            config.rules.push(rule);
        }
        section.finish();
    }
    for section in root.sections("webhook", "[[webhook]]").unwrap_or_default() {
        if let Some(hook) = webhook(&section, folder, &config.webhooks) {
            config.webhooks.push(hook);
        }
        section.finish();
    }
}

fn rule(section: &Section<'_, '_>, folder: &Path, before: &[MailRule]) -> Option<MailRule> {
    let name = section.required("name");
    let names = named_events(section, "on", Named::Required);
    let conditions = section.sections("when", "when in [[event]]");
    let conditions = conditions.unwrap_or_default();
    let conditions: Vec<_> = conditions.into_iter().filter_map(condition).collect();
    let to = section.string("to").and_then(|to| recipient(section, to));
    let from = section
        .string("from")
        .and_then(|at| address(section, "from", at));
    let path = section.string("reverse_path");
    let path = path.and_then(|at| address(section, "reverse_path", at));
    let subject = section.string("subject");
    let text = body(section, folder);
    let every = section.duration("every");
    let per = section.string("per");
    let (name, names) = (name?, names?);
    let mut rule = MailRule::new(name.value, names);
    for condition in conditions {
        rule = rule.when(condition);
    }
    if let Some(to) = to {
        rule = rule.to(to);
    }
    if let Some(from) = from {
        rule = rule.from(from);
    }
    if let Some(path) = path {
        rule = rule.reverse_path(ReversePath::Address(path));
    }
    if let Some(subject) = subject {
        rule = rule.subject(subject.value);
    }
    if let Some(text) = text {
        rule = rule.text(&text);
    }
    if let Some(every) = every {
        rule = rule.at_most_every(every.value);
    }
    if let Some(per) = per {
        if every.is_none() {
            section.problem(per.line, "per needs every: how often a mail may be sent");
        }
        rule = rule.per(per.value);
    }
    if let Err(error) = rule.check() {
        section.problem(section.line(), error.to_string());
        return None;
    }
    if before.iter().any(|it| it.name() == name.value) || name.value.starts_with(NOTICE) {
        let problem = format!("name \"{}\" is taken by another rule", name.value);
        section.problem(name.line, problem);
        return None;
    }
    Some(rule)
}

/// Whether events must be named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Named {
    Required,
    Optional,
}

/// The events of a list; `None` when it can't be used.
fn named_events(
    section: &Section<'_, '_>,
    key: &'static str,
    named: Named,
) -> Option<Vec<EventName>> {
    let Some(words) = section.strings_or_string(key) else {
        if named == Named::Required && !section.has(key) {
            section.problem(
                section.line(),
                format!("{key} is missing: name one event or more"),
            );
        }
        return (named == Named::Optional && !section.has(key)).then(Vec::new);
    };
    let known: Vec<EventName> = EventName::all().collect();
    let texts: Vec<&str> = known.iter().map(EventName::as_str).collect();
    let mut names = Vec::new();
    let mut right = true;
    for word in words {
        match EventName::parse(word.value) {
            EventName::Other(_) => {
                right = false;
                let hint = match nearest(word.value, &texts) {
                    Some(near) => format!("did you mean \"{near}\"?"),
                    None => "events.md lists all".to_owned(),
                };
                let problem = format!("{key}: there is no event \"{}\"; {hint}", word.value);
                section.problem(word.line, problem);
            }
            name => names.push(name),
        }
    }
    right.then_some(names)
}

/// The one test of a condition.
fn condition(section: Section<'_, '_>) -> Option<Condition> {
    let field = section.required("field");
    let texts = [
        section
            .string("equals")
            .map(|at| Test::Equals(at.value.to_owned())),
        section
            .string("contains")
            .map(|at| Test::Contains(at.value.to_owned())),
        section
            .string("matches")
            .map(|at| Test::Matches(at.value.to_owned())),
    ];
    let number = |key| {
        let number = section.number(key)?;
        Some(i64::try_from(number.value).unwrap_or(i64::MAX))
    };
    let numbers = [
        number("greater").map(Test::Greater),
        number("less").map(Test::Less),
    ];
    let sense = match section.flag("not") {
        Some(true) => Sense::DoesNot,
        _ => Sense::Holds,
    };
    let mut tests = texts.into_iter().chain(numbers).flatten();
    let condition = match (tests.next(), tests.next()) {
        (Some(test), None) => field.map(|field| Condition::new(field.value, test, sense)),
        _ => {
            let problem = "a condition has one of: equals, contains, matches, greater, less";
            section.problem(section.line(), problem);
            None
        }
    };
    section.finish();
    condition
}

/// `postmaster`, an address, or `{field}`.
fn recipient(section: &Section<'_, '_>, to: At<&str>) -> Option<MailTo> {
    if to.value == "postmaster" {
        return Some(MailTo::Postmaster);
    }
    let field = to.value.strip_prefix('{');
    if let Some(field) = field.and_then(|rest| rest.strip_suffix('}')) {
        return Some(MailTo::Field(field.to_owned()));
    }
    address(section, "to", to).map(MailTo::Address)
}

pub(super) fn address(section: &Section<'_, '_>, key: &str, at: At<&str>) -> Option<Address> {
    let parsed = Address::parse(at.value);
    parsed
        .map_err(|error| section.problem(at.line, format!("{key}: {error}")))
        .ok()
}

/// `text`, or what is in `text_file`.
fn body(section: &Section<'_, '_>, folder: &Path) -> Option<String> {
    let (text, file) = (section.string("text"), section.string("text_file"));
    let Some(file) = file else {
        return text.map(|text| text.value.to_owned());
    };
    if text.is_some() {
        section.problem(file.line, "give text or text_file, not both");
    }
    match std::fs::read_to_string(folder.join(file.value)) {
        Ok(text) => Some(text),
        Err(error) => {
            section.problem(file.line, format!("can't read text_file: {error}"));
            None
        }
    }
}

fn webhook(
    section: &Section<'_, '_>,
    folder: &Path,
    before: &[WebhookSettings],
) -> Option<WebhookSettings> {
    let (name, url) = (section.required("name"), section.required("url"));
    let secret = secret_of(section, folder, ("secret", "secret_file"));
    let second = secret_of(section, folder, ("second_secret", "second_secret_file"));
    let own_network = match section.flag("own_network") {
        Some(true) => OwnNetwork::Allowed,
        _ => OwnNetwork::Refused,
    };
    let filter = filter(section);
    let start = match section.flag("from_oldest") {
        Some(true) => StartAt::Oldest,
        _ => StartAt::Now,
    };
    let roots = section.string("roots").map(|file| {
        readable(section, folder, file);
        folder.join(file.value)
    });
    let mut config = WebhookConfig::default();
    if let Some(batch) = section.count("batch") {
        config.batch = batch;
    }
    if let Some(at) = section.duration("give_up") {
        config.give_up_after = at.value.max(Duration::from_secs(1));
    }
    let named_secret = section.has("secret") || section.has("secret_file");
    if !named_secret {
        section.problem(
            section.line(),
            "secret or secret_file is missing in [[webhook]]",
        );
    }
    let (name, url, secret) = (name?, url?, secret?);
    for secret in [Some(&secret), second.as_ref()].into_iter().flatten() {
        if let Err(error) = Webhook::check(name.value, url.value, secret, own_network) {
            section.problem(url.line, error.to_string());
            return None;
        }
    }
    if before.iter().any(|it| it.name == name.value) {
        let problem = format!("name \"{}\" is taken by another web hook", name.value);
        section.problem(name.line, problem);
        return None;
    }
    Some(WebhookSettings {
        name: name.value.to_owned(),
        url: url.value.to_owned(),
        secrets: [Some(secret), second].into_iter().flatten().collect(),
        filter,
        start,
        own_network,
        roots,
        config,
    })
}

fn filter(section: &Section<'_, '_>) -> EventFilter {
    let names = named_events(section, "events", Named::Optional);
    let accounts = section.strings_or_string("accounts").unwrap_or_default();
    let domains = section.strings_or_string("domains").unwrap_or_default();
    let domain = |at: At<&str>| {
        let parsed = Domain::parse(at.value);
        parsed
            .map_err(|error| section.problem(at.line, format!("domains: {error}")))
            .ok()
    };
    EventFilter::all()
        .names(names.unwrap_or_default())
        .accounts(accounts.iter().map(|at| AccountId::new(at.value)))
        .domains(domains.into_iter().filter_map(domain))
}
