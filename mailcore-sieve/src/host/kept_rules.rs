//! [`KeptRules`]: message rules and autoreplies that the directory keeps.

use std::sync::Arc;

use async_trait::async_trait;
use mailcore::seams::{Directory, DirectoryError, Scope, ScriptKind};
use tokio::sync::watch;

use super::library::Library;
use super::source::{Found, Place, ProgramSource, Whose};
use crate::autoreply::{AutoReply, SETTING};
use crate::engine::ast::Script;
use crate::engine::{CompileError, Position};
use crate::rules::{KEPT_AS, Problems, RuleSet};

/// Apart from Sieve in the library: the same text would be something else there.
const KIND: &str = "rules";
/// Divides the two texts that an account's program is made of. No text has it.
const BETWEEN: char = '\0';

/// The rules of everybody, of domains and of accounts. An account's autoreply is
/// part of its own rules' program: which of them answers is one decision.
#[derive(Debug)]
pub struct KeptRules {
    directory: Arc<dyn Directory>,
    /// Of texts and of settings.
    changes: [Option<watch::Receiver<u64>>; 2],
}

impl KeptRules {
    /// Those of `directory`.
    pub fn new(directory: Arc<dyn Directory>) -> Self {
        let scripts = directory.scripts().and_then(|scripts| scripts.watch());
        let settings = directory.settings().and_then(|settings| settings.watch());
        Self {
            directory,
            changes: [scripts, settings],
        }
    }

    async fn rules(&self, scope: &Scope) -> Result<Option<Arc<str>>, DirectoryError> {
        let Some(scripts) = self.directory.scripts() else {
            return Ok(None);
        };
        match scripts.active_script(scope, ScriptKind::Rules).await {
            Ok(found) => Ok(found.map(|(_, text)| text)),
            Err(DirectoryError::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn autoreply(&self, scope: &Scope) -> Result<Option<Arc<str>>, DirectoryError> {
        match self.directory.settings() {
            // The account's own alone: nobody is away for a whole domain.
            Some(settings) => settings.value(scope, SETTING).await,
            None => Ok(None),
        }
    }
}

#[async_trait]
impl ProgramSource for KeptRules {
    async fn programs(
        &self,
        place: Place,
        whose: &Whose<'_>,
        library: &Library,
    ) -> Result<Vec<Found>, DirectoryError> {
        let scope = place.scope(whose);
        let autoreply = match place {
            Place::GlobalRules | Place::DomainRules => None,
            Place::Personal => self.autoreply(&scope).await?,
            _ => return Ok(Vec::new()),
        };
        let rules = self.rules(&scope).await?;
        if rules.is_none() && autoreply.is_none() {
            return Ok(Vec::new());
        }
        let name: Arc<str> = match &scope {
            Scope::Domain(domain) => format!("{KEPT_AS} of {domain}").into(),
            _ => KEPT_AS.into(),
        };
        let (rules, autoreply) = (rules.unwrap_or_default(), autoreply.unwrap_or_default());
        let text = format!("{rules}{BETWEEN}{autoreply}");
        let compiled = library.program(KIND, &name, &text, |compiler| {
            compiler.compile_script(&name, &script(&rules, &autoreply)?)
        });
        Ok(vec![Found { name, compiled }])
    }

    fn version(&self) -> Option<u64> {
        let scripts = match (&self.changes[0], self.directory.scripts()) {
            (Some(changes), _) => *changes.borrow(),
            (None, None) => 0,
            (None, Some(_)) => return None,
        };
        let settings = match (&self.changes[1], self.directory.settings()) {
            (Some(changes), _) => *changes.borrow(),
            (None, None) => 0,
            (None, Some(_)) => return None,
        };
        // Both only grow, so that the sum changes with either.
        Some(scripts.wrapping_add(settings))
    }
}

/// The script of both; one that is missing is empty.
fn script(rules: &str, autoreply: &str) -> Result<Script, CompileError> {
    let mut set = RuleSet::parse(rules).map_err(|problems| first("", &problems))?;
    if !autoreply.is_empty() {
        let autoreply = AutoReply::parse(autoreply);
        let autoreply = autoreply.map_err(|problems| first("the autoreply: ", &problems))?;
        if autoreply.enabled {
            set = set.with_autoreply(&autoreply);
        }
    }
    Ok(set.script())
}

/// What is wrong first: who keeps such a text is told of the rest as he corrects it.
fn first(what: &str, problems: &Problems) -> CompileError {
    let first = problems.0.first();
    let (line, words) = first.map_or((1, ""), |it| (it.line, it.words.as_str()));
    let at = Position { line, column: 1 };
    CompileError::new(at, format!("{what}{words}"))
}
