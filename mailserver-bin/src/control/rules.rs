//! Commands on how served domains' mail is taken.

use clap::{Args, ValueEnum};
use mailcore::address::Domain;
use mailcore::route::{DomainRules, keys};
use mailcore::seams::{Directory, DomainKind, Scope, Settings};
use serde::{Deserialize, Serialize};

use super::admin::{Admin, parse_domain, words};
use super::aligned;
use crate::config::parse_size;

/// What takes a rule away.
const NONE: &str = "none";
/// Rules as they are shown.
const SHOWN: [(&str, &str); 8] = [
    ("max size", keys::MAX_SIZE),
    ("catch-all", keys::CATCH_ALL),
    ("unknown to", keys::UNKNOWN_TO),
    ("listed only", keys::LISTED_ONLY),
    ("callout", keys::CALLOUT),
    ("outbound", keys::OUTBOUND),
    ("separator", keys::SEPARATOR),
    ("patterns", keys::PATTERNS),
];

/// What can be set for a domain.
#[derive(Debug, Clone, Default, Args, Serialize, Deserialize)]
pub(crate) struct Rules {
    /// Octets that a message may have: `20MB`, or `none`
    #[arg(long, value_name = "SIZE")]
    max_size: Option<String>,
    /// The address that gets what is for nobody, or `none`
    #[arg(long, value_name = "ADDRESS")]
    catch_all: Option<String>,
    /// Hands what is for nobody here to another host, or `none`
    #[arg(long, value_name = "HOST[:PORT]")]
    unknown_to: Option<String>,
    /// For a relayed domain: takes mail only for addresses that have a handler
    #[arg(long)]
    listed_only: Option<YesNo>,
    /// For a relayed domain: asks its host for each recipient before taking mail
    #[arg(long)]
    callout: Option<YesNo>,
    /// The host by which this domain's mail to others leaves, or `none`
    #[arg(long, value_name = "HOST[:PORT]")]
    outbound: Option<String>,
    /// The sign between a user and a detail: `+`, `-`, or `none`
    #[arg(long, value_name = "SIGN")]
    separator: Option<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum, Serialize, Deserialize)]
enum YesNo {
    Yes,
    No,
}

impl Rules {
    /// The settings that they are: a key, and its value unless it goes.
    fn settings(self) -> Result<Vec<(&'static str, Option<String>)>, String> {
        let yes = |it: Option<YesNo>| {
            it.map(|it| match it {
                YesNo::Yes => "yes".to_owned(),
                YesNo::No => NONE.to_owned(),
            })
        };
        let size = self.max_size.map(|text| match text.as_str() {
            NONE => Ok(text),
            _ => parse_size(&text)
                .map(|size| size.to_string())
                .ok_or_else(|| format!("\"{text}\" is not a size")),
        });
        let wanted = [
            (keys::MAX_SIZE, size.transpose()?),
            (keys::CATCH_ALL, self.catch_all),
            (keys::UNKNOWN_TO, self.unknown_to),
            (keys::LISTED_ONLY, yes(self.listed_only)),
            (keys::CALLOUT, yes(self.callout)),
            (keys::OUTBOUND, self.outbound),
        ];
        let mut settings: Vec<_> = wanted
            .into_iter()
            .filter_map(|(key, value)| Some((key, value?)))
            .map(|(key, value)| (key, (value != NONE).then_some(value)))
            .collect();
        // Here `none` is a value: without one it is `+`.
        settings.extend(self.separator.map(|sign| (keys::SEPARATOR, Some(sign))));
        let mut trial = DomainRules::default();
        for (key, value) in &settings {
            if let Some(value) = value {
                trial.set(key, value).map_err(words)?;
                speaks_smtp(value)?;
            }
        }
        Ok(settings)
    }
}

/// Refuses a host that nothing here could reach: mail for it would wait.
pub(super) fn speaks_smtp(host: &str) -> Result<(), String> {
    match host.starts_with("lmtp:") {
        true => Err(format!(
            "\"{host}\": this server reaches LMTP hosts by [[outgoing.route]] alone"
        )),
        false => Ok(()),
    }
}

impl Admin {
    /// Changes a domain's rules and shows them.
    pub(super) async fn set_rules(
        &self,
        domain: &str,
        rules: Rules,
    ) -> Result<Vec<String>, String> {
        let domain = parse_domain(domain)?;
        let settings = rules.settings()?;
        let relayed = matches!(self.served(&domain).await?, DomainKind::Relay { .. });
        for (key, value) in &settings {
            let for_relays = [keys::LISTED_ONLY, keys::CALLOUT].contains(key);
            let for_local = [keys::CATCH_ALL, keys::UNKNOWN_TO, keys::SEPARATOR].contains(key);
            if value.is_some() && (for_relays && !relayed || for_local && relayed) {
                let other = if relayed { "local" } else { "relayed" };
                return Err(format!("{key} is for {other} domains; {domain} is none"));
            }
        }
        let scope = Scope::Domain(domain);
        for (key, value) in &settings {
            let set = self.directory.set(&scope, key, value.as_deref()).await;
            set.map_err(words)?;
        }
        self.rules(&scope).await
    }

    /// What holds for a domain.
    pub(super) async fn show_rules(&self, domain: &str) -> Result<Vec<String>, String> {
        let domain = parse_domain(domain)?;
        let serving = match self.served(&domain).await? {
            DomainKind::Relay { host, port } => format!("relayed to {host}:{port}"),
            DomainKind::Alias { of } => format!("alias of {of}"),
            _ => "mailboxes here".to_owned(),
        };
        let mut lines = vec![format!("{domain}: {serving}")];
        lines.extend(self.rules(&Scope::Domain(domain)).await?);
        Ok(lines)
    }

    async fn served(&self, domain: &Domain) -> Result<DomainKind, String> {
        let record = self.directory.domain(domain).await.map_err(words)?;
        let record = record.ok_or_else(|| format!("{domain} is not served here"))?;
        Ok(record.kind)
    }

    async fn rules(&self, scope: &Scope) -> Result<Vec<String>, String> {
        let mut rows = Vec::new();
        for (name, key) in SHOWN {
            let held = self.directory.setting(scope, key).await.map_err(words)?;
            let Some(held) = held else { continue };
            let mut row = vec![name.to_owned(), held.value.replace('\n', "; ")];
            row.extend((held.scope == Scope::Global).then(|| "(for all domains)".to_owned()));
            rows.push(row);
        }
        Ok(aligned(&rows))
    }
}
