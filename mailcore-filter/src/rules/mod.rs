//! Content tests as weighted rules: [`RuleSet`], and [`ContentRules`], which asks
//! them of mail.
//!
//! ```text
//! rule SUBJECT_SHOUTS 0.8 "Subject in capitals"
//!     when subject capitals >= 80% and subject length >= 12
//!
//! rule FORTUNE 2.5 "Offers a share of somebody's fortune"
//!     when text has 3 of "next of kin", "the sum of", "foreign partner", "confidential"
//! ```
//!
//! A rule says what must hold and what it scores when it does. Each text of a
//! message is gone through once for all phrases and once for up to 64 patterns,
//! in time linear in its length, whatever the rules; patterns know no look-around
//! and no back-references. The language is described in `docs/content-rules.md`.

mod compile;
mod error;
mod evaluate;
mod facts;
mod lexer;
mod parse;
mod shipped;
mod syntax;
mod test;
#[cfg(test)]
mod tests;

use mailcore::seams::StoreError;
use mailcore::time::Timestamp;

use self::compile::Compiled;
use self::facts::Facts;
use self::parse::Parser;
use self::syntax::Source;
use crate::content::View;
use crate::pipeline::Look;

pub use error::{RuleError, RuleErrors, RuleProblem};
pub use test::ContentRules;

/// The name by which rule files include the shipped rules.
pub const SHIPPED: &str = "shipped";
/// Octets of each kind of text that rules look at.
const TEXT: usize = 256 * 1024;

/// Rules, compiled.
#[derive(Debug)]
pub struct RuleSet {
    compiled: Compiled,
}

/// A rule that holds for a message.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Hit<'r> {
    /// The rule's name.
    pub name: &'r str,
    /// What it scores; positive is worse.
    pub score: f32,
    /// What it is about, in words.
    pub about: &'r str,
    /// Its tags.
    pub tags: &'r [String],
}

impl RuleSet {
    /// The shipped rules.
    ///
    /// # Errors
    /// Never, unless the rules shipped are wrong.
    pub fn shipped() -> Result<Self, RuleErrors> {
        Self::parse(SHIPPED, &format!("include \"{SHIPPED}\""))
    }

    /// Reads rules that include no file, except the shipped rules.
    ///
    /// # Errors
    /// All that is wrong with them; `name` is what the text is called there.
    pub fn parse(name: &str, text: &str) -> Result<Self, RuleErrors> {
        Self::parse_with(
            name,
            text,
            &mut |_| Err("no files are read here".to_owned()),
        )
    }

    /// Reads rules; `load` gives the text of a file that they include, or says why
    /// not.
    ///
    /// # Errors
    /// All that is wrong with them.
    pub fn parse_with(
        name: &str,
        text: &str,
        load: &mut dyn FnMut(&str) -> Result<String, String>,
    ) -> Result<Self, RuleErrors> {
        let mut load = or_shipped(load);
        let mut parser = Parser::new(&mut load);
        parser.file(name, text, 0);
        Self::compile(name, parser)
    }

    /// Reads files of rules one after the other, as if one file included them all;
    /// [`SHIPPED`] names the shipped rules.
    ///
    /// # Errors
    /// All that is wrong with them.
    pub fn parse_files<'a>(
        names: impl IntoIterator<Item = &'a str>,
        load: &mut dyn FnMut(&str) -> Result<String, String>,
    ) -> Result<Self, RuleErrors> {
        let mut load = or_shipped(load);
        let mut parser = Parser::new(&mut load);
        for name in names {
            parser.load(name);
        }
        Self::compile("all rules", parser)
    }

    fn compile(name: &str, parser: Parser<'_>) -> Result<Self, RuleErrors> {
        let program = parser.finish().map_err(RuleErrors)?;
        let compiled = Compiled::new(program)
            .map_err(|reason| RuleErrors::at_start(name, RuleProblem::Pattern(reason)))?;
        Ok(Self { compiled })
    }

    /// How many rules there are, those that only others use among them.
    pub fn len(&self) -> usize {
        self.compiled.rules.len()
    }

    /// True without rules.
    pub fn is_empty(&self) -> bool {
        self.compiled.rules.is_empty()
    }

    /// Name, score and words of each rule that scores.
    pub fn rules(&self) -> impl Iterator<Item = Hit<'_>> {
        self.compiled
            .rules
            .iter()
            .filter(|it| it.score != 0.0)
            .map(hit)
    }

    /// The rules that hold for the message that `look` shows and of which `view`
    /// is, `now` being the time that its date is compared with; none without a
    /// message.
    ///
    /// # Errors
    /// What the store of the message says.
    pub async fn judge(
        &self,
        look: &Look<'_>,
        view: &View,
        now: Timestamp,
    ) -> Result<Vec<Hit<'_>>, StoreError> {
        let Some(mail) = look.mail else {
            return Ok(Vec::new());
        };
        let mut facts = Facts::new(look, view, mail.summary, TEXT).await;
        facts.now = now;
        let sources = &self.compiled.sources;
        if sources.iter().any(|it| it.source == Source::Raw) {
            let octets = mail.message.read(0..TEXT as u64).await?;
            facts.raw = String::from_utf8_lossy(&octets).into_owned();
        }
        let held = evaluate::run(&self.compiled, &facts).await;
        let rules = self.compiled.rules.iter().zip(held);
        let hits = rules.filter(|(rule, held)| *held && rule.score != 0.0);
        Ok(hits.map(|(rule, _)| hit(rule)).collect())
    }
}

/// Files of rules, the shipped ones among them.
fn or_shipped<'l>(
    load: &'l mut dyn FnMut(&str) -> Result<String, String>,
) -> impl FnMut(&str) -> Result<String, String> + 'l {
    |file| match file {
        SHIPPED => Ok(shipped::INDEX.to_owned()),
        _ => match shipped::file(file) {
            Some(text) => Ok(text.to_owned()),
            None => load(file),
        },
    }
}

fn hit(rule: &compile::CompiledRule) -> Hit<'_> {
    Hit {
        name: &rule.name,
        score: rule.score,
        about: &rule.about,
        tags: &rule.tags,
    }
}
