//! Commands on message rules and autoreplies. What is put is checked whole, and
//! compiled, before it counts.

use clap::Args;
use mailcore::seams::{DirectoryError, Scope, ScriptKind, Scripts, Settings};
use mailcore_sieve::autoreply::{AutoReply, SETTING};
use mailcore_sieve::engine::Compiler;
use mailcore_sieve::rules::{KEPT_AS, Next, Reply, RuleSet};
use serde::{Deserialize, Serialize};

use super::admin::{Admin, parse_address, parse_domain, words};
use super::aligned;

/// Whose rules are meant.
#[derive(Debug, Clone, Default, Args, Serialize, Deserialize)]
#[group(required = true, multiple = false)]
pub(crate) struct Whose {
    /// An account's own
    #[arg(value_name = "ADDRESS")]
    account: Option<String>,
    /// Those for everybody's mail, which are asked before all others
    #[arg(long)]
    global: bool,
    /// Those for a domain's mail, which are asked before an account's own
    #[arg(long, value_name = "DOMAIN")]
    domain: Option<String>,
}

/// What can be asked about rules.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct RulesRequest {
    pub(crate) whose: Whose,
    pub(crate) action: RulesAction,
}

/// What is to be done with them.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum RulesAction {
    /// One a line.
    List,
    /// As they were put.
    Show,
    /// Replaces all.
    Put { text: String },
    /// Removes all.
    Remove,
    /// As Sieve.
    Export,
    /// Replaces all by those of a Sieve script.
    Import { script: String },
}

/// What can be asked about an autoreply.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct AutoreplyRequest {
    pub(crate) address: String,
    pub(crate) action: AutoreplyAction,
}

/// What is to be done with it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum AutoreplyAction {
    /// As it is kept.
    Show,
    /// Turns it on, with these changes.
    Set(Box<AutoreplyChange>),
    /// Turns it off; the text stays for the next time.
    Off,
}

/// What is changed about an autoreply; what is left out stays as it was.
#[derive(Debug, Clone, Default, Args, Serialize, Deserialize)]
pub(crate) struct AutoreplyChange {
    /// The text that is answered
    #[arg(long)]
    pub(crate) text: Option<String>,
    /// Its subject, which may hold ${subject}; or `none`
    #[arg(long)]
    subject: Option<String>,
    /// The first day, 2026-12-24, or `none`
    #[arg(long, value_name = "DAY")]
    from: Option<String>,
    /// The last day, or `none`
    #[arg(long, value_name = "DAY")]
    until: Option<String>,
    /// Days for which the same sender gets no other answer
    #[arg(long)]
    days: Option<u64>,
    /// Another address of the owner's, mail to which is answered; may be repeated,
    /// replaces those there were
    #[arg(long = "address", value_name = "ADDRESS")]
    addresses: Vec<String>,
}

impl AutoreplyChange {
    fn apply(self, to: &mut AutoReply) {
        let unless_none = |text: String| (text != "none").then_some(text);
        if let Some(text) = self.text {
            to.reply.text = text;
        }
        if let Some(subject) = self.subject {
            to.reply.subject = unless_none(subject);
        }
        if let Some(day) = self.from {
            to.from = unless_none(day);
        }
        if let Some(day) = self.until {
            to.until = unless_none(day);
        }
        to.reply.days = self.days.or(to.reply.days);
        if !self.addresses.is_empty() {
            to.reply.addresses = self.addresses;
        }
        to.enabled = true;
    }
}

impl Admin {
    /// Carries one command on rules out.
    pub(super) async fn message_rules(&self, request: RulesRequest) -> Result<Vec<String>, String> {
        let scope = self.whose(&request.whose).await?;
        match request.action {
            RulesAction::List => Ok(listed(&self.rules_of(&scope).await?)),
            RulesAction::Show => {
                let text = self
                    .scripts()?
                    .script(&scope, ScriptKind::Rules, KEPT_AS)
                    .await;
                Ok(lines(&text.map_err(absent)?))
            }
            RulesAction::Export => {
                let set = self.rules_of(&scope).await?;
                Ok(lines(&set.script().to_string()))
            }
            RulesAction::Put { text } => {
                let set = RuleSet::parse(&text).map_err(words)?;
                self.put_rules(&scope, &set, &text).await
            }
            RulesAction::Import { script } => {
                let set = RuleSet::import(&script).map_err(words)?;
                self.put_rules(&scope, &set, &set.to_string()).await
            }
            RulesAction::Remove => {
                let (scripts, kind) = (self.scripts()?, ScriptKind::Rules);
                let idle = scripts.set_active(&scope, kind, None).await;
                idle.map_err(absent)?;
                let deleted = scripts.delete_script(&scope, kind, KEPT_AS).await;
                deleted.map_err(absent)?;
                Ok(vec!["removed".to_owned()])
            }
        }
    }

