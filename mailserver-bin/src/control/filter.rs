//! Commands on lists and on what is set about tests of mail.

use std::sync::{Arc, Mutex, PoisonError};

use clap::Args;
use mailcore::seams::{Directory, Scope, Settings};
use mailcore_filter::lists::{About, Rule, ScopedLists};
use mailcore_filter::pipeline::{FilterSettings, Pipeline, SETTING_PREFIX};
use serde::{Deserialize, Serialize};

use super::admin::{Admin, parse_address, parse_domain, words};
use super::aligned;
use crate::config::Config;
use crate::filters;

/// For whom something holds.
#[derive(Debug, Clone, Default, Args, Serialize, Deserialize)]
pub(crate) struct ScopeArgs {
    /// For a domain's mail instead of everybody's
    #[arg(long, value_name = "DOMAIN", conflicts_with = "account")]
    domain: Option<String>,
    /// For one account's mail
    #[arg(long, value_name = "ADDRESS")]
    account: Option<String>,
}

/// What can be asked.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct FilterRequest {
    pub(crate) scope: ScopeArgs,
    pub(crate) action: FilterAction,
}

/// What is to be done there.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum FilterAction {
    /// The rules, one a line.
    List,
    /// Adds rules.
    Add { rules: Vec<String> },
    /// Removes the rules about these.
    Remove { about: Vec<(String, String)> },
    /// Sets what is done.
    Set { key: String, value: String },
    /// Leaves it to the next wider scope.
    Unset { key: String },
    /// What is set, and where.
    Show,
    /// Every test, and what is done about it.
    Tests,
}

/// What commands on filters act on.
#[derive(Debug, Clone)]
pub(crate) struct Filters {
    lists: ScopedLists,
    /// As last configured.
    tests: Arc<Mutex<Pipeline>>,
    directory: Arc<dyn Directory>,
}

impl Filters {
    pub(crate) fn new(config: &Config, directory: Arc<dyn Directory>) -> Self {
        Self {
            lists: ScopedLists::new(Arc::clone(&directory)),
            tests: Arc::new(Mutex::new(filters::catalogue(config, &directory))),
            directory,
        }
    }

    /// Goes by another configuration from now on.
    pub(crate) fn reload(&self, config: &Config) {
        let tests = filters::catalogue(config, &self.directory);
        *self.tests.lock().unwrap_or_else(PoisonError::into_inner) = tests;
    }

    fn tests(&self) -> Pipeline {
        let tests = self.tests.lock().unwrap_or_else(PoisonError::into_inner);
        tests.clone()
    }
}

impl Admin {
    /// Carries one command out.
    pub(super) async fn filter(&self, request: FilterRequest) -> Result<Vec<String>, String> {
        let scope = self.scope(&request.scope).await?;
        let lists = &self.filters.lists;
        match request.action {
            FilterAction::List => {
                let rules = lists.rules(&scope).await.map_err(words)?;
                Ok(rules.iter().map(ToString::to_string).collect())
            }
            FilterAction::Add { rules } => {
                let rules: Vec<Rule> = rules
                    .iter()
                    .map(|text| text.parse().map_err(|error| format!("{text:?}: {error}")))
                    .collect::<Result<_, _>>()?;
                let changed = lists.add(&scope, &rules).await.map_err(words)?;
                Ok(vec![format!("{changed} rules added or changed")])
            }
            FilterAction::Remove { about } => {
                let about: Vec<About> = about
                    .iter()
                    .map(|(subject, value)| About::parse(subject, value).map_err(words))
                    .collect::<Result<_, _>>()?;
                let absent = lists.remove(&scope, &about).await.map_err(words)?;
                let absent: Vec<String> = absent
                    .iter()
                    .map(|it| format!("there is no rule about {it} here"))
                    .collect();
                match absent.is_empty() {
                    true => Ok(vec![format!("{} rules removed", about.len())]),
                    false => Err(absent.join("\n")),
                }
            }
            FilterAction::Set { key, value } => self.set_filter(&scope, &key, Some(&value)).await,
            FilterAction::Unset { key } => self.set_filter(&scope, &key, None).await,
            FilterAction::Show => self.show_filters(&scope).await,
            FilterAction::Tests => Ok(self.show_tests(&scope).await),
        }
    }