    async fn put_rules(
        &self,
        scope: &Scope,
        set: &RuleSet,
        text: &str,
    ) -> Result<Vec<String>, String> {
        if set.rules.is_empty() {
            let words = "there is no rule in it; `mailserver rules remove` removes all";
            return Err(words.to_owned());
        }
        compiles(set)?;
        let (scripts, kind) = (self.scripts()?, ScriptKind::Rules);
        let put = scripts.put_script(scope, kind, KEPT_AS, text).await;
        put.map_err(words)?;
        let active = scripts.set_active(scope, kind, Some(KEPT_AS)).await;
        active.map_err(words)?;
        Ok(vec![format!("{} rules", set.rules.len())])
    }

    async fn rules_of(&self, scope: &Scope) -> Result<RuleSet, String> {
        let text = self
            .scripts()?
            .script(scope, ScriptKind::Rules, KEPT_AS)
            .await;
        RuleSet::parse(&text.map_err(absent)?).map_err(words)
    }

    fn scripts(&self) -> Result<&dyn Scripts, String> {
        use mailcore::seams::Directory as _;
        let scripts = self.directory.scripts();
        scripts.ok_or_else(|| "this directory keeps no rules".to_owned())
    }

    async fn whose(&self, whose: &Whose) -> Result<Scope, String> {
        if let Some(domain) = &whose.domain {
            return self.served_scope(domain).await;
        }
        match &whose.account {
            Some(address) => {
                let account = self.account_id(&parse_address(address)?).await?;
                Ok(Scope::Account(account))
            }
            None => Ok(Scope::Global),
        }
    }

    async fn served_scope(&self, domain: &str) -> Result<Scope, String> {
        use mailcore::seams::Directory as _;
        let domain = parse_domain(domain)?;
        let served = self.directory.domain(&domain).await.map_err(words)?;
        match served {
            Some(_) => Ok(Scope::Domain(domain)),
            None => Err(format!("{domain} is not served here")),
        }
    }

    /// Carries one command on an autoreply out.
    pub(super) async fn autoreply(&self, request: AutoreplyRequest) -> Result<Vec<String>, String> {
        let account = self.account_id(&parse_address(&request.address)?).await?;
        let scope = Scope::Account(account);
        let kept = self.directory.value(&scope, SETTING).await.map_err(words)?;
        let kept = kept.map(|text| AutoReply::parse(&text)).transpose();
        let kept = kept.map_err(words)?;
        let mut changed = match (&request.action, &kept) {
            (AutoreplyAction::Show | AutoreplyAction::Off, None) => {
                return Ok(vec!["no autoreply is kept here".to_owned()]);
            }
            (AutoreplyAction::Show, Some(kept)) => return Ok(lines(&kept.to_string())),
            (_, Some(kept)) => kept.clone(),
            (_, None) => AutoReply::new(Reply::default()),
        };
        match request.action {
            AutoreplyAction::Set(change) => change.apply(&mut changed),
            _ => changed.enabled = false,
        }
        changed.check().map_err(words)?;
        compiles(&RuleSet::default().with_autoreply(&changed))?;
        let text = changed.to_string();
        let set = self.directory.set(&scope, SETTING, Some(&text)).await;
        set.map_err(words)?;
        Ok(lines(&text))
    }
}

/// Refuses what no server could run: a regular expression that is none.
fn compiles(set: &RuleSet) -> Result<(), String> {
    let compiled = Compiler::new().compile_script(KEPT_AS, &set.script());
    let words = |line: u32, words: &str| format!("line {line}: {words}");
    compiled
        .map(|_| ())
        .map_err(|error| words(error.at.line, &error.words))
}

fn absent(error: DirectoryError) -> String {
    match error {
        DirectoryError::NotFound(_) => "there are no rules here".to_owned(),
        other => other.to_string(),
    }
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

fn listed(set: &RuleSet) -> Vec<String> {
    let rows: Vec<Vec<String>> = set
        .rules
        .iter()
        .enumerate()
        .map(|(index, rule)| {
            let on = if rule.enabled { "on" } else { "off" };
            let next = match &rule.next {
                Next::Stop => "then stop".to_owned(),
                Next::GoTo(name) => format!("then go to \"{name}\""),
                _ => String::new(),
            };
            vec![
                (index + 1).to_string(),
                on.to_owned(),
                rule.name.clone(),
                next,
            ]
        })
        .collect();
    aligned(&rows)
}