    async fn scope(&self, scope: &ScopeArgs) -> Result<Scope, String> {
        match (&scope.domain, &scope.account) {
            (Some(domain), _) => {
                let domain = parse_domain(domain)?;
                let served = self.directory.domain(&domain).await.map_err(words)?;
                match served {
                    Some(_) => Ok(Scope::Domain(domain)),
                    None => Err(format!("{domain} is not served here")),
                }
            }
            (None, Some(address)) => {
                let account = self.account_id(&parse_address(address)?).await?;
                Ok(Scope::Account(account))
            }
            (None, None) => Ok(Scope::Global),
        }
    }

    async fn set_filter(
        &self,
        scope: &Scope,
        key: &str,
        value: Option<&str>,
    ) -> Result<Vec<String>, String> {
        if let Some(value) = value {
            FilterSettings::check_key(key, &self.filters.tests()).map_err(words)?;
            FilterSettings::default().set(key, value).map_err(words)?;
        }
        let name = format!("{SETTING_PREFIX}{key}");
        let known = self.directory.value(scope, &name).await.map_err(words)?;
        if value.is_none() && known.is_none() {
            return Err(format!("{key} is not set here"));
        }
        let set = self.directory.set(scope, &name, value).await;
        set.map_err(words)?;
        Ok(vec![match value {
            Some(value) => format!("{key} is {value} from now on"),
            None => format!("{key} is as the next wider scope has it"),
        }])
    }

    async fn show_filters(&self, scope: &Scope) -> Result<Vec<String>, String> {
        let mut rows: Vec<Vec<String>> = Vec::new();
        let domain = match scope {
            Scope::Account(account) => self.directory.domain_of(account).await.map_err(words)?,
            _ => None,
        };
        for at in scope.path(domain) {
            let values = self.directory.values_below(&at, SETTING_PREFIX).await;
            for (key, value) in values.map_err(words)? {
                let key = key.strip_prefix(SETTING_PREFIX).unwrap_or(&key).to_owned();
                if rows.iter().any(|row| row.first() == Some(&key)) {
                    continue;
                }
                let mut row = vec![key, value.to_string()];
                row.extend(match &at {
                    at if at == scope => None,
                    Scope::Domain(domain) => Some(format!("(set for {domain})")),
                    _ => Some("(set for everybody)".to_owned()),
                });
                rows.push(row);
            }
        }
        let scoring = self.filters.tests().scoring(scope).await;
        for (key, score) in [
            ("score.reject", scoring.reject),
            ("score.quarantine", scoring.quarantine),
            ("score.tag", scoring.tag),
        ] {
            if rows
                .iter()
                .all(|row| row.first().is_none_or(|it| it != key))
            {
                let score = score.map_or_else(|| "never".to_owned(), |it| it.to_string());
                rows.push(vec![key.into(), score, "(configured)".into()]);
            }
        }
        rows.sort();
        Ok(aligned(&rows))
    }

    async fn show_tests(&self, scope: &Scope) -> Vec<String> {
        let pipeline = self.filters.tests();
        let mut rows = Vec::new();
        for test in pipeline.tests() {
            let name = test.name();
            let stages: Vec<String> = std::iter::once(pipeline.stage_of(test))
                .chain(test.also_at().iter().copied())
                .map(|stage| stage.to_string())
                .collect();
            let class = format!("{:?}", test.class()).to_ascii_lowercase();
            for (result, reaction) in pipeline.reactions(scope, test.as_ref()).await {
                let shipped = test.reaction(result);
                let mut row = vec![format!("{name}.{result}"), stages.join(","), class.clone()];
                row.push(reaction.to_string());
                row.extend((reaction != shipped).then(|| format!("(shipped: {shipped})")));
                rows.push(row);
            }
        }
        aligned(&rows)
    }
}
